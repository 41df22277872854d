package charset

import (
	"unicode/utf16"
	"unicode/utf8"

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

// utf7Decoder decodes octet by octet. Between a plus sign and the first octet that
// is no base64 digit, digits make units of UTF-16.
type utf7Decoder struct {
	shifted bool   // within digits
	empty   bool   // there was none yet
	bits    uint32 // of digits that make no unit yet
	count   uint   // of these bits
	lead    rune   // first half of a surrogate pair; 0 if there is none
}

// Reset makes the decoder ready for another text.
func (d *utf7Decoder) Reset() { *d = utf7Decoder{} }

// room is what one octet writes at most: two letters.
const room = 2 * utf8.UTFMax

// Transform decodes what there is.
func (d *utf7Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for ; nSrc < len(src); nSrc++ {
		if len(dst)-nDst < room {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += d.octet(dst[nDst:], src[nSrc])
	}
	if !atEOF {
		return nDst, nSrc, nil
	}
	if len(dst)-nDst < room {
		return nDst, nSrc, transform.ErrShortDst
	}
	return nDst + d.unshift(dst[nDst:]), nSrc, nil
}

// octet decodes one, and reports how many octets it wrote.
func (d *utf7Decoder) octet(dst []byte, c byte) int {
	if !d.shifted && c == '+' {
		*d = utf7Decoder{shifted: true, empty: true}
		return 0
	}
	if !d.shifted {
		dst[0] = c
		return 1
	}
	if v := digit(c); v < 64 {
		return d.digit(dst, v)
	}
	n := d.unshift(dst)
	if c == '-' {
		return n // it only ends the digits
	}
	dst[n] = c
	return n + 1
}

func (d *utf7Decoder) digit(dst []byte, v byte) int {
	d.empty = false
	d.bits, d.count = d.bits<<6|uint32(v), d.count+6
	if d.count < 16 {
		return 0
	}
	d.count -= 16
	unit := rune(d.bits >> d.count & 0xffff)
	d.bits &= 1<<d.count - 1
	return d.unit(dst, unit)
}

// unit writes the letter that a unit of UTF-16 completes.
func (d *utf7Decoder) unit(dst []byte, unit rune) int {
	lead := d.lead
	d.lead = 0
	if lead != 0 {
		if r := utf16.DecodeRune(lead, unit); r != utf8.RuneError {
			return utf8.EncodeRune(dst, r)
		}
		n := utf8.EncodeRune(dst, utf8.RuneError)
		return n + d.unit(dst[n:], unit)
	}
	if unit >= 0xd800 && unit < 0xdc00 {
		d.lead = unit
		return 0
	}
	return utf8.EncodeRune(dst, unit)
}

// unshift ends a run of digits. One without any stands for a plus sign.
func (d *utf7Decoder) unshift(dst []byte) int {
	n := 0
	switch {
	case d.shifted && d.empty:
		dst[0] = '+'
		n = 1
	case d.lead != 0:
		n = utf8.EncodeRune(dst, utf8.RuneError)
	}
	*d = utf7Decoder{}
	return n
}

// digit is the value of a base64 digit; 64 if it is none.
func digit(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c - 'A'
	case c >= 'a' && c <= 'z':
		return c - 'a' + 26
	case c >= '0' && c <= '9':
		return c - '0' + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return 64
}
