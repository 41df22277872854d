package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
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
	return newMailerWith(t, w, newRecords(w))
}

func newMailerWith(t *testing.T, w *local.World, books mailer.Books) *mailer.Mailer {
	t.Helper()
	c := mailer.Defaults()
	c.From = "data@inreply.example"
	ids := func() string { return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) }
	m, err := mailer.New(c, ses.NewFromConfig(clientConfig(w)), books, ids, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func clientConfig(w *local.World) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"), HTTPClient: w.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func newRecords(w *local.World) *store.Records {
	return store.NewRecords(
		store.New(s3.NewFromConfig(clientConfig(w), func(o *s3.Options) { o.UsePathStyle = true })),
		store.Config{Bucket: "records", Prefix: "inreply/records/"},
	)
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

// untilSent sends a reply again and again until it is known to be out, and returns
// what was said on the way.
func untilSent(t *testing.T, m *mailer.Mailer, mail string) (said []error) {
	t.Helper()
	r := &email.Reply{Mail: mail, To: email.Address{Mailbox: "ana@example.com"}, Subject: "Re: totals", Text: "Hello\n"}
	for range 200 {
		_, err := m.Send(t.Context(), r)
		if err == nil {
			return said
		}
		said = append(said, err)
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
	return said
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
		{"SES does not tell its quota", map[string]local.Fault{"ses.GetSendQuota": {LostRequest: 0.5, LostResponse: 0.5}}, true},
		{"both sides of S3 and SES lost", map[string]local.Fault{"s3.*": {LostRequest: 0.1, LostResponse: 0.1}, "ses.SendRawEmail": {LostRequest: 0.5, Limit: 6}}, true},
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

// sleeper are the records of a process that falls asleep for up to two minutes when it
// has written one, as a machine that is suspended does.
type sleeper struct {
	*store.Records
	mu     sync.Mutex
	random *rand.Rand
}

func (s *sleeper) sleep() {
	s.mu.Lock()
	d := time.Duration(s.random.Int64N(int64(2 * time.Minute)))
	s.mu.Unlock()
	time.Sleep(d)
}

func (s *sleeper) CreateMail(ctx context.Context, id string, r store.MailRecord) (string, error) {
	defer s.sleep()
	return s.Records.CreateMail(ctx, id, r)
}

func (s *sleeper) ReplaceMail(ctx context.Context, id, etag string, r store.MailRecord) (string, error) {
	defer s.sleep()
	return s.Records.ReplaceMail(ctx, id, etag, r)
}

// Processes wake up when their claim is over, and may find that another one has taken
// it. They do not ask SES then, and a mail is answered once: SES's answers all come.
func TestProcessesThatWakeUpAfterTheirClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocal(t)
		const mails = 8
		var wg sync.WaitGroup
		var late atomic.Int32
		for process := range uint64(2) {
			m := newMailerWith(t, w, &sleeper{Records: newRecords(w), random: rand.New(rand.NewPCG(process, 1))})
			for n := range 32 {
				wg.Go(func() {
					for _, err := range untilSent(t, m, fmt.Sprintf("mail-%d", n%mails)) {
						if strings.Contains(err.Error(), "the claim ran out before SES was asked") {
							late.Add(1)
						}
					}
				})
			}
		}
		wg.Wait()
		took := map[string]int{}
		for _, sent := range w.SES.Sent() {
			took[sent.Tags[mailer.Tag]]++
		}
		for mail, n := range took {
			if n != 1 {
				t.Errorf("%s went out %d times", mail, n)
			}
		}
		if len(took) != mails {
			t.Errorf("%d of %d mails were answered: %v", len(took), mails, took)
		}
		if late.Load() == 0 {
			t.Error("nobody woke up after his claim")
		}
	})
}

// A suppression that one process writes down holds for another one, and for one that
// starts later.
func TestASuppressionHoldsOverProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocal(t)
		hears, other := newMailer(t, w), newMailer(t, w)
		if _, _, err := other.Recall(t.Context(), "gone@example.com"); err != nil {
			t.Fatal(err)
		}
		w.Inject(local.Faults{Seed: 7, Operations: map[string]local.Fault{"s3.*": {LostRequest: 0.2, LostResponse: 0.2}}})
		if err := hears.Suppress(t.Context(), "gone@example.com", mailer.Bounced); err != nil {
			t.Fatal(err)
		}
		w.Inject(local.Faults{})
		until := time.Now().Add(mailer.Defaults().Bounced)
		for name, m := range map[string]*mailer.Mailer{"the other": other, "a new one": newMailer(t, w)} {
			record, _, err := m.Recall(t.Context(), "gone@example.com")
			if err != nil || record.Reason != mailer.Bounced || until.Sub(record.SuppressedUntil) > time.Minute {
				t.Errorf("%s: %+v, %v", name, record, err)
			}
		}
	})
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
