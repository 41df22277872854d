package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply/configs"
	"inreply/consumer/redrive"
	"inreply/email"
	evt "inreply/event"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
	"inreply/queue"
	"inreply/relay/rerun"
	"inreply/store"
)

// configure is the settings of every process.
func (r *Run) configure() (configs.Config, error) {
	c := configs.Defaults()
	c.Store.Bucket = bucket
	c.Relay.Queue = intakeQueue
	c.Relay.Topic = "arn:aws:sns:" + region + ":000000000000:" + mailTopic
	c.Relay.Concurrency = 2
	c.Consumer.Queue = mailQueue
	c.Consumer.Concurrency = 4
	c.Consumer.Attempts = attempts
	c.Consumer.Visibility = visibility
	c.Consumer.Deadline = 3 * visibility
	c.Consumer.Backoff.Max = time.Minute
	c.Mailer.From = ours
	c.Mailer.Timeout = sendPatience
	c.Processing.Routes = []processing.Route{{Name: "app", Processor: "app"}}
	// Six senders write all mails, each more than the default caps allow.
	c.Processing.Policy = processing.Policy{Trust: "dmarc", PerHour: r.plan.perHour}
	for key, err := range map[string]error{
		"consumer": c.Consumer.Validate(), "relay": c.Relay.Validate(), "mailer": c.Mailer.Validate(),
		"records": c.Store.Validate(), "processing": c.Processing.Validate(),
	} {
		if err != nil {
			return c, fmt.Errorf("configure %s: %w", key, err)
		}
	}
	return c, nil
}

// provision sets AWS up as a deployment has it.
func (r *Run) provision() error {
	_, err := r.world.Provision(local.Names{
		Bucket: bucket, Prefix: "inbound/", Topic: "events", Intake: intakeQueue, IntakeDeadLetters: intakeDead,
		FifoTopic: mailTopic, Queue: mailQueue, DeadLetters: deadQueue, Identities: []string{"inreply.example"},
	})
	if err != nil {
		return err
	}
	if !r.plan.calm {
		r.world.Inject(local.Faults{Seed: r.seed, Operations: map[string]local.Fault{local.EventOperation: {Duplicated: 0.1}}})
	}
	return nil
}

// operator is an SQS client that nothing goes wrong for.
func (r *Run) operator() *sqs.Client {
	return sqs.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: aws.String("http://local"), HTTPClient: r.world.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
}

func (r *Run) queue(name string) *queue.Queue { return queue.New(r.operator(), r.world.SQS.URL(name)) }

// counts is what lies in a queue.
func (r *Run) counts(name string) (visible, inFlight int) {
	a, err := r.queue(name).Attributes(context.Background())
	if err != nil {
		r.checker.breaks("1: queue %s cannot be asked: %v", name, err)
	}
	return a.Visible, a.InFlight
}

// redrive mends the cause of what failed, and moves all dead letters back.
func (r *Run) redrive() error {
	r.checker.heal()
	moved := func(l redrive.Letter, err error) {
		if err == nil {
			r.checker.moved(l.DeadLetter)
		}
	}
	_, err := redrive.New(r.queue(deadQueue), r.queue(mailQueue), time.Minute, redrive.Options{Fifo: true}, redrive.Report{Letter: moved}).Run(context.Background())
	return err
}

// rerun has everything that is stored answered once more.
func (r *Run) rerun(id string) error {
	objects := s3.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: aws.String("http://local"), HTTPClient: r.world.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, func(o *s3.Options) { o.UsePathStyle = true })
	announced := func(o store.Object, err error) {
		if err == nil {
			r.checker.reran(email.Object{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, Again: id})
		}
	}
	options := rerun.Options{Bucket: bucket, Prefix: "inbound/", Mark: evt.Rerun{ID: id, Again: true}}
	_, err := rerun.New(store.New(objects), r.queue(intakeQueue), func(store.Object) bool { return false }, options, rerun.Report{Object: announced}).Run(context.Background())
	return err
}

// expire ends one of the last leases early, whatever its holder believes.
func (r *Run) expire() error {
	r.mu.Lock()
	back := r.random.IntN(8)
	r.mu.Unlock()
	handle := r.checker.expire(back)
	if handle != "" {
		r.queue(mailQueue).Release(context.Background(), []string{handle})
	}
	return nil
}

// expireInWork ends the lease of a mail that somebody is at: the application, or
// SES. There it does the most harm.
func (r *Run) expireInWork() error {
	r.mu.Lock()
	which := r.random.IntN(1 << 16)
	r.mu.Unlock()
	if handle := r.checker.expireInWork(which); handle != "" {
		r.queue(mailQueue).Release(context.Background(), []string{handle})
	}
	return nil
}

// receive has SES take in one planned mail.
func (r *Run) receive(m *mail) error {
	stored, err := r.world.Receive(local.Mail{
		Envelope: ses.Envelope{From: m.from, Recipients: []string{ours}}, Raw: m.raw(),
	})
	if err != nil {
		return fmt.Errorf("receive mail %d: %w", m.number, err)
	}
	r.checker.stored(m, stored[0].Key)
	return nil
}
