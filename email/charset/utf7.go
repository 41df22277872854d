package charset

import (
	"bytes"
	"encoding/base64"
	"strings"
	"unicode/utf16"

	"golang.org/x/text/encoding"
	"golang.org/x/text/transform"
)

// utf7 is UTF-7 (RFC 2152), which some old programs still write.
type utf7 struct{}

func (utf7) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: new(utf7Decoder)}
}

// NewEncoder returns one that encodes nothing: UTF-7 is only read.
func (utf7) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: encoding.Nop.NewEncoder()}
}

// utf7Decoder decodes whole runs: one that is cut off by the end of what there is
// waits for more, unless it is longer than any that a program writes.
type utf7Decoder struct{ transform.NopResetter }

// longestRun is how many octets of one run are decoded at once.
const longestRun = 4000

func (*utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		size := piece(src[nSrc:])
		if nSrc+size == len(src) && !atEOF && src[nSrc] == '+' && size < longestRun {
			return nDst, nSrc, transform.ErrShortSrc
		}
		decoded := decode7(string(src[nSrc : nSrc+size]))
		if len(decoded) > len(dst)-nDst {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += copy(dst[nDst:], decoded)
		nSrc += size
	}
	return nDst, nSrc, nil
}

// piece is the length of a run at the beginning of src, or of what comes before
// the first.
func piece(src []byte) int {
	limit := min(len(src), longestRun)
	if src[0] != '+' {
		if at := bytes.IndexByte(src[:limit], '+'); at > 0 {
			return at
		}
		return limit
	}
	for i := 1; i < limit; i++ {
		if c := src[i]; !isDigit(rune(c)) {
			if c == '-' {
				i++
			}
			return i
		}
	}
	return limit
}

func isDigit(r rune) bool {
	return r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '+' || r == '/'
}

func decode7(text string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "+")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return !isDigit(r) })
		if end < 0 {
			end = len(rest)
		}
		if end == 0 {
			b.WriteByte('+')
		}
		b.WriteString(decode16(rest[:end]))
		text = strings.TrimPrefix(rest[end:], "-")
	}
}

// decode16 decodes base64 of UTF-16.
func decode16(digits string) string {
	if len(digits)%4 == 1 {
		digits = digits[:len(digits)-1]
	}
	octets, err := base64.RawStdEncoding.DecodeString(digits)
	if err != nil {
		return "\uFFFD"
	}
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	return string(utf16.Decode(units))
}
