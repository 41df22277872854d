package report

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longestShown is how much of a value is shown, in characters.
const longestShown = 60

// Shown is a text of the sender's as it may be shown: one line, without characters
// that control anything or turn text around, not too long. It is text still, and
// to be escaped where it becomes HTML.
func Shown(s string) string { return upTo(longestShown, s) }

// Line is a sentence as it may be shown, with words of others in it: as Shown, and
// longer.
func Line(s string) string { return upTo(5*longestShown, s) }

func upTo(longest int, s string) string {
	s = strings.TrimSpace(strings.Map(visible, s[:min(len(s), 4*longest+4)]))
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	return strings.TrimSpace(string([]rune(s)[:longest-1])) + "…"
}

func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case unicode.Is(unicode.Cf, r):
		return -1
	case unicode.IsControl(r), r == utf8.RuneError, unicode.Is(unicode.Co, r):
		return utf8.RuneError
	}
	return r
}

// Count is a number of things, such as "5 rows".
func Count(n int, what string) string { return Plural(n, what, what+"s") }

// Plural is a number of things in words that go with it, for one and for more:
// "1 row has", "5 rows have".
func Plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return Figure(float64(n)) + " " + more
}

// Figure writes a number with marks for thousands and at most two decimals. One
// that would lose its meaning so is written with an exponent, or with as many
// decimals as it needs.
func Figure(n float64) string {
	switch size := math.Abs(n); {
	case size >= 1e15:
		return strconv.FormatFloat(n, 'g', 6, 64)
	case size > 0 && size < 1e-4:
		return strconv.FormatFloat(n, 'g', 3, 64)
	case size > 0 && size < 1:
		return zeroless(strconv.FormatFloat(n, 'f', 2-int(math.Floor(math.Log10(size))), 64))
	}
	s := zeroless(strconv.FormatFloat(n, 'f', 2, 64))
	if s == "-0" {
		return "0"
	}
	return grouped(s)
}

// Money writes an amount: with two decimals, or with none if it is whole.
func Money(n float64) string {
	s := Figure(n)
	if point := strings.LastIndexByte(s, '.'); point >= 0 && len(s)-point == 2 && !strings.ContainsRune(s, 'e') {
		return s + "0"
	}
	return s
}

func zeroless(s string) string {
	if !strings.Contains(s, ".") {
		return s
	}
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

func grouped(s string) string {
	whole, decimals, _ := strings.Cut(s, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if decimals != "" {
		whole += "." + decimals
	}
	return sign + whole
}

// Sum writes a total with all its digits, up to two decimals.
func Sum(n json.Number) string {
	s := n.String()
	whole, decimals, _ := strings.Cut(s, ".")
	if strings.ContainsAny(s, "eE") || len(decimals) > 2 || strings.Trim(whole, "-0") == "" {
		f, err := n.Float64()
		if err != nil {
			return s
		}
		return Figure(f)
	}
	return grouped(s)
}

// Size is a number of octets in words.
func Size(octets int64) string {
	switch {
	case octets < 1000:
		return Count(int(octets), "byte")
	case octets < 1_000_000:
		return strconv.FormatFloat(float64(octets)/1000, 'f', 0, 64) + " kB"
	}
	return strconv.FormatFloat(float64(octets)/1_000_000, 'f', 1, 64) + " MB"
}

// Short is a number as it stands at an axis: 1.5k, 20M.
func Short(n float64) string {
	for _, x := range []struct {
		size float64
		mark string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e4, "k"}} {
		if math.Abs(n) >= x.size {
			scale := x.size
			if x.mark == "k" {
				scale = 1e3
			}
			return zeroless(strconv.FormatFloat(n/scale, 'f', 1, 64)) + x.mark
		}
	}
	return Figure(n)
}
