package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ways are the ways in which the template is deployed.
func ways() map[string]map[string]any {
	return map[string]map[string]any{
		"alone":            nil,
		"nobody is mailed": {"AlarmEmail": "", "MonitoringEmail": ""},
		"existing bucket":  {"ExistingBucket": "customer-mail"},
		"named rule set":   {"RuleSet": "default-rule-set"},
		"SES elsewhere":    {"SesRegion": "eu-west-1"},
		"SES here, named":  {"SesRegion": region},
		"all of it":        {"ExistingBucket": "customer-mail", "RuleSet": "default-rule-set", "SesRegion": "eu-west-1", "MailSuffix": ".eml", "Name": "other"},
	}
}

// eachWay runs a test on the stack of each.
func eachWay(t *testing.T, test func(t *testing.T, s *stack)) {
	t.Helper()
	for name, given := range ways() {
		t.Run(name, func(t *testing.T) { test(t, opened(t, given)) })
	}
}

// elsewhere is the second template, for SES in another region.
func elsewhere(t *testing.T, given map[string]any) *stack {
	t.Helper()
	said := map[string]any{
		"Domain": "mail.example.com", "Bucket": "customer-mail", "FeedbackQueue": arn("sqs", "inreply-feedback"),
		"AlarmEmail": "ops@example.com",
	}
	maps.Copy(said, given)
	return open(t, "cloudformation/inreply-ses.yaml", said)
}

// Everything resolves, in whatever way it is deployed: nothing refers to what is
// not made there.
func TestEverythingIsThere(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		for name, o := range entries(child(s.template, "Outputs")) {
			if c := child(o, "Condition"); (c == nil || s.holds(c.Value)) && get(s.resolve(o), "Value") == "" {
				t.Errorf("output %s is empty", name)
			}
		}
		s.resources()
	})
	elsewhere(t, nil).resources()
	elsewhere(t, map[string]any{"RuleSet": "default-rule-set"}).resources()
}

// A mail may wait for as long as SQS keeps anything.
func TestEveryQueueKeepsFourteenDays(t *testing.T) {
	for _, s := range []*stack{opened(t, nil), elsewhere(t, nil)} {
		for name, q := range s.of("AWS::SQS::Queue") {
			if days := number(q, "MessageRetentionPeriod") / (24 * 60 * 60); days != 14 {
				t.Errorf("%s keeps messages for %d days", name, days)
			}
		}
	}
}

// Each queue that is worked on has dead letters, of its own kind, which take them
// from it alone.
func TestDeadLetters(t *testing.T) {
	queues := opened(t, nil).of("AWS::SQS::Queue")
	byARN := map[string]any{}
	for _, q := range queues {
		byARN[arn("sqs", get(q, "QueueName"))] = q
	}
	for name, most := range map[string]int{"Intake": 1000, "MailQueue": 1000, "Feedback": 100} {
		q := queues[name]
		dead := byARN[get(q, "RedrivePolicy", "deadLetterTargetArn")]
		if dead == nil || number(q, "RedrivePolicy", "maxReceiveCount") != most {
			t.Errorf("%s: redrive policy %v", name, at(q, "RedrivePolicy"))
			continue
		}
		if get(q, "FifoQueue") != get(dead, "FifoQueue") {
			t.Errorf("%s and its dead letters are not of one kind", name)
		}
		want := []string{arn("sqs", get(q, "QueueName"))}
		if got := texts(at(dead, "RedriveAllowPolicy", "sourceQueueArns")); !slices.Equal(got, want) {
			t.Errorf("%s: its dead letters come from %v", name, got)
		}
	}
}

