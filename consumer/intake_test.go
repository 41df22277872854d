package consumer_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"inreply/local"
	"inreply/queue"
)

// sendRuns sends groups of so many messages, the first of each first.
func (r *rig) sendRuns(groups, length int) {
	r.t.Helper()
	for i := range groups * length {
		r.send(fmt.Sprint("g", i%groups), fmt.Sprint("m", i))
	}
}

// What a process receives before it can begin it, another could have begun.
func TestLongHandlersHoardNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 16
		r.sendRuns(300, 1)
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: 20 * time.Millisecond}}})
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(5 * time.Second); return nil })
		c, stop := r.start()
		time.Sleep(6 * time.Second) // It has seen how long they take.
		for range 8 {
			time.Sleep(2500 * time.Millisecond)
			if leased := c.State().Leased; leased < 16 || leased > 16+14 {
				t.Errorf("%d messages are held for 16 slots", leased)
			}
		}
		stop()
	})
}

// A group is work for one slot: when nothing more comes, who has the most left must not
// be left to the end.
func TestTheLongestRunGoesFirstWhenTheQueueHasNoMore(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 4
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(time.Second); return nil })
		r.sendRuns(5, 2)
		began := time.Now()
		_, stop := r.start()
		time.Sleep(2100 * time.Millisecond)
		// Four runs and then the fifth would take four seconds.
		if started := r.started(); len(started) != 10 {
			t.Errorf("after %s only %v have started", time.Since(began), started)
		}
		time.Sleep(2 * time.Second)
		stop()
		r.empty()
	})
}

// Nobody waits for the delete of a head whose followers are here.
func TestDeletesOfOneGroupShareACall(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(20 * time.Millisecond); return nil })
		r.sendRuns(1, 10)
		before := r.world.CallCounts()["sqs.DeleteMessageBatch"]
		r.run(time.Second)
		if n := r.world.CallCounts()["sqs.DeleteMessageBatch"] - before; n > 2 {
			t.Errorf("%d calls to delete ten messages within 200 ms", n)
		}
		r.empty()
	})
}

// What waits is given back before the process is killed, however much it is.
func TestWhatWaitsIsGivenBackSideBySide(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency, r.config.Stop.PollGrace = 16, 0
		r.sendRuns(32, 10)
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: 20 * time.Millisecond}}})
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(50 * time.Millisecond); return nil })
		c, stop := r.start()
		time.Sleep(250 * time.Millisecond)
		if leased := c.State().Leased; leased < 100 {
			t.Errorf("only %d messages are held", leased)
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the stop took %s", took)
		}
		if _, inFlight := r.counts(r.queue); inFlight > 0 {
			t.Errorf("%d messages are still in flight", inFlight)
		}
	})
}
