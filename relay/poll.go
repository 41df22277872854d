package relay

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// most is how many messages one receive brings.
const most = 10

// turns decide how many loops poll at once. An idle relay has one open poll; each
// full batch opens one more, each empty answer closes one. A loop gives its turn on
// before it relays what it got, so that somebody always polls while there is a loop
// that has nothing to do.
type turns struct {
	free chan struct{} // those that no loop has

	mu     sync.Mutex
	open   int // free ones, and those that a loop has
	failed int // polls in a row
}

func newTurns(most int) *turns {
	t := &turns{free: make(chan struct{}, most), open: 1}
	t.free <- struct{}{}
	return t
}

// take waits for a turn to poll. It reports whether there was one before ctx ended.
func (t *turns) take(ctx context.Context) bool {
	select {
	case <-t.free:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// give gives the turn on after a poll that brought so many messages.
func (t *turns) give(received int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = 0
	t.pass(received)
}

// fails counts a poll that failed, and returns how many have in a row. The turn
// stays where it is.
func (t *turns) fails() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed++
	return t.failed
}

// again gives the turn on after a poll that failed.
func (t *turns) again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass(0)
}

func (t *turns) pass(received int) {
	switch {
	case received == 0 && t.open > 1:
		t.open--
		return
	case received == most && t.open < cap(t.free):
		t.open++
		t.free <- struct{}{}
	}
	t.free <- struct{}{}
}

// loop receives a batch and sees it through, and then the next.
func (r *Relay) loop(ctx context.Context, turns *turns, stop context.CancelCauseFunc) {
	for turns.take(ctx) {
		messages, err := r.receive(ctx)
		if queue.Missing(err) {
			stop(err)
			return
		}
		if err != nil {
			failed := turns.fails()
			r.log.Warn("receiving from the intake fails; asking on", zap.Int("failed", failed), zap.Error(err))
			r.wait(ctx, r.jittered(backoff(failed, 10*time.Second)))
			turns.again()
			continue
		}
		r.meters.polls.Add(ctx, 1)
		turns.give(len(messages))
		r.relay(ctx, messages)
	}
}

// receive polls once. The poll is not cut off by a stop: what SQS had handed out
// would stay invisible.
func (r *Relay) receive(ctx context.Context) ([]queue.Message, error) {
	polling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stopped := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(r.config.PollGrace):
			cancel()
		case <-polling.Done():
		}
	})
	defer stopped()
	r.health.polling()
	messages, err := r.parts.Intake.Receive(polling, queue.Receive{Max: most, Wait: r.config.Poll, Visibility: r.lease()})
	r.health.polled(err)
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	return messages, err //nolint:wrapcheck // it says what it did
}

// finishing is how long a batch has, after its deadline, to say how it ended.
const finishing = 5 * time.Second

// lease is for how long messages are received: until after the batch is done.
func (r *Relay) lease() time.Duration { return r.config.Deadline + 2*finishing }

// wait waits, but not longer than ctx.
func (r *Relay) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// backoff doubles with each try, from 100 ms up to a bound.
func backoff(tries int, bound time.Duration) time.Duration {
	return min(bound, 100*time.Millisecond<<min(tries-1, 20))
}

// jittered is between a half and all of it.
func (r *Relay) jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(r.parts.Random()*float64(d/2))
}
