package processing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"inreply/email"
)

// Explanation is what would happen to a mail, and why.
type Explanation struct {
	Message   *email.Message // what was parsed; of an object that is no mail, only its Object
	Routes    []Considered   // in order
	Route     string         // that takes the mail; empty if none does
	Tag       string         // behind the plus of the recipient
	Processor string         // of that route; empty if none takes it, or it is refused
	Asked     bool           // the processor may run; if not, Reply is nil
	Policy    string         // why the mail must not be answered; empty if it may be
	Trusted   bool           // nobody but SES could vouch for the sender, and SES has not seen the mail: Reply is as if it had
	Reply     *email.Reply   // that would go out, or would if SES vouched for the sender; nil if none would
	End       string         // how it would end, in words
}

// Considered is a route that was looked at.
type Considered struct {
	Name string
	Why  string // it does not take the mail; empty if it does
}

// Explain tells what Handle would do with a mail. It runs the processor of the
// mail's route if Handle would and runs says so by its name; nil is every one. It
// asks nobody else: no record is read, so what the caps say is not known. Its error
// is that of the parser or of the processor; the Explanation is filled as far as it
// had come.
//
// A mail without bucket and key is a file that is in S3 nowhere yet; it is taken to
// lie wherever a route looks.
func (p *Processing) Explain(ctx context.Context, raw email.Raw, runs func(processor string) bool) (Explanation, error) {
	if stored(raw.Object) {
		if r, mail := p.forObject(raw.Object); r != nil || !mail {
			return p.explainObject(ctx, r, raw, runs)
		}
	} else {
		raw.Object.Size = int64(len(raw.Bytes))
	}
	m, err := p.parser.Parse(raw)
	if err != nil {
		return Explanation{End: "dead-lettered: " + err.Error()}, fmt.Errorf("parse: %w", err)
	}
	e := Explanation{Message: m}
	for i := range p.routes {
		e.Routes = append(e.Routes, Considered{Name: p.routes[i].Name, Why: p.routes[i].mismatch(m)})
	}
	r := p.match(m)
	if r == nil && p.config.Unrouted == UnroutedRefuse {
		r = &p.refuser
	}
	if r == nil {
		e.End = map[string]string{UnroutedDeadLetter: "dead-lettered: no route takes it"}[p.config.Unrouted]
		if e.End == "" {
			e.End = "silent: " + silence{NoRoute, "no route takes it"}.String()
		}
		return e, nil
	}
	m.Route = r.taken(m)
	e.Route, e.Tag = r.Name, m.Route.Tag
	why := p.forbids(r.policy, m)
	e.Policy = why.String()
	e.Trusted = why.code == Unauthenticated && unseen(m.Verdicts)
	e.Processor = r.Processor
	e.Asked = r.Processor == "" || runs == nil || runs(r.Processor)
	return e, p.explainReply(ctx, r, why, &e)
}

// unseen reports whether SES has said nothing of a mail: a file that was never
// sent.
func unseen(v email.Verdicts) bool {
	return v.SPF == "" && v.DKIM == "" && v.DMARC == ""
}

// explainReply runs the processor, if Handle would or if the mail is only a file.
func (p *Processing) explainReply(ctx context.Context, r *route, why silence, e *Explanation) error {
	forbidden := why != silence{}
	if forbidden && !e.Trusted && !r.Unanswered {
		e.End = "silent: " + why.String()
		return nil
	}
	if !e.Asked {
		e.End = fmt.Sprintf("whatever %s says, which was not asked", e.Processor)
		if forbidden && !e.Trusted {
			e.End = "processed: " + why.String() + "; " + e.Processor + " was not asked"
		}
		return nil
	}
	if e.Trusted {
		e.Message.Permit = p.permitted(r, e.Message, silence{})
	} else {
		e.Message.Permit = p.permitted(r, e.Message, why)
	}
	// A processor may want to say where the mail lies, which a file does nowhere.
	at := e.Message.Object
	if !stored(at) {
		e.Message.Object.Bucket, e.Message.Object.Key = "none", "mail"
	}
	reply, err := r.processor.Process(ctx, e.Message)
	e.Message.Object = at
	if err != nil {
		e.End = "retried or dead-lettered: " + err.Error()
		return fmt.Errorf("process by route %s: %w", r.Name, err)
	}
	switch {
	case forbidden && !e.Trusted:
		e.End = "processed: " + why.String()
		return nil
	case reply == nil:
		e.End = "silent: " + silence{NoAnswer, "the processor has no answer"}.String()
		return nil
	}
	p.address(reply, r, e.Message)
	e.Reply = reply
	e.End = "answered"
	if e.Trusted {
		e.End = "answered, if SES vouches for the sender; silent otherwise"
	}
	return nil
}

