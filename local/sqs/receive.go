package sqs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

type receiveInput struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	ReceiveRequestAttemptId     string
	MessageAttributeNames       []string
	MessageSystemAttributeNames []string
	AttributeNames              []string // the older name of MessageSystemAttributeNames
}

type receiveOutput struct {
	Messages []receivedMessage `json:",omitempty"`
}

type receivedMessage struct {
	MessageId              string
	ReceiptHandle          string
	Body                   string
	MD5OfBody              string
	Attributes             map[string]string    `json:",omitempty"`
	MessageAttributes      map[string]Attribute `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
}

func (s *Server) receiveMessage(ctx context.Context, in receiveInput) (any, error) {
	p, wait, err := in.poll()
	if err != nil {
		return nil, err
	}
	got, err := s.receive(ctx, in.QueueUrl, p, wait)
	if err != nil {
		return nil, err
	}
	var out receiveOutput
	system := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	for _, l := range got {
		out.Messages = append(out.Messages, show(l, system, in.MessageAttributeNames))
	}
	return out, nil
}

// poll checks the input; wait is nil for the queue's own wait time.
func (in receiveInput) poll() (p *poll, wait *time.Duration, err error) {
	p = &poll{limit: 1, attemptID: in.ReceiveRequestAttemptId, result: make(chan result, 1)}
	if in.MaxNumberOfMessages != nil {
		p.limit = *in.MaxNumberOfMessages
	}
	if p.limit < 1 || p.limit > maxBatch {
		return nil, nil, invalidValue(p.limit, "MaxNumberOfMessages", "Must be between 1 and 10, if provided.")
	}
	if p.visibility, err = optionalSeconds(in.VisibilityTimeout, "VisibilityTimeout", maxVisibility); err != nil {
		return nil, nil, err
	}
	if wait, err = optionalSeconds(in.WaitTimeSeconds, "WaitTimeSeconds", maxWait); err != nil {
		return nil, nil, err
	}
	if p.attemptID != "" && !token(p.attemptID) {
		return nil, nil, invalidValue(p.attemptID, "ReceiveRequestAttemptId", "Must be 1 to 128 alphanumeric characters or punctuation.")
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if !slices.Contains(systemAttributeNames(), name) {
			return nil, nil, unknownAttribute(name)
		}
	}
	return p, wait, nil
}

func optionalSeconds(n *int, name string, most time.Duration) (*time.Duration, error) {
	if n == nil {
		return nil, nil
	}
	d := time.Duration(*n) * time.Second
	if d < 0 || d > most {
		return nil, invalidValue(*n, name, "Must be >= 0 and <= "+strconv.Itoa(int(most/time.Second))+", if provided.")
	}
	return &d, nil
}

// systemAttributeNames lists what a receive may ask for.
func systemAttributeNames() []string {
	return []string{
		"All", "ApproximateFirstReceiveTimestamp", "ApproximateReceiveCount", traceHeader, "DeadLetterQueueSourceArn",
		"MessageDeduplicationId", "MessageGroupId", "SenderId", "SentTimestamp", "SequenceNumber",
	}
}

// show is the message as the receiver asked to see it.
func show(l lease, system, names []string) receivedMessage {
	c := l.Content
	out := receivedMessage{
		MessageId:         c.id,
		ReceiptHandle:     l.Handle,
		Body:              c.body,
		MD5OfBody:         c.bodyMD5,
		Attributes:        systemAttributes(l, system),
		MessageAttributes: chosen(c.attributes, names),
	}
	switch len(out.MessageAttributes) {
	case 0:
	case len(c.attributes):
		out.MD5OfMessageAttributes = c.attributesMD5
	default:
		out.MD5OfMessageAttributes = attributesMD5(out.MessageAttributes)
	}
	return out
}

func systemAttributes(l lease, names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	millis := func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
	all := map[string]string{
		"SenderId":                         "AIDAINREPLYLOCAL",
		"SentTimestamp":                    millis(l.Sent),
		"ApproximateReceiveCount":          strconv.Itoa(l.Receives),
		"ApproximateFirstReceiveTimestamp": millis(l.FirstReceived),
		"MessageGroupId":                   l.Group,
		"MessageDeduplicationId":           l.Content.deduplicationID,
		"DeadLetterQueueSourceArn":         l.Content.source,
		traceHeader:                        l.Content.trace,
	}
	if l.Content.deduplicationID != "" {
		all["SequenceNumber"] = sequenceNumber(l.Sequence)
	}
	everything := slices.Contains(names, "All")
	maps.DeleteFunc(all, func(name, value string) bool {
		return value == "" || !everything && !slices.Contains(names, name)
	})
	return all
}

// chosen returns the attributes that names ask for: a name, "All" or ".*" for
// every one, "prefix.*" for those that begin so.
func chosen(attributes map[string]Attribute, names []string) map[string]Attribute {
	out := map[string]Attribute{}
	for name, a := range attributes {
		if slices.ContainsFunc(names, func(asked string) bool {
			prefix, wild := strings.CutSuffix(asked, ".*")
			return asked == "All" || asked == name || wild && strings.HasPrefix(name, prefix)
		}) {
			out[name] = a
		}
	}
	return out
}

type deleteInput struct {
	QueueUrl      string
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
	Id                string
	ReceiptHandle     string
	VisibilityTimeout *int
}

type leaseBatchInput struct {
	QueueUrl string
	Entries  []leaseEntry
}

type leaseBatchEntry struct{ Id string }

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
	m, newest, ok := q.messages.Find(handle)
	if !ok {
		return badHandle()
	}
	if m == nil {
		return nil
	}
	if q.settings.fifo && (!newest || !m.InFlight()) {
		return invalidValue(handle, "ReceiptHandle", "The receipt handle has expired.")
	}
	if newest {
		q.messages.Remove(m)
	}
	return nil
}

type changeVisibilityInput struct {
	QueueUrl string
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
	m, newest, ok := q.messages.Find(e.ReceiptHandle)
	if !ok {
		return badHandle()
	}
	if !newest {
		return notAvailable(e.ReceiptHandle)
	}
	if !m.InFlight() {
		return refuseShape("MessageNotInflight", "The message referred to isn't in flight.")
	}
	due := now.Add(*timeout)
	if due.Sub(m.Leased()) > maxVisibility {
		return invalidValue(*e.VisibilityTimeout, "VisibilityTimeout", "Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	if *timeout == 0 {
		q.messages.Release(m)
		return nil
	}
	q.messages.Extend(m, due)
	return nil
}
