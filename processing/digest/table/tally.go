package table

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"inreply/processing/digest/report"
)

// tally adds up what the values of a column are.
type tally struct {
	style style

	values   int
	codes    int // digits that are no number
	booleans int
	odd      []string // the first few that are neither number, date nor boolean

	numbers  int
	places   int // decimals that the longest has
	total    total
	min, max float64
	units    []unit
	kept     *numbers // nil: pairs
	pairs    []pair

	dates  int // by the style of the column
	clocks int // of these, with a time
	first  int64
	last   int64
	mixed  int // dates that can be read only the other way round
}

type unit struct {
	sign  string
	times int
}

// pair is a number and how often it came.
type pair struct {
	f     float64
	times int
}

// newTally returns a tally of values that come once, with how often they did; or,
// given memory, of any number of them.
func newTally(s style, m *memory) *tally {
	t := &tally{style: s}
	if m != nil {
		t.kept = &numbers{memory: &m.numbers}
	}
	return t
}

func (t *tally) add(value []byte, times int) {
	t.values += times
	if a, u, code, ok := t.style.amount(value); ok {
		t.addNumber(a, u, times)
		return
	} else if code {
		t.codes += times
		return
	}
	if m, ok := momentOf(value); ok {
		t.addDate(m, times)
		return
	}
	if isBoolean(value) {
		t.booleans += times
		return
	}
	if len(t.odd) < 3 {
		t.odd = append(t.odd, report.Shown(string(value)))
	}
}

// amount reads a number in the column's style.
func (s style) amount(value []byte) (a amount, unit string, code, ok bool) {
	n, code, ok := numeralOf(value)
	switch {
	case !ok:
		return a, "", code, false
	case s.comma:
		return n.comma, n.unit, false, n.isComma
	}
	return n.point, n.unit, false, n.isPoint
}

func (t *tally) addNumber(a amount, sign string, times int) {
	if t.numbers == 0 {
		t.min, t.max = a.float, a.float
	}
	t.min, t.max = min(t.min, a.float), max(t.max, a.float)
	t.numbers += times
	if a.exact {
		t.places = max(t.places, int(a.scale))
	}
	t.total.add(a, times)
	t.addUnit(sign, times)
	if t.kept != nil {
		t.kept.add(a.float, times)
		return
	}
	t.pairs = append(t.pairs, pair{a.float, times})
}

// mostUnits is how many units of one column are told apart.
const mostUnits = 8

func (t *tally) addUnit(sign string, times int) {
	for i := range t.units {
		if t.units[i].sign == sign {
			t.units[i].times += times
			return
		}
	}
	if len(t.units) < mostUnits {
		t.units = append(t.units, unit{sign, times})
	}
}

func (t *tally) addDate(m moment, times int) {
	at := m.monthFirst
	ok := m.isMonthFirst
	if t.style.dayFirst {
		at, ok = m.dayFirst, m.isDayFirst
	}
	if !ok {
		t.mixed += times
		return
	}
	if t.dates == 0 {
		t.first, t.last = at, at
	}
	t.first, t.last = min(t.first, at), max(t.last, at)
	t.dates += times
	if m.clock {
		t.clocks += times
	}
}

func isBoolean(value []byte) bool {
	if len(value) < 2 || len(value) > 6 {
		return false
	}
	switch strings.ToLower(string(value)) {
	case "true", "false", "yes", "no", "wahr", "falsch", "ja", "nein", "vrai", "faux", "oui", "non", "sim", "não", "sí", "si":
		return true
	}
	return false
}

// most reports whether n are so many of the column's values that it is of their
// type: nine in ten. What else is in it is told.
func (t *tally) most(n int) bool { return n > 0 && 10*n >= 9*t.values }

