// Package table says what a table says: it takes in rows, and keeps of them no
// more than a bound, however many there are. Where the values are few, each is
// kept once with how often it came, and everything is found out at the end, when
// all are known; see column.go for what becomes of columns with too many.
//
// The tour: heading.go finds the row with the names, column.go takes in cells,
// counts.go counts values, tally.go adds up what they are, quantile.go finds
// quartiles, total.go adds without losing anything. numeral.go and moment.go read
// numbers and dates, and style.go decides between two ways of reading them.
//
// Nothing here depends on the order of a map, on the clock or on chance: the same
// rows give the same report.
package table

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"

	"inreply/processing/digest/report"
)

// Options are how a table is read.
type Options struct {
	MaxRows    int  // that are read
	MaxColumns int  // that are told of
	Spread     bool // of a spreadsheet: numbers are plain, rows may end early, columns have letters
	Comma      bool // where nothing tells, numbers have a decimal comma
	DayFirst   bool // where nothing tells, the day stands before the month
}

// Table takes in the rows of one table.
type Table struct {
	options Options
	style   style
	memory  *memory
	columns []*column
	dropped int        // columns that are not told of
	head    [][][]byte // the first rows, until the heading is found
	widths  []int      // of these
	headed  bool       // it is

	skip    int  // rows that came before the first one with values
	above   int  // rows above the heading
	unnamed bool // there is no heading
	rows    int
	more    bool   // there were more rows than are read
	blank   int    // empty rows among them, not counted
	blanks  int    // empty rows since the last one that was not
	long    int    // rows with more cells than columns
	short   int    // rows with fewer
	last    []byte // the first cell of the last row
}

// New returns an empty table.
func New(o Options) *Table {
	return &Table{options: o, style: style{point: o.Spread, comma: o.Comma, dayFirst: o.DayFirst}}
}

// Row takes in a row: its first cells, and how many it has in all. It reports
// whether it wants more rows. The cells are the caller's again afterwards.
func (t *Table) Row(cells [][]byte, width int) bool {
	if t.more {
		return false
	}
	if !t.headed {
		t.head = append(t.head, clone(cells))
		t.widths = append(t.widths, width)
		if len(t.head) == headRows {
			t.begin()
		}
		return true
	}
	return t.row(cells, width)
}

func clone(cells [][]byte) [][]byte {
	row := make([][]byte, len(cells))
	for i, cell := range cells {
		row[i] = bytes.Clone(bytes.TrimSpace(cell))
	}
	return row
}

// begin finds the heading among the first rows, and takes in those below it.
func (t *Table) begin() {
	t.headed = true
	head := t.head
	t.head = nil
	h := findHeading(head)
	if h.first > 0 && len(h.names) > 0 && t.widths[h.first-1] > len(h.names) {
		h.width = t.widths[h.first-1] // not all of it was handed over
	}
	t.skip, t.above, t.unnamed = h.first, h.above, h.unnamed
	shown := min(h.width, t.options.MaxColumns)
	t.dropped = h.width - shown
	t.memory = newMemory(max(shown, 1))
	seed := maphash.MakeSeed()
	for _, name := range t.names(h, shown) {
		t.columns = append(t.columns, newColumn(name, seed, t.memory, t.style))
	}
	for i, row := range head[h.first:] {
		t.row(row, t.widths[h.first+i])
	}
}

// names are those of the heading, each once.
func (t *Table) names(h heading, shown int) []string {
	names := make([]string, shown)
	taken := map[string]int{}
	for i := range names {
		if i < len(h.names) {
			names[i] = report.Shown(string(h.names[i]))
		}
		if names[i] == "" {
			names[i] = fmt.Sprintf("column %d", i+1)
			if t.options.Spread {
				names[i] = "column " + Letters(i)
			}
		}
		taken[names[i]]++
		if n := taken[names[i]]; n > 1 {
			names[i] = fmt.Sprintf("%s (%d)", names[i], n)
		}
	}
	return names
}

