// Package mailer sends replies, each at most once.
//
// SES has no idempotency: asked twice, it sends twice. So before SES is asked,
// the mail is claimed: a record that only one can create says who may answer it,
// until when. After SES has taken the reply its id is written over the claim. The
// common way costs two conditional writes and no read.
//
//	claim    PUT If-None-Match: *     token, until
//	send     SES SendRawEmail         never after until
//	commit   PUT If-Match             SES's id
//
// Who finds the record of somebody else reads how far that one came. A committed
// mail is done. An open claim is waited for, until its owner cannot be asking SES
// any more; then nobody can know whether the reply went out, and a setting
// decides. What this process knows for sure is not forgotten meanwhile: a claim
// that was never used is taken up again at once, and a reply that was sent but
// not committed is committed, not sent. (claim.go)
//
// What SES's refusals mean for the mail is one table. (refusal.go) What a reply
// looks like on the wire is compose.go.
package mailer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/store"
)

// Records are the mail records. [store.Records] are.
type Records interface {
	Mail(ctx context.Context, id string) (store.MailRecord, string, error)
	CreateMail(ctx context.Context, id string, record store.MailRecord) (string, error)
	ReplaceMail(ctx context.Context, id, etag string, record store.MailRecord) (string, error)
}

// What happens to a reply of which nobody knows whether it went out.
const (
	Resend     = "resend"
	DeadLetter = "dead-letter"
)

// Config are the mailer's settings.
type Config struct {
	From             string        `yaml:"from"`              // mailbox that replies come from; SES must have verified it or its domain
	Name             string        `yaml:"name"`              // display name beside it
	ConfigurationSet string        `yaml:"configuration_set"` // of SES, for its events
	Claim            time.Duration `yaml:"claim"`             // how long a process may try to send a reply before another may
	Timeout          time.Duration `yaml:"timeout"`           // of one call of SES
	Unknown          string        `yaml:"unknown"`           // a reply that may have gone out: resend or dead-letter
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{Claim: 30 * time.Second, Timeout: 10 * time.Second, Unknown: Resend}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	if err := checkMailbox(c.From); err != nil {
		faults = append(faults, fmt.Errorf("from: %w", err))
	}
	if strings.ContainsAny(c.Name, "\r\n\x00") {
		faults = append(faults, errors.New("name: it has a line break"))
	}
	if c.Claim < time.Second {
		faults = append(faults, fmt.Errorf("claim: %s is less than 1s", c.Claim))
	}
	if c.Timeout < time.Second {
		faults = append(faults, fmt.Errorf("timeout: %s is less than 1s", c.Timeout))
	}
	if c.Unknown != Resend && c.Unknown != DeadLetter {
		faults = append(faults, fmt.Errorf("unknown: %q is neither %s nor %s", c.Unknown, Resend, DeadLetter))
	}
	return errors.Join(faults...)
}

// Mailer sends replies. It is safe for concurrent use.
type Mailer struct {
	config  Config
	client  *ses.Client
	records Records
	newID   func() string
	log     *zap.Logger

	mu     sync.Mutex
	known  map[string]knowledge // by mail: what this process knows of an open claim of its own
	recent []string             // mails in known, oldest first
}

// New returns a Mailer. newID returns random ids; each is used once, as a claim's
// token or in a boundary.
func New(config Config, client *ses.Client, records Records, newID func() string, log *zap.Logger) (*Mailer, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the mailer's settings: %w", err)
	}
	return &Mailer{config: config, client: client, records: records, newID: newID, log: log, known: map[string]knowledge{}}, nil
}

// Send sends a reply, unless it was sent before; then Sent says so. Its errors
// have the behaviours that the consumer knows: permanent, later, or an outage.
func (m *Mailer) Send(ctx context.Context, r *email.Reply) (email.Sent, error) {
	raw, err := m.compose(r)
	if err != nil {
		return email.Sent{}, fmt.Errorf("compose the reply: %w", &refusal{err: err, permanent: true})
	}
	if k, ok := m.recall(r.Mail); ok && k.sent.ID != "" {
		return m.commit(ctx, r, k)
	}
	c, err := m.claim(ctx, r.Mail)
	if err != nil {
		return email.Sent{}, fmt.Errorf("claim the mail: %w", err)
	}
	if c.record.SES != "" {
		return email.Sent{ID: c.record.SES, To: c.record.To, At: c.record.SentAt, Repeated: true}, nil
	}
	id, err := m.ask(ctx, r, raw, c)
	if err != nil {
		return email.Sent{}, fmt.Errorf("send the reply: %w", err)
	}
	sent := email.Sent{ID: id, To: r.To.Mailbox, At: time.Now().UTC(), Unknown: c.record.Unknown}
	m.log.Debug("sent", zap.String("mail", r.Mail), zap.String("ses", id), zap.String("to", r.To.Mailbox))
	k := knowledge{token: c.record.Token, etag: c.etag, sent: sent}
	m.remember(r.Mail, k)
	return m.commit(ctx, r, k)
}

// ask asks SES once. When SES has surely not taken the reply, the claim is given
// up, so that the next one need not wait for it.
func (m *Mailer) ask(ctx context.Context, r *email.Reply, raw []byte, c claim) (id string, err error) {
	// Whoever waits for this claim counts on it that SES is not asked after until.
	if !time.Now().Before(c.record.Until) {
		m.abandon(ctx, r.Mail, c)
		return "", errors.New("the claim ran out before SES was asked")
	}
	asking, cancel := context.WithTimeout(ctx, min(m.config.Timeout, time.Until(c.record.Until)))
	defer cancel()
	in := &ses.SendRawEmailInput{
		RawMessage:   &types.RawMessage{Data: raw},
		Source:       aws.String(m.config.From),
		Destinations: []string{r.To.Mailbox},
		Tags:         []types.MessageTag{{Name: aws.String("inreply-mail"), Value: aws.String(r.Mail)}},
	}
	if m.config.ConfigurationSet != "" {
		in.ConfigurationSetName = &m.config.ConfigurationSet
	}
	// SES may have taken what it did not answer, so nobody asks twice.
	out, err := m.client.SendRawEmail(asking, in, func(o *ses.Options) { o.Retryer = aws.NopRetryer{} })
	if err == nil {
		return aws.ToString(out.MessageId), nil
	}
	refused := m.judge(err)
	if refused.unknown {
		refused.after = max(time.Second, time.Until(m.over(c.record)))
		return "", refused
	}
	m.abandon(ctx, r.Mail, c)
	return "", refused
}
