// Package inreply turns e-mail into an API: a customer mails an application,
// and the application's answer comes back as a reply.
//
//	SES -> S3 -> S3 event -> SNS -> SQS -> relay -> SNS FIFO -> SQS FIFO -> consumer
//	    -> email -> processing -> your application -> mailer -> SES -> delete
//
// This package is the one place that wires everything. [New] takes settings and
// AWS clients, asks AWS whether the queues are what they must be, and returns a
// [Daemon]; [Daemon.Run] works until its context ends. The command in
// cmd/inreply adds flags, signals and an admin port, and nothing else, so a Go
// program may embed the same daemon, with processors of its own.
package inreply

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	randv2 "math/rand/v2"
	"net"
	"strings"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"inreply/configs"
	"inreply/consumer"
	"inreply/email"
	"inreply/event"
	"inreply/mailer"
	"inreply/mailer/feedback"
	"inreply/processing"
	"inreply/queue"
	"inreply/relay"
	"inreply/relay/push"
	"inreply/store"
)

// Parts are what a daemon can be given beside settings and clients. Every zero
// field has a default.
type Parts struct {
	Logger *zap.Logger  // default: silent
	Meter  metric.Meter // default: none
	Tracer trace.Tracer // default: none

	// Processors are added to the built-in ones, by the name that a route uses.
	Processors map[string]processing.Processor

	// Dial connects to application services. Default: as processing/webhook/dial has it,
	// which leaves out addresses that no application service has.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Random and NewID make jitter and identifiers. Tests replace them.
	Random func() float64
	NewID  func() string
}

// Daemon is inreply, wired and not yet running.
type Daemon struct {
	relay    *relay.Relay // nil where AWS does the relaying
	door     *push.Door   // nil where nothing is pushed
	consumer *consumer.Consumer
	feedback *feedback.Reader // nil where SES's events are not read
	log      *zap.Logger
}

// New wires a daemon. It asks AWS about the queues that the settings name, and
// its error lists every problem that it found, and how to mend each.
func New(ctx context.Context, config configs.Config, clients Clients, parts Parts) (*Daemon, error) {
	parts = parts.withDefaults()
	d := &Daemon{log: parts.Logger}
	records := store.NewRecords(store.New(clients.S3), config.Store)

	sender, err := newMailer(config, clients, records, parts)
	if err != nil {
		return nil, err
	}
	handle, err := newProcessing(config, clients, sender, records, parts)
	if err != nil {
		return nil, err
	}
	var faults []error
	if d.consumer, err = newConsumer(ctx, config, clients, records, handle, sender, parts); err != nil {
		faults = append(faults, err)
	}
	if config.Relay.Enabled() {
		if d.relay, err = newRelay(ctx, config, clients, records, handle, parts); err != nil {
			faults = append(faults, err)
		}
	}
	if config.Relay.Push.Enabled() {
		if d.door, err = newDoor(config, d.relay, parts); err != nil {
			faults = append(faults, err)
		}
	}
	if config.Feedback.Enabled() {
		if d.feedback, err = newFeedback(ctx, config, clients, sender, parts); err != nil {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return d, nil
}

func (p Parts) withDefaults() Parts {
	if p.Logger == nil {
		p.Logger = zap.NewNop()
	}
	if p.Meter == nil {
		p.Meter = noop.NewMeterProvider().Meter("inreply")
	}
	if p.Random == nil {
		p.Random = randv2.Float64
	}
	if p.NewID == nil {
		p.NewID = newID
	}
	return p
}

// newID is 128 random bits in hex.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

func newMailer(config configs.Config, clients Clients, records *store.Records, parts Parts) (*mailer.Mailer, error) {
	config.Mailer.MarkKey = config.Email.MarkKey
	client, err := newMeteredSES(clients.SES, parts.Meter)
	if err != nil {
		return nil, fmt.Errorf("make the mailer: %w", err)
	}
	sender, err := mailer.New(config.Mailer, client, records, parts.NewID, parts.Logger.Named("mailer"))
	if err != nil {
		return nil, fmt.Errorf("make the mailer: %w", err)
	}
	if err := client.observe(parts.Meter, sender.Rate); err != nil {
		return nil, fmt.Errorf("make the mailer: %w", err)
	}
	return sender, nil
}

func newProcessing(config configs.Config, clients Clients, sender *mailer.Mailer, records *store.Records, parts Parts) (*processing.Processing, error) {
	parser, err := email.NewParser(config.Email)
	if err != nil {
		return nil, fmt.Errorf("make the parser: %w", err)
	}
	processors, err := newProcessors(config, clients, records, parts)
	if err != nil {
		return nil, fmt.Errorf("make the processors: %w", err)
	}
	handle, err := processing.New(config.Processing, parser, processors, sender, parts.Logger.Named("processing"))
	if err != nil {
		return nil, fmt.Errorf("make the routes: %w", err)
	}
	return handle, nil
}

func newConsumer(ctx context.Context, config configs.Config, clients Clients, records *store.Records, handle consumer.Handler, claims consumer.Claims, parts Parts) (*consumer.Consumer, error) {
	url, attributes, err := findQueue(ctx, clients, "consumer.queue", config.Consumer.Queue)
	if err != nil {
		return nil, err
	}
	if !attributes.Fifo {
		return nil, fmt.Errorf("consumer.queue: %s is not a FIFO queue: name one whose name ends in .fifo", config.Consumer.Queue)
	}
	if attributes.DeadLetterARN == "" {
		return nil, fmt.Errorf("consumer.queue: %s has no dead-letter queue: set its RedrivePolicy (maxReceiveCount 1000) to a FIFO queue", config.Consumer.Queue)
	}
	dead, _, err := findQueue(ctx, clients, "the dead-letter queue of consumer.queue", attributes.DeadLetterARN)
	if err != nil {
		return nil, err
	}
	log := parts.Logger.Named("consumer")
	objects := store.New(clients.S3)
	reader := consumer.NewReader(objects, records, handle, consumer.Limits{
		Memory: int64(config.Consumer.MemoryMiB) << 20, Largest: config.Email.Largest(), Attempts: config.Consumer.Attempts, Deadline: config.Consumer.Deadline,
	}, log)
	return consumer.New(config.Consumer, attributes.Visibility, consumer.Parts{
		Queue: queue.New(clients.SQS, url), DeadLetters: queue.New(clients.SQS, dead), Worker: reader, Claims: claims,
		Logger: log, Meter: parts.Meter, Tracer: parts.Tracer, Random: parts.Random, NewID: parts.NewID,
	})
}

// findQueue finds a queue by name, ARN or URL, and says which setting named it.
func findQueue(ctx context.Context, clients Clients, setting, name string) (url string, attributes queue.Attributes, err error) {
	url, err = queue.Find(ctx, clients.SQS, name)
	if queue.Missing(err) {
		return "", attributes, fmt.Errorf("%s: there is no queue %s here: check its name, the region and the endpoint", setting, name)
	}
	if credentials(err) {
		return "", attributes, fmt.Errorf("%s: there are no AWS credentials to ask with: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (against --local any will do)", setting)
	}
	if unreachable, ok := errors.AsType[*net.OpError](err); ok && unreachable.Op == "dial" {
		return "", attributes, fmt.Errorf("%s: nothing answers at %s: start what should (inreply --local, LocalStack), or correct aws.endpoint or AWS_ENDPOINT_URL", setting, unreachable.Addr)
	}
	if err != nil {
		return "", attributes, fmt.Errorf("%s: %w", setting, err)
	}
	attributes, err = queue.New(clients.SQS, url).Attributes(ctx)
	if err != nil {
		return "", attributes, fmt.Errorf("%s: ask about queue %s: %w", setting, name, err)
	}
	return url, attributes, nil
}

// credentials reports whether a call failed for want of credentials.
func credentials(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "get credentials") || strings.Contains(err.Error(), "no EC2 IMDS role found"))
}