// Letters is the name of a column in a spreadsheet: A for 0, AA for 26.
func Letters(column int) string {
	name := ""
	for n := column + 1; n > 0; n = (n - 1) / 26 {
		name = string(rune('A'+(n-1)%26)) + name
	}
	return name
}

func (t *Table) row(cells [][]byte, width int) bool {
	filled := 0
	for i, cell := range cells {
		if cell = bytes.TrimSpace(cell); len(cell) > 0 {
			filled = i + 1
		}
		cells[i] = cell
	}
	if filled == 0 && len(t.columns) > 1 && width <= max(len(cells), len(t.columns)+t.dropped) {
		t.blanks++
		return true
	}
	if t.rows == t.options.MaxRows {
		t.more = true
		return false
	}
	t.rows++
	t.blank += t.blanks
	t.blanks = 0
	t.shape(filled, width, len(cells))
	for i, c := range t.columns {
		if i < len(cells) {
			c.add(cells[i])
		} else {
			c.missing++
		}
	}
	t.last = t.last[:0]
	if filled > 0 && len(cells[0]) < 40 {
		t.last = append(t.last, cells[0]...)
	}
	return true
}

// shape counts rows of another width than the heading. Empty cells at the end of a
// row are no matter.
func (t *Table) shape(filled, width, given int) {
	columns := len(t.columns) + t.dropped
	switch {
	case filled > columns, width > columns && given < width:
		t.long++
	case width < columns && !t.options.Spread:
		t.short++
	}
}

// Report says what the rows said.
func (t *Table) Report() report.Sheet {
	if !t.headed {
		t.begin()
	}
	s := report.Sheet{Rows: t.rows, Width: len(t.columns) + t.dropped, Columns: []report.Column{}}
	style := t.hint()
	for _, c := range t.columns {
		s.Columns = append(s.Columns, c.report(style))
		c.counts, c.frequent, c.tally = nil, nil, nil // what is kept no longer is free for the next table
	}
	s.Notes = t.notes()
	return s
}

// hint is how values are read that could mean two things, as far as the other
// columns tell.
func (t *Table) hint() style {
	var all survey
	for _, c := range t.columns {
		all = all.plus(c.survey())
	}
	return all.hint(t.style)
}

func (t *Table) notes() []string {
	var notes []string
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if t.more {
		note("Only the first %s read.", report.Plural(t.rows, "row was", "rows were"))
	}
	if t.dropped > 0 {
		note("Only the first %s told of.", report.Plural(len(t.columns), "column is", "columns are"))
	}
	if t.above > 0 {
		note("%s passed over.", report.Plural(t.above, "row above the heading was", "rows above the heading were"))
	}
	if t.unnamed {
		note("The first row holds values and no names, so the columns are numbered.")
	}
	if t.blank > 0 {
		note("%s passed over.", report.Plural(t.blank, "empty row among the others was", "empty rows among the others were"))
	}
	if t.long > 0 {
		note("%s more cells than there are columns; what is beyond was left out.", report.Plural(t.long, "row has", "rows have"))
	}
	if t.short > 0 {
		note("%s fewer cells than there are columns; the rest counts as missing.", report.Plural(t.short, "row has", "rows have"))
	}
	if isTotal(string(t.last)) && t.rows > 1 {
		note("The last row looks like a total (%q). It is counted as any other row.", report.Shown(string(t.last)))
	}
	return notes
}

// isTotal knows the words that the row of a total begins with.
func isTotal(cell string) bool {
	word, _, _ := strings.Cut(strings.ToLower(strings.TrimRight(cell, ":")), " ")
	switch word {
	case "total", "totals", "sum", "subtotal", "summe", "gesamt", "gesamtsumme", "somme", "totale", "suma", "soma", "totaal", "grand":
		return true
	}
	return false
}
