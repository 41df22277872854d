package table

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// longestNumeral is how long a number may be with all its marks, in octets.
const longestNumeral = 48

// longestInteger is how many digits a whole number without marks may have. What
// has more is a code, such as that of a card: no program would count with it.
const longestInteger = 15

// amount is a number. As far as it is exact it is coef / 10^scale.
type amount struct {
	float float64
	coef  int64
	scale uint8
	exact bool
}

// numeral is a number as people write it: with marks for thousands, a decimal
// point or comma, a currency or a percent sign, in parentheses or with a minus
// behind it when negative. What 1.234 is, its column decides.
type numeral struct {
	point, comma     amount // read with a decimal point, and with a decimal comma
	isPoint, isComma bool   // it can be read so
	unit             string
}

// numeralOf reads a number. A leading zero makes a code of digits (a postcode, a
// part number), not a number.
func numeralOf(cell []byte) (n numeral, code, ok bool) {
	if len(cell) > longestNumeral || !slices.ContainsFunc(cell, isDigit) {
		return n, false, false
	}
	digits, unit, ok := withoutUnit(cell)
	if !ok {
		return n, false, false
	}
	digits, negative, ok := withoutSign(digits)
	if !ok || len(digits) == 0 {
		return n, false, false
	}
	if isCode(digits) {
		return n, true, false
	}
	n.unit = unit
	n.point, n.isPoint = amountOf(digits, '.', ',')
	if bytes.IndexByte(digits, '.') < 0 && bytes.IndexByte(digits, ',') < 0 {
		n.comma, n.isComma = n.point, n.isPoint
	} else {
		n.comma, n.isComma = amountOf(digits, ',', '.')
	}
	if negative {
		n.point, n.comma = n.point.negated(), n.comma.negated()
	}
	return n, false, n.isPoint || n.isComma
}

func (a amount) negated() amount {
	a.float, a.coef = -a.float, -a.coef
	if a.float == 0 {
		a.float = 0 // and not -0
	}
	return a
}

func isCode(digits []byte) bool {
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
	}
	return len(digits) > longestInteger || len(digits) > 1 && digits[0] == '0'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// withoutSign takes one sign away: before the digits, behind them as SAP has it,
// or parentheses as accountants do.
func withoutSign(s []byte) (digits []byte, negative, ok bool) {
	if len(s) == 0 {
		return nil, false, false
	}
	last := len(s) - 1
	switch {
	case s[0] == '(' && s[last] == ')' && last > 1:
		return bytes.TrimSpace(s[1:last]), true, true
	case s[0] == '-':
		return bytes.TrimLeft(s[1:], " "), true, true
	case bytes.HasPrefix(s, []byte("\u2212")): // the minus sign
		return s[len("\u2212"):], true, true
	case s[0] == '+':
		return s[1:], false, bytes.IndexByte(s, ' ') < 0 // not a telephone number
	case s[last] == '-':
		return s[:last], true, true
	}
	return s, false, true
}

// withoutUnit takes a currency or a percent sign away, before or behind the
// number, and also between its minus and its digits.
func withoutUnit(s []byte) (digits []byte, unit string, ok bool) {
	if len(s) == 0 {
		return s, "", false // nothing stands in parentheses
	}
	first, last := s[0], s[len(s)-1]
	if isDigit(first) && isDigit(last) {
		return s, "", true
	}
	if front, rest := leadingUnit(s); front != "" {
		return rest, front, true
	}
	if first == '-' || first == '(' {
		if front, rest := leadingUnit(s[1:]); front != "" {
			return append([]byte{first}, rest...), front, true
		}
	}
	if first == '(' && last == ')' {
		inner, unit, ok := withoutUnit(s[1 : len(s)-1 : len(s)-1])
		if !ok || unit == "" {
			return s, "", ok
		}
		return append(append([]byte{'('}, inner...), ')'), unit, true
	}
	if back, rest := trailingUnit(s); back != "" {
		return rest, back, true
	}
	c, _ := utf8.DecodeRune(s)
	return s, "", isDigit(first) || first == '-' || first == '+' || first == '(' || first == '.' || first == ',' || c == '\u2212'
}

func leadingUnit(s []byte) (unit string, rest []byte) {
	c, size := utf8.DecodeRune(s)
	switch {
	case unicode.Is(unicode.Sc, c):
		return string(c), trimSpace(s[size:])
	case len(s) > 4 && (c == 'R' || c == 'F' || c == 'k') && currencyWord(s[:2]) != "" && !isLetter(s[2]):
		return currencyWord(s[:2]), trimSpace(bytes.TrimPrefix(s[2:], []byte(".")))
	case len(s) > 3 && c >= 'A' && c <= 'Z' && isCurrency(s[:3]) && !isLetter(s[3]):
		return string(s[:3]), trimSpace(s[3:])
	}
	return "", s
}

