package mailer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/smithy-go/middleware"

	"inreply/email"
	"inreply/mailer/compose"
)

// longestMail is what SES takes by SendRawEmail, in octets ("Service quotas in
// Amazon SES" in the developer guide).
const longestMail = 10 << 20

// Tag is the name of SES's message tag that holds the id of the mail that was
// answered. It comes back in SES's events.
const Tag = "inreply-mail"

// outgoing is a reply as SES is asked to send it.
type outgoing struct {
	mail             string
	raw              []byte
	from, to         string
	configurationSet string
}

// compose writes a reply. One that is too large goes without its attachments, and
// says so, or not at all, as the settings have it.
func (m *Mailer) compose(r *email.Reply) (outgoing, error) {
	complete, options, identity := m.complete(r)
	from, err := compose.Mailbox(complete.From.Mailbox)
	if err != nil {
		return outgoing{}, fmt.Errorf("the mailbox of From: %w", err)
	}
	to, err := compose.Mailbox(complete.To.Mailbox)
	if err != nil {
		return outgoing{}, fmt.Errorf("the mailbox of To: %w", err)
	}
	o := outgoing{mail: r.Mail, from: from, to: to, configurationSet: identity.ConfigurationSet}
	size := 0
	if files := encoded(r.Attachments); files <= longestMail {
		if o.raw, err = compose.Reply(&complete, options); err != nil {
			return o, fmt.Errorf("write it: %w", err)
		}
		if size = len(o.raw); size <= longestMail {
			return o, nil
		}
	} else {
		size = files
	}
	if m.config.Oversize == DeadLetter || len(r.Attachments) == 0 {
		return o, fmt.Errorf("it has %d octets, and SES takes %d", size, longestMail)
	}
	bare := withoutFiles(&complete)
	if o.raw, err = compose.Reply(bare, options); err != nil {
		return o, fmt.Errorf("write it without its attachments: %w", err)
	}
	if len(o.raw) > longestMail {
		return o, fmt.Errorf("it has %d octets without its attachments, and SES takes %d", len(o.raw), longestMail)
	}
	return o, nil
}

// Compose is the mail that Send would ask SES to send. Its error is permanent.
func (m *Mailer) Compose(r *email.Reply) ([]byte, error) {
	o, err := m.compose(r)
	if err != nil {
		return nil, fmt.Errorf("compose the reply: %w", err)
	}
	return o.raw, nil
}

// complete is the reply with its sender, and what else the wire needs. The
// boundary comes from the mail's id, so that a second try writes the same octets.
func (m *Mailer) complete(r *email.Reply) (email.Reply, compose.Options, Identity) {
	identity, _ := m.config.identity(r.From.Mailbox)
	complete := *r
	complete.From.Mailbox = identity.From
	if complete.From.Name == "" {
		complete.From.Name = identity.Name
	}
	sum := sha256.Sum256([]byte(r.Mail))
	options := compose.Options{Date: time.Now(), Boundary: hex.EncodeToString(sum[:12])}
	if m.config.Unsubscribe != "" { // RFC 2369
		options.Fields = append(options.Fields, email.Field{Name: "List-Unsubscribe", Value: "<" + m.config.Unsubscribe + ">"})
	}
	if m.config.FeedbackID != "" {
		options.Fields = append(options.Fields, email.Field{Name: "Feedback-ID", Value: m.config.FeedbackID})
	}
	if m.config.MarkKey != "" {
		options.Fields = append(options.Fields, email.Field{Name: email.MarkField, Value: email.Mark([]byte(m.config.MarkKey), r.Mail)})
	}
	return complete, options, identity
}

// encoded is what files come to on the wire, in octets.
func encoded(files []email.Part) (n int) {
	for _, f := range files {
		n += (len(f.Content) + 2) / 3 * 4
	}
	return n
}

// withoutFiles is the reply with a sentence in the place of its files.
func withoutFiles(r *email.Reply) *email.Reply {
	const most = 10
	var names []string
	for _, f := range r.Attachments {
		if f.Name != "" && len(names) < most {
			names = append(names, f.Name)
		}
	}
	why := "The attachments of this reply were left out, for they are larger than a mail may be"
	if len(names) > 0 {
		why += ": " + strings.Join(names, ", ")
	}
	why += "."
	bare := *r
	bare.Attachments = nil
	if r.Text != "" || r.HTML == "" {
		bare.Text = strings.TrimRight(r.Text, "\r\n") + "\n\n" + why + "\n"
	}
	if r.HTML != "" {
		paragraph := "<p>" + html.EscapeString(why) + "</p>"
		if at := strings.LastIndex(strings.ToLower(r.HTML), "</body>"); at >= 0 {
			bare.HTML = r.HTML[:at] + paragraph + r.HTML[at:]
		} else {
			bare.HTML = r.HTML + paragraph
		}
	}
	return &bare
}

// ask asks SES once. When SES has surely not taken the reply, the claim is given
// up, so that the next one need not wait for it.
func (m *Mailer) ask(ctx context.Context, o outgoing, c claim) (id string, err error) {
	// Whoever waits for this claim counts on it that SES is not asked after until.
	left := time.Until(c.record.Until)
	if left <= 0 {
		m.abandon(ctx, o.mail, c)
		return "", errLate
	}
	asking, cancel := context.WithTimeout(ctx, min(m.config.Timeout, left))
	defer cancel()
	var handed bool
	out, err := m.client.SendRawEmail(asking, input(o), func(options *ses.Options) {
		options.Retryer = retryUnsent()
		options.APIOptions = append(options.APIOptions, watch(&handed))
	})
	if err == nil {
		return aws.ToString(out.MessageId), nil
	}
	class := m.classify(err, handed)
	switch class {
	case throttled:
		m.pace.slow(time.Now())
	case spent:
		m.pace.exhausted()
	case refused, paused, transient, down, unknown:
	}
	if class != unknown {
		m.abandon(ctx, o.mail, c)
	}
	return "", follow(class, err, m.over(c.record))
}

func input(o outgoing) *ses.SendRawEmailInput {
	in := &ses.SendRawEmailInput{
		RawMessage:   &types.RawMessage{Data: o.raw},
		Source:       &o.from,
		Destinations: []string{o.to},
		Tags:         []types.MessageTag{{Name: aws.String(Tag), Value: &o.mail}},
	}
	if o.configurationSet != "" {
		in.ConfigurationSetName = &o.configurationSet
	}
	return in
}

// retryUnsent has the SDK try a call again only if it never had a connection: SES
// may have taken what it did not answer, and asked twice it would send twice.
func retryUnsent() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = 3
		o.MaxBackoff = time.Second
		o.RateLimiter = ratelimit.None
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			return aws.BoolTernary(neverConnected(err))
		})}
	})
}

// watch notes whether a call was handed to the network. What failed before that
// (no credentials, no region) has not reached SES.
func watch(handed *bool) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("inreply-handed-over",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
				*handed = true
				return next.HandleDeserialize(ctx, in)
			}), middleware.After)
	}
}
