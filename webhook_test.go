package inreply_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/goleak"

	"inreply"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
	"inreply/processing/webhook"
	"inreply/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// office is a whole inreply whose mails an application service answers: AWS, the
// daemon and the service in one process, in a bubble of virtual time.
type office struct {
	t        *testing.T
	world    *local.World
	config   configs.Config
	clients  inreply.Clients
	incoming chan net.Conn
	closed   chan struct{}
	stopped  chan error

	mu     sync.Mutex
	serve  http.HandlerFunc
	down   bool
	asked  map[string]int // requests, by subject
	inside int            // requests that are being answered
	most   int            // of inside
}

func inOffice(t *testing.T, change func(*configs.Config), test func(o *office)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
		if err != nil {
			t.Fatal(err)
		}
		config.Webhook = webhook.Config{"desk": {URL: "http://desk/mails"}}
		config.Processing.Routes = []processing.Route{{Name: "all", Processor: "desk"}}
		config.Consumer.Stop.PollGrace, config.Relay.PollGrace = 0, 0
		if change != nil {
			change(&config)
		}
		o := &office{t: t, world: local.New(local.Config{Quota: ses.Quota{Daily: -1, Rate: -1}}), config: config, incoming: make(chan net.Conn), closed: make(chan struct{}), asked: map[string]int{}, serve: hello}
		defer o.world.Close()
		_, err = o.world.Provision(local.Names{
			Bucket: "inreply-mail", Prefix: "inbound/", Topic: "events", Intake: "inreply-intake", IntakeDeadLetters: "intake-dead",
			FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "dead.fifo", Identities: []string{"inreply.example"},
		})
		if err != nil {
			t.Fatal(err)
		}
		o.clients = inreply.ClientsFrom(aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://local"),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}, o.world.Client(), configs.AWS{})
		server := &http.Server{Handler: o}
		go func() { _ = server.Serve(o) }()
		defer server.Close()
		ctx, stop := context.WithCancel(context.Background())
		d, err := inreply.New(ctx, config, o.clients, inreply.Parts{Dial: o.dial, Random: func() float64 { return 0.5 }})
		if err != nil {
			t.Fatal(err)
		}
		o.stopped = make(chan error, 1)
		go func() { o.stopped <- d.Run(ctx) }()
		test(o)
		stop()
		if err := <-o.stopped; err != nil {
			t.Error(err)
		}
	})
}

func hello(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprint(w, `{"action":"reply","reply":{"text":"hello"}}`)
}

// ServeHTTP is the service.
func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var mail struct{ Subject string }
	if err := json.NewDecoder(r.Body).Decode(&mail); err != nil {
		return
	}
	o.mu.Lock()
	o.asked[mail.Subject]++
	o.inside++
	o.most = max(o.most, o.inside)
	serve := o.serve
	o.mu.Unlock()
	r.Header.Set("Subject", mail.Subject)
	serve(w, r)
	o.mu.Lock()
	o.inside--
	o.mu.Unlock()
}

func (o *office) does(serve http.HandlerFunc, down bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.serve, o.down = serve, down
}

func (o *office) requests(subject string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[subject]
}

