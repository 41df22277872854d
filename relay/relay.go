// Package relay takes the notices of new objects from where AWS can deliver
// them, a standard queue or SNS's calls over HTTPS, to where they must be worked off in order, a FIFO
// topic. AWS itself refuses to: an S3 event cannot go to a FIFO topic or queue,
// nor a standard topic to a FIFO queue.
//
// It is also the one place that can choose the message group. A group's mails
// are handled one after the other, and groups never wait for each other; so a
// mail is in the group of its author, when SES vouches for him. Whoever only
// claims to be somebody shares a group with nobody.
//
// A notice is deleted from the intake only after the publish of everything that
// it announces was confirmed, entry by entry. Published twice, which happens
// when a delete is lost, or announced twice, which S3 does, it has the same
// deduplication id, and the FIFO topic drops the second within five minutes;
// after that the mail record sees to it that a mail is answered once.
//
// The tour, along the way of a notice:
//
//	poll.go   loops receive from the intake, more of them the more there is
//	batch.go  what was received together is read, published and deleted together
//	group.go  the group and the deduplication id of an object
//	end.go    how a notice ends: deleted, dead-lettered, back in the intake, held
//	health.go whether the loops turn
//	trace.go  the trace of a mail, which begins here
//	called.go notices that SNS calls in; who may call is the affair of package push
//
// What cannot be relayed has one of three ends. A text that is no notice never will
// be one: it goes to the intake's dead-letter queue, with the reason. A notice whose
// object cannot be read now, for a reason of its own, goes back into the intake and
// comes again later: under another group it is never published. When S3 or SNS is
// out, the loop keeps what it has, leased, and tries until they are back; when every
// loop does, nothing more is received, and so no outage counts the notices up to the
// intake's maxReceiveCount.
package relay

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/event"
	"inreply/queue"
)

// Intake is the queue of notices. [queue.Queue] is one.
type Intake interface {
	Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error)
	Delete(ctx context.Context, handles []string) []error
	Extend(ctx context.Context, extensions []queue.Extension) []error
}

// Topic is the FIFO topic. [queue.Topic] is one.
type Topic interface {
	Publish(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// DeadLetters take what is no notice. [queue.Queue] is one.
type DeadLetters interface {
	Send(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// Tops reads the first octets of an object. [store.Store] is one.
type Tops interface {
	Top(ctx context.Context, bucket, key, versionID string, n int64) ([]byte, error)
}

// Parts are what a Relay is put together from.
type Parts struct {
	Intake      Intake // nil where nothing is polled for
	Topic       Topic
	DeadLetters DeadLetters
	Tops        Tops
	Own         func(bucket, key string) bool            // reports our own records, which are never relayed
	Takes       func(o event.Object) (mail, object bool) // reports what may be a mail, and what goes on unread; nil: everything is mail
	Logger      *zap.Logger
	Meter       metric.Meter   // nil: nothing is counted
	Tracer      trace.Tracer   // nil: nothing is traced
	Random      func() float64 // at least 0, below 1: jitter
}

// Relay is one relay. Make it with [New]; it runs once.
type Relay struct {
	config Config
	parts  Parts
	log    *zap.Logger
	health *health
	meters meters
	traces traces
	called gathering
}

// New returns a Relay.
func New(config Config, parts Parts) (*Relay, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the relay's settings: %w", err)
	}
	if parts.Takes == nil {
		parts.Takes = func(event.Object) (mail, object bool) { return true, false }
	}
	meters, err := newMeters(parts.Meter, config.Topic)
	if err != nil {
		return nil, fmt.Errorf("make the relay's instruments: %w", err)
	}
	return &Relay{config: config, parts: parts, log: parts.Logger, health: newHealth(), meters: meters, traces: newTraces(config, parts.Tracer)}, nil
}

// Run relays what it polls for until ctx ends, and then finishes or gives back what
// it has. Its error is about the intake, when that does not exist.
func (r *Relay) Run(ctx context.Context) error {
	if r.config.Queue == "" {
		<-ctx.Done()
		return nil
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	turns := newTurns(r.config.Concurrency)
	var loops sync.WaitGroup
	for range r.config.Concurrency {
		loops.Go(func() { r.loop(ctx, turns, stop) })
	}
	loops.Wait()
	if err := context.Cause(ctx); queue.Missing(err) {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}
