// Package digest is the processor that needs no application: it answers a mail
// with what its files say. For each sheet of a CSV, TSV or XLSX file it tells the
// shape, and for each column its type, what is missing, how many values are
// distinct and which are the most frequent, and of numbers and dates the usual
// figures. The reply is an HTML mail with a chart, the same as plain text, and all
// of it as JSON in an attachment.
//
// What cannot be read is named in the reply beside what could. A table is read as
// it comes out of the mail and never held as a whole: what is kept of it has a
// bound, and so has what is said of it.
//
// The way of a file:
//
//	file.go     what is it, by its name, its declared and its detected type?
//	delimited/  charset, delimiter, rows of text
//	xlsx/       sheets and rows of a workbook
//	table/      what the rows of one table say
//	report/     the nouns of what is said, which are the JSON too
//	chart/      the picture of the column that deserves one
//	page/       the reply as HTML and as text
package digest

import (
	"context"
	"errors"
	"fmt"

	"inreply/email"
	"inreply/processing/digest/chart"
	"inreply/processing/digest/page"
	"inreply/processing/digest/report"
)

// Config are the digest's settings.
type Config struct {
	MaxRows     int `yaml:"max_rows"`     // of one table that are read; what is beyond is said
	MaxColumns  int `yaml:"max_columns"`  // of one table that are told of
	MaxSheets   int `yaml:"max_sheets"`   // of one mail that are told of, over all its files
	MaxUnpacked int `yaml:"max_unpacked"` // MiB that are unpacked of an XLSX or gzip file
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{MaxRows: 20_000_000, MaxColumns: 200, MaxSheets: 10, MaxUnpacked: 256}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	for _, x := range []struct {
		key  string
		n    int
		most int
	}{
		{"max_rows", c.MaxRows, 1_000_000_000},
		{"max_columns", c.MaxColumns, 1000},
		{"max_sheets", c.MaxSheets, 100},
		{"max_unpacked", c.MaxUnpacked, 4096},
	} {
		if x.n < 1 || x.n > x.most {
			faults = append(faults, fmt.Errorf("%s: %d is not between 1 and %d", x.key, x.n, x.most))
		}
	}
	return errors.Join(faults...)
}

// Digest is the processor. It is safe for concurrent use.
type Digest struct {
	config Config
	layout *page.Layout
}

// New returns a Digest.
func New(config Config) *Digest { return &Digest{config, page.NewLayout()} }

// mostFiles is how many files of one mail are named.
const mostFiles = 20

// Process answers with what the mail's files say. Its error is that of ctx.
func (d *Digest) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	r := &reading{config: d.config, report: report.Report{Version: report.Version, Files: []report.File{}}}
	for _, a := range m.Attachments {
		if isAside(a) {
			continue
		}
		if len(r.report.Files) == mostFiles || r.sheets == d.config.MaxSheets {
			r.report.Unread++
			continue
		}
		r.file(ctx, a)
		if ctx.Err() != nil {
			return nil, fmt.Errorf("digest %s: %w", a.Name, context.Cause(ctx))
		}
	}
	return r.reply(m, d.layout)
}

// reply writes it all down.
func (r *reading) reply(m *email.Message, layout *page.Layout) (*email.Reply, error) {
	reply := m.Answer()
	p := page.Page{Report: r.report, Charts: map[page.At]page.Chart{}}
	for at, plan := range r.charts {
		picture, err := plan.Draw()
		if err != nil {
			continue // a reply without a picture is a reply
		}
		id := fmt.Sprintf("chart-%d-%d@digest", at.File+1, at.Sheet+1)
		name := fmt.Sprintf("chart-%d-%d.png", at.File+1, at.Sheet+1)
		p.Charts[at] = page.Chart{ContentID: id, Name: name, Alt: plan.Alt(), Title: plan.Title, Picture: picture}
	}
	var err error
	if reply.HTML, err = layout.HTML(p); err != nil {
		return nil, err
	}
	reply.Text = p.Text()
	for _, c := range p.InOrder() {
		reply.Attachments = append(reply.Attachments, email.Part{Name: c.Name, ContentType: "image/png", ContentID: c.ContentID, Content: c.Picture})
	}
	if len(r.report.Files) > 0 {
		text, err := r.report.JSON()
		if err != nil {
			return nil, err
		}
		reply.Attachments = append(reply.Attachments, email.Part{Name: "digest.json", ContentType: "application/json", Content: text})
	}
	return reply, nil
}

// reading is the digest of one mail under way.
type reading struct {
	config Config
	report report.Report
	sheets int
	charts map[page.At]*chart.Plan
}
