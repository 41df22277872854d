package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"inreply/local"
	"inreply/queue"
)

// In virtual time the processor costs nothing: what is lost here is lost because
// a slot had no work while the queue had some.
func TestSlotsDoNotWaitForReceives(t *testing.T) {
	for _, c := range []struct {
		handler time.Duration
		share   float64 // of what the runs allow at best
	}{
		{5 * time.Millisecond, 0.88},
		{20 * time.Millisecond, 0.94},
		{100 * time.Millisecond, 0.95},
	} {
		t.Run(c.handler.String(), func(t *testing.T) {
			inBubble(t, func(r *rig) {
				const slots, runs, call = 32, 16, 20 * time.Millisecond
				r.config.Concurrency = slots
				r.sendRuns(slots*runs, 10)
				r.world.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: call}}})
				r.handle(func(context.Context, queue.Message, int) error {
					time.Sleep(time.Duration(float64(c.handler) * (0.8 + 0.4*r.parts.Random())))
					return nil
				})
				took := r.drain()
				best := runs*10*c.handler + call
				t.Logf("%.3f of the best", best.Seconds()/took.Seconds())
				if share := best.Seconds() / took.Seconds(); share < c.share {
					t.Errorf("drained in %s: %.3f of what is possible, want %.3f", took, share, c.share)
				}
			})
		})
	}
}

// While there are fewer mails than slots none waits long, and not every mail is
// received alone.
func TestHalfLoadCostsFewReceives(t *testing.T) {
	inBubble(t, func(r *rig) {
		const slots, each, mails = 32, 2500 * time.Microsecond, 2000
		r.config.Concurrency = slots
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.ReceiveMessage": {Latency: 20 * time.Millisecond}}})
		var mu sync.Mutex
		sent := map[string]time.Time{}
		var waits []time.Duration
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			mu.Lock()
			waits = append(waits, time.Since(sent[m.Body]))
			mu.Unlock()
			time.Sleep(32 * time.Millisecond)
			return nil
		})
		_, stop := r.start()
		for i := range mails {
			body := fmt.Sprint(i)
			mu.Lock()
			sent[body] = time.Now()
			mu.Unlock()
			r.send(fmt.Sprint("g", i%500), body)
			time.Sleep(each)
		}
		time.Sleep(time.Second)
		receives := float64(r.world.CallCounts()["sqs.ReceiveMessage"]) / mails
		stop()
		r.empty()
		slices.Sort(waits)
		t.Logf("%.2f receives a mail, p99 %s", receives, waits[len(waits)*99/100])
		if p99 := waits[len(waits)*99/100]; p99 > 60*time.Millisecond {
			t.Errorf("one in a hundred waited for longer than %s", p99)
		}
		if receives > 0.4 {
			t.Errorf("%.2f receives a mail", receives)
		}
	})
}

// Messages are received when slots will be free for them, not earlier: others
// may have slots that are free now.
func TestLongHandlersHoardNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 32
		r.sendRuns(1000, 1)
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: 20 * time.Millisecond}}})
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(5 * time.Second); return nil })
		c, stop := r.start()
		time.Sleep(21 * time.Second)
		if leased := c.State().Leased; leased < 32 || leased > 32+20 {
			t.Errorf("%d messages are held for 32 slots", leased)
		}
		stop()
	})
}

// sendRuns sends groups of so many messages, the first of each first.
func (r *rig) sendRuns(groups, length int) {
	r.t.Helper()
	var out []queue.Outgoing
	for i := range groups * length {
		out = append(out, queue.Outgoing{Body: fmt.Sprint("m", i), Group: fmt.Sprint("g", i%groups), DeduplicationID: fmt.Sprint(i)})
	}
	for _, result := range r.queue.Send(context.Background(), out) {
		if result.Err != nil {
			r.t.Fatal(result.Err)
		}
	}
}

// drain runs a consumer until the queue is empty, and returns how long that took.
func (r *rig) drain() time.Duration {
	r.t.Helper()
	visible, _ := r.counts(r.queue)
	began := time.Now()
	_, stop := r.start()
	for len(r.ended()) < visible {
		time.Sleep(time.Millisecond)
	}
	took := time.Since(began)
	stop()
	r.empty()
	return took
}
