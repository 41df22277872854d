package check

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"inreply/store"
)

// buckets checks where mails and records lie.
func (c *checker) buckets(ctx context.Context) {
	records := place{c.config.Store.Bucket, c.config.Store.Prefix}
	mails := c.stored
	if len(mails) == 0 {
		// SES says nothing of where it stores mail: it may be elsewhere, or not ours to
		// ask. The records mostly lie in the same bucket.
		mails = []place{{records.bucket, c.config.Relay.Prefix}}
	}
	known := map[string]bool{}
	for _, p := range append(slices.Clone(mails), records) {
		if _, asked := known[p.bucket]; !asked {
			known[p.bucket] = c.bucket(ctx, p.bucket)
		}
	}
	for _, r := range c.rules {
		// An emulator stores mail whatever a policy says.
		if known[r.bucket] && c.options.Resolver != nil {
			c.storable(ctx, r)
		}
	}
	for _, p := range mails {
		if known[p.bucket] {
			c.announces(ctx, p, records)
			c.kept(ctx, p, "mails")
		}
	}
	if known[records.bucket] {
		c.kept(ctx, records, "records")
		c.write(ctx, records)
	}
}

func (c *checker) bucket(ctx context.Context, name string) bool {
	about := "bucket " + name
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := c.clients.S3.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &name})
	if code := codeOf(err); code == "NotFound" || code == "NoSuchBucket" {
		c.wrong(about, "there is no such bucket", "correct records.bucket, or create it", "aws s3api create-bucket --bucket "+name)
		return false
	}
	if err != nil {
		c.failed(about, "s3:ListBucket", err)
		return denied(err)
	}
	c.ok(about, "it is there")
	return true
}

// announcement is one of a bucket's notifications.
type announcement struct {
	to             string // ARN
	prefix, suffix string
	creations      bool
}

// announces checks that S3 announces what lies under a prefix, to somebody who passes
// it on, and nothing of our own.
func (c *checker) announces(ctx context.Context, mails, records place) {
	about := "events of " + mails.bucket
	asking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.S3.GetBucketNotificationConfiguration(asking, &s3.GetBucketNotificationConfigurationInput{Bucket: &mails.bucket})
	if err != nil {
		c.failed(about, "s3:GetBucketNotification", err)
		return
	}
	var covering []announcement
	narrowed := "" // what the keys of an announcement end with that would else cover the mails
	for _, a := range announcements(out) {
		if mails.bucket == records.bucket && a.creations && a.suffix == "" && overlap(a.prefix, records.prefix) {
			c.wrong(about, fmt.Sprintf("they announce %q to %s, which covers our own records under %s", a.prefix, lastPart(a.to), records.prefix), "limit them to the prefix of the mails", "aws s3api put-bucket-notification-configuration --bucket "+mails.bucket+" --notification-configuration file://events.json")
		}
		switch {
		case !a.creations || !strings.HasPrefix(mails.prefix, a.prefix):
		case a.suffix != "" && len(c.stored) > 0:
			narrowed = a.suffix
		default:
			covering = append(covering, a)
		}
	}
	if len(covering) == 0 && narrowed != "" {
		c.wrong(about, fmt.Sprintf("only keys that end in %q are announced, and those of SES have no suffix", narrowed), "announce all keys under "+mails.prefix+", merged with what is there: the call replaces all of it", "aws s3api get-bucket-notification-configuration --bucket "+mails.bucket)
		return
	}
	if len(covering) == 0 && out.EventBridgeConfiguration != nil {
		c.advise(about, "they go to EventBridge, whose rules and pipes are not looked at here", "see that one of them sends to "+c.config.Consumer.Queue, "aws events list-rules")
		return
	}
	if len(covering) == 0 {
		c.wrong(about, fmt.Sprintf("nobody is told of new objects under %q", mails.prefix), "announce s3:ObjectCreated:* to the topic that feeds the relay (output EventsTopic of the template); the command keeps what is there", c.announcing(mails, out))
		return
	}
	for _, a := range covering {
		c.ok(about, "new objects under %q are announced to %s", a.prefix, lastPart(a.to))
		c.passedOn(ctx, a)
	}
}