// explainObject tells of an object that is no mail.
func (p *Processing) explainObject(ctx context.Context, r *route, raw email.Raw, runs func(processor string) bool) (Explanation, error) {
	o := raw.Object
	e := Explanation{Message: &email.Message{ID: o.ID(), Object: o}, End: "silent: " + silence{NoRoute, "it lies where no route looks"}.String()}
	for i := range p.routes {
		considered := &p.routes[i]
		why := considered.elsewhere(o)
		if why == "" {
			why = considered.sized(o)
		}
		if why == "" && considered != r {
			why = "another one takes it"
		}
		e.Routes = append(e.Routes, Considered{Name: considered.Name, Why: why})
	}
	if r == nil {
		return e, nil
	}
	e.Route, e.Processor, e.Asked = r.Name, r.Processor, runs == nil || runs(r.Processor)
	e.End = "processed: an object that is no mail; nobody is to be answered"
	if !e.Asked {
		return e, nil
	}
	if _, err := r.processor.Process(ctx, r.object(raw)); err != nil {
		e.End = "retried or dead-lettered: " + err.Error()
		return e, fmt.Errorf("process by route %s: %w", r.Name, err)
	}
	return e, nil
}

// String is the explanation as a person reads it, with the reply.
func (e Explanation) String() string {
	if e.Reply == nil {
		return e.Steps()
	}
	return e.Steps() + "\n" + written(e.Reply)
}

// Steps is the explanation as a person reads it, one line each.
func (e Explanation) Steps() string {
	var b strings.Builder
	say := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	if m := e.Message; m != nil {
		describe(say, m)
	}
	for _, r := range e.Routes {
		if r.Why == "" {
			say("route", "%s: takes it", r.Name)
		} else {
			say("route", "%s: no, %s", r.Name, r.Why)
		}
	}
	if e.Tag != "" {
		say("tag", "%s", e.Tag)
	}
	if e.Message != nil {
		for _, name := range slices.Sorted(maps.Keys(e.Message.Route.Captures)) {
			say("capture", "%s: %s", name, e.Message.Route.Captures[name])
		}
	}
	if e.Processor != "" && e.Asked {
		say("processor", "%s", e.Processor)
	} else if e.Processor != "" {
		say("processor", "%s, which is not asked: that would be a call of somebody outside", e.Processor)
	}
	switch {
	case e.Policy != "":
		say("policy", "forbids an answer: %s", e.Policy)
	case e.Route != "" && e.Message != nil && len(e.Message.Header) > 0:
		say("policy", "allows an answer, unless the sender got too many")
	}
	say("end", "%s", e.End)
	return b.String()
}

// describe says what was parsed.
func describe(say func(name, format string, args ...any), m *email.Message) {
	if m.Object.Key != "" {
		say("object", "%s/%s, %d octets", m.Object.Bucket, m.Object.Key, m.Object.Size)
	}
	if len(m.Header) == 0 {
		return
	}
	say("from", "%s", named(m.From))
	say("recipients", "%s", strings.Join(recipients(m), ", "))
	say("subject", "%s", m.Subject)
	say("message id", "%s", m.MessageID)
	say("text", "%d characters, of which %d are new; HTML: %d", len([]rune(m.Text)), len([]rune(m.ReplyText)), len([]rune(m.HTML)))
	for _, a := range m.Attachments {
		say("attachment", "%s, %s, %d octets", a.Name, a.ContentType, a.Size)
	}
	say("verdicts", "spam %s, virus %s, SPF %s, DKIM %s, DMARC %s",
		said(m.Verdicts.Spam), said(m.Verdicts.Virus), said(m.Verdicts.SPF), said(m.Verdicts.DKIM), said(m.Verdicts.DMARC))
	if m.Automation.IsAuto {
		say("automatic", "%s", strings.Join(m.Automation.Reasons, ", "))
	}
	for _, d := range m.Defects {
		say("defect", "%s: %s", d.Code, d.Detail)
	}
}

// written is a reply as its reader sees it.
func written(r *email.Reply) string {
	var b strings.Builder
	if r.From.Mailbox != "" {
		fmt.Fprintf(&b, "From: %s\n", named(r.From))
	}
	fmt.Fprintf(&b, "To: %s\nSubject: %s\n", named(r.To), r.Subject)
	for _, p := range r.Attachments {
		fmt.Fprintf(&b, "Attachment: %s, %s, %d octets\n", p.Name, p.ContentType, len(p.Content))
	}
	text := r.Text
	if text == "" && r.HTML != "" {
		text = fmt.Sprintf("(%d characters of HTML)", len([]rune(r.HTML)))
	}
	b.WriteString("\n" + strings.TrimRight(text, "\n") + "\n")
	return b.String()
}

func named(a email.Address) string {
	switch {
	case a.Name == "":
		return a.Mailbox
	case a.Mailbox == "":
		return a.Name
	}
	return a.Name + " <" + a.Mailbox + ">"
}
