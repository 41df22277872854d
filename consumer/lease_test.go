package consumer_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"inreply/local"
	"inreply/queue"
)

// The pain of a wrong visibility timeout: handled twice, and dead-lettered all
// the same.
func TestAHandlerMayOutliveTheVisibilityTimeout(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = time.Hour
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(5 * time.Minute); return nil })
		r.send("a", "a1", "a2", "a3")
		r.run(16 * time.Minute)
		r.handled("a1", "a2", "a3")
		if len(r.started()) != 3 {
			t.Errorf("started %v, want each once", r.started())
		}
		r.empty()
	})
}

func TestExtensionsAreBatched(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = time.Hour
		r.config.Concurrency = 2
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(2 * time.Minute); return nil })
		r.send("a", "a1", "a2", "a3", "a4", "a5")
		r.send("b", "b1", "b2", "b3", "b4", "b5")
		r.run(11 * time.Minute)
		// Ten leases at the most, extended every 15 s for 10 minutes.
		if n := r.world.CallCounts()["sqs.ChangeMessageVisibilityBatch"]; n > 42 {
			t.Errorf("%d calls to extend ten leases for ten minutes", n)
		}
		r.empty()
	})
}

// stealing is a queue whose extensions of one message come too late.
type stealing struct {
	*queue.Queue
	steal func(handle string) bool
}

func (s stealing) Extend(ctx context.Context, extensions []queue.Extension) []error {
	errs := make([]error, len(extensions))
	for i, e := range extensions {
		if e.For > 0 && s.steal(e.Handle) {
			errs[i] = &queue.EntryError{Code: "ReceiptHandleIsInvalid", Message: "The receipt handle has expired", SenderFault: true}
			continue
		}
		errs[i] = s.Queue.Extend(ctx, extensions[i:i+1])[0]
	}
	return errs
}

func TestLosingTheHeadEndsTheRun(t *testing.T) {
	inBubble(t, func(r *rig) {
		var stolen atomic.Value
		r.parts.Queue = stealing{r.queue, func(handle string) bool { return handle == stolen.Load() }}
		var cause atomic.Value
		r.handle(func(ctx context.Context, m queue.Message, _ int) error {
			if m.Body != "a1" || stolen.Load() != nil {
				return nil
			}
			stolen.Store(m.Handle)
			<-ctx.Done()
			cause.Store(context.Cause(ctx))
			return ctx.Err()
		})
		r.config.Deadline = 10 * time.Minute
		r.send("a", "a1", "a2", "a3")
		_, stop := r.start()
		time.Sleep(20 * time.Second)
		if err, ended := cause.Load().(error); !ended || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler's context ended with %v, want that the lease was lost", err)
		}
		r.handled()
		if visible, inFlight := r.counts(r.queue); visible != 2 || inFlight != 1 {
			t.Errorf("%d visible and %d in flight, want the followers given back and the head left alone", visible, inFlight)
		}
		time.Sleep(time.Minute)
		stop()
		r.handled("a1", "a2", "a3")
		r.empty()
	})
}

func TestALateSuccessDeletesNothingAndIsNotRepeated(t *testing.T) {
	inBubble(t, func(r *rig) {
		var stolen atomic.Value
		r.parts.Queue = stealing{r.queue, func(handle string) bool { return handle == stolen.Load() }}
		r.handle(func(ctx context.Context, m queue.Message, _ int) error {
			if m.Body == "a1" {
				stolen.Store(m.Handle)
				<-ctx.Done() // The work is done all the same.
			}
			return nil
		})
		r.send("a", "a1", "a2")
		_, stop := r.start()
		time.Sleep(20 * time.Second)
		if n := r.world.CallCounts()["sqs.DeleteMessageBatch"]; n > 0 {
			t.Errorf("%d deletes with a lost lease", n)
		}
		time.Sleep(time.Minute)
		stop()
		r.handled("a1", "a2")
		r.empty()
	})
}

