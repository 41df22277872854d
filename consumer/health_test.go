package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"inreply/consumer"
	"inreply/queue"
)

func TestAliveTurnsRedWhenAHandlerOutlivesItsDeadline(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = time.Minute
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(5 * time.Minute); return nil })
		r.send("a", "a1")
		c, stop := r.start()
		time.Sleep(90 * time.Second)
		if err := c.Alive(); err != nil {
			t.Errorf("half a minute over the deadline: %v", err)
		}
		time.Sleep(time.Minute)
		if c.Alive() == nil {
			t.Error("alive with a handler 90 s over its deadline")
		}
		time.Sleep(10 * time.Minute)
		if err := c.Alive(); err != nil {
			t.Errorf("the handler has ended: %v", err)
		}
		stop()
	})
}

// It holds its slot for ever, and nothing else would show that.
func TestAliveTurnsRedForAHandlerThatLostItsLeaseAndDoesNotListen(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = time.Minute
		r.config.Stop.Budget, r.config.Stop.Abandon = time.Second, time.Second
		released := make(chan struct{})
		var tries atomic.Int32
		r.parts.Worker = work(func(context.Context, queue.Message, int) error {
			if tries.Add(1) == 1 {
				<-released
			}
			return nil
		})
		r.parts.Queue = stealing{r.queue, func(string) bool { return true }}
		r.send("a", "a1")
		c, stop := r.start()
		time.Sleep(5 * time.Minute)
		if c.State().Lost.Count == 0 {
			t.Error("the lease was not lost")
		}
		if c.Alive() == nil {
			t.Error("alive with a handler minutes over its deadline, because its lease is gone")
		}
		close(released)
		time.Sleep(time.Second)
		if err := c.Alive(); err != nil {
			t.Errorf("the handler has ended: %v", err)
		}
		stop()
	})
}

// hanging never answers a receive while it hangs.
type hanging struct {
	*queue.Queue
	hangs atomic.Bool
}

func (h *hanging) Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error) {
	if h.hangs.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Queue.Receive(ctx, r)
}

func TestAliveTurnsRedWhenTheLoopDoesNotTurn(t *testing.T) {
	inBubble(t, func(r *rig) {
		h := &hanging{Queue: r.queue}
		r.parts.Queue = h
		c, stop := r.start()
		time.Sleep(10 * time.Minute)
		if err := c.Alive(); err != nil {
			t.Errorf("idle for ten minutes: %v", err)
		}
		h.hangs.Store(true)
		time.Sleep(3 * time.Minute)
		if err := c.Alive(); err != nil {
			t.Errorf("three minutes at most after the last turn: %v", err)
		}
		time.Sleep(30 * time.Second)
		if c.Alive() == nil {
			t.Error("alive with a receive that does not come back")
		}
		stop()
	})
}

// Every slot is taken for longer than the loop may stand still: there was
// nothing to receive for, before, at and after the moment when there is again.
func TestABusyConsumerIsAlive(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency, r.config.Deadline, r.config.MaxMessages = 1, time.Hour, 10
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(10 * time.Minute); return nil })
		r.send("a", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10")
		c, stop := r.start()
		for range 110 * 60 {
			time.Sleep(time.Second)
			if err := c.Alive(); err != nil {
				t.Fatal(err)
			}
		}
		stop()
	})
}

type fails struct {
	outage string
	after  time.Duration
}

func (f fails) Error() string             { return "it fails" }
func (f fails) Outage() string            { return f.outage }
func (f fails) RetryAfter() time.Duration { return f.after }

// A paused consumer is alive, or ECS would restart it for as long as the outage
// lasts; it is not ready, and says why.
func TestAPausedConsumerIsAliveAndNotReady(t *testing.T) {
	inBubble(t, func(r *rig) {
		var back atomic.Bool
		r.handle(func(context.Context, queue.Message, int) error {
			if back.Load() {
				return nil
			}
			return fails{outage: "ses"}
		})
		r.send("a", "a1")
		c, stop := r.start()
		for range 60 {
			time.Sleep(time.Minute)
			if err := c.Alive(); err != nil {
				t.Fatalf("red in an outage: %v", err)
			}
			if c.Ready() == nil {
				t.Fatal("ready in an outage")
			}
		}
		if s := c.State(); !slices.Equal(s.Outages, []string{"ses"}) {
			t.Errorf("state %+v", s)
		}
		back.Store(true)
		time.Sleep(time.Minute)
		if err := errors.Join(c.Alive(), c.Ready()); err != nil {
			t.Errorf("the outage is over: %v", err)
		}
		stop()
	})
}

func TestParkedThrottledAndLostLeasesShow(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		steal bool
		shown func(consumer.State) consumer.Tally
		said  string
	}{
		"parked":    {fails{outage: "service:app"}, false, func(s consumer.State) consumer.Tally { return s.Parked }, "a try failed"},
		"throttled": {fails{after: 2 * time.Second}, false, func(s consumer.State) consumer.Tally { return s.Throttled }, "a try failed"},
		"lost":      {nil, true, func(s consumer.State) consumer.Tally { return s.Lost }, "lost a lease"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				r.handle(func(_ context.Context, _ queue.Message, _ int) error {
					if c.steal {
						time.Sleep(time.Minute)
					}
					return c.err
				})
				if c.steal {
					r.parts.Queue = stealing{r.queue, func(string) bool { return true }}
				}
				r.send("a", "a1")
				x, stop := r.start()
				time.Sleep(20 * time.Second)
				if tally := c.shown(x.State()); tally.Count == 0 || time.Since(tally.Last) > time.Minute {
					t.Errorf("state shows %+v", tally)
				}
				if r.logs.FilterMessage(c.said).Len() == 0 {
					t.Errorf("no log line %q", c.said)
				}
				stop()
			})
		})
	}
}
