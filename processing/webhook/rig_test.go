package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/local"
	"inreply/processing/webhook"
	"inreply/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a webhook and its service, in a bubble of virtual time: HTTP over pipes, and
// S3 in the process.
type rig struct {
	t       *testing.T
	world   *local.World
	s3      *store.Store
	records *store.Records
	parts   webhook.Parts
	pipes   *pipes
	serve   http.HandlerFunc // what the service does

	mu       sync.Mutex
	requests []seen
}

// seen is a request as the service got it.
type seen struct {
	header http.Header
	body   []byte
	at     time.Time
}

func (s seen) request(t *testing.T) (r webhook.Request) {
	t.Helper()
	if err := json.Unmarshal(s.body, &r); err != nil {
		t.Fatalf("%v\n%s", err, s.body)
	}
	return r
}

func inBubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, world: local.New(local.Config{}), pipes: newPipes(), serve: says(200, `{"action":"reply","reply":{"text":"hello"}}`)}
		defer r.world.Close()
		if _, err := r.world.Provision(local.Names{
			Bucket: "mails", Prefix: "inbound/", Topic: "events", Intake: "intake", IntakeDeadLetters: "intake-dead",
			FifoTopic: "mail.fifo", Queue: "mail.fifo", DeadLetters: "dead.fifo",
		}); err != nil {
			t.Fatal(err)
		}
		config := aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://local"), HTTPClient: r.world.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}
		r.s3 = store.New(s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true }))
		r.records = store.NewRecords(r.s3, store.Config{Bucket: "mails", Prefix: "inreply/records/", Secret: "secret"})
		r.parts = webhook.Parts{
			Records: r.records, Links: r.s3, Files: store.NewParts(r.records), Refuser: refusal("No."),
			Logger: zap.NewNop(), Random: func() float64 { return 0 }, Dial: r.pipes.dial,
			Credentials: config.Credentials, Region: config.Region,
		}
		server := &http.Server{Handler: r, ErrorLog: nil}
		go func() { _ = server.Serve(r.pipes) }()
		// A service that took its connection over ends a little later.
		defer time.Sleep(time.Minute)
		defer server.Close()
		test(r)
	})
}

// service returns a webhook for the rig's service.
func (r *rig) service(change func(*webhook.Service)) *webhook.Webhook {
	r.t.Helper()
	service := webhook.Service{URL: "http://orders/mails"}
	if change != nil {
		change(&service)
	}
	w, err := webhook.New("orders", service, r.parts)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(w.Close)
	return w
}

// ServeHTTP is the service.
func (r *rig) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return
	}
	r.mu.Lock()
	r.requests = append(r.requests, seen{request.Header.Clone(), body, time.Now()})
	serve := r.serve
	r.mu.Unlock()
	request.Body = io.NopCloser(bytes.NewReader(body))
	serve(w, request)
}

func (r *rig) seen() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]seen(nil), r.requests...)
}

func (r *rig) does(serve http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serve = serve
}

// says is a service that always says the same; fields are of its header, in pairs.
func says(status int, text string, fields ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// mail reads a mail as it lies in S3. n makes it another one.
func (r *rig) mail(n int, raw []byte) *email.Message {
	r.t.Helper()
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		r.t.Fatal(err)
	}
	key := fmt.Sprintf("inbound/%d", n)
	etag, err := r.s3.PutNew(context.Background(), "mails", key, "message/rfc822", raw)
	if err != nil && !errors.Is(err, store.ErrExists) {
		r.t.Fatal(err)
	}
	m, err := parser.Parse(email.Raw{
		Object: email.Object{Bucket: "mails", Key: key, ETag: strings.Trim(etag, `"`), Size: int64(len(raw))},
		Bytes:  raw, Try: 1, Announced: time.Date(2026, 10, 1, 9, 12, 50, 0, time.UTC),
		Receipt: &email.Receipt{
			MailFrom: "ana.mendes@example.com", Recipients: []string{"data+q3@inreply.example"},
			Verdicts: email.Verdicts{Spam: email.Pass, Virus: email.Pass, SPF: email.Pass, DKIM: email.Pass, DMARC: email.Pass, DMARCDomain: "example.com"},
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	m.Route = email.Route{Name: "orders", Tag: "q3", Captures: map[string]string{"quarter": "third"}}
	m.Permit = email.Permit{Allowed: true, To: m.From, Largest: 40 << 20}
	return m
}

// sample is a mail with a small attachment.
func sample(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("../../samples/sales-2026q3.eml")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// follow reads what a link leads to, as anybody could.
func (r *rig) follow(link string) []byte {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodGet, link, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	response, err := r.world.Client().Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s %v\n%s", link, response.Status, err, text)
	}
	return text
}

// refusal refuses with a text.
type refusal string

func (f refusal) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	reply := m.Answer()
	reply.Text = string(f)
	return reply, nil
}

// class is how an error describes itself.
func class(err error) string {
	if err == nil {
		return "none"
	}
	var permanent interface{ Permanent() bool }
	if errors.As(err, &permanent) && permanent.Permanent() {
		return "permanent"
	}
	var outage interface{ Outage() string }
	if errors.As(err, &outage) && outage.Outage() != "" {
		return "outage " + outage.Outage()
	}
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) && after.RetryAfter() > 0 {
		return "after " + after.RetryAfter().String()
	}
	return "transient"
}

// pipes is a listener whose connections never leave the process.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once

	mu     sync.Mutex
	refuse error // what dialing says instead
	dialed int
}

func newPipes() *pipes {
	return &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	refuse := p.refuse
	p.dialed++
	p.mu.Unlock()
	if refuse != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: refuse}
	}
	ours, theirs := net.Pipe()
	select {
	case p.connections <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

func (p *pipes) refusing(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = err
}

// contextFor is a context that somebody cancels after a while.
func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	timer := time.AfterFunc(d, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}
