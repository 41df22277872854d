package delimited

import (
	"bytes"
	"slices"
)

// sniffedRows is how many rows the delimiter is found out from.
const sniffedRows = 50

// findDelimiter looks at the beginning of the text: what ends its lines, and which
// delimiter cuts the most rows into the same number of cells. Excel writes it down
// in a first line: sep=;.
func (f *File) findDelimiter(top []byte) {
	f.newline = '\n'
	if bytes.IndexByte(top, '\n') < 0 && bytes.IndexByte(top, '\r') >= 0 {
		f.newline = '\r'
	}
	line, _, _ := bytes.Cut(top, []byte{f.newline})
	if named := bytes.TrimRight(line, "\r"); len(named) == 5 && bytes.EqualFold(named[:4], []byte("sep=")) {
		f.Delimiter = named[4]
		f.skip = min(len(line)+1, len(top))
		return
	}
	// Of equals the first: in a text with semicolons between its cells, commas may
	// be decimal ones, and come as often.
	f.Delimiter = ','
	best := 0
	for _, d := range []byte{'\t', ';', '|', ','} {
		if n := f.evenness(top, d); n > best {
			f.Delimiter, best = d, n
		}
	}
}

// evenness is how well a delimiter cuts the first rows: how many in a thousand have
// the usual number of cells, and a little more for more cells. 0: it cuts nothing.
func (f *File) evenness(top []byte, delimiter byte) int {
	r := newReader(bytes.NewReader(top), delimiter, f.newline, 1)
	var widths []int
	for len(widths) < sniffedRows && r.next() {
		widths = append(widths, r.width)
	}
	if r.done && len(top) == sniffed && len(widths) > 1 {
		widths = widths[:len(widths)-1] // it is cut off
	}
	if len(widths) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(widths))
	usual := sorted[len(sorted)/2]
	if usual < 2 {
		return 0
	}
	even := 0
	for _, w := range widths {
		if w == usual {
			even++
		}
	}
	return 1000*even/len(widths) + min(usual, 20)
}

// Tabular reports whether a text without a name that says so is a table: whether a
// delimiter cuts it evenly.
func (f *File) Tabular() bool {
	text, err := f.text()
	if err != nil {
		return false
	}
	defer text.Close()
	top, err := beginning(text, sniffed)
	return err == nil && bytes.Count(top, []byte{f.newline}) > 1 && f.evenness(top[f.skip:], f.Delimiter) >= 900
}