func (o *office) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	o.mu.Lock()
	down := o.down
	o.mu.Unlock()
	if down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	select {
	case o.incoming <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept, Close and Addr make the office a listener.
func (o *office) Accept() (net.Conn, error) {
	select {
	case c := <-o.incoming:
		return c, nil
	case <-o.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. The server calls it once.
func (o *office) Close() error {
	close(o.closed)
	return nil
}

// Addr is nowhere.
func (o *office) Addr() net.Addr { return &net.UnixAddr{Name: "desk", Net: "unix"} }

// mail has SES take a mail in.
func (o *office) mail(from, subject string) {
	o.t.Helper()
	raw := fmt.Sprintf("From: %[1]s\r\nTo: data@inreply.example\r\nSubject: %[2]s\r\nMessage-ID: <%[2]s.%[1]s>\r\n\r\nhello?\r\n", from, subject)
	if _, err := o.world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
		o.t.Fatal(err)
	}
}

// sent counts the replies under each subject.
func (o *office) sent() map[string]int {
	n := map[string]int{}
	for _, s := range o.world.SES.Sent() {
		_, after, _ := strings.Cut(string(s.Raw), "Subject: ")
		subject, _, _ := strings.Cut(after, "\r\n")
		n[subject]++
	}
	return n
}

// dead is how many mails are in the dead-letter queue.
func (o *office) dead() int {
	o.t.Helper()
	a, err := queue.New(o.clients.SQS, o.world.SQS.URL("dead.fifo")).Attributes(context.Background())
	if err != nil {
		o.t.Fatal(err)
	}
	return a.Visible + a.InFlight
}

// Whatever the service does for hours, in the end each mail is answered once, in the
// order of its sender, and none is dead-lettered.
func TestAnOutageOfAServiceCostsNothing(t *testing.T) {
	for name, out := range map[string]struct {
		serve http.HandlerFunc
		down  bool
	}{
		"refuses connections": {hello, true},
		"bad gateway":         {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, false},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = c.Close()
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inOffice(t, func(c *configs.Config) {
				c.Processing.Routes = []processing.Route{
					{Name: "digest", Sender: "other@example.com", Processor: "digest"},
					{Name: "all", Processor: "desk"},
				}
			}, func(o *office) {
				var order []string
				good := func(w http.ResponseWriter, r *http.Request) {
					order = append(order, r.Header.Get("Subject"))
					hello(w, r)
				}
				o.does(out.serve, out.down)
				for n := range 8 {
					o.mail(fmt.Sprintf("sender-%d@example.com", n%4), fmt.Sprintf("%d-%d", n%4, n/4))
					time.Sleep(time.Second) // the order is that of the relay, which takes what comes at once in any
				}
				time.Sleep(time.Hour)
				o.mail("other@example.com", "digest")
				time.Sleep(time.Hour)
				if got := o.sent(); len(got) != 1 || got["Re: digest"] != 1 {
					o.t.Errorf("during the outage the other route must go on, and only that: %v", got)
				}
				if n := o.dead(); n != 0 {
					o.t.Errorf("%d dead letters", n)
				}
				o.does(good, false)
				time.Sleep(3 * time.Minute)
				got := o.sent()
				for n := range 8 {
					if subject := fmt.Sprintf("Re: %d-%d", n%4, n/4); got[subject] != 1 {
						o.t.Errorf("%s: %d replies three minutes after", subject, got[subject])
					}
				}
				at := map[string]int{}
				for i, subject := range order {
					at[subject] = i
				}
				for n := range 4 {
					if at[fmt.Sprintf("%d-0", n)] > at[fmt.Sprintf("%d-1", n)] {
						o.t.Errorf("sender %d: out of order: %v", n, order)
					}
				}
			})
		})
	}
}

// One mail alone in a quiet system, and the service is redeployed just then.
func TestOneMailAndAServiceThatFailsForAMinute(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.does(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, false)
		o.mail("ana@example.com", "one")
		time.Sleep(time.Minute)
		o.does(hello, false)
		time.Sleep(time.Minute)
		if got := o.sent(); got["Re: one"] != 1 || o.dead() != 0 {
			o.t.Errorf("%v, %d dead letters", got, o.dead())
		}
	})
}

// A mail by which the service breaks every time is dead-lettered, while others go on.
func TestAMailThatTheServiceCannotBear(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.does(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Subject") == "poison" {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			hello(w, r)
		}, false)
		o.mail("ana@example.com", "poison")
		for n := range 30 {
			o.mail(fmt.Sprintf("%d@example.com", n%3), fmt.Sprint(n))
			time.Sleep(time.Minute)
		}
		time.Sleep(time.Hour)
		if got := o.sent(); len(got) != 30 || o.dead() != 1 {
			o.t.Errorf("%d replies, %d dead letters", len(got), o.dead())
		}
	})
}

// A service that works through its mails in the background: 202 until it is done.
func TestAnswersLater(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.does(func(w http.ResponseWriter, r *http.Request) {
			if subject := r.Header.Get("Subject"); o.requests(subject) < 10 || subject == "never" {
				w.Header().Set("Retry-After", "120")
				w.WriteHeader(http.StatusAccepted)
				return
			}
			hello(w, r)
		}, false)
		o.mail("ana@example.com", "soon")
		o.mail("bob@example.com", "never")
		time.Sleep(30 * time.Minute)
		if got := o.sent(); got["Re: soon"] != 1 || len(got) != 1 || o.requests("soon") != 10 {
			o.t.Errorf("%v after %d requests", got, o.requests("soon"))
		}
		if o.dead() != 0 {
			o.t.Error("a dead letter before the deadline")
		}
		time.Sleep(35 * time.Minute)
		if o.dead() != 1 {
			o.t.Errorf("%d dead letters after the deadline of an hour", o.dead())
		}
	})
}

