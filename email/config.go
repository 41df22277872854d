package email

import (
	"errors"
	"fmt"
	"strings"

	"inreply/email/guard"
)

// Config are the limits of what is parsed, with defaults that no honest mail
// meets, and what else the parser must be told. SES takes in mails of up to 40 MB.
type Config struct {
	Domains       []string `yaml:"domains"`        // our own: which of To and Cc are us, where SES does not say
	MarkKey       string   `yaml:"mark_key"`       // secret of our own mark on replies, the same in every process
	MaxMiB        int      `yaml:"max_mib"`        // size of a mail
	MaxHeader     int      `yaml:"max_header"`     // octets of its header and those of its parts together
	MaxFields     int      `yaml:"max_fields"`     // header fields, those of parts included
	MaxLine       int      `yaml:"max_line"`       // octets in one line
	MaxParts      int      `yaml:"max_parts"`      // MIME parts
	MaxDepth      int      `yaml:"max_depth"`      // multiparts within each other
	MaxBoundary   int      `yaml:"max_boundary"`   // octets of a boundary; RFC 2046 allows 70
	MaxParameters int      `yaml:"max_parameters"` // parameters of one Content-Type or Content-Disposition
	MaxBadBase64  int      `yaml:"max_bad_base64"` // octets in a hundred of a base64 body that are not base64
	MaxReceived   int      `yaml:"max_received"`   // Received fields: more are a loop
	MaxReferences int      `yaml:"max_references"` // message ids in References: more are a loop
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{
		MaxMiB: 41, MaxHeader: 1 << 20, MaxFields: 10_000, MaxLine: 10 << 20, MaxParts: 1000, MaxDepth: 20, MaxBoundary: 8192,
		MaxParameters: 64, MaxBadBase64: 50, MaxReceived: 50, MaxReferences: 100,
	}
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
		{"max_fields", c.MaxFields, 1_000_000},
		{"max_line", c.MaxLine, 1 << 30},
		{"max_parts", c.MaxParts, 100_000},
		{"max_depth", c.MaxDepth, 1000},
		{"max_boundary", c.MaxBoundary, 1 << 20},
		{"max_parameters", c.MaxParameters, 10_000},
		{"max_bad_base64", c.MaxBadBase64, 100},
		{"max_received", c.MaxReceived, 10_000},
		{"max_references", c.MaxReferences, 10_000},
	} {
		if x.n < 1 || x.n > x.most {
			faults = append(faults, fmt.Errorf("%s: %d is not between 1 and %d", x.key, x.n, x.most))
		}
	}
	for i, domain := range c.Domains {
		if domain == "" || strings.ContainsAny(domain, "@ ") {
			faults = append(faults, fmt.Errorf("domains[%d]: %q is no domain, such as example.com", i, domain))
		}
	}
	return errors.Join(faults...)
}

// Largest is the size of the largest mail that is parsed, in octets.
func (c Config) Largest() int64 { return int64(c.MaxMiB) << 20 }

func (c Config) limits() guard.Limits {
	return guard.Limits{
		Size: c.Largest(), Header: c.MaxHeader, Fields: c.MaxFields, Line: c.MaxLine, Parts: c.MaxParts, Depth: c.MaxDepth,
		Boundary: c.MaxBoundary, Parameters: c.MaxParameters, BadBase64: c.MaxBadBase64,
	}
}

// Error is why a mail cannot be parsed. It is permanent.
type Error struct {
	Limit  string // the setting that was breached; empty if the octets are no mail
	Value  int64
	Allows int64
	Offset int64  // octets from the beginning of the mail
	Why    string // where no limit was breached
}

func (e *Error) Error() string {
	if e.Limit == "" {
		return "this is no mail: " + e.Why
	}
	return fmt.Sprintf("the mail breaks the limit %s: %d, where %d is allowed, at octet %d", e.Limit, e.Value, e.Allows, e.Offset)
}

// Permanent reports that the same octets fail the same way tomorrow.
func (e *Error) Permanent() bool { return true }

// breached names the setting behind a limit.
func breached(b *guard.Breach) *Error {
	if b.Limit == "size" {
		// Rounded up, so that the value is always above what is allowed.
		return &Error{Limit: "email.max_mib", Value: (b.Value + 1<<20 - 1) >> 20, Allows: b.Allowed >> 20, Offset: b.Offset}
	}
	return &Error{Limit: "email.max_" + b.Limit, Value: b.Value, Allows: b.Allowed, Offset: b.Offset}
}
