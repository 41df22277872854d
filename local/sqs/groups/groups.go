// Package groups keeps the messages of one queue: in their groups, in order,
// visible or hidden, and says whose turn it is. It is the heart of local/sqs,
// without HTTP, without names, and without a clock: whoever uses it says what
// time it is, and calls Tick before anything else.
//
// The rules of a FIFO queue, as they were recorded on AWS:
//
//   - A group's messages are given out in the order in which they were added, up
//     to the first one that is hidden. What stands behind that waits, what stands
//     before it does not.
//   - Groups take turns. A group whose head becomes visible goes to the end of the
//     row. Take gives all it can of the first group, then of the next.
//
// On a standard queue every message is a group of its own, so that the same
// rules make the oldest visible message come first and lock nothing.
//
// The tour: this file has the Queue and what happens to its messages. leases.go
// has what a receiver holds of them: receipt handles, and attempts that can be
// repeated. deadlines.go keeps what happens by itself as time passes.
package groups

import (
	"container/list"
	"time"
)

// Message is one message in one queue; T is what it says, which no rule here
// looks at. Set the exported fields before Add and leave them alone after.
type Message[T any] struct {
	Content T
	Group   string
	// Sent is what the message's age is counted from.
	Sent time.Time
	// Receives is how often it was taken so far, in this queue or before, and
	// FirstReceived when that began; zero for a new message.
	Receives      int
	FirstReceived time.Time

	state        state
	due          time.Time // when it becomes visible, unless it is
	sequence     uint64    // its number in this queue, from 1
	receivesHere int
	lease        uint64      // how often it was given out; a receipt handle ends with its lease
	leased       time.Time   // when the newest lease began
	attempt      *attempt[T] // by which it is in flight, if that can be repeated

	in     *group[T]
	place  *list.Element // among the group's messages
	wakeup int           // its place among the queue's wakeups
	age    int           // its place among the queue's ages
}

// Sequence is the message's number in its queue, which Add gave it: 1, 2, ...
func (m *Message[T]) Sequence() uint64 { return m.sequence }

// InFlight says whether the message was taken and is hidden since.
func (m *Message[T]) InFlight() bool { return m.state == inFlight }

// Leased is when the message was last taken.
func (m *Message[T]) Leased() time.Time { return m.leased }

// ReceivesHere is how often the message was taken from this queue.
func (m *Message[T]) ReceivesHere() int { return m.receivesHere }

type state int

const (
	visible state = iota
	delayed
	inFlight
)

// MaxInFlight is how many messages of one queue may be in flight; Take gives no
// more (SQS developer guide, "Amazon SQS message quotas").
const MaxInFlight = 120_000

// Queue is the messages of one queue. Calls must not overlap.
type Queue[T any] struct {
	fifo      bool
	nonce     [8]byte // marks this queue's receipt handles
	retention time.Duration

	sequence uint64
	messages map[uint64]*Message[T] // by sequence
	groups   map[string]*group[T]   // of a FIFO queue, by name
	turns    list.List              // of *group: those whose head is visible, in the order in which they are served
	wakeups  *deadlines[T]          // hidden messages, by when they become visible
	ages     *deadlines[T]          // all messages, by when they were sent
	inFlight int
	delayed  int
	attempts map[string]*attempt[T]
}

// group is the messages of one group in the order in which they were added.
type group[T any] struct {
	name     string
	messages list.List     // of *Message
	turn     *list.Element // in Queue.turns; nil while the head is not visible
}

// New returns an empty queue that drops messages when they are older than
// retention. The nonce is part of every receipt handle, so that one of another
// queue, or an invented one, is not taken for one of this.
func New[T any](fifo bool, nonce [8]byte, retention time.Duration) *Queue[T] {
	q := &Queue[T]{fifo: fifo, nonce: nonce, retention: retention}
	q.Purge()
	return q
}

// Purge drops all messages. Receipt handles of dropped messages stay known.
func (q *Queue[T]) Purge() {
	q.messages = map[uint64]*Message[T]{}
	q.groups = map[string]*group[T]{}
	q.turns.Init()
	q.wakeups = newDeadlines(func(m *Message[T]) time.Time { return m.due }, func(m *Message[T]) *int { return &m.wakeup })
	q.ages = newDeadlines(func(m *Message[T]) time.Time { return m.Sent }, func(m *Message[T]) *int { return &m.age })
	q.inFlight, q.delayed = 0, 0
	q.attempts = map[string]*attempt[T]{}
}

// Retain changes how long messages are kept.
func (q *Queue[T]) Retain(retention time.Duration) { q.retention = retention }

// Tick brings the queue up to now: what became due is visible again, in the
// order in which it became due, and what is too old is gone.
func (q *Queue[T]) Tick(now time.Time) {
	for m := q.wakeups.first(); m != nil && !m.due.After(now); m = q.wakeups.first() {
		q.Release(m)
	}
	for m := q.ages.first(); m != nil && !m.Sent.Add(q.retention).After(now); m = q.ages.first() {
		q.Remove(m)
	}
}

