package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

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

// redrivePolicy reads where a queue's dead letters go, and after how many
// receives SQS moves one there by itself.
func redrivePolicy(policy string) (arn string, most int) {
	var p struct {
		Target string      `json:"deadLetterTargetArn"`
		Most   json.Number `json:"maxReceiveCount"` // a number or a string, as it was set
	}
	if json.Unmarshal([]byte(policy), &p) != nil {
		return "", 0
	}
	most, _ = strconv.Atoi(p.Most.String())
	return p.Target, most
}
