// Package chart makes the picture of a sheet: of the column that deserves one. In
// this order: what a column of numbers comes to over time, what it comes to in each
// of a few categories, how its values are spread, how often each category comes.
// Where nothing of that can be shown there is no picture.
package chart

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"inreply/processing/digest/report"
	"inreply/processing/digest/table"
)

// Rows reads the rows of a sheet.
type Rows func(ctx context.Context, most int, row func(cells [][]byte, width int) bool) error

// Bounds of what can be told apart in a picture of this size.
const (
	mostCategories = 12
	mostPeriods    = 40
	fewestValues   = 20 // whose spread is shown
)

// Plan is what a picture shows.
type Plan struct {
	Title string

	kind   kind
	by, of int // columns; -1: none
	unit   string
	first  time.Time
	period period
	low    float64
	step   float64

	labels []string
	values []float64
}

type kind uint8

const (
	overTime kind = iota
	perCategory
	spread
	often
)

// For returns what is to be shown of a sheet; nil if nothing.
func For(s report.Sheet) *Plan {
	number := bestNumber(s.Columns)
	if number >= 0 && isTotal(s.Columns[number]) {
		if date := firstDate(s.Columns); date >= 0 {
			return timePlan(s.Columns, date, number)
		}
		if category := bestCategory(s.Columns); category >= 0 {
			return categoryPlan(s.Columns, category, number)
		}
	}
	if number >= 0 && isSpread(s.Columns[number]) {
		return spreadPlan(s.Columns, number)
	}
	if category := bestCategory(s.Columns); category >= 0 && s.Rows >= fewestValues/2 {
		c := s.Columns[category]
		return &Plan{Title: "Rows by " + c.Name, kind: often, by: category, of: -1}
	}
	return nil
}

// bestNumber is the column of numbers that is most likely what the sheet is about:
// money, or what is called by a word for it, else the last one.
func bestNumber(columns []report.Column) int {
	best, most := -1, -1
	for i, c := range columns {
		if c.Numbers == nil || c.Numbers.Key || c.Distinct < 2 && !c.More {
			continue
		}
		score := 1
		if c.Unit != "" && c.Unit != "%" {
			score += 4
		}
		if speaksOfMoney(c.Name) {
			score += 3
		}
		if c.Unit == "%" {
			score--
		}
		if score >= most {
			best, most = i, score
		}
	}
	return best
}

func speaksOfMoney(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{
		"amount", "total", "revenue", "sales", "price", "cost", "turnover", "value", "spend", "profit", "income",
		"betrag", "umsatz", "summe", "erlös", "kosten", "preis", "wert", "montant", "prix", "ventes", "importe", "ventas", "precio", "importo", "prezzo", "bedrag", "valor",
	} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// isTotal reports whether adding the numbers up means anything.
func isTotal(c report.Column) bool {
	n := c.Numbers
	return c.Unit != "%" && !math.IsInf(n.Mean, 0) && (n.Min >= 0 || n.Max <= 0) && n.Max-n.Min < 1e15
}

func isSpread(c report.Column) bool {
	n := c.Numbers
	return c.Values-c.Other >= fewestValues && c.Distinct >= 8 && n.Max > n.Min && n.Max-n.Min < 1e15
}

func firstDate(columns []report.Column) int {
	for i, c := range columns {
		if c.Dates != nil && c.Dates.Days > 1 && c.Distinct > 2 {
			return i
		}
	}
	return -1
}

// bestCategory is the first column of few texts that come again and again, and that
// can be written on a chart.
func bestCategory(columns []report.Column) int {
	for i, c := range columns {
		if c.Type != report.Text && c.Type != report.Boolean || c.More || c.Distinct < 2 || c.Distinct > mostCategories || c.Values < 2*c.Distinct {
			continue
		}
		if !slices.ContainsFunc(c.Top, func(v report.Value) bool { return !writable(v.Value) }) {
			return i
		}
	}
	return -1
}

func timePlan(columns []report.Column, date, number int) *Plan {
	d := columns[date].Dates
	first, err := time.Parse(time.DateOnly, d.First[:10])
	if err != nil {
		return nil
	}
	p := periodOf(d.Days)
	first = p.begin(first)
	last, err := time.Parse(time.DateOnly, d.Last[:10])
	if err != nil || p.index(first, last) >= mostPeriods+2 {
		return nil
	}
	c := columns[number]
	plan := &Plan{Title: fmt.Sprintf("%s per %s", c.Name, p.name()), kind: overTime, by: date, of: number, unit: c.Unit, first: first, period: p}
	for at := first; !at.After(last); at = p.next(at) {
		plan.labels = append(plan.labels, p.label(at))
	}
	plan.values = make([]float64, len(plan.labels))
	return plan
}

func categoryPlan(columns []report.Column, category, number int) *Plan {
	c := columns[number]
	return &Plan{Title: fmt.Sprintf("%s by %s", c.Name, columns[category].Name), kind: perCategory, by: category, of: number, unit: c.Unit}
}

// spreadPlan divides the range of the numbers into steps of a round size.
func spreadPlan(columns []report.Column, number int) *Plan {
	c := columns[number]
	n := c.Numbers
	step := roundStep((n.Max - n.Min) / 12)
	low := math.Floor(n.Min/step) * step
	bins := int(math.Floor((n.Max-low)/step)) + 1
	if bins < 2 || bins > 40 {
		return nil
	}
	p := &Plan{Title: "How " + c.Name + " is spread", kind: spread, by: -1, of: number, unit: c.Unit, low: low, step: step, values: make([]float64, bins)}
	for i := range bins {
		p.labels = append(p.labels, report.Short(low+float64(i)*step))
	}
	return p
}

// roundStep is the next of 1, 2 and 5 times a power of ten.
func roundStep(least float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= least {
			return m * power
		}
	}
	return 10 * power
}

