package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"inreply/consumer"
	"inreply/local"
	"inreply/queue"
)

// failing is an error with the behaviours that consumer looks for.
type failing struct {
	permanent bool
	after     time.Duration
	outage    string
}

func (f failing) Error() string             { return fmt.Sprintf("fails: %+v", f.outage) }
func (f failing) Permanent() bool           { return f.permanent }
func (f failing) RetryAfter() time.Duration { return f.after }
func (f failing) Outage() string            { return f.outage }

func TestHandlesAGroupInOrderAndDeletes(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		r.send("a", "a1", "a2", "a3")
		r.run(time.Second)
		r.handled("a1", "a2", "a3")
		r.empty()
	})
}

// A message is deleted after its work succeeded, never before.
func TestDeletesLast(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error {
			if n := r.world.CallCounts()["sqs.DeleteMessageBatch"]; n > 0 {
				t.Errorf("%d deletes before the work was done", n)
			}
			time.Sleep(time.Second)
			return nil
		})
		r.send("a", "a1")
		r.run(2 * time.Second)
		r.empty()
	})
}

func TestGroupsNeverWaitForEachOther(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Group == "slow" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		r.send("slow", "s1", "s2")
		for i := range 20 {
			r.send(fmt.Sprint("g", i), fmt.Sprint("m", i))
		}
		_, stop := r.start()
		time.Sleep(time.Second)
		n := len(r.ended())
		if n != 20 {
			t.Errorf("%d of 20 quick mails were handled while a slow one ran", n)
		}
		stop()
	})
}

// The pain of every peer that receives batches: followers of a poison head
// reach the dead-letter queue untried.
func TestFollowersOfAPoisonHeadAreNeitherChargedNorHeldUp(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 3
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "poison" {
				return errors.New("always")
			}
			return nil
		})
		r.send("a", "poison", "a2", "a3")
		r.run(time.Minute)
		r.handled("a2", "a3")
		if got := r.started(); !slices.Equal(got, []string{"poison", "poison", "poison", "a2", "a3"}) {
			t.Errorf("tries %v, want the poison's three, then the followers", got)
		}
		letters := r.letters()
		if len(letters) != 1 || letters[0].Body != "poison" {
			t.Errorf("dead letters %v", letters)
		}
		r.empty()
	})
}

func TestOrderHoldsWhenAHeadIsRetried(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, try int) error {
			if m.Body == "a1" && try < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		r.send("a", "a1", "a2", "a3")
		r.run(5 * time.Minute)
		r.handled("a1", "a2", "a3")
		r.empty()
	})
}

// A backoff that is too long to be waited out here goes into the queue: the
// head invisible, its followers locked behind it.
func TestALongBackoffIsWaitedOutInTheQueue(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "a1" && len(r.started()) == 1 {
				return failing{after: 10 * time.Minute}
			}
			return nil
		})
		r.send("a", "a1", "a2")
		c, stop := r.start()
		time.Sleep(5 * time.Minute)
		if s := c.State(); s.Leased != 0 || s.Running != 0 {
			t.Errorf("while it waits in the queue: %+v", s)
		}
		r.handled()
		time.Sleep(6 * time.Minute)
		stop()
		r.handled("a1", "a2")
		r.empty()
	})
}

func TestRetryAfterCountsNoTry(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 2
		r.handle(func(_ context.Context, _ queue.Message, try int) error {
			if try != 1 {
				t.Errorf("try %d, want 1 for ever", try)
			}
			if len(r.started()) <= 10 {
				return failing{after: 5 * time.Second}
			}
			return nil
		})
		r.send("a", "a1")
		r.run(2 * time.Minute)
		r.handled("a1")
	})
}

func TestPermanentGoesToTheDeadLetterQueueAtOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "bad" {
				return fmt.Errorf("parse \x01: %w", failing{permanent: true})
			}
			return nil
		})
		r.send("a", "bad", "a2")
		r.run(time.Second)
		r.handled("a2")
		r.empty()
		letters := r.letters()
		if len(letters) != 1 {
			t.Fatalf("%d dead letters, want 1", len(letters))
		}
		m := letters[0]
		var l consumer.DeadLetter
		if err := json.Unmarshal([]byte(m.Attributes[consumer.DeadLetterAttribute]), &l); err != nil {
			t.Fatal(err)
		}
		if m.Group != l.Message || m.DeduplicationID != l.Message {
			t.Errorf("group %q and deduplication id %q, want the message's own id %q", m.Group, m.DeduplicationID, l.Message)
		}
		if l.Group != "a" || l.Sequence == "" || l.Tries != 1 || !strings.HasPrefix(l.Reason, "parse \uFFFD: ") {
			t.Errorf("dead letter says %+v", l)
		}
	})
}

func TestADeadLetterThatCannotBeSentIsRetriedNeverDropped(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "bad" {
				return failing{permanent: true}
			}
			return nil
		})
		refusing := &deadLetters{DeadLetters: r.dead, refuse: 4}
		r.parts.DeadLetters = refusing
		r.send("a", "bad", "a2")
		r.run(5 * time.Minute)
		r.handled("a2")
		if n := len(r.letters()); n != 1 || refusing.refused != 4 {
			t.Errorf("%d dead letters after %d refusals, want 1 after 4", n, refusing.refused)
		}
		if len(r.started()) != 2 {
			t.Errorf("started %v: a dead letter must not be run again", r.started())
		}
		r.empty()
	})
}

// deadLetters refuses the first sends.
type deadLetters struct {
	consumer.DeadLetters
	refuse, refused int
}

