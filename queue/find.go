package queue

import (
	"context"
	"fmt"
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
