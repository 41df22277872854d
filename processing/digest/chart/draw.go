package chart

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-analyze/charts"

	"inreply/processing/digest/report"
)

// The size of a picture, in pixels: twice what it is shown in, for displays that
// are fine enough.
const (
	Width  = 1164
	height = 560
	row    = 76 // of a bar with its gap, where they lie
)

// Draw draws the picture as PNG. The same plan gives the same octets.
func (p *Plan) Draw() ([]byte, error) {
	if len(p.values) == 0 {
		return nil, errors.New("draw a chart: there is nothing to show")
	}
	o := p.bars()
	high := height
	if o.Horizontal {
		high = 120 + row*len(p.values)
	}
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputPNG, Width: Width, Height: high})
	if err := painter.BarChart(o); err != nil {
		return nil, fmt.Errorf("draw a chart: %w", err)
	}
	picture, err := painter.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode a chart: %w", err)
	}
	return picture, nil
}

func (p *Plan) bars() charts.BarChartOption {
	labels, values := p.labels, p.values
	lying := p.kind == perCategory || p.kind == often
	if lying { // the first one on top
		labels, values = slices.Clone(labels), slices.Clone(values)
		slices.Reverse(labels)
		slices.Reverse(values)
	}
	if !lying {
		labels = thinned(labels)
	}
	font := charts.FontStyle{FontSize: 26, FontColor: charts.ColorRGB(91, 100, 114)}
	o := charts.NewBarChartOptionWithData([][]float64{values})
	o.Theme = theme()
	o.Padding = charts.NewBox(24, 24, 40, 16)
	o.Horizontal = lying
	o.BarSize = 0.66
	if p.kind == spread {
		o.BarSize = 0.92
	}
	o.Title.Show = new(false)
	o.Legend.Show = new(false)
	o.ValueFormatter = func(f float64) string { return report.Short(f) }
	o.CategoryAxis = charts.CategoryAxisOption{Labels: labels, LabelFontStyle: font}
	o.CategoryAxis.LabelCount = len(labels)
	zero := 0.0
	axis := charts.ValueAxisOption{LabelFontStyle: font, ValueFormatter: o.ValueFormatter, SplitLineShow: new(true)}
	if slices.Min(values) >= 0 {
		axis.Min = &zero
	}
	if slices.Max(values) <= 0 {
		axis.Max = &zero
	}
	o.ValueAxis = []charts.ValueAxisOption{axis}
	return o
}

func theme() charts.ColorPalette {
	gray := charts.ColorRGB(91, 100, 114)
	return charts.MakeTheme(charts.ThemeOption{
		AxisStrokeColor:    charts.ColorRGB(203, 209, 219),
		AxisSplitLineColor: charts.ColorRGB(232, 235, 240),
		BackgroundColor:    charts.ColorWhite,
		TextColor:          gray,
		SeriesColors:       []charts.Color{charts.ColorRGB(37, 99, 235)},
	})
}

// writable reports whether the font has all letters: it knows Latin, Greek and
// Cyrillic ones, and shows boxes for others.
func writable(label string) bool {
	return !strings.ContainsFunc(label, func(r rune) bool {
		return r > unicode.MaxLatin1 && !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic) && !strings.ContainsRune("…–—€’“”„", r)
	})
}

// clipped is a label of a length that leaves room for its bar.
func clipped(label string) string {
	if letters := []rune(label); len(letters) > 22 {
		return string(letters[:21]) + "…"
	}
	return label
}

func sortStable(names []string, before func(a, b string) bool) {
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case before(a, b):
			return -1
		case before(b, a):
			return 1
		}
		return 0
	})
}

// mostLabels is how many labels fit below the bars.
const mostLabels = 6

// thinned leaves out labels evenly, where they would run into each other.
func thinned(labels []string) []string {
	every := (len(labels) + mostLabels - 1) / mostLabels
	thin := make([]string, len(labels))
	for i := 0; i == 0 || i+every/2 < len(labels); i += every { // the last one needs room, too
		thin[i] = labels[i]
	}
	return thin
}