// Read fills in what is shown.
func (p *Plan) Read(ctx context.Context, t *table.Table, rows Rows) error {
	sums := map[string]float64{}
	var order []string
	err := rows(ctx, max(p.by, p.of)+1, t.Pairs(p.by, p.of, func(pair table.Pair) {
		switch p.kind {
		case overTime:
			if at := p.period.index(p.first, pair.At); !pair.At.IsZero() && at >= 0 && at < len(p.values) {
				p.values[at] += pair.Amount
			}
		case spread:
			if at := int((pair.Amount - p.low) / p.step); at >= 0 && at < len(p.values) {
				p.values[at]++
			}
		case perCategory, often:
			if len(pair.Text) == 0 {
				return
			}
			if _, seen := sums[string(pair.Text)]; !seen {
				order = append(order, string(pair.Text))
			}
			if p.kind == often {
				pair.Amount = 1
			}
			sums[string(pair.Text)] += pair.Amount
		}
	}))
	if err != nil {
		return fmt.Errorf("read the rows for the chart: %w", err)
	}
	p.fill(order, sums)
	for _, label := range p.labels {
		if !writable(label) {
			return fmt.Errorf("write %q on the chart: the font does not have it", label)
		}
	}
	return nil
}

// fill takes the categories in, the largest first.
func (p *Plan) fill(order []string, sums map[string]float64) {
	if p.kind != perCategory && p.kind != often {
		return
	}
	sortStable(order, func(a, b string) bool { return math.Abs(sums[a]) > math.Abs(sums[b]) })
	for _, name := range order[:min(len(order), mostCategories)] {
		p.labels = append(p.labels, clipped(report.Shown(name)))
		p.values = append(p.values, sums[name])
	}
}

// Alt says in words what the picture shows.
func (p *Plan) Alt() string {
	if len(p.values) == 0 {
		return p.Title
	}
	most := 0
	for i, v := range p.values {
		if math.Abs(v) > math.Abs(p.values[most]) {
			most = i
		}
	}
	switch p.kind {
	case overTime:
		return fmt.Sprintf("Bar chart: %s, from %s to %s. The most is %s, %s.", p.Title, p.labels[0], p.labels[len(p.labels)-1], p.amount(p.values[most]), p.labels[most])
	case spread:
		return fmt.Sprintf("Histogram: %s. The most values, %s, are between %s and %s.", p.Title, report.Figure(p.values[most]), report.Figure(p.low+float64(most)*p.step), report.Figure(p.low+float64(most+1)*p.step))
	case perCategory, often:
	}
	parts := make([]string, len(p.values))
	for i, v := range p.values {
		parts[i] = p.labels[i] + " " + p.amount(v)
	}
	return fmt.Sprintf("Bar chart: %s. %s.", p.Title, strings.Join(parts, ", "))
}

func (p *Plan) amount(v float64) string {
	if p.unit == "" {
		return report.Figure(v)
	}
	return report.Money(v) + " " + p.unit
}
