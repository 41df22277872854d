package sns_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"

	"inreply/local/sns"
)

func TestSubscriptionIsRefused(t *testing.T) {
	r := newRig(t, sns.Config{})
	standard := r.topic(t, "std")
	fifo := r.topic(t, "mail.fifo", "FifoTopic", "true")
	for _, c := range []struct {
		name, topic, protocol, endpoint string
		attributes                      []string
		message                         string
	}{
		{
			"FIFO queue on a standard topic", standard, "sqs", fifoQueue, nil,
			"Invalid parameter: Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
		},
		{"no ARN of a queue", standard, "sqs", "q", nil, "Invalid parameter: SQS endpoint ARN"},
		{"HTTP on a FIFO topic", fifo, "http", "http://127.0.0.1/", nil, ""},
		{"another machine", standard, "http", "http://192.0.2.1/", nil, ""},
		{"another machine by name", standard, "https", "https://localhost.example.org/", nil, ""},
		{"scheme and protocol differ", standard, "https", "http://127.0.0.1/", nil, "Invalid parameter: Endpoint must match the specified protocol"},
		{"unknown protocol", standard, "pigeon", "x", nil, "Invalid parameter: Amazon SNS does not support this protocol string: pigeon"},
		{"unknown attribute", standard, "sqs", standardQueue, []string{"Colour", "red"}, "Invalid parameter: AttributeName"},
		{"raw or not", standard, "sqs", standardQueue, []string{"RawMessageDelivery", "maybe"}, ""},
		{"scope", standard, "sqs", standardQueue, []string{"FilterPolicyScope", "Subject"}, ""},
		{"filter is no JSON", standard, "sqs", standardQueue, []string{"FilterPolicy", "{"}, ""},
		{"redrive to nowhere", standard, "sqs", standardQueue, []string{"RedrivePolicy", `{"deadLetterTargetArn":"x"}`}, ""},
		{"redrive from FIFO to standard", fifo, "sqs", fifoQueue, []string{"RedrivePolicy", `{"deadLetterTargetArn":"` + deadLetters + `"}`}, ""},
		{"retries without end", standard, "http", "http://localhost/", []string{"DeliveryPolicy", `{"healthyRetryPolicy":{"numRetries":1000}}`}, ""},
		{"retries without pause", standard, "http", "http://localhost/", []string{"DeliveryPolicy", `{"healthyRetryPolicy":{"minDelayTarget":0}}`}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Subscribe(context.Background(), &awssns.SubscribeInput{
				TopicArn: &c.topic, Protocol: &c.protocol, Endpoint: &c.endpoint, Attributes: pairs(c.attributes),
			})
			wantRefusal(t, err, "InvalidParameter", c.message)
		})
	}
}

func TestSubscribingTwiceIsSubscribingOnce(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	first := r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true")
	if again := r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true"); again != first {
		t.Errorf("got %s, then %s", first, again)
	}
	_, err := r.Subscribe(context.Background(), &awssns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: aws.String(standardQueue)})
	wantRefusal(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Subscription already exists with different attributes")
}

func TestSubscriptionAttributes(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	topic := r.topic(t, "std")
	arn := r.subscribe(t, topic, standardQueue)
	set := func(name, value string) {
		t.Helper()
		_, err := r.SetSubscriptionAttributes(ctx, &awssns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: &value})
		if err != nil {
			t.Fatal(err)
		}
	}
	get := func() map[string]string {
		t.Helper()
		out, err := r.GetSubscriptionAttributes(ctx, &awssns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
		if err != nil {
			t.Fatal(err)
		}
		return out.Attributes
	}
	if a := get(); a["RawMessageDelivery"] != "false" || a["PendingConfirmation"] != "false" || a["Protocol"] != "sqs" || a["Endpoint"] != standardQueue {
		t.Errorf("at first: %v", a)
	}
	set("RawMessageDelivery", "true")
	set("FilterPolicy", `{"type":["mail"]}`)
	if a := get(); a["RawMessageDelivery"] != "true" || a["FilterPolicyScope"] != "MessageAttributes" {
		t.Errorf("set: %v", a)
	}
	r.publish(t, topic, "filtered out", "", "")
	set("FilterPolicy", "")
	r.publish(t, topic, "raw", "", "")
	if got := r.queues.bodies(standardQueue); len(got) != 1 || got[0] != "raw" {
		t.Errorf("delivered %q", got)
	}
	_, err := r.GetSubscriptionAttributes(ctx, &awssns.GetSubscriptionAttributesInput{SubscriptionArn: aws.String(arn + "x")})
	wantRefusal(t, err, "NotFound", "Subscription does not exist")
}

func TestUnsubscribedGetsNothing(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	topic := r.topic(t, "std")
	arn := r.subscribe(t, topic, standardQueue)
	for range 2 { // the second time nothing is there
		if _, err := r.Unsubscribe(ctx, &awssns.UnsubscribeInput{SubscriptionArn: &arn}); err != nil {
			t.Fatal(err)
		}
	}
	r.publish(t, topic, "x", "", "")
	if got := r.queues.in(standardQueue); got != nil {
		t.Errorf("delivered %v", got)
	}
	_, err := r.Unsubscribe(ctx, &awssns.UnsubscribeInput{SubscriptionArn: aws.String("pending confirmation")})
	wantRefusal(t, err, "InvalidParameter", "")
}
