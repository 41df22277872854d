package groups

import (
	"container/heap"
	"time"
)

// deadlines holds messages by a moment in time, the earliest first; of equal
// moments the message that was added first.
type deadlines[T any] struct {
	of   func(*Message[T]) time.Time
	slot func(*Message[T]) *int // where a message keeps its place in the heap, from 1; 0 when it is not in it
	heap []*Message[T]
}

func newDeadlines[T any](of func(*Message[T]) time.Time, slot func(*Message[T]) *int) *deadlines[T] {
	return &deadlines[T]{of: of, slot: slot}
}

func (d *deadlines[T]) first() *Message[T] {
	if len(d.heap) == 0 {
		return nil
	}
	return d.heap[0]
}

func (d *deadlines[T]) add(m *Message[T]) { heap.Push(d, m) }

func (d *deadlines[T]) remove(m *Message[T]) {
	if at := *d.slot(m); at > 0 {
		heap.Remove(d, at-1)
	}
}

// rearrange restores the order after the moments of many messages changed.
func (d *deadlines[T]) rearrange() { heap.Init(d) }

// Len is for package heap, as are the methods below.
func (d *deadlines[T]) Len() int { return len(d.heap) }

// Less orders by moment, then by sequence number.
func (d *deadlines[T]) Less(i, j int) bool {
	a, b := d.heap[i], d.heap[j]
	if c := d.of(a).Compare(d.of(b)); c != 0 {
		return c < 0
	}
	return a.sequence < b.sequence
}

// Swap swaps two messages and their places.
func (d *deadlines[T]) Swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	*d.slot(d.heap[i]), *d.slot(d.heap[j]) = i+1, j+1
}

// Push appends a message.
func (d *deadlines[T]) Push(x any) {
	m := x.(*Message[T])
	d.heap = append(d.heap, m)
	*d.slot(m) = len(d.heap)
}

// Pop removes the last message.
func (d *deadlines[T]) Pop() any {
	last := len(d.heap) - 1
	m := d.heap[last]
	d.heap[last] = nil
	d.heap = d.heap[:last]
	*d.slot(m) = 0
	return m
}
