package mailer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/zap"
)

// meter takes so many replies a second, as SES does, and throttles the rest.
type meter struct {
	rate, allowance float64
	last            time.Time
	taken, refused  int
}

// take is asked under the world's lock.
func (s *meter) take() error {
	now := time.Now()
	if !s.last.IsZero() {
		s.allowance = min(s.rate, s.allowance+s.rate*now.Sub(s.last).Seconds())
	}
	s.last = now
	if s.allowance < 1 {
		s.refused++
		return apiError("Throttling", "Maximum sending rate exceeded.", 400)
	}
	s.allowance--
	s.taken++
	return nil
}

// flood has processes send as fast as they may for a while.
func flood(t *testing.T, w *world, processes int, lasts time.Duration) {
	t.Helper()
	end := time.Now().Add(lasts)
	var wg sync.WaitGroup
	for p := range processes {
		m, _ := w.newProcess(t, config())
		for g := range 8 {
			wg.Go(func() {
				for n := 0; time.Now().Before(end); {
					_, err := m.Send(t.Context(), reply(fmt.Sprintf("%d-%d-%d", p, g, n)))
					if err != nil {
						time.Sleep(max(after(err), 10*time.Millisecond))
						continue
					}
					n++
				}
			})
		}
	}
	wg.Wait()
}

// One process alone stays below the quota and uses most of it. Several share it
// without knowing of each other.
func TestProcessesShareTheSendRate(t *testing.T) {
	for _, processes := range []int{1, 2, 5} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.quota.MaxSendRate = 14
				s := &meter{rate: 14, allowance: 14}
				w.refuse = s.take
				const seconds = 120
				flood(t, w, processes, seconds*time.Second)
				share := float64(s.taken) / (14 * seconds)
				refused := float64(s.refused) / float64(s.taken+s.refused)
				t.Logf("%.0f%% of the quota used, %.1f%% of the calls throttled", 100*share, 100*refused)
				if share < 0.7 || refused > 0.25 {
					t.Errorf("%.0f%% of the quota used, %.1f%% of the calls throttled", 100*share, 100*refused)
				}
			})
		})
	}
}

func TestTheRateBacksOffAndRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(nil, zap.NewNop())
		p.learn(&ses.GetSendQuotaOutput{MaxSendRate: 100, Max24HourSend: -1}, time.Now())
		if p.rateNow() != 100 {
			t.Fatalf("it begins at %v", p.rateNow())
		}
		time.Sleep(cutEvery)
		for range 50 { // One burst of refusals is one reason to slow down.
			p.slow(time.Now())
		}
		if p.rateNow() != 50 {
			t.Errorf("rate %v after a burst of throttles", p.rateNow())
		}
		time.Sleep(2 * time.Second)
		p.slow(time.Now())
		if p.rateNow() != 26 {
			t.Errorf("rate %v after another one", p.rateNow())
		}
		time.Sleep(10 * time.Second)
		p.turn(time.Now())
		if p.rateNow() != 36 {
			t.Errorf("rate %v ten seconds later", p.rateNow())
		}
		time.Sleep(2 * time.Minute)
		p.turn(time.Now())
		if p.rateNow() != 100 {
			t.Errorf("rate %v two minutes later", p.rateNow())
		}
		p.learn(&ses.GetSendQuotaOutput{MaxSendRate: 200, Max24HourSend: -1}, time.Now())
		if p.rateNow() != 200 {
			t.Errorf("rate %v after the quota was raised", p.rateNow())
		}
		for range 100 {
			time.Sleep(cutEvery)
			p.slow(time.Now())
		}
		if p.rateNow() < leastRate || p.rateNow() > 20 {
			t.Errorf("rate %v after nothing but throttles", p.rateNow())
		}
	})
}