func (d *deadLetters) Send(ctx context.Context, ms []queue.Outgoing) []queue.Result {
	if d.refused < d.refuse {
		d.refused++
		return []queue.Result{{Err: errors.New("refused")}}
	}
	return d.DeadLetters.Send(ctx, ms)
}

func TestAPanicIsATryAndNotTheEnd(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, _ queue.Message, try int) error {
			if try == 1 {
				panic("boom")
			}
			return nil
		})
		r.send("a", "a1")
		r.run(time.Minute)
		r.handled("a1")
		if r.logs.FilterMessage("a handler panicked").Len() != 1 {
			t.Error("the panic is not in the log")
		}
	})
}

func TestADeadlineEndsATry(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = 10 * time.Second
		r.handle(func(ctx context.Context, _ queue.Message, try int) error {
			if try == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		r.send("a", "a1")
		r.run(time.Minute)
		r.handled("a1")
	})
}

func TestEveryMessageEndsInOneLogLine(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Attempts = 2
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "bad" {
				return errors.New("always")
			}
			return nil
		})
		r.send("a", "a1", "bad", "a3")
		r.run(time.Minute)
		lines := map[string]int{}
		for _, e := range r.logs.All() {
			if outcome, ok := e.ContextMap()["outcome"].(string); ok {
				lines[outcome]++
			}
		}
		if lines["deleted"] != 2 || lines["dead-lettered"] != 1 {
			t.Errorf("log lines by outcome: %v, want 2 deleted and 1 dead-lettered", lines)
		}
	})
}

func TestAnIdleConsumerPollsOnceEveryTwentySeconds(t *testing.T) {
	inBubble(t, func(r *rig) {
		_, stop := r.start()
		time.Sleep(10 * time.Minute)
		if n := r.world.CallCounts()["sqs.ReceiveMessage"]; n > 31 {
			t.Errorf("%d receives in ten idle minutes, want at most 31", n)
		}
		stop()
	})
}

func TestIdlesAgainAfterABurst(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		for i := range 200 {
			r.send(fmt.Sprint("g", i%50), fmt.Sprint("m", i))
		}
		_, stop := r.start()
		time.Sleep(time.Minute)
		before := r.world.CallCounts()["sqs.ReceiveMessage"]
		time.Sleep(10 * time.Minute)
		if n := r.world.CallCounts()["sqs.ReceiveMessage"] - before; n > 31 {
			t.Errorf("%d receives in ten idle minutes after a burst, want at most 31", n)
		}
		stop()
		r.empty()
	})
}

// A hot group's next run is locked until the last delete of this one arrives.
func TestADeleteThatUnlocksAGroupIsNotHeldUp(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		for i := range 30 {
			r.send("hot", fmt.Sprint("h", i))
		}
		began := time.Now()
		_, stop := r.start()
		for {
			time.Sleep(time.Millisecond)
			if _, inFlight := r.counts(r.queue); inFlight == 0 && len(r.ended()) == 30 {
				break
			}
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("three runs of a hot group took %s of virtual time", took)
		}
		stop()
	})
}

func TestBatchesDeletes(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 64
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(20 * time.Millisecond); return nil })
		for i := range 1000 {
			r.send(fmt.Sprint("g", i%100), fmt.Sprint("m", i))
		}
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: 20 * time.Millisecond}}})
		r.run(30 * time.Second)
		calls := r.world.CallCounts()
		if n := calls["sqs.DeleteMessageBatch"]; n > 160 {
			t.Errorf("%d calls to delete 1000 messages", n)
		}
		// At the end of a drain there are polls that find nothing.
		if n := calls["sqs.ReceiveMessage"]; n > 200 {
			t.Errorf("%d calls to receive 1000 messages", n)
		}
		r.world.Inject(local.Faults{})
		r.empty()
	})
}

func TestAQueueThatIsGoneEndsTheRun(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.parts.Queue = queue.New(r.client, r.world.SQS.URL("other.fifo"))
		c, err := consumer.New(r.config, visibility, r.parts)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(context.Background()); !queue.Missing(err) {
			t.Errorf("Run returned %v, want that the queue is missing", err)
		}
	})
}

func TestManyGroupsKeepTheirOrder(t *testing.T) {
	inBubble(t, func(r *rig) {
		var mu sync.Mutex
		failed := map[string]bool{}
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			mu.Lock()
			defer mu.Unlock()
			if strings.HasSuffix(m.Body, "3") && !failed[m.Body] {
				failed[m.Body] = true
				return errors.New("once")
			}
			return nil
		})
		for i := range 25 {
			for g := range 12 {
				r.send(fmt.Sprint("g", g), fmt.Sprintf("%02d:%03d", g, i))
			}
		}
		r.run(5 * time.Minute)
		r.empty()
		last := map[string]string{}
		for _, b := range r.ended() {
			group, _, _ := strings.Cut(b, ":")
			if b <= last[group] {
				t.Errorf("%s after %s", b, last[group])
			}
			last[group] = b
		}
		if len(r.ended()) != 300 {
			t.Errorf("%d handled, want 300", len(r.ended()))
		}
	})
}

func TestSettingsAreChecked(t *testing.T) {
	faults := consumer.Config{}.Validate().Error()
	for _, key := range []string{"queue", "concurrency", "attempts", "deadline", "memory_mib", "poll", "backoff.base", "probe.min"} {
		if !slices.ContainsFunc(strings.Split(faults, "\n"), func(line string) bool { return strings.HasPrefix(line, key+": ") }) {
			t.Errorf("no fault of %s in\n%s", key, faults)
		}
	}
	good := consumer.Defaults()
	good.Queue = "mail.fifo"
	if err := good.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}
