package inreply

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	sestypes "github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"inreply/queue"
)

// What a deployment's queues are set to. The receive count is only the net beneath
// the tries that the consumer counts.
const (
	setupVisibility  = "60"      // seconds
	setupRetention   = "1209600" // seconds: 14 days
	setupMaxReceives = 1000
)

// setup is one run of [Setup]. After the first error it does nothing more.
type setup struct {
	ctx     context.Context //nolint:containedctx // it lives as long as one call of Setup
	clients Clients
	report  SetupReport
	err     error
}

// done reports what became of a resource, or remembers why nothing did.
func (s *setup) done(existed bool, resource string, err error) {
	switch {
	case err != nil:
		s.err = fmt.Errorf("set up %s: %w", resource, err)
	case existed:
		s.report("there", resource)
	default:
		s.report("made", resource)
	}
}

// doneIfOffered is done for what an emulator may lack.
func (s *setup) doneIfOffered(existed bool, resource string, err error) {
	if notOffered(err) {
		s.report("left out", resource+", which is not offered here")
		return
	}
	s.done(existed, resource, err)
}

func (s *setup) queue(name, deadLetters string) (arn string) {
	if s.err != nil {
		return ""
	}
	arn, existed, err := s.makeQueue(name, deadLetters)
	s.done(existed, "queue "+name, err)
	return arn
}

