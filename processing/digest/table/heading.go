package table

import (
	"slices"

	"inreply/processing/digest/report"
)

// headRows is how many rows are looked at to find the heading.
const headRows = 50

// heading is the row with the names of the columns.
type heading struct {
	names   [][]byte
	above   int  // rows above it that are not empty, such as a title
	first   int  // index of the first row below it
	width   int  // columns
	unnamed bool // there is none: the first row holds values
}

// findHeading finds the first row that is filled as the others are: what stands
// above it is a title, or who exported the table and when.
func findHeading(rows [][][]byte) heading {
	usual := usualWidth(rows)
	for i, row := range rows {
		if filled := filled(row); filled == 0 || 5*filled < 3*usual {
			continue
		}
		h := heading{names: row, first: i + 1, width: max(ends(row), 1)}
		for _, above := range rows[:i] {
			if filled(above) > 0 {
				h.above++
			}
		}
		// Values may stand in columns without a name.
		h.width = max(h.width, usual)
		if isRowOfValues(row, rows[i+1:]) {
			h.names, h.first, h.unnamed = nil, i, true
		}
		return h
	}
	if len(rows) == 0 {
		return heading{}
	}
	return heading{names: rows[0], first: 1, width: max(ends(rows[0]), 1)}
}

// usualWidth is the width that the middle one of the rows has.
func usualWidth(rows [][][]byte) int {
	var widths []int
	for _, row := range rows {
		if n := ends(row); n > 0 {
			widths = append(widths, n)
		}
	}
	if len(widths) == 0 {
		return 0
	}
	slices.Sort(widths)
	return widths[len(widths)/2]
}

// ends is the width of a row without the empty cells at its end.
func ends(row [][]byte) int {
	n := len(row)
	for n > 0 && len(row[n-1]) == 0 {
		n--
	}
	return n
}

func filled(row [][]byte) int {
	n := 0
	for _, cell := range row {
		if len(cell) > 0 {
			n++
		}
	}
	return n
}

// isRowOfValues reports whether a row is no heading: it has a number wherever
// there are numbers below it, and a date wherever there are dates. A heading of
// years above numbers is one all the same.
func isRowOfValues(row [][]byte, below [][][]byte) bool {
	if len(below) == 0 {
		return !slices.ContainsFunc(row, func(cell []byte) bool { return len(cell) > 0 && kindOf(cell) == report.Text })
	}
	typed, years := 0, 0
	for i, cell := range row {
		kind := kindBelow(below, i)
		if kind == report.Text || kind == report.Empty {
			continue
		}
		if kindOf(cell) != kind {
			return false
		}
		typed++
		if n, _, ok := numeralOf(cell); ok && n.point.exact && n.point.scale == 0 && n.point.coef >= 1900 && n.point.coef <= 2100 {
			years++
		}
	}
	return typed > 0 && (years < typed || years == 1)
}

// kindBelow is what most cells of a column are.
func kindBelow(rows [][][]byte, column int) string {
	times := map[string]int{}
	all := 0
	for _, row := range rows {
		if column < len(row) && !isMissing(row[column]) {
			times[kindOf(row[column])]++
			all++
		}
	}
	for _, kind := range []string{report.Number, report.Date} {
		if 5*times[kind] > 4*all {
			return kind
		}
	}
	if all == 0 {
		return report.Empty
	}
	return report.Text
}

func kindOf(cell []byte) string {
	if _, _, ok := numeralOf(cell); ok {
		return report.Number
	}
	if _, ok := momentOf(cell); ok {
		return report.Date
	}
	return report.Text
}
