package processing

import (
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
	policy    Policy
	processor Processor
	subject   *regexp.Regexp
}

// compile makes routes ready. Its error names every processor that is not there.
func compile(config Config, processors map[string]Processor) ([]route, error) {
	var routes []route
	var faults []error
	for i, r := range config.Routes {
		processor, ok := processors[r.Processor]
		if !ok {
			faults = append(faults, fmt.Errorf("processing.routes[%d].processor: there is no processor %q", i, r.Processor))
		}
		policy := config.Policy
		if r.Policy != nil {
			policy = *r.Policy
		}
		routes = append(routes, route{Route: r, policy: policy, processor: processor, subject: regexp.MustCompile(r.Subject)})
	}
	return routes, errors.Join(faults...)
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

// mismatch says why a route does not take a mail; nothing if it does.
func (r *route) mismatch(m *email.Message) string {
	attachment := func(a email.Attachment) bool { return like(r.Attachment, a.Name) }
	switch {
	case r.Recipient != "" && !slices.ContainsFunc(recipients(m), func(to string) bool { return like(r.Recipient, to) }):
		return "no recipient is " + r.Recipient
	case r.Sender != "" && !like(r.Sender, m.From.Mailbox):
		return "the sender is not " + r.Sender
	case !r.subject.MatchString(m.Subject):
		return "the subject does not match " + r.Subject
	case r.Bucket != "" && m.Object.Bucket != r.Bucket:
		return "it is not in bucket " + r.Bucket
	case !strings.HasPrefix(m.Object.Key, r.Prefix):
		return "its key does not begin with " + r.Prefix
	case r.Attachment != "" && !slices.ContainsFunc(m.Attachments, attachment):
		return "no attachment is " + r.Attachment
	case r.MaxKiB > 0 && m.Object.Size > int64(r.MaxKiB)<<10:
		return fmt.Sprintf("it is larger than %d KiB", r.MaxKiB)
	}
	return ""
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
	// path.Match keeps * from crossing a slash, and mailboxes and file names have
	// none, or one that means nothing.
	slash := strings.NewReplacer("/", "_")
	ok, err := path.Match(slash.Replace(strings.ToLower(pattern)), slash.Replace(strings.ToLower(text)))
	return err == nil && ok
}

// forbids says why a mail must not be answered; nothing if it may.
func (p Policy) forbids(m *email.Message) string {
	from := m.From.Mailbox
	likes := func(patterns []string) bool {
		return slices.ContainsFunc(patterns, func(pattern string) bool { return like(pattern, from) })
	}
	switch {
	case from == "":
		return "there is no sender to answer"
	case likes(p.Own):
		return "it comes from one of our own mailboxes"
	case likes(p.Blocked):
		return "the sender is blocked"
	case len(p.Allowed) > 0 && !likes(p.Allowed):
		return "the sender is not allowed"
	case m.Automation.IsAuto && !p.Automatic:
		return "it is automatic: " + strings.Join(m.Automation.Reasons, ", ")
	case m.Verdicts.Virus == email.Fail:
		return "SES found a virus"
	case m.Verdicts.Spam == email.Fail && !p.Spam:
		return "SES takes it for spam"
	case !m.Verdicts.Authenticated(m.From, email.Policy(p.Trust)):
		return fmt.Sprintf("nobody vouches for its sender (%s, DMARC %s, SPF %s, DKIM %s)", p.Trust, said(m.Verdicts.DMARC), said(m.Verdicts.SPF), said(m.Verdicts.DKIM))
	}
	return ""
}

func said(v email.Verdict) string {
	if v == "" {
		return "unknown"
	}
	return string(v)
}
