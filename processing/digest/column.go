package digest

import (
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// What is kept of a table at most, all columns together.
const (
	mostNumbers  = 1 << 20 // numbers that quartiles are made of
	mostDistinct = 1 << 18 // distinct values that are counted
	mostTexts    = 1 << 16 // of these, values that are kept as they are
)

// longestValue is how much of a value is shown, in characters.
const longestValue = 60

// column is what one column says. It grows to a bound and no further, whatever
// the table is like.
type column struct {
	name    string
	missing int
	texts   int
	dates   int
	first   time.Time
	last    time.Time

	count   int // numbers
	total   float64
	min     float64
	max     float64
	sample  []float64 // all numbers, or an even choice of them
	every   int       // of so many numbers one is in the sample
	samples int       // that the sample may hold

	seed     maphash.Seed
	distinct map[uint64]struct{} // hashes of values
	hashes   int                 // that distinct may hold
	over     bool                // there were more
	times    map[string]int      // how often short values came; nil once there are too many
	kept     int                 // that times may hold
}

func newColumn(name string, columns int) *column {
	return &column{
		name: name, every: 1, samples: max(1000, mostNumbers/columns), hashes: max(1000, mostDistinct/columns), kept: max(100, mostTexts/columns),
		seed: maphash.MakeSeed(), distinct: map[uint64]struct{}{}, times: map[string]int{},
	}
}

// add takes one cell.
func (c *column) add(cell string) {
	if isMissing(cell) {
		c.missing++
		return
	}
	c.see(cell)
	if n, ok := number(cell); ok {
		c.addNumber(n)
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

func isMissing(cell string) bool {
	if len(cell) > 4 {
		return false
	}
	switch strings.ToLower(cell) {
	case "", "-", "n/a", "na", "null", "none", "nan":
		return true
	}
	return false
}

// see counts a value among the distinct ones.
func (c *column) see(cell string) {
	if !c.over {
		c.distinct[maphash.String(c.seed, cell)] = struct{}{}
		if len(c.distinct) > c.hashes {
			c.over, c.distinct = true, nil
		}
	}
	if c.times == nil {
		return
	}
	if len(cell) <= 4*longestValue {
		if _, seen := c.times[cell]; !seen {
			cell = strings.Clone(cell) // It is a piece of its whole row.
		}
		c.times[cell]++
	}
	if len(c.times) > c.kept {
		c.times = nil
	}
}

// addNumber takes a number in. When there are too many to keep, every second one
// of those that are kept is given up, and of those to come.
func (c *column) addNumber(n float64) {
	if c.count == 0 {
		c.min, c.max = n, n
	}
	c.min, c.max = min(c.min, n), max(c.max, n)
	c.total += n
	if c.count%c.every == 0 {
		if len(c.sample) == c.samples {
			for i := range len(c.sample) / 2 {
				c.sample[i] = c.sample[2*i]
			}
			c.sample = c.sample[:len(c.sample)/2]
			c.every *= 2
		}
		if c.count%c.every == 0 {
			c.sample = append(c.sample, n)
		}
	}
	c.count++
}

// kind is the type of a column: what all of its cells are that are not missing.
func (c *column) kind() string {
	switch {
	case c.texts+c.dates+c.count == 0:
		return "empty"
	case c.texts == 0 && c.dates == 0:
		return "number"
	case c.texts == 0 && c.count == 0:
		return "date"
	}
	return "text"
}

// quartiles are those of the numbers; about says that not all were kept.
func (c *column) quartiles() (q [3]float64, about bool) {
	sorted := slices.Sorted(slices.Values(c.sample))
	for i := range q {
		q[i] = quantile(sorted, float64(i+1)/4)
	}
	return q, c.every > 1
}

// quantile interpolates between the two nearest of sorted numbers.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	below, above := int(math.Floor(at)), int(math.Ceil(at))
	return sorted[below] + (sorted[above]-sorted[below])*(at-float64(below))
}

// top are the most frequent values, at most n, each more than once.
func (c *column) top(n int) []string {
	var frequent []string
	for text, times := range c.times {
		if times > 1 {
			frequent = append(frequent, text)
		}
	}
	slices.SortFunc(frequent, func(a, b string) int {
		if c.times[a] != c.times[b] {
			return c.times[b] - c.times[a]
		}
		return strings.Compare(a, b)
	})
	var top []string
	for _, text := range frequent[:min(n, len(frequent))] {
		top = append(top, fmt.Sprintf("%s (%d)", shorten(text), c.times[text]))
	}
	return top
}

// shorten is a value as it may be shown: one line, no control characters, not too
// long.
func shorten(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r == utf8.RuneError:
			return '\uFFFD'
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) <= longestValue {
		return s
	}
	return string([]rune(s)[:longestValue-1]) + "…"
}
