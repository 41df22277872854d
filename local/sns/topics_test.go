package sns_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/sns"
)

func TestTopicIsCreatedOnce(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	in := &awssns.CreateTopicInput{Name: aws.String("mail.fifo"), Attributes: map[string]string{"FifoTopic": "true"}}
	first, err := r.CreateTopic(ctx, in)
	if err != nil || *first.TopicArn != "arn:aws:sns:us-east-1:000000000000:mail.fifo" {
		t.Fatalf("topic %v, %v", first, err)
	}
	if _, err := r.CreateTopic(ctx, in); err != nil {
		t.Errorf("created again: %v", err)
	}
	in.Attributes["ContentBasedDeduplication"] = "true"
	_, err = r.CreateTopic(ctx, in)
	wantRefusal(t, err, "InvalidParameter", "Invalid parameter: Attributes Reason: Topic already exists with different attributes")
	if fifo, exists := r.server.Fifo(*first.TopicArn); !fifo || !exists {
		t.Errorf("fifo %t exists %t", fifo, exists)
	}
	if _, exists := r.server.Fifo(*first.TopicArn + "x"); exists {
		t.Error("a topic exists that nobody made")
	}
}

func TestTopicIsRefused(t *testing.T) {
	r := newRig(t, sns.Config{})
	for _, c := range []struct {
		name       string
		attributes []string
	}{
		{"a b", nil},
		{"", nil},
		{"mail.fifo", nil},
		{"mail", []string{"FifoTopic", "true"}},
		{"mail", []string{"ContentBasedDeduplication", "true"}},
		{"mail", []string{"Unknown", "true"}},
		{"mail", []string{"SignatureVersion", "3"}},
		{"mail.fifo", []string{"FifoTopic", "true", "FifoThroughputScope", "Queue"}},
		{"mail.fifo", []string{"FifoTopic", "true", "ContentBasedDeduplication", "maybe"}},
	} {
		t.Run(fmt.Sprint(c.name, c.attributes), func(t *testing.T) {
			_, err := r.CreateTopic(context.Background(), &awssns.CreateTopicInput{Name: aws.String(c.name), Attributes: pairs(c.attributes)})
			wantRefusal(t, err, "InvalidParameter", "")
		})
	}
}

func TestTopicAttributes(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	arn := r.topic(t, "mail.fifo", "FifoTopic", "true")
	r.subscribe(t, arn, fifoQueue)
	_, err := r.SetTopicAttributes(ctx, &awssns.SetTopicAttributesInput{
		TopicArn: &arn, AttributeName: aws.String("ContentBasedDeduplication"), AttributeValue: aws.String("true"),
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.GetTopicAttributes(ctx, &awssns.GetTopicAttributesInput{TopicArn: &arn})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"TopicArn": arn, "FifoTopic": "true", "ContentBasedDeduplication": "true", "FifoThroughputScope": "Topic",
		"SubscriptionsConfirmed": "1", "SubscriptionsPending": "0", "Owner": "000000000000",
	} {
		if out.Attributes[name] != want {
			t.Errorf("%s is %q, want %q", name, out.Attributes[name], want)
		}
	}
	_, err = r.SetTopicAttributes(ctx, &awssns.SetTopicAttributesInput{TopicArn: &arn, AttributeName: aws.String("FifoTopic"), AttributeValue: aws.String("false")})
	wantRefusal(t, err, "InvalidParameter", "Invalid parameter: AttributeName")
}

func TestMissingTopicIsTyped(t *testing.T) {
	r := newRig(t, sns.Config{})
	arn := "arn:aws:sns:us-east-1:000000000000:none"
	_, err := r.GetTopicAttributes(context.Background(), &awssns.GetTopicAttributesInput{TopicArn: &arn})
	var missing *types.NotFoundException
	if !errors.As(err, &missing) || missing.ErrorMessage() != "Topic does not exist" {
		t.Errorf("got %v", err)
	}
	_, err = r.ListTagsForResource(context.Background(), &awssns.ListTagsForResourceInput{ResourceArn: &arn})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); !ok {
		t.Errorf("got %v", err)
	}
	if _, err := r.DeleteTopic(context.Background(), &awssns.DeleteTopicInput{TopicArn: &arn}); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

func TestTopicsAreListedInPages(t *testing.T) {
	r := newRig(t, sns.Config{})
	var want, got []string
	for i := range 201 {
		want = append(want, r.topic(t, fmt.Sprintf("t%03d", i)))
	}
	pages := awssns.NewListTopicsPaginator(r, &awssns.ListTopicsInput{})
	n := 0
	for ; pages.HasMorePages(); n++ {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range page.Topics {
			got = append(got, *topic.TopicArn)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || n != 3 {
		t.Errorf("%d pages: %s", n, diff)
	}
}

func TestTags(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	out, err := r.CreateTopic(ctx, &awssns.CreateTopicInput{Name: aws.String("t"), Tags: []types.Tag{{Key: aws.String("b"), Value: aws.String("1")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.TagResource(ctx, &awssns.TagResourceInput{ResourceArn: out.TopicArn, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("2")}, {Key: aws.String("c"), Value: aws.String("3")}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.UntagResource(ctx, &awssns.UntagResourceInput{ResourceArn: out.TopicArn, TagKeys: []string{"c"}}); err != nil {
		t.Fatal(err)
	}
	list, err := r.ListTagsForResource(ctx, &awssns.ListTagsForResourceInput{ResourceArn: out.TopicArn})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, tag := range list.Tags {
		got = append(got, *tag.Key+"="+*tag.Value)
	}
	if diff := cmp.Diff([]string{"a=2", "b=1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDeletedTopicTakesItsSubscriptionsAlong(t *testing.T) {
	r := newRig(t, sns.Config{})
	ctx := context.Background()
	arn := r.topic(t, "t")
	r.subscribe(t, arn, standardQueue)
	if _, err := r.DeleteTopic(ctx, &awssns.DeleteTopicInput{TopicArn: &arn}); err != nil {
		t.Fatal(err)
	}
	list, err := r.ListSubscriptions(ctx, &awssns.ListSubscriptionsInput{})
	if err != nil || len(list.Subscriptions) != 0 {
		t.Errorf("left over: %v, %v", list, err)
	}
	_, err = r.Publish(ctx, &awssns.PublishInput{TopicArn: &arn, Message: aws.String("x")})
	wantRefusal(t, err, "NotFound", "Topic does not exist")
}

func TestWhatIsNotOfferedSaysSo(t *testing.T) {
	r := newRig(t, sns.Config{})
	_, err := r.ListSMSSandboxPhoneNumbers(context.Background(), &awssns.ListSMSSandboxPhoneNumbersInput{})
	wantRefusal(t, err, "NotImplemented", "the local SNS does not offer ListSMSSandboxPhoneNumbers")
	arn := r.topic(t, "t")
	_, err = r.Subscribe(context.Background(), &awssns.SubscribeInput{TopicArn: &arn, Protocol: aws.String("email"), Endpoint: aws.String("a@example.org")})
	wantRefusal(t, err, "NotImplemented", "the local SNS does not offer Subscribe with protocol email")
}
