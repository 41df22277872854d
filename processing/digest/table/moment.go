package table

import (
	"bytes"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// longestMoment is how long a date with its time may be, in octets.
const longestMoment = 40

// moment is a date as people write it, with or without a time. What 3/4/2026 is,
// its column decides.
type moment struct {
	dayFirst, monthFirst     int64 // seconds since 1970
	isDayFirst, isMonthFirst bool  // it can be read so
	clock                    bool  // it has a time
	separator                byte  // between numbers that could be in either order; 0 if no order is in doubt
}

// momentOf reads a date: year first, day or month first, or with the month as a
// word.
func momentOf(cell []byte) (m moment, ok bool) {
	if len(cell) < 6 || len(cell) > longestMoment || !isDigit(cell[0]) && !isDigit(cell[len(cell)-1]) {
		return m, false
	}
	a, rest := field(cell)
	gap, rest := separator(rest)
	b, rest := field(rest)
	gap2, rest := separator(rest)
	c, rest := field(rest)
	if len(a) == 0 || len(b) == 0 || len(c) == 0 || gap == 0 || gap2 == 0 {
		return m, false
	}
	seconds, clock, ok := timeOf(rest)
	if !ok {
		return m, false
	}
	m.clock = clock
	wordA, wordB := !isDigit(a[0]), !isDigit(b[0])
	switch {
	case !isDigit(c[0]) || wordA && wordB:
		return m, false
	case wordA:
		m.both(year(c), monthOf(a), number(b), seconds)
	case wordB && len(a) == 4:
		m.both(number(a), monthOf(b), number(c), seconds)
	case wordB:
		m.both(year(c), monthOf(b), number(a), seconds)
	case gap != gap2 || gap == ' ' || len(b) > 2:
		return m, false
	case len(a) == 4 && len(c) <= 2:
		m.both(number(a), number(b), number(c), seconds)
	case len(a) <= 2 && (len(c) == 4 || len(c) == 2 && (gap == '/' || len(b) == 2)):
		m.separator = gap
		m.dayFirst, m.isDayFirst = instant(year(c), number(b), number(a), seconds)
		m.monthFirst, m.isMonthFirst = instant(year(c), number(a), number(b), seconds)
	}
	return m, m.isDayFirst || m.isMonthFirst
}

// both sets what is in no doubt.
func (m *moment) both(year, month, day int, seconds int64) {
	m.dayFirst, m.isDayFirst = instant(year, month, day, seconds)
	m.monthFirst, m.isMonthFirst = m.dayFirst, m.isDayFirst
}

// field is the digits, or the letters, that s begins with.
func field(s []byte) (f, rest []byte) {
	at := 0
	for at < len(s) && isDigit(s[at]) {
		at++
	}
	if at > 0 {
		return s[:at], s[at:]
	}
	for at < len(s) && isLetter(s[at]) {
		at++
	}
	return s[:at], s[at:]
}

// separator is what stands between the parts of a date: its first mark, and the
// spaces around it.
func separator(s []byte) (mark byte, rest []byte) {
	for at, c := range s {
		switch c {
		case ' ':
			if mark == 0 {
				mark = ' '
			}
		case '/', '-', '.', ',':
			if mark != 0 && mark != ' ' {
				return mark, s[at:]
			}
			mark = c
		default:
			return mark, s[at:]
		}
	}
	return mark, nil
}

// number is the value of a few digits.
func number(digits []byte) int {
	if len(digits) > 4 {
		return -1
	}
	n := 0
	for _, c := range digits {
		if !isDigit(c) {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// year reads two digits as spreadsheets do: from 1970 to 2069.
func year(digits []byte) int {
	n := number(digits)
	switch {
	case len(digits) == 4:
		return n
	case len(digits) != 2:
		return -1
	case n >= 70:
		return 1900 + n
	}
	return 2000 + n
}

func instant(year, month, day int, seconds int64) (int64, bool) {
	if year < 1000 || month < 1 || month > 12 || day < 1 || day > 31 {
		return 0, false
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t.Unix() + seconds, t.Day() == day
}

// timeOf reads the time behind a date, in seconds of its day; with a zone, those
// that it is in UTC. Nothing at all is midnight, and no clock.
func timeOf(s []byte) (seconds int64, clock, ok bool) {
	if len(s) == 0 {
		return 0, false, true
	}
	switch {
	case s[0] == 'T' || s[0] == ' ':
		s = bytes.TrimLeft(s[1:], " ")
	case bytes.HasPrefix(s, []byte(", ")):
		s = s[2:]
	default:
		return 0, false, false
	}
	hour, s, ok := twoDigits(s, 24)
	if !ok || len(s) == 0 || s[0] != ':' {
		return 0, false, false
	}
	minute, s, ok := twoDigits(s[1:], 59)
	if !ok {
		return 0, false, false
	}
	second := 0
	if len(s) > 0 && s[0] == ':' {
		if second, s, ok = twoDigits(s[1:], 60); !ok {
			return 0, false, false
		}
		s = withoutFraction(s)
	}
	hour, s, ok = noon(hour, s)
	if !ok {
		return 0, false, false
	}
	zone, ok := zoneOf(s)
	return int64(hour)*3600 + int64(minute)*60 + int64(second) - zone, true, ok
}

func twoDigits(s []byte, most int) (n int, rest []byte, ok bool) {
	f, rest := field(s)
	if len(f) == 0 || len(f) > 2 {
		return 0, s, false
	}
	n = number(f)
	return n, rest, n >= 0 && n <= most
}

func withoutFraction(s []byte) []byte {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' {
		return s
	}
	at := 1
	for at < len(s) && isDigit(s[at]) {
		at++
	}
	return s[at:]
}

// noon takes AM or PM into account.
func noon(hour int, s []byte) (h int, rest []byte, ok bool) {
	word := bytes.TrimLeft(s, " ")
	if len(word) < 2 || word[1]|0x20 != 'm' || word[0]|0x20 != 'a' && word[0]|0x20 != 'p' {
		return hour, s, true
	}
	if hour < 1 || hour > 12 {
		return 0, s, false
	}
	hour %= 12
	if word[0]|0x20 == 'p' {
		hour += 12
	}
	return hour, word[2:], true
}

// zoneOf is how far a zone is ahead of UTC, in seconds.
func zoneOf(s []byte) (ahead int64, ok bool) {
	s = bytes.TrimLeft(s, " ")
	switch {
	case len(s) == 0, string(s) == "Z", string(s) == "UTC", string(s) == "GMT":
		return 0, true
	case len(s) < 3 || s[0] != '+' && s[0] != '-':
		return 0, false
	}
	digits := bytes.ReplaceAll(s[1:], []byte(":"), nil)
	n := number(digits)
	if n < 0 || len(digits) != 2 && len(digits) != 4 {
		return 0, false
	}
	if len(digits) == 2 {
		n *= 100
	}
	ahead = int64(n/100)*3600 + int64(n%100)*60
	if s[0] == '-' {
		ahead = -ahead
	}
	return ahead, n <= 1500
}

// monthOf knows the months by their first letters, in English, German, French,
// Spanish, Portuguese, Italian and Dutch; 0 if it is none.
func monthOf(word []byte) int {
	if len(word) > 12 {
		return 0
	}
	w := strings.Map(unaccented, string(word))
	if utf8.RuneCountInString(w) < 3 {
		return 0
	}
	if len(w) >= 4 && w[:3] == "jui" { // juin, juillet
		if w[3] == 'l' {
			return 7
		}
		return 6
	}
	switch w[:3] {
	case "jan", "ene", "gen":
		return 1
	case "feb", "fev":
		return 2
	case "mar", "mrz", "mae", "mrt":
		return 3
	case "apr", "avr", "abr":
		return 4
	case "may", "mai", "mag", "mei":
		return 5
	case "jun", "giu":
		return 6
	case "jul", "lug":
		return 7
	case "aug", "aou", "ago":
		return 8
	case "sep", "set":
		return 9
	case "oct", "okt", "ott", "out":
		return 10
	case "nov":
		return 11
	case "dec", "dez", "dic":
		return 12
	}
	return 0
}

// unaccented is a letter in lower case without what stands above it.
func unaccented(r rune) rune {
	switch r {
	case 'ä', 'Ä', 'á', 'à':
		return 'a'
	case 'é', 'è', 'É':
		return 'e'
	case 'û', 'ú':
		return 'u'
	case 'ç':
		return 'c'
	}
	return unicode.ToLower(r)
}
