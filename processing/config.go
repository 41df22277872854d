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

// What becomes of a mail that no route takes.
const (
	UnroutedSilent     = "silent"
	UnroutedDeadLetter = "dead-letter"
	UnroutedRefuse     = "refuse"
)

// What a route takes.
const (
	KindMail   = "mail"
	KindObject = "object"
)

// Config are the settings of routes and policy.
type Config struct {
	Routes   []Route `yaml:"routes"`   // the first that matches takes the mail
	Unrouted string  `yaml:"unrouted"` // a mail that no route takes: silent, dead-letter or refuse
	Refusal  string  `yaml:"refusal"`  // what a refused mail is answered
	Refuser  string  `yaml:"refuser"`  // processor that writes the refusal, such as template:sorry; empty: refusal is all
	Policy   Policy  `yaml:"policy"`   // of every route, as far as it has none of its own
}

// Route is one way for mails. Everything that is set must match.
type Route struct {
	Name           string  `yaml:"name"`            // in log lines and metrics
	Kind           string  `yaml:"kind"`            // mail, or object: no mail, handed on unread and never answered
	Recipient      string  `yaml:"recipient"`       // pattern of an envelope recipient, such as data@example.com, which takes data+q3@example.com too
	Sender         string  `yaml:"sender"`          // pattern of the From mailbox, such as *@example.com
	Domain         string  `yaml:"domain"`          // pattern of its domain, such as *.example.com
	Subject        string  `yaml:"subject"`         // regular expression
	Bucket         string  `yaml:"bucket"`          // of the stored mail
	Prefix         string  `yaml:"prefix"`          // of its key
	Attachment     string  `yaml:"attachment"`      // pattern of the name of an attachment, such as *.csv
	AttachmentType string  `yaml:"attachment_type"` // pattern of the media type of an attachment, such as image/*
	MinKiB         int     `yaml:"min_kib"`         // size of the mail at least
	MaxKiB         int     `yaml:"max_kib"`         // size of the mail at most; 0: any
	Processor      string  `yaml:"processor"`       // who answers, such as digest
	From           string  `yaml:"from"`            // mailbox to answer from, one of the mailer's; empty: its common one
	Unanswered     bool    `yaml:"unanswered"`      // processes also what may not be answered, and sends nothing then
	Policy         *Policy `yaml:"policy"`          // what differs from the common one
}

// Policy says who may be answered. In a route's own policy, what is not set is as
// in the common one, and own and blocked add to it. Automatic mail, bounces, lists
// and our own mailboxes are never answered: there is no setting for that.
type Policy struct {
	Trust       string   `yaml:"trust"`        // who counts as the author: dmarc, aligned or none
	Spam        bool     `yaml:"spam"`         // answer what SES took for spam
	ReplyTo     bool     `yaml:"reply_to"`     // answer to Reply-To if it is one mailbox in the author's domain
	Own         []string `yaml:"own"`          // patterns of our own mailboxes, beside the mailer's
	Allowed     []string `yaml:"allowed"`      // patterns of senders; empty: all
	Blocked     []string `yaml:"blocked"`      // patterns of senders
	PerHour     int      `yaml:"per_hour"`     // replies to one sender in an hour at most; 0: any, in a route -1
	PerThread   int      `yaml:"per_thread"`   // replies in one thread in a day at most; 0: any, in a route -1
	SameSubject int      `yaml:"same_subject"` // replies to one sender under one subject in an hour at most; 0: any, in a route -1
}

// The caps where the file says nothing. No customer writes so much by hand; two
// machines that answer each other do within a minute, and stop here. Others in the
// field stop at ten replies in three hours and at the second under one subject, but
// send mere acknowledgements: here a reply is what the customer has asked for.
const (
	defaultPerHour     = 20
	defaultPerThread   = 20
	defaultSameSubject = 5
)

// Defaults are the settings where the file says nothing: every mail whose author
// is sure is answered by the digest, as often as a person asks.
func Defaults() Config {
	return Config{
		Routes:   []Route{{Name: "digest", Processor: "digest"}},
		Unrouted: UnroutedSilent,
		Refusal:  "I cannot do anything with this mail. Nobody has read it.",
		Policy: Policy{
			Trust:   string(email.DMARC),
			PerHour: defaultPerHour, PerThread: defaultPerThread, SameSubject: defaultSameSubject,
		},
	}
}

// over is the policy of a route: what it does not set is as in the common one.
func (p Policy) over(common Policy) Policy {
	if p.Trust == "" {
		p.Trust = common.Trust
	}
	p.Spam = p.Spam || common.Spam
	p.ReplyTo = p.ReplyTo || common.ReplyTo
	p.Own = append(slices.Clip(p.Own), common.Own...)
	p.Blocked = append(slices.Clip(p.Blocked), common.Blocked...)
	if len(p.Allowed) == 0 {
		p.Allowed = common.Allowed
	}
	p.PerHour = inherit(p.PerHour, common.PerHour)
	p.PerThread = inherit(p.PerThread, common.PerThread)
	p.SameSubject = inherit(p.SameSubject, common.SameSubject)
	return p
}

