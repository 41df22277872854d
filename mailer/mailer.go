// Package mailer sends replies, each at most once.
//
// SES has no idempotency: asked twice, it sends twice. So before SES is asked,
// the mail is claimed: a record that only one can create says who may answer it,
// until when. After SES has taken the reply its id is written over the claim. The
// common way costs two conditional writes and no read.
//
//	compose  the reply on the wire                      (package compose)
//	pace     wait for a turn at the rate that SES takes (pace.go)
//	claim    PUT If-None-Match: *     token, until      (claim.go)
//	send     SES SendRawEmail         never after until (send.go)
//	commit   PUT If-Match             SES's id          (claim.go)
//
// Who finds the record of somebody else reads how far that one came. A committed
// mail is done. An open claim is waited for, until its owner cannot be asking SES
// any more; then nobody can know whether the reply went out, and a setting
// decides. What this process knows for sure is not forgotten meanwhile: a claim
// that was never used is taken up again at once, and a reply that was sent but
// not committed is committed, not sent.
//
// A mail that is to be dead-lettered is given up in the same record first, with one
// write, so that a reply and a dead letter exclude each other ([Mailer.GiveUp]).
//
// What SES's refusals mean for the mail is one table (refusal.go). Addresses that
// bounce or complain are not written to for a while: package feedback reads what
// SES tells of them, and the sender record keeps it (senders.go).
package mailer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ses"
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

// Books are all the records that a Mailer writes. [store.Records] are.
type Books interface {
	Records
	Senders
}

// SES is what a Mailer asks of it. [ses.Client] is one.
type SES interface {
	SendRawEmail(ctx context.Context, in *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error)
	GetSendQuota(ctx context.Context, in *ses.GetSendQuotaInput, options ...func(*ses.Options)) (*ses.GetSendQuotaOutput, error)
}

// Mailer sends replies. It is safe for concurrent use.
type Mailer struct {
	config  Config
	client  SES
	records Books
	newID   func() string
	log     *zap.Logger
	pace    *pace

	mu     sync.Mutex
	known  map[string]knowledge // by mail: what this process knows of an open claim of its own
	recent []string             // mails in known, oldest first
}

// New returns a Mailer. newID returns random ids; each is used once, as a claim's
// token.
func New(config Config, client SES, records Books, newID func() string, log *zap.Logger) (*Mailer, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the mailer's settings: %w", err)
	}
	return &Mailer{
		config: config, client: client, records: records, newID: newID, log: log,
		pace: newPace(askQuota(client), log), known: map[string]knowledge{},
	}, nil
}

// Rate is how many replies a second this process sends at most now; +Inf as long as
// SES has set no limit.
func (m *Mailer) Rate() float64 { return m.pace.rateNow() }

var (
	errSpent = errors.New("SES's daily quota is spent")
	errLate  = errors.New("the claim ran out before SES was asked")
)

// Send sends a reply, unless it was sent before; then Sent says so. Its errors
// have the behaviours that the consumer knows: permanent, later, or an outage.
func (m *Mailer) Send(ctx context.Context, r *email.Reply) (email.Sent, error) {
	if k, ok := m.recall(r.Mail); ok && k.sent.ID != "" {
		return m.commit(ctx, r.Mail, k)
	}
	o, err := m.compose(r)
	if err != nil {
		return email.Sent{}, fmt.Errorf("compose the reply: %w", &refusal{err: err, permanent: true})
	}
	if err := m.pace.wait(ctx); err != nil {
		return email.Sent{}, fmt.Errorf("send the reply: %w", err)
	}
	c, err := m.claim(ctx, r.Mail, r.Notice)
	if err != nil {
		return email.Sent{}, fmt.Errorf("claim the mail: %w", err)
	}
	if c.record.SES != "" {
		return repeated(c.record), nil
	}
	id, err := m.ask(ctx, o, c)
	if err != nil {
		return email.Sent{}, fmt.Errorf("send the reply: %w", err)
	}
	sent := email.Sent{ID: id, To: o.to, At: time.Now().UTC(), Unknown: c.record.Unknown}
	m.log.Debug("sent", zap.String("mail", r.Mail), zap.String("ses", id), zap.String("to", o.to))
	k := knowledge{claim: c, sent: sent}
	m.remember(r.Mail, k)
	return m.commit(ctx, r.Mail, k)
}
