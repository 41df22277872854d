package page

import (
	"fmt"
	"strings"

	"inreply/processing/digest/report"
)

// lineWidth is how long lines of running text are, in octets.
const lineWidth = 76

// longestPlain is how long the text may become, in octets. What is left out is in
// the JSON.
const longestPlain = 200 << 10

// Text is the report as plain text.
func (p Page) Text() string {
	r := p.Report
	if len(r.Files) == 0 {
		return wrapped("", nothing)
	}
	var b strings.Builder
	if len(r.Files) > 1 {
		b.WriteString(wrapped("", title(r)+"."))
		b.WriteString("\n")
	}
	for i, f := range r.Files {
		if i > 0 {
			b.WriteString("\n")
		}
		if f.Problem != "" {
			b.WriteString(wrapped("", f.Name+" could not be read: "+f.Problem))
		}
		for j, s := range f.Sheets {
			if j > 0 {
				b.WriteString("\n")
			}
			p.sheet(&b, f, s)
		}
	}
	if rest := more(r); rest != "" {
		b.WriteString("\n" + wrapped("", rest))
	}
	b.WriteString("\n" + wrapped("", closing))
	return b.String()
}

// closing is what every report ends with.
const closing = "Figures are exact where they do not say \"about\". digest.json has all of this for programs."

func (p Page) sheet(b *strings.Builder, f report.File, s report.Sheet) {
	fmt.Fprintf(b, "%s: %s\n", heading(f, s), shape(s))
	for _, note := range notes(f, s) {
		b.WriteString(wrapped("  ", note))
	}
	for i, c := range s.Columns {
		if b.Len() > longestPlain {
			fmt.Fprintf(b, "\n  %s more: see digest.json.\n", report.Count(len(s.Columns)-i, "column"))
			return
		}
		fmt.Fprintf(b, "\n  %s (%s)\n", c.Name, kind(c))
		for _, line := range lines(c) {
			b.WriteString(hanging(fmt.Sprintf("    %-9s ", line.Name), line.Value))
		}
		for _, note := range columnNotes(c) {
			b.WriteString(wrapped("    ", note))
		}
	}
}

// lines are what is told of a column, each in a line.
func lines(c report.Column) []named {
	var all []named
	say := func(name, value string) { all = append(all, named{name, value}) }
	if n := c.Numbers; n != nil {
		if totals(c) {
			say("total", total(c))
		}
		if !n.Key {
			say("mean", write(c, n.Mean))
			say("median", about(c)+write(c, n.Median))
		}
		say("range", write(c, n.Min)+" to "+write(c, n.Max))
		if !n.Key {
			say("quartiles", about(c)+write(c, n.Lower)+" and "+write(c, n.Upper))
		}
	}
	if d := c.Dates; d != nil {
		say("span", d.First+" to "+d.Last+" ("+report.Count(d.Days, "day")+")")
	}
	if c.Values > 0 {
		say("distinct", distinct(c))
	}
	if isTold(c) {
		var most []string
		for _, v := range c.Top {
			most = append(most, v.Value+" ("+times(v)+")")
		}
		say("most", strings.Join(most, ", "))
	}
	if c.Missing > 0 {
		say("missing", report.Figure(float64(c.Missing)))
	}
	return all
}

// wrapped breaks running text into lines.
func wrapped(indent, text string) string { return broken(indent, indent, text) }

// hanging breaks what stands behind a name into lines under each other.
func hanging(first, text string) string {
	return broken(first, strings.Repeat(" ", len(first)), text)
}

func broken(first, indent, text string) string {
	var b strings.Builder
	b.WriteString(first)
	at := len(first)
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > lineWidth:
			b.WriteString("\n" + indent)
			at = len(indent)
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	b.WriteString("\n")
	return b.String()
}
