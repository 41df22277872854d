package email

import (
	"errors"
	"fmt"
)

// Config are the limits of what is parsed, with defaults that no honest mail
// meets. SES takes in mails of up to 40 MB.
type Config struct {
	MaxMiB      int    `yaml:"max_mib"`      // size of a mail
	MaxHeader   int    `yaml:"max_header"`   // octets of its header
	MaxParts    int    `yaml:"max_parts"`    // MIME parts
	MaxDepth    int    `yaml:"max_depth"`    // multiparts within each other
	MaxReceived int    `yaml:"max_received"` // Received fields: more are a loop
	MarkKey     string `yaml:"mark_key"`     // secret of our own mark on replies, the same in every process
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{MaxMiB: 41, MaxHeader: 1 << 20, MaxParts: 1000, MaxDepth: 20, MaxReceived: 50}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	for _, x := range []struct {
		key  string
		n    int
		most int
	}{
		{"max_mib", c.MaxMiB, 1024},
		{"max_header", c.MaxHeader, 64 << 20},
		{"max_parts", c.MaxParts, 100_000},
		{"max_depth", c.MaxDepth, 1000},
		{"max_received", c.MaxReceived, 10_000},
	} {
		if x.n < 1 || x.n > x.most {
			faults = append(faults, fmt.Errorf("%s: %d is not between 1 and %d", x.key, x.n, x.most))
		}
	}
	return errors.Join(faults...)
}

// Largest is the size of the largest mail that is parsed, in octets.
func (c Config) Largest() int64 { return int64(c.MaxMiB) << 20 }

// Error is why a mail cannot be parsed. It is permanent.
type Error struct {
	Limit  string // the setting that was breached; empty if the text is no mail
	Value  int64
	Allows int64
	Offset int64 // where in the mail
	Why    string
}

func (e *Error) Error() string {
	if e.Limit == "" {
		return "this is no mail: " + e.Why
	}
	return fmt.Sprintf("the mail breaks the limit %s: %d, where %d is allowed, at octet %d", e.Limit, e.Value, e.Allows, e.Offset)
}

// Permanent reports that the same octets fail the same way tomorrow.
func (e *Error) Permanent() bool { return true }
