package header

import (
	"strconv"
	"strings"

	"inreply/email/charset"
)

// Extended returns a parameter of a field that is written as RFC 2231 has it: in a
// charset that it names, as in name*=utf-8'en'a, or in pieces, as in name*0=a;
// name*1=b. It reports whether there is one. White space and quotes that the RFC
// does not allow there are tolerated, for there are programs that write them.
func Extended(value, name string) (string, bool) {
	var pieces []piece
	for value != "" {
		var parameter string
		parameter, value = cutParameter(value)
		key, text, ok := strings.Cut(parameter, "=")
		if !ok {
			continue
		}
		p, ok := pieceOf(strings.TrimSpace(key), name)
		if !ok {
			continue
		}
		p.text = unquote(strings.TrimSpace(text))
		if p.whole {
			return joined([]piece{p}), true
		}
		pieces = append(pieces, p)
	}
	pieces = inOrder(pieces)
	return joined(pieces), len(pieces) > 0
}

// piece is a part of a value.
type piece struct {
	number  int
	encoded bool
	whole   bool // it is the only one, and has no number
	text    string
}

// mostPieces is how many pieces of a value are read. File names have a few.
const mostPieces = 200

// pieceOf reads the name of a piece: the parameter's, an asterisk, and a number,
// an asterisk, or both.
func pieceOf(key, name string) (piece, bool) {
	if len(key) <= len(name) || key[len(name)] != '*' || !strings.EqualFold(key[:len(name)], name) {
		return piece{}, false
	}
	number, encoded := strings.CutSuffix(key[len(name)+1:], "*")
	if number == "" && !encoded {
		return piece{encoded: true, whole: true}, true
	}
	n, err := strconv.Atoi(number)
	return piece{number: n, encoded: encoded}, err == nil && n >= 0 && n < mostPieces
}

// inOrder are the pieces by their numbers, up to the first that is missing. Of
// several with one number the first counts.
func inOrder(pieces []piece) []piece {
	var there [mostPieces]bool
	var all [mostPieces]piece
	for _, p := range pieces {
		if !there[p.number] {
			there[p.number], all[p.number] = true, p
		}
	}
	n := 0
	for n < mostPieces && there[n] {
		n++
	}
	return all[:n]
}

// joined decodes pieces. The first names the charset of all of them.
func joined(pieces []piece) string {
	var b strings.Builder
	name := ""
	for i, p := range pieces {
		text := p.text
		if i == 0 && p.encoded {
			if parts := strings.SplitN(text, "'", 3); len(parts) == 3 {
				name, text = parts[0], parts[2]
			}
		}
		if !p.encoded {
			b.WriteString(text)
			continue
		}
		writeDecoded(&b, text)
	}
	return charset.Short(name, b.String())
}

// writeDecoded writes a text without its percent encoding. A percent sign that
// introduces nothing stands for itself.
func writeDecoded(b *strings.Builder, text string) {
	for i := 0; i < len(text); i++ {
		if text[i] == '%' && isHex(text[i+1:]) {
			b.WriteByte(value(text[i+1])<<4 | value(text[i+2]))
			i += 2
			continue
		}
		b.WriteByte(text[i])
	}
}

// cutParameter takes off what stands before the next semicolon outside of quotes.
// A quote that is never closed is none.
func cutParameter(value string) (parameter, rest string) {
	quoted, start := false, 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted, start = !quoted, i
		case c == ';' && !quoted:
			return value[:i], value[i+1:]
		}
	}
	if quoted {
		if at := strings.IndexByte(value[start:], ';'); at >= 0 {
			return value[:start+at], value[start+at+1:]
		}
	}
	return value, ""
}
