// Package queue is SQS and SNS as verbs in batches. What is given in a batch is
// answered entry by entry, in the order in which it was given: a call of ten in
// which one failed is nine that did not.
//
// No call here is retried but by the AWS SDK, and a receive not even by that:
// who asked knows better whether to ask again, and under which attempt id. SQS
// and SNS take ten entries a call, and only so many octets; the verbs here take
// any number and make as many calls as that needs, one after the other, so that
// what is sent to one group stays in order.
package queue

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// perCall is how many entries SQS and SNS take in one call.
const perCall = 10

// Queue is one SQS queue, standard or FIFO. It is safe for concurrent use.
type Queue struct {
	client *sqs.Client
	url    string
}

// New returns the queue at url.
func New(client *sqs.Client, url string) *Queue {
	return &Queue{client: client, url: url}
}

// URL is where the queue is.
func (q *Queue) URL() string { return q.url }

// Message is one received message.
type Message struct {
	ID              string
	Handle          string // of this receive: what deletes or extends it
	Body            string
	Group           string // empty in a standard queue that was sent none
	DeduplicationID string
	Sequence        string // decimal; grows within a queue
	ReceiveCount    int    // this receive included
	Sent            time.Time
	SourceARN       string            // of the queue that SQS moved it from, when it is a dead letter
	Attributes      map[string]string // String and Number message attributes
}

// Receive says what to receive. Zero Wait and Visibility mean the queue's own:
// SQS cannot be told zero through the SDK, which leaves it out.
type Receive struct {
	Max        int           // 1 to 10
	Wait       time.Duration // of the long poll, whole seconds
	Visibility time.Duration // whole seconds
	Attempt    string        // the same for every call of one logical receive; FIFO queues only
}

// systemAttributes are those that Message has fields for.
func systemAttributes() []types.MessageSystemAttributeName {
	return []types.MessageSystemAttributeName{
		types.MessageSystemAttributeNameMessageGroupId,
		types.MessageSystemAttributeNameMessageDeduplicationId,
		types.MessageSystemAttributeNameSequenceNumber,
		types.MessageSystemAttributeNameApproximateReceiveCount,
		types.MessageSystemAttributeNameSentTimestamp,
		types.MessageSystemAttributeNameDeadLetterQueueSourceArn,
	}
}

// Receive asks once. When it fails, messages may be leased all the same: on a
// FIFO queue the same Attempt brings them again.
func (q *Queue) Receive(ctx context.Context, r Receive) ([]Message, error) {
	in := &sqs.ReceiveMessageInput{
		QueueUrl:                    &q.url,
		MaxNumberOfMessages:         int32(r.Max), //nolint:gosec // at most 10
		WaitTimeSeconds:             seconds(r.Wait),
		VisibilityTimeout:           seconds(r.Visibility),
		MessageSystemAttributeNames: systemAttributes(),
		MessageAttributeNames:       []string{"All"},
	}
	if r.Attempt != "" {
		in.ReceiveRequestAttemptId = &r.Attempt
	}
	out, err := q.client.ReceiveMessage(ctx, in, once)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", q.url, err)
	}
	messages := make([]Message, len(out.Messages))
	for i, m := range out.Messages {
		messages[i] = message(m)
	}
	return messages, nil
}

// once turns the SDK's retries off.
func once(o *sqs.Options) { o.Retryer = aws.NopRetryer{} }

func message(m types.Message) Message {
	count, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
	sent, _ := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64)
	return Message{
		ID:              aws.ToString(m.MessageId),
		Handle:          aws.ToString(m.ReceiptHandle),
		Body:            aws.ToString(m.Body),
		Group:           m.Attributes["MessageGroupId"],
		DeduplicationID: m.Attributes["MessageDeduplicationId"],
		Sequence:        m.Attributes["SequenceNumber"],
		ReceiveCount:    count,
		Sent:            time.UnixMilli(sent),
		SourceARN:       m.Attributes["DeadLetterQueueSourceArn"],
		Attributes:      texts(m.MessageAttributes),
	}
}

func texts(attributes map[string]types.MessageAttributeValue) map[string]string {
	if len(attributes) == 0 {
		return nil
	}
	texts := map[string]string{}
	for name, a := range attributes {
		if a.StringValue != nil {
			texts[name] = *a.StringValue
		}
	}
	return texts
}

// Delete deletes messages by the handles of their last receive.
func (q *Queue) Delete(ctx context.Context, handles []string) []error {
	return inCalls(handles, func(handles []string, errs []error) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(handles))
		for i := range handles {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &handles[i]}
		}
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			fill(errs, fmt.Errorf("delete from %s: %w", q.url, err))
			return
		}
		unanswered := answers(errs)
		for _, s := range out.Successful {
			unanswered.ok(s.Id)
		}
		for _, f := range out.Failed {
			unanswered.failed(f.Id, f.Code, f.Message, f.SenderFault)
		}
	})
}

