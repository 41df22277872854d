package local

import (
	"inreply/local/sns"
	"inreply/local/sqs"
)

// topicQueues is SQS as SNS sees it.
type topicQueues struct{ *sqs.Server }

// Deliver puts what a topic delivers into a queue.
func (q topicQueues) Deliver(queueARN string, d sns.Delivery) error {
	var attributes map[string]sqs.Attribute
	if len(d.Attributes) > 0 {
		attributes = make(map[string]sqs.Attribute, len(d.Attributes))
	}
	for name, a := range d.Attributes {
		attributes[name] = sqs.Attribute{DataType: a.Type, StringValue: a.String, BinaryValue: a.Binary}
	}
	return q.Server.Deliver(queueARN, sqs.Delivery{
		Body:            d.Body,
		GroupID:         d.GroupID,
		DeduplicationID: d.DeduplicationID,
		Attributes:      attributes,
	})
}

// bucketQueues is SQS as S3 sees it.
type bucketQueues struct{ *sqs.Server }

// Deliver puts an event into a queue.
func (q bucketQueues) Deliver(queueARN, body string) error {
	return q.Server.Deliver(queueARN, sqs.Delivery{Body: body})
}
