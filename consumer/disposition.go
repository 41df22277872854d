package consumer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// disposition is what becomes of a message after a try.
type disposition string

const (
	acknowledge disposition = "acknowledge" // delete it
	retry       disposition = "retry"       // try it again after a while
	bury        disposition = "dead-letter" // to the dead-letter queue, then delete it
	hold        disposition = "hold"        // keep the lease until the dependency is back
	park        disposition = "park"        // give it back, invisible for a while
	yield       disposition = "yield"       // give it back at once
	drop        disposition = "drop"        // it is no longer ours
)

// verdict is a disposition with what it needs.
type verdict struct {
	disposition
	after   time.Duration // retry, park
	counted bool          // the try counts against Config.Attempts
	reason  string        // bury
	outage  string        // hold, park: what is out
}

// tryAgainAfter, lasting and unavailable are how an error says what should
// become of its message. Everything else is transient.
type (
	tryAgainAfter interface {
		error
		RetryAfter() time.Duration
	}
	lasting interface {
		error
		Permanent() bool
	}
	unavailable interface {
		error
		Outage() string
	}
)

// outlived is how many outages a message may be held through before its own
// failures count as tries: an object that S3 can never read must not look like
// an outage of S3 for ever.
const outlived = 20

// decide says what becomes of a message. It is the only place that turns an
// error into a disposition. try is which of its own tries this was, held how
// many outages it has been held through, cause why its context ended, if it did.
func (c *Consumer) decide(try, held int, cause, err error) verdict {
	if errors.Is(cause, errLost) {
		return verdict{disposition: drop}
	}
	if err == nil {
		return verdict{disposition: acknowledge}
	}
	if errors.Is(cause, errStopped) {
		return verdict{disposition: yield}
	}
	if p, ok := errors.AsType[lasting](err); ok && p.Permanent() {
		return verdict{disposition: bury, counted: true, reason: err.Error()}
	}
	if o, ok := errors.AsType[unavailable](err); ok && o.Outage() != "" && held < outlived {
		return c.without(o.Outage())
	}
	if r, ok := errors.AsType[tryAgainAfter](err); ok && r.RetryAfter() > 0 {
		return verdict{disposition: retry, after: r.RetryAfter()}
	}
	if try >= c.config.Attempts {
		return verdict{disposition: bury, counted: true, reason: fmt.Sprintf("failed %d times, last: %v", try, err)}
	}
	return verdict{disposition: retry, counted: true, after: c.backoff(try)}
}

// without is the verdict when a dependency is out. What every mail needs pauses
// receiving; one of several application services only parks its own mails.
func (c *Consumer) without(name string) verdict {
	if strings.HasPrefix(name, "service:") {
		return verdict{disposition: park, outage: name}
	}
	return verdict{disposition: hold, outage: name}
}

// parkFor is how long a message is parked that was received so many times. Each time
// is one of those that SQS gives it before it dead-letters it by itself, of which our
// template allows 1,000. At the longest probe interval they would last for eight hours;
// growing by a hundredth each time, they last for as long as a queue keeps a message (14
// days), and an outage of any length is over for it a fiftieth later.
func (c *Consumer) parkFor(receives int) time.Duration {
	d := float64(c.config.Probe.Max) * math.Pow(1.01, float64(max(0, receives-1)))
	return c.jittered(time.Duration(min(d, float64(longestLease-leaseMargin))))
}

// backoff is full jitter: anything up to a bound that doubles with each try.
func (c *Consumer) backoff(try int) time.Duration {
	bound := c.config.Backoff.Base
	for n := 1; n < try && bound < c.config.Backoff.Max; n++ {
		bound *= 2
	}
	bound = min(bound, c.config.Backoff.Max)
	return max(time.Millisecond, time.Duration(c.parts.Random()*float64(bound)))
}

// panicked is the error of a handler that panicked.
type panicked struct {
	value any
	stack []byte
}

func (p *panicked) Error() string { return fmt.Sprintf("the handler panicked: %v", p.value) }

// try does the work of one message, within its deadline.
func (c *Consumer) try(ctx context.Context, l *lease) (result Result, err error) {
	if l.buried != nil {
		return l.buried.result, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Deadline)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = &panicked{value: v, stack: debug.Stack()}
		}
	}()
	return c.parts.Worker.Work(ctx, l.message, l.try)
}

