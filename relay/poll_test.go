package relay_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"inreply/queue"
)

// TestIdle: a relay that has nothing to do asks as seldom as SQS lets it.
func TestIdle(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.run()
		after(10*time.Minute - time.Second)
		if polls, most := r.intake.asked(); polls != 30 || most != 1 {
			t.Errorf("%d polls in ten minutes, %d at once", polls, most)
		}
	})
}

// TestPollsGrow: the more there is, the more is asked; and no more when it is gone.
func TestPollsGrow(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.latency = 20 * time.Millisecond
		r.run()
		after(time.Minute)
		r.intake.put(notices(1000)...)
		after(5 * time.Second)
		checkRelayed(t, r, keysOf(1000)...)
		if _, most := r.intake.asked(); most < 4 || most > r.config.Concurrency {
			t.Errorf("%d polls at once with %d loops", most, r.config.Concurrency)
		}
		after(time.Minute)
		before, _ := r.intake.asked()
		after(10 * time.Minute)
		if polls, _ := r.intake.asked(); polls-before > 31 {
			t.Errorf("%d polls in ten idle minutes", polls-before)
		}
	})
}

// TestPollsGoOn: while a batch takes its time, somebody polls.
func TestPollsGoOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.Concurrency = 2
		r.tops.top = func(_ context.Context, key string) ([]byte, error) {
			if key == "inbound/0000" {
				time.Sleep(10 * time.Second)
			}
			return nil, nil
		}
		all := r.intake.put(notices(1)...)
		r.run()
		after(time.Second)
		all = append(all, r.intake.put(notice("inbound/0001"))...)
		after(0)
		if got := r.intake.deletions(all); !slices.Equal(got, []int{0, 1}) {
			t.Errorf("deleted %v", got)
		}
		after(10 * time.Second)
		checkRelayed(t, r, keysOf(2)...)
	})
}

// TestReceiveFails: the relay asks on, less and less often, and at once when it is
// answered again.
func TestReceiveFails(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.receiving = func(poll int) error {
			if poll <= 20 {
				return errConnection
			}
			return nil
		}
		r.intake.put(notices(1)...)
		r.run()
		after(time.Second)
		if polls, _ := r.intake.asked(); polls < 3 || polls > 8 {
			t.Errorf("%d polls in the first second", polls)
		}
		after(4 * time.Minute)
		checkRelayed(t, r, keysOf(1)...)
		if n := len(r.logged("receiving from the intake fails; asking on")); n != 20 {
			t.Errorf("%d log lines", n)
		}
	})
}

// TestIntakeMissing: a queue that is not there is no outage. The loops that are at
// work finish first.
func TestIntakeMissing(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.tops.top = func(context.Context, string) ([]byte, error) {
			time.Sleep(time.Second)
			return nil, nil
		}
		r.intake.receiving = func(poll int) error {
			if poll > 1 {
				return &types.QueueDoesNotExist{}
			}
			return nil
		}
		r.intake.put(notices(1)...)
		stop := r.run()
		after(2 * time.Second)
		if err := stop(); !queue.Missing(err) {
			t.Errorf("run: %v", err)
		}
		checkRelayed(t, r, keysOf(1)...)
	})
}

// TestStopFinishes: what was received before the stop is relayed, and what an open
// poll brings after it is given back at once.
func TestStopFinishes(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.tops.top = func(ctx context.Context, _ string) ([]byte, error) {
			select {
			case <-time.After(5 * time.Second):
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		first := r.intake.put(notice("inbound/a"))[0]
		stop := r.run()
		after(time.Second)
		time.AfterFunc(time.Second, func() { r.intake.put(notice("inbound/b")) })
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if got := r.intake.is(first).deleted; got != 1 {
			t.Errorf("the first was deleted %d times", got)
		}
		if left := r.intake.left(); len(left) != 1 || left[0].ReceiveCount != 1 || left[0].visible.After(time.Now()) {
			t.Errorf("left: %+v", left)
		}
		if len(r.topic.all()) != 1 {
			t.Errorf("published %d", len(r.topic.all()))
		}
	})
}

// TestStopWaitsForThePoll: SQS may be handing out messages in that moment. The
// grace bounds it.
func TestStopWaitsForThePoll(t *testing.T) {
	for grace, want := range map[time.Duration]time.Duration{21 * time.Second: 13 * time.Second, 5 * time.Second: 5 * time.Second, 0: 0} {
		inBubble(t, func(r *rig) {
			t := r.t
			r.config.PollGrace = grace
			stop := r.run()
			after(7 * time.Second)
			began := time.Now()
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != want {
				t.Errorf("with a grace of %s the stop took %s, want %s", grace, took, want)
			}
			if n := len(r.logged("receiving from the intake fails; asking on")); n != 0 {
				t.Errorf("%d complaints", n)
			}
		})
	}
}

// TestStopInAnOutage: what is held is given back.
func TestStopInAnOutage(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.PollGrace = time.Second
		r.tops.top = func(context.Context, string) ([]byte, error) { return nil, storeError{out: "s3"} }
		held := r.intake.put(notices(3)...)
		stop := r.run()
		after(10 * time.Minute)
		began := time.Now()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the stop took %s", took)
		}
		for _, m := range held {
			// The poll that was open may have got it once more.
			if m := r.intake.is(m); m.deleted > 0 || m.visible.After(time.Now()) || m.ReceiveCount > 2 {
				t.Errorf("%s: deleted %d times, received %d times, visible in %s", m.ID, m.deleted, m.ReceiveCount, time.Until(m.visible))
			}
		}
	})
}
