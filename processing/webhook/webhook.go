// Package webhook is the processor that asks an application service over HTTP: one
// POST of JSON for each mail, and the reply to it in what the service answers.
//
//	request.go   what the service is told
//	body.go      the request's octets: files inline while there is room, else links to S3
//	call.go      signed and sent; what each status means
//	response.go  what the service says, checked
//	later.go     how long a service may put a mail off
//	outage.go    when the service counts as out, and how many requests it gets at once
//	meters.go    how long it took to answer, and what
//	signature/   Standard Webhooks
//	dial/        which addresses are connected to
//
// docs/webhook.md is the contract with whoever writes a service.
//
// # What becomes of a mail
//
// The answer's status decides, and a service can rely on it. 200 has an action, 204
// is silence. 202, 429, 503 and whatever else has Retry-After mean later: the mail is
// asked about again then, under the same key, and no try is counted, until the
// deadline. 408, 425 and the other 5xx are transient. All other statuses are
// permanent: the same request would get the same answer.
//
// What was answered with 200 and is not JSON to its end is transient: a proxy's page,
// a process that died while it wrote. What is JSON and breaks the contract, by an
// unknown action or a line break in a subject, is permanent and names the field: the
// service said what it meant.
//
// A service that cannot be connected to is no fault of the mail's, so that counts no
// try either. After a few failures of any kind, one after the other, the service is
// out ("service:NAME"): its mails are parked, and one at a time probes.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/processing/webhook/dial"
	"inreply/processing/webhook/signature"
	"inreply/store"
)

// Records remember since when a mail is put off. [store.Records] is one.
type Records interface {
	Mail(ctx context.Context, id string) (store.MailRecord, string, error)
	CreateMail(ctx context.Context, id string, record store.MailRecord) (string, error)
	ReplaceMail(ctx context.Context, id, etag string, record store.MailRecord) (string, error)
}

// Links leads others to objects. [store.Store] is one.
type Links interface {
	Presign(ctx context.Context, bucket, key, versionID string, ttl time.Duration) (link string, expires time.Time, err error)
}

// Files puts files of mails where links can lead to them. [store.Parts] is one.
type Files interface {
	Link(ctx context.Context, mail, name string, read func() ([]byte, error), ttl time.Duration) (link string, expires time.Time, err error)
}

// Refuser writes what a mail is refused with.
type Refuser interface {
	Process(ctx context.Context, m *email.Message) (*email.Reply, error)
}

// Parts are what a Webhook works with.
type Parts struct {
	Records Records
	Links   Links
	Files   Files
	Refuser Refuser // for the action reject without a reply
	Logger  *zap.Logger
	Meter   metric.Meter   // nil: nothing is measured
	Random  func() float64 // from 0 to below 1, for jitter

	Credentials aws.CredentialsProvider // for sigv4
	Region      string                  // for sigv4, where the settings name none
	Dial        dial.Func               // nil: dial.New
}

// Webhook is the processor that asks one application service. Make it with [New]; it
// is safe for concurrent use.
type Webhook struct {
	name    string
	service Service
	parts   Parts
	keys    [][]byte
	client  *http.Client
	breaker *gobreaker.CircuitBreaker[*email.Reply]
	slots   chan struct{}
	meters  *meters
}

// New returns the processor for the service of this name. It reads the files that
// the settings name.
func New(name string, service Service, parts Parts) (*Webhook, error) {
	if err := (Config{name: service}).Validate(); err != nil {
		return nil, fmt.Errorf("check the settings: %w", err)
	}
	w := &Webhook{name: name, service: service.WithDefaults(), parts: parts}
	w.slots = make(chan struct{}, w.service.Concurrency)
	if w.service.Auth.Kind == AuthSigV4 && parts.Credentials == nil {
		return nil, errors.New("auth.kind: there are no AWS credentials to sign with")
	}
	if w.service.Auth.Kind == AuthSigV4 && w.service.Auth.Region == "" && parts.Region == "" {
		return nil, errors.New("auth.region: set it, or aws.region")
	}
	for _, secret := range w.service.Auth.Secrets {
		key, err := signature.Key(string(secret))
		if err != nil {
			return nil, fmt.Errorf("auth.secrets: %w", err)
		}
		w.keys = append(w.keys, key)
	}
	var err error
	if w.client, err = newClient(w.service, parts.Dial); err != nil {
		return nil, err
	}
	w.breaker = w.newBreaker()
	if w.meters, err = newMeters(parts.Meter, w); err != nil {
		return nil, fmt.Errorf("make the instruments: %w", err)
	}
	return w, nil
}

// Close closes the connections that are not in use.
func (w *Webhook) Close() { w.client.CloseIdleConnections() }

// Process asks the service about a mail.
func (w *Webhook) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	release, err := w.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	reply, err := w.guarded(func() (*email.Reply, error) { return w.ask(ctx, m) })
	if err != nil {
		return nil, fmt.Errorf("ask service %s: %w", w.name, err)
	}
	return reply, nil
}

// ask makes one request, and reads what the service says to it.
func (w *Webhook) ask(ctx context.Context, m *email.Message) (*email.Reply, error) {
	b, err := w.build(ctx, m)
	if err != nil {
		return nil, &failure{err: err, ours: true}
	}
	answered, err := w.call(ctx, m.ID, b)
	if err != nil {
		return nil, err
	}
	if answered.later {
		return nil, w.putOff(ctx, m.ID, answered)
	}
	if answered.err != nil {
		return nil, answered.err
	}
	return w.reply(ctx, m, answered.response)
}
