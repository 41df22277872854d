package relay_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"
)

// TestAliveInAnOutage: a batch that waits for S3 is no reason to be restarted;
// the relay is not ready, though, and says what for.
func TestAliveInAnOutage(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.Concurrency = 2
		var back atomic.Bool
		r.tops.top = func(context.Context, string) ([]byte, error) {
			if !back.Load() {
				return nil, storeError{out: "s3"}
			}
			return nil, nil
		}
		r.intake.put(notices(30)...)
		r.run()
		for range 60 {
			after(time.Minute)
			if err := r.relay.Alive(); err != nil {
				t.Fatalf("red in an outage: %v", err)
			}
		}
		if s := r.relay.State(); s.Holding["s3"] != 2 || s.Polls != 0 {
			t.Errorf("state %+v", s)
		}
		if r.relay.Ready() == nil {
			t.Error("ready in an outage")
		}
		back.Store(true)
		after(time.Minute)
		if err := r.relay.Ready(); err != nil {
			t.Errorf("the outage is over: %v", err)
		}
	})
}

// TestAliveWhenAPollHangs: nothing else would show it.
func TestAliveWhenAPollHangs(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		released := make(chan struct{})
		var hangs atomic.Bool
		r.intake.receiving = func(int) error {
			if hangs.Load() {
				<-released
			}
			return nil
		}
		r.run()
		after(10 * time.Minute)
		if err := r.relay.Alive(); err != nil {
			t.Errorf("idle: %v", err)
		}
		hangs.Store(true)
		after(4 * time.Minute)
		if r.relay.Alive() == nil {
			t.Error("alive with a poll that does not come back")
		}
		hangs.Store(false)
		close(released)
		after(30 * time.Second)
		if err := r.relay.Alive(); err != nil {
			t.Errorf("it came back: %v", err)
		}
	})
}

// TestAliveWhenABatchHangs: every call within a batch has a deadline; one that
// does not keep to it holds a loop for ever.
func TestAliveWhenABatchHangs(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		released := make(chan struct{})
		r.tops.top = func(context.Context, string) ([]byte, error) {
			<-released
			return nil, nil
		}
		r.intake.put(notices(1)...)
		r.run()
		after(r.config.Deadline + 30*time.Second)
		if err := r.relay.Alive(); err != nil {
			t.Errorf("half a minute over its deadline: %v", err)
		}
		after(time.Minute)
		if r.relay.Alive() == nil {
			t.Error("alive with a batch that does not end")
		}
		close(released)
		after(time.Second)
		if err := r.relay.Alive(); err != nil {
			t.Errorf("it has ended: %v", err)
		}
	})
}
