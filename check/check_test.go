package check_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"inreply/check"
	"inreply/configs"
	"inreply/local"
	locals3 "inreply/local/s3"
	localses "inreply/local/ses"
)

// rig is a deployment in which everything is right.
type rig struct {
	t       *testing.T
	world   *local.World
	config  configs.Config
	names   local.Names
	at      local.Addresses
	clients check.Clients
	dns     dns
	aws     *dated
	ahead   time.Duration // our clock
	write   bool
	deaf    bool // to DNS
}

// dns is what the world is told.
type dns struct {
	mx     map[string]string
	cnames map[string]string
	err    error
}

func (d dns) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if d.err != nil {
		return nil, d.err
	}
	if host, there := d.mx[name]; there {
		return []*net.MX{{Host: host, Pref: 10}}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func (d dns) LookupCNAME(_ context.Context, host string) (string, error) {
	if d.err != nil {
		return "", d.err
	}
	if target, there := d.cnames[host]; there {
		return target, nil
	}
	return "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// dated is AWS with a clock. What local/ cannot be brought to say, it says.
type dated struct {
	client aws.HTTPClient
	policy answer                     // of the bucket, which local/ has none of
	asked  func(*http.Request)        // as it arrives; nil: as it is
	says   func(answer string) string // nil: as it is
}

func (d *dated) Do(r *http.Request) (*http.Response, error) {
	if d.asked != nil {
		d.asked(r)
	}
	if r.URL.Query().Has("policy") {
		return &http.Response{StatusCode: d.policy.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(d.policy.body))}, nil
	}
	response, err := d.client.Do(r)
	if err != nil {
		return nil, err
	}
	response.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if d.says == nil {
		return response, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	said := d.says(string(answer))
	response.Body, response.ContentLength = io.NopCloser(strings.NewReader(said)), int64(len(said))
	response.Header.Set("Content-Length", strconv.Itoa(len(said)))
	return response, nil
}

func newRig(t *testing.T, quota localses.Quota) *rig {
	t.Helper()
	world := local.New(local.Config{Quota: quota})
	t.Cleanup(world.Close)
	config, err := configs.Parse("local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, world: world, config: config, names: local.Names{
		Bucket: "inreply-mail", Prefix: "inbound/", Topic: "inreply-events", Intake: "inreply-intake", IntakeDeadLetters: "inreply-intake-dead",
		FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "inreply-mail-dead.fifo", Identities: []string{"inreply.example"},
	}}
	r.aws = &dated{client: world.Client(), policy: answer{http.StatusOK, rightPolicy}}
	awsConfig := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), HTTPClient: r.aws,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
	r.clients = check.Clients{
		SQS: sqs.NewFromConfig(awsConfig), SNS: sns.NewFromConfig(awsConfig), SES: ses.NewFromConfig(awsConfig), STS: sts.NewFromConfig(awsConfig),
		S3: s3.NewFromConfig(awsConfig, func(o *s3.Options) { o.UsePathStyle = true }),
	}
	if r.at, err = world.Provision(r.names); err != nil {
		t.Fatal(err)
	}
	r.rightDNS()
	r.lifecycle(35, "inbound/")
	return r
}

