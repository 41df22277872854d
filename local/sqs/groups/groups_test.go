package groups

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

func never(*Message[string]) bool { return false }

// filled is a FIFO queue with messages named after their group and number.
func filled(names ...string) *Queue[string] {
	q := New[string](true, [8]byte{1}, time.Hour)
	for _, name := range names {
		q.Add(&Message[string]{Content: name, Group: name[:1], Sent: start()}, 0)
	}
	return q
}

func TestTakeBack(t *testing.T) {
	q := filled("a1", "a2", "b1", "c1")
	q.Take(1, start(), start().Add(time.Minute), never) // a1 locks a.
	taken, _ := q.Take(2, start(), start().Add(time.Minute), never)
	if got := leased(taken); got != "b1 c1" {
		t.Fatalf("took %s", got)
	}
	q.Add(&Message[string]{Content: "d1", Group: "d", Sent: start()}, 0)
	q.TakeBack(taken)
	again, _ := q.Take(10, start(), start().Add(time.Minute), never)
	if got := leased(again); got != "b1 c1 d1" {
		t.Errorf("took again %s", got)
	}
	if again[0].Receives != 1 || again[0].Handle == taken[0].Handle {
		t.Errorf("taken back: %+v, again: %+v", taken[0], again[0])
	}
	q.TakeBack(taken) // Of an old lease: nothing goes back.
	if _, inFlight, _ := q.Counts(); inFlight != 4 {
		t.Errorf("%d in flight", inFlight)
	}
	q.Purge()
	q.TakeBack(again) // Of messages that are gone.
	if visible, inFlight, _ := q.Counts(); visible+inFlight != 0 {
		t.Errorf("%d visible and %d in flight after a purge", visible, inFlight)
	}
}

func TestTakeBackOfARepeatedAttempt(t *testing.T) {
	q := filled("a1")
	due := start().Add(time.Minute)
	taken, _ := q.Take(1, start(), due, never)
	q.Remember("id", taken, start())
	if got := leased(q.Repeat("id", start(), due)); got != "a1" {
		t.Fatalf("repeated %q", got)
	}
	q.TakeBack(taken)
	if _, inFlight, _ := q.Counts(); inFlight != 1 {
		t.Error("somebody else's message went back")
	}
}

func TestFind(t *testing.T) {
	q := filled("a1")
	other := New[string](true, [8]byte{2}, time.Hour)
	taken, _ := q.Take(1, start(), start(), never)
	handle := taken[0].Handle
	for name, c := range map[string]struct {
		handle                string
		queue                 *Queue[string]
		there, newest, wantOK bool
	}{
		"newest":      {handle, q, true, true, true},
		"other queue": {handle, other, false, false, false},
		"garbage":     {"garbage", q, false, false, false},
		"empty":       {"", q, false, false, false},
		"cut":         {handle[:8], q, false, false, false},
	} {
		m, newest, ok := c.queue.Find(c.handle)
		if (m != nil) != c.there || newest != c.newest || ok != c.wantOK {
			t.Errorf("%s: %v, newest %v, ok %v", name, m, newest, ok)
		}
	}
	q.Tick(start())
	q.Take(1, start(), start().Add(time.Minute), never)
	if m, newest, ok := q.Find(handle); m == nil || newest || !ok {
		t.Errorf("taken again: %v, newest %v, ok %v", m, newest, ok)
	}
	q.Purge()
	if m, newest, ok := q.Find(handle); m != nil || newest || !ok {
		t.Errorf("purged: %v, newest %v, ok %v", m, newest, ok)
	}
}

func TestStandardQueueLocksNothing(t *testing.T) {
	q := New[string](false, [8]byte{}, time.Hour)
	for i := range 3 {
		q.Add(&Message[string]{Content: fmt.Sprint(i), Group: "same", Sent: start()}, 0)
	}
	first, _ := q.Take(1, start(), start().Add(time.Minute), never)
	second, _ := q.Take(10, start(), start().Add(time.Minute), never)
	if got := leased(first) + " " + leased(second); got != "0 1 2" {
		t.Errorf("took %s", got)
	}
}

func TestMaxInFlight(t *testing.T) {
	q := New[string](true, [8]byte{}, time.Hour)
	for i := range MaxInFlight + 2 {
		q.Add(&Message[string]{Group: fmt.Sprint(i), Sent: start()}, 0)
	}
	taken, _ := q.Take(MaxInFlight+1, start(), start().Add(time.Minute), never)
	if len(taken) != MaxInFlight {
		t.Errorf("took %d", len(taken))
	}
	q.Remove(taken[0].message)
	if more, _ := q.Take(2, start(), start().Add(time.Minute), never); len(more) != 1 {
		t.Errorf("took %d more", len(more))
	}
}

// The work for one message must not grow with those that are queued.
func BenchmarkAddTakeRemove(b *testing.B) {
	for _, depth := range []int{1, 1_000, 100_000} {
		b.Run(fmt.Sprint("depth=", depth), func(b *testing.B) {
			q := New[string](true, [8]byte{}, time.Hour)
			group := func(i int) string { return strings.Repeat("g", i%50) }
			for i := range depth {
				q.Add(&Message[string]{Group: group(i), Sent: start()}, 0)
			}
			i := depth
			for b.Loop() {
				q.Add(&Message[string]{Group: group(i), Sent: start()}, 0)
				taken, _ := q.Take(1, start(), start().Add(time.Minute), never)
				q.Remove(taken[0].message)
				i++
			}
		})
	}
}
