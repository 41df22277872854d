package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.uber.org/zap"

	"inreply/email"
)

// newBreaker is closed while the service works, and opens after a few failures one
// after the other. Open, it lets nobody through for a while, and then one.
func (w *Webhook) newBreaker() *gobreaker.CircuitBreaker[*email.Reply] {
	return gobreaker.NewCircuitBreaker[*email.Reply](gobreaker.Settings{
		Name: w.name, MaxRequests: 1, Timeout: w.service.Breaker.Pause,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return int64(c.ConsecutiveFailures) >= int64(w.service.Breaker.Failures)
		},
		IsSuccessful: func(err error) bool {
			f, ok := errors.AsType[*failure](err)
			return err == nil || ok && f.alive
		},
		IsExcluded: func(err error) bool {
			f, ok := errors.AsType[*failure](err)
			return ok && f.ours || errors.Is(err, context.Canceled)
		},
		OnStateChange: func(_ string, from, to gobreaker.State) {
			switch {
			case to == gobreaker.StateOpen && from == gobreaker.StateClosed:
				w.parts.Logger.Error("outage: the mails of a service are parked", zap.String("service", w.name))
			case to == gobreaker.StateClosed:
				w.parts.Logger.Info("outage is over: a service is asked again", zap.String("service", w.name))
			}
		},
	})
}

// guarded asks unless the service is out. A failure by which it is known to be out is
// no fault of the mail's.
func (w *Webhook) guarded(ask func() (*email.Reply, error)) (*email.Reply, error) {
	reply, err := w.breaker.Execute(ask)
	if err == nil {
		return reply, nil
	}
	f, known := errors.AsType[*failure](err)
	if !known && !errors.Is(err, gobreaker.ErrOpenState) && !errors.Is(err, gobreaker.ErrTooManyRequests) {
		return nil, err
	}
	if known && (f.ours || f.alive) || w.breaker.State() == gobreaker.StateClosed && known {
		return nil, err
	}
	return nil, &failure{err: fmt.Errorf("the service is out: %w", err), outage: "service:" + w.name}
}

// crowd is how long a mail waits for one of the service's slots before it gives its
// own slot to others.
const crowd = 2 * time.Second

// slot waits for one of the requests that the service gets at once. A mail that does
// not get one comes again, and no try is counted.
func (w *Webhook) slot(ctx context.Context) (release func(), err error) {
	release = func() { <-w.slots }
	select {
	case w.slots <- struct{}{}:
		return release, nil
	default:
	}
	timer := time.NewTimer(crowd)
	defer timer.Stop()
	select {
	case w.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		err := fmt.Errorf("service %s has its %d requests at once", w.name, w.service.Concurrency)
		return nil, &failure{err: err, after: w.jittered(crowd), ours: true}
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for service %s: %w", w.name, ctx.Err())
	}
}

// jittered is a length of time between d/2 and d.
func (w *Webhook) jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(w.parts.Random()*float64(d/2))
}
