package delimited

import (
	"encoding/csv"
	"io"
	"slices"
	"strings"
	"testing"
)

// The rows are those that encoding/csv finds with LazyQuotes.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a\"\"b\",c\r\n\r\nd", "5\" disk,1\n", "\"a\nb\",\"c\" d\n", "\"open,1\n2", "a\r\n", "\"a\"\r", "\"\"\n", ",\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := csv.NewReader(strings.NewReader(text))
		c.LazyQuotes, c.FieldsPerRecord = true, -1
		r := newReader(strings.NewReader(text), ',', '\n', len(text)+1)
		for row := 1; ; row++ {
			want, err := c.Read()
			if err == io.EOF {
				if r.next() {
					t.Fatalf("row %d is %q, and there is none", row, r.cells)
				}
				return
			}
			if err != nil {
				t.Skip(err)
			}
			if !r.next() {
				t.Fatalf("row %d is missing: %q", row, want)
			}
			if r.faults.Cut > 0 {
				return // encoding/csv has no bound
			}
			if r.faults.Unclosed > 0 {
				return // how such a file ends is nobody's rule
			}
			got := make([]string, len(r.cells))
			for i, cell := range r.cells {
				got[i] = strings.ReplaceAll(string(cell), "\r\n", "\n")
			}
			if !slices.Equal(got, want) {
				t.Fatalf("row %d is %q, want %q", row, got, want)
			}
		}
	})
}
