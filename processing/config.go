package processing

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"inreply/email"
)

// What becomes of a mail that no route takes.
const (
	UnroutedSilent     = "silent"
	UnroutedDeadLetter = "dead-letter"
)

// Config are the settings of routes and policy.
type Config struct {
	Routes   []Route `yaml:"routes"`   // the first that matches takes the mail
	Unrouted string  `yaml:"unrouted"` // a mail that no route takes: silent or dead-letter
	Policy   Policy  `yaml:"policy"`   // of every route that has none of its own
}

// Route is one way for mails. Everything that is set must match.
type Route struct {
	Name       string  `yaml:"name"`
	Recipient  string  `yaml:"recipient"`  // pattern of an envelope recipient, such as data@example.com or data+*@example.com
	Sender     string  `yaml:"sender"`     // pattern of the From mailbox, such as *@example.com
	Subject    string  `yaml:"subject"`    // regular expression
	Bucket     string  `yaml:"bucket"`     // of the stored mail
	Prefix     string  `yaml:"prefix"`     // of its key
	Attachment string  `yaml:"attachment"` // pattern of the name of an attachment, such as *.csv
	MaxKiB     int     `yaml:"max_kib"`    // size of the mail; 0: any
	Processor  string  `yaml:"processor"`  // who answers, such as digest
	Policy     *Policy `yaml:"policy"`     // instead of the common one
}

// Policy says who may be answered.
type Policy struct {
	Trust     string   `yaml:"trust"`     // who counts as the author: dmarc, aligned or none
	Automatic bool     `yaml:"automatic"` // answer programs, lists and bounces too: never do
	Spam      bool     `yaml:"spam"`      // answer what SES took for spam
	Own       []string `yaml:"own"`       // patterns of our own mailboxes, which are never answered
	Allowed   []string `yaml:"allowed"`   // patterns of senders; empty: all
	Blocked   []string `yaml:"blocked"`   // patterns of senders
}

// Defaults are the settings where the file says nothing: every mail whose author
// is sure is answered by the digest.
func Defaults() Config {
	return Config{
		Routes:   []Route{{Name: "digest", Processor: "digest"}},
		Unrouted: UnroutedSilent,
		Policy:   Policy{Trust: string(email.DMARC)},
	}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	if c.Unrouted != UnroutedSilent && c.Unrouted != UnroutedDeadLetter {
		faults = append(faults, fmt.Errorf("unrouted: %q is neither %s nor %s", c.Unrouted, UnroutedSilent, UnroutedDeadLetter))
	}
	faults = append(faults, c.Policy.faults("policy.")...)
	if len(c.Routes) == 0 {
		faults = append(faults, errors.New("routes: there is none, so no mail would be answered"))
	}
	seen := map[string]int{}
	for i, r := range c.Routes {
		at := fmt.Sprintf("routes[%d].", i)
		faults = append(faults, r.faults(at)...)
		if before, ok := seen[r.Name]; ok {
			faults = append(faults, fmt.Errorf("%sname: %q is the name of routes[%d] too", at, r.Name, before))
		}
		seen[r.Name] = i
		for j, earlier := range c.Routes[:i] {
			if earlier.covers(r) {
				faults = append(faults, fmt.Errorf("%sname: no mail ever comes to %q, for routes[%d] (%q) takes all of its mails", at, r.Name, j, earlier.Name))
				break
			}
		}
	}
	return errors.Join(faults...)
}

func (r Route) faults(at string) (faults []error) {
	if r.Name == "" {
		faults = append(faults, fmt.Errorf("%sname: the route has none", at))
	}
	if r.Processor == "" {
		faults = append(faults, fmt.Errorf("%sprocessor: the route has none", at))
	}
	if _, err := regexp.Compile(r.Subject); err != nil {
		faults = append(faults, fmt.Errorf("%ssubject: %w", at, err))
	}
	for key, pattern := range map[string]string{"recipient": r.Recipient, "sender": r.Sender, "attachment": r.Attachment} {
		if _, err := path.Match(pattern, ""); err != nil {
			faults = append(faults, fmt.Errorf("%s%s: %q is no pattern: %w", at, key, pattern, err))
		}
	}
	if r.MaxKiB < 0 {
		faults = append(faults, fmt.Errorf("%smax_kib: %d is below 0", at, r.MaxKiB))
	}
	if r.Policy != nil {
		faults = append(faults, r.Policy.faults(at+"policy.")...)
	}
	return faults
}

// covers reports whether every mail that matches other matches r as well: what r
// asks for is asked by other in the same words, or not at all.
func (r Route) covers(other Route) bool {
	same := func(a, b string) bool { return a == "" || a == b }
	return same(r.Recipient, other.Recipient) && same(r.Sender, other.Sender) && same(r.Subject, other.Subject) &&
		same(r.Bucket, other.Bucket) && strings.HasPrefix(other.Prefix, r.Prefix) && same(r.Attachment, other.Attachment) &&
		(r.MaxKiB == 0 || other.MaxKiB != 0 && other.MaxKiB <= r.MaxKiB)
}

func (p Policy) faults(at string) (faults []error) {
	switch email.Policy(p.Trust) {
	case email.DMARC, email.Aligned, email.Any:
	default:
		faults = append(faults, fmt.Errorf("%strust: %q is none of dmarc, aligned, none", at, p.Trust))
	}
	for key, patterns := range map[string][]string{"own": p.Own, "allowed": p.Allowed, "blocked": p.Blocked} {
		for i, pattern := range patterns {
			if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
				faults = append(faults, fmt.Errorf("%s%s[%d]: %q is no pattern of mailboxes", at, key, i, pattern))
			}
		}
	}
	return faults
}
