package inreply

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"inreply/configs"
)

// Resources are what a deployment has on AWS, by name. Settings name some of them;
// the others are named after those.
type Resources struct {
	Bucket, Prefix                string   // where mails are stored; the prefix of their keys
	Topic                         string   // the standard topic that S3 announces them to
	Intake, IntakeDeadLetters     string   // the standard queue that the relay reads, and its own
	FifoTopic                     string   // what the relay publishes to
	Queue, DeadLetters            string   // the FIFO queue that the consumer reads, and its own
	Feedback, FeedbackDeadLetters string   // the standard queue of SES's events, and its own
	ConfigurationSet              string   // of SES
	Identities                    []string // the domains that replies come from
}

// ResourcesOf names what a daemon with these settings works with. Without a relay,
// what only the relay works with has no name.
func ResourcesOf(config configs.Config) Resources {
	queue := lastPart(config.Consumer.Queue)
	r := Resources{
		Bucket: config.Store.Bucket, Prefix: cmp.Or(config.Relay.Prefix, "inbound/"),
		Queue: queue, DeadLetters: strings.TrimSuffix(queue, ".fifo") + "-dead.fifo",
		ConfigurationSet: config.Mailer.ConfigurationSet,
	}
	if config.Relay.Enabled() {
		intake := lastPart(config.Relay.Queue)
		r.Topic, r.Intake, r.IntakeDeadLetters = "inreply-events", intake, intake+"-dead"
		r.FifoTopic = lastPart(config.Relay.Topic)
	}
	if config.Feedback.Enabled() {
		r.Feedback = lastPart(config.Feedback.Queue)
		r.FeedbackDeadLetters = r.Feedback + "-dead"
	}
	known := map[string]bool{}
	add := func(mailbox string) {
		_, domain, _ := strings.Cut(mailbox, "@")
		if !known[domain] {
			r.Identities = append(r.Identities, domain)
		}
		known[domain] = true
	}
	add(config.Mailer.From)
	for _, identity := range config.Mailer.Identities {
		add(identity.From)
	}
	return r
}

// lastPart is the name at the end of an ARN or a URL, or the name itself.
func lastPart(named string) string {
	return named[strings.LastIndexAny(named, ":/")+1:]
}

// SetupReport is called for every resource, with what became of it: "made", "there",
// or "left out" with the reason.
type SetupReport func(became, resource string)

// Setup makes everything that a daemon with these settings works with at an AWS
// that somebody runs for himself: --local, LocalStack, or another emulator. What
// is there already is kept, and brought to the same settings. It refuses AWS
// itself, where the templates in deploy/ make more than this: permissions, keys,
// alarms.
func Setup(ctx context.Context, config configs.Config, clients Clients, report SetupReport) error {
	if err := RefuseAWS(clients); err != nil {
		return err
	}
	s := setup{ctx: ctx, clients: clients, report: report}
	r := ResourcesOf(config)
	queue := s.queue(r.Queue, s.queue(r.DeadLetters, ""))
	if config.Relay.Enabled() {
		intake := s.queue(r.Intake, s.queue(r.IntakeDeadLetters, ""))
		announced, fifo := s.topic(r.Topic), s.topic(r.FifoTopic)
		s.same("relay.topic", config.Relay.Topic, fifo)
		s.subscribe(announced, intake)
		s.subscribe(fifo, queue)
		s.bucket(r.Bucket)
		s.announce(r.Bucket, r.Prefix, announced)
	} else {
		s.bucket(r.Bucket)
	}
	s.configurationSet(r.ConfigurationSet)
	if r.Feedback != "" {
		events := s.topic(r.Feedback)
		s.subscribe(events, s.queue(r.Feedback, s.queue(r.FeedbackDeadLetters, "")))
		s.eventDestination(r.ConfigurationSet, events)
	}
	for _, identity := range r.Identities {
		s.identity(identity)
	}
	s.rule(r.Bucket, r.Prefix)
	return s.err
}

// RefuseAWS returns an error unless every client asks an address that only this
// machine, or the network it is in, can have. Who makes things up asks it first.
func RefuseAWS(clients Clients) error {
	var elsewhere []string
	for _, c := range []struct {
		service  string
		endpoint *string
	}{
		{"SQS", clients.SQS.Options().BaseEndpoint},
		{"SNS", clients.SNS.Options().BaseEndpoint},
		{"S3", clients.S3.Options().BaseEndpoint},
		{"SES", clients.SES.Options().BaseEndpoint},
	} {
		if endpoint := aws.ToString(c.endpoint); !ownAddress(endpoint) {
			elsewhere = append(elsewhere, c.service+" at "+cmp.Or(endpoint, "AWS"))
		}
	}
	if len(elsewhere) == 0 {
		return nil
	}
	return fmt.Errorf("aws.endpoint: %s is not on this machine or in its network: name your emulator there or in AWS_ENDPOINT_URL; AWS itself is for the templates in deploy/", strings.Join(elsewhere, ", "))
}

// ownAddress tells whether a URL is one of this machine or of a network of its
// own: loopback, private addresses, names without a dot (of containers), and the
// names that LocalStack and Docker have for this machine. AWS has none of these.
func ownAddress(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback() || ip.IsPrivate()
	}
	return !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") ||
		host == "localhost.localstack.cloud" || strings.HasSuffix(host, ".localhost.localstack.cloud") ||
		host == "host.docker.internal"
}
