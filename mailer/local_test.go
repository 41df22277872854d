package mailer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/local"
	"inreply/mailer"
	"inreply/store"
)

// newMailer is one process's mailer, with clients of its own, as a deployment
// has them.
func newMailer(t *testing.T, w *local.World) *mailer.Mailer {
	t.Helper()
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"), HTTPClient: w.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
	records := store.NewRecords(
		store.New(s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })),
		store.Config{Bucket: "records", Prefix: "inreply/records/"},
	)
	c := mailer.Defaults()
	c.From = "data@inreply.example"
	ids := func() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }
	m, err := mailer.New(c, ses.NewFromConfig(config), records, ids, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newLocal(t *testing.T) *local.World {
	t.Helper()
	w := local.New(local.Config{})
	t.Cleanup(w.Close)
	_, err := w.Provision(local.Names{
		Bucket: "records", Prefix: "inbound/", Topic: "events", Intake: "intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "mail.fifo", Queue: "mail.fifo", DeadLetters: "dead.fifo", Identities: []string{"inreply.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// untilSent sends a reply again and again until it is known to be out.
func untilSent(t *testing.T, m *mailer.Mailer, mail string) {
	t.Helper()
	r := &email.Reply{Mail: mail, To: email.Address{Mailbox: "ana@example.com"}, Subject: "Re: totals", Text: "Hello\n"}
	for range 200 {
		_, err := m.Send(t.Context(), r)
		if err == nil {
			return
		}
		wait := time.Second
		if later, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err); ok {
			wait = max(wait, later.RetryAfter())
		}
		time.Sleep(wait)
	}
	t.Errorf("%s was never sent", mail)
}

// Two processes with 32 goroutines each answer the same mails, over the protocols
// of AWS, while requests and answers are lost on either side of every call.
func TestTwoProcessesAgainstAWS(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults map[string]local.Fault
		exact  bool // no reply may go out twice
	}{
		{"nothing lost", nil, true},
		{"requests to S3 lost", map[string]local.Fault{"s3.*": {LostRequest: 0.2}}, true},
		{"answers of S3 lost", map[string]local.Fault{"s3.*": {LostResponse: 0.2}}, true},
		{"S3 fails", map[string]local.Fault{"s3.*": {Failed: 0.3}}, true},
		{"S3 throttles", map[string]local.Fault{"s3.*": {Throttled: 0.3}}, true},
		{"SES throttles", map[string]local.Fault{"ses.SendRawEmail": {Throttled: 0.5, Limit: 40}}, true},
		{"requests to SES lost", map[string]local.Fault{"ses.SendRawEmail": {LostRequest: 0.5, Limit: 6}}, true},
		{"answers of SES lost", map[string]local.Fault{"ses.SendRawEmail": {LostResponse: 1, Limit: 3}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newLocal(t)
				w.Inject(local.Faults{Seed: 7, Operations: c.faults})
				const mails = 8
				var wg sync.WaitGroup
				for range 2 {
					m := newMailer(t, w)
					for n := range 32 {
						wg.Go(func() { untilSent(t, m, fmt.Sprintf("mail-%d", n%mails)) })
					}
				}
				wg.Wait()
				took := map[string]int{}
				for _, sent := range w.SES.Sent() {
					took[sent.Tags[mailer.Tag]]++
				}
				total := 0
				for _, n := range took {
					total += n
				}
				switch {
				case len(took) != mails:
					t.Errorf("%d of %d mails were answered: %v", len(took), mails, took)
				case c.exact && total != mails:
					t.Errorf("replies %v", took)
				case !c.exact && total != mails+3: // the counted exception: as many as answers were lost
					t.Errorf("%d replies, want %d and the 3 whose answer was lost: %v", total, mails, took)
				}
			})
		})
	}
}

// A reply travels to SES over the wire as it was composed, under the id of its
// mail.
func TestWhatArrivesAtSES(t *testing.T) {
	w := newLocal(t)
	m := newMailer(t, w)
	untilSent(t, m, "mail-1")
	sent := w.SES.Sent()
	if len(sent) != 1 || sent[0].Source != "data@inreply.example" || sent[0].Destinations[0] != "ana@example.com" || sent[0].Tags[mailer.Tag] != "mail-1" {
		t.Fatalf("%+v", sent)
	}
}
