// Package processing decides what is done with a mail: whether it may be
// answered at all, which route it takes, and what that route's processor says.
//
//	parse -> policy -> route -> processor -> sender
//
// A route is chosen by what is known of the mail, the first that matches wins.
// The policy is asked before anything runs: a robot, a list, a bounce or somebody
// who only claims to be somebody gets no answer, and no application is asked on
// his behalf. Every silence has a reason, which ends up in the log.
//
// A processor writes the content of a reply and nothing else: who gets it and in
// which thread is settled here, so that no processor can answer the wrong person.
package processing

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"inreply/email"
)

// Processor answers a mail. A nil Reply is silence on purpose. What it says of
// its errors by Permanent, RetryAfter and Outage decides what becomes of the
// mail.
type Processor interface {
	Process(ctx context.Context, m *email.Message) (*email.Reply, error)
}

// Sender sends a reply, at most once per mail.
type Sender interface {
	Send(ctx context.Context, r *email.Reply) (email.Sent, error)
}

// Parser reads a mail. [email.Parser] is one.
type Parser interface {
	Parse(raw email.Raw) (*email.Message, error)
}

// Processing is what the consumer hands mails to. Make it with [New]; it is safe
// for concurrent use.
type Processing struct {
	config     Config
	parser     Parser
	processors map[string]Processor
	sender     Sender
	log        *zap.Logger
	routes     []route
}

// New returns a Processing. Its error names every route that cannot work.
func New(config Config, parser Parser, processors map[string]Processor, sender Sender, log *zap.Logger) (*Processing, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the routes: %w", err)
	}
	routes, err := compile(config, processors)
	if err != nil {
		return nil, err
	}
	return &Processing{config: config, parser: parser, processors: processors, sender: sender, log: log, routes: routes}, nil
}

// Handle sees one mail through.
func (p *Processing) Handle(ctx context.Context, raw email.Raw) (email.Outcome, error) {
	m, err := p.parser.Parse(raw)
	if err != nil {
		return email.Outcome{}, fmt.Errorf("parse: %w", err)
	}
	p.log.Debug("parsed", zap.String("mail", m.ID), zap.String("from", m.From.Mailbox), zap.String("subject", m.Subject), zap.Strings("attachments", names(m)))
	outcome := email.Outcome{From: m.From.Mailbox}
	r := p.match(m)
	if r == nil {
		return p.unrouted(outcome)
	}
	outcome.Route = r.Name
	if why := r.policy.forbids(m); why != "" {
		return silent(outcome, why), nil
	}
	reply, err := r.processor.Process(ctx, m)
	if err != nil {
		return outcome, fmt.Errorf("process by route %s: %w", r.Name, err)
	}
	p.log.Debug("processed", zap.String("mail", m.ID), zap.String("route", r.Name), zap.Bool("reply", reply != nil))
	if reply == nil {
		return silent(outcome, "the processor has no answer"), nil
	}
	address(reply, m)
	outcome.Sent, err = p.sender.Send(ctx, reply)
	if err != nil {
		return outcome, fmt.Errorf("answer by route %s: %w", r.Name, err)
	}
	outcome.Kind = email.Answered
	return outcome, nil
}

// unrouted is what becomes of a mail that no route takes.
func (p *Processing) unrouted(o email.Outcome) (email.Outcome, error) {
	if p.config.Unrouted == UnroutedDeadLetter {
		return o, &unroutable{}
	}
	return silent(o, "no route takes it"), nil
}

// unroutable is the error of a mail that no route takes.
type unroutable struct{}

func (*unroutable) Error() string   { return "no route takes this mail" }
func (*unroutable) Permanent() bool { return true }

func silent(o email.Outcome, why string) email.Outcome {
	o.Kind, o.Reason = email.Silent, why
	return o
}

// address makes sure that a reply goes to the author of the mail, in its thread,
// whatever the processor wrote there.
func address(reply *email.Reply, m *email.Message) {
	answer := m.Answer()
	reply.Mail, reply.To = answer.Mail, answer.To
	reply.InReplyTo, reply.References = answer.InReplyTo, answer.References
	if strings.TrimSpace(reply.Subject) == "" {
		reply.Subject = answer.Subject
	}
}

// names are the names of a mail's attachments.
func names(m *email.Message) []string {
	names := make([]string, len(m.Attachments))
	for i, a := range m.Attachments {
		names[i] = a.Name
	}
	return names
}
