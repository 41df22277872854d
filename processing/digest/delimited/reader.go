package delimited

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// longestCell is how much of a cell is read, in octets; a spreadsheet takes half
// of it.
const longestCell = 64 << 10

// Faults are what was wrong with the rows.
type Faults struct {
	Unclosed int // row, from 1, with a quotation mark that is never closed; 0: none
	Cut      int // cells that were longer than what is read of one
}

// reader takes text apart as RFC 4180 has it, and as encoding/csv does with
// LazyQuotes: a quotation mark means something only at the beginning of a cell, and
// one within a quoted cell that ends nothing is a mark like any other. It holds one
// row, and of that the first cells only, so nothing it reads makes it grow.
type reader struct {
	in        io.Reader
	buffer    []byte
	at, end   int
	done      bool // there is no more to come
	err       error
	delimiter byte
	newline   byte
	most      int

	rows   int
	row    []byte   // the cells that are kept, one after the other
	ends   []int    // where each ends
	cells  [][]byte // the same
	width  int      // cells, also those that are not kept
	quoted bool     // the last cell was
	cut    bool     // likewise: it was too long
	faults Faults
}

func newReader(in io.Reader, delimiter, newline byte, most int) *reader {
	return &reader{in: in, buffer: make([]byte, 64<<10), delimiter: delimiter, newline: newline, most: most}
}

// next reads the next row that is not empty.
func (r *reader) next() bool {
	for r.fill() {
		r.row, r.ends, r.width = r.row[:0], r.ends[:0], 0
		for r.cell() {
		}
		if r.width == 1 && !r.quoted && len(r.row) == 0 {
			continue
		}
		r.rows++
		r.cells = r.cells[:0]
		begin := 0
		for _, end := range r.ends {
			r.cells = append(r.cells, r.row[begin:end:end])
			begin = end
		}
		return true
	}
	return false
}

// fill makes sure that there is an octet to look at; false at the end.
func (r *reader) fill() bool {
	for r.at == r.end {
		if r.done {
			return false
		}
		n, err := r.in.Read(r.buffer)
		r.at, r.end = 0, n
		if err != nil {
			r.done = true
			if !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("behind row %d: %w", r.rows, err)
			}
		}
	}
	return true
}

// cell reads one cell, and reports whether another one follows in the row.
func (r *reader) cell() bool {
	r.cut, r.quoted = false, false
	if r.fill() && r.buffer[r.at] == '"' {
		r.at++
		return r.inQuotes()
	}
	begin := len(r.row)
	for r.fill() {
		chunk := r.buffer[r.at:r.end]
		n := mark(chunk, r.delimiter, r.newline)
		r.keep(begin, chunk[:min(n, len(chunk))])
		if n == len(chunk) {
			r.at = r.end
			continue
		}
		r.at += n + 1
		if chunk[n] == r.delimiter {
			r.close(begin)
			return true
		}
		break
	}
	if n := len(r.row); n > begin && r.row[n-1] == '\r' && !r.cut {
		r.row = r.row[:n-1]
	}
	r.close(begin)
	return false
}

// mark is the index of what ends a cell; the length of the text if nothing does.
func mark(text []byte, delimiter, newline byte) int {
	for i, c := range text {
		if c == delimiter || c == newline {
			return i
		}
	}
	return len(text)
}

// inQuotes reads the rest of a cell that began with a quotation mark.
func (r *reader) inQuotes() bool {
	r.quoted = true
	begin, opened := len(r.row), r.rows+1
	for r.fill() {
		chunk := r.buffer[r.at:r.end]
		n := bytes.IndexByte(chunk, '"')
		if n < 0 {
			r.keep(begin, chunk)
			r.at = r.end
			continue
		}
		r.keep(begin, chunk[:n])
		r.at += n + 1
		switch r.behindQuote() {
		case endOfCell:
			r.close(begin)
			return true
		case endOfRow:
			r.close(begin)
			return false
		case doubled:
			r.keep(begin, []byte{'"'})
		case carriageReturn:
			r.keep(begin, []byte{'"', '\r'})
		}
	}
	r.faults.Unclosed = opened
	r.close(begin)
	return false
}

type follows uint8

// What follows a quotation mark within a quoted cell.
const (
	doubled        follows = iota // another one, or what gives the mark no meaning: it is one like any other
	endOfCell                     // a delimiter
	endOfRow                      // the end of the line or of the text
	carriageReturn                // one that ends no line
)

func (r *reader) behindQuote() follows {
	if !r.fill() {
		return endOfRow
	}
	switch c := r.buffer[r.at]; c {
	case '"':
		r.at++
	case r.delimiter:
		r.at++
		return endOfCell
	case r.newline:
		r.at++
		return endOfRow
	case '\r':
		r.at++
		if !r.fill() {
			return endOfRow
		}
		if r.buffer[r.at] == r.newline {
			r.at++
			return endOfRow
		}
		return carriageReturn
	}
	return doubled
}

// keep takes text into the cell, as far as it is kept.
func (r *reader) keep(begin int, text []byte) {
	if r.width >= r.most {
		r.cut = len(text) > 0
		return
	}
	room := longestCell - (len(r.row) - begin)
	if len(text) > room {
		text = text[:room]
		if !r.cut {
			r.faults.Cut++
		}
		r.cut = true
	}
	r.row = append(r.row, text...)
}

func (r *reader) close(begin int) {
	if r.width < r.most {
		r.ends = append(r.ends, len(r.row))
	} else {
		r.row = r.row[:begin]
	}
	r.width++
}
