package redrive_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"inreply/consumer/redrive"
	"inreply/queue"
)

// Those that died last may be seen first. One that goes back alone must still be
// the first of its group.
func TestAMaximumTakesTheFirstOfAGroup(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.bury(letter("a", 3, ""), letter("a", 2, ""), letter("a", 1, ""))
		summary := r.run(context.Background(), r.source, redrive.Options{Max: 2})
		if summary.Moved != 2 || summary.Left != 1 {
			t.Errorf("%+v", summary)
		}
		if got := bodies(r.drain(r.source)); !slices.Equal(got, []string{"a1", "a2"}) {
			t.Errorf("moved %v", got)
		}
	})
}

// One a minute is slower than the dead-letter queue's timeout: what waits for its
// turn is kept meanwhile, or another redrive would get it too.
func TestARateSlowerThanALeaseKeepsWhatWaits(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n <= 30; n++ {
			r.bury(letter("g", n, ""))
		}
		watched := &recounting{Queue: r.dead, seen: map[string]int{}}
		began := time.Now()
		summary, err := redrive.New(watched, r.source, 30*time.Second, redrive.Options{Fifo: true, Rate: 1.0 / 60}, redrive.Report{}).Run(context.Background())
		if err != nil || summary.Moved != 30 || summary.Doubled > 0 {
			t.Errorf("%+v, %v", summary, err)
		}
		for id, n := range watched.seen {
			if n > 1 {
				t.Errorf("dead letter %s was given out %d times", id, n)
			}
		}
		// Ten may go at once.
		if took := time.Since(began); took < 19*time.Minute || took > 22*time.Minute {
			t.Errorf("30 letters at one a minute took %s", took)
		}
	})
}

// recounting counts how often each message is given out.
type recounting struct {
	*queue.Queue
	seen map[string]int
}

func (c *recounting) Receive(ctx context.Context, ask queue.Receive) ([]queue.Message, error) {
	messages, err := c.Queue.Receive(ctx, ask)
	for _, m := range messages {
		c.seen[m.ID]++
	}
	return messages, err
}

// A receive that is cut off has given messages out all the same, and nobody
// would know of them.
func TestAStopDoesNotCutAReceiveOff(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n <= 5; n++ {
			r.bury(letter("a", n, ""))
		}
		ctx, stop := context.WithCancel(context.Background())
		defer stop()
		cut := &cutting{Queue: r.dead, stop: stop}
		summary, err := redrive.New(cut, r.source, time.Hour, redrive.Options{Fifo: true}, redrive.Report{}).Run(ctx)
		if err != nil || summary.Moved != 0 || summary.Left != 5 {
			t.Errorf("%+v, %v", summary, err)
		}
		if left := r.drain(r.dead); len(left) != 5 {
			t.Errorf("%d dead letters can be seen at once after a stop, want 5", len(left))
		}
	})
}

// cutting stops the redrive while a receive is under way.
type cutting struct {
	*queue.Queue
	stop func()
}

func (c *cutting) Receive(ctx context.Context, ask queue.Receive) ([]queue.Message, error) {
	c.stop()
	return c.Queue.Receive(ctx, ask)
}

// The intake and its dead-letter queue are standard queues, which know neither
// groups nor attempt ids.
func TestAStandardQueueIsAskedForNoAttempt(t *testing.T) {
	inBubble(t, func(r *rig) {
		var attempts []string
		source := asking{func(ask queue.Receive) { attempts = append(attempts, ask.Attempt) }}
		if _, err := redrive.New(source, r.source, 30*time.Second, redrive.Options{}, redrive.Report{}).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(attempts, []string{""}) {
			t.Errorf("asked with attempt ids %q", attempts)
		}
	})
}

// asking is an empty dead-letter queue.
type asking struct{ asked func(queue.Receive) }

func (a asking) Receive(_ context.Context, ask queue.Receive) ([]queue.Message, error) {
	a.asked(ask)
	return nil, nil
}
func (asking) Delete(context.Context, []string) []error          { return nil }
func (asking) Extend(context.Context, []queue.Extension) []error { return nil }

// The one in front of a terminal sees it move.
func TestProgressIsTold(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n <= 25; n++ {
			r.bury(letter(string(rune('a'+n)), n, ""))
		}
		var moved []int
		report := redrive.Report{Progress: func(s redrive.Summary) { moved = append(moved, s.Moved) }}
		if _, err := redrive.New(r.dead, r.source, 30*time.Second, redrive.Options{Fifo: true}, report).Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if !slices.IsSorted(moved) || !slices.Contains(moved, 0) || !slices.Contains(moved, 10) || !slices.Contains(moved, 25) {
			t.Errorf("told of %v", moved)
		}
	})
}

// What fails at once is dead again before the redrive has looked at everything.
func TestWhatDiesAgainStaysDead(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.bury(letter("a", 1, "no mail"), letter("b", 1, "no mail"))
		ctx, stop := context.WithTimeout(context.Background(), time.Hour)
		defer stop()
		summary := r.run(ctx, &fatal{r: r}, redrive.Options{})
		if ctx.Err() != nil || summary.Moved != 2 || summary.Again != 2 {
			t.Errorf("%+v, %v", summary, ctx.Err())
		}
		if left := r.drain(r.dead); len(left) != 2 {
			t.Errorf("%d dead letters, want 2", len(left))
		}
	})
}

// fatal is a queue whose consumer dead-letters everything at once.
type fatal struct {
	r *rig
	n int
}

func (f *fatal) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	results := make([]queue.Result, len(messages))
	for i, m := range messages {
		f.n++
		l := letter(m.Group, 1, "no mail")
		l.Message = fmt.Sprint("sent-", f.n)
		f.r.bury(l)
		results[i].ID = l.Message
	}
	return results
}
