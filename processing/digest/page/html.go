package page

import (
	"fmt"
	"html/template"
	"strings"

	"inreply/processing/digest/chart"
	"inreply/processing/digest/report"
)

// longestHTML is how long the HTML may become, in octets: Gmail cuts off what is
// beyond 102,400.
const longestHTML = 88 << 10

// shownWidth is how wide a chart is shown at most.
const shownWidth = chart.Width / 2

// htmlView is what page.html lays out.
type htmlView struct {
	Title, Preview, Nothing, More, Closing string
	Cards                                  []card
	Outlook                                [2]template.HTML // around everything: Outlook knows no max-width
}

// card is a sheet, or a file that could not be read.
type card struct {
	Heading, Sheet, Shape, Origin string
	Problem                       string
	Chart                         *Chart
	ChartSource                   template.URL // html/template knows no cid
	ChartWidth                    int
	Notes                         []string
	Columns                       []template.HTML
	Rest                          string // columns that there is no room for
}

type columnView struct {
	Name, Kind string
	Missing    string
	Figures    [][]named
	Bars       []bar
	Distinct   string
	Notes      []string
}

// bar is a frequent value.
type bar struct {
	Value, Times string
	Width        int // in a hundred
}

// HTML is the page as HTML.
func (l *Layout) HTML(p Page) (string, error) {
	r := p.Report
	v := htmlView{
		Title: title(r), Preview: preview(r), More: more(r), Closing: closing,
		Outlook: [2]template.HTML{
			`<!--[if mso]><table role="presentation" width="640" align="center" cellpadding="0" cellspacing="0"><tr><td><![endif]-->`,
			`<!--[if mso]></td></tr></table><![endif]-->`,
		},
	}
	if len(r.Files) == 0 {
		v.Nothing, v.Closing = nothing, ""
	}
	room := longestHTML
	for i, f := range r.Files {
		if f.Problem != "" {
			v.Cards = append(v.Cards, card{Heading: f.Name, Problem: f.Problem})
		}
		for j := range f.Sheets {
			c, err := p.card(l.template, At{i, j}, room/p.left(i, j))
			if err != nil {
				return "", err
			}
			for _, column := range c.Columns {
				room -= len(column)
			}
			room -= 2000
			v.Cards = append(v.Cards, c)
		}
	}
	var b strings.Builder
	if err := l.template.Execute(&b, v); err != nil {
		return "", fmt.Errorf("lay the reply out: %w", err)
	}
	return b.String(), nil
}

// left is how many sheets are yet to be written, from this one on.
func (p Page) left(file, sheet int) int {
	n := len(p.Report.Files[file].Sheets) - sheet
	for _, f := range p.Report.Files[file+1:] {
		n += len(f.Sheets)
	}
	return n
}

// card lays out a sheet, with as many columns as there is room for.
func (p Page) card(t *template.Template, at At, room int) (card, error) {
	f := p.Report.Files[at.File]
	s := f.Sheets[at.Sheet]
	c := card{Heading: f.Name, Sheet: s.Name, Shape: shape(s), Origin: origin(f), Notes: notes(f, s)}
	if picture, ok := p.Charts[at]; ok {
		c.Chart, c.ChartWidth = &picture, shownWidth
		c.ChartSource = template.URL("cid:" + picture.ContentID) //nolint:gosec // we have chosen it
	}
	bars := barsFor(len(s.Columns))
	for i, column := range s.Columns {
		var b strings.Builder
		if err := t.ExecuteTemplate(&b, "column", columnViewOf(column, bars)); err != nil {
			return c, fmt.Errorf("lay a column out: %w", err)
		}
		if room -= b.Len(); room < 0 {
			c.Rest = report.Count(len(s.Columns)-i, "more column")
			break
		}
		c.Columns = append(c.Columns, template.HTML(b.String())) //nolint:gosec // the template has escaped it
	}
	return c, nil
}

// barsFor is how many frequent values of a column are shown, where there are so
// many columns.
func barsFor(columns int) int {
	switch {
	case columns <= 8:
		return 10
	case columns <= 16:
		return 5
	}
	return 3
}

func columnViewOf(c report.Column, bars int) columnView {
	v := columnView{Name: c.Name, Kind: kind(c), Notes: columnNotes(c)}
	if c.Missing > 0 {
		v.Missing = report.Figure(float64(c.Missing)) + " missing"
	}
	if c.Values > 0 {
		v.Distinct = distinct(c) + " distinct"
	}
	v.Figures = figures(c)
	if isTold(c) {
		v.Bars = barsOf(c, bars)
	}
	return v
}

// figures are those of a column, three in a row.
func figures(c report.Column) [][]named {
	if d := c.Dates; d != nil {
		return [][]named{{{"first", withoutT(d.First)}, {"last", withoutT(d.Last)}, {"span", report.Count(d.Days, "day")}}}
	}
	n := c.Numbers
	if n == nil {
		return nil
	}
	if n.Key {
		return [][]named{{{"smallest", write(c, n.Min)}, {"largest", write(c, n.Max)}, {"values", report.Figure(float64(c.Values))}}}
	}
	first := []named{{"mean", write(c, n.Mean)}, {"median", about(c) + write(c, n.Median)}}
	if totals(c) {
		first = append([]named{{"total", total(c)}}, first...)
	} else {
		first = append(first, named{"values", report.Figure(float64(c.Values))})
	}
	return [][]named{first, {
		{"smallest", write(c, n.Min)},
		{"largest", write(c, n.Max)},
		{"middle half", about(c) + write(c, n.Lower) + " – " + write(c, n.Upper)},
	}}
}

func withoutT(at string) string { return strings.Replace(at, "T", " ", 1) }

func barsOf(c report.Column, most int) []bar {
	if c.Type != report.Text && c.Type != report.Boolean {
		most = min(most, 5)
	}
	var bars []bar
	for _, v := range c.Top[:min(most, len(c.Top))] {
		bars = append(bars, bar{v.Value, times(v), max(100*v.Times/max(c.Top[0].Times, 1), 1)})
	}
	return bars
}
