package mailer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"inreply/mailer/compose"
)

// What happens to a reply of which nobody knows whether it went out.
const (
	Resend     = "resend"
	DeadLetter = "dead-letter"
)

// DropAttachments is what happens to a reply that is larger than SES takes, if it
// is not [DeadLetter].
const DropAttachments = "drop-attachments"

// Config are the mailer's settings.
type Config struct {
	From             string        `yaml:"from"`              // mailbox that replies come from; SES must have verified it or its domain
	Name             string        `yaml:"name"`              // display name beside it
	ConfigurationSet string        `yaml:"configuration_set"` // of SES, for its events
	Identities       []Identity    `yaml:"identities"`        // more mailboxes of ours, which routes may answer from
	Claim            time.Duration `yaml:"claim"`             // how long a process may try to send a reply before another may
	Timeout          time.Duration `yaml:"timeout"`           // of one call of SES
	Unknown          string        `yaml:"unknown"`           // a reply that may have gone out: resend or dead-letter
	Oversize         string        `yaml:"oversize"`          // a reply larger than SES takes: drop-attachments or dead-letter
	Unsubscribe      string        `yaml:"unsubscribe"`       // List-Unsubscribe of replies: an URL or mailto; empty: none
	FeedbackID       string        `yaml:"feedback_id"`       // Feedback-ID of replies; empty: none
	Bounced          time.Duration `yaml:"bounced"`           // how long nobody writes to an address that bounced for good
	Complained       time.Duration `yaml:"complained"`        // how long nobody writes to an address that complained
	MarkKey          string        `yaml:"-"`                 // secret of the mark on replies, email's; empty: no mark
}

// Identity is one more mailbox that replies may come from.
type Identity struct {
	From             string `yaml:"from"`              // mailbox; SES must have verified it or its domain
	Name             string `yaml:"name"`              // display name, where a reply has none
	ConfigurationSet string `yaml:"configuration_set"` // of SES; empty: the common one
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{
		Claim: 30 * time.Second, Timeout: 10 * time.Second, Unknown: Resend, Oversize: DropAttachments,
		Bounced: 30 * 24 * time.Hour, Complained: 365 * 24 * time.Hour,
	}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	faults := Identity{From: c.From, Name: c.Name, ConfigurationSet: c.ConfigurationSet}.faults("")
	seen := map[string]bool{strings.ToLower(c.From): true}
	for i, identity := range c.Identities {
		at := fmt.Sprintf("identities[%d].", i)
		faults = append(faults, identity.faults(at)...)
		if seen[strings.ToLower(identity.From)] {
			faults = append(faults, fmt.Errorf("%sfrom: %s is there already", at, identity.From))
		}
		seen[strings.ToLower(identity.From)] = true
	}
	for _, x := range []struct {
		key string
		d   time.Duration
	}{{"claim", c.Claim}, {"timeout", c.Timeout}} {
		if x.d < time.Second {
			faults = append(faults, fmt.Errorf("%s: %s is less than 1s", x.key, x.d))
		}
	}
	for _, x := range []struct {
		key string
		d   time.Duration
	}{{"bounced", c.Bounced}, {"complained", c.Complained}} {
		if x.d < 0 {
			faults = append(faults, fmt.Errorf("%s: %s is below 0", x.key, x.d))
		}
	}
	if c.Unknown != Resend && c.Unknown != DeadLetter {
		faults = append(faults, fmt.Errorf("unknown: %q is neither %s nor %s", c.Unknown, Resend, DeadLetter))
	}
	if c.Oversize != DropAttachments && c.Oversize != DeadLetter {
		faults = append(faults, fmt.Errorf("oversize: %q is neither %s nor %s", c.Oversize, DropAttachments, DeadLetter))
	}
	for _, x := range []struct{ key, value string }{{"unsubscribe", c.Unsubscribe}, {"feedback_id", c.FeedbackID}} {
		if !printable(x.value) {
			faults = append(faults, fmt.Errorf("%s: it has characters that no header can carry", x.key))
		}
	}
	if strings.ContainsAny(c.Unsubscribe, " <>,") {
		faults = append(faults, fmt.Errorf("unsubscribe: %q is no URL such as https://example.com/stop or mailto:stop@example.com", c.Unsubscribe))
	}
	return errors.Join(faults...)
}

func (i Identity) faults(at string) (faults []error) {
	if _, err := compose.Mailbox(i.From); err != nil {
		faults = append(faults, fmt.Errorf("%sfrom: %w", at, err))
	}
	if strings.ContainsAny(i.Name, "\r\n\x00") {
		faults = append(faults, fmt.Errorf("%sname: it has a line break", at))
	}
	if strings.ContainsFunc(i.ConfigurationSet, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}) {
		faults = append(faults, fmt.Errorf("%sconfiguration_set: %q is no name of one: letters, digits, - and _", at, i.ConfigurationSet))
	}
	return faults
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// identity is the mailbox of ours by this name; the common one for an empty name.
func (c Config) identity(from string) (Identity, bool) {
	common := Identity{From: c.From, Name: c.Name, ConfigurationSet: c.ConfigurationSet}
	if from == "" || same(from, c.From) {
		return common, true
	}
	for _, i := range c.Identities {
		if !same(from, i.From) {
			continue
		}
		if i.ConfigurationSet == "" {
			i.ConfigurationSet = c.ConfigurationSet
		}
		return i, true
	}
	return Identity{From: from, ConfigurationSet: c.ConfigurationSet}, false
}
