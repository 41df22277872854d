package inreply

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"inreply/configs"
	"inreply/email"
	"inreply/mailer"
	"inreply/processing"
	"inreply/store"
)

// Explainer tells what the daemon would do with a mail, without AWS. Make it with
// [NewExplainer].
type Explainer struct {
	handle  *processing.Processing
	sender  *mailer.Mailer
	outside func(processor string) bool
	call    bool
}

// NewExplainer returns an Explainer of these settings. With call, it also runs the
// processors that ask somebody outside of this process: application services, and
// those in parts. Its error is what would keep the daemon from starting, as far as
// AWS need not be asked.
func NewExplainer(ctx context.Context, config configs.Config, parts Parts, call bool) (*Explainer, error) {
	parts = parts.withDefaults()
	clients := ClientsFrom(aws.Config{
		Region: "us-east-1", Credentials: aws.CredentialsProviderFunc(none),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}, nobody{}, config.AWS)
	if call {
		own, err := NewClients(ctx, config.AWS)
		if err != nil {
			return nil, err
		}
		clients.Credentials, clients.Region = own.Credentials, own.Region
	}
	records := store.NewRecords(store.New(clients.S3), config.Store)
	sender, err := newMailer(config, clients, records, parts)
	if err != nil {
		return nil, err
	}
	handle, err := newProcessing(config, clients, sender, records, parts)
	if err != nil {
		return nil, err
	}
	outside := func(processor string) bool {
		_, service := config.Webhook[processor]
		return service || parts.Processors[processor] != nil
	}
	return &Explainer{handle: handle, sender: sender, outside: outside, call: call}, nil
}

// none are credentials that are good for nothing.
func none(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "none", SecretAccessKey: "none"}, nil
}

// nobody is AWS as an Explainer has it.
type nobody struct{}

func (nobody) Do(*http.Request) (*http.Response, error) { return nil, errNobody }

var errNobody = errors.New("no AWS is asked while a mail is explained")

// Explanation is what would happen to a mail, and why.
type Explanation struct {
	processing.Explanation

	Mail []byte // the reply as SES would be asked to send it; nil if none would be
	Dead bool   // it would be dead-lettered at once
}

// Stored is a mail, or an object that is none, as it is to be explained.
type Stored struct {
	Bytes []byte

	// Where it lies, and what its uploader said of its type. Empty, it is a file that
	// is in S3 nowhere yet.
	Bucket, Key, ContentType string

	// Announced says that SES's header on top is true, as in its own notification;
	// Recipients are to whom the mail went then. Where they are empty, the mail's own
	// header tells.
	Announced  bool
	Recipients []string
}

func (s Stored) raw() email.Raw {
	raw := email.Raw{Bytes: s.Bytes, Try: 1}
	if s.Key != "" {
		raw.Object = email.Object{Bucket: s.Bucket, Key: s.Key, ContentType: s.ContentType, Size: int64(len(s.Bytes))}
	}
	if !s.Announced {
		return raw
	}
	if top, err := email.ReadTop(s.Bytes); err == nil {
		raw.Receipt = &email.Receipt{MailFrom: top.MailFrom, Recipients: s.Recipients, Verdicts: top.Verdicts}
	}
	return raw
}

// Explain tells what would happen to a mail: one as its sender wrote it, or one as
// SES stored it, with what SES found out on top.
func (e *Explainer) Explain(ctx context.Context, mail Stored) Explanation {
	runs := func(processor string) bool { return e.call || !e.outside(processor) }
	explained, err := e.handle.Explain(ctx, mail.raw(), runs)
	x := Explanation{Explanation: explained, Dead: permanent(err)}
	if x.Reply == nil {
		return x
	}
	if x.Mail, err = e.sender.Compose(x.Reply); err != nil {
		x.End, x.Dead = fmt.Sprintf("dead-lettered: %v", err), true
	}
	return x
}

// permanent reports whether an error says of itself that it lasts.
func permanent(err error) bool {
	var lasting interface{ Permanent() bool }
	return errors.As(err, &lasting) && lasting.Permanent()
}
