// Package processing decides what is done with a mail: which route it takes,
// whether it may be answered at all, and what that route's processor says.
//
//	parse -> route -> policy -> processor -> policy again -> mailer
//
// A route is chosen by what is known of the mail; the first that matches wins
// (route.go). The policy is asked before anything runs: a robot, a list, a bounce
// or somebody who only claims to be somebody gets no answer, and no application is
// asked on his behalf (policy.go). Nor does somebody who got too many already, or
// whose address bounced; the sender record knows (history.go). Every silence has a
// reason, which begins with a fixed word and ends up in the log.
//
// A processor writes the content of a reply and nothing else: who gets it, from
// whom and in which thread is settled here, so that no processor can answer the
// wrong person.
//
// Objects that are no mail have routes too. They are handed on unread, as a
// message that has nothing but its Object, and nobody is answered.
//
// What would happen to a mail, and why, [Processing.Explain] tells without asking
// anybody (explain.go).
package processing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/store"
	"inreply/tracing"
)

// Processor answers a mail. A nil Reply is silence on purpose. What it says of
// its errors by Permanent, RetryAfter and Outage decides what becomes of the
// mail. On a route for objects the message has an ID and an Object, and whatever
// is replied is not sent.
type Processor interface {
	Process(ctx context.Context, m *email.Message) (*email.Reply, error)
}

// Sender sends a reply, at most once per mail, and knows the mailboxes that it
// sends from, and how many octets a whole reply may have.
type Sender interface {
	Send(ctx context.Context, r *email.Reply) (email.Sent, error)
	Owns(mailbox string) bool
	Largest() int64
}

// Book is what is remembered of those who were answered. Recall returns the zero
// record and no ETag for somebody who is not known; Remember fails with
// store.ErrChanged if the record has another ETag by now.
type Book interface {
	Recall(ctx context.Context, address string) (store.SenderRecord, string, error)
	Remember(ctx context.Context, address, etag string, record store.SenderRecord) error
}

// Mailer is a Sender that keeps a Book. [mailer.Mailer] is one.
type Mailer interface {
	Sender
	Book
}

// Parser reads a mail. [email.Parser] is one.
type Parser interface {
	Parse(raw email.Raw) (*email.Message, error)
}

// Processing is what the consumer hands mails to. Make it with [New]; it is safe
// for concurrent use.
type Processing struct {
	config  Config
	parser  Parser
	mailer  Mailer
	log     *zap.Logger
	routes  []route
	refuser route
}

// New returns a Processing. Its error names every route that cannot work.
func New(config Config, parser Parser, processors map[string]Processor, mailer Mailer, log *zap.Logger) (*Processing, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the routes: %w", err)
	}
	routes, err := compile(config, processors, mailer)
	refusing, fault := refuser(config, processors)
	if err := errors.Join(err, fault); err != nil {
		return nil, err
	}
	return &Processing{config: config, parser: parser, mailer: mailer, log: log, routes: routes, refuser: refusing}, nil
}

// Handle sees one mail, or one object that is none, through.
func (p *Processing) Handle(ctx context.Context, raw email.Raw) (email.Outcome, error) {
	if r, mail := p.forObject(raw.Object); r != nil {
		return p.handOn(ctx, r, raw)
	} else if !mail {
		return silent(email.Outcome{}, silence{NoRoute, "it lies where no route looks"}), nil
	}
	m, err := p.parse(ctx, raw)
	if err != nil {
		return email.Outcome{From: author(raw.Bytes)}, fmt.Errorf("parse: %w", err)
	}
	p.log.Debug("parsed", zap.String("mail", m.ID), zap.String("from", m.From.Mailbox), zap.String("subject", m.Subject), zap.Strings("attachments", names(m)))
	outcome := email.Outcome{From: m.From.Mailbox}
	r := p.match(m)
	if r == nil && p.config.Unrouted == UnroutedRefuse {
		r = &p.refuser
	}
	if r == nil {
		return p.unrouted(outcome)
	}
	outcome.Route, m.Route = r.Name, r.taken(m)
	h, why, err := p.permit(ctx, r, m)
	if err != nil {
		return outcome, err
	}
	if why != (silence{}) && !r.Unanswered {
		return silent(outcome, why), nil
	}
	m.Permit = p.permitted(r, m, why)
	reply, err := r.process(ctx, m)
	if err != nil {
		return outcome, fmt.Errorf("process by route %s: %w", r.Name, err)
	}
	p.log.Debug("processed", zap.String("mail", m.ID), zap.String("route", r.Name), zap.String("tag", m.Route.Tag), zap.Bool("reply", reply != nil))
	switch {
	case why != (silence{}):
		outcome.Kind, outcome.Reason = email.Processed, why.String()
		return outcome, nil
	case reply == nil:
		return silent(outcome, silence{NoAnswer, "the processor has no answer"}), nil
	}
	return p.answer(ctx, r, m, h, reply, outcome)
}

// parse reads the mail.
func (p *Processing) parse(ctx context.Context, raw email.Raw) (*email.Message, error) {
	_, span := tracing.Begin(ctx, "parse", trace.SpanKindInternal)
	m, err := p.parser.Parse(raw)
	if err == nil && span.IsRecording() {
		span.SetAttributes(attribute.Int64("inreply.mail.size", raw.Object.Size), attribute.Int("inreply.mail.attachments", len(m.Attachments)))
	}
	tracing.End(span, err)
	return m, err //nolint:wrapcheck // Handle says what it did
}

