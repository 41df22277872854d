package queue

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// Outgoing is a message to send or to publish. Group and DeduplicationID are
// for FIFO queues and topics.
type Outgoing struct {
	Body            string
	Group           string
	DeduplicationID string
	Attributes      map[string]string // at most ten, none empty
}

// octets is how much of a call's limit the message takes.
func (o Outgoing) octets() int {
	n := len(o.Body)
	for name, value := range o.Attributes {
		n += len(name) + len(value) + len(stringType)
	}
	return n
}

const stringType = "String"

// Result is the answer to one message that was sent.
type Result struct {
	ID       string
	Sequence string // FIFO only
	Err      error
}

// longestCall is how many octets SQS takes in one call (SendMessageBatch in the
// SQS API reference).
const longestCall = 1 << 20

// Send sends messages in their order. After a call that failed as a whole, the
// messages behind it were not sent.
func (q *Queue) Send(ctx context.Context, messages []Outgoing) []Result {
	return sendInCalls(messages, longestCall, func(messages []Outgoing, results []Result) error {
		return q.send(ctx, messages, results)
	})
}

// send makes one call.
func (q *Queue) send(ctx context.Context, messages []Outgoing, results []Result) error {
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{
			Id: entryID(i), MessageBody: &messages[i].Body, MessageAttributes: stringAttributes(m.Attributes),
			MessageGroupId: optional(m.Group), MessageDeduplicationId: optional(m.DeduplicationID),
		}
	}
	out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		return fmt.Errorf("send to %s: %w", q.url, err)
	}
	answers := noAnswers(results)
	for _, s := range out.Successful {
		answers.sent(s.Id, s.MessageId, s.SequenceNumber)
	}
	for _, f := range out.Failed {
		answers.failed(f.Id, f.Code, f.Message, f.SenderFault)
	}
	return nil
}

func stringAttributes(attributes map[string]string) map[string]types.MessageAttributeValue {
	if len(attributes) == 0 {
		return nil
	}
	all := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		all[name] = types.MessageAttributeValue{DataType: aws.String(stringType), StringValue: &value}
	}
	return all
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
