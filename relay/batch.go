package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/event"
	"inreply/queue"
)

// notice is one message of the intake on its way.
type notice struct {
	message   queue.Message
	announces []announcement
	span      trace.Span // of this attempt; nil if nothing is traced
	wrong     error      // it never can be relayed
	later     error      // it cannot be relayed now
}

// announcement is one object on its way to the topic.
type announcement struct {
	object event.Object
	out    queue.Outgoing
}

// relay sees a batch through. What an outage keeps from its way is tried again for
// as long as it takes.
func (r *Relay) relay(ctx context.Context, messages []queue.Message) {
	for tries := 1; len(messages) > 0; tries++ {
		if ctx.Err() != nil {
			r.giveBack(messages)
			return
		}
		a := r.health.begin()
		held := r.attempt(ctx, messages)
		r.health.end(a)
		if len(held) == 0 {
			return
		}
		pause := r.jittered(backoff(tries, longestPause))
		messages = r.hold(ctx, held, pause)
		r.health.holds(a, outage(held[0].later))
		r.wait(ctx, pause)
		r.health.goesOn(a)
	}
}

// attempt tries a batch once and returns what an outage kept from its way. A stop
// does not cut it off: it is a few calls, with a deadline.
func (r *Relay) attempt(ctx context.Context, messages []queue.Message) (held []*notice) {
	ctx = context.WithoutCancel(ctx)
	notices := make([]*notice, len(messages))
	for i, m := range messages {
		notices[i] = &notice{message: m}
	}
	r.seeThrough(ctx, notices, r.config.Deadline)
	ending, cancel := context.WithTimeout(ctx, finishing)
	defer cancel()
	r.bury(ending, notices)
	return r.end(ending, notices)
}

// seeThrough reads and publishes, within a deadline.
func (r *Relay) seeThrough(ctx context.Context, notices []*notice, deadline time.Duration) {
	for _, n := range notices {
		r.traces.begin(n)
	}
	r.read(ctx, notices, deadline-deadline/4) // the rest is for publishing
	r.publish(ctx, notices, max(deadline/4, time.Second))
}

// read reads all notices at once.
func (r *Relay) read(ctx context.Context, notices []*notice, deadline time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var reading sync.WaitGroup
	for _, n := range notices {
		reading.Go(func() { r.readOne(ctx, n) })
	}
	reading.Wait()
}

// readOne decodes one message and chooses group and deduplication id of what it
// announces.
func (r *Relay) readOne(ctx context.Context, n *notice) {
	// Others wrote what is read here. One fault in reading it must cost one notice
	// one try, not everybody the process.
	defer func() {
		if p := recover(); p != nil {
			n.later = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	decoded, err := event.Decode([]byte(n.message.Body))
	if err != nil {
		n.wrong = err
		return
	}
	if decoded.Kind != event.Created {
		r.log.Info("notice without an object dropped", zap.String("kind", string(decoded.Kind)), zap.String("message", n.message.ID))
		return
	}
	for _, o := range decoded.Objects {
		at := []zap.Field{zap.String("bucket", o.Bucket), zap.String("key", o.Key)}
		if why := r.passedOver(o); why != "" {
			r.log.Info("object passed over", append(at, zap.String("reason", why))...)
			continue
		}
		r.log.Debug("announced", at...)
		group, err := r.group(n.in(ctx), o)
		if err != nil {
			n.later = err
			return
		}
		n.announces = append(n.announces, announcement{o, queue.Outgoing{
			Body: string(o.Notice), Group: group, DeduplicationID: deduplication(o),
		}})
	}
}

// passedOver says why an object is not relayed, or nothing.
func (r *Relay) passedOver(o event.Object) string {
	_, object := r.parts.Takes(o)
	switch {
	case r.parts.Own(o.Bucket, o.Key):
		return "one of our own records: no notification should cover their prefix"
	case object:
		return "" // The filters are for mails.
	}
	return r.config.PassesOver(o.Key)
}

// publish publishes what all notices announce, in their order. A notice of which
// one entry failed ends as that entry does: what was published of it already is
// known by its deduplication id.
func (r *Relay) publish(ctx context.Context, notices []*notice, deadline time.Duration) {
	var out []queue.Outgoing
	var of []*notice
	var objects []event.Object
	var spans []trace.Span // one each, or none where nothing is traced
	for _, n := range notices {
		if n.later != nil {
			continue
		}
		for _, a := range n.announces {
			if n.span != nil {
				spans = append(spans, r.traces.out(ctx, n, &a.out))
			}
			out, of, objects = append(out, a.out), append(of, n), append(objects, a.object)
		}
	}
	if len(out) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	for i, result := range r.parts.Topic.Publish(ctx, out) {
		if len(spans) > 0 {
			published(spans[i], result)
		}
		switch {
		case result.Err == nil:
			r.meters.sent.Add(ctx, 1, r.meters.sending)
			r.log.Debug("relayed", zap.String("bucket", objects[i].Bucket), zap.String("key", objects[i].Key), zap.String("group", out[i].Group))
		case permanent(result.Err):
			of[i].wrong = fmt.Errorf("publish: %w", result.Err)
		default:
			of[i].later = unanswered("sns", fmt.Errorf("publish: %w", result.Err))
		}
	}
}

// permanent reports whether an error says of itself that it lasts.
func permanent(err error) bool {
	var lasting interface{ Permanent() bool }
	return errors.As(err, &lasting) && lasting.Permanent()
}

// outage is what an error says is out, if anything is.
func outage(err error) string {
	var unavailable interface{ Outage() string }
	if !errors.As(err, &unavailable) {
		return ""
	}
	return unavailable.Outage()
}

// unanswered marks the error of a call that failed as a whole, whatever it was
// about, as an outage of the one who was called. The refusal of one entry is none.
func unanswered(called string, err error) error {
	if _, refused := errors.AsType[*queue.EntryError](err); refused {
		return err
	}
	return &outageError{called, err}
}

// outageError is the error of a call that failed as a whole.
type outageError struct {
	called string
	err    error
}

func (e *outageError) Error() string  { return e.err.Error() }
func (e *outageError) Unwrap() error  { return e.err }
func (e *outageError) Outage() string { return e.called }