// Without a quota (SES does not tell, or has none) nothing is held back until SES
// throttles.
func TestAQuotaThatIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.fate = func(operation string) (error, error) {
			if operation == "quota" {
				return errCut, nil
			}
			return nil, nil
		}
		m, _ := w.newProcess(t, config())
		began := time.Now()
		for n := range 1000 {
			send(t, m, reply(fmt.Sprint(n)))
		}
		if time.Since(began) != 0 || w.calls["quota"] != 1 {
			t.Errorf("a thousand replies took %s and %d calls for the quota", time.Since(began), w.calls["quota"])
		}
		w.refuse = func() error { return apiError("Throttling", "Maximum sending rate exceeded.", 400) }
		if _, err := m.Send(t.Context(), reply("throttled")); after(err) != time.Second {
			t.Errorf("error %v", err)
		}
		if rate := m.pace.rateNow(); math.IsInf(rate, 1) {
			t.Error("it goes on as fast as before")
		}
	})
}

// A turn that is far away is not waited for here: the consumer has better to do.
func TestATurnThatIsFarAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.quota.MaxSendRate = 1
		m, _ := w.newProcess(t, config())
		var wg sync.WaitGroup
		var mu sync.Mutex
		var sent, later int
		for n := range 100 {
			wg.Go(func() {
				_, err := m.Send(t.Context(), reply(fmt.Sprint(n)))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					sent++
				case after(err) >= 20*time.Second:
					later++
				default:
					t.Errorf("error %v", err)
				}
			})
		}
		wg.Wait()
		if sent < 20 || sent > 25 || sent+later != 100 {
			t.Errorf("%d sent, %d later", sent, later)
		}
	})
}

// A spent daily quota is an outage until SES says that there is room again; no
// claim is written and SES is not asked to send meanwhile.
func TestASpentQuotaIsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.quota = ses.GetSendQuotaOutput{Max24HourSend: 200, SentLast24Hours: 199, MaxSendRate: 14}
		m, _ := w.newProcess(t, config())
		send(t, m, reply("mail-1"))
		w.refuse = func() error { return apiError("Throttling", "Daily message quota exceeded.", 400) }
		w.quota.SentLast24Hours = 200
		outage := func(mail string) {
			t.Helper()
			_, err := m.Send(t.Context(), reply(mail))
			if r, ok := errors.AsType[*refusal](err); !ok || r.Outage() != "ses" {
				t.Errorf("error %v", err)
			}
		}
		outage("mail-2")
		calls := w.calls["send"] + w.calls["create mail"]
		for range 10 { // The consumer probes.
			time.Sleep(30 * time.Second)
			outage("mail-2")
		}
		if now := w.calls["send"] + w.calls["create mail"]; now != calls {
			t.Errorf("%d calls while there was no quota", now-calls)
		}
		w.quota.SentLast24Hours, w.refuse = 150, nil
		time.Sleep(30 * time.Second)
		send(t, m, reply("mail-2"))
	})
}

func TestTheQuotaIsSpentBeforeAnythingIsSent(t *testing.T) {
	w := newWorld()
	w.quota = ses.GetSendQuotaOutput{Max24HourSend: 200, SentLast24Hours: 200, MaxSendRate: 14}
	m, _ := w.newProcess(t, config())
	_, err := m.Send(t.Context(), reply("mail-1"))
	if r, ok := errors.AsType[*refusal](err); !ok || r.Outage() != "ses" || len(w.calls) != 1 {
		t.Errorf("error %v, calls %v", err, w.calls)
	}
}

// Whoever waits for his turn sees it in the mail's trace; whoever need not wait has
// nothing to see.
func TestWaitIsASpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var spans tracetest.InMemoryExporter
		ctx, _ := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&spans)).Tracer("").Start(t.Context(), "above")
		p := newPace(func(context.Context) (*ses.GetSendQuotaOutput, error) {
			return &ses.GetSendQuotaOutput{MaxSendRate: 1, Max24HourSend: -1}, nil
		}, zap.NewNop())
		for range 3 { // one from the time before, and two in the pace
			if err := p.wait(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range spans.GetSpans() {
			if s.Name != "wait for the send rate" || s.EndTime.Sub(s.StartTime) != time.Second {
				t.Errorf("%s took %s", s.Name, s.EndTime.Sub(s.StartTime))
			}
		}
		if n := len(spans.GetSpans()); n == 0 || n == 3 {
			t.Errorf("%d of 3 waited", n)
		}
	})
}
