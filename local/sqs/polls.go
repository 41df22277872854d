package sqs

import (
	"container/list"
	"context"
	"net/http"
	"slices"
	"time"
)

// poll is one receive, waiting or not.
type poll struct {
	limit      int
	visibility *time.Duration // nil: the queue's
	attemptID  string

	place  *list.Element // among the queue's polls while it waits
	result chan result   // takes one
}

type result struct {
	lent []lent
	err  error
}

// lent is a message as it was when it was handed out. The message itself goes
// on changing; only its unchanging part may be read without the lock.
type lent struct {
	*message
	handle        string
	receives      int
	firstReceived time.Time
	lease         uint64
}

// attempt is a receive that may be repeated under its ReceiveRequestAttemptId.
type attempt struct {
	id       string
	at       time.Time
	lent     []lent
	repeated bool
}

// attemptWindow is how long a receive may be repeated (API reference,
// ReceiveMessage).
const attemptWindow = 5 * time.Minute

// receive answers p at once when there is something to give, else waits for
// it. What a poll is given whose caller has gone meanwhile goes back.
func (s *Server) receive(ctx context.Context, url string, p *poll, wait *time.Duration) ([]lent, error) {
	s.mu.Lock()
	q, err := s.byURL(url)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	got := s.give(q, p)
	if wait == nil {
		wait = &q.settings.wait
	}
	timeout := *wait
	if len(got) > 0 || timeout == 0 || s.closed {
		err := q.overLimit(got)
		s.unlock()
		return got, err
	}
	p.place = q.polls.PushBack(p)
	s.touch(q)
	s.unlock()

	r := s.wait(ctx, q, p, timeout)
	if ctx.Err() != nil {
		s.takeBack(q, r.lent)
		return nil, ctx.Err()
	}
	return r.lent, r.err
}

// wait returns when p was answered, or when nobody should wait for it longer.
func (s *Server) wait(ctx context.Context, q *queue, p *poll, timeout time.Duration) result {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case r := <-p.result:
		return r
	case <-timer.C:
	case <-s.closing:
	case <-ctx.Done():
	}
	return s.leave(q, p)
}

// leave ends p's wait. A result that came in the same moment is not lost.
func (s *Server) leave(q *queue, p *poll) result {
	s.mu.Lock()
	defer s.unlock()
	if p.place == nil {
		return <-p.result
	}
	q.polls.Remove(p.place)
	p.place = nil
	s.touch(q)
	return result{}
}

// answer hands a waiting poll its result.
func (q *queue) answer(p *poll, got []lent, err error) {
	q.polls.Remove(p.place)
	p.place = nil
	p.result <- result{got, err}
}

// serve answers the polls that wait at q as far as it has something for them,
// the longest waiting first, and sets the alarm for those that go on waiting.
func (s *Server) serve(q *queue) {
	for e := q.polls.Front(); e != nil; {
		p := e.Value.(*poll)
		e = e.Next()
		if got := s.give(q, p); len(got) > 0 {
			q.answer(p, got, nil)
		}
	}
	at, due := q.next()
	if !due || q.polls.Len() == 0 || s.closed {
		q.alarm.stop()
		return
	}
	q.alarm.set(time.Until(at))
}

// give takes from q what it has for p: the same as before when p repeats an
// attempt. Messages that were received too often are buried on the way.
func (s *Server) give(q *queue, p *poll) []lent {
	now := time.Now()
	q.tick(now)
	visibility := q.settings.visibility
	if p.visibility != nil {
		visibility = *p.visibility
	}
	if got := q.repeat(p.attemptID, now, visibility); got != nil {
		return got
	}
	grave, _ := s.byARN(q.settings.redrive.target)
	taken, dead := q.take(p.limit, now, now.Add(visibility), func(m *message) bool {
		return grave != nil && m.receivesHere >= q.settings.redrive.max
	})
	for _, m := range dead {
		s.bury(m, q, grave, now)
	}
	got := make([]lent, 0, len(taken))
	for _, m := range taken {
		got = append(got, lent{m, q.handle(m), m.receives, m.firstReceived, m.lease})
	}
	q.attempted(p.attemptID, got, now)
	return got
}

// overLimit is what a short poll of a standard queue is told that has as many
// messages in flight as it may; a FIFO queue and a long poll just get nothing
// (developer guide, "Amazon SQS message quotas").
func (q *queue) overLimit(got []lent) error {
	if len(got) > 0 || q.settings.fifo || q.inFlight < maxInFlight {
		return nil
	}
	e := refuse("OverLimit", "The maximum number of in flight messages is reached.")
	e.Status = http.StatusForbidden
	return e
}

// bury moves m to the dead-letter queue. It keeps its message id, which
// becomes its deduplication id; on a FIFO queue it counts as sent now, on a
// standard queue its age goes on (developer guide, "Using dead-letter queues").
func (s *Server) bury(m *message, from, grave *queue, now time.Time) {
	grave.tick(now)
	dead := m.moved()
	dead.source = from.arn
	if grave.settings.fifo {
		dead.deduplicationID = m.id
		dead.sent = now
	}
	grave.add(dead, 0)
	if grave.settings.fifo {
		// Remembered, so that a sender's copy under the same id is a duplicate;
		// never looked up, so that nothing that dies can vanish.
		grave.accepted.remember(grave.acceptanceKey(dead.group, dead.deduplicationID), dead, now)
	}
	s.touch(grave)
}

// attempted notes a receive that may be repeated.
func (q *queue) attempted(id string, got []lent, now time.Time) {
	if id == "" || len(got) == 0 || !q.settings.fifo {
		return
	}
	a := &attempt{id: id, at: now, lent: got}
	for _, l := range got {
		l.attempt = a
	}
	q.attempts[id] = a
}

// repeat answers an attempt that was made before with the same messages and
// receipt handles, hidden anew. It returns nil when there was none, or when one
// of its messages was deleted, changed or became visible since.
func (q *queue) repeat(id string, now time.Time, visibility time.Duration) []lent {
	a, ok := q.attempts[id]
	if !ok || now.Sub(a.at) >= attemptWindow {
		return nil
	}
	a.repeated = true
	for _, l := range a.lent {
		l.leased = now
		q.hide(l.message, inFlight, now.Add(visibility))
	}
	return a.lent
}

// spoil forgets the attempt that m was received by: it cannot be repeated.
func (q *queue) spoil(m *message) {
	a := m.attempt
	if a == nil {
		return
	}
	for _, l := range a.lent {
		l.attempt = nil
	}
	if q.attempts[a.id] == a {
		delete(q.attempts, a.id)
	}
}

// takeBack returns to q what a poll was given that nobody waits for any more,
// unless the same attempt was repeated and so given to somebody else.
func (s *Server) takeBack(q *queue, got []lent) {
	if len(got) == 0 {
		return
	}
	s.mu.Lock()
	defer s.unlock()
	if a := got[0].attempt; a != nil && a.repeated {
		return
	}
	for _, l := range slices.Backward(got) {
		if q.messages[l.sequence] == l.message && l.message.lease == l.lease && l.state == inFlight {
			q.takeBack(l.message)
		}
	}
	s.touch(q)
}
