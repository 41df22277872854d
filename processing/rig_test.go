package processing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/email"
	"inreply/processing"
	"inreply/processing/digest"
	"inreply/store"
)

// post is a mailer that keeps what it is given, and its book, in memory. Several
// processes may share one.
type post struct {
	mu      sync.Mutex
	sent    []*email.Reply
	records map[string]store.SenderRecord
	etags   map[string]int
	refuse  error
	lost    int // the next writes of the book take effect, and their answer is a conflict
	delay   func()
	writes  int
}

func newPost() *post {
	return &post{records: map[string]store.SenderRecord{}, etags: map[string]int{}}
}

func (p *post) wait() {
	if p.delay != nil {
		p.delay()
	}
}

func (p *post) Send(_ context.Context, r *email.Reply) (email.Sent, error) {
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		return email.Sent{}, p.refuse
	}
	p.sent = append(p.sent, r)
	return email.Sent{ID: fmt.Sprintf("ses-%d", len(p.sent)), To: r.To.Mailbox, At: time.Now()}, nil
}

func (p *post) Owns(mailbox string) bool {
	return strings.EqualFold(mailbox, "data@inreply.example") || strings.EqualFold(mailbox, "ask@inreply.example")
}

func (p *post) Largest() int64 { return 10 << 20 }

func (p *post) Recall(_ context.Context, address string) (store.SenderRecord, string, error) {
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.etags[address]; n > 0 {
		return p.records[address], fmt.Sprint(n), nil
	}
	return store.SenderRecord{}, "", nil
}

func (p *post) Remember(_ context.Context, address, etag string, r store.SenderRecord) error {
	p.wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes++
	now := ""
	if n := p.etags[address]; n > 0 {
		now = fmt.Sprint(n)
	}
	if etag != now {
		return store.ErrChanged
	}
	p.records[address] = r
	p.etags[address]++
	if p.lost > 0 {
		p.lost--
		return store.ErrChanged
	}
	return nil
}

// echo answers with what the sender has just written.
type echo struct{}

func (echo) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	r := m.Answer()
	r.Text = "You wrote: " + m.ReplyText + "\n"
	r.To = email.Address{Mailbox: "somebody.else@example.net"} // nobody can be answered but the author
	r.From = email.Address{Mailbox: "nobody@example.net", Name: r.From.Name}
	return r, nil
}

// quiet never answers.
type quiet struct{ took []*email.Message }

func (q *quiet) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	q.took = append(q.took, m)
	return nil, nil
}

// telling answers with what a processor is told beside the mail.
type telling struct{ told []*email.Message }

func (p *telling) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	p.told = append(p.told, m)
	r := m.Answer()
	r.Text = fmt.Sprintf("route %s, tag %q, captures %q, try %d, announced %s\n", m.Route.Name, m.Route.Tag, m.Route.Captures, m.Try, m.Announced.UTC().Format(time.RFC3339))
	return r, nil
}

var errBroken = errors.New("the application is broken")

// broken always fails.
type broken struct{}

func (broken) Process(context.Context, *email.Message) (*email.Reply, error) { return nil, errBroken }

func newProcessing(t *testing.T, c processing.Config, p *post) (*processing.Processing, *quiet) {
	t.Helper()
	q := &quiet{}
	return withProcessors(t, c, p, q), q
}

func newProcessingWith(t *testing.T, c processing.Config, m processing.Mailer) *processing.Processing {
	t.Helper()
	return withProcessors(t, c, m, &quiet{})
}

func withProcessors(t *testing.T, c processing.Config, m processing.Mailer, q *quiet) *processing.Processing {
	t.Helper()
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	handle, err := processing.New(c, parser, map[string]processing.Processor{
		"echo": echo{}, "quiet": q, "broken": broken{}, "telling": &telling{}, "digest": digest.New(digest.Defaults()),
	}, m, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

// mail is a mail of Ana's that SES vouches for.
func mail(n int, header string) email.Raw {
	text := fmt.Sprintf("From: Ana <ana@example.com>\nTo: data@inreply.example\nMessage-ID: <%d@example.com>\nDate: Thu, 01 Oct 2026 09:12:44 +0200\n%s\nHello\n", n, header)
	return email.Raw{
		Object: email.Object{Bucket: "mail", Key: fmt.Sprintf("inbound/%d", n), ETag: "e"},
		Bytes:  []byte(strings.ReplaceAll(text, "\n", "\r\n")),
		Receipt: &email.Receipt{
			MailFrom: "ana@example.com", Recipients: []string{"data@inreply.example"},
			Verdicts: email.Verdicts{Spam: email.Pass, Virus: email.Pass, SPF: email.Pass, DKIM: email.Pass, DMARC: email.Pass},
		},
	}
}

// echoing are settings with one route and no caps, but for what is changed.
func echoing(change func(*processing.Config)) processing.Config {
	c := processing.Defaults()
	c.Policy = processing.Policy{Trust: "dmarc"}
	c.Routes = []processing.Route{{Name: "all", Processor: "echo"}}
	change(&c)
	return c
}
