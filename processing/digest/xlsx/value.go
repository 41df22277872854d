package xlsx

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"
)

// significant is how many digits a spreadsheet shows of a number. What is beyond
// comes of binary arithmetic: 0.1 + 0.2 is 0.30000000000000004.
const significant = 15

// lastSerial is the last day that has a number: 31 December 9999.
const lastSerial = 2958466

// appendNumber writes a number of a style as text that can be read in one way only.
func appendNumber(to []byte, value []byte, st style, from1904 bool) []byte {
	if st == (style{}) && isPlain(value) {
		return append(to, value...)
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return append(to, value...)
	}
	if (st.date || st.clock) && f >= 0 && f < lastSerial {
		return appendMoment(to, f, st, from1904)
	}
	if st.percent {
		f *= 100
	}
	if st.unit != "" {
		to = append(to, st.unit...)
		to = append(to, ' ')
	}
	to = appendPlain(to, f)
	if st.percent {
		to = append(to, '%')
	}
	return to
}

// isPlain reports whether a number is written as appendPlain would: with no more
// digits than count, and none that says nothing.
func isPlain(value []byte) bool {
	digits := bytes.TrimPrefix(value, []byte{'-'})
	if len(digits) == 0 || len(digits) > significant || len(digits) > 1 && digits[0] == '0' && digits[1] != '.' {
		return false
	}
	point := -1
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
		case c == '.' && point < 0 && i > 0:
			point = i
		default:
			return false
		}
	}
	last := digits[len(digits)-1]
	if point < 0 {
		return last != '0' || digits[0] != '0' || len(value) == 1 // -0 is not written so
	}
	decimals := len(digits) - 1 - point
	return decimals > 0 && decimals < 12 && decimals != 3 && last != '0'
}

// appendPlain writes a number. With exactly three decimals a zero goes behind it,
// for 1.234 could be more than a thousand.
func appendPlain(to []byte, f float64) []byte {
	short := strconv.FormatFloat(f, 'g', significant, 64)
	f, err := strconv.ParseFloat(short, 64)
	if err != nil {
		return append(to, short...)
	}
	if size := math.Abs(f); size != 0 && (size < 1e-12 || size >= 1e18) {
		return strconv.AppendFloat(to, f, 'e', -1, 64)
	}
	plain := strconv.FormatFloat(f, 'f', -1, 64)
	if _, decimals, ok := strings.Cut(plain, "."); ok && len(decimals) == 3 {
		plain += "0"
	}
	return append(to, plain...)
}

// appendMoment writes a day that is counted from the end of 1899, with the 29
// February 1900 that never was (ECMA-376, part 1, 18.17.4), or from 1904.
func appendMoment(to []byte, serial float64, st style, from1904 bool) []byte {
	if !st.date && serial < 1 {
		return clockOf(serial).AppendFormat(to, time.TimeOnly)
	}
	first := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC)
	switch {
	case from1904:
		first = time.Date(1904, 1, 1, 0, 0, 0, 0, time.UTC)
	case serial < 60:
		first = first.AddDate(0, 0, 1)
	}
	day := first.AddDate(0, 0, int(serial))
	at := day.Add(time.Duration(math.Round((serial-math.Floor(serial))*86400)) * time.Second)
	if st.clock || at != day {
		return at.AppendFormat(to, time.DateTime)
	}
	return at.AppendFormat(to, time.DateOnly)
}

func clockOf(serial float64) time.Time {
	return time.Unix(int64(math.Round(serial*86400)), 0).UTC()
}
