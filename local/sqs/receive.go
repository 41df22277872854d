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
	QueueUrl                    string //nolint:revive // The API's name.
	MaxNumberOfMessages         *int
	VisibilityTimeout           *int
	WaitTimeSeconds             *int
	ReceiveRequestAttemptId     string //nolint:revive // The API's name.
	MessageAttributeNames       []string
	MessageSystemAttributeNames []string
	AttributeNames              []string // the older name of MessageSystemAttributeNames
}

type receiveOutput struct {
	Messages []receivedMessage `json:",omitempty"`
}

type receivedMessage struct {
	MessageId              string //nolint:revive // The API's name.
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
		out.Messages = append(out.Messages, l.show(system, in.MessageAttributeNames))
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
func (l lent) show(system, names []string) receivedMessage {
	out := receivedMessage{
		MessageId:     l.id,
		ReceiptHandle: l.handle,
		Body:          l.body,
		MD5OfBody:     l.bodyMD5,
		Attributes:    l.system(system),
	}
	out.MessageAttributes = chosen(l.attributes, names)
	switch len(out.MessageAttributes) {
	case 0:
	case len(l.attributes):
		out.MD5OfMessageAttributes = l.attributesMD5
	default:
		out.MD5OfMessageAttributes = attributesMD5(out.MessageAttributes)
	}
	return out
}

func (l lent) system(names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	millis := func(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
	all := map[string]string{
		"SenderId":                         "AIDAINREPLYLOCAL",
		"SentTimestamp":                    millis(l.sent),
		"ApproximateReceiveCount":          strconv.Itoa(l.receives),
		"ApproximateFirstReceiveTimestamp": millis(l.firstReceived),
		"MessageGroupId":                   l.group,
		"MessageDeduplicationId":           l.deduplicationID,
		"DeadLetterQueueSourceArn":         l.source,
		traceHeader:                        l.trace,
	}
	if l.deduplicationID != "" {
		all["SequenceNumber"] = sequenceNumber(l.sequence)
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
