// Package digest is the processor that needs no application: it answers a mail
// with what its data attachments say. For each table it tells the shape, and for
// each column its type, what is missing, how many values are distinct, and of
// numbers and dates the range and the usual figures.
//
// What cannot be read is named in the reply beside what could.
package digest

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// finding is what one attachment said, or why it said nothing.
type finding struct {
	name  string
	table *table
	err   error
}

// Process answers with what the mail's tables say.
func (d *Digest) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	var findings []finding
	for _, a := range m.Attachments {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("digest %s: %w", a.Name, context.Cause(ctx))
		}
		if !isTable(a) {
			continue
		}
		t, err := d.read(a)
		findings = append(findings, finding{name: a.Name, table: t, err: err})
	}
	reply := m.Answer()
	reply.Text = plain(findings)
	reply.HTML = rich(findings)
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

func (d *Digest) read(a email.Attachment) (*table, error) {
	content := a.Open()
	defer content.Close()
	raw, err := io.ReadAll(content)
	if err != nil {
		return nil, fmt.Errorf("read the attachment: %w", err)
	}
	return readTable(text(raw), d.config)
}