// Extension sets how long from now a received message stays invisible.
type Extension struct {
	Handle string
	For    time.Duration // whole seconds; zero gives the message back
}

// Extend changes the visibility of messages.
func (q *Queue) Extend(ctx context.Context, extensions []Extension) []error {
	return inCalls(extensions, func(extensions []Extension, errs []error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(extensions))
		for i := range extensions {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: entryID(i), ReceiptHandle: &extensions[i].Handle, VisibilityTimeout: seconds(extensions[i].For),
			}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			fill(errs, fmt.Errorf("change visibility in %s: %w", q.url, err))
			return
		}
		unanswered := answers(errs)
		for _, s := range out.Successful {
			unanswered.ok(s.Id)
		}
		for _, f := range out.Failed {
			unanswered.failed(f.Id, f.Code, f.Message, f.SenderFault)
		}
	})
}

// Release gives messages back.
func (q *Queue) Release(ctx context.Context, handles []string) []error {
	extensions := make([]Extension, len(handles))
	for i, h := range handles {
		extensions[i] = Extension{Handle: h}
	}
	return q.Extend(ctx, extensions)
}

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

// Send sends messages in their order.
func (q *Queue) Send(ctx context.Context, messages []Outgoing) []Result {
	return sendInCalls(messages, longestCall, func(messages []Outgoing, results []Result) error {
		entries := make([]types.SendMessageBatchRequestEntry, len(messages))
		for i, m := range messages {
			entries[i] = types.SendMessageBatchRequestEntry{
				Id: entryID(i), MessageBody: &messages[i].Body,
				MessageGroupId: optional(m.Group), MessageDeduplicationId: optional(m.DeduplicationID),
			}
			for name, value := range m.Attributes {
				if entries[i].MessageAttributes == nil {
					entries[i].MessageAttributes = map[string]types.MessageAttributeValue{}
				}
				entries[i].MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(stringType), StringValue: &value}
			}
		}
		out, err := q.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return fmt.Errorf("send to %s: %w", q.url, err)
		}
		errs := make([]error, len(messages))
		unanswered := answers(errs)
		for _, s := range out.Successful {
			if i := unanswered.ok(s.Id); i >= 0 {
				results[i] = Result{ID: aws.ToString(s.MessageId), Sequence: aws.ToString(s.SequenceNumber)}
			}
		}
		for _, f := range out.Failed {
			unanswered.failed(f.Id, f.Code, f.Message, f.SenderFault)
		}
		for i, err := range errs {
			results[i].Err = err
		}
		return nil
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// seconds rounds up, so that no time that was asked for is cut off.
func seconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second) //nolint:gosec // SQS knows at most 12 h
}

// Attributes is what a queue says of itself.
type Attributes struct {
	ARN                       string
	Fifo                      bool
	ContentBasedDeduplication bool
	DeduplicationScope        string // "queue" or "messageGroup"; empty in a standard queue
	FifoThroughputLimit       string // "perQueue" or "perMessageGroupId"; empty in a standard queue
	Visibility                time.Duration
	Retention                 time.Duration
	Delay                     time.Duration
	DeadLetterARN             string // empty: none
	MaxReceiveCount           int
	Visible                   int
	InFlight                  int
	Delayed                   int
	Raw                       map[string]string // as SQS answered
}

// Attributes asks the queue about itself.
func (q *Queue) Attributes(ctx context.Context) (Attributes, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &q.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		return Attributes{}, fmt.Errorf("get attributes of %s: %w", q.url, err)
	}
	raw := out.Attributes
	number := func(name string) int {
		n, _ := strconv.Atoi(raw[name])
		return n
	}
	span := func(name string) time.Duration { return time.Duration(number(name)) * time.Second }
	deadLetterARN, most := redrivePolicy(raw["RedrivePolicy"])
	return Attributes{
		ARN:                       raw["QueueArn"],
		Fifo:                      raw["FifoQueue"] == "true",
		ContentBasedDeduplication: raw["ContentBasedDeduplication"] == "true",
		DeduplicationScope:        raw["DeduplicationScope"],
		FifoThroughputLimit:       raw["FifoThroughputLimit"],
		Visibility:                span("VisibilityTimeout"),
		Retention:                 span("MessageRetentionPeriod"),
		Delay:                     span("DelaySeconds"),
		DeadLetterARN:             deadLetterARN,
		MaxReceiveCount:           most,
		Visible:                   number("ApproximateNumberOfMessages"),
		InFlight:                  number("ApproximateNumberOfMessagesNotVisible"),
		Delayed:                   number("ApproximateNumberOfMessagesDelayed"),
		Raw:                       maps.Clone(raw),
	}, nil
}
