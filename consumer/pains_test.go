package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"inreply/queue"
)

// watched is a queue that notes every change of a visibility and every delete, in
// the order in which they begin and end, by what the handle is of.
type watched struct {
	*queue.Queue
	slow time.Duration // how long an extension is under way

	mu       sync.Mutex
	bodies   map[string]string // by handle
	extended map[string]int    // by body: extensions that began
	flying   map[string]int    // by body: extensions that have begun and not ended
	overlaps []string
	over     map[string]bool // by body: deleted, or given back
}

func newWatched(q *queue.Queue) *watched {
	return &watched{Queue: q, bodies: map[string]string{}, extended: map[string]int{}, flying: map[string]int{}, over: map[string]bool{}}
}

func (w *watched) Receive(ctx context.Context, ask queue.Receive) ([]queue.Message, error) {
	messages, err := w.Queue.Receive(ctx, ask)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range messages {
		w.bodies[m.Handle] = m.Body
		w.over[m.Body] = false
	}
	return messages, err
}

func (w *watched) Extend(ctx context.Context, extensions []queue.Extension) []error {
	full := extensions[0].For == visibility
	w.mu.Lock()
	for _, e := range extensions {
		body := w.bodies[e.Handle]
		if full {
			w.extended[body]++
			w.flying[body]++
		}
		w.ends(body, !full)
	}
	w.mu.Unlock()
	if full {
		time.Sleep(w.slow)
	}
	errs := w.Queue.Extend(ctx, extensions)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range extensions {
		if full {
			w.flying[w.bodies[e.Handle]]--
		}
	}
	return errs
}

func (w *watched) Delete(ctx context.Context, handles []string) []error {
	w.mu.Lock()
	for _, h := range handles {
		w.ends(w.bodies[h], true)
	}
	w.mu.Unlock()
	return w.Queue.Delete(ctx, handles)
}

// ends notes what must not be: the end of a lease while an extension of it is
// under way, and an extension of one that has ended. w.mu is held.
func (w *watched) ends(body string, ending bool) {
	switch {
	case ending && w.flying[body] > 0:
		w.overlaps = append(w.overlaps, body+" ended while an extension was under way")
	case !ending && w.over[body]:
		w.overlaps = append(w.overlaps, body+" was extended after its end")
	}
	if ending {
		w.over[body] = true
	}
}

// Followers wait in here for their turn, and would come to somebody else when the
// head is deleted; what is done must not be kept from anybody.
func TestTheWholeRunIsExtendedAndNothingThatIsDone(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := newWatched(r.queue)
		r.parts.Queue = w
		r.handle(func(context.Context, queue.Message, int) error { time.Sleep(2 * visibility); return nil })
		r.send("a", "a1", "a2", "a3", "a4")
		r.run(9 * visibility)
		r.handled("a1", "a2", "a3", "a4")
		if got := r.started(); len(got) != 4 {
			t.Errorf("tries %v, want each once", got)
		}
		// A lease is extended at half of its time: so many times as it was held long.
		for body, most := range map[string]int{"a1": 5, "a2": 9, "a3": 13, "a4": 17} {
			if n := w.extended[body]; n < most-3 || n > most {
				t.Errorf("%s was extended %d times, want about %d", body, n, most-1)
			}
		}
		for _, o := range w.overlaps {
			t.Error(o)
		}
		r.empty()
	})
}

// An extension that arrives after a backoff would undo it, and one after a delete
// is an error in the log of every other consumer.
func TestNoExtensionOvertakesADeleteOrABackoff(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := newWatched(r.queue)
		w.slow = 3 * time.Second
		r.parts.Queue = w
		r.config.Deadline = time.Hour
		began := time.Now()
		// Each ends at another moment of the extensions that are under way from 15 s on.
		for n := range 8 {
			r.send(fmt.Sprint("done-", n), fmt.Sprint("done-", n))
			r.send(fmt.Sprint("later-", n), fmt.Sprint("later-", n))
		}
		r.config.Concurrency = 16
		tried := map[string]bool{}
		var mu sync.Mutex
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			mu.Lock()
			again := tried[m.Body]
			tried[m.Body] = true
			mu.Unlock()
			if again {
				return nil
			}
			var n int
			_, _ = fmt.Sscanf(m.Body[len(m.Body)-1:], "%d", &n)
			time.Sleep(time.Until(began.Add(14*time.Second + time.Duration(n)*600*time.Millisecond)))
			if m.Body[0] == 'l' {
				return failing{after: 5 * time.Minute}
			}
			return nil
		})
		_, stop := r.start()
		time.Sleep(time.Minute)
		if n := len(r.ended()); n != 8 {
			t.Errorf("%d handled, want those that are not told to come later", n)
		}
		time.Sleep(3 * time.Minute)
		if n := len(r.ended()); n != 8 {
			t.Errorf("%d handled before their backoff was over", n-8)
		}
		time.Sleep(3 * time.Minute)
		stop()
		if n := len(r.ended()); n != 16 {
			t.Errorf("%d handled, want 16", n)
		}
		for _, o := range w.overlaps {
			t.Error(o)
		}
		r.empty()
	})
}

// One receive brings ten messages at most. That must not be how many run at once,
// nor must those that came together wait for each other.
func TestOneSlowMailHoldsUpNobodyAndMoreThanTenRunAtOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.config.Concurrency = 50
		var mu sync.Mutex
		now, most := 0, 0
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			if m.Body == "m0" {
				time.Sleep(time.Minute)
			} else {
				time.Sleep(time.Second)
			}
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		})
		for n := range 500 {
			r.send(fmt.Sprint("g", n), fmt.Sprint("m", n))
		}
		_, stop := r.start()
		time.Sleep(15 * time.Second)
		if n := len(r.ended()); n != 499 {
			t.Errorf("%d of 499 were handled while one was slow", n)
		}
		if most != 50 {
			t.Errorf("%d ran at once, want 50", most)
		}
		stop()
	})
}

// What failed is tried again later and later, and what failed together does not
// come back together.
func TestTriesBackOffFurtherEachTime(t *testing.T) {
	inBubble(t, func(r *rig) {
		const mails = 20
		r.config.Attempts, r.config.Concurrency = 6, mails
		var mu sync.Mutex
		at := map[string][]time.Time{}
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			mu.Lock()
			defer mu.Unlock()
			at[m.Body] = append(at[m.Body], time.Now())
			return errors.New("always")
		})
		for n := range mails {
			r.send(fmt.Sprint("g", n), fmt.Sprint("m", n))
		}
		r.run(10 * time.Minute)
		for try := 1; try < 6; try++ {
			bound := time.Second << (try - 1)
			var sum time.Duration
			waits := map[time.Duration]bool{}
			for body, times := range at {
				if len(times) != 6 {
					t.Fatalf("%s was tried %d times, want 6", body, len(times))
				}
				wait := times[try].Sub(times[try-1])
				if wait > bound+time.Second/10 {
					t.Errorf("try %d came %s after the one before, want at most %s", try+1, wait, bound)
				}
				sum += wait
				waits[wait] = true
			}
			if mean := sum / mails; mean < bound/4 || mean > bound*3/4 {
				t.Errorf("try %d came %s after the one before on average, want about half of %s", try+1, mean, bound)
			}
			if len(waits) < mails/2 {
				t.Errorf("only %d different waits before try %d of %d mails", len(waits), try+1, mails)
			}
		}
		if n := len(r.letters()); n != mails {
			t.Errorf("%d dead letters, want %d", n, mails)
		}
	})
}
