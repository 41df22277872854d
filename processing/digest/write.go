package digest

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// nothing is the answer to a mail without a table.
const nothing = "I found no table in your mail. Attach a .csv or .tsv file and I will tell you what is in it."

// plain is the digest as text.
func plain(findings []finding, more int) string {
	if len(findings) == 0 {
		return nothing + "\n"
	}
	var b strings.Builder
	for i, f := range findings {
		name := shorten(f.name)
		if i > 0 {
			b.WriteString("\n")
		}
		if f.err != nil {
			fmt.Fprintf(&b, "%s could not be read: %v\n", name, f.err)
			continue
		}
		fmt.Fprintf(&b, "%s: %s\n", name, f.table.shape())
		for _, c := range f.table.columns {
			fmt.Fprintf(&b, "\n  %s (%s)\n", c.name, c.kind())
			for _, line := range c.lines() {
				fmt.Fprintf(&b, "    %-9s %s\n", line.name, line.value)
			}
		}
	}
	if more > 0 {
		b.WriteString("\n" + others(more) + "\n")
	}
	return b.String()
}

// others is what is said of tables that are not told of.
func others(more int) string {
	return fmt.Sprintf("%s more I did not read: a mail may have %d.", count(more, "table"), mostTables)
}

// rich is the digest as HTML, with its styles in place, as mail programs want it.
func rich(findings []finding, more int) string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>` +
		`<body style="font-family:Arial,Helvetica,sans-serif;font-size:15px;color:#222;margin:16px">`)
	if len(findings) == 0 {
		b.WriteString("<p>" + nothing + "</p>")
	}
	for _, f := range findings {
		name := html.EscapeString(shorten(f.name))
		if f.err != nil {
			fmt.Fprintf(&b, `<p><b>%s</b> could not be read: %s</p>`, name, html.EscapeString(f.err.Error()))
			continue
		}
		fmt.Fprintf(&b, `<h2 style="font-size:18px;margin:24px 0 4px">%s</h2><p style="margin:0 0 12px;color:#555">%s</p>`, name, html.EscapeString(f.table.shape()))
		for _, c := range f.table.columns {
			c.rich(&b)
		}
	}
	if more > 0 {
		b.WriteString("<p>" + others(more) + "</p>")
	}
	b.WriteString("</body></html>\n")
	return b.String()
}

func (c *column) rich(b *strings.Builder) {
	fmt.Fprintf(b, `<table role="presentation" cellpadding="0" cellspacing="0" style="border-top:1px solid #ddd;width:100%%;max-width:560px;margin-bottom:8px">`+
		`<tr><td colspan="2" style="padding:8px 0 4px"><b>%s</b> <span style="color:#777">%s</span></td></tr>`, html.EscapeString(c.name), c.kind())
	for _, line := range c.lines() {
		fmt.Fprintf(b, `<tr><td style="padding:2px 12px 2px 0;color:#555;width:90px;vertical-align:top">%s</td><td style="padding:2px 0">%s</td></tr>`,
			line.name, html.EscapeString(line.value))
	}
	b.WriteString("</table>")
}

// shape is the size of a table in words.
func (t *table) shape() string {
	s := fmt.Sprintf("%s, %s", count(t.rows, "row"), count(len(t.columns)+t.dropped, "column"))
	if t.more {
		s += fmt.Sprintf(" (only the first %d rows were read)", t.rows)
	}
	if t.dropped > 0 {
		s += fmt.Sprintf(" (only the first %d columns are shown)", len(t.columns))
	}
	if t.ragged > 0 {
		s += fmt.Sprintf("; %s had another number of cells than the heading", count(t.ragged, "row"))
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return figure(float64(n)) + " " + what + "s"
}

// line is one thing that is told of a column.
type line struct{ name, value string }

func (c *column) lines() []line {
	var lines []line
	say := func(name, value string) { lines = append(lines, line{name, value}) }
	switch c.kind() {
	case "number":
		say("total", figure(c.total))
		say("mean", figure(c.total/float64(c.count)))
		say("range", figure(c.min)+" to "+figure(c.max))
		q, about := c.quartiles()
		quartiles := figure(q[0]) + ", " + figure(q[1]) + ", " + figure(q[2])
		if about {
			quartiles = "about " + quartiles
		}
		say("quartiles", quartiles)
	case "date":
		say("span", c.first.Format("2006-01-02")+" to "+c.last.Format("2006-01-02"))
	}
	switch {
	case c.over:
		say("distinct", "more than "+figure(float64(c.hashes)))
	case len(c.distinct) > 0:
		say("distinct", figure(float64(len(c.distinct))))
	}
	if top := c.top(5); c.kind() == "text" && len(top) > 0 {
		say("most", strings.Join(top, ", "))
	}
	if c.missing > 0 {
		say("missing", figure(float64(c.missing)))
	}
	return lines
}

// figure writes a number with marks for thousands and at most two decimals. One
// that would lose its meaning so is written with an exponent, or with as many
// decimals as it needs.
func figure(n float64) string {
	switch size := math.Abs(n); {
	case size >= 1e15:
		return strconv.FormatFloat(n, 'g', 6, 64)
	case size > 0 && size < 1:
		return strconv.FormatFloat(n, 'g', 3, 64)
	}
	s := strconv.FormatFloat(n, 'f', 2, 64)
	s = strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
	whole, decimals, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if decimals != "" {
		whole += "." + decimals
	}
	return sign + whole
}