func (s *setup) makeQueue(name, deadLetters string) (arn string, existed bool, err error) {
	url, err := queue.Find(s.ctx, s.clients.SQS, name)
	existed = err == nil
	if queue.Missing(err) {
		url, err = s.createQueue(name)
	}
	if err != nil {
		return "", false, err
	}
	set := map[string]string{"VisibilityTimeout": setupVisibility, "MessageRetentionPeriod": setupRetention}
	if deadLetters != "" {
		set["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, deadLetters, setupMaxReceives)
	}
	if _, err := s.clients.SQS.SetQueueAttributes(s.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: set}); err != nil {
		return "", existed, err
	}
	got, err := s.clients.SQS.GetQueueAttributes(s.ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	if err != nil {
		return "", existed, err
	}
	return got.Attributes["QueueArn"], existed, nil
}

func (s *setup) createQueue(name string) (url string, err error) {
	in := &sqs.CreateQueueInput{QueueName: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoQueue": "true"}
	}
	out, err := s.clients.SQS.CreateQueue(s.ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.QueueUrl), nil
}

// topic makes a topic. SNS answers alike whether it was there before.
func (s *setup) topic(name string) (arn string) {
	if s.err != nil {
		return ""
	}
	in := &sns.CreateTopicInput{Name: &name}
	if strings.HasSuffix(name, ".fifo") {
		in.Attributes = map[string]string{"FifoTopic": "true"}
	}
	existed, err := s.hasTopic(name)
	if err == nil {
		var out *sns.CreateTopicOutput
		if out, err = s.clients.SNS.CreateTopic(s.ctx, in); err == nil {
			arn = aws.ToString(out.TopicArn)
		}
	}
	s.done(existed, "topic "+name, err)
	return arn
}

func (s *setup) hasTopic(name string) (bool, error) {
	for pages := sns.NewListTopicsPaginator(s.clients.SNS, nil); pages.HasMorePages(); {
		page, err := pages.NextPage(s.ctx)
		if err != nil {
			return false, err
		}
		for _, t := range page.Topics {
			if lastPart(aws.ToString(t.TopicArn)) == name {
				return true, nil
			}
		}
	}
	return false, nil
}

// same holds that the settings name what was made.
func (s *setup) same(setting, want, made string) {
	if s.err == nil && want != made {
		s.err = fmt.Errorf("%s: it is %s, but what was made is %s: set it to that", setting, want, made)
	}
}

// subscribe has a queue get what a topic is told, raw. Not every emulator knows a
// subscription again, so it is looked for first.
func (s *setup) subscribe(topic, queue string) {
	if s.err != nil {
		return
	}
	existed, err := s.subscribed(topic, queue)
	if err == nil && !existed {
		_, err = s.clients.SNS.Subscribe(s.ctx, &sns.SubscribeInput{
			TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: &queue, Attributes: map[string]string{"RawMessageDelivery": "true"},
		})
	}
	s.done(existed, "subscription of queue "+lastPart(queue)+" to topic "+lastPart(topic), err)
}

func (s *setup) subscribed(topic, queue string) (bool, error) {
	for pages := sns.NewListSubscriptionsByTopicPaginator(s.clients.SNS, &sns.ListSubscriptionsByTopicInput{TopicArn: &topic}); pages.HasMorePages(); {
		page, err := pages.NextPage(s.ctx)
		if err != nil {
			return false, err
		}
		for _, x := range page.Subscriptions {
			if aws.ToString(x.Protocol) == "sqs" && aws.ToString(x.Endpoint) == queue {
				return true, nil
			}
		}
	}
	return false, nil
}

func (s *setup) bucket(name string) {
	if s.err != nil {
		return
	}
	_, err := s.clients.S3.HeadBucket(s.ctx, &s3.HeadBucketInput{Bucket: &name})
	existed := err == nil
	if _, missing := errors.AsType[*s3types.NotFound](err); missing {
		in := &s3.CreateBucketInput{Bucket: &name}
		if region := s.clients.S3.Options().Region; region != "us-east-1" {
			in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
		}
		_, err = s.clients.S3.CreateBucket(s.ctx, in)
	}
	s.done(existed, "bucket "+name, err)
}

// notificationID is what tells our notification of a bucket from those of others,
// which are kept.
const notificationID = "inreply"

// announce has a bucket tell a topic of new objects under a prefix.
func (s *setup) announce(bucket, prefix, topic string) {
	if s.err != nil {
		return
	}
	existed, err := s.notify(bucket, s3types.TopicConfiguration{
		Id: aws.String(notificationID), TopicArn: &topic, Events: []s3types.Event{"s3:ObjectCreated:*"},
		Filter: &s3types.NotificationConfigurationFilter{Key: &s3types.S3KeyFilter{
			FilterRules: []s3types.FilterRule{{Name: s3types.FilterRuleNamePrefix, Value: &prefix}},
		}},
	})
	s.doneIfOffered(existed, "notification of "+bucket+"/"+prefix+" to topic "+lastPart(topic), err)
}

func (s *setup) notify(bucket string, ours s3types.TopicConfiguration) (existed bool, err error) {
	now, err := s.clients.S3.GetBucketNotificationConfiguration(s.ctx, &s3.GetBucketNotificationConfigurationInput{Bucket: &bucket})
	if err != nil {
		return false, err
	}
	topics := slices.DeleteFunc(slices.Clone(now.TopicConfigurations), func(t s3types.TopicConfiguration) bool {
		return aws.ToString(t.Id) == notificationID
	})
	existed = len(topics) < len(now.TopicConfigurations)
	_, err = s.clients.S3.PutBucketNotificationConfiguration(s.ctx, &s3.PutBucketNotificationConfigurationInput{
		Bucket: &bucket, NotificationConfiguration: &s3types.NotificationConfiguration{
			TopicConfigurations: append(topics, ours), QueueConfigurations: now.QueueConfigurations,
			LambdaFunctionConfigurations: now.LambdaFunctionConfigurations, EventBridgeConfiguration: now.EventBridgeConfiguration,
		},
	})
	return existed, err
}

// identity has SES send for a domain. Emulators ask nobody's DNS.
func (s *setup) identity(domain string) {
	if s.err != nil {
		return
	}
	existed, err := s.hasIdentity(domain)
	if err == nil && !existed {
		_, err = s.clients.SES.VerifyDomainIdentity(s.ctx, &ses.VerifyDomainIdentityInput{Domain: &domain})
	}
	s.done(existed, "SES identity "+domain, err)
}

func (s *setup) hasIdentity(domain string) (bool, error) {
	for pages := ses.NewListIdentitiesPaginator(s.clients.SES, nil); pages.HasMorePages(); {
		page, err := pages.NextPage(s.ctx)
		if err != nil {
			return false, err
		}
		if slices.Contains(page.Identities, domain) {
			return true, nil
		}
	}
	return false, nil
}

// configurationSet makes the set that the settings name, if they name one.
func (s *setup) configurationSet(name string) {
	if s.err != nil || name == "" {
		return
	}
	_, err := s.clients.SES.CreateConfigurationSet(s.ctx, &ses.CreateConfigurationSetInput{
		ConfigurationSet: &sestypes.ConfigurationSet{Name: &name},
	})
	existed := alreadyExists(err)
	if existed {
		err = nil
	}
	s.done(existed, "SES configuration set "+name, err)
}

// The receipt rule that stores mails, and its set.
const (
	ruleSet  = "inreply"
	ruleName = "store"
)

// rule has SES store mails in the bucket. Most emulators take no mail in, and some
// know no rules; the daemon does not need them.
func (s *setup) eventDestination(configurationSet, topic string) {
	if s.err != nil || configurationSet == "" {
		return
	}
	_, err := s.clients.SES.CreateConfigurationSetEventDestination(s.ctx, &ses.CreateConfigurationSetEventDestinationInput{
		ConfigurationSetName: &configurationSet,
		EventDestination: &sestypes.EventDestination{
			Name: aws.String("feedback"), Enabled: true,
			MatchingEventTypes: []sestypes.EventType{sestypes.EventTypeBounce, sestypes.EventTypeComplaint},
			SNSDestination:     &sestypes.SNSDestination{TopicARN: &topic},
		},
	})
	existed := alreadyExists(err)
	if existed {
		err = nil
	}
	s.done(existed, "SES event destination of "+configurationSet, err)
}

func (s *setup) rule(bucket, prefix string) {
	if s.err != nil {
		return
	}
	existed, err := s.makeRule(bucket, prefix)
	s.doneIfOffered(existed, "SES receipt rule "+ruleSet+"/"+ruleName, err)
}

func (s *setup) makeRule(bucket, prefix string) (existed bool, err error) {
	rule := &sestypes.ReceiptRule{
		Name: aws.String(ruleName), Enabled: true, ScanEnabled: true,
		Actions: []sestypes.ReceiptAction{{S3Action: &sestypes.S3Action{BucketName: &bucket, ObjectKeyPrefix: &prefix}}},
	}
	_, err = s.clients.SES.CreateReceiptRuleSet(s.ctx, &ses.CreateReceiptRuleSetInput{RuleSetName: aws.String(ruleSet)})
	if err != nil && !alreadyExists(err) {
		return false, err
	}
	_, err = s.clients.SES.CreateReceiptRule(s.ctx, &ses.CreateReceiptRuleInput{RuleSetName: aws.String(ruleSet), Rule: rule})
	if existed = alreadyExists(err); existed {
		_, err = s.clients.SES.UpdateReceiptRule(s.ctx, &ses.UpdateReceiptRuleInput{RuleSetName: aws.String(ruleSet), Rule: rule})
		if notOffered(err) { // ministack makes rules, and cannot change them
			err = nil
		}
	}
	if err != nil {
		return existed, err
	}
	_, err = s.clients.SES.SetActiveReceiptRuleSet(s.ctx, &ses.SetActiveReceiptRuleSetInput{RuleSetName: aws.String(ruleSet)})
	return existed, err
}

// alreadyExists tells whether something is there already: AWS says AlreadyExists or
// ConfigurationSetAlreadyExists, moto has a prefix of its own for each.
func alreadyExists(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && strings.HasSuffix(e.ErrorCode(), "AlreadyExists")
}

// notOffered tells whether there is no such operation: AWS says InvalidAction, and
// emulators most often answer with status 501.
func notOffered(err error) bool {
	if e, ok := errors.AsType[smithy.APIError](err); ok && e.ErrorCode() == "InvalidAction" {
		return true
	}
	e, ok := errors.AsType[*smithyhttp.ResponseError](err)
	return ok && e.HTTPStatusCode() == http.StatusNotImplemented
}
