package digest

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// number reads a number as people write it: with marks for thousands, a decimal
// point or comma, a currency or a percent sign, in parentheses when negative.
func number(cell string) (float64, bool) {
	if len(cell) > 40 {
		return 0, false
	}
	s := strings.TrimSpace(strings.Trim(cell, "$€£¥% \u00a0"))
	negative := strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")")
	if negative {
		s = s[1 : len(s)-1]
	}
	// A leading zero is a code (a postcode, a part number), not a number.
	if s == "" || len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		return 0, false
	}
	digits, ok := plainDigits(s)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(n, 0) {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// plainDigits takes the marks for thousands out and makes the decimal mark a
// point. The last of two kinds of marks is the decimal one; a single comma is
// one, unless exactly three digits follow it. A text with anything in it that no
// number has is none.
func plainDigits(s string) (digits string, ok bool) {
	var commas, points int
	spaced := false
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '+', r == '-', r == 'e', r == 'E':
		case r == ',':
			commas++
		case r == '.':
			points++
		case r == ' ', r == '\'', r == '\u00a0', r == '\u202f':
			spaced = true
		default:
			return "", false
		}
	}
	if spaced {
		s = strings.NewReplacer(" ", "", "'", "", "\u00a0", "", "\u202f", "").Replace(s)
	}
	comma, point := strings.LastIndexByte(s, ','), strings.LastIndexByte(s, '.')
	switch {
	case commas == 0 && points > 1:
		return strings.ReplaceAll(s, ".", ""), grouped(s, ".")
	case commas == 0:
		return s, true
	case comma > point && points > 0:
		return strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1), grouped(s[:comma], ".")
	case point > comma:
		return strings.ReplaceAll(s, ",", ""), grouped(s[:point], ",")
	case commas > 1, len(s)-comma == 4:
		return strings.ReplaceAll(s, ",", ""), grouped(s, ",")
	}
	return strings.Replace(s, ",", ".", 1), true
}

// grouped reports whether marks for thousands stand before every three digits.
func grouped(s, mark string) bool {
	groups := strings.Split(s, mark)
	for _, group := range groups[1:] {
		if len(group) != 3 {
			return false
		}
	}
	return true
}

// date reads a date as people write it. Of two that are numbers with slashes the
// month is first if it can be; with points the day is.
func date(cell string) (time.Time, bool) {
	if len(cell) < 8 || len(cell) > 35 {
		return time.Time{}, false
	}
	for _, layout := range layouts(cell) {
		if t, err := time.Parse(layout, cell); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// layouts are those that a text may be in by its first looks: most texts are none,
// and parsing costs.
func layouts(cell string) []string {
	isDigit := func(at int) bool { return cell[at] >= '0' && cell[at] <= '9' }
	switch {
	case isDigit(0) && cell[4] == '-':
		return []string{"2006-01-02", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04"}
	case isDigit(0) && cell[4] == '/':
		return []string{"2006/01/02"}
	case isDigit(0) && (cell[1] == '/' || cell[2] == '/'):
		return []string{"1/2/2006", "2/1/2006"}
	case isDigit(0) && (cell[1] == '.' || cell[2] == '.'):
		return []string{"2.1.2006"}
	case isDigit(0) && (cell[1] == ' ' || cell[2] == ' ') && isDigit(len(cell)-1):
		return []string{"2 Jan 2006", "2 January 2006"}
	case cell[0] >= 'A' && cell[0] <= 'S' && isDigit(len(cell)-1) && strings.Contains(cell, ", "):
		return []string{"Jan 2, 2006", "January 2, 2006"}
	}
	return nil
}