// The FIFO queues and the topic before them scale by group: SQS and SNS have low
// quotas else.
func TestGroupsScale(t *testing.T) {
	s := opened(t, nil)
	for _, name := range []string{"MailQueue", "MailDead"} {
		q := s.properties(name)
		got := []string{get(q, "FifoQueue"), get(q, "DeduplicationScope"), get(q, "FifoThroughputLimit"), get(q, "ContentBasedDeduplication")}
		if diff := cmp.Diff([]string{"true", "messageGroup", "perMessageGroupId", "false"}, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
		if !strings.HasSuffix(get(q, "QueueName"), ".fifo") {
			t.Errorf("%s is called %s", name, get(q, "QueueName"))
		}
	}
	topic := s.properties("MailTopic")
	if get(topic, "FifoTopic") != "true" || get(topic, "FifoThroughputScope") != "MessageGroup" {
		t.Errorf("the topic is %v", topic)
	}
}

// What SNS could not deliver is kept, in a queue that takes it from that topic and
// is of the topic's kind.
func TestEverySubscriptionHasDeadLetters(t *testing.T) {
	check := func(t *testing.T, s *stack) {
		t.Helper()
		takes := senders(s)
		for name, sub := range s.of("AWS::SNS::Subscription") {
			topic, dead := get(sub, "TopicArn"), get(sub, "RedrivePolicy", "deadLetterTargetArn")
			if !takes[dead][topic] {
				t.Errorf("%s: %s does not take what %s could not deliver", name, dead, topic)
			}
			if strings.HasSuffix(topic, ".fifo") != strings.HasSuffix(dead, ".fifo") {
				t.Errorf("%s: %s and %s are not of one kind", name, topic, dead)
			}
			if get(sub, "Protocol") != "sqs" {
				continue
			}
			if endpoint := get(sub, "Endpoint"); endpoint != s.parameters["FeedbackQueue"] && !takes[endpoint][topic] {
				t.Errorf("%s: %s does not take from %s", name, endpoint, topic)
			}
			if get(sub, "RawMessageDelivery") != "true" {
				t.Errorf("%s wraps its messages", name)
			}
		}
	}
	eachWay(t, check)
	check(t, elsewhere(t, nil))
}

// senders are the topics that may send to each queue, by ARN.
func senders(s *stack) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, policy := range s.of("AWS::SQS::QueuePolicy") {
		for _, statement := range list(at(policy, "PolicyDocument", "Statement")) {
			for _, queue := range texts(at(statement, "Resource")) {
				if all[queue] == nil {
					all[queue] = map[string]bool{}
				}
				for _, topic := range texts(at(statement, "Condition", "ArnEquals", "aws:SourceArn")) {
					all[queue][topic] = true
				}
			}
		}
	}
	return all
}

// A service of AWS acts for many accounts: each is let in only for one thing of
// ours, by its ARN, and by our account where the ARN has none (a bucket's).
func TestServicesActForUsOnly(t *testing.T) {
	check := func(t *testing.T, s *stack) {
		t.Helper()
		seen := 0
		for name, r := range s.resources() {
			for _, statement := range list(at(r, "Properties", "PolicyDocument", "Statement")) {
				service := get(statement, "Principal", "Service")
				if service == "" {
					continue
				}
				seen++
				condition, err := json.Marshal(at(statement, "Condition"))
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(condition), `"aws:SourceArn":`) {
					t.Errorf("%s lets %s in for whatever", name, service)
				}
				if service != "sns.amazonaws.com" && get(statement, "Condition", "StringEquals", "aws:SourceAccount") != account {
					t.Errorf("%s lets %s in for whomever", name, service)
				}
			}
		}
		if seen < 3 {
			t.Errorf("only %d statements were found", seen)
		}
	}
	eachWay(t, check)
	check(t, elsewhere(t, nil))
}

// The bucket's events and SES's mail are let in by the names that they come under.
func TestWhoMayPublishAndStore(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		env := environment(s)
		bucket, name := env["INREPLY_RECORDS_BUCKET"], s.parameters["Name"].(string)
		published := at(s.properties("EventsTopicPolicy"), "PolicyDocument", "Statement", "0", "Condition")
		if got := get(published, "ArnEquals", "aws:SourceArn"); got != "arn:aws:s3:::"+bucket {
			t.Errorf("the topic takes events of %s, the bucket is %s", got, bucket)
		}
		policy := s.resources()["BucketPolicy"]
		if policy == nil {
			return
		}
		set := name
		if named := s.parameters["RuleSet"]; named != "" {
			set = named.(string)
		}
		want := "arn:aws:ses:" + env["INREPLY_AWS_SES_REGION"] + ":" + account + ":receipt-rule-set/" + set + ":receipt-rule/" + name + "-store"
		stored := at(policy, "Properties", "PolicyDocument", "Statement", "1")
		if got := get(stored, "Condition", "StringEquals", "aws:SourceArn"); got != want {
			t.Errorf("the bucket takes mail of %s, want %s", got, want)
		}
		if got := get(stored, "Resource"); got != "arn:aws:s3:::"+bucket+"/"+get(s.parameters, "MailPrefix")+"*" {
			t.Errorf("SES may write %s", got)
		}
	})
}

