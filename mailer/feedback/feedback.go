// Package feedback reads what SES tells of the mails that it sent, and has nobody
// write again to an address that bounced for good or complained.
//
// SES publishes its events to an SNS topic, and that to a standard SQS queue of
// its own: neither SES nor a standard topic can feed a FIFO queue. A configuration
// set with an event destination for bounces and complaints is all that is needed.
//
// An event is deleted after what follows from it was written down. What cannot be
// read is left to the queue's dead-letter queue.
package feedback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"
)

// Notice is one message of the queue.
type Notice struct {
	Handle string
	Body   string
}

// Queue is the queue of SES's events. Receive waits for some, and returns none
// when there are none; Delete answers entry by entry.
type Queue interface {
	Receive(ctx context.Context) ([]Notice, error)
	Delete(ctx context.Context, handles []string) []error
}

// Suppressor has nobody write to an address for a while; the reason is one of
// [Bounced] and [Complained]. [mailer.Mailer] is one.
type Suppressor interface {
	Suppress(ctx context.Context, address, reason string) error
}

// Reader reads SES's events. Make one with [New].
type Reader struct {
	queue      Queue
	suppressor Suppressor
	events     metric.Int64Counter
	log        *zap.Logger
	health     health
}

// New returns a Reader. Its error is that of the meter.
func New(queue Queue, suppressor Suppressor, meter metric.Meter, log *zap.Logger) (*Reader, error) {
	events, err := meter.Int64Counter("inreply.mailer.feedback", metric.WithUnit("{event}"), metric.WithDescription("what SES told of mails that it sent, by kind"))
	if err != nil {
		return nil, fmt.Errorf("make the counter: %w", err)
	}
	return &Reader{queue: queue, suppressor: suppressor, events: events, log: log}, nil
}

// The first and the longest pause after a call that failed.
const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// Run reads events until ctx ends. What was received by then is still worked off.
// It returns nil.
func (r *Reader) Run(ctx context.Context) error {
	pause := firstPause
	r.health.turn(nil)
	defer r.health.rest()
	for ctx.Err() == nil {
		notices, err := r.queue.Receive(ctx)
		if ctx.Err() == nil {
			r.health.turn(err)
		}
		if err == nil {
			pause = firstPause
			r.work(context.WithoutCancel(ctx), notices)
			continue
		}
		if ctx.Err() != nil {
			return nil
		}
		if pause >= longestPause {
			r.log.Error("receiving SES's events keeps failing: nobody is suppressed meanwhile", zap.Error(err))
		} else {
			r.log.Warn("receiving SES's events fails", zap.Error(err), zap.Duration("again_after", pause))
		}
		wait(ctx, pause)
		pause = min(2*pause, longestPause)
	}
	return nil
}

// wait waits, or until ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// work takes in what was received. What could not be written down stays in the
// queue, and comes again.
func (r *Reader) work(ctx context.Context, notices []Notice) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var done []string
	for _, n := range notices {
		event, err := Decode([]byte(n.Body))
		if err == nil {
			err = r.follow(ctx, event)
		}
		if err != nil {
			r.log.Warn("an event of SES could not be taken in", zap.Error(err))
			continue
		}
		done = append(done, n.Handle)
	}
	if len(done) == 0 {
		return
	}
	if err := errors.Join(r.queue.Delete(ctx, done)...); err != nil {
		r.log.Warn("events of SES could not be deleted", zap.Error(err)) // They come again, and do no harm.
	}
}

// follow does what follows from an event.
func (r *Reader) follow(ctx context.Context, e Event) error {
	reason := e.reason()
	suppressed := 0
	for _, address := range e.Addresses {
		if reason == "" {
			break
		}
		suppressed++
		if err := r.suppressor.Suppress(ctx, address, reason); err != nil {
			return fmt.Errorf("suppress an address that %s: %w", reason, err)
		}
	}
	r.events.Add(ctx, 1, metric.WithAttributes(attribute.String("kind", string(e.Kind)), attribute.Bool("suppressed", reason != "")))
	r.health.took(e, suppressed)
	if e.Kind != Other {
		r.log.Info(string(e.Kind), zap.String("ses", e.SES), zap.String("mail", e.Mail), zap.Strings("to", e.Addresses),
			zap.String("why", e.Why), zap.Bool("suppressed", reason != ""))
	}
	return nil
}