// announcing is the command that has a bucket announce mails. It replaces all
// notifications, so those that are there go along.
func (c *checker) announcing(mails place, there *s3.GetBucketNotificationConfigurationOutput) string {
	topic := "TOPIC-ARN"
	if c.config.Relay.Push.Enabled() {
		topic = c.config.Relay.Push.Topics[0] // Validate has seen to that.
	}
	prefix := []types.FilterRule{{Name: types.FilterRuleNamePrefix, Value: &mails.prefix}}
	ours := types.TopicConfiguration{
		TopicArn: &topic, Events: []types.Event{"s3:ObjectCreated:*"},
		Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: prefix}},
	}
	var all any
	err := json.Unmarshal([]byte(oneLine(types.NotificationConfiguration{
		TopicConfigurations: append(slices.Clone(there.TopicConfigurations), ours), QueueConfigurations: there.QueueConfigurations,
		LambdaFunctionConfigurations: there.LambdaFunctionConfigurations, EventBridgeConfiguration: there.EventBridgeConfiguration,
	})), &all)
	if err != nil {
		panic(err) // It was JSON a moment ago.
	}
	return "aws s3api put-bucket-notification-configuration --bucket " + mails.bucket + " --notification-configuration " + quoted(oneLine(said(all)))
}

// said leaves out what is null, which the AWS CLI does not take.
func said(v any) any {
	switch of := v.(type) {
	case map[string]any:
		maps.DeleteFunc(of, func(_ string, v any) bool { return v == nil })
		for key := range of {
			of[key] = said(of[key])
		}
	case []any:
		for i := range of {
			of[i] = said(of[i])
		}
	}
	return v
}

// passedOn checks that what S3 announces reaches the intake, or the door for pushes.
func (c *checker) passedOn(ctx context.Context, a announcement) {
	if !strings.Contains(a.to, ":sns:") {
		if c.intake.known && a.to != c.intake.ARN {
			c.advise("queue "+lastPart(a.to), "S3 announces mail to it, and relay.queue is another", "see that somebody takes it from there", "")
		}
		return
	}
	about := "topic " + lastPart(a.to)
	if _, ok := c.topic(ctx, about, a.to, "the notifications of the bucket"); !ok {
		return
	}
	if c.intake.known {
		c.subscribed(ctx, about, a.to, "sqs", c.intake.ARN)
	}
	if c.config.Relay.Push.Enabled() {
		c.pushed(ctx, about, a.to)
	}
}

// pushed checks the subscription of the door for pushes.
func (c *checker) pushed(ctx context.Context, about, arn string) {
	if !slices.Contains(c.config.Relay.Push.Topics, arn) {
		c.wrong(about, "S3 announces mail to it, and it may not push: it is none of relay.push.topics", "add "+arn+" there", "")
	}
	all, ok := c.subscriptions(ctx, about, arn)
	if !ok {
		return
	}
	for _, s := range all {
		endpoint := aws.ToString(s.Endpoint)
		if strings.HasPrefix(aws.ToString(s.Protocol), "http") && strings.HasSuffix(endpoint, c.config.Relay.Push.Path) {
			c.subscription(ctx, about, aws.ToString(s.SubscriptionArn), "the door for pushes")
			return
		}
	}
	c.wrong(about, "no HTTPS endpoint with the path "+c.config.Relay.Push.Path+" is subscribed to it: nothing is pushed", "subscribe the address of your balancer", "aws sns subscribe --topic-arn "+arn+" --protocol https --notification-endpoint https://YOUR-BALANCER"+c.config.Relay.Push.Path)
}

