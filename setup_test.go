package inreply_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	sestypes "github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"inreply"
	"inreply/configs"
	"inreply/local"
)

func localSettings(t *testing.T) configs.Config {
	t.Helper()
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// emptyWorld is an AWS in this process in which there is nothing yet.
func emptyWorld(t *testing.T) (*local.World, inreply.Clients) {
	t.Helper()
	world := local.New(local.Config{})
	t.Cleanup(world.Close)
	return world, inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://localhost"),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, world.Client(), configs.AWS{})
}

// setUp returns what Setup says.
func setUp(t *testing.T, config configs.Config, clients inreply.Clients) (report []string) {
	t.Helper()
	err := inreply.Setup(t.Context(), config, clients, func(became, resource string) {
		report = append(report, became+" "+resource)
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// describe lists what there is, without ids and times.
func describe(t *testing.T, c inreply.Clients) (all []string) {
	t.Helper()
	say := func(format string, a ...any) { all = append(all, fmt.Sprintf(format, a...)) }
	queues, err := c.SQS.ListQueues(t.Context(), nil)
	fatal(t, err)
	for _, url := range queues.QueueUrls {
		got, err := c.SQS.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
		fatal(t, err)
		for name, value := range got.Attributes {
			if !strings.HasSuffix(name, "Timestamp") && !strings.HasPrefix(name, "Approximate") {
				say("queue %s %s %s", url, name, strings.NewReplacer(`"`, "", " ", "").Replace(value))
			}
		}
	}
	topics, err := c.SNS.ListTopics(t.Context(), nil)
	fatal(t, err)
	for _, topic := range topics.Topics {
		got, err := c.SNS.GetTopicAttributes(t.Context(), &sns.GetTopicAttributesInput{TopicArn: topic.TopicArn})
		fatal(t, err)
		say("topic %s fifo %q", *topic.TopicArn, got.Attributes["FifoTopic"])
	}
	subscriptions, err := c.SNS.ListSubscriptions(t.Context(), nil)
	fatal(t, err)
	for _, x := range subscriptions.Subscriptions {
		got, err := c.SNS.GetSubscriptionAttributes(t.Context(), &sns.GetSubscriptionAttributesInput{SubscriptionArn: x.SubscriptionArn})
		fatal(t, err)
		say("subscription %s %s %s raw %s", *x.TopicArn, *x.Protocol, *x.Endpoint, got.Attributes["RawMessageDelivery"])
	}
	buckets, err := c.S3.ListBuckets(t.Context(), nil)
	fatal(t, err)
	for _, b := range buckets.Buckets {
		got, err := c.S3.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: b.Name})
		fatal(t, err)
		for _, n := range got.TopicConfigurations {
			rule := n.Filter.Key.FilterRules[0]
			say("bucket %s notification %s to %s of %v, %s %s", *b.Name, *n.Id, *n.TopicArn, n.Events, strings.ToLower(string(rule.Name)), *rule.Value)
		}
	}
	identities, err := c.SES.ListIdentities(t.Context(), nil)
	fatal(t, err)
	say("identities %v", identities.Identities)
	sets, err := c.SES.ListConfigurationSets(t.Context(), nil)
	fatal(t, err)
	for _, set := range sets.ConfigurationSets {
		say("configuration set %s", *set.Name)
		got, err := c.SES.DescribeConfigurationSet(t.Context(), &awsses.DescribeConfigurationSetInput{
			ConfigurationSetName: set.Name, ConfigurationSetAttributeNames: []sestypes.ConfigurationSetAttribute{sestypes.ConfigurationSetAttributeEventDestinations},
		})
		fatal(t, err)
		for _, d := range got.EventDestinations {
			say("event destination %s of %s enabled %v %v to %s", *d.Name, *set.Name, d.Enabled, d.MatchingEventTypes, *d.SNSDestination.TopicARN)
		}
	}
	rules, err := c.SES.DescribeActiveReceiptRuleSet(t.Context(), &awsses.DescribeActiveReceiptRuleSetInput{})
	fatal(t, err)
	for _, r := range rules.Rules {
		say("rule %s/%s enabled %v scans %v to %s/%s", *rules.Metadata.Name, *r.Name, r.Enabled, r.ScanEnabled, *r.Actions[0].S3Action.BucketName, *r.Actions[0].S3Action.ObjectKeyPrefix)
	}
	slices.Sort(all)
	return all
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What --local has from the start and what --setup makes elsewhere is the same,
// down to every attribute.
func TestSetupMakesWhatLocalHas(t *testing.T) {
	config := localSettings(t)
	config.Mailer.ConfigurationSet, config.Feedback.Queue = "replies", "replies-feedback"
	world, ready := emptyWorld(t)
	if _, err := world.Provision(local.Names(inreply.ResourcesOf(config))); err != nil {
		t.Fatal(err)
	}
	_, empty := emptyWorld(t)
	report := setUp(t, config, empty)
	if len(report) != 18 || slices.ContainsFunc(report, func(s string) bool { return !strings.HasPrefix(s, "made ") }) {
		t.Errorf("report: %s", strings.Join(report, "\n"))
	}
	if diff := cmp.Diff(describe(t, ready), describe(t, empty)); diff != "" {
		t.Errorf("(-local +setup):\n%s", diff)
	}
}

func TestSetupTwice(t *testing.T) {
	config := localSettings(t)
	config.Mailer.ConfigurationSet, config.Feedback.Queue = "replies", "replies-feedback"
	_, clients := emptyWorld(t)
	setUp(t, config, clients)
	before := describe(t, clients)
	// What somebody changed is changed back, and what is not ours is kept.
	queue, err := clients.SQS.GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: &config.Consumer.Queue})
	fatal(t, err)
	_, err = clients.SQS.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: queue.QueueUrl, Attributes: map[string]string{"VisibilityTimeout": "3"}})
	fatal(t, err)
	notifications, err := clients.S3.GetBucketNotificationConfiguration(t.Context(), &s3.GetBucketNotificationConfigurationInput{Bucket: &config.Store.Bucket})
	fatal(t, err)
	other := notifications.TopicConfigurations[0]
	other.Id, other.Filter = aws.String("other"), &s3types.NotificationConfigurationFilter{Key: &s3types.S3KeyFilter{
		FilterRules: []s3types.FilterRule{{Name: s3types.FilterRuleNamePrefix, Value: aws.String("other/")}},
	}}
	_, err = clients.S3.PutBucketNotificationConfiguration(t.Context(), &s3.PutBucketNotificationConfigurationInput{
		Bucket: &config.Store.Bucket, NotificationConfiguration: &s3types.NotificationConfiguration{
			TopicConfigurations: append(notifications.TopicConfigurations, other),
		},
	})
	fatal(t, err)

	report := setUp(t, config, clients)
	if slices.ContainsFunc(report, func(s string) bool { return !strings.HasPrefix(s, "there ") }) {
		t.Errorf("report: %s", strings.Join(report, "\n"))
	}
	want := append(before, "bucket inreply-mail notification other to arn:aws:sns:us-east-1:000000000000:inreply-events of [s3:ObjectCreated:*], prefix other/")
	slices.Sort(want)
	if diff := cmp.Diff(want, describe(t, clients)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

// Where AWS relays by itself there is no intake and no topic of ours.
func TestSetupWithoutRelay(t *testing.T) {
	config := localSettings(t)
	config.Relay.Queue = ""
	_, clients := emptyWorld(t)
	want := []string{
		"made queue inreply-mail-dead.fifo", "made queue inreply-mail.fifo", "made bucket inreply-mail",
		"made SES identity inreply.example", "made SES receipt rule inreply/store",
	}
	if diff := cmp.Diff(want, setUp(t, config, clients)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSetupSaysWhichTopicItMade(t *testing.T) {
	config := localSettings(t)
	config.Relay.Topic = "arn:aws:sns:eu-central-1:123456789012:inreply-mail.fifo"
	_, clients := emptyWorld(t)
	err := inreply.Setup(t.Context(), config, clients, func(string, string) {})
	want := "relay.topic: it is arn:aws:sns:eu-central-1:123456789012:inreply-mail.fifo, but what was made is arn:aws:sns:us-east-1:000000000000:inreply-mail.fifo: set it to that"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// Nothing is ever made at AWS, however its address is written.
func TestSetupRefusesAWS(t *testing.T) {
	for endpoint, own := range map[string]bool{
		"": false, "https://sqs.eu-central-1.amazonaws.com": false, "https://s3.amazonaws.com.": false,
		"https://vpce-0123-abc.sqs.eu-central-1.vpce.amazonaws.com": false, "https://sqs.eu-central-1.api.aws": false,
		"https://sqs.cn-north-1.amazonaws.com.cn": false, "http://aws.example.com": false, "http://52.95.1.1": false,
		"http://localhost.example.com": false, "http://notlocalhost.localstack.cloud.example": false,
		"http://127.0.0.1:4566": true, "http://localhost:4566": true, "http://[::1]:4566": true, "http://LOCALHOST:4566": true,
		"http://localstack:4566": true, "http://sqs.us-east-1.localhost.localstack.cloud:4566": true,
		"http://localhost.localstack.cloud:4566": true, "http://host.docker.internal:4566": true, "http://172.17.0.2:4566": true,
	} {
		world, _ := emptyWorld(t)
		config := aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
		clients := inreply.ClientsFrom(config, world.Client(), configs.AWS{Endpoint: endpoint})
		err := inreply.Setup(t.Context(), localSettings(t), clients, func(string, string) {})
		if (err == nil) != own {
			t.Errorf("%q: %v", endpoint, err)
		}
		if calls := len(world.CallCounts()); !own && calls > 0 {
			t.Errorf("%q: it was asked", endpoint)
		}
	}
	// One client that asks AWS is enough.
	world, _ := emptyWorld(t)
	clients := inreply.ClientsFrom(aws.Config{Region: "us-east-1"}, world.Client(), configs.AWS{
		Endpoint: "http://localhost:4566", SES: configs.Endpoint{Endpoint: "https://email.eu-west-1.amazonaws.com"},
	})
	err := inreply.Setup(t.Context(), localSettings(t), clients, func(string, string) {})
	if err == nil || !strings.Contains(err.Error(), "SES at https://email.eu-west-1.amazonaws.com") || strings.Contains(err.Error(), "SQS") {
		t.Errorf("got %v", err)
	}
}