func TestAFollowerThatIsLostTakesWhatIsBehindItOutOfTheRun(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Deadline = time.Hour
		var stolen atomic.Value
		watched := watching{stealing{r.queue, func(handle string) bool { return handle == stolen.Load() }}, func(m queue.Message) {
			if m.Body == "a2" && stolen.Load() == nil {
				stolen.Store(m.Handle)
			}
		}}
		r.parts.Queue = watched
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "a1" {
				time.Sleep(20 * time.Second)
			}
			return nil
		})
		r.send("a", "a1", "a2", "a3")
		_, stop := r.start()
		time.Sleep(19 * time.Second)
		if visible, inFlight := r.counts(r.queue); visible != 1 || inFlight != 2 {
			t.Errorf("%d visible and %d in flight, want a3 given back", visible, inFlight)
		}
		time.Sleep(2 * time.Minute)
		stop()
		r.handled("a1", "a2", "a3")
		r.empty()
	})
}

// watching is a queue that shows what is received.
type watching struct {
	stealing
	saw func(m queue.Message)
}

func (w watching) Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error) {
	ms, err := w.stealing.Receive(ctx, r)
	for _, m := range ms {
		w.saw(m)
	}
	return ms, err
}

func TestDeletesAreRetriedEntryByEntry(t *testing.T) {
	inBubble(t, func(r *rig) {
		var mu sync.Mutex
		refused := map[string]int{}
		r.parts.Queue = refusing{r.queue, func(handle string) error {
			mu.Lock()
			defer mu.Unlock()
			refused[handle]++
			if refused[handle] <= 2 {
				return &queue.EntryError{Code: "InternalError"}
			}
			return nil
		}}
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		r.send("a", "a1", "a2")
		r.send("b", "b1")
		r.run(10 * time.Second)
		if len(r.started()) != 3 {
			t.Errorf("started %v, want each once", r.started())
		}
		r.empty()
	})
}

func TestWhatWasDoneAndNotDeletedIsDeletedWhenItComesBack(t *testing.T) {
	inBubble(t, func(r *rig) {
		began := time.Now()
		r.parts.Queue = refusing{r.queue, func(string) error {
			if time.Since(began) < time.Minute {
				return &queue.EntryError{Code: "InternalError"}
			}
			return nil
		}}
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		r.send("a", "a1")
		r.run(3 * time.Minute)
		r.handled("a1")
		if len(r.started()) != 1 {
			t.Errorf("started %v, want once", r.started())
		}
		r.empty()
	})
}

// refusing is a queue that refuses deletes.
type refusing struct {
	*queue.Queue
	refuse func(handle string) error
}

func (q refusing) Delete(ctx context.Context, handles []string) []error {
	errs := make([]error, len(handles))
	for i, h := range handles {
		if errs[i] = q.refuse(h); errs[i] == nil {
			errs[i] = q.Queue.Delete(ctx, handles[i:i+1])[0]
		}
	}
	return errs
}

// A receive whose answer is lost has leased its messages.
func TestALostReceiveIsAskedForAgain(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.handle(func(context.Context, queue.Message, int) error { return nil })
		r.send("a", "a1", "a2")
		r.world.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.ReceiveMessage": {LostResponse: 1, Limit: 3}}})
		r.run(5 * time.Second)
		r.handled("a1", "a2")
		r.empty()
	})
}

// No lease lasts longer than twelve hours: what is still waiting then is given
// back in time, and received anew.
func TestALeaseEndsBeforeTwelveHours(t *testing.T) {
	inBubble(t, func(r *rig) {
		began := time.Now()
		r.handle(func(context.Context, queue.Message, int) error {
			if time.Since(began) < 30*time.Hour {
				return failing{outage: "ses"}
			}
			return nil
		})
		r.send("a", "a1", "a2")
		r.run(31 * time.Hour)
		r.handled("a1", "a2")
		r.empty()
		if n := r.logs.FilterMessage("a lease nears twelve hours and is given back").Len(); n < 2 {
			t.Errorf("given back %d times in 30 hours", n)
		}
	})
}
