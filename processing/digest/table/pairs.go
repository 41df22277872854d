package table

import (
	"bytes"
	"time"
)

// Pair is what two columns say in one row. What is not there is zero.
type Pair struct {
	Text   []byte // of the first, only until the callback returns
	At     time.Time
	Amount float64 // of the second
}

// Pairs returns a function that takes in the rows of a table once more, as Row did
// before it was reported, and hands on what two columns say. A column below 0 is
// none.
func (t *Table) Pairs(by, of int, take func(Pair)) func(cells [][]byte, width int) bool {
	seen := 0
	return func(cells [][]byte, _ int) bool {
		if seen++; seen <= t.skip {
			return true
		}
		var p Pair
		if by >= 0 {
			if by >= len(cells) {
				return true
			}
			p.Text = bytes.TrimSpace(cells[by])
			p.At = t.columns[by].style.time(p.Text)
		}
		if of >= 0 {
			if of >= len(cells) {
				return true
			}
			a, _, _, ok := t.columns[of].style.amount(bytes.TrimSpace(cells[of]))
			if !ok {
				return true
			}
			p.Amount = a.float
		}
		take(p)
		return seen-t.skip < t.options.MaxRows
	}
}

// time reads a date in the column's style; zero if it is none.
func (s style) time(value []byte) time.Time {
	m, ok := momentOf(value)
	switch {
	case !ok:
	case s.dayFirst && m.isDayFirst:
		return time.Unix(m.dayFirst, 0).UTC()
	case !s.dayFirst && m.isMonthFirst:
		return time.Unix(m.monthFirst, 0).UTC()
	}
	return time.Time{}
}
