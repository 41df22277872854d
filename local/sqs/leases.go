package sqs

import (
	"context"
	"time"
)

type deleteInput struct {
	QueueUrl      string //nolint:revive // The API's name.
	ReceiptHandle string
}

func (s *Server) deleteMessage(_ context.Context, in deleteInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return nil, s.delete(q, in.ReceiptHandle)
}

type leaseEntry struct {
	Id                string //nolint:revive // The API's name.
	ReceiptHandle     string
	VisibilityTimeout *int
}

type leaseBatchInput struct {
	QueueUrl string //nolint:revive // The API's name.
	Entries  []leaseEntry
}

type leaseBatchEntry struct{ Id string } //nolint:revive // The API's name.

func (s *Server) deleteMessageBatch(_ context.Context, in leaseBatchInput) (any, error) {
	return s.eachLease(in, func(q *queue, e leaseEntry) error { return s.delete(q, e.ReceiptHandle) })
}

// eachLease applies f to every entry of a batch and sorts out what failed.
func (s *Server) eachLease(in leaseBatchInput, f func(*queue, leaseEntry) error) (any, error) {
	if err := checkBatch(in.Entries, func(e leaseEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out := batchOutput[leaseBatchEntry]{Successful: []leaseBatchEntry{}}
	for _, e := range in.Entries {
		if err := f(q, e); err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, leaseBatchEntry{e.Id})
	}
	return out, nil
}

// delete deletes the message that handle stands for. Deleting twice succeeds.
// A FIFO queue refuses an expired handle. A standard queue takes it as long as
// nobody received the message since, and after that succeeds without effect
// (API reference, DeleteMessage).
func (s *Server) delete(q *queue, handle string) error {
	if handle == "" {
		return missing("ReceiptHandle")
	}
	q.tick(time.Now())
	s.touch(q)
	m, fresh, err := q.lent(handle)
	if err != nil {
		return err
	}
	if m == nil {
		return nil
	}
	if q.settings.fifo && (!fresh || m.state != inFlight) {
		return invalidValue(handle, "ReceiptHandle", "The receipt handle has expired.")
	}
	if fresh {
		q.remove(m)
	}
	return nil
}

type changeVisibilityInput struct {
	QueueUrl string //nolint:revive // The API's name.
	leaseEntry
}

func (s *Server) changeMessageVisibility(_ context.Context, in changeVisibilityInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return nil, s.changeVisibility(q, in.leaseEntry)
}

func (s *Server) changeMessageVisibilityBatch(_ context.Context, in leaseBatchInput) (any, error) {
	return s.eachLease(in, s.changeVisibility)
}

// changeVisibility sets when a message that is in flight becomes visible
// again, counted from now; 0 releases it at once. A message cannot be in flight
// for more than 12 hours after it was received (API reference,
// ChangeMessageVisibility).
func (s *Server) changeVisibility(q *queue, e leaseEntry) error {
	if e.ReceiptHandle == "" {
		return missing("ReceiptHandle")
	}
	if e.VisibilityTimeout == nil {
		return missing("VisibilityTimeout")
	}
	timeout, err := optionalSeconds(e.VisibilityTimeout, "VisibilityTimeout", maxVisibility)
	if err != nil {
		return err
	}
	now := time.Now()
	q.tick(now)
	s.touch(q)
	m, fresh, err := q.lent(e.ReceiptHandle)
	if err != nil {
		return err
	}
	if !fresh {
		return notAvailable(e.ReceiptHandle)
	}
	if m.state != inFlight {
		return refuseShape("MessageNotInflight", "The message referred to isn't in flight.")
	}
	due := now.Add(*timeout)
	if due.Sub(m.leased) > maxVisibility {
		return invalidValue(*e.VisibilityTimeout, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	q.spoil(m)
	if *timeout == 0 {
		q.show(m)
		return nil
	}
	q.hide(m, inFlight, due)
	return nil
}
