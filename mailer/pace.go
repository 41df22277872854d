package mailer

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/tracing"
)

// pace keeps this process at a rate that SES takes. N processes share one quota
// without knowing of each other, so each begins at the whole of it, halves when
// SES throttles, and creeps up again while SES does not: additive increase,
// multiplicative decrease, which ends in fair shares (Chiu and Jain, 1989).
//
// It also knows when the daily quota is spent. Then SES is asked how things stand
// instead of being sent a reply that it would refuse.
type pace struct {
	ask func(ctx context.Context) (*ses.GetSendQuotaOutput, error)
	log *zap.Logger

	mu      sync.Mutex
	most    float64 // the quota, a second; +Inf as long as it is not known
	rate    float64 // ours, a second
	next    time.Time
	slowed  time.Time // when the rate was last cut
	grown   time.Time // up to when it has grown
	checked time.Time // when SES was last asked for the quota
	spent   bool      // the daily quota is
}

const (
	quotaFor  = 15 * time.Minute       // the quota is believed
	quotaWait = 2 * time.Second        // for SES to tell it
	leastRate = 0.1                    // a second
	blindRate = 10.0                   // where to begin after a throttle when the quota is not known
	growth    = 0.01                   // of the quota, a second
	cutEvery  = time.Second            // all throttles within this are one
	longest   = 20 * time.Second       // that a send waits here for its turn
	burst     = 100 * time.Millisecond // that unused turns add up to, and at least one
)

func newPace(ask func(context.Context) (*ses.GetSendQuotaOutput, error), log *zap.Logger) *pace {
	return &pace{ask: ask, log: log, most: math.Inf(1), rate: math.Inf(1)}
}

// wait waits until it is this send's turn. The error says that SES takes nothing
// today, or that the turn is too far away.
func (p *pace) wait(ctx context.Context) error {
	if err := p.check(ctx); err != nil {
		return err
	}
	d, ok := p.turn(time.Now())
	if !ok {
		return &refusal{err: fmt.Errorf("SES takes %.1f replies a second, and %s of them wait already", p.rateNow(), d.Round(time.Second)), after: d}
	}
	if d <= 0 {
		return nil
	}
	_, span := tracing.Begin(ctx, "wait for the send rate", trace.SpanKindInternal)
	defer span.End()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the send rate: %w", context.Cause(ctx))
	}
}

// turn takes the next turn, and says how long to wait for it. One that is too far
// away is not taken.
func (p *pace) turn(now time.Time) (wait time.Duration, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow(now)
	if math.IsInf(p.rate, 1) {
		return 0, true
	}
	step := time.Duration(float64(time.Second) / p.rate)
	if earliest := now.Add(-max(burst, step)); p.next.Before(earliest) {
		p.next = earliest
	}
	wait = p.next.Sub(now)
	if wait > longest {
		return wait, false
	}
	p.next = p.next.Add(step)
	return wait, true
}

func (p *pace) rateNow() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate
}

// grow adds to the rate what the time since it was last looked at has earned.
func (p *pace) grow(now time.Time) {
	if p.rate >= p.most || math.IsInf(p.rate, 1) {
		p.grown = now
		return
	}
	most := p.most
	if math.IsInf(most, 1) {
		most = blindRate
	}
	p.rate += growth * most * now.Sub(p.grown).Seconds()
	p.rate = min(p.rate, p.most)
	p.grown = now
}

// slow cuts the rate: SES has said that it is too high. What was under way when
// it was cut does not cut it again.
func (p *pace) slow(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow(now)
	if now.Sub(p.slowed) < cutEvery {
		return
	}
	if math.IsInf(p.rate, 1) {
		p.rate = 2 * blindRate
	}
	p.rate = max(leastRate, p.rate/2)
	p.slowed = now
	p.next = now.Add(time.Duration(float64(time.Second) / p.rate))
	p.log.Warn("SES throttles; sending more slowly", zap.Float64("a_second", p.rate))
}

// exhausted notes that SES refused a reply because the daily quota is spent.
func (p *pace) exhausted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.spent {
		p.log.Error("SES's daily quota is spent: no reply goes out until it has room again")
	}
	p.spent = true
}

// due reports whether SES is to be asked for its quota now; whoever is told so
// asks.
func (p *pace) due(now time.Time) (ask, spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.checked.IsZero() && now.Sub(p.checked) < quotaFor && (!p.spent || now.Sub(p.checked) < time.Second) {
		return false, p.spent
	}
	p.checked = now
	return true, p.spent
}

// check asks SES for the quota when it is time to. That it does not answer keeps
// nobody from sending, unless the quota was spent when it was last heard of.
func (p *pace) check(ctx context.Context) error {
	ask, spent := p.due(time.Now())
	if ask {
		asking, cancel := context.WithTimeout(ctx, quotaWait)
		defer cancel()
		quota, err := p.ask(asking)
		if err != nil {
			p.log.Debug("SES does not tell its quota", zap.Error(err))
		} else {
			spent = p.learn(quota, time.Now())
		}
	}
	if spent {
		return &refusal{err: errSpent, outage: true, after: outageFor}
	}
	return nil
}

// learn takes in what SES says of its quota. A quota that was raised or lowered
// moves our share of it.
func (p *pace) learn(quota *ses.GetSendQuotaOutput, now time.Time) (spent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grow(now)
	most := quota.MaxSendRate
	if most <= 0 {
		most = math.Inf(1) // -1 is no limit.
	}
	if math.IsInf(p.rate, 1) || p.rate > most || p.rate >= p.most {
		p.rate = most
	}
	p.most = most
	// A quota of -1 is none (GetSendQuota in the SES API reference).
	p.spent = quota.Max24HourSend >= 0 && quota.SentLast24Hours >= quota.Max24HourSend
	return p.spent
}

// askQuota is how SES tells its quota. It may be asked once a second.
func askQuota(client SES) func(context.Context) (*ses.GetSendQuotaOutput, error) {
	return func(ctx context.Context) (*ses.GetSendQuotaOutput, error) {
		out, err := client.GetSendQuota(ctx, &ses.GetSendQuotaInput{}, func(o *ses.Options) { o.Retryer = aws.NopRetryer{} })
		if err != nil {
			return nil, fmt.Errorf("ask for the send quota: %w", err)
		}
		return out, nil
	}
}
