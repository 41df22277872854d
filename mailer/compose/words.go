package compose

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// words is a text as a header carries it: as it is, or as encoded words (RFC
// 2047). Within a phrase, such as a display name, fewer characters may stand as
// they are.
func words(s string, inPhrase bool) string {
	if !inPhrase && isPlain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	costly := 0
	for i := range len(s) {
		if !mayStand(s[i]) {
			costly++
		}
	}
	encode := qWord
	if costly*3 > len(s) { // Q would be longer, and nobody could read it either
		encode = bWord
	}
	var all []string
	for len(s) > 0 {
		word, rest := encode(s)
		all = append(all, word)
		s = rest
	}
	return strings.Join(all, " ")
}

// isPlain reports whether a text may stand in a header as it is and is read back
// the same: single spaces between printable words that fit on a line and do not
// look encoded.
func isPlain(s string) bool {
	if s == "" {
		return true
	}
	if !isASCII(s) || strings.Contains(s, "=?") {
		return false
	}
	for word := range strings.SplitSeq(s, " ") {
		if word == "" || len(word) > fold {
			return false
		}
	}
	return true
}

// An encoded word has at most 75 octets (RFC 2047, section 2), of which these are
// left for the text.
const (
	head  = "=?utf-8?q?"
	inner = 75 - len(head) - len("?=")
)

// qWord encodes the beginning of a text, never half a character.
func qWord(s string) (word, rest string) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(head)
	for len(s) > 0 {
		_, size := utf8.DecodeRuneInString(s)
		cost := 3 * size
		if size == 1 && (mayStand(s[0]) || s[0] == ' ') {
			cost = 1
		}
		if b.Len()-len(head)+cost > inner {
			break
		}
		switch {
		case s[0] == ' ':
			b.WriteByte('_')
		case cost == 1:
			b.WriteByte(s[0])
		default:
			for _, octet := range []byte(s[:size]) {
				b.WriteByte('=')
				b.WriteByte(hex[octet>>4])
				b.WriteByte(hex[octet&15])
			}
		}
		s = s[size:]
	}
	b.WriteString("?=")
	return b.String(), s
}

// bWord encodes the beginning of a text, never half a character.
func bWord(s string) (word, rest string) {
	n := min(inner/4*3, len(s))
	for n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return "=?utf-8?b?" + base64.StdEncoding.EncodeToString([]byte(s[:n])) + "?=", s[n:]
}

// mayStand reports whether an octet may stand in a Q word as it is, in a phrase
// too (RFC 2047, section 5, rule 3).
func mayStand(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '!' || c == '*' || c == '+' || c == '-' || c == '/'
}