// inherit is a cap of a route; 0 in the end is none.
func inherit(own, common int) int {
	if own == 0 {
		return common
	}
	return max(own, 0)
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	switch c.Unrouted {
	case UnroutedSilent, UnroutedDeadLetter:
	case UnroutedRefuse:
		if strings.TrimSpace(c.Refusal) == "" {
			faults = append(faults, errors.New("refusal: it is empty, and nobody can be refused without a word"))
		}
	default:
		faults = append(faults, fmt.Errorf("unrouted: %q is none of %s, %s, %s", c.Unrouted, UnroutedSilent, UnroutedDeadLetter, UnroutedRefuse))
	}
	faults = append(faults, c.Policy.faults("policy.", false)...)
	if len(c.Routes) == 0 {
		faults = append(faults, errors.New("routes: there is none, so no mail would be answered"))
	}
	seen := map[string]int{unroutedName: -1}
	for i, r := range c.Routes {
		at := fmt.Sprintf("routes[%d].", i)
		faults = append(faults, r.faults(at)...)
		if before, ok := seen[r.Name]; ok && before < 0 {
			faults = append(faults, fmt.Errorf("%sname: %q stands for what no route takes", at, r.Name))
		} else if ok {
			faults = append(faults, fmt.Errorf("%sname: %q is the name of routes[%d] too", at, r.Name, before))
		}
		seen[r.Name] = i
		if j := c.covered(i); j >= 0 {
			faults = append(faults, fmt.Errorf("%sname: no mail ever comes to %q, for routes[%d] (%q) takes all of its mails", at, r.Name, j, c.Routes[j].Name))
		}
	}
	return errors.Join(faults...)
}

// covered is the route that leaves nothing for the one at i; -1 if there is none.
// Routes for objects come before all others, since what lies under their prefix is
// no mail.
func (c Config) covered(i int) int {
	for j, other := range c.Routes {
		earlier := j < i || other.isObject() && !c.Routes[i].isObject()
		later := c.Routes[i].isObject() && !other.isObject()
		if j != i && earlier && !later && other.covers(c.Routes[i]) {
			return j
		}
	}
	return -1
}

func (r Route) isObject() bool { return r.Kind == KindObject }

func (r Route) faults(at string) (faults []error) {
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s%s: %w", at, key, fmt.Errorf(format, args...)))
	}
	if r.Name == "" {
		fault("name", "the route has none")
	}
	if r.Processor == "" {
		fault("processor", "the route has none")
	}
	if r.Kind != "" && r.Kind != KindMail && r.Kind != KindObject {
		fault("kind", "%q is neither %s nor %s", r.Kind, KindMail, KindObject)
	}
	if _, err := regexp.Compile(r.Subject); err != nil {
		fault("subject", "%w", err)
	}
	for _, p := range r.patterns() {
		if _, err := path.Match(p.text, ""); err != nil {
			fault(p.key, "%q is no pattern: %w", p.text, err)
		}
	}
	if r.MinKiB < 0 {
		fault("min_kib", "%d is below 0", r.MinKiB)
	}
	if r.MaxKiB < 0 || r.MaxKiB > 0 && r.MaxKiB < r.MinKiB {
		fault("max_kib", "%d is below %d", r.MaxKiB, max(r.MinKiB, 0))
	}
	if r.isObject() {
		for _, p := range append(r.patterns(), pattern{"subject", r.Subject}, pattern{"from", r.From}) {
			if p.text != "" {
				fault(p.key, "an object has none: only bucket, prefix and size can be asked of it")
			}
		}
		if r.Policy != nil || r.Unanswered {
			fault("policy", "an object is never answered")
		}
	}
	if r.Policy != nil {
		faults = append(faults, r.Policy.faults(at+"policy.", true)...)
	}
	return faults
}

// pattern is a setting in which * stands for anything.
type pattern struct{ key, text string }

func (r Route) patterns() []pattern {
	return []pattern{
		{"recipient", r.Recipient},
		{"sender", r.Sender},
		{"domain", r.Domain},
		{"attachment", r.Attachment},
		{"attachment_type", r.AttachmentType},
	}
}

// covers reports whether every mail that matches other matches r as well: what r
// asks for is asked by other too, as narrowly or more so.
func (r Route) covers(other Route) bool {
	if r.Bucket != "" && r.Bucket != other.Bucket || !strings.HasPrefix(other.Prefix, r.Prefix) {
		return false
	}
	if r.MinKiB > other.MinKiB || r.MaxKiB > 0 && (other.MaxKiB == 0 || other.MaxKiB > r.MaxKiB) {
		return false
	}
	theirs := other.patterns()
	for i, ours := range r.patterns() {
		if !wider(ours.text, theirs[i].text) {
			return false
		}
	}
	return r.Subject == "" || r.Subject == other.Subject
}

// wider reports whether a pattern surely matches all that another one does. A *
// in the narrow one is matched by nothing but a * in the wide one, so that it can
// be read as a text.
func wider(wide, narrow string) bool {
	if wide == "" || wide == narrow {
		return true
	}
	return !strings.ContainsAny(wide, "?[") && !strings.ContainsAny(narrow, `?[\`) && like(wide, narrow)
}

func (p Policy) faults(at string, ofRoute bool) (faults []error) {
	switch email.Policy(p.Trust) {
	case email.DMARC, email.Aligned, email.Any:
	default:
		if p.Trust != "" || !ofRoute {
			faults = append(faults, fmt.Errorf("%strust: %q is none of dmarc, aligned, none", at, p.Trust))
		}
	}
	for _, list := range []struct {
		key      string
		patterns []string
	}{{"own", p.Own}, {"allowed", p.Allowed}, {"blocked", p.Blocked}} {
		for i, pattern := range list.patterns {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				faults = append(faults, fmt.Errorf("%s%s[%d]: %q is no pattern of mailboxes", at, list.key, i, pattern))
			}
		}
	}
	least := 0
	if ofRoute {
		least = -1
	}
	for _, x := range []struct {
		key string
		n   int
	}{{"per_hour", p.PerHour}, {"per_thread", p.PerThread}, {"same_subject", p.SameSubject}} {
		if x.n < least || x.n > mostRemembered {
			faults = append(faults, fmt.Errorf("%s%s: %d is not between %d and %d", at, x.key, x.n, least, mostRemembered))
		}
	}
	return faults
}
