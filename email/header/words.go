package header

import (
	"strings"
	"unicode/utf8"

	"inreply/email/charset"
	"inreply/email/transfer"
)

// Values reads the values of a mail's fields. It knows how often their charset was
// looked for: one look takes up to a millisecond, and an honest mail has few values
// that need it. The zero value is ready to use.
type Values struct{ guesses int }

// mostGuesses is how many values' charset is looked for.
const mostGuesses = 20

// Decode decodes the encoded words of a value (RFC 2047). Words of one charset
// that stand side by side are decoded together, since there are programs that cut
// a letter of several octets in two. What is no encoded word stays as it is.
func (v *Values) Decode(value string) string {
	if !strings.Contains(value, "=?") {
		return v.unencoded(value)
	}
	var b strings.Builder
	var run word   // words so far of one charset
	var gap string // white space behind them
	for words := 0; value != ""; words++ {
		if words == mostWords {
			b.WriteString(run.decoded() + gap + value)
			return b.String()
		}
		w, rest, ok := cutWord(value)
		if !ok {
			n := nextWord(value)
			plain := value[:n]
			value = value[n:]
			if run.charset != "" && strings.Trim(plain, " \t\r\n") == "" && value != "" {
				gap = plain
				continue
			}
			b.WriteString(run.decoded() + gap + charset.Short("", plain))
			run, gap = word{}, ""
			continue
		}
		value = rest
		if run.charset != "" && strings.EqualFold(run.charset, w.charset) {
			run.text = append(run.text, w.text...)
			gap = ""
			continue
		}
		b.WriteString(run.decoded()) // white space between two words is none
		run, gap = w, ""
	}
	b.WriteString(run.decoded() + gap)
	return b.String()
}

// unencoded is a value without encoded words. The charset is looked for only here:
// an encoded word declares its own, and what stands beside one is too short to
// tell.
func (v *Values) unencoded(value string) string {
	if utf8.ValidString(value) && !strings.Contains(value, "\x1b") {
		return value
	}
	if v.guesses++; v.guesses > mostGuesses {
		return charset.Short("", value)
	}
	value, _ = charset.Decode("", value)
	return value
}

// mostWords is how many words, encoded or not, are looked at in one field. The
// rest stays as it is.
const mostWords = 20_000

// word is one or more encoded words.
type word struct {
	charset string
	text    []byte
}

func (w word) decoded() string {
	if w.charset == "" {
		return ""
	}
	return charset.Short(w.charset, string(w.text))
}

// nextWord is where the next encoded word may begin, the beginning aside.
func nextWord(value string) int {
	// White space before a word is kept apart from other text, for it may be none.
	at := strings.Index(value[1:], "=?")
	if at < 0 {
		return len(value)
	}
	return at + 1
}

// longestWord is how long an encoded word may be; RFC 2047, section 2 has 75, and
// hardly any program that breaks it keeps to another.
const longestWord = 4 << 10

// cutWord takes an encoded word off the beginning of value.
func cutWord(value string) (w word, rest string, ok bool) {
	inner, found := strings.CutPrefix(value, "=?")
	if !found {
		return w, value, false
	}
	inner = inner[:min(len(inner), longestWord)]
	first := strings.IndexByte(inner[:min(len(inner), 100)], '?')
	if first <= 0 || len(inner) < first+3 || inner[first+2] != '?' {
		return w, value, false
	}
	w.charset = inner[:first]
	if strings.ContainsAny(w.charset, " \t\r\n=<>@\"") {
		return w, value, false
	}
	end := strings.Index(inner[first+3:], "?=")
	if end < 0 {
		return w, value, false
	}
	encoded := inner[first+3 : first+3+end]
	switch inner[first+1] {
	case 'q', 'Q':
		// A text may begin with an encoded octet: "?=" is the end only if "==" or
		// two hexadecimal digits do not make it the beginning.
		if end == 0 && len(inner) > first+5 && isHex(inner[first+5:]) {
			next := strings.Index(inner[first+5:], "?=")
			if next < 0 {
				return w, value, false
			}
			end = next + 2
			encoded = inner[first+3 : first+3+end]
		}
		w.text = decodeQ(encoded)
	case 'b', 'B':
		w.text = decodeB(encoded)
	default:
		return w, value, false
	}
	return w, value[2+first+3+end+2:], true
}

// decodeQ decodes the Q encoding (RFC 2047, section 4.2): quoted-printable in which
// an underscore is a space, and in which there are no lines.
func decodeQ(encoded string) []byte {
	text := make([]byte, 0, len(encoded))
	for i := 0; i < len(encoded); i++ {
		switch c := encoded[i]; {
		case c == '_':
			text = append(text, ' ')
		case c == '=' && isHex(encoded[i+1:]):
			text = append(text, value(encoded[i+1])<<4|value(encoded[i+2]))
			i += 2
		default:
			text = append(text, c)
		}
	}
	return text
}

func decodeB(encoded string) []byte {
	text := make([]byte, 0, len(encoded)/4*3+3)
	r := transfer.Base64([]byte(encoded))
	for {
		n, err := r.Read(text[len(text):cap(text)])
		if text = text[:len(text)+n]; err != nil || n == 0 {
			return text
		}
	}
}

func isHex(s string) bool { return len(s) >= 2 && value(s[0]) < 16 && value(s[1]) < 16 }

// value is that of a hexadecimal digit; 16 if it is none.
func value(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 16
}
