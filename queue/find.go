package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Find returns the URL of a queue that is named by its name, its ARN or its URL.
// A URL is taken as it is.
func Find(ctx context.Context, client *sqs.Client, named string) (url string, err error) {
	if strings.HasPrefix(named, "https://") || strings.HasPrefix(named, "http://") {
		return named, nil
	}
	in := &sqs.GetQueueUrlInput{QueueName: &named}
	// arn:aws:sqs:REGION:ACCOUNT:NAME
	if parts := strings.Split(named, ":"); len(parts) == 6 && parts[0] == "arn" {
		in.QueueOwnerAWSAccountId, in.QueueName = &parts[4], &parts[5]
	}
	out, err := client.GetQueueUrl(ctx, in)
	if err != nil {
		return "", fmt.Errorf("find queue %s: %w", named, err)
	}
	return aws.ToString(out.QueueUrl), nil
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
