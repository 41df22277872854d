package groups

import (
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"
)

// Lease is a message as it was when it was given out; it does not change when
// the message does.
type Lease[T any] struct {
	Content       T
	Group         string
	Sequence      uint64
	Sent          time.Time
	Receives      int
	FirstReceived time.Time
	Handle        string // the receipt handle

	message *Message[T]
	number  uint64
}

// lend puts m in flight under a new receipt handle. The caller settles the
// group.
func (q *Queue[T]) lend(m *Message[T], now, due time.Time) Lease[T] {
	m.Receives++
	m.receivesHere++
	m.lease++
	m.leased = now
	if m.FirstReceived.IsZero() {
		m.FirstReceived = now
	}
	q.hide(m, inFlight, due)
	return Lease[T]{
		Content: m.Content, Group: m.Group, Sequence: m.sequence, Sent: m.Sent,
		Receives: m.Receives, FirstReceived: m.FirstReceived, Handle: q.handle(m),
		message: m, number: m.lease,
	}
}

// TakeBack undoes a Take whose messages never reached their receiver: as if
// nothing had been, they are the first of their groups again, and their groups
// the first in the row. Nothing goes back of an attempt that was repeated, for
// then somebody else holds the messages too.
func (q *Queue[T]) TakeBack(leases []Lease[T]) {
	if len(leases) > 0 && leases[0].message.attempt != nil && leases[0].message.attempt.repeated {
		return
	}
	for _, l := range slices.Backward(leases) {
		m := l.message
		if q.messages[m.sequence] != m || m.lease != l.number || m.state != inFlight {
			continue
		}
		m.Receives--
		m.receivesHere--
		if m.Receives == 0 {
			m.FirstReceived = time.Time{}
		}
		q.Release(m)
		if m.in.turn != nil {
			q.turns.MoveToFront(m.in.turn)
		}
	}
}

// A receipt handle is the queue's nonce, the message's sequence number and the
// number of its lease.
const handleSize = 8 + 8 + 8

func (q *Queue[T]) handle(m *Message[T]) string {
	b := make([]byte, 0, handleSize)
	b = append(b, q.nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, m.sequence)
	b = binary.BigEndian.AppendUint64(b, m.lease)
	return base64.StdEncoding.EncodeToString(b)
}

// Find looks up the message that a receipt handle stands for. It is nil when it
// is not in the queue any more; newest says whether the handle is that of its
// newest lease. A handle that this queue never gave out is not ok.
func (q *Queue[T]) Find(handle string) (m *Message[T], newest, ok bool) {
	b, err := base64.StdEncoding.DecodeString(handle)
	if err != nil || len(b) != handleSize || [8]byte(b) != q.nonce {
		return nil, false, false
	}
	sequence := binary.BigEndian.Uint64(b[8:])
	if sequence == 0 || sequence > q.sequence {
		return nil, false, false
	}
	m = q.messages[sequence]
	return m, m != nil && m.lease == binary.BigEndian.Uint64(b[16:]), true
}

// attempt is a Take that may be repeated.
type attempt[T any] struct {
	id       string
	at       time.Time
	leases   []Lease[T]
	repeated bool
}

// attemptWindow is how long a Take may be repeated (SQS API reference,
// ReceiveMessage).
const attemptWindow = 5 * time.Minute

// Remember notes a Take under an id by which it may be repeated.
func (q *Queue[T]) Remember(id string, taken []Lease[T], now time.Time) {
	a := &attempt[T]{id: id, at: now, leases: taken}
	for _, l := range taken {
		l.message.attempt = a
	}
	q.attempts[id] = a
}

// Repeat gives the same messages again, under the same receipt handles, that
// were taken under this id, hidden until due. It gives nothing when there was no
// such Take in the last five minutes, or when one of its messages was removed,
// released or extended since, or became visible.
func (q *Queue[T]) Repeat(id string, now, due time.Time) []Lease[T] {
	a, ok := q.attempts[id]
	if !ok || now.Sub(a.at) >= attemptWindow {
		return nil
	}
	a.repeated = true
	for _, l := range a.leases {
		l.message.leased = now
		q.hide(l.message, inFlight, due)
	}
	return a.leases
}

// spoil forgets the attempt by which m is in flight: it cannot be repeated.
func (q *Queue[T]) spoil(m *Message[T]) {
	a := m.attempt
	if a == nil {
		return
	}
	for _, l := range a.leases {
		l.message.attempt = nil
	}
	if q.attempts[a.id] == a {
		delete(q.attempts, a.id)
	}
}
