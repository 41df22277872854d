package local_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"inreply/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clients are the SDK's, one try a call.
type clients struct {
	sqs *awssqs.Client
	sns *awssns.Client
	s3  *awss3.Client
	ses *awsses.Client
}

func newClients(http aws.HTTPClient, endpoint string) clients {
	config := aws.Config{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient:   http,
		Retryer:      func() aws.Retryer { return aws.NopRetryer{} },
	}
	return clients{
		sqs: awssqs.NewFromConfig(config),
		sns: awssns.NewFromConfig(config),
		s3:  awss3.NewFromConfig(config, func(o *awss3.Options) { o.UsePathStyle = true }),
		ses: awsses.NewFromConfig(config),
	}
}

// newWorld is a World, provisioned, and clients of it without sockets.
func newWorld(t *testing.T) (*local.World, local.Addresses, clients) {
	t.Helper()
	w := local.New(local.Config{})
	t.Cleanup(w.Close)
	a, err := w.Provision(names())
	if err != nil {
		t.Fatal(err)
	}
	return w, a, newClients(w.Client(), "http://anywhere")
}

func names() local.Names {
	return local.Names{
		Bucket: "mail-bucket", Prefix: "mail/",
		Topic: "announced", Intake: "intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "relayed.fifo", Queue: "mails.fifo", DeadLetters: "mails-dead.fifo",
		Identities: []string{"example.com"},
	}
}

// receive takes what a queue has now and deletes it.
func (c clients) receive(ctx context.Context, t *testing.T, queue string) []string {
	t.Helper()
	out, err := c.sqs.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: &queue, MaxNumberOfMessages: 10})
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for _, m := range out.Messages {
		bodies = append(bodies, *m.Body)
		if _, err := c.sqs.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &queue, ReceiptHandle: m.ReceiptHandle}); err != nil {
			t.Fatal(err)
		}
	}
	return bodies
}

// handler makes a Client of a handler that is no World.
func do(h http.HandlerFunc, r *http.Request) (*http.Response, error) {
	return local.ClientOf(h).Do(r)
}
