package mailer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"inreply/email"
	"inreply/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is SES and the records, as several processes share them. Every call goes
// through fate, which may have it go wrong on either side of its effect.
type world struct {
	mu      sync.Mutex
	mails   map[string]written[store.MailRecord]
	senders map[string]written[store.SenderRecord]
	etags   int
	sent    []*ses.SendRawEmailInput
	quota   ses.GetSendQuotaOutput
	calls   map[string]int

	// unanswered is how many replies SES took without its answer reaching anybody.
	unanswered int
	// overtaken are the replies, by SES's id, whose commit came when the claim had
	// run out and another process had taken it over.
	overtaken map[string]bool
	// fate decides over a call: an error before it takes effect, or after.
	fate func(operation string) (before, after error)
	// refuse is SES's answer to a reply; nil takes it.
	refuse func() error
}

type written[R any] struct {
	record R
	etag   string
}

func newWorld() *world {
	return &world{
		mails: map[string]written[store.MailRecord]{}, senders: map[string]written[store.SenderRecord]{}, calls: map[string]int{}, overtaken: map[string]bool{},
		quota: ses.GetSendQuotaOutput{Max24HourSend: -1, MaxSendRate: -1},
		fate:  func(string) (before, after error) { return nil, nil },
	}
}

var errCut = errors.New("the connection was cut")

// process is the world as one process sees it. A dead one reaches nothing.
type process struct {
	*world
	dead bool
}

// call counts a call, has it take effect, and lets fate in on both sides.
func (p *process) call(ctx context.Context, operation string, effect func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errCut
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", operation, ctx.Err())
	}
	p.calls[operation]++
	before, after := p.fate(operation)
	if before != nil {
		return before
	}
	if err := effect(); err != nil {
		return err
	}
	if after != nil && operation == "send" {
		p.unanswered++
	}
	return after
}

func (p *process) Mail(ctx context.Context, id string) (r store.MailRecord, etag string, err error) {
	err = p.call(ctx, "get mail", func() error {
		w, ok := p.mails[id]
		if !ok {
			return store.ErrMissing
		}
		r, etag = w.record, w.etag
		return nil
	})
	return r, etag, err
}

func (p *process) CreateMail(ctx context.Context, id string, r store.MailRecord) (etag string, err error) {
	err = p.call(ctx, "create mail", func() error {
		if _, ok := p.mails[id]; ok {
			return store.ErrExists
		}
		etag = p.tag()
		p.mails[id] = written[store.MailRecord]{r, etag}
		return nil
	})
	return etag, err
}

func (p *process) ReplaceMail(ctx context.Context, id, etag string, r store.MailRecord) (now string, err error) {
	err = p.call(ctx, "replace mail", func() error {
		if w := p.mails[id]; w.etag != etag {
			if r.SES != "" && w.record.Token != r.Token {
				p.overtaken[r.SES] = true
			}
			return store.ErrChanged
		}
		now = p.tag()
		p.mails[id] = written[store.MailRecord]{r, now}
		return nil
	})
	return now, err
}

func (p *process) Sender(ctx context.Context, address string) (r store.SenderRecord, etag string, err error) {
	err = p.call(ctx, "get sender", func() error {
		w, ok := p.senders[address]
		if !ok {
			return store.ErrMissing
		}
		r, etag = w.record, w.etag
		return nil
	})
	return r, etag, err
}

func (p *process) CreateSender(ctx context.Context, address string, r store.SenderRecord) (etag string, err error) {
	err = p.call(ctx, "create sender", func() error {
		if _, ok := p.senders[address]; ok {
			return store.ErrExists
		}
		etag = p.tag()
		p.senders[address] = written[store.SenderRecord]{r, etag}
		return nil
	})
	return etag, err
}

func (p *process) ReplaceSender(ctx context.Context, address, etag string, r store.SenderRecord) (now string, err error) {
	err = p.call(ctx, "replace sender", func() error {
		if p.senders[address].etag != etag {
			return store.ErrChanged
		}
		now = p.tag()
		p.senders[address] = written[store.SenderRecord]{r, now}
		return nil
	})
	return now, err
}

func (p *process) tag() string {
	p.etags++
	return fmt.Sprint(p.etags)
}

func (p *process) SendRawEmail(ctx context.Context, in *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	var id string
	err := p.call(ctx, "send", func() error {
		handOver(ctx, options)
		if p.refuse != nil {
			if err := p.refuse(); err != nil {
				return err
			}
		}
		p.world.sent = append(p.world.sent, in)
		id = fmt.Sprintf("ses-%d", len(p.world.sent))
		return nil
	})
	if err != nil {
		handOver(ctx, options)
		return nil, err
	}
	return &ses.SendRawEmailOutput{MessageId: &id}, nil
}

// handOver runs what the options have the SDK run when it hands a call to the
// network.
func handOver(ctx context.Context, options []func(*ses.Options)) {
	var o ses.Options
	for _, option := range options {
		option(&o)
	}
	for _, with := range o.APIOptions {
		stack := newStack()
		if err := with(stack); err == nil {
			runDeserialize(ctx, stack)
		}
	}
}

func (p *process) GetSendQuota(ctx context.Context, _ *ses.GetSendQuotaInput, _ ...func(*ses.Options)) (out *ses.GetSendQuotaOutput, err error) {
	err = p.call(ctx, "quota", func() error {
		q := p.quota
		out = &q
		return nil
	})
	return out, err
}

func config() Config {
	c := Defaults()
	c.From, c.Name = "data@inreply.example", "Data desk"
	return c
}

// newProcess is one more process in the world, with a mailer of its own.
func (w *world) newProcess(t *testing.T, c Config) (*Mailer, *process) {
	t.Helper()
	p := &process{world: w}
	m, err := New(c, p, p, newIDs(), zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
	if err != nil {
		t.Fatal(err)
	}
	return m, p
}

// newIDs returns random ids.
func newIDs() func() string {
	return func() string { return fmt.Sprintf("%016x", rand.Uint64()) }
}

func reply(mail string) *email.Reply {
	return &email.Reply{Mail: mail, To: email.Address{Mailbox: "ana@example.com"}, Subject: "Re: totals", Text: "Hello\n"}
}

// after is RetryAfter of an error, rounded to seconds.
func after(err error) time.Duration {
	r, ok := errors.AsType[*refusal](err)
	if !ok {
		return 0
	}
	return r.RetryAfter().Round(time.Second)
}
