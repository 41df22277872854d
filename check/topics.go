package check

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
)

// topics checks the FIFO topic that the relay publishes to. Those that S3 announces
// mail to are found with the bucket.
func (c *checker) topics(ctx context.Context) {
	if !c.config.Relay.Enabled() {
		return
	}
	arn := c.config.Relay.Topic
	about := "topic " + lastPart(arn)
	attributes, ok := c.topic(ctx, about, arn, "relay.topic")
	if !ok {
		return
	}
	if attributes["FifoTopic"] != "true" {
		c.wrong(about, "it is a standard topic, which feeds no FIFO queue", "name a FIFO topic in relay.topic", "aws sns create-topic --name inreply-mail.fifo --attributes FifoTopic=true,FifoThroughputScope=MessageGroup")
		return
	}
	if attributes["FifoThroughputScope"] != "MessageGroup" {
		c.advise(about, "its throughput is that of the whole topic: 3,000 messages a second at most", "let it be by group", "aws sns set-topic-attributes --topic-arn "+arn+" --attribute-name FifoThroughputScope --attribute-value MessageGroup")
	}
	if c.queue.known {
		c.subscribed(ctx, about, arn, "sqs", c.queue.ARN)
	}
}

func (c *checker) topic(ctx context.Context, about, arn, setting string) (attributes map[string]string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.SNS.GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &arn})
	if code := codeOf(err); code == "NotFound" || code == "NotFoundException" || code == "InvalidParameter" {
		c.wrong(about, "there is no such topic here", "correct "+setting+" or the region", "aws sns list-topics")
		return nil, false
	}
	if err != nil {
		c.failed(about, "sns:GetTopicAttributes", err)
		return nil, false
	}
	c.ok(about, "it is there")
	return out.Attributes, true
}

// subscribed checks that somebody is subscribed to a topic, and that what cannot be
// delivered to him is kept.
func (c *checker) subscribed(ctx context.Context, about, arn, protocol, endpoint string) {
	all, ok := c.subscriptions(ctx, about, arn)
	if !ok {
		return
	}
	subscribe := fmt.Sprintf("aws sns subscribe --topic-arn %s --protocol %s --notification-endpoint %s --attributes RawMessageDelivery=true", arn, protocol, endpoint)
	for _, s := range all {
		if aws.ToString(s.Endpoint) == endpoint {
			c.subscription(ctx, about, aws.ToString(s.SubscriptionArn), lastPart(endpoint))
			return
		}
	}
	c.wrong(about, lastPart(endpoint)+" is not subscribed to it: nothing arrives there", "subscribe it, and let the queue's policy allow sns.amazonaws.com to send", subscribe)
}

func (c *checker) subscriptions(ctx context.Context, about, arn string) (all []types.Subscription, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	pages := sns.NewListSubscriptionsByTopicPaginator(c.clients.SNS, &sns.ListSubscriptionsByTopicInput{TopicArn: &arn})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			c.failed(about, "sns:ListSubscriptionsByTopic", err)
			return nil, false
		}
		all = append(all, page.Subscriptions...)
	}
	return all, true
}

func (c *checker) subscription(ctx context.Context, about, arn, name string) {
	if !strings.HasPrefix(arn, "arn:") {
		c.wrong(about, "the subscription of "+name+" is not confirmed", "start the daemon, which confirms it, and ask SNS to send the confirmation again by subscribing once more", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.SNS.GetSubscriptionAttributes(ctx, &sns.GetSubscriptionAttributesInput{SubscriptionArn: &arn})
	if err != nil {
		c.failed(about, "sns:GetSubscriptionAttributes", err)
		return
	}
	how := "in SNS's envelope"
	if out.Attributes["RawMessageDelivery"] == "true" {
		how = "raw"
	}
	c.ok(about, "%s is subscribed to it, and gets messages %s", name, how)
	if policy := out.Attributes["FilterPolicy"]; policy != "" && policy != "{}" {
		c.advise(about, "a filter decides what "+name+" gets: "+policy, "see that it lets all mail pass", "")
	}
	var redrive struct {
		Target string `json:"deadLetterTargetArn"`
	}
	if json.Unmarshal([]byte(out.Attributes["RedrivePolicy"]), &redrive) != nil || redrive.Target == "" {
		c.wrong(about, "what cannot be delivered to "+name+" is lost: the subscription has no dead-letter queue", "give it one",
			"aws sns set-subscription-attributes --subscription-arn "+arn+` --attribute-name RedrivePolicy --attribute-value '{"deadLetterTargetArn":"ARN-OF-A-QUEUE"}'`)
	}
}
