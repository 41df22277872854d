// Package page writes a report as a reply: HTML that mail programs show, and the
// same as plain text. view.go says in words what the report has in figures, html.go
// and page.html lay it out, text.go writes it in lines.
//
// What mail programs do with HTML decides how it is written. Outlook lays out with
// Word, so there are tables, and widths as attributes; Gmail reads styles where they
// apply, cuts a mail off behind 102 kB, and loads nothing; programs in dark mode turn
// colors around, each in its own way, so that every text has both its color and the
// one it stands on. There is nothing from outside, no script and no form, and
// whatever the sender wrote is escaped.
package page

import (
	_ "embed"
	"html/template"
	"slices"

	"inreply/processing/digest/report"
)

// At is a sheet of the report.
type At struct{ File, Sheet int }

// Chart is the picture of a sheet.
type Chart struct {
	ContentID string // without angle brackets
	Name      string
	Title     string
	Alt       string // what it shows, in words
	Picture   []byte // PNG
}

// Page is a reply that is yet to be written.
type Page struct {
	Report report.Report
	Charts map[At]Chart
}

// Layout is how pages look. It is safe for concurrent use.
type Layout struct{ template *template.Template }

//go:embed page.html
var source string

// NewLayout reads the layout that is built in.
func NewLayout() *Layout { return &Layout{template.Must(template.New("page").Parse(source))} }

// InOrder are the charts in the order of their sheets.
func (p Page) InOrder() []Chart {
	var order []At
	for at := range p.Charts {
		order = append(order, at)
	}
	slices.SortFunc(order, func(a, b At) int {
		if a.File != b.File {
			return a.File - b.File
		}
		return a.Sheet - b.Sheet
	})
	charts := make([]Chart, 0, len(order))
	for _, at := range order {
		charts = append(charts, p.Charts[at])
	}
	return charts
}
