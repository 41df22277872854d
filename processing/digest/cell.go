package digest

import (
	"strconv"
	"strings"
	"time"
)

// number reads a number as people write it: with marks for thousands, a decimal
// point or comma, a currency or a percent sign, in parentheses when negative.
func number(cell string) (float64, bool) {
	s := strings.TrimSpace(strings.Trim(cell, "$€£¥% \u00a0"))
	negative := strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")")
	if negative {
		s = s[1 : len(s)-1]
	}
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune("0123456789.,'+-eE \u00a0", r) }) {
		return 0, false
	}
	// A leading zero is a code (a postcode, a part number), not a number.
	if len(s) > 1 && s[0] == '0' && s[1] >= '0' && s[1] <= '9' {
		return 0, false
	}
	n, err := strconv.ParseFloat(plainDigits(s), 64)
	if err != nil {
		return 0, false
	}
	if negative {
		n = -n
	}
	return n, true
}

// plainDigits takes the marks for thousands out and makes the decimal mark a
// point. The last of two kinds of marks is the decimal one; a single comma is
// one, unless exactly three digits follow it.
func plainDigits(s string) string {
	s = strings.NewReplacer(" ", "", "\u00a0", "", "'", "").Replace(s)
	comma, point := strings.LastIndexByte(s, ','), strings.LastIndexByte(s, '.')
	switch {
	case comma < 0:
		if strings.Count(s, ".") > 1 {
			return strings.ReplaceAll(s, ".", "")
		}
		return s
	case comma > point && point >= 0:
		return strings.Replace(strings.ReplaceAll(s, ".", ""), ",", ".", 1)
	case point > comma, strings.Count(s, ",") > 1, len(s)-comma == 4:
		return strings.ReplaceAll(s, ",", "")
	}
	return strings.Replace(s, ",", ".", 1)
}

// date reads a date as people write it. Of two that are numbers with slashes the
// month is first if it can be; with points the day is.
func date(cell string) (time.Time, bool) {
	if len(cell) < 8 || len(cell) > 32 {
		return time.Time{}, false
	}
	for _, layout := range []string{
		"2006-01-02", time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006/01/02",
		"1/2/2006", "2/1/2006", "2.1.2006", "2 Jan 2006", "Jan 2, 2006", "2 January 2006", "January 2, 2006",
	} {
		if t, err := time.Parse(layout, cell); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