func trailingUnit(s []byte) (unit string, rest []byte) {
	c, size := utf8.DecodeLastRune(s)
	n := len(s)
	switch {
	case c == '%':
		return "%", trimSpace(s[:n-size])
	case unicode.Is(unicode.Sc, c):
		return string(c), trimSpace(s[:n-size])
	case n > 3 && isCurrency(s[n-3:]) && !isLetter(s[n-4]):
		return string(s[n-3:]), trimSpace(s[:n-3])
	case n > 2 && currencyWord(s[n-2:]) != "" && !isLetter(s[n-3]):
		return currencyWord(s[n-2:]), trimSpace(s[:n-2])
	case n > 3 && string(s[n-3:]) == "zł":
		return "zł", trimSpace(s[:n-3])
	}
	return "", s
}

// trimSpace trims also the spaces that keep a line together.
func trimSpace(s []byte) []byte { return bytes.TrimFunc(s, unicode.IsSpace) }

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= utf8.RuneSelf }

// isCurrency knows the codes of ISO 4217 that are common in mails.
func isCurrency(code []byte) bool {
	switch string(code) {
	case "EUR", "USD", "GBP", "CHF", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF",
		"RON", "BGN", "TRY", "BRL", "MXN", "ARS", "CLP", "COP", "ZAR", "KRW", "SGD", "HKD", "TWD", "THB", "IDR", "MYR",
		"PHP", "VND", "ILS", "AED", "SAR", "EGP", "NGN", "KES", "RUB", "UAH", "ISK":
		return true
	}
	return false
}

func currencyWord(word []byte) string {
	switch string(word) {
	case "kr", "Kr":
		return "kr"
	case "R$":
		return "R$"
	case "Fr":
		return "Fr."
	}
	return ""
}

// amountOf reads digits with one decimal mark at most. The other mark, a space or
// an apostrophe stands before thousands: groups of three, of two further up as in
// India.
func amountOf(s []byte, decimal, thousands byte) (a amount, ok bool) {
	var coef uint64
	var digits, decimals, group, groups int // digits in all, behind the mark, since the last mark
	var mark rune
	significant := 0
	behind := false
	for at := 0; at < len(s); {
		c := s[at]
		switch {
		case isDigit(c):
			digits++
			group++
			if behind {
				decimals++
			}
			if significant > 0 || c != '0' {
				significant++
			}
			if significant <= 18 {
				coef = coef*10 + uint64(c-'0')
			}
			at++
		case c == decimal:
			if behind || groups > 0 && group != 3 {
				return a, false
			}
			behind = true
			at++
		case (c == 'e' || c == 'E') && digits > 0 && groups == 0:
			return scientific(s, decimal)
		default:
			r, size := utf8.DecodeRune(s[at:])
			if behind || !isThousands(r, thousands) || groups > 0 && (r != mark || group < 2 || group > 3) || group == 0 || group > 3 {
				return a, false
			}
			mark = r
			group = 0
			groups++
			at += size
		}
	}
	if digits == 0 || behind && decimals == 0 || !behind && groups > 0 && group != 3 {
		return a, false
	}
	if significant > 18 || decimals > 18 {
		return inexact(s, decimal)
	}
	a = amount{coef: int64(coef), scale: uint8(decimals), exact: true}
	a.float = float(coef, decimals)
	return a, true
}

func isThousands(r rune, mark byte) bool {
	switch r {
	case ' ', '\'', '\u00a0', '\u202f', '\u2019', '\u2009':
		return true
	}
	return r == rune(mark)
}

// float is the binary number nearest to coef / 10^decimals: both are exact up to
// 2^53 and 10^22, and one division rounds once.
func float(coef uint64, decimals int) float64 {
	if coef < 1<<53 {
		return float64(coef) / power(decimals)
	}
	f, err := strconv.ParseFloat(strconv.FormatUint(coef, 10)+"e-"+strconv.Itoa(decimals), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

func power(n int) float64 {
	p := 1.0
	for range n {
		p *= 10
	}
	return p
}

// scientific reads a number with an exponent.
func scientific(s []byte, decimal byte) (a amount, ok bool) {
	text := bytes.ReplaceAll(s, []byte{decimal}, []byte{'.'})
	for i, c := range text {
		sign := (c == '-' || c == '+') && i > 0 && text[i-1]|0x20 == 'e'
		if !isDigit(c) && c != '.' && c|0x20 != 'e' && !sign {
			return a, false
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || math.IsInf(f, 0) {
		return a, false
	}
	if math.Trunc(f) == f && math.Abs(f) < 1<<53 {
		return amount{float: f, coef: int64(f), exact: true}, true
	}
	return amount{float: f}, true
}

// inexact reads a number of more digits than are kept.
func inexact(s []byte, decimal byte) (a amount, ok bool) {
	text := make([]byte, 0, len(s))
	for _, c := range s {
		switch {
		case isDigit(c):
			text = append(text, c)
		case c == decimal:
			text = append(text, '.')
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	return amount{float: f}, err == nil && !math.IsInf(f, 0)
}