func announcements(out *s3.GetBucketNotificationConfigurationOutput) (all []announcement) {
	add := func(to *string, events []types.Event, filter *types.NotificationConfigurationFilter) {
		a := announcement{to: aws.ToString(to)}
		a.creations = slices.ContainsFunc(events, func(e types.Event) bool { return strings.HasPrefix(string(e), "s3:ObjectCreated:") })
		if filter != nil && filter.Key != nil {
			for _, r := range filter.Key.FilterRules {
				switch strings.ToLower(string(r.Name)) {
				case "prefix":
					a.prefix = aws.ToString(r.Value)
				case "suffix":
					a.suffix = aws.ToString(r.Value)
				}
			}
		}
		all = append(all, a)
	}
	for _, n := range out.TopicConfigurations {
		add(n.TopicArn, n.Events, n.Filter)
	}
	for _, n := range out.QueueConfigurations {
		add(n.QueueArn, n.Events, n.Filter)
	}
	for _, n := range out.LambdaFunctionConfigurations {
		add(n.LambdaFunctionArn, n.Events, n.Filter)
	}
	return all
}

func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// kept checks that nothing expires before the last message about it.
func (c *checker) kept(ctx context.Context, p place, what string) {
	about := what + " in " + p.bucket + "/" + p.prefix
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.S3.GetBucketLifecycleConfiguration(ctx, &s3.GetBucketLifecycleConfigurationInput{Bucket: &p.bucket})
	if err != nil && codeOf(err) != "NoSuchLifecycleConfiguration" {
		c.failed(about, "s3:GetLifecycleConfiguration", err)
		return
	}
	least := max(c.longest, 28*24*time.Hour)
	soonest := 0
	if out != nil {
		soonest = expiry(out.Rules, p.prefix)
	}
	rule := fmt.Sprintf(`aws s3api put-bucket-lifecycle-configuration --bucket %s --lifecycle-configuration '{"Rules":[{"ID":"inreply","Status":"Enabled","Filter":{"Prefix":"%s"},"Expiration":{"Days":35}}]}'`, p.bucket, p.prefix)
	switch {
	case soonest == 0 && what == "records":
		c.advise(about, "they never expire", "let them, after 35 days; the call replaces the rules that are there", rule)
	case soonest == 0:
		c.ok(about, "they never expire")
	case time.Duration(soonest)*24*time.Hour < least:
		c.wrong(about, fmt.Sprintf("they expire after %d days, and a message about them may live for %s in the queue and the dead-letter queue", soonest, days(least)), "let them live for 35 days; the call replaces the rules that are there", rule)
	default:
		c.ok(about, "they expire after %d days", soonest)
	}
}

// expiry is after how many days the first of what lies under a prefix expires; 0:
// never.
func expiry(rules []types.LifecycleRule, prefix string) (soonest int) {
	for _, r := range rules {
		under := aws.ToString(r.Prefix) //nolint:staticcheck // old rules have their prefix there
		if r.Filter != nil {
			under = aws.ToString(r.Filter.Prefix)
			if r.Filter.And != nil {
				under = aws.ToString(r.Filter.And.Prefix)
			}
		}
		if r.Status != types.ExpirationStatusEnabled || r.Expiration == nil || r.Expiration.Days == nil || !overlap(under, prefix) {
			continue
		}
		if n := int(*r.Expiration.Days); soonest == 0 || n < soonest {
			soonest = n
		}
	}
	return soonest
}

// write tries the conditional write that all of "one reply" stands on: one that must
// succeed, and one that must not.
func (c *checker) write(ctx context.Context, records place) {
	if !c.options.Write {
		return
	}
	about := "write to " + records.bucket + "/" + records.prefix
	s := store.New(c.clients.S3)
	key := records.prefix + "check/" + strings.ToLower(rand.Text())
	content := []byte(`{"written by":"inreply --check=write"}`)
	_, err := s.PutNew(ctx, records.bucket, key, "application/json", content)
	if denied(err) {
		c.wrong(about, "it is not allowed, and the task role must be", "allow s3:PutObject on "+records.bucket+"/"+records.prefix+"*", "")
		return
	}
	if err != nil {
		c.failed(about, "s3:PutObject", err)
		return
	}
	if _, err := s.PutNew(ctx, records.bucket, key, "application/json", content); !errors.Is(err, store.ErrExists) {
		c.wrong(about, fmt.Sprintf("a second write with If-None-Match was not refused (%v): this store has no conditional writes, and a mail could be answered twice", err), "use S3, or a store that has them", "")
		return
	}
	c.ok(about, "%s was written, and a second write was refused", key)
}
