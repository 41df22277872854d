package check_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sestypes "github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"go.uber.org/goleak"

	"inreply/local/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subscriptions are the ARNs of a topic's.
func (r *rig) subscriptions(topic string) (arns []string) {
	r.t.Helper()
	out, err := r.clients.SNS.ListSubscriptionsByTopic(r.t.Context(), &sns.ListSubscriptionsByTopicInput{TopicArn: &topic})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range out.Subscriptions {
		arns = append(arns, *s.SubscriptionArn)
	}
	return arns
}

func (r *rig) unsubscribe(topic string) {
	r.t.Helper()
	for _, arn := range r.subscriptions(topic) {
		if _, err := r.clients.SNS.Unsubscribe(r.t.Context(), &sns.UnsubscribeInput{SubscriptionArn: &arn}); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) subscription(topic, name, value string) {
	r.t.Helper()
	for _, arn := range r.subscriptions(topic) {
		_, err := r.clients.SNS.SetSubscriptionAttributes(r.t.Context(), &sns.SetSubscriptionAttributesInput{SubscriptionArn: &arn, AttributeName: &name, AttributeValue: &value})
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// says has AWS say other things: the second of each pair in place of the first.
func (r *rig) says(pairs ...string) { r.aws.says = strings.NewReplacer(pairs...).Replace }

func (r *rig) notify(n s3.Notification) {
	r.t.Helper()
	if err := r.world.S3.Notify("inreply-mail", n); err != nil {
		r.t.Fatal(err)
	}
}

// announce has the bucket announce one kind of event under one prefix.
func (r *rig) announce(prefix, event string) {
	r.t.Helper()
	r.notify(s3.Notification{Topics: []s3.TopicNotification{{TopicARN: r.at.TopicARN, Announcement: s3.Announcement{
		ID: "inreply", Events: []string{event}, Filter: &s3.Filter{Rules: []s3.FilterRule{{Name: "prefix", Value: prefix}}},
	}}}})
}

func mailTo(address string) *sestypes.Destination {
	return &sestypes.Destination{ToAddresses: []string{address}}
}

func hello() *sestypes.Message {
	text := &sestypes.Content{Data: aws.String("hello")}
	return &sestypes.Message{Subject: text, Body: &sestypes.Body{Text: text}}
}