// A rule is as the policies have it, in both templates.
func TestReceiptRule(t *testing.T) {
	for name, s := range map[string]*stack{"here": opened(t, nil), "elsewhere": elsewhere(t, nil)} {
		rule := s.properties("ReceiptRule")
		if get(rule, "RuleSetName") != "inreply" || get(rule, "Rule", "Name") != "inreply-store" {
			t.Errorf("%s: the rule is %v", name, rule)
		}
		if get(rule, "Rule", "ScanEnabled") != "true" || get(rule, "Rule", "Enabled") != "true" {
			t.Errorf("%s: mail is not scanned: %v", name, rule)
		}
		if got := get(rule, "Rule", "Actions", "0", "S3Action", "ObjectKeyPrefix"); got != s.parameters["MailPrefix"] {
			t.Errorf("%s: mail is stored under %s", name, got)
		}
	}
}

// What both templates have, both have alike.
func TestBothTemplatesSayTheSame(t *testing.T) {
	// Where they must differ.
	differ := []string{
		"FeedbackDead", "FeedbackPolicy", // the queue is in the other region
		"DeadLettersAlarm",  // of other queues
		"AlarmSubscription", // has its dead letters there
		"ReceiptRule",       // the bucket is there already
		"FeedbackSubscription",
	}
	here, there := opened(t, nil), elsewhere(t, map[string]any{"Bucket": "inreply-mail-" + account + "-" + region})
	shared := 0
	for name, r := range there.resources() {
		if slices.Contains(differ, name) {
			continue
		}
		if diff := cmp.Diff(at(here.resources()[name], "Properties"), at(r, "Properties")); diff != "" {
			t.Errorf("%s (-inreply.yaml +inreply-ses.yaml):\n%s", name, diff)
		}
		shared++
	}
	if shared < 8 {
		t.Errorf("only %d resources are in both", shared)
	}
	if diff := cmp.Diff(here.properties("ReceiptRule"), there.properties("ReceiptRule")); diff != "" {
		t.Errorf("ReceiptRule (-inreply.yaml +inreply-ses.yaml):\n%s", diff)
	}
}

// CloudFormation makes things in the order in which they depend on each other.
// S3 asks the topic when its notification is set, SES the bucket when the rule is.
func TestOrder(t *testing.T) {
	for _, file := range []string{"inreply.yaml", "inreply-ses.yaml"} {
		g := dependencies(t, filepath.Join("cloudformation", file))
		for name := range g {
			if g.reaches(name, name) {
				t.Errorf("%s: %s waits for itself", file, name)
			}
		}
		if file != "inreply.yaml" {
			continue
		}
		for later, earlier := range map[string]string{
			"Bucket": "EventsTopicPolicy", "ReceiptRule": "BucketPolicy", "IntakeSubscription": "IntakePolicy",
			"MailSubscription": "MailPolicy", "FeedbackSubscription": "FeedbackPolicy", "FeedbackDestination": "FeedbackTopicPolicy",
			"Service": "MailSubscription",
		} {
			if !g.reaches(later, earlier) {
				t.Errorf("%s does not wait for %s", later, earlier)
			}
		}
	}
}

// The AWS CLI sends a template that is no larger as it is.
func TestSize(t *testing.T) {
	files, err := filepath.Glob("cloudformation/*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if stat, err := os.Stat(file); err != nil || stat.Size() > 51200 {
			t.Errorf("%s: %v, %d octets", file, err, stat.Size())
		}
	}
}

// Parameters are few, and each says what it is.
func TestParametersAreExplained(t *testing.T) {
	s := opened(t, nil)
	grouped := map[string]bool{}
	for _, group := range list(s.resolve(child(child(child(s.template, "Metadata"), "AWS::CloudFormation::Interface"), "ParameterGroups"))) {
		for _, name := range texts(at(group, "Parameters")) {
			grouped[name] = true
		}
	}
	count := 0
	for name, p := range entries(child(s.template, "Parameters")) {
		count++
		if d := child(p, "Description"); d == nil || len(d.Value) < 30 {
			t.Errorf("%s is not explained", name)
		}
		if !grouped[name] {
			t.Errorf("%s is in no group", name)
		}
	}
	if count != len(grouped) || count > 20 {
		t.Errorf("%d parameters, %d in groups", count, len(grouped))
	}
}
