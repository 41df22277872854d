package queue

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// longestPublish is how many octets SNS takes in one call (PublishBatch in the
// SNS API reference).
const longestPublish = 256 << 10

// Topic is one SNS topic, standard or FIFO. It is safe for concurrent use.
type Topic struct {
	client *sns.Client
	arn    string
}

// NewTopic returns the topic arn.
func NewTopic(client *sns.Client, arn string) *Topic {
	return &Topic{client: client, arn: arn}
}

// Publish publishes messages in their order.
func (t *Topic) Publish(ctx context.Context, messages []Outgoing) []Result {
	return sendInCalls(messages, longestPublish, func(messages []Outgoing, results []Result) error {
		entries := make([]types.PublishBatchRequestEntry, len(messages))
		for i, m := range messages {
			entries[i] = types.PublishBatchRequestEntry{
				Id: entryID(i), Message: &messages[i].Body,
				MessageGroupId: optional(m.Group), MessageDeduplicationId: optional(m.DeduplicationID),
			}
			for name, value := range m.Attributes {
				if entries[i].MessageAttributes == nil {
					entries[i].MessageAttributes = map[string]types.MessageAttributeValue{}
				}
				entries[i].MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String(stringType), StringValue: &value}
			}
		}
		out, err := t.client.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: &t.arn, PublishBatchRequestEntries: entries})
		if err != nil {
			return fmt.Errorf("publish to %s: %w", t.arn, err)
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
