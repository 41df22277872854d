package processing

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"inreply/email"
)

// route is a Route, ready to match.
type route struct {
	Route
	policy    Policy // with what the common one adds
	processor Processor
	subject   *regexp.Regexp
	step      string // in a trace
}

// unroutedName is the route of a mail that none takes and that is refused.
const unroutedName = "unrouted"

// compile makes routes ready. Its error names every processor that is not there,
// and every mailbox that the mailer does not send from.
func compile(config Config, processors map[string]Processor, mailer Mailer) ([]route, error) {
	var routes []route
	var faults []error
	for i, r := range config.Routes {
		processor, ok := processors[r.Processor]
		if !ok {
			faults = append(faults, fmt.Errorf("processing.routes[%d].processor: there is no processor %q", i, r.Processor))
		}
		if r.From != "" && !mailer.Owns(r.From) {
			faults = append(faults, fmt.Errorf("processing.routes[%d].from: %s is neither mailer.from nor one of mailer.identities", i, r.From))
		}
		policy := config.Policy
		if r.Policy != nil {
			policy = r.Policy.over(config.Policy)
		}
		routes = append(routes, route{Route: r, policy: policy, processor: processor, subject: regexp.MustCompile(r.Subject), step: "processor " + r.Processor})
	}
	return routes, errors.Join(faults...)
}

// refuser is the route that refuses politely.
func refuser(config Config, processors map[string]Processor) (route, error) {
	r := route{Route: Route{Name: unroutedName}, policy: config.Policy, processor: Refusal(config.Refusal), step: "processor refusal"}
	if config.Refuser == "" {
		return r, nil
	}
	if r.processor = processors[config.Refuser]; r.processor == nil {
		return r, fmt.Errorf("processing.refuser: there is no processor %q", config.Refuser)
	}
	return r, nil
}

// Refusal is the processor that answers with a fixed text.
type Refusal string

// Process answers.
func (r Refusal) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	reply := m.Answer()
	reply.Text = string(r) + "\n"
	return reply, nil
}

// forObject is the route that takes an object unread, or nil. mail says whether a
// route for mails takes what lies where the object does.
func (p *Processing) forObject(o email.Object) (r *route, mail bool) {
	for i := range p.routes {
		r := &p.routes[i]
		if r.elsewhere(o) != "" {
			continue
		}
		if r.isObject() && r.sized(o) == "" {
			return r, false
		}
		mail = mail || !r.isObject()
	}
	return nil, mail
}

// match is the first route that takes the mail, or nil.
func (p *Processing) match(m *email.Message) *route {
	for i := range p.routes {
		if p.routes[i].mismatch(m) == "" {
			return &p.routes[i]
		}
	}
	return nil
}

// elsewhere says why an object does not lie where the route looks.
func (r *route) elsewhere(o email.Object) string {
	if !stored(o) {
		return ""
	}
	if r.Bucket != "" && o.Bucket != r.Bucket {
		return "it is not in bucket " + r.Bucket
	}
	if !strings.HasPrefix(o.Key, r.Prefix) {
		return "its key does not begin with " + r.Prefix
	}
	return ""
}

// stored reports whether an object is known to lie somewhere.
func stored(o email.Object) bool { return o.Bucket != "" || o.Key != "" }

// sized says why an object is not of the size that the route asks for.
func (r *route) sized(o email.Object) string {
	if r.MaxKiB > 0 && o.Size > int64(r.MaxKiB)<<10 {
		return fmt.Sprintf("it is larger than %d KiB", r.MaxKiB)
	}
	if o.Size < int64(r.MinKiB)<<10 {
		return fmt.Sprintf("it is smaller than %d KiB", r.MinKiB)
	}
	return ""
}

