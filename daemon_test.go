package inreply_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"inreply"
	"inreply/configs"
	"inreply/email"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
)

// deployment is AWS with everything set up, and a daemon on it, in a bubble of
// virtual time.
type deployment struct {
	t       *testing.T
	world   *local.World
	config  configs.Config
	clients inreply.Clients
	parts   inreply.Parts
	logs    *observer.ObservedLogs
	daemon  *inreply.Daemon
	stop    func() // the daemon; it may be called more than once
}

// deploy runs test with a daemon, after change has seen its settings and the world
// it is to run on.
func deploy(t *testing.T, change func(d *deployment), test func(d *deployment)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		d := &deployment{t: t, world: local.New(local.Config{})}
		defer d.world.Close()
		var err error
		if d.config, err = configs.Parse("configs/local.yaml", configs.Local(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := d.world.Provision(local.Names{
			Bucket: "inreply-mail", Topic: "events", Intake: "inreply-intake", IntakeDeadLetters: "intake-dead",
			FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "dead.fifo",
			Feedback: "inreply-feedback", FeedbackDeadLetters: "inreply-feedback-dead", ConfigurationSet: "inreply", Identities: []string{"inreply.example"},
		}); err != nil {
			t.Fatal(err)
		}
		d.world.SES.SetRules("inreply", ses.Rule{Name: "store", Bucket: "inreply-mail", KeyPrefix: "inbound/"})
		core, logs := observer.New(zap.InfoLevel)
		d.logs, d.parts.Logger = logs, zap.New(core)
		d.clients = inreply.ClientsFrom(aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://local"),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}, d.world.Client(), configs.AWS{})
		change(d)
		d.start()
		defer func() { d.stop() }() // the one that runs then
		test(d)
	})
}

func (d *deployment) start() {
	d.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	daemon, err := inreply.New(ctx, d.config, d.clients, d.parts)
	if err != nil {
		d.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx) }()
	d.daemon = daemon
	d.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Errorf("run: %v", err)
		}
	})
}

// after lets time pass and everything come to rest.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// receive has SES take in a mail from somebody it vouches for.
func (d *deployment) receive(n int, from string) {
	d.t.Helper()
	mail := fmt.Sprintf("From: %s\r\nTo: data@inreply.example\r\nSubject: Mail %d\r\nMessage-ID: <%[2]d@example.com>\r\n\r\nhello?\r\n", from, n)
	if _, err := d.world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{"data@inreply.example"}}, Raw: []byte(mail)}); err != nil {
		d.t.Fatal(err)
	}
}

// ends are the outcome and the reason of every message that ended, in order.
func (d *deployment) ends() (ends []string) {
	for _, entry := range d.logs.FilterFieldKey("outcome").All() {
		fields := entry.ContextMap()
		ends = append(ends, fmt.Sprintf("%s by %s: %s", fields["outcome"], fields["route"], fields["reason"]))
	}
	return ends
}

// told keeps what a processor is told, and has no answer.
type told struct {
	mu   sync.Mutex
	took []*email.Message
}

func (p *told) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, m)
	return nil, nil
}

