package consumer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"inreply/local"
	"inreply/queue"
)

// Everybody either strands messages on a stop or finishes all that was
// received, one after the other. What runs may finish; what waits goes back.
func TestAStopFinishesWhatRunsAndGivesBackWhatWaits(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 2
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(10 * time.Second); return nil })
		for g := range 5 {
			r.send(fmt.Sprint("g", g), "1", "2", "3")
		}
		_, stop := r.start()
		time.Sleep(5 * time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the stop took %s, want what was left of the handlers", took)
		}
		visible, inFlight := r.counts(r.queue)
		if inFlight != 0 || visible != 13 || len(r.ended()) != 2 {
			t.Errorf("%d in flight, %d visible, %d handled; want 0, 13, 2", inFlight, visible, len(r.ended()))
		}
	})
}

func TestAStopCancelsWhatOutlivesItsBudget(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Stop.Budget = 10 * time.Second
		r.config.Deadline = time.Hour
		r.handle(func(ctx context.Context, _ queue.Message, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r.send("a", "a1", "a2")
		_, stop := r.start()
		time.Sleep(time.Second)
		stop()
		if visible, inFlight := r.counts(r.queue); visible != 2 || inFlight != 0 {
			t.Errorf("%d visible, %d in flight; want both given back", visible, inFlight)
		}
	})
}

func TestAStopGivesUpOnAHandlerThatDoesNotListen(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Stop.Budget = 10 * time.Second
		r.config.Stop.Abandon = 5 * time.Second
		r.config.Deadline = time.Hour
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(10 * time.Minute); return nil })
		r.send("a", "a1", "a2")
		_, stop := r.start()
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		if took := time.Since(began); took > 16*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if visible, inFlight := r.counts(r.queue); visible != 2 || inFlight != 0 {
			t.Errorf("%d visible, %d in flight; want both given back", visible, inFlight)
		}
		time.Sleep(10 * time.Minute)
	})
}

// A message that arrives for a poll that was open when the stop began is given
// back, not left invisible.
func TestAStopGivesBackWhatAnOpenPollBrings(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		_, stop := r.start()
		time.Sleep(time.Second)
		go func() {
			time.Sleep(5 * time.Second)
			r.send("a", "late")
		}()
		stop()
		if visible, inFlight := r.counts(r.queue); visible != 1 || inFlight != 0 {
			t.Errorf("%d visible, %d in flight; want it given back", visible, inFlight)
		}
		r.handled()
	})
}

func TestAStopLosesNoAcknowledgement(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 64
		r.world.Inject(local.Faults{Seed: 7, Operations: map[string]local.Fault{"*": {Latency: 20 * time.Millisecond}, "sqs.DeleteMessageBatch": {Latency: 20 * time.Millisecond, Failed: 0.3, LostResponse: 0.2}}})
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(30 * time.Millisecond); return nil })
		for i := range 600 {
			r.send(fmt.Sprint("g", i%100), fmt.Sprint("m", i))
		}
		_, stop := r.start()
		time.Sleep(150 * time.Millisecond)
		stop()
		r.world.Inject(local.Faults{})
		visible, inFlight := r.counts(r.queue)
		if inFlight != 0 || visible+len(r.ended()) != 600 {
			t.Errorf("%d handled, %d visible, %d in flight: every handled message must be deleted, and nothing stay invisible", len(r.ended()), visible, inFlight)
		}
	})
}

// An outage costs nothing: no try, no dead letter, and receiving is paused.
func TestAnOutagePausesReceivingAndCountsNoTry(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 2
		began := time.Now()
		var probes atomic.Int64
		r.handle(func(_ context.Context, _ queue.Message, try int) error {
			if time.Since(began) < 3*time.Hour {
				probes.Add(1)
				return failing{outage: "ses"}
			}
			if try != 1 {
				t.Errorf("try %d after an outage, want 1", try)
			}
			return nil
		})
		for g := range 30 {
			r.send(fmt.Sprint("g", g), fmt.Sprint(g, "-1"), fmt.Sprint(g, "-2"))
		}
		c, stop := r.start()
		time.Sleep(time.Hour)
		if c.Ready() == nil || c.Alive() != nil {
			t.Errorf("in an outage: ready %v, alive %v; want it alive and not ready", c.Ready(), c.Alive())
		}
		receives := r.world.CallCounts()["sqs.ReceiveMessage"]
		time.Sleep(time.Hour)
		// Now and then a probe is a mail that was not tried yet.
		if n := r.world.CallCounts()["sqs.ReceiveMessage"] - receives; n > 20 {
			t.Errorf("%d receives in an hour of outage", n)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if len(r.ended()) != 60 {
			t.Errorf("%d of 60 handled after the outage", len(r.ended()))
		}
		if said := r.logs.FilterMessage("outage: receiving is paused").All(); len(said) != 1 || said[0].ContextMap()["error"] != "fails: ses" {
			t.Errorf("said of the outage: %v", said)
		}
		if n := probes.Load(); n > 8+3*3600/15+30 {
			t.Errorf("%d calls in three hours of outage: probes must be single", n)
		}
		if n := len(r.letters()); n > 0 {
			t.Errorf("%d dead letters", n)
		}
		r.empty()
	})
}

// One application service that is out parks its own mails only.
func TestAServiceThatIsOutParksItsMailsAndOthersGoOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 1
		began := time.Now()
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Group == "orders" && time.Since(began) < time.Hour {
				return failing{outage: "service:orders"}
			}
			return nil
		})
		r.send("orders", "o1", "o2")
		r.send("other", "x1", "x2")
		c, stop := r.start()
		time.Sleep(time.Second)
		r.handled("x1", "x2")
		if s := c.State(); s.Leased != 0 || len(s.Outages) > 0 {
			t.Errorf("parked mails hold %+v", s)
		}
		time.Sleep(70 * time.Minute)
		stop()
		r.handled("x1", "x2", "o1", "o2")
		if n := len(r.letters()); n > 0 {
			t.Errorf("%d dead letters", n)
		}
		r.empty()
	})
}

// An object that can never be read must not look like an outage for ever.
func TestWhatFailsThroughManyOutagesIsItsOwnFault(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 3
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "cursed" {
				return failing{outage: "s3"}
			}
			return nil
		})
		r.send("c", "cursed", "after")
		_, stop := r.start()
		for i := range 2000 {
			r.send(fmt.Sprint("g", i), fmt.Sprint("m", i))
			time.Sleep(5 * time.Second)
		}
		time.Sleep(time.Hour)
		stop()
		if n := len(r.letters()); n != 1 {
			t.Errorf("%d dead letters, want the cursed one", n)
		}
		if len(r.ended()) != 2001 {
			t.Errorf("%d handled, want 2001", len(r.ended()))
		}
		r.empty()
	})
}
