package sqs

import (
	"container/heap"
	"container/list"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// maxInFlight is how many messages of one queue may be in flight
// (SQS developer guide, "Amazon SQS message quotas").
const maxInFlight = 120_000

// queue is one queue with its messages. Every message belongs to a group; on a
// standard queue each message is a group of its own, so that one set of rules
// serves both. A queue is guarded by its Server's lock. Whoever uses it calls
// tick first.
type queue struct {
	name, arn string
	nonce     [8]byte // marks the receipt handles of this queue
	settings  settings
	tags      map[string]string
	created   time.Time
	modified  time.Time
	purged    time.Time // zero: never

	sequence uint64
	messages map[uint64]*message // by sequence
	groups   map[string]*group   // of a FIFO queue, by name
	turns    list.List           // of *group: those whose head is visible, in the order in which they are served
	wakeups  *deadlines          // messages that are hidden, by when they become visible
	ages     *deadlines          // all messages, by when they were sent
	inFlight int
	delayed  int

	accepted acceptances
	attempts map[string]*attempt // by ReceiveRequestAttemptId
	polls    list.List           // of *poll: those that wait, longest first
	alarm    alarm
}

// group is the messages of one group id in the order in which they were sent.
type group struct {
	name     string
	messages list.List     // of *message
	turn     *list.Element // in queue.turns; nil while the head is not visible
}

func newQueue(name, arn string, nonce [8]byte, st settings, now time.Time) *queue {
	return &queue{
		name: name, arn: arn, nonce: nonce, settings: st,
		tags: map[string]string{}, created: now, modified: now,
		messages: map[uint64]*message{},
		groups:   map[string]*group{},
		wakeups:  newDeadlines(func(m *message) time.Time { return m.due }, func(m *message) *int { return &m.wakeup }),
		ages:     newDeadlines(func(m *message) time.Time { return m.sent }, func(m *message) *int { return &m.age }),
		accepted: acceptances{seen: map[acceptanceKey]acceptance{}},
		attempts: map[string]*attempt{},
	}
}

// tick brings the queue up to now: what became due is visible again, in the
// order in which it became due, and what is too old is gone.
func (q *queue) tick(now time.Time) {
	for m := q.wakeups.first(); m != nil && !m.due.After(now); m = q.wakeups.first() {
		q.show(m)
	}
	for m := q.ages.first(); m != nil && !m.sent.Add(q.settings.retention).After(now); m = q.ages.first() {
		q.remove(m)
	}
	q.accepted.forget(now)
}

// next is the moment at which tick has something to do; ok is false when there
// is none.
func (q *queue) next() (at time.Time, ok bool) {
	if m := q.ages.first(); m != nil {
		at, ok = m.sent.Add(q.settings.retention), true
	}
	if m := q.wakeups.first(); m != nil && (!ok || m.due.Before(at)) {
		at, ok = m.due, true
	}
	return at, ok
}

// add appends m to its group, hidden for delay.
func (q *queue) add(m *message, delay time.Duration) {
	q.sequence++
	m.sequence = q.sequence
	q.messages[m.sequence] = m
	m.in = q.groupOf(m)
	m.place = m.in.messages.PushBack(m)
	q.ages.add(m)
	if delay > 0 {
		q.hide(m, delayed, m.sent.Add(delay))
	}
	q.settle(m.in)
}

func (q *queue) groupOf(m *message) *group {
	if !q.settings.fifo {
		return &group{}
	}
	g, ok := q.groups[m.group]
	if !ok {
		g = &group{name: m.group}
		q.groups[m.group] = g
	}
	return g
}

// remove takes m out of the queue for good.
func (q *queue) remove(m *message) {
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

// settle gives g its turn at the end of the row, or takes it away, as its head
// is visible or not.
func (q *queue) settle(g *group) {
	head := g.messages.Front()
	open := head != nil && head.Value.(*message).state == visible
	if open && g.turn == nil {
		g.turn = q.turns.PushBack(g)
	}
	if !open && g.turn != nil {
		q.turns.Remove(g.turn)
		g.turn = nil
	}
}

// hide makes m invisible until due. The caller settles the group.
func (q *queue) hide(m *message, as state, due time.Time) {
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

func (q *queue) unhide(m *message) {
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

// show makes m visible.
func (q *queue) show(m *message) {
	q.unhide(m)
	q.spoil(m)
	q.settle(m.in)
}

// take hands out up to limit messages, each hidden until due: all it can of
// the group whose turn it is, up to the first message in flight, then of the
// next group. Messages that exhausted says have been received often enough are
// not handed out but removed, and returned as dead.
func (q *queue) take(limit int, now, due time.Time, exhausted func(*message) bool) (taken, dead []*message) {
	for len(taken) < limit && q.inFlight < maxInFlight {
		turn := q.turns.Front()
		if turn == nil {
			break
		}
		g := turn.Value.(*group)
		for e := g.messages.Front(); e != nil && len(taken) < limit && q.inFlight < maxInFlight; {
			m := e.Value.(*message)
			if m.state != visible {
				break
			}
			e = e.Next()
			if exhausted(m) {
				q.remove(m)
				dead = append(dead, m)
				continue
			}
			q.lend(m, now, due)
			taken = append(taken, m)
		}
		q.settle(g)
	}
	return taken, dead
}

// lend puts m in flight under a new receipt handle.
func (q *queue) lend(m *message, now, due time.Time) {
	m.receives++
	m.receivesHere++
	m.lease++
	m.leased = now
	if m.firstReceived.IsZero() {
		m.firstReceived = now
	}
	q.hide(m, inFlight, due)
}

// takeBack undoes lend for a message that never reached its receiver. It is
// again the first of its group, and its group the first in the row.
func (q *queue) takeBack(m *message) {
	m.receives--
	m.receivesHere--
	if m.receives == 0 {
		m.firstReceived = time.Time{}
	}
	q.show(m)
	if m.in.turn != nil {
		q.turns.MoveToFront(m.in.turn)
	}
}

// purge forgets every message and every deduplication id.
func (q *queue) purge(now time.Time) {
	fresh := newQueue(q.name, q.arn, q.nonce, q.settings, q.created)
	q.messages, q.groups, q.wakeups, q.ages = fresh.messages, fresh.groups, fresh.wakeups, fresh.ages
	q.accepted, q.attempts = fresh.accepted, fresh.attempts
	q.turns.Init()
	q.inFlight, q.delayed = 0, 0
	q.purged = now
}

// A receipt handle is the queue's nonce, the message's sequence number and the
// number of its lease.
const handleSize = 8 + 8 + 8

// handle is the receipt handle of m's newest lease.
func (q *queue) handle(m *message) string {
	b := make([]byte, 0, handleSize)
	b = append(b, q.nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, m.sequence)
	b = binary.BigEndian.AppendUint64(b, m.lease)
	return base64.StdEncoding.EncodeToString(b)
}

// lent finds the message that a receipt handle stands for. The message is nil
// when it is gone; fresh says whether the handle is of its newest lease.
func (q *queue) lent(handle string) (m *message, fresh bool, err error) {
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(b) != handleSize || [8]byte(b) != q.nonce {
		return nil, false, badHandle()
	}
	sequence := binary.BigEndian.Uint64(b[8:])
	if sequence == 0 || sequence > q.sequence {
		return nil, false, badHandle()
	}
	m = q.messages[sequence]
	return m, m != nil && m.lease == binary.BigEndian.Uint64(b[16:]), nil
}

// redelay gives the messages that are still delayed another delay, as a change
// of a FIFO queue's DelaySeconds does (API reference, SetQueueAttributes).
func (q *queue) redelay(delay time.Duration) {
	for _, m := range q.wakeups.heap {
		if m.state == delayed {
			m.due = m.sent.Add(delay)
		}
	}
	q.wakeups.rearrange()
}

// deadlines holds messages by a moment in time, the earliest first; of equal
// moments the message that was sent first.
type deadlines struct {
	of   func(*message) time.Time
	slot func(*message) *int // where the message keeps its place in the heap, from 1; 0: not in it
	heap []*message
}

func newDeadlines(of func(*message) time.Time, slot func(*message) *int) *deadlines {
	return &deadlines{of: of, slot: slot}
}

func (d *deadlines) first() *message {
	if len(d.heap) == 0 {
		return nil
	}
	return d.heap[0]
}

func (d *deadlines) add(m *message) { heap.Push(d, m) }

func (d *deadlines) remove(m *message) {
	if at := *d.slot(m); at > 0 {
		heap.Remove(d, at-1)
	}
}

// rearrange restores the order after the moments of many messages changed.
func (d *deadlines) rearrange() { heap.Init(d) }

// Len, Less, Swap, Push and Pop are for package heap.
func (d *deadlines) Len() int { return len(d.heap) }

// Less orders by moment, then by sequence number.
func (d *deadlines) Less(i, j int) bool {
	a, b := d.heap[i], d.heap[j]
	if c := d.of(a).Compare(d.of(b)); c != 0 {
		return c < 0
	}
	return a.sequence < b.sequence
}

// Swap swaps two messages and their places.
func (d *deadlines) Swap(i, j int) {
	d.heap[i], d.heap[j] = d.heap[j], d.heap[i]
	*d.slot(d.heap[i]), *d.slot(d.heap[j]) = i+1, j+1
}

// Push appends a *message.
func (d *deadlines) Push(x any) {
	m := x.(*message)
	d.heap = append(d.heap, m)
	*d.slot(m) = len(d.heap)
}

// Pop removes the last *message.
func (d *deadlines) Pop() any {
	last := len(d.heap) - 1
	m := d.heap[last]
	d.heap[last] = nil
	d.heap = d.heap[:last]
	*d.slot(m) = 0
	return m
}

// alarm calls ring once, at a time that may be changed.
type alarm struct {
	ring  func()
	timer *time.Timer // nil until first set
}

func (a *alarm) set(in time.Duration) {
	if a.timer == nil {
		a.timer = time.AfterFunc(in, a.ring)
		return
	}
	a.timer.Reset(in)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
