package sqs

import (
	"container/list"
	"context"
	"net/http"
	"time"

	"inreply/local/sqs/groups"
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
	leases []lease
	err    error
}

// receive answers p at once when there is something to give, else waits for
// it. What a poll is given whose caller has gone meanwhile goes back.
func (s *Server) receive(ctx context.Context, url string, p *poll, wait *time.Duration) ([]lease, error) {
	s.mu.Lock()
	q, err := s.byURL(url)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if wait == nil {
		wait = &q.settings.wait
	}
	timeout := *wait
	r := result{leases: s.give(q, p)}
	waits := len(r.leases) == 0 && timeout > 0 && !s.closed
	if waits {
		p.place = q.polls.PushBack(p)
		s.touch(q)
	} else {
		r.err = q.overLimit(r.leases)
	}
	s.unlock()

	if waits {
		r = s.wait(ctx, q, p, timeout)
	}
	if ctx.Err() != nil {
		s.takeBack(q, r.leases)
		return nil, ctx.Err()
	}
	return r.leases, r.err
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
func (q *queue) answer(p *poll, got []lease, err error) {
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
	at, due := q.messages.Next()
	if !due || q.polls.Len() == 0 || s.closed {
		q.alarm.stop()
		return
	}
	q.alarm.set(time.Until(at))
}

// give takes from q what it has for p: the same as before when p repeats an
// attempt. Messages that were received too often are buried on the way.
func (s *Server) give(q *queue, p *poll) []lease {
	now := time.Now()
	q.tick(now)
	visibility := q.settings.visibility
	if p.visibility != nil {
		visibility = *p.visibility
	}
	due := now.Add(visibility)
	repeatable := p.attemptID != "" && q.settings.fifo
	if repeatable {
		if got := q.messages.Repeat(p.attemptID, now, due); len(got) > 0 {
			return got
		}
	}
	grave := s.graveOf(q)
	taken, dead := q.messages.Take(p.limit, now, due, func(m *message) bool {
		return grave != nil && m.ReceivesHere() >= q.settings.redrive.max
	})
	for _, m := range dead {
		s.bury(m, q, grave, now)
	}
	if repeatable && len(taken) > 0 {
		q.messages.Remember(p.attemptID, taken, now)
	}
	return taken
}

// graveOf is the dead-letter queue of q, or nil.
func (s *Server) graveOf(q *queue) *queue {
	if q.settings.redrive.target == "" {
		return nil
	}
	grave, err := s.byARN(q.settings.redrive.target)
	if err != nil {
		return nil // Deleted since the policy was set: messages stay.
	}
	return grave
}

// overLimit is what a short poll of a standard queue is told that has as many
// messages in flight as it may; a FIFO queue and a long poll just get nothing
// (developer guide, "Amazon SQS message quotas").
func (q *queue) overLimit(got []lease) error {
	_, inFlight, _ := q.messages.Counts()
	if len(got) > 0 || q.settings.fifo || inFlight < groups.MaxInFlight {
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
	dead := &message{Content: m.Content, Group: m.Group, Sent: m.Sent, Receives: m.Receives, FirstReceived: m.FirstReceived}
	dead.Content.source = from.arn
	if !grave.settings.fifo {
		grave.messages.Add(dead, 0)
		s.touch(grave)
		return
	}
	dead.Content.deduplicationID = m.Content.id
	dead.Sent = now
	grave.messages.Add(dead, 0)
	// Remembered, so that a sender's copy under the same id is a duplicate; never
	// looked up, so that nothing that dies can vanish.
	grave.accepted.remember(grave.acceptanceKey(dead.Group, dead.Content.deduplicationID), dead, now)
	s.touch(grave)
}

// takeBack returns to q what a poll was given that nobody waits for any more.
func (s *Server) takeBack(q *queue, got []lease) {
	s.mu.Lock()
	defer s.unlock()
	q.messages.TakeBack(got)
	s.touch(q)
}