// An object that is no mail reaches its processor with all that S3 knows of it, and
// nothing of it is read: not into memory, not by the relay. Of what lies where no
// route looks, S3 is not even asked.
func TestObjectsAreHandedOnUnread(t *testing.T) {
	const size = 64 << 20 // more than the budget for mails
	files := &told{}
	deploy(t, func(d *deployment) {
		d.config.Relay.Prefix = ""
		d.config.Consumer.MemoryMiB = 1
		d.config.Processing.Routes = []processing.Route{
			{Name: "mails", Prefix: "inbound/", Processor: "digest"},
			{Name: "files", Kind: "object", Prefix: "drop/", Processor: "files"},
		}
		d.parts.Processors = map[string]processing.Processor{"files": files}
	}, func(d *deployment) {
		t := d.t
		put := func(key, contentType string, size int) {
			if err := d.world.S3.Put("inreply-mail", key, contentType, make([]byte, size)); err != nil {
				t.Fatal(err)
			}
		}
		put("drop/report 1.pdf", "application/pdf", size)
		put("elsewhere/report.pdf", "application/pdf", 10)
		after(time.Minute)
		want := []string{"processed by files: object: nobody is to be answered", "silent by : no-route: it lies where no route looks"}
		ends := d.ends()
		if len(ends) != 2 || ends[0] != want[0] && ends[1] != want[0] || ends[0] != want[1] && ends[1] != want[1] {
			t.Errorf("ended %q", ends)
		}
		if len(files.took) != 1 {
			t.Fatalf("%d objects were taken", len(files.took))
		}
		o := files.took[0].Object
		if o.Bucket != "inreply-mail" || o.Key != "drop/report 1.pdf" || o.Size != size || o.ETag == "" || o.ContentType != "application/pdf" {
			t.Errorf("it was told of %+v", o)
		}
		calls := d.world.CallCounts()
		if calls["s3.GetObject"] != 0 || calls["s3.HeadObject"] != 1 {
			t.Errorf("%d objects were read, %d asked for", calls["s3.GetObject"], calls["s3.HeadObject"])
		}
		// A mail is: its top by the relay, and all of it by the consumer.
		d.receive(1, "ana@example.com")
		after(time.Minute)
		if ends := d.ends(); len(ends) != 3 || ends[2] != "answered by mails: " {
			t.Errorf("ended %q", ends)
		}
		if n := d.world.CallCounts()["s3.GetObject"]; n < 2 {
			t.Errorf("%d reads for a mail", n)
		}
	})
}

// A customer whose replies bounce gets no more of them for the time that the
// settings give, whichever process hears of it, and after a restart too.
func TestAnAddressThatBouncedIsNotWrittenTo(t *testing.T) {
	deploy(t, func(d *deployment) {
		d.config.Mailer.ConfigurationSet, d.config.Feedback.Queue = "inreply", "inreply-feedback"
		d.config.Mailer.Bounced, d.config.Mailer.Complained = 24*time.Hour, 48*time.Hour
	}, func(d *deployment) {
		t := d.t
		// A mailbox called bounce would be taken for a robot, and not be answered.
		const gone, angry, fine = "suppressionlist+ana@simulator.amazonses.com", "complaint@simulator.amazonses.com", "ana@example.com"
		for n, from := range []string{gone, angry, fine} {
			d.receive(n, from)
		}
		after(time.Minute)
		if n := len(d.world.SES.Sent()); n != 3 {
			t.Fatalf("%d were answered: %q", n, d.ends())
		}
		if s := d.daemon.State().Feedback; s == nil || s.Bounces != 1 || s.Complaints != 1 || s.Suppressed != 2 || s.Failing {
			t.Errorf("feedback: %+v", s)
		}
		d.stop()
		d.start()
		for n, from := range []string{gone, angry, fine} {
			d.receive(10+n, from)
		}
		after(time.Minute)
		silent := 0
		for _, end := range d.ends() {
			if strings.HasPrefix(end, "silent by digest: suppressed: replies to the address bounced") || strings.HasPrefix(end, "silent by digest: suppressed: replies to the address complained") {
				silent++
			}
		}
		if n := len(d.world.SES.Sent()); n != 4 || silent != 2 {
			t.Errorf("%d were answered in all: %q", n, d.ends())
		}
		d.stop()
		after(24 * time.Hour)
		d.start()
		for n, from := range []string{gone, angry} {
			d.receive(20+n, from)
		}
		after(time.Minute)
		if n := len(d.world.SES.Sent()); n != 5 {
			t.Errorf("%d were answered in all, one more after its time: %q", n, d.ends())
		}
		if err := d.daemon.Alive(); err != nil {
			t.Error(err)
		}
	})
}

// What is wrong with the queue of SES's events is said at the start.
func TestAFeedbackQueueThatCannotWork(t *testing.T) {
	deploy(t, func(*deployment) {}, func(d *deployment) {
		t := d.t
		if _, err := d.world.SQS.CreateQueue("bare", nil); err != nil {
			t.Fatal(err)
		}
		for queue, want := range map[string]string{
			"nothing":           "feedback.queue: there is no queue nothing here",
			"bare":              "feedback.queue: bare has no dead-letter queue",
			"inreply-mail.fifo": "feedback.queue: inreply-mail.fifo is a FIFO queue",
		} {
			d.config.Feedback.Queue = queue
			if _, err := inreply.New(t.Context(), d.config, d.clients, d.parts); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v\nwant %s", err, want)
			}
		}
	})
}