func (t *tally) report(r *report.Column) {
	note := func(format string, args ...any) { r.Notes = append(r.Notes, fmt.Sprintf(format, args...)) }
	switch {
	case t.values == 0:
		r.Type = report.Empty
	case t.codes == 0 && t.most(t.numbers):
		r.Type = report.Number
		r.Other = t.values - t.numbers
		t.reportNumbers(r)
		if t.style.numberDoubt {
			note("Whether the comma or the point marks decimals cannot be told from the values: %s", choice(t.style.comma, "read with a decimal comma.", "read with a decimal point."))
		}
	case t.most(t.dates):
		r.Type = report.Date
		r.Other = t.values - t.dates
		r.Dates = t.span()
		if t.style.dateDoubt {
			note("Whether the day or the month comes first cannot be told from the values: %s", choice(t.style.dayFirst, "read with the day first.", "read with the month first."))
		}
		if t.mixed > 0 {
			note("%s with day and month the other way round only, and left out.", report.Plural(t.mixed, "date can be read", "dates can be read"))
		}
	case t.booleans == t.values:
		r.Type = report.Boolean
	default:
		r.Type = report.Text
		if t.codes > 0 && t.most(t.numbers+t.codes) {
			note("Some have leading zeros or more than %d digits, so these are codes and no numbers.", longestInteger)
		}
	}
	if r.Other > t.mixed && len(t.odd) > 0 {
		note("%s no %s: %s", report.Plural(r.Other-t.mixed, "value is", "values are"), r.Type, examples(t.odd, r.Other-t.mixed))
	}
}

func choice(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

func examples(odd []string, all int) string {
	text := strings.Join(odd, ", ")
	if all > len(odd) {
		text += ", ..."
	}
	return text
}

func (t *tally) reportNumbers(r *report.Column) {
	n := &report.Numbers{
		Total: t.total.text(), Rounded: t.total.rounded, Mean: t.total.over(t.numbers), Min: t.min, Max: t.max,
		Places: t.places, Key: t.isKey(r),
	}
	var q [3]float64
	if t.kept != nil {
		q, n.Error = t.kept.quartiles()
	} else {
		q = t.quartiles()
	}
	n.Lower, n.Median, n.Upper = q[0], q[1], q[2]
	r.Numbers = n
	t.reportUnit(r)
}

// reportUnit names the unit that all numbers have. Some without one may be among
// them; of several currencies a total means nothing.
func (t *tally) reportUnit(r *report.Column) {
	var signs []string
	bare := 0
	for _, u := range t.units {
		if u.sign == "" {
			bare = u.times
			continue
		}
		signs = append(signs, u.sign)
	}
	switch {
	case len(signs) == 0:
	case len(signs) == 1 && 2*bare < t.numbers:
		r.Unit = signs[0]
		if bare > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s no %s beside it.", report.Plural(bare, "number has", "numbers have"), signs[0]))
		}
	default:
		r.Notes = append(r.Notes, fmt.Sprintf("The numbers have several units (%s), and are added up as if they had none.", strings.Join(signs, ", ")))
	}
}

// quartiles of pairs.
func (t *tally) quartiles() [3]float64 {
	slices.SortFunc(t.pairs, func(a, b pair) int {
		switch {
		case a.f < b.f:
			return -1
		case a.f > b.f:
			return 1
		}
		return 0
	})
	return quartilesOf(t.numbers, func(rank int) float64 {
		for _, p := range t.pairs {
			if rank -= p.times; rank < 0 {
				return p.f
			}
		}
		return t.max
	})
}

// isKey reports whether the numbers number something: whole numbers that are
// called so, or that go up by one.
func (t *tally) isKey(r *report.Column) bool {
	if t.places > 0 || t.total.rounded || t.numbers != t.values || len(t.units) > 1 || t.units[0].sign != "" || t.min < 0 {
		return false
	}
	years := t.min >= 1900 && t.max <= 2100
	for word := range strings.FieldsFuncSeq(strings.ToLower(r.Name), func(c rune) bool { return strings.ContainsRune(" _-./()[]", c) }) {
		switch strings.TrimRight(word, ".:") {
		case "id", "ids", "nr", "no", "number", "nummer", "code", "key", "zip", "plz", "index", "#", "ean", "sku", "phone", "tel":
			return true
		case "year", "jahr", "année", "annee", "año", "ano", "anno", "jaar":
			return years
		}
	}
	all := r.More || r.Distinct == t.values
	return all && t.numbers > 2 && t.max-t.min == float64(t.numbers-1)
}

func (t *tally) span() *report.Dates {
	layout := time.DateOnly
	if t.clocks > 0 {
		layout = "2006-01-02T15:04:05"
	}
	const day = 24 * 60 * 60
	days := math.Floor(float64(t.last)/day) - math.Floor(float64(t.first)/day) + 1
	return &report.Dates{
		First: time.Unix(t.first, 0).UTC().Format(layout), Last: time.Unix(t.last, 0).UTC().Format(layout), Days: int(days),
	}
}