// rightDNS publishes what SES asks for.
func (r *rig) rightDNS() {
	r.t.Helper()
	out, err := r.clients.SES.GetIdentityDkimAttributes(r.t.Context(), &ses.GetIdentityDkimAttributesInput{Identities: []string{"inreply.example"}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.dns = dns{mx: map[string]string{"inreply.example": "inbound-smtp.us-east-1.amazonaws.com."}, cnames: map[string]string{}}
	for _, token := range out.DkimAttributes["inreply.example"].DkimTokens {
		r.dns.cnames[token+"._domainkey.inreply.example"] = token + ".dkim.amazonses.com."
	}
}

func (r *rig) lifecycle(days int32, prefix string) {
	r.t.Helper()
	_, err := r.clients.S3.PutBucketLifecycleConfiguration(r.t.Context(), &s3.PutBucketLifecycleConfigurationInput{
		Bucket: aws.String("inreply-mail"),
		LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: []s3types.LifecycleRule{{
			ID: aws.String("x"), Status: s3types.ExpirationStatusEnabled, Filter: &s3types.LifecycleRuleFilter{Prefix: &prefix},
			Expiration: &s3types.LifecycleExpiration{Days: &days},
		}}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) attribute(url, name, value string) {
	r.t.Helper()
	if _, err := r.clients.SQS.SetQueueAttributes(r.t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: map[string]string{name: value}}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deny(operations ...string) {
	faults := map[string]local.Fault{}
	for _, o := range operations {
		faults[o] = local.Fault{Denied: 1}
	}
	r.world.Inject(local.Faults{Operations: faults})
}

func (r *rig) run() (found []check.Finding, right bool) {
	r.t.Helper()
	options := check.Options{Write: r.write, Resolver: r.dns, Now: func() time.Time { return time.Now().Add(r.ahead) }}
	if r.deaf {
		options.Resolver = nil
	}
	right = check.Run(r.t.Context(), r.config, r.clients, options, func(f check.Finding) { found = append(found, f) })
	return found, right
}

func show(found []check.Finding) string {
	var b bytes.Buffer
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s [%s] %s\n", f.State, f.About, f.Says, f.Do, f.Command)
	}
	return b.String()
}

func in(found []check.Finding, state check.State) (all []check.Finding) {
	for _, f := range found {
		if f.State == state {
			all = append(all, f)
		}
	}
	return all
}

func TestEverythingIsRight(t *testing.T) {
	r := newRig(t, localses.Quota{})
	before := r.world.CallCounts()
	found, right := r.run()
	if !right || len(in(found, check.Wrong))+len(in(found, check.Denied)) != 0 {
		t.Errorf("right %v\n%s", right, show(found))
	}
	// Nothing but questions.
	for operation, n := range r.world.CallCounts() {
		asks := strings.Contains(operation, ".Get") || strings.Contains(operation, ".List") || strings.Contains(operation, ".Describe") || strings.Contains(operation, ".Head")
		if n > before[operation] && !asks {
			t.Errorf("%s was called", operation)
		}
	}
}

// Each thing that can be wrong, in turn: exactly that is found, and what to do.
func TestEachThingWrong(t *testing.T) {
	const dead = `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:inreply-mail-dead.fifo","maxReceiveCount":"3"}`
	for _, c := range []struct {
		name  string
		spoil func(*rig)
		about string
		says  string
		do    string // part of what to do, or of the command
	}{
		{"no queue", func(r *rig) { r.config.Consumer.Queue = "nosuch.fifo" }, "queue nosuch.fifo", "there is no such queue", "aws sqs create-queue --queue-name nosuch.fifo"},
		{"a standard queue", func(r *rig) { r.config.Consumer.Queue = "inreply-intake" }, "queue inreply-intake", "it is a standard queue", "FifoQueue=true"},
		{"a short lease", func(r *rig) { r.attribute(r.at.QueueURL, "VisibilityTimeout", "5") }, "queue inreply-mail.fifo", "visibility timeout is 5s", "VisibilityTimeout=60"},
		{"a short lease by setting", func(r *rig) { r.config.Consumer.Visibility = 2 * time.Second }, "queue inreply-mail.fifo", "consumer.visibility is 2s", "60s"},
		{"short retention", func(r *rig) { r.attribute(r.at.QueueURL, "MessageRetentionPeriod", "86400") }, "queue inreply-mail.fifo", "keeps messages for 1 days", "MessageRetentionPeriod=1209600"},
		{"short retention of dead letters", func(r *rig) { r.attribute(r.at.DeadLettersURL, "MessageRetentionPeriod", "3600") }, "dead-letter queue inreply-mail-dead.fifo", "keeps messages for 1h0m0s", "14 days"},
		{"no dead letters", func(r *rig) { r.attribute(r.at.QueueURL, "RedrivePolicy", "") }, "dead letters of inreply-mail.fifo", "has no dead-letter queue", "RedrivePolicy"},
		{"few receives", func(r *rig) { r.attribute(r.at.QueueURL, "RedrivePolicy", dead) }, "dead letters of inreply-mail.fifo", "maxReceiveCount is 3", "1000"},
		{"no intake", func(r *rig) { r.config.Relay.Queue = "nosuch" }, "intake nosuch", "there is no such queue", "create-queue --queue-name nosuch"},
		{"a FIFO intake", func(r *rig) { r.config.Relay.Queue = "inreply-mail.fifo" }, "intake inreply-mail.fifo", "it is a FIFO queue", "relay.queue"},
		{"dead letters that are gone", func(r *rig) {
			if _, err := r.clients.SQS.DeleteQueue(r.t.Context(), &sqs.DeleteQueueInput{QueueUrl: &r.at.DeadLettersURL}); err != nil {
				r.t.Fatal(err)
			}
		}, "dead-letter queue inreply-mail-dead.fifo", "there is no such queue", "the RedrivePolicy of inreply-mail.fifo"},
		{"few receives of the intake", func(r *rig) {
			r.attribute(r.at.IntakeURL, "RedrivePolicy", strings.ReplaceAll(dead, "inreply-mail-dead.fifo", "inreply-intake-dead"))
		}, "dead letters of inreply-intake", "maxReceiveCount is 3", "inreply-intake-dead"},
		{"an intake without dead letters", func(r *rig) { r.attribute(r.at.IntakeURL, "RedrivePolicy", "") }, "dead letters of inreply-intake", "no dead-letter queue", "inreply-intake-dead"},
		{"no topic", func(r *rig) { r.config.Relay.Topic += "x.fifo" }, "topic inreply-mail.fifox.fifo", "no such topic", "relay.topic"},
		{"a standard topic", func(r *rig) { r.config.Relay.Topic = r.at.TopicARN }, "topic inreply-events", "feeds no FIFO queue", "FifoTopic=true"},
		{"the queue is not subscribed", func(r *rig) { r.unsubscribe(r.at.FifoTopicARN) }, "topic inreply-mail.fifo", "inreply-mail.fifo is not subscribed", "aws sns subscribe --topic-arn"},
		{"the intake is not subscribed", func(r *rig) { r.unsubscribe(r.at.TopicARN) }, "topic inreply-events", "inreply-intake is not subscribed", "--notification-endpoint arn:aws:sqs:us-east-1:000000000000:inreply-intake"},
		{"a subscription without dead letters", func(r *rig) { r.subscription(r.at.TopicARN, "RedrivePolicy", "") }, "topic inreply-events", "no dead-letter queue", "set-subscription-attributes"},
		{"a question without an answer", func(r *rig) {
			r.world.Inject(local.Faults{Operations: map[string]local.Fault{"ses.DescribeActiveReceiptRuleSet": {Failed: 1}}})
		}, "receipt rules", "ses:DescribeActiveReceiptRuleSet was not answered", "the network"},
		{"no bucket", func(r *rig) { r.config.Store.Bucket = "nosuch-bucket" }, "bucket nosuch-bucket", "no such bucket", "create-bucket"},
		{"no policy", func(r *rig) { r.aws.policy = noPolicy() }, "policy of inreply-mail", `no statement lets SES store mail under "inbound/"`, `put-bucket-policy --bucket inreply-mail --policy '{"Version":"2012-10-17","Statement":[{"Sid":"OurReceiptRuleStoresMail"`},
		{"no events", func(r *rig) { r.notify(locals3.Notification{}) }, "events of inreply-mail", "nobody is told", `aws s3api put-bucket-notification-configuration --bucket inreply-mail --notification-configuration '{"TopicConfigurations":[{"Events":["s3:ObjectCreated:*"],"Filter":{"Key":{"FilterRules":[{"Name":"prefix","Value":"inbound/"}]}},"TopicArn":"TOPIC-ARN"}]}'`},
		{"events of something else", func(r *rig) { r.announce("exports/", "s3:ObjectCreated:*") }, "events of inreply-mail", "nobody is told", `"Value":"exports/"`},
		{"events of removals", func(r *rig) { r.announce("inbound/", "s3:ObjectRemoved:*") }, "events of inreply-mail", "nobody is told", "ObjectCreated"},
		{"events of our own records", func(r *rig) { r.announce("", "s3:ObjectCreated:*") }, "events of inreply-mail", "covers our own records", "limit"},
		{"mails expire too soon", func(r *rig) { r.lifecycle(7, "inbound/") }, "mails in inreply-mail/inbound/", "expire after 7 days", "35"},
		{"records expire too soon", func(r *rig) { r.lifecycle(7, "inreply/") }, "records in inreply-mail/inreply/records/", "expire after 7 days", "35"},
		{"no identity", func(r *rig) { r.config.Mailer.From = "data@other.example" }, "identity of data@other.example", "has not verified", "aws ses verify-domain-dkim --domain other.example"},
		{"no DKIM", func(r *rig) { r.world.SES.Verify("a@other.example"); r.config.Mailer.From = "a@other.example" }, "identity of a@other.example", "not signed by DKIM", "CNAME"},
		{"DKIM that is turned off", func(r *rig) { r.says("<DkimEnabled>true", "<DkimEnabled>false") }, "identity of data@inreply.example", "not signed by DKIM (turned off)", "verify-domain-dkim --domain inreply.example"},
		{"an identity that waits for DNS", func(r *rig) {
			r.says("<VerificationStatus>Success", "<VerificationStatus>Pending")
		}, "identity of data@inreply.example", "inreply.example is Pending", "verify-domain-dkim"},
		{"sending is paused", func(r *rig) {
			r.says("<GetAccountSendingEnabledResult><Enabled>true", "<GetAccountSendingEnabledResult><Enabled>false")
		}, "SES account", "sending is paused", "aws ses update-account-sending-enabled --enabled"},
		{"no active rules", func(r *rig) { r.world.SES.Deactivate() }, "receipt rules", "no rule set is active", "set-active-receipt-rule-set"},
		{"no rule that stores", func(r *rig) {
			r.world.SES.SetRules("inreply", localses.Rule{Name: "off", Bucket: "inreply-mail", Disabled: true})
		}, "receipt rules", "no rule that stores mail", "create-receipt-rule"},
		{"a rule that does not scan", func(r *rig) {
			r.world.SES.SetRules("inreply", localses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/", ScanOff: true})
		}, "receipt rules", "rule store does not scan", "update-receipt-rule"},
		{"events of keys with a suffix", func(r *rig) {
			r.notify(locals3.Notification{Topics: []locals3.TopicNotification{{TopicARN: r.at.TopicARN, Announcement: locals3.Announcement{
				ID: "inreply", Events: []string{"s3:ObjectCreated:*"}, Filter: &locals3.Filter{Rules: []locals3.FilterRule{{Name: "prefix", Value: "inbound/"}, {Name: "suffix", Value: ".eml"}}},
			}}}})
		}, "events of inreply-mail", `only keys that end in ".eml" are announced`, "announce all keys under inbound/"},
		{"a suffix that no mail has", func(r *rig) { r.config.Relay.Suffix = ".eml" }, "receipt rules", `only those that end in ".eml"`, "leave relay.suffix empty"},
		{"a prefix that nobody relays", func(r *rig) { r.config.Relay.Prefix = "mails/" }, "receipt rules", `relay.prefix passes on only what is under "mails/"`, "the same"},
		{"no MX", func(r *rig) { delete(r.dns.mx, "inreply.example") }, "MX of inreply.example", "there is none", "IN MX 10 inbound-smtp.us-east-1.amazonaws.com."},
		{"another MX", func(r *rig) { r.dns.mx["inreply.example"] = "mx.example.net." }, "MX of inreply.example", "it is mx.example.net.", "publish"},
		{"a key that is not published", func(r *rig) {
			for name := range r.dns.cnames {
				delete(r.dns.cnames, name)
				return
			}
		}, "DKIM of inreply.example", "not published", "IN CNAME"},
		{"a clock that is ahead", func(r *rig) { r.ahead = 6 * time.Minute }, "clock", "AWS refuses what is signed with it", "set the clock"},
		{"a clock that is behind", func(r *rig) { r.ahead = -6 * time.Minute }, "clock", "AWS refuses what is signed with it", "set the clock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, localses.Quota{})
			r.dns.mx["other.example"] = "inbound-smtp.us-east-1.amazonaws.com."
			c.spoil(r)
			found, right := r.run()
			wrong := in(found, check.Wrong)
			if right || len(wrong) == 0 {
				t.Fatalf("right %v\n%s", right, show(found))
			}
			if i := slices.IndexFunc(wrong, func(f check.Finding) bool {
				return f.About == c.about && strings.Contains(f.Says, c.says) && strings.Contains(f.Do+" "+f.Command, c.do)
			}); i < 0 {
				t.Errorf("not found: %s: %s\n%s", c.about, c.says, show(wrong))
			}
			if len(wrong) > 1 {
				t.Errorf("more is said to be wrong than is:\n%s", show(wrong))
			}
		})
	}
}

// A rule is for our domain in each way in which SES lets one name it.
func TestRulesForOurDomain(t *testing.T) {
	for _, recipients := range [][]string{nil, {"inreply.example"}, {"other.example", "Inreply.Example"}, {"data@inreply.example"}, {".example"}} {
		r := newRig(t, localses.Quota{})
		r.config.Email.Domains = []string{"inreply.example"}
		r.world.SES.SetRules("inreply", localses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/", Recipients: recipients})
		found, _ := r.run()
		if slices.ContainsFunc(found, func(f check.Finding) bool { return f.State != check.OK && f.About == "receipt rules" }) {
			t.Errorf("%q: %s", recipients, show(found))
		}
	}
}

// The active set may have rules of others, whose buckets and domains are theirs.
func TestRulesOfOthers(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.config.Email.Domains = []string{"inreply.example"}
	r.world.SES.SetRules("inreply",
		localses.Rule{Name: "archive", Bucket: "archive", Recipients: []string{"other.example"}, ScanOff: true},
		localses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/", Recipients: []string{"inreply.example"}},
	)
	if found, right := r.run(); !right || strings.Contains(show(found), "archive") || strings.Contains(show(found), "other.example") {
		t.Errorf("right %v\n%s", right, show(found))
	}
}

// What works and could be better is said too, and is no fault; when it is better,
// nothing is said.
func TestAdvice(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*rig)
		about string
		says  string
		do    string
		mend  func(*rig)
	}{
		{
			"deduplication by queue", func(*rig) {}, "queue inreply-mail.fifo", "deduplication is by queue", "DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId",
			func(r *rig) {
				r.attribute(r.at.QueueURL, "DeduplicationScope", "messageGroup")
				r.attribute(r.at.QueueURL, "FifoThroughputLimit", "perMessageGroupId")
			},
		},
		{
			"a long lease", func(r *rig) { r.attribute(r.at.QueueURL, "VisibilityTimeout", "3600") }, "queue inreply-mail.fifo", "nobody gets what a killed process held", "VisibilityTimeout=60",
			func(r *rig) { r.attribute(r.at.QueueURL, "VisibilityTimeout", "60") },
		},
		{
			"throughput by topic", func(*rig) {}, "topic inreply-mail.fifo", "its throughput is that of the whole topic", "--attribute-name FifoThroughputScope --attribute-value MessageGroup",
			func(r *rig) {
				if _, err := r.clients.SNS.SetTopicAttributes(r.t.Context(), &sns.SetTopicAttributesInput{
					TopicArn: &r.at.FifoTopicARN, AttributeName: aws.String("FifoThroughputScope"), AttributeValue: aws.String("MessageGroup"),
				}); err != nil {
					r.t.Fatal(err)
				}
			},
		},
		{
			"EventBridge", func(r *rig) {
				r.notify(locals3.Notification{})
				r.says("</NotificationConfiguration>", "<EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>")
			}, "events of inreply-mail", "they go to EventBridge", "aws events list-rules",
			func(r *rig) { r.aws.says = nil; r.announce("inbound/", "s3:ObjectCreated:*") },
		},
		{
			"events to another queue", func(r *rig) {
				r.says("<Topic>"+r.at.TopicARN+"</Topic>", "<Queue>arn:aws:sqs:us-east-1:000000000000:other</Queue>", "TopicConfiguration>", "QueueConfiguration>")
			}, "queue other", "S3 announces mail to it, and relay.queue is another", "takes it from there",
			func(r *rig) { r.aws.says = nil },
		},
		{
			"records for ever", func(*rig) {}, "records in inreply-mail/inreply/records/", "they never expire", `"Prefix":"inreply/records/"`,
			func(r *rig) { r.lifecycle(35, "inreply/records/") },
		},
		{
			"a clock that drifts", func(r *rig) { r.ahead = 2 * time.Minute }, "clock", "it differs by 2m", "timedatectl set-ntp true",
			func(r *rig) { r.ahead = 0 },
		},
		{
			"a rule for another domain", func(r *rig) {
				r.config.Email.Domains = []string{"inreply.example"}
				r.dns.mx["other.example"], r.dns.mx["more.example"] = r.dns.mx["inreply.example"], r.dns.mx["inreply.example"]
				r.world.SES.SetRules("inreply", localses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/", Recipients: []string{"other.example", "x@more.example"}})
			}, "receipt rules", "no rule of the active set inreply stores mail to inreply.example", "update-receipt-rule",
			func(r *rig) {
				r.world.SES.SetRules("inreply", localses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/", Recipients: []string{"inreply.example"}})
			},
		},
		{
			"an emulator", func(r *rig) { r.deaf = true }, "DNS", "DNS is not asked", "",
			func(r *rig) { r.deaf = false },
		},
		{
			"five days", func(r *rig) { r.attribute(r.at.IntakeURL, "MessageRetentionPeriod", "432000") }, "intake inreply-intake", "keeps messages for 5 days", "MessageRetentionPeriod=1209600",
			func(r *rig) { r.attribute(r.at.IntakeURL, "MessageRetentionPeriod", "1209600") },
		},
		{
			"a filter", func(r *rig) { r.subscription(r.at.TopicARN, "FilterPolicy", `{"kind":["mail"]}`) }, "topic inreply-events", "a filter decides what inreply-intake gets", "lets all mail pass",
			func(r *rig) { r.subscription(r.at.TopicARN, "FilterPolicy", "{}") },
		},
		{
			"dead letters", func(r *rig) {
				if _, err := r.clients.SQS.SendMessage(r.t.Context(), &sqs.SendMessageInput{
					QueueUrl: &r.at.DeadLettersURL, MessageBody: aws.String("x"), MessageGroupId: aws.String("x"), MessageDeduplicationId: aws.String("x"),
				}); err != nil {
					r.t.Fatal(err)
				}
			}, "dead-letter queue inreply-mail-dead.fifo", "1 messages lie in it", "--redrive --dry-run",
			func(r *rig) {
				if _, err := r.clients.SQS.PurgeQueue(r.t.Context(), &sqs.PurgeQueueInput{QueueUrl: &r.at.DeadLettersURL}); err != nil {
					r.t.Fatal(err)
				}
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, localses.Quota{})
			said := func() bool {
				found, right := r.run()
				if !right {
					t.Fatalf("something is wrong\n%s", show(found))
				}
				return slices.ContainsFunc(in(found, check.Advice), func(f check.Finding) bool {
					return f.About == c.about && strings.Contains(f.Says, c.says) && strings.Contains(f.Do+" "+f.Command, c.do)
				})
			}
			c.spoil(r)
			if !said() {
				found, _ := r.run()
				t.Errorf("not said: %s\n%s", c.says, show(found))
			}
			c.mend(r)
			if said() {
				t.Errorf("still said when it is mended: %s", c.says)
			}
		})
	}
}

func TestQuota(t *testing.T) {
	for _, c := range []struct {
		quota localses.Quota
		sent  int
		says  string
	}{
		{localses.Quota{Daily: 200, Rate: 1}, 0, "it is in the sandbox"},
		{localses.Quota{Daily: 10, Rate: -1}, 9, "9 of 10 replies"},
	} {
		r := newRig(t, c.quota)
		for range c.sent {
			_, err := r.clients.SES.SendEmail(t.Context(), &ses.SendEmailInput{Source: aws.String("data@inreply.example"), Destination: mailTo("x@example.com"), Message: hello()})
			if err != nil {
				t.Fatal(err)
			}
		}
		found, right := r.run()
		if wrong := in(found, check.Wrong); right || len(wrong) != 1 || wrong[0].About != "SES account" || !strings.Contains(wrong[0].Says, c.says) || wrong[0].Command == "" {
			t.Errorf("%s", show(found))
		}
	}
}

// What may not be asked is no fault, and the action is named.
func TestDeniedQuestions(t *testing.T) {
	for operation, action := range map[string]string{
		"sts.GetCallerIdentity":                 "sts:GetCallerIdentity",
		"sqs.GetQueueUrl":                       "sqs:GetQueueUrl",
		"sqs.GetQueueAttributes":                "sqs:GetQueueAttributes",
		"sns.GetTopicAttributes":                "sns:GetTopicAttributes",
		"sns.ListSubscriptionsByTopic":          "sns:ListSubscriptionsByTopic",
		"sns.GetSubscriptionAttributes":         "sns:GetSubscriptionAttributes",
		"s3.HeadBucket":                         "s3:ListBucket",
		"s3.GetBucketNotificationConfiguration": "s3:GetBucketNotification",
		"s3.GetBucketLifecycleConfiguration":    "s3:GetLifecycleConfiguration",
		"ses.GetIdentityVerificationAttributes": "ses:GetIdentityVerificationAttributes",
		"ses.GetIdentityDkimAttributes":         "ses:GetIdentityDkimAttributes",
		"ses.GetSendQuota":                      "ses:GetSendQuota",
		"ses.GetAccountSendingEnabled":          "ses:GetAccountSendingEnabled",
		"ses.DescribeActiveReceiptRuleSet":      "ses:DescribeActiveReceiptRuleSet",
	} {
		r := newRig(t, localses.Quota{})
		r.deny(operation)
		found, right := r.run()
		denied := in(found, check.Denied)
		if !right || len(denied) == 0 || denied[0].Says != "not allowed to ask: "+action {
			t.Errorf("%s: right %v\n%s", operation, right, show(found))
		}
	}
	r := newRig(t, localses.Quota{})
	r.deny("*")
	if found, right := r.run(); !right || len(in(found, check.Denied)) < 6 {
		t.Errorf("all: right %v\n%s", right, show(found))
	}
}

func TestTheBucketsPolicyMayNotBeAsked(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.aws.policy = answer{http.StatusForbidden, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`}
	found, right := r.run()
	if denied := in(found, check.Denied); !right || len(denied) != 1 || denied[0].Says != "not allowed to ask: s3:GetBucketPolicy" {
		t.Errorf("right %v\n%s", right, show(found))
	}
}

// Without credentials, nothing else is asked.
func TestNoCredentials(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.clients.STS = sts.New(sts.Options{Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), HTTPClient: r.world.Client(), Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	})})
	found, right := r.run()
	if right || len(found) != 1 || found[0].About != "credentials" || !strings.Contains(found[0].Do, "AWS_PROFILE") {
		t.Errorf("%s", show(found))
	}
}

// A clock that is so wrong that AWS answers nothing: nothing else is asked.
func TestAClockThatAWSRefuses(t *testing.T) {
	r := newRig(t, localses.Quota{})
	refused := `<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code>` +
		`<Message>Signature expired: 20261125T080000Z is now earlier than 20261125T081459Z (20261125T082959Z - 15 min.)</Message></Error></ErrorResponse>`
	r.clients.STS = sts.New(sts.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient: answers(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(refused))}, nil
		}),
	})
	found, right := r.run()
	if right || len(found) != 1 || found[0].About != "clock" || found[0].State != check.Wrong || !strings.Contains(found[0].Do, "set the clock") {
		t.Errorf("%s", show(found))
	}
}

type answers func(*http.Request) (*http.Response, error)

func (a answers) Do(r *http.Request) (*http.Response, error) { return a(r) }

// What the bucket announces and how it arrives is said where it is right, too.
func TestSaysHowMessagesArrive(t *testing.T) {
	for value, how := range map[string]string{"true": "gets messages raw", "false": "gets messages in SNS's envelope"} {
		r := newRig(t, localses.Quota{})
		r.subscription(r.at.TopicARN, "RawMessageDelivery", value)
		found, right := r.run()
		if !right || !slices.ContainsFunc(found, func(f check.Finding) bool {
			return f.State == check.OK && f.About == "topic inreply-events" && strings.Contains(f.Says, how)
		}) {
			t.Errorf("%s: right %v\n%s", value, right, show(found))
		}
	}
}

func TestDNSThatDoesNotAnswer(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.dns.err = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	found, right := r.run()
	if wrong := in(found, check.Wrong); right || len(wrong) != 2 || !strings.Contains(wrong[0].Says, "DNS does not answer") {
		t.Errorf("%s", show(found))
	}
}

// The one thing that is written, and only when it is asked for.
func TestWrite(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.write = true
	found, right := r.run()
	if i := slices.IndexFunc(found, func(f check.Finding) bool { return strings.HasPrefix(f.About, "write to") && f.State == check.OK }); !right || i < 0 {
		t.Errorf("right %v\n%s", right, show(found))
	}
	if n := r.world.CallCounts()["s3.PutObject"]; n != 2 {
		t.Errorf("%d objects were put", n)
	}
	r.deny("s3.PutObject")
	found, right = r.run()
	if wrong := in(found, check.Wrong); right || len(wrong) != 1 || !strings.Contains(wrong[0].Do, "allow s3:PutObject on inreply-mail/inreply/records/*") {
		t.Errorf("%s", show(found))
	}
}

// A store that takes no notice of If-None-Match would let a mail be answered twice.
func TestWriteToAStoreWithoutConditions(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.write, r.aws.asked = true, func(q *http.Request) { q.Header.Del("If-None-Match") }
	found, right := r.run()
	if wrong := in(found, check.Wrong); right || len(wrong) != 1 || !strings.Contains(wrong[0].Says, "this store has no conditional writes") {
		t.Errorf("%s", show(found))
	}
}

func TestPush(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.config.Relay.Queue, r.config.Relay.DeadLetters = "", "inreply-intake-dead"
	r.config.Relay.Push.Listen, r.config.Relay.Push.Topics = "0.0.0.0:8081", []string{r.at.TopicARN}
	found, right := r.run()
	if wrong := in(found, check.Wrong); right || len(wrong) != 1 || !strings.Contains(wrong[0].Command, "--protocol https --notification-endpoint https://YOUR-BALANCER/sns") {
		t.Errorf("%s", show(found))
	}
	if _, err := r.world.SNS.Subscribe(r.at.TopicARN, "http", "http://127.0.0.1:9/sns", nil); err != nil {
		t.Fatal(err)
	}
	found, _ = r.run()
	if wrong := in(found, check.Wrong); len(wrong) != 1 || !strings.Contains(wrong[0].Says, "is not confirmed") {
		t.Errorf("%s", show(found))
	}
	r.config.Relay.Push.Topics = []string{r.at.TopicARN + "-other"}
	found, _ = r.run()
	if wrong := in(found, check.Wrong); len(wrong) != 2 || !strings.Contains(wrong[0].Says, "none of relay.push.topics") {
		t.Errorf("%s", show(found))
	}
}

// Services are reached, and asked nothing.
func TestServices(t *testing.T) {
	r := newRig(t, localses.Quota{})
	var dialed []string
	var found []check.Finding
	right := check.Run(t.Context(), r.config, r.clients, check.Options{
		Resolver: r.dns,
		Services: map[string]string{"a": "https://a.example/mails", "b": "http://b.example:8080/", "c": "https://down.example/", "d": "://"},
		Dial: func(_ context.Context, _, address string) (net.Conn, error) {
			dialed = append(dialed, address)
			if address == "down.example:443" {
				return nil, errors.New("connection refused")
			}
			ours, theirs := net.Pipe()
			theirs.Close()
			return ours, nil
		},
	}, func(f check.Finding) { found = append(found, f) })
	if wrong := in(found, check.Wrong); right || len(wrong) != 2 || wrong[0].About != "service c" || wrong[1].About != "service d" || wrong[0].Command != "curl -v https://down.example/" {
		t.Errorf("%s", show(found))
	}
	if !slices.Equal(dialed, []string{"a.example:443", "b.example:8080", "down.example:443"}) {
		t.Errorf("dialed %v", dialed)
	}
}
