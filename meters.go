package inreply

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"inreply/mailer"
	"inreply/relay/push"
	"inreply/tracing"
)

// meteredSES measures what SES is asked, and what it says of its quota.
type meteredSES struct {
	mailer.SES
	took      metric.Float64Histogram
	throttles metric.Int64Counter
	rate      metric.Float64Gauge
	day       metric.Float64Gauge
	used      metric.Float64Gauge

	mu   sync.Mutex
	left float64 // of the day's quota
	told bool    // left is known
}

func newMeteredSES(client mailer.SES, m metric.Meter) (*meteredSES, error) {
	var faults []error
	gauge := func(name, unit, what string) metric.Float64Gauge {
		g, err := m.Float64Gauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		faults = append(faults, err)
		return g
	}
	took, err := m.Float64Histogram("inreply.ses.duration", metric.WithUnit("s"), metric.WithDescription("time of one call to send a reply"),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	faults = append(faults, err)
	throttles, err := m.Int64Counter("inreply.ses.throttles", metric.WithUnit("{call}"), metric.WithDescription("calls to send that SES refused because they were too many"))
	faults = append(faults, err)
	s := &meteredSES{
		SES: client, took: took, throttles: throttles,
		rate: gauge("inreply.ses.quota.rate", "{mail}/s", "replies a second that SES allows; -1 is any number"),
		day:  gauge("inreply.ses.quota.day", "{mail}", "replies in 24 hours that SES allows; -1 is any number"),
		used: gauge("inreply.ses.quota.used", "{mail}", "replies of the last 24 hours, as SES counts"),
	}
	return s, errors.Join(faults...)
}

// SendRawEmail sends, and measures that.
func (s *meteredSES) SendRawEmail(ctx context.Context, in *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	began := time.Now()
	ctx, span := tracing.Call(ctx, "SES", "SendRawEmail")
	out, err := s.SES.SendRawEmail(ctx, in, options...)
	tracing.End(span, err)
	var failed []attribute.KeyValue
	if err != nil {
		code := tracing.ErrorType(err)
		failed = append(failed, attribute.String("error.type", code))
		if strings.HasPrefix(code, "Throttling") {
			s.throttles.Add(ctx, 1)
		}
	}
	if err == nil {
		s.sent()
	}
	s.took.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(failed...))
	return out, err //nolint:wrapcheck // the mailer reads what SES said
}

// GetSendQuota asks for the quota, and notes it.
func (s *meteredSES) GetSendQuota(ctx context.Context, in *ses.GetSendQuotaInput, options ...func(*ses.Options)) (*ses.GetSendQuotaOutput, error) {
	out, err := s.SES.GetSendQuota(ctx, in, options...)
	if err == nil {
		s.rate.Record(ctx, out.MaxSendRate)
		s.day.Record(ctx, out.Max24HourSend)
		s.used.Record(ctx, out.SentLast24Hours)
		s.learn(out.Max24HourSend, out.SentLast24Hours)
	}
	return out, err //nolint:wrapcheck // the mailer reads what SES said
}

// unlimited is how a limit is written that there is not, as SES does it.
const unlimited = -1

// learn takes in what SES says of the day's quota.
func (s *meteredSES) learn(most, used float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told, s.left = true, unlimited
	if most >= 0 {
		s.left = max(0, most-used)
	}
}

// sent takes a reply that went out off the day's quota, until SES says how it stands.
func (s *meteredSES) sent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left > 0 {
		s.left = max(0, s.left-1)
	}
}

// observe has the meter ask for what a process may still send. rate is +Inf if there
// is no limit.
func (s *meteredSES) observe(m metric.Meter, rate func() float64) error {
	now, err := m.Float64ObservableGauge("inreply.ses.rate", metric.WithUnit("{mail}/s"), metric.WithDescription("replies a second that this process sends at most now; -1 is any number"))
	faults := []error{err}
	left, err := m.Float64ObservableGauge("inreply.ses.quota.left", metric.WithUnit("{mail}"), metric.WithDescription("replies that SES allows before 24 hours are full; -1 is any number"))
	faults = append(faults, err)
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		allowed := rate()
		if math.IsInf(allowed, 1) {
			allowed = unlimited
		}
		o.ObserveFloat64(now, allowed)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.told {
			o.ObserveFloat64(left, s.left)
		}
		return nil
	}, now, left)
	return errors.Join(append(faults, err)...)
}

// pushCounter counts how SNS's calls end.
func pushCounter(m metric.Meter) (func(context.Context, push.Outcome), error) {
	counter, err := m.Int64Counter("inreply.relay.pushes", metric.WithUnit("{call}"), metric.WithDescription("calls of SNS by how they ended"))
	if err != nil {
		return nil, fmt.Errorf("make the counter of pushes: %w", err)
	}
	return func(ctx context.Context, o push.Outcome) {
		counter.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", string(o))))
	}, nil
}
