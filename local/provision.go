package local

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"inreply/local/s3"
	"inreply/local/ses"
)

// Names is what Provision sets up, by name.
type Names struct {
	// Bucket takes the mail, under keys that begin with Prefix ("mail/"). Only
	// these are announced.
	Bucket, Prefix string
	// Topic is the standard topic that S3 announces mail to.
	Topic string
	// Intake is the standard queue subscribed to it, IntakeDeadLetters where its
	// messages go that nobody could relay.
	Intake, IntakeDeadLetters string
	// FifoTopic, Queue and DeadLetters are what the relay feeds. Their names end
	// in ".fifo".
	FifoTopic, Queue, DeadLetters string
	// Feedback is the standard queue for SES's bounces and complaints,
	// FeedbackDeadLetters where its messages go that nobody could read. Empty: none.
	Feedback, FeedbackDeadLetters string
	// ConfigurationSet is SES's; it publishes to Feedback if there is one. Empty: none.
	ConfigurationSet string
	// Identities may send mail: addresses or domains.
	Identities []string
}

// Addresses is where what Provision set up is found.
type Addresses struct {
	TopicARN, FifoTopicARN          string
	IntakeURL, IntakeDeadLettersURL string
	QueueURL, DeadLettersURL        string
	IntakeARN, IntakeDeadLettersARN string
	QueueARN, DeadLettersARN        string
}

// maxReceives is how often a message may be received before SQS gives it up by
// itself: the net beneath the tries that the consumer counts.
const maxReceives = 1000

// Provision sets up what a deployment has on AWS: the bucket announcing mail to
// the topic, the topic feeding the intake queue, the FIFO topic feeding the FIFO
// queue, both raw; a dead-letter queue for each queue; verified identities; and
// a receipt rule that stores all mail. What exists already with the same settings
// is left as it is. Every name must be given that is not said to be none if empty. The error says what was refused;
// what came before it stays.
func (w *World) Provision(n Names) (Addresses, error) {
	if slices.Contains([]string{n.Bucket, n.Topic, n.Intake, n.IntakeDeadLetters, n.FifoTopic, n.Queue, n.DeadLetters}, "") {
		return Addresses{}, errors.New("provision: a name is empty")
	}
	p := provisioner{w: w}
	var a Addresses
	intakeDeadARN := p.queue(n.IntakeDeadLetters, "", false)
	intakeARN := p.queue(n.Intake, intakeDeadARN, false)
	deadARN := p.queue(n.DeadLetters, "", true)
	queueARN := p.queue(n.Queue, deadARN, true)
	a.TopicARN = p.topic(n.Topic, false)
	a.FifoTopicARN = p.topic(n.FifoTopic, true)
	p.subscribe(a.TopicARN, intakeARN, intakeDeadARN)
	p.subscribe(a.FifoTopicARN, queueARN, deadARN)
	p.bucket(n.Bucket, n.Prefix, a.TopicARN)
	p.feedback(n)
	if p.err != nil {
		return Addresses{}, p.err
	}
	for _, identity := range n.Identities {
		w.SES.Verify(identity)
	}
	a.IntakeURL, a.IntakeDeadLettersURL = w.SQS.URL(n.Intake), w.SQS.URL(n.IntakeDeadLetters)
	a.QueueURL, a.DeadLettersURL = w.SQS.URL(n.Queue), w.SQS.URL(n.DeadLetters)
	w.SES.SetRules("inreply", ses.Rule{Name: "store", Bucket: n.Bucket, KeyPrefix: n.Prefix})
	return a, nil
}

// provisioner does nothing more after the first error.
type provisioner struct {
	w   *World
	err error
}

func (p *provisioner) queue(name, deadLettersARN string, fifo bool) (arn string) {
	if p.err != nil {
		return ""
	}
	attributes := map[string]string{
		"VisibilityTimeout":      "60",
		"MessageRetentionPeriod": strconv.Itoa(14 * 24 * 60 * 60),
	}
	if fifo {
		attributes["FifoQueue"] = "true"
	}
	if deadLettersARN != "" {
		attributes["RedrivePolicy"] = fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, deadLettersARN, maxReceives)
	}
	arn, err := p.w.SQS.CreateQueue(name, attributes)
	p.failed("create queue "+name, err)
	return arn
}

func (p *provisioner) topic(name string, fifo bool) (arn string) {
	if p.err != nil {
		return ""
	}
	attributes := map[string]string{}
	if fifo {
		attributes["FifoTopic"] = "true"
	}
	arn, err := p.w.SNS.CreateTopic(name, attributes)
	p.failed("create topic "+name, err)
	return arn
}

func (p *provisioner) subscribe(topicARN, queueARN, deadLettersARN string) {
	if p.err != nil {
		return
	}
	_, err := p.w.SNS.Subscribe(topicARN, "sqs", queueARN, map[string]string{
		"RawMessageDelivery": "true",
		"RedrivePolicy":      fmt.Sprintf(`{"deadLetterTargetArn":%q}`, deadLettersARN),
	})
	p.failed("subscribe "+queueARN+" to "+topicARN, err)
}

func (p *provisioner) bucket(name, prefix, topicARN string) {
	if p.err != nil {
		return
	}
	p.failed("create bucket "+name, p.w.S3.CreateBucket(name))
	if p.err != nil {
		return
	}
	announcement := s3.Announcement{
		ID:     "inreply",
		Events: []string{"s3:ObjectCreated:*"},
		Filter: &s3.Filter{Rules: []s3.FilterRule{{Name: "prefix", Value: prefix}}},
	}
	p.failed("notify of bucket "+name, p.w.S3.Notify(name, s3.Notification{
		Topics: []s3.TopicNotification{{Announcement: announcement, TopicARN: topicARN}},
	}))
}

// feedback has SES publish bounces and complaints to a queue of its own, by a topic
// with the queue's name.
func (p *provisioner) feedback(n Names) {
	if p.err != nil || n.ConfigurationSet == "" || p.w.SES.HasConfigurationSet(n.ConfigurationSet) {
		return
	}
	if n.Feedback == "" {
		p.w.SES.SetDestination(n.ConfigurationSet, "")
		return
	}
	topic := p.topic(n.Feedback, false)
	deadARN := p.queue(n.FeedbackDeadLetters, "", false)
	p.subscribe(topic, p.queue(n.Feedback, deadARN, false), deadARN)
	if p.err == nil {
		p.w.SES.SetDestination(n.ConfigurationSet, topic)
	}
}

func (p *provisioner) failed(what string, err error) {
	if err != nil {
		p.err = fmt.Errorf("provision: %s: %w", what, err)
	}
}
