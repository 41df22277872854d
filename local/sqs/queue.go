package sqs

import (
	"container/list"
	"time"

	"inreply/local/sqs/groups"
)

// queue is one queue. It is guarded by its Server's lock; whoever uses it calls
// tick first.
type queue struct {
	name, arn string
	settings  settings
	tags      map[string]string
	created   time.Time
	modified  time.Time
	purged    time.Time // zero: never

	messages *groups.Queue[content]
	accepted acceptances
	polls    list.List // of *poll: those that wait, longest first
	alarm    alarm     // for the next thing that happens by itself, while polls wait
}

// content is what a message says. It never changes, so that answers are
// written from it outside the lock.
type content struct {
	id              string
	body            string
	bodyMD5         string
	attributes      map[string]Attribute
	attributesMD5   string
	trace           string // AWSTraceHeader, the one system attribute that a sender may set
	deduplicationID string
	source          string // ARN of the queue in which it died
}

type (
	message = groups.Message[content]
	lease   = groups.Lease[content]
)

func newQueue(name, arn string, nonce [8]byte, st settings, now time.Time) *queue {
	return &queue{
		name: name, arn: arn, settings: st, tags: map[string]string{}, created: now, modified: now,
		messages: groups.New[content](st.fifo, nonce, st.retention),
		accepted: acceptances{seen: map[acceptanceKey]acceptance{}},
	}
}

// tick brings the queue up to now.
func (q *queue) tick(now time.Time) {
	q.messages.Tick(now)
	q.accepted.forget(now)
}

// change gives the queue other settings. A FIFO queue's new delay holds for
// messages that are delayed already, a standard queue's does not (API reference,
// SetQueueAttributes).
func (q *queue) change(st settings, now time.Time) {
	if st.fifo && st.delay != q.settings.delay {
		q.messages.Redelay(st.delay)
	}
	q.messages.Retain(st.retention)
	q.settings, q.modified = st, now
}

// purge forgets every message and every deduplication id.
func (q *queue) purge(now time.Time) {
	q.messages.Purge()
	q.accepted = acceptances{seen: map[acceptanceKey]acceptance{}}
	q.purged = now
}

// deduplicationWindow is how long a FIFO queue remembers a deduplication id
// (developer guide, "Exactly-once processing").
const deduplicationWindow = 5 * time.Minute

// acceptances remembers by deduplication id which message was accepted, for
// deduplicationWindow, whatever became of the message.
type acceptances struct {
	seen  map[acceptanceKey]acceptance
	order []acceptanceKey // the oldest first
}

type acceptanceKey struct{ group, id string }

type acceptance struct {
	messageID string
	sequence  uint64
	at        time.Time
}

// acceptanceKey is what a deduplication id is remembered under: it counts for
// the whole queue, or for its group where DeduplicationScope says so.
func (q *queue) acceptanceKey(group, id string) acceptanceKey {
	if q.settings.scope != "messageGroup" {
		group = ""
	}
	return acceptanceKey{group: group, id: id}
}

func (a *acceptances) remember(key acceptanceKey, m *message, now time.Time) {
	if _, known := a.seen[key]; known {
		return
	}
	a.seen[key] = acceptance{messageID: m.Content.id, sequence: m.Sequence(), at: now}
	a.order = append(a.order, key)
}

func (a *acceptances) forget(now time.Time) {
	for len(a.order) > 0 && now.Sub(a.seen[a.order[0]].at) >= deduplicationWindow {
		delete(a.seen, a.order[0])
		a.order = a.order[1:]
	}
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
