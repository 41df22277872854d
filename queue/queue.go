// Package queue is SQS and SNS as verbs in batches. What is given in a batch is
// answered entry by entry, in the order in which it was given: a call of ten in
// which one failed is nine that did not.
//
// The tour: queue.go receives, deletes, extends and releases; send.go sends and
// topic.go publishes; batch.go cuts what is given into calls, and puts the answers
// where they belong; errors.go says what an error means; attributes.go and find.go
// ask about a queue.
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
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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
	Sequence        string            // decimal; grows within a queue
	ReceiveCount    int               // this receive included
	Sent            time.Time         // when the queue took it; zero if it does not say
	SourceARN       string            // of the queue that SQS moved it from, when it is a dead letter
	Trace           string            // X-Ray's trace header, if the sender gave one
	Attributes      map[string]string // String and Number message attributes
}

// Receive says what to receive. Zero Wait and Visibility mean the queue's own:
// SQS cannot be told zero through the SDK, which leaves it out.
type Receive struct {
	Max        int           // 1 to 10; zero means 1
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
		types.MessageSystemAttributeNameAWSTraceHeader,
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
	var sent time.Time
	if ms, err := strconv.ParseInt(m.Attributes["SentTimestamp"], 10, 64); err == nil {
		sent = time.UnixMilli(ms)
	}
	return Message{
		ID:              aws.ToString(m.MessageId),
		Handle:          aws.ToString(m.ReceiptHandle),
		Body:            aws.ToString(m.Body),
		Group:           m.Attributes["MessageGroupId"],
		DeduplicationID: m.Attributes["MessageDeduplicationId"],
		Sequence:        m.Attributes["SequenceNumber"],
		ReceiveCount:    count,
		Sent:            sent,
		SourceARN:       m.Attributes["DeadLetterQueueSourceArn"],
		Trace:           m.Attributes["AWSTraceHeader"],
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

// Delete deletes messages by the handles of their last receive. A message of a
// FIFO queue whose timeout has passed is [Lost].
func (q *Queue) Delete(ctx context.Context, handles []string) []error {
	return inCalls(handles, func(handles []string, answers answers) error {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(handles))
		for i := range handles {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &handles[i]}
		}
		out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return fmt.Errorf("delete from %s: %w", q.url, err)
		}
		for _, s := range out.Successful {
			answers.ok(s.Id)
		}
		for _, f := range out.Failed {
			answers.failed(f.Id, f.Code, f.Message, f.SenderFault)
		}
		return nil
	})
}

// Extension sets how long from now a received message stays invisible.
type Extension struct {
	Handle string
	For    time.Duration // whole seconds; zero gives the message back
}

// Extend changes the visibility of messages. A message whose timeout has passed
// is [Lost].
func (q *Queue) Extend(ctx context.Context, extensions []Extension) []error {
	return inCalls(extensions, func(extensions []Extension, answers answers) error {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(extensions))
		for i := range extensions {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: entryID(i), ReceiptHandle: &extensions[i].Handle, VisibilityTimeout: seconds(extensions[i].For),
			}
		}
		out, err := q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return fmt.Errorf("change visibility in %s: %w", q.url, err)
		}
		for _, s := range out.Successful {
			answers.ok(s.Id)
		}
		for _, f := range out.Failed {
			answers.failed(f.Id, f.Code, f.Message, f.SenderFault)
		}
		return nil
	})
}

// Release gives messages back: they are visible at once.
func (q *Queue) Release(ctx context.Context, handles []string) []error {
	extensions := make([]Extension, len(handles))
	for i, h := range handles {
		extensions[i] = Extension{Handle: h}
	}
	return q.Extend(ctx, extensions)
}

// seconds rounds up, so that no time that was asked for is cut off. There is no
// time below zero.
func seconds(d time.Duration) int32 {
	return int32((max(d, 0) + time.Second - 1) / time.Second) //nolint:gosec // SQS knows at most 12 h
}