func newRelay(ctx context.Context, config configs.Config, clients Clients, records *store.Records, handle consumer.Handler, parts Parts) (*relay.Relay, error) {
	if !strings.HasSuffix(config.Relay.Topic, ".fifo") {
		return nil, fmt.Errorf("relay.topic: %s is not a FIFO topic: name one whose ARN ends in .fifo", config.Relay.Topic)
	}
	made := relay.Parts{
		Topic: queue.NewTopic(clients.SNS, config.Relay.Topic), Tops: store.New(clients.S3),
		Own: records.Owns, Logger: parts.Logger.Named("relay"), Meter: parts.Meter, Tracer: parts.Tracer, Random: parts.Random,
	}
	made.Takes = func(o event.Object) (mail, object bool) {
		return handle.Takes(email.Object{Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, ETag: o.ETag, Size: o.Size})
	}
	setting, dead := "relay.dead_letters", config.Relay.DeadLetters
	if config.Relay.Queue != "" {
		url, attributes, err := findQueue(ctx, clients, "relay.queue", config.Relay.Queue)
		if err != nil {
			return nil, err
		}
		made.Intake = queue.New(clients.SQS, url)
		if dead == "" {
			setting, dead = "the dead-letter queue of relay.queue", attributes.DeadLetterARN
		}
	}
	if dead == "" {
		return nil, fmt.Errorf("relay.queue: %s has no dead-letter queue: set its RedrivePolicy", config.Relay.Queue)
	}
	url, _, err := findQueue(ctx, clients, setting, dead)
	if err != nil {
		return nil, err
	}
	made.DeadLetters = queue.New(clients.SQS, url)
	return relay.New(config.Relay, made)
}

func newDoor(config configs.Config, taker push.Taker, parts Parts) (*push.Door, error) {
	count, err := pushCounter(parts.Meter)
	if err != nil {
		return nil, err
	}
	door, err := push.New(config.Relay.Push, push.Parts{Taker: taker, Logger: parts.Logger.Named("push"), Count: count})
	if err != nil {
		return nil, fmt.Errorf("make the door for pushes: %w", err)
	}
	return door, nil
}

// Run relays and consumes, and reads what SES tells, until ctx ends, then stops cleanly: see the package
// comments of relay and consumer. It returns nil after a clean stop.
func (d *Daemon) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	if d.door != nil {
		listener, err := d.door.Listen(ctx)
		if err != nil {
			return err
		}
		d.log.Info("pushes are taken", zap.String("address", listener.Addr().String()))
		group.Go(func() error { return d.door.Serve(ctx, listener) })
	}
	group.Go(func() error { return d.consumer.Run(ctx) })
	if d.relay != nil {
		group.Go(func() error { return d.relay.Run(ctx) })
	}
	if d.feedback != nil {
		group.Go(func() error { return d.feedback.Run(ctx) })
	}
	return group.Wait()
}
