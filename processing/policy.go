package processing

import (
	"fmt"
	"slices"
	"strings"

	"inreply/email"
)

// The reasons of a silence: stable, so that one can count them. An outcome's
// reason begins with one of them, and goes on in words.
const (
	NoSender        = "no-sender"       // there is nobody to answer
	OwnMailbox      = "own-mailbox"     // it comes from ourselves
	Bounce          = "bounce"          // a mail of ours came back
	List            = "list"            // a mailing list
	Automatic       = "automatic"       // any other program wrote it
	Virus           = "virus"           // SES found one
	Spam            = "spam"            // SES takes it for spam
	Blocked         = "blocked"         // the sender is
	NotAllowed      = "not-allowed"     // the sender is not among those that are
	Unauthenticated = "unauthenticated" // nobody vouches for the sender
	Suppressed      = "suppressed"      // replies to the address bounced, or it complained
	PerHour         = "per-hour"        // the sender got all replies of this hour
	PerThread       = "per-thread"      // the thread got all replies of this day
	SameSubject     = "same-subject"    // the sender got all replies under this subject
	NoRoute         = "no-route"        // no route takes it
	NoAnswer        = "no-answer"       // the processor has none
)

// silence is why a mail is not answered. The zero value is none: it may be.
type silence struct{ code, words string }

func (s silence) String() string {
	if s == (silence{}) {
		return ""
	}
	return s.code + ": " + s.words
}

// forbids says why a mail must not be answered, as far as the mail itself tells.
// What is certain comes first, what the settings say after it.
func (p *Processing) forbids(policy Policy, m *email.Message) silence {
	from := m.From.Mailbox
	switch {
	case from == "":
		return silence{NoSender, "there is no sender to answer"}
	case p.ours(policy, m, from):
		return silence{OwnMailbox, "it comes from one of our own mailboxes"}
	case m.Automation.IsAuto:
		return automatic(m.Automation.Reasons)
	case m.Verdicts.Virus == email.Fail:
		return silence{Virus, "SES found a virus"}
	case m.Verdicts.Spam == email.Fail && !policy.Spam:
		return silence{Spam, "SES takes it for spam"}
	case likes(policy.Blocked, from):
		return silence{Blocked, "the sender is blocked"}
	case len(policy.Allowed) > 0 && !likes(policy.Allowed, from):
		return silence{NotAllowed, "the sender is not allowed"}
	case !m.Verdicts.Authenticated(m.From, email.Policy(policy.Trust)):
		return silence{Unauthenticated, fmt.Sprintf("nobody vouches for its sender (%s: DMARC %s, SPF %s, DKIM %s)",
			policy.Trust, said(m.Verdicts.DMARC), said(m.Verdicts.SPF), said(m.Verdicts.DKIM))}
	}
	return silence{}
}

// automatic is the silence about a mail that a program wrote.
func automatic(reasons []string) silence {
	because := strings.Join(reasons, ", ")
	has := func(is func(string) bool) bool { return slices.ContainsFunc(reasons, is) }
	switch {
	case has(func(r string) bool { return r == "null-return-path" || r == "report" || r == "delivery-status" }):
		return silence{Bounce, "a mail server wrote it (" + because + ")"}
	case has(func(r string) bool { return strings.HasPrefix(r, "list-") }):
		return silence{List, "it comes from a mailing list (" + because + ")"}
	}
	return silence{Automatic, "a program wrote it (" + because + ")"}
}

func said(v email.Verdict) string {
	if v == "" {
		return "unknown"
	}
	return string(v)
}

// likes reports whether a mailbox matches one of the patterns.
func likes(patterns []string, mailbox string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return like(pattern, mailbox) })
}

// ours reports whether a mailbox is one of our own: one that we send from, one that
// the settings name, or the one that the mail was sent to; each with any tag.
func (p *Processing) ours(policy Policy, m *email.Message, mailbox string) bool {
	bare, _ := untagged(mailbox)
	return p.mailer.Owns(mailbox) || p.mailer.Owns(bare) || likes(policy.Own, mailbox) || likes(policy.Own, bare) ||
		slices.ContainsFunc(m.Recipients, func(to string) bool {
			to, _ = untagged(to)
			return strings.EqualFold(to, bare)
		})
}

// recipient is who gets the answer: the author, or where the policy allows it the
// one mailbox of his own domain that he asks to be answered at. A mailbox that would
// get no answer if it had written itself gets none in this way either.
func (p *Processing) recipient(policy Policy, m *email.Message) email.Address {
	if !policy.ReplyTo || len(m.ReplyTo) != 1 {
		return m.From
	}
	to := m.ReplyTo[0]
	if to.Domain() == "" || to.Domain() != m.From.Domain() || p.ours(policy, m, to.Mailbox) || likes(policy.Blocked, to.Mailbox) {
		return m.From
	}
	return to
}