// settle carries out what is decided about the head l. It reports whether the
// group still holds its slot.
func (c *Consumer) settle(ctx context.Context, l *lease, result Result, err error) (slot bool) {
	if l.buried != nil {
		slot = c.bury(l)
		c.endBurialProbe(l.group)
		return slot
	}
	c.mu.Lock()
	l.group.work = work{}
	took := time.Since(l.started)
	c.intake.work = average(c.intake.work, took, 0.05)
	cause := context.Cause(ctx)
	l.cancel = nil
	l.try = max(l.try, result.Try)
	probing := l.group.probe
	l.group.probe = false
	v := c.decide(l.try, l.held, cause, err)
	if v.disposition == park {
		v.after = c.parkFor(l.message.ReceiveCount)
	}
	c.tally(v)
	c.mu.Unlock()
	c.meters.try(took, v.disposition)
	c.note(l, v, err)
	if v.counted {
		c.tries.put(l.message.ID, l.try)
	}
	f := final{result: result, took: took, try: l.try, trace: trace.SpanContextFromContext(ctx)}
	c.traces.end(ctx, f, v, err)
	slot = c.carryOut(l, v, f, err)
	if probing {
		c.endProbe(v)
	}
	return slot
}

// tally counts what an operator looks for when mails are slow. c.mu is held.
func (c *Consumer) tally(v verdict) {
	switch {
	case v.disposition == park:
		c.health.parked.add()
		c.meters.parked.Add(context.Background(), 1, metric.WithAttributes(attribute.String("dependency", v.outage)))
	case v.disposition == retry && !v.counted:
		c.health.throttled.add()
		c.meters.throttled.Add(context.Background(), 1)
	}
}

// carryOut does what v says with the head l. It reports whether the group still
// holds its slot.
func (c *Consumer) carryOut(l *lease, v verdict, f final, err error) (slot bool) {
	switch v.disposition {
	case acknowledge:
		c.acknowledge(l, f)
	case bury:
		f.deadLetter = v.reason
		l.buried = &burial{final: f}
		return c.bury(l)
	case retry:
		return c.retry(l, v.after)
	case hold:
		return c.hold(l, v.outage, err)
	case park:
		c.sendAway(l, v.after)
	case yield:
		c.sendAway(l, 0)
	case drop:
		// A success that came too late is kept in mind: when the message comes
		// back it is deleted without being run a second time.
		if err == nil {
			c.done.put(l.message.ID, struct{}{})
		}
	}
	return true
}

// note logs what does not end a message. Its end has a line of its own.
func (c *Consumer) note(l *lease, v verdict, err error) {
	if err == nil || v.disposition == bury || v.disposition == hold {
		return
	}
	fields := []zap.Field{
		zap.String("message", l.message.ID), zap.String("group", l.message.Group),
		zap.String("disposition", string(v.disposition)), zap.Int("try", l.try), zap.Bool("counted", v.counted),
		zap.Duration("after", v.after), zap.Error(err),
	}
	if p, ok := errors.AsType[*panicked](err); ok {
		c.log.Error("a handler panicked", append(fields, zap.ByteString("stack", p.stack))...)
		return
	}
	c.log.Warn("a try failed", fields...)
}

// acknowledge takes the head off its run and deletes its message.
func (c *Consumer) acknowledge(l *lease, f final) {
	c.mu.Lock()
	ours := c.pop(l)
	within := followed
	switch g := l.group; {
	case len(g.run) > 0:
	case g.more && g.served > 1:
		within = hurried
	default:
		within = unhurried
	}
	c.mu.Unlock()
	if !ours {
		c.done.put(l.message.ID, struct{}{})
		return
	}
	c.deleter.add(l, f, within)
}

// retry waits for the next try: here, with the lease kept, or in the queue.
func (c *Consumer) retry(l *lease, after time.Duration) (slot bool) {
	if after > c.config.Backoff.Here {
		c.sendAway(l, min(after, longestLease-leaseMargin))
		return true
	}
	return c.waitHere(l, after)
}

// waitHere keeps the whole run and gives the slot back until it is time.
func (c *Consumer) waitHere(l *lease, after time.Duration) (slot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended || c.stopping {
		return true
	}
	g := l.group
	g.state = waiting
	c.running--
	g.timer = time.AfterFunc(after, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if g.state != waiting {
			return
		}
		c.makeReady(g)
		c.schedule()
	})
	c.schedule()
	return false
}

// sendAway gives the run of l back: its followers at once, and l itself so that
// it stays invisible for as long as after says. SQS keeps the followers locked
// behind it.
func (c *Consumer) sendAway(l *lease, after time.Duration) {
	c.mu.Lock()
	if l.ended {
		c.mu.Unlock()
		return
	}
	run := c.take(l.group)
	c.mu.Unlock()
	c.release(run[1:], 0)
	c.release(run[:1], after.Round(time.Second))
}

// counts reports whether a try that ended in err is one of the mail's own.
func counts(err error) bool {
	if o, ok := errors.AsType[unavailable](err); ok && o.Outage() != "" {
		return false
	}
	if r, ok := errors.AsType[tryAgainAfter](err); ok && r.RetryAfter() > 0 {
		return false
	}
	return !errors.Is(err, context.Canceled)
}
