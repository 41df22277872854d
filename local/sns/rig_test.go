package sns_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"
	"go.uber.org/goleak"

	"inreply/local/sns"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const (
	fifoQueue     = "arn:aws:sqs:us-east-1:000000000000:q.fifo"
	standardQueue = "arn:aws:sqs:us-east-1:000000000000:q"
	deadLetters   = "arn:aws:sqs:us-east-1:000000000000:dead"
	refusingQueue = "arn:aws:sqs:us-east-1:000000000000:refusing"
)

// queues keeps what is delivered, by queue.
type queues struct {
	mu        sync.Mutex
	delivered map[string][]sns.Delivery
}

func (q *queues) Deliver(arn string, d sns.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if arn == refusingQueue {
		return errors.New("the queue does not exist")
	}
	if q.delivered == nil {
		q.delivered = make(map[string][]sns.Delivery)
	}
	q.delivered[arn] = append(q.delivered[arn], d)
	return nil
}

func (q *queues) in(arn string) []sns.Delivery {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.delivered[arn]
}

func (q *queues) bodies(arn string) []string {
	var bodies []string
	for _, d := range q.in(arn) {
		bodies = append(bodies, d.Body)
	}
	return bodies
}

// inProcess calls a handler without a socket.
type inProcess struct{ http.Handler }

func (h inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// rig is a Server with the SDK's client in front of it and queues behind it.
type rig struct {
	*awssns.Client
	server *sns.Server
	queues *queues
}

func newRig(t *testing.T, c sns.Config) rig {
	t.Helper()
	q := &queues{}
	c.Queues = q
	if c.URL == nil {
		c.URL = func() string { return "http://127.0.0.1:4570" }
	}
	server := sns.New(c)
	t.Cleanup(server.Close)
	client := awssns.New(awssns.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String("http://127.0.0.1:4570"),
		HTTPClient:       inProcess{server},
		Credentials:      aws.AnonymousCredentials{},
		RetryMaxAttempts: 1,
	})
	return rig{client, server, q}
}

func (r rig) topic(t *testing.T, name string, attributes ...string) string {
	t.Helper()
	arn, err := r.server.CreateTopic(name, pairs(attributes))
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func (r rig) subscribe(t *testing.T, topic, queue string, attributes ...string) string {
	t.Helper()
	arn, err := r.server.Subscribe(topic, "sqs", queue, pairs(attributes))
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func pairs(list []string) map[string]string {
	m := make(map[string]string)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// publish publishes to a FIFO topic, unless the group is empty.
func (r rig) publish(t *testing.T, topic, message, group, deduplicationID string) *awssns.PublishOutput {
	t.Helper()
	in := &awssns.PublishInput{TopicArn: &topic, Message: &message}
	if group != "" {
		in.MessageGroupId = &group
	}
	if deduplicationID != "" {
		in.MessageDeduplicationId = &deduplicationID
	}
	out, err := r.Publish(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantRefusal checks the code and the message of a refusal.
func wantRefusal(t *testing.T, err error, code, message string) {
	t.Helper()
	var refusal smithy.APIError
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if refusal.ErrorCode() != code || message != "" && refusal.ErrorMessage() != message {
		t.Errorf("got %s: %s\nwant %s: %s", refusal.ErrorCode(), refusal.ErrorMessage(), code, message)
	}
}

func text(value string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
}