// process asks the route's processor.
func (r *route) process(ctx context.Context, m *email.Message) (reply *email.Reply, err error) {
	ctx, span := tracing.Begin(ctx, r.step, trace.SpanKindInternal)
	defer func() { tracing.End(span, err) }()
	if span.IsRecording() {
		span.SetAttributes(attribute.String("inreply.route", r.Name))
	}
	return r.processor.Process(ctx, m) //nolint:wrapcheck // whoever asks says by which route
}

// permit asks the policy: what the mail says of itself, then what is remembered
// of its sender.
func (p *Processing) permit(ctx context.Context, r *route, m *email.Message) (*history, silence, error) {
	if why := p.forbids(r.policy, m); why != (silence{}) {
		return nil, why, nil
	}
	h, err := p.recall(ctx, r, m)
	if err != nil {
		return nil, silence{}, err
	}
	why, err := h.forbids(ctx, time.Now())
	return h, why, err
}

// permitted is what the policy said, as the processor sees it.
func (p *Processing) permitted(r *route, m *email.Message, why silence) email.Permit {
	if why != (silence{}) {
		return email.Permit{Reason: why.String()}
	}
	return email.Permit{Allowed: true, To: p.recipient(r.policy, m), Largest: p.mailer.Largest()}
}

// answer sends a reply, if there is still a place for it.
func (p *Processing) answer(ctx context.Context, r *route, m *email.Message, h *history, reply *email.Reply, outcome email.Outcome) (email.Outcome, error) {
	p.address(reply, r, m)
	why, err := h.reserve(ctx)
	if err != nil {
		return outcome, err
	}
	if why != (silence{}) {
		return silent(outcome, why), nil
	}
	outcome.Sent, err = p.mailer.Send(ctx, reply)
	if err != nil {
		return outcome, fmt.Errorf("answer by route %s: %w", r.Name, err)
	}
	outcome.Kind = email.Answered
	return outcome, nil
}

// unaddressed is why an object that is no mail is not answered.
const unaddressed = "object: nobody is to be answered"

// handOn has an object that is no mail processed.
func (p *Processing) handOn(ctx context.Context, r *route, raw email.Raw) (email.Outcome, error) {
	outcome := email.Outcome{Route: r.Name}
	m := r.object(raw)
	reply, err := r.process(ctx, m)
	if err != nil {
		return outcome, fmt.Errorf("process by route %s: %w", r.Name, err)
	}
	p.log.Debug("processed", zap.String("mail", m.ID), zap.String("route", r.Name), zap.Bool("reply", reply != nil))
	outcome.Kind, outcome.Reason = email.Processed, unaddressed
	return outcome, nil
}

// Takes reports whether a route for mails takes what lies there, or one for
// objects. What only the latter takes, or nobody, need not be read: Handle looks at
// nothing but its Object. An object of unknown size may be both.
func (p *Processing) Takes(o email.Object) (mail, object bool) {
	if o.Size >= 0 {
		r, mail := p.forObject(o)
		return r == nil && mail, r != nil
	}
	for i := range p.routes {
		r := &p.routes[i]
		switch {
		case r.elsewhere(o) != "":
		case !r.isObject():
			mail = true
		case r.MinKiB == 0 && r.MaxKiB == 0:
			return false, true
		default:
			object = true
		}
	}
	return mail, object
}

// unrouted is what becomes of a mail that no route takes and nobody refuses.
func (p *Processing) unrouted(o email.Outcome) (email.Outcome, error) {
	if p.config.Unrouted == UnroutedDeadLetter {
		return o, &unroutable{}
	}
	return silent(o, silence{NoRoute, "no route takes it"}), nil
}

// unroutable is the error of a mail that no route takes.
type unroutable struct{}

func (*unroutable) Error() string   { return "no route takes this mail" }
func (*unroutable) Permanent() bool { return true }

func silent(o email.Outcome, why silence) email.Outcome {
	o.Kind, o.Reason = email.Silent, why.String()
	return o
}

// address makes sure that a reply goes to the author of the mail, in its thread,
// whatever the processor wrote there.
func (p *Processing) address(reply *email.Reply, r *route, m *email.Message) {
	answer := m.Answer()
	reply.Mail, reply.Notice, reply.To = answer.Mail, answer.Notice, p.recipient(r.policy, m)
	reply.InReplyTo, reply.References = answer.InReplyTo, answer.References
	if strings.TrimSpace(reply.Subject) == "" {
		reply.Subject = answer.Subject
	}
	reply.From.Mailbox = r.From
}

// topOfMail is how much of a mail that cannot be parsed is looked at, in octets.
const topOfMail = 64 << 10

// author is who wrote a mail that cannot be parsed, as far as its top says so: whoever
// finds its dead letter wants to know whom to write to.
func author(mail []byte) string {
	top, err := email.ReadTop(mail[:min(len(mail), topOfMail)])
	if err != nil {
		return ""
	}
	return top.From.Mailbox
}

// names are the names of a mail's attachments.
func names(m *email.Message) []string {
	names := make([]string, len(m.Attachments))
	for i, a := range m.Attachments {
		names[i] = a.Name
	}
	return names
}
