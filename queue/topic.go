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

// Publish publishes messages in their order. After a call that failed as a whole,
// the messages behind it were not published.
func (t *Topic) Publish(ctx context.Context, messages []Outgoing) []Result {
	return sendInCalls(messages, longestPublish, func(messages []Outgoing, results []Result) error {
		return t.publish(ctx, messages, results)
	})
}

// publish makes one call.
func (t *Topic) publish(ctx context.Context, messages []Outgoing, results []Result) error {
	entries := make([]types.PublishBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.PublishBatchRequestEntry{
			Id: entryID(i), Message: &messages[i].Body, MessageAttributes: stringTopicAttributes(m.Attributes),
			MessageGroupId: optional(m.Group), MessageDeduplicationId: optional(m.DeduplicationID),
		}
	}
	out, err := t.client.PublishBatch(ctx, &sns.PublishBatchInput{TopicArn: &t.arn, PublishBatchRequestEntries: entries})
	if err != nil {
		return fmt.Errorf("publish to %s: %w", t.arn, err)
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

func stringTopicAttributes(attributes map[string]string) map[string]types.MessageAttributeValue {
	if len(attributes) == 0 {
		return nil
	}
	all := map[string]types.MessageAttributeValue{}
	for name, value := range attributes {
		all[name] = types.MessageAttributeValue{DataType: aws.String(stringType), StringValue: &value}
	}
	return all
}