// Next is the moment at which Tick will have something to do; ok is false when
// there is none.
func (q *Queue[T]) Next() (at time.Time, ok bool) {
	if m := q.ages.first(); m != nil {
		at, ok = m.Sent.Add(q.retention), true
	}
	if m := q.wakeups.first(); m != nil && (!ok || m.due.Before(at)) {
		at, ok = m.due, true
	}
	return at, ok
}

// Counts says how many messages there are in each state.
func (q *Queue[T]) Counts() (visible, inFlight, delayed int) {
	return len(q.messages) - q.inFlight - q.delayed, q.inFlight, q.delayed
}

// Head is the message that Take would give first, or nil.
func (q *Queue[T]) Head() *Message[T] {
	turn := q.turns.Front()
	if turn == nil {
		return nil
	}
	return turn.Value.(*group[T]).head()
}

func (g *group[T]) head() *Message[T] {
	e := g.messages.Front()
	if e == nil {
		return nil
	}
	return e.Value.(*Message[T])
}

// Add appends m to its group, hidden until delay has passed since it was sent.
func (q *Queue[T]) Add(m *Message[T], delay time.Duration) {
	q.sequence++
	m.sequence = q.sequence
	q.messages[m.sequence] = m
	m.in = q.groupOf(m)
	m.place = m.in.messages.PushBack(m)
	q.ages.add(m)
	if delay > 0 {
		q.hide(m, delayed, m.Sent.Add(delay))
	}
	q.settle(m.in)
}

func (q *Queue[T]) groupOf(m *Message[T]) *group[T] {
	if !q.fifo {
		return &group[T]{}
	}
	g, ok := q.groups[m.Group]
	if !ok {
		g = &group[T]{name: m.Group}
		q.groups[m.Group] = g
	}
	return g
}

// Remove takes m out of the queue for good.
func (q *Queue[T]) Remove(m *Message[T]) {
	q.unhide(m)
	q.spoil(m)
	q.ages.remove(m)
	delete(q.messages, m.sequence)
	m.in.messages.Remove(m.place)
	if m.in.messages.Len() == 0 {
		delete(q.groups, m.in.name)
	}
	q.settle(m.in)
}

// Release makes m visible.
func (q *Queue[T]) Release(m *Message[T]) {
	q.unhide(m)
	q.spoil(m)
	q.settle(m.in)
}

// Extend keeps m, which is in flight, hidden until due.
func (q *Queue[T]) Extend(m *Message[T], due time.Time) {
	q.spoil(m)
	q.hide(m, inFlight, due)
}

// Redelay gives the messages that are still delayed another delay.
func (q *Queue[T]) Redelay(delay time.Duration) {
	for _, m := range q.wakeups.heap {
		if m.state == delayed {
			m.due = m.Sent.Add(delay)
		}
	}
	q.wakeups.rearrange()
}

// Take gives out up to limit messages, hidden until due: all it can of the
// group whose turn it is, up to its first hidden message, then of the next
// group. Messages that exhausted picks are not given out but removed, and
// returned as dead.
func (q *Queue[T]) Take(limit int, now, due time.Time, exhausted func(*Message[T]) bool) (taken []Lease[T], dead []*Message[T]) {
	for len(taken) < limit && q.inFlight < MaxInFlight {
		turn := q.turns.Front()
		if turn == nil {
			break
		}
		g := turn.Value.(*group[T])
		for e := g.messages.Front(); e != nil && len(taken) < limit && q.inFlight < MaxInFlight; {
			m := e.Value.(*Message[T])
			if m.state != visible {
				break
			}
			e = e.Next()
			if exhausted(m) {
				q.Remove(m)
				dead = append(dead, m)
				continue
			}
			taken = append(taken, q.lend(m, now, due))
		}
		q.settle(g)
	}
	return taken, dead
}

// settle gives g its turn at the end of the row, or takes it away, as its head
// is visible or not.
func (q *Queue[T]) settle(g *group[T]) {
	head := g.head()
	open := head != nil && head.state == visible
	if open && g.turn == nil {
		g.turn = q.turns.PushBack(g)
	}
	if !open && g.turn != nil {
		q.turns.Remove(g.turn)
		g.turn = nil
	}
}

// hide makes m invisible until due. The caller settles the group.
func (q *Queue[T]) hide(m *Message[T], as state, due time.Time) {
	q.unhide(m)
	m.state, m.due = as, due
	q.wakeups.add(m)
	switch as {
	case inFlight:
		q.inFlight++
	case delayed:
		q.delayed++
	case visible:
	}
}

func (q *Queue[T]) unhide(m *Message[T]) {
	switch m.state {
	case inFlight:
		q.inFlight--
	case delayed:
		q.delayed--
	case visible:
		return
	}
	q.wakeups.remove(m)
	m.state = visible
}
