package xlsx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// mostColumns is how many columns a sheet has at most: A to XFD.
const mostColumns = 16384

// longestCell is how much of a text is handed over, in octets; Excel's cells hold
// 32,767 characters.
const longestCell = 64 << 10

// mostHanded is how many octets of text one sheet may hand over.
const mostHanded = 256 << 20

// Seen is what the cells of a sheet were like.
type Seen struct {
	Formulas int // cells whose value was computed by whoever saved it
	Unsaved  int // of these, without a value
	Errors   int // cells such as #DIV/0!, which hold no value
	Beyond   int // cells beyond the last column that a sheet can have
}

// Rows calls row with each row of a sheet that has cells: its first cells, at most
// most of them, and how many it has, until row returns false. The cells are row's
// only until it returns. A damaged sheet, or one that is too large, is an error
// after the rows before the damage. A second reading, for which not enough may be
// unpacked any more, is not begun.
func (b *Book) Rows(ctx context.Context, sheet, most int, row func(cells [][]byte, width int) bool) (Seen, error) {
	left := b.left
	if b.Sheets[sheet].size > left {
		return Seen{}, ErrTooLarge
	}
	r := &rows{book: b, most: most, take: row}
	err := b.part(b.Sheets[sheet].part, func(in io.Reader) error { return r.read(ctx, in) })
	b.Sheets[sheet].size = left - b.left
	return r.seen, err
}

// rows reads the rows of a sheet.
type rows struct {
	book *Book
	most int
	take func(cells [][]byte, width int) bool
	seen Seen

	count   int
	letters []byte   // the texts of the row, one after the other
	spans   [][2]int // where each cell begins and ends in them
	cells   [][]byte
	width   int

	column  int // of the cell that is read, from 0
	kind    []byte
	style   int
	value   []byte
	valued  bool
	formula bool
	handed  int64
}

func (r *rows) read(ctx context.Context, in io.Reader) error {
	s := newScanner(in)
	within, aside := false, 0 // within a value; within what is said beside it
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.kind == text {
			if within && aside == 0 && len(r.value) < longestCell {
				r.value = append(r.value, s.text...)
			}
			continue
		}
		switch string(s.name) {
		case "row":
			if s.kind == begins {
				r.beginRow()
			} else if more, err := r.endRow(ctx); !more || err != nil {
				return err
			}
		case "c":
			if s.kind == begins {
				r.beginCell(s)
			} else {
				r.endCell()
			}
		case "v", "t":
			within = s.kind == begins
			r.valued = r.valued || within
		case "f":
			r.formula = true
		case "rPh":
			aside += step(s.kind)
		case "sheetData":
			if s.kind == ends {
				return nil // what comes after it is about looks
			}
		}
	}
}

func (r *rows) beginRow() {
	r.letters, r.spans, r.width, r.column = r.letters[:0], r.spans[:0], 0, -1
}

func (r *rows) endRow(ctx context.Context) (bool, error) {
	r.count++
	if r.count%1024 == 0 && ctx.Err() != nil {
		return false, fmt.Errorf("read row %d: %w", r.count, context.Cause(ctx))
	}
	if r.width == 0 {
		return true, nil
	}
	r.cells = r.cells[:0]
	for _, span := range r.spans {
		r.cells = append(r.cells, r.letters[span[0]:span[1]:span[1]])
	}
	// Cells may share a long text, so that a small sheet hands over much.
	if r.handed += int64(len(r.letters)); r.handed > mostHanded {
		return false, ErrTooLarge
	}
	return r.take(r.cells, r.width), nil
}

func (r *rows) beginCell(s *scanner) {
	r.column++
	r.kind, r.style = r.kind[:0], 0
	for key, value, rest := attribute(s.attrs); key != nil; key, value, rest = attribute(rest) {
		switch string(key) {
		case "r":
			if at, ok := columnOf(value); ok {
				r.column = at
			}
		case "t":
			r.kind = append(r.kind[:0], value...)
		case "s":
			if n, err := strconv.Atoi(string(value)); err == nil {
				r.style = n
			}
		}
	}
	r.value, r.valued, r.formula = r.value[:0], false, false
}

// columnOf is the column of a reference such as AB12, from 0.
func columnOf(reference []byte) (int, bool) {
	n := 0
	for i, c := range reference {
		if c < 'A' || c > 'Z' {
			return n - 1, i > 0
		}
		if n = n*26 + int(c-'A') + 1; n > mostColumns {
			return mostColumns, true
		}
	}
	return 0, false
}

func (r *rows) endCell() {
	if r.formula {
		r.seen.Formulas++
		// An empty text that was computed is a value; an empty number is none.
		if r.valued = r.valued && (len(r.value) > 0 || string(r.kind) == "str"); !r.valued {
			r.seen.Unsaved++
		}
	}
	if !r.valued {
		return
	}
	if r.column >= mostColumns {
		r.seen.Beyond++
		return
	}
	r.width = max(r.width, r.column+1)
	if r.column >= r.most {
		return
	}
	for len(r.spans) <= r.column {
		r.spans = append(r.spans, [2]int{})
	}
	begin := len(r.letters)
	r.letters = r.appendValue(r.letters)
	r.spans[r.column] = [2]int{begin, len(r.letters)}
}

// appendValue writes what a cell says, by its type (ECMA-376, part 1, 18.18.11).
func (r *rows) appendValue(to []byte) []byte {
	switch string(r.kind) {
	case "s":
		shared := r.book.shared.at(r.value)
		return append(to, shared[:min(len(shared), longestCell)]...)
	case "str", "inlineStr", "d":
		return appendText(to, r.value)
	case "b":
		if string(r.value) == "1" {
			return append(to, "true"...)
		}
		return append(to, "false"...)
	case "e":
		r.seen.Errors++
		return to
	}
	var st style
	if r.style >= 0 && r.style < len(r.book.styles) {
		st = r.book.styles[r.style]
	}
	return appendNumber(to, r.value, st, r.book.from1904)
}
