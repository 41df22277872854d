// Package digest is the processor that needs no application: it answers a mail
// with what its data attachments say. For each table it tells the shape, and for
// each column its type, what is missing, how many values are distinct, and of
// numbers and dates the range and the usual figures.
//
// What cannot be read is named in the reply beside what could. A table is read as
// it comes out of the mail and never held as a whole: what is kept of it has a
// bound, and so has what is said of it.
//
// The tour: source.go finds out charset and delimiter, table.go goes through the
// rows, column.go keeps what a column says, cell.go tells numbers and dates from
// other text, write.go writes it down.
package digest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"inreply/email"
)

// Config are the digest's settings.
type Config struct {
	MaxRows    int `yaml:"max_rows"`    // of one table that are read; what is beyond is said
	MaxColumns int `yaml:"max_columns"` // of one table that are told of
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{MaxRows: 1_000_000, MaxColumns: 200}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	if c.MaxRows < 1 {
		faults = append(faults, fmt.Errorf("max_rows: %d is less than 1", c.MaxRows))
	}
	if c.MaxColumns < 1 {
		faults = append(faults, fmt.Errorf("max_columns: %d is less than 1", c.MaxColumns))
	}
	return errors.Join(faults...)
}

// Digest is the processor. It is safe for concurrent use.
type Digest struct{ config Config }

// New returns a Digest.
func New(config Config) *Digest { return &Digest{config} }

// mostTables is how many tables of one mail are told of.
const mostTables = 10

// finding is what one attachment said, or why it said nothing.
type finding struct {
	name  string
	table *table
	err   error
}

// Process answers with what the mail's tables say. Its error is that of ctx.
func (d *Digest) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	var findings []finding
	more := 0
	for _, a := range m.Attachments {
		if !isTable(a) {
			continue
		}
		if len(findings) == mostTables {
			more++
			continue
		}
		t, err := readTable(ctx, a, d.config)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("digest %s: %w", a.Name, context.Cause(ctx))
		}
		findings = append(findings, finding{name: a.Name, table: t, err: err})
	}
	reply := m.Answer()
	reply.Text = plain(findings, more)
	reply.HTML = rich(findings, more)
	return reply, nil
}

// isTable reports whether an attachment claims to be delimited text.
func isTable(a email.Attachment) bool {
	name := strings.ToLower(a.Name)
	if strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv") {
		return true
	}
	switch a.ContentType {
	case "text/csv", "text/tab-separated-values", "application/csv":
		return true
	}
	return false
}