// What the service says in a reply is in the mail.
func TestAReplyOfAService(t *testing.T) {
	inOffice(t, nil, func(o *office) {
		o.does(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"action":"reply","reply":{"subject":"Your order","html":"<p>It is <b>on its way</b>.</p>",
				"headers":[{"name":"X-Ticket","value":"4711"}],"attachments":[{"filename":"order.csv","content":"YSxiCg=="}]}}`)
		}, false)
		o.mail("ana@example.com", "order")
		time.Sleep(time.Minute)
		if len(o.world.SES.Sent()) != 1 {
			o.t.Fatal("no reply")
		}
		raw := string(o.world.SES.Sent()[0].Raw)
		reply, err := inreply.ReadMail([]byte(raw))
		if err != nil {
			o.t.Fatal(err)
		}
		if !strings.Contains(raw, "\r\nX-Ticket: 4711\r\n") || reply.Subject != "Your order" || strings.TrimSpace(reply.Text) != "It is on its way." || len(reply.Attachments) != 1 || reply.To[0].Mailbox != "ana@example.com" {
			o.t.Errorf("%s", raw)
		}
	})
}

// Refused are the mails that no route takes, and those that a service rejects, by the
// same template.
func TestRefusalsByTemplate(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"sorry.txt": "Sorry {{.Mail.From.Mailbox}}.", "sorry.subject": "No: {{.Mail.Subject}}"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	inOffice(t, func(c *configs.Config) {
		c.Templates.Folder = folder
		c.Processing.Unrouted, c.Processing.Refuser = processing.UnroutedRefuse, "template:sorry"
		c.Processing.Routes = []processing.Route{{Name: "desk", Sender: "ana@*", Processor: "desk"}}
	}, func(o *office) {
		o.does(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"action":"reject"}`) }, false)
		o.mail("ana@example.com", "rejected")
		o.mail("bob@example.com", "unrouted")
		time.Sleep(time.Minute)
		if got := o.sent(); got["No: rejected"] != 1 || got["No: unrouted"] != 1 || len(got) != 2 {
			o.t.Errorf("%v", got)
		}
	})
}

// What is wrong with services shows at start, all at once.
func TestServicesThatCannotWork(t *testing.T) {
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	config.Webhook = webhook.Config{
		"digest": {URL: "http://desk/"},
		"slow":   {URL: "http://desk/", Timeout: 3 * time.Minute},
		"steady": {URL: "http://desk/", Breaker: webhook.Breaker{Failures: 6}},
		"signed": {URL: "http://desk/", Auth: webhook.Auth{Kind: webhook.AuthSigV4}},
	}
	_, err = inreply.New(t.Context(), config, inreply.Clients{}, inreply.Parts{})
	for _, want := range []string{
		"webhook.digest: there is another processor of this name",
		"webhook.slow.timeout: 3m0s is not below consumer.deadline, which is 2m0s",
		"webhook.steady.breaker.failures: with 6, a mail would be dead-lettered after 5 tries",
		"webhook.signed.auth.kind: there are no AWS credentials to sign with",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in\n%v", want, err)
		}
	}
}

// A service that takes 50 ms answers 1,000 mails of 64 senders, 64 at once, within 1.1
// times of what that allows. The time is virtual: it counts rounds, those too in which
// the queue had not yet brought the next mail of a sender.
func TestAThousandMailsAtFiftyMilliseconds(t *testing.T) {
	inOffice(t, func(c *configs.Config) { c.Store.Secret = "" }, func(o *office) {
		var first, last time.Time
		o.does(func(w http.ResponseWriter, r *http.Request) {
			o.mu.Lock()
			if first.IsZero() {
				first = time.Now()
			}
			o.mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			o.mu.Lock()
			last = time.Now()
			o.mu.Unlock()
			hello(w, r)
		}, false)
		const mails, senders = 1000, 64
		for n := range mails {
			o.mail(fmt.Sprintf("sender-%d@example.com", n%senders), fmt.Sprint(n))
		}
		time.Sleep(time.Minute)
		if got := len(o.sent()); got != mails {
			o.t.Fatalf("%d replies", got)
		}
		ideal := 50 * time.Millisecond * mails / senders
		ratio := float64(last.Sub(first)) / float64(ideal)
		o.t.Logf("%s, and 64 at once allow %s: %.2f times; %d requests at once", last.Sub(first), ideal, ratio, o.most)
		if ratio > 1.1 {
			o.t.Errorf("%.2f times of what %d slots allow", ratio, senders)
		}
		if o.most != senders {
			o.t.Errorf("%d requests at once", o.most)
		}
	})
}
