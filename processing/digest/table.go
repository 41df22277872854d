package digest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// table is what one table says.
type table struct {
	rows    int  // without the heading
	more    bool // there were more rows than are read
	columns []*column
	dropped int // columns beyond the most that are told of
	ragged  int // rows with another number of cells than the heading
}

// mostDistinct is up to where distinct values are counted exactly.
const mostDistinct = 100_000

// column is what one column says.
type column struct {
	name     string
	missing  int
	texts    int
	distinct map[string]int // nil once there are more than mostDistinct
	numbers  []float64
	first    time.Time
	last     time.Time
	dates    int
}

// text is a file as UTF-8: by its byte order mark, as it is if it is valid, and
// otherwise as what Windows writes in the West.
func text(raw []byte) string {
	switch {
	case bytes.HasPrefix(raw, []byte("\xEF\xBB\xBF")):
		raw = raw[3:]
	case bytes.HasPrefix(raw, []byte("\xFF\xFE")), bytes.HasPrefix(raw, []byte("\xFE\xFF")):
		decoded, err := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Bytes(raw)
		if err == nil {
			raw = decoded
		}
	}
	if utf8.Valid(raw) {
		return string(raw)
	}
	decoded, err := charmap.Windows1252.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "\uFFFD")
	}
	return string(decoded)
}

// delimiter is the one that cuts the first lines into the same number of cells,
// as many as possible; a comma if none does.
func delimiter(s string) rune {
	best, most := ',', 1
	for _, d := range []rune{',', ';', '\t', '|'} {
		r := newReader(s, d)
		cells := 0
		for range 10 {
			record, err := r.Read()
			if err != nil {
				break
			}
			if cells != 0 && len(record) != cells {
				cells = 0
				break
			}
			cells = len(record)
		}
		if cells > most {
			best, most = d, cells
		}
	}
	return best
}

func newReader(s string, delimiter rune) *csv.Reader {
	r := csv.NewReader(strings.NewReader(s))
	r.Comma = delimiter
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = true
	return r
}

// readTable reads delimited text whose first row is its heading.
func readTable(s string, config Config) (*table, error) {
	if strings.TrimSpace(s) == "" {
		return nil, errors.New("the file is empty")
	}
	r := newReader(s, delimiter(s))
	heading, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("its heading cannot be read: %w", err)
	}
	t := &table{dropped: max(0, len(heading)-config.MaxColumns)}
	width := len(heading)
	for i, name := range heading[:min(width, config.MaxColumns)] {
		name = strings.TrimSpace(name)
		if name == "" {
			name = fmt.Sprintf("column %d", i+1)
		}
		t.columns = append(t.columns, &column{name: strings.Clone(name), distinct: map[string]int{}})
	}
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("row %d cannot be read: %w", t.rows+1, err)
		}
		if t.rows == config.MaxRows {
			t.more = true
			return t, nil
		}
		t.rows++
		if len(record) != width {
			t.ragged++
		}
		for i, c := range t.columns {
			if i < len(record) {
				c.add(strings.TrimSpace(record[i]))
			} else {
				c.missing++
			}
		}
	}
}

// add takes one cell.
func (c *column) add(cell string) {
	switch strings.ToLower(cell) {
	case "", "-", "n/a", "na", "null", "none", "nan":
		c.missing++
		return
	}
	if c.distinct != nil {
		c.distinct[strings.Clone(cell)]++
		if len(c.distinct) > mostDistinct {
			c.distinct = nil
		}
	}
	if n, ok := number(cell); ok {
		c.numbers = append(c.numbers, n)
		return
	}
	if d, ok := date(cell); ok {
		if c.dates == 0 || d.Before(c.first) {
			c.first = d
		}
		if c.dates == 0 || d.After(c.last) {
			c.last = d
		}
		c.dates++
		return
	}
	c.texts++
}

// kind is the type of a column: what all of its cells are that are not missing.
func (c *column) kind() string {
	switch {
	case c.texts == 0 && c.dates == 0 && len(c.numbers) > 0:
		return "number"
	case c.texts == 0 && len(c.numbers) == 0 && c.dates > 0:
		return "date"
	case c.texts+c.dates+len(c.numbers) == 0:
		return "empty"
	}
	return "text"
}

// figures are what is told of numbers.
type figures struct{ total, mean, min, quartile, median, upper, max float64 }

func (c *column) figures() figures {
	sorted := slices.Sorted(slices.Values(c.numbers))
	f := figures{
		min: sorted[0], max: sorted[len(sorted)-1],
		quartile: quantile(sorted, 0.25), median: quantile(sorted, 0.5), upper: quantile(sorted, 0.75),
	}
	for _, n := range c.numbers {
		f.total += n
	}
	f.mean = f.total / float64(len(sorted))
	return f
}

// quantile interpolates between the two nearest of sorted numbers.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below, above := int(math.Floor(at)), int(math.Ceil(at))
	return sorted[below] + (sorted[above]-sorted[below])*(at-float64(below))
}

// top are the most frequent values, at most n, each more than once.
func (c *column) top(n int) []string {
	type value struct {
		text  string
		times int
	}
	var all []value
	for text, times := range c.distinct {
		if times > 1 {
			all = append(all, value{text, times})
		}
	}
	slices.SortFunc(all, func(a, b value) int {
		if a.times != b.times {
			return b.times - a.times
		}
		return strings.Compare(a.text, b.text)
	})
	var top []string
	for _, v := range all[:min(n, len(all))] {
		top = append(top, fmt.Sprintf("%s (%d)", v.text, v.times))
	}
	return top
}