// mismatch says why a route does not take a mail; nothing if it does.
func (r *route) mismatch(m *email.Message) string {
	if r.isObject() {
		return "it takes objects that are no mails"
	}
	if why := r.elsewhere(m.Object); why != "" {
		return why
	}
	if why := r.sized(m.Object); why != "" {
		return why
	}
	named := func(a email.Attachment) bool { return like(r.Attachment, a.Name) }
	typed := func(a email.Attachment) bool {
		return like(r.AttachmentType, a.ContentType) || like(r.AttachmentType, a.DetectedType)
	}
	switch {
	case r.Recipient != "" && !slices.ContainsFunc(recipients(m), r.takesRecipient):
		return "no recipient is " + r.Recipient
	case r.Sender != "" && !like(r.Sender, m.From.Mailbox):
		return "the sender is not " + r.Sender
	case r.Domain != "" && !like(r.Domain, m.From.Domain()):
		return "the sender's domain is not " + r.Domain
	case !r.subject.MatchString(m.Subject):
		return "the subject does not match " + r.Subject
	case r.Attachment != "" && !slices.ContainsFunc(m.Attachments, named):
		return "no attachment is " + r.Attachment
	case r.AttachmentType != "" && !slices.ContainsFunc(m.Attachments, typed):
		return "no attachment is of type " + r.AttachmentType
	}
	return ""
}

// takesRecipient reports whether a mailbox is one that the route takes, with or
// without a tag.
func (r *route) takesRecipient(mailbox string) bool {
	bare, _ := untagged(mailbox)
	return like(r.Recipient, mailbox) || like(r.Recipient, bare)
}

// tag is what stands behind the plus of the recipient that the route took:
// "q3" of data+q3@example.com.
func (r *route) tag(m *email.Message) string {
	for _, to := range recipients(m) {
		if r.Recipient != "" && !r.takesRecipient(to) {
			continue
		}
		if _, tag := untagged(to); tag != "" {
			return tag
		}
	}
	return ""
}

// taken is the route as its processor sees it, of a mail that it takes.
func (r *route) taken(m *email.Message) email.Route {
	return email.Route{Name: r.Name, Tag: r.tag(m), Captures: r.captures(m.Subject)}
}

// captures is what the named groups of the route's subject matched: nothing for a
// group that stands in an alternative that the subject did not take.
func (r *route) captures(subject string) map[string]string {
	if r.subject == nil {
		return nil
	}
	var captures map[string]string
	matched := r.subject.FindStringSubmatch(subject)
	for i, name := range r.subject.SubexpNames() {
		if name == "" || matched == nil {
			continue
		}
		if captures == nil {
			captures = map[string]string{}
		}
		captures[name] = matched[i]
	}
	return captures
}

// object is what the processor of a route for objects gets: an object is never
// answered, and nothing of it was read.
func (r *route) object(raw email.Raw) *email.Message {
	return &email.Message{
		ID: raw.Object.ID(), Object: raw.Object, Announced: raw.Announced, Notice: raw.Notice, Try: raw.Try,
		Route: email.Route{Name: r.Name}, Permit: email.Permit{Reason: unaddressed},
	}
}

// untagged takes the tag out of a mailbox (RFC 5233).
func untagged(mailbox string) (bare, tag string) {
	at := strings.LastIndexByte(mailbox, '@')
	plus := strings.IndexByte(mailbox, '+')
	if plus < 1 || plus > at {
		return mailbox, ""
	}
	return mailbox[:plus] + mailbox[at:], mailbox[plus+1 : at]
}

// recipients are the mailboxes that a mail was sent to: those of the envelope, or
// where they are not known those of its header.
func recipients(m *email.Message) []string {
	if len(m.Recipients) > 0 {
		return m.Recipients
	}
	var to []string
	for _, a := range slices.Concat(m.To, m.Cc) {
		to = append(to, a.Mailbox)
	}
	return to
}

// like reports whether a text matches a pattern, in which * stands for anything,
// without regard to case. A broken pattern was refused at load.
func like(pattern, text string) bool {
	// path.Match keeps * from crossing a slash, which means nothing here.
	slash := strings.NewReplacer("/", "\x00")
	ok, err := path.Match(slash.Replace(strings.ToLower(pattern)), slash.Replace(strings.ToLower(text)))
	return err == nil && ok
}
