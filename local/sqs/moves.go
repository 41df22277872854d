package sqs

import (
	"context"
	"encoding/base64"
	"net/http"
	"slices"
	"time"
)

// The states of a move, as ListMessageMoveTasks names them.
const (
	moveRunning   = "RUNNING"
	moveCompleted = "COMPLETED"
	moveCancelled = "CANCELLED"
	moveFailed    = "FAILED"
)

// maxMoveRate is how many messages a second a move moves unless it is told
// less (API reference, StartMessageMoveTask).
const maxMoveRate = 500

// move is what the API calls a message move task: it empties a dead-letter
// queue into the queues that its messages came from, or into one destination.
type move struct {
	handle      string
	from, to    string // ARNs; to is empty for "where each message came from"
	rate        int    // messages a second; 0: not given
	status      string
	reason      string // why it failed
	started     time.Time
	moved, plan int
	alarm       alarm
}

type startMoveInput struct {
	SourceArn                    string
	DestinationArn               string
	MaxNumberOfMessagesPerSecond *int
}

type startMoveOutput struct{ TaskHandle string }

func (s *Server) startMessageMoveTask(_ context.Context, in startMoveInput) (any, error) {
	if in.SourceArn == "" {
		return nil, missing("SourceArn")
	}
	rate := 0
	if in.MaxNumberOfMessagesPerSecond != nil {
		rate = *in.MaxNumberOfMessagesPerSecond
		if rate < 1 || rate > maxMoveRate {
			return nil, invalidValue(rate, "MaxNumberOfMessagesPerSecond", "Must be between 1 and 500.")
		}
	}
	s.mu.Lock()
	defer s.unlock()
	if err := s.movable(in.SourceArn, in.DestinationArn); err != nil {
		return nil, err
	}
	from, err := s.byARN(in.SourceArn)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	from.tick(now)
	plan, _, _ := from.messages.Counts()
	m := &move{
		from: in.SourceArn, to: in.DestinationArn, rate: rate,
		status: moveRunning, started: now, plan: plan,
	}
	m.handle = base64.StdEncoding.EncodeToString([]byte(s.newID() + " " + in.SourceArn))
	s.moves = append(s.moves, m)
	m.alarm.ring = func() { s.step(m) }
	m.alarm.set(0)
	return startMoveOutput{m.handle}, nil
}

// movable says whether messages may be moved so.
func (s *Server) movable(from, to string) error {
	source, err := s.byARN(from)
	if err != nil {
		return noSuchResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	if len(s.sourcesOf(source)) == 0 {
		return invalidParameter("Source queue must be configured as a Dead Letter Queue.")
	}
	if slices.ContainsFunc(s.moves, func(m *move) bool { return m.from == from && m.status == moveRunning }) {
		return invalidParameter("There is already a task running. Only one active task is allowed for a source queue arn at a given time.")
	}
	if to == "" {
		return nil
	}
	destination, err := s.byARN(to)
	if err != nil {
		return noSuchResource("The resource that you specified for the DestinationArn parameter doesn't exist.")
	}
	if destination == source {
		return invalidParameter("Source queue ARN and destination queue ARN must be different.")
	}
	if destination.settings.fifo != source.settings.fifo {
		return invalidParameter("Destination queue must be of the same type as the source queue.")
	}
	return nil
}

func noSuchResource(message string) *Error {
	e := refuse("ResourceNotFoundException", "%s", message)
	e.Status = http.StatusNotFound
	return e
}

// step moves the messages that are due and sets the alarm for the next ones,
// about fifty times a second.
func (s *Server) step(m *move) {
	s.mu.Lock()
	defer s.unlock()
	if s.closed || m.status != moveRunning {
		return
	}
	rate := m.rate
	if rate == 0 {
		rate = maxMoveRate
	}
	now, portion := time.Now(), max(1, rate/50)
	for range portion {
		if !s.moveOne(m, now) {
			return
		}
	}
	m.alarm.set(time.Duration(portion) * time.Second / time.Duration(rate))
}

// moveOne moves the message whose turn it is, and says whether the move goes
// on. A redriven message is a new message: new id, received never, sent now
// (API reference, StartMessageMoveTask). Its id is its deduplication id, so that
// the destination cannot take it for one that it has seen.
func (s *Server) moveOne(m *move, now time.Time) bool {
	from, err := s.byARN(m.from)
	if err != nil {
		m.status, m.reason = moveFailed, "AWS.SimpleQueueService.NonExistentQueue"
		return false
	}
	from.tick(now)
	old := from.messages.Head()
	if old == nil || m.moved >= m.plan {
		m.status = moveCompleted
		return false
	}
	to, reason := s.destination(m, old)
	if reason != "" {
		m.status, m.reason = moveFailed, reason
		return false
	}
	to.tick(now)
	from.messages.Remove(old)
	fresh := &message{Content: old.Content, Group: old.Group, Sent: now}
	fresh.Content.id, fresh.Content.source = s.newID(), ""
	if to.settings.fifo {
		fresh.Content.deduplicationID = fresh.Content.id
	}
	to.messages.Add(fresh, 0)
	m.moved++
	s.touch(from)
	s.touch(to)
	return true
}

// destination is where old goes; reason says why it can go nowhere.
func (s *Server) destination(m *move, old *message) (to *queue, reason string) {
	arn := m.to
	if arn == "" {
		arn = old.Content.source
	}
	if arn == "" {
		return nil, "CouldNotDetermineMessageSource"
	}
	to, err := s.byARN(arn)
	if err != nil {
		return nil, "AWS.SimpleQueueService.NonExistentQueue"
	}
	return to, ""
}

type listMovesInput struct {
	SourceArn  string
	MaxResults *int
}

type listMovesOutput struct {
	Results []moveEntry `json:",omitempty"`
}

type moveEntry struct {
	TaskHandle                        string `json:",omitempty"`
	Status                            string
	SourceArn                         string
	DestinationArn                    string `json:",omitempty"`
	MaxNumberOfMessagesPerSecond      int    `json:",omitempty"`
	ApproximateNumberOfMessagesMoved  int
	ApproximateNumberOfMessagesToMove int
	FailureReason                     string `json:",omitempty"`
	StartedTimestamp                  int64
}

// listMessageMoveTasks lists the moves out of a queue, the newest first.
func (s *Server) listMessageMoveTasks(_ context.Context, in listMovesInput) (any, error) {
	most := 1
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	if most < 1 || most > 10 {
		return nil, invalidValue(most, "MaxResults", "Must be between 1 and 10.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.byARN(in.SourceArn); err != nil {
		return nil, noSuchResource("The resource that you specified for the SourceArn parameter doesn't exist.")
	}
	var out listMovesOutput
	for _, m := range slices.Backward(s.moves) {
		if m.from == in.SourceArn && len(out.Results) < most {
			out.Results = append(out.Results, m.entry())
		}
	}
	return out, nil
}

func (m *move) entry() moveEntry {
	e := moveEntry{
		Status: m.status, SourceArn: m.from, DestinationArn: m.to,
		MaxNumberOfMessagesPerSecond:      m.rate,
		ApproximateNumberOfMessagesMoved:  m.moved,
		ApproximateNumberOfMessagesToMove: m.plan,
		FailureReason:                     m.reason,
		StartedTimestamp:                  m.started.UnixMilli(),
	}
	if m.status == moveRunning {
		e.TaskHandle = m.handle
	}
	return e
}

type cancelMoveInput struct{ TaskHandle string }

type cancelMoveOutput struct{ ApproximateNumberOfMessagesMoved int }

// cancelMessageMoveTask ends a move. What it has moved stays moved.
func (s *Server) cancelMessageMoveTask(_ context.Context, in cancelMoveInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.moves, func(m *move) bool { return m.handle == in.TaskHandle })
	if i < 0 {
		return nil, noSuchResource("Task does not exist.")
	}
	m := s.moves[i]
	if m.status != moveRunning {
		return nil, refuseShape("UnsupportedOperation", "Only active tasks can be cancelled.")
	}
	m.alarm.stop()
	m.status = moveCancelled
	return cancelMoveOutput{m.moved}, nil
}
