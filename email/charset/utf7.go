package charset

import (
	"bytes"
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
	for nSrc < len(src) {
		if len(dst)-nDst < room {
			return nDst, nSrc, transform.ErrShortDst
		}
		switch c := src[nSrc]; {
		case d.shifted && digit(c) < 64:
			n, m := d.digits(dst[nDst:], src[nSrc:])
			nDst, nSrc = nDst+n, nSrc+m
			continue
		case d.shifted:
			nDst += d.unshift(dst[nDst:])
			if c == '-' { // it only ends the digits
				nSrc++
			}
			continue
		case c == '+':
			*d = utf7Decoder{shifted: true, empty: true}
			nSrc++
			continue
		case c >= utf8.RuneSelf:
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
			nSrc++
			continue
		}
		n := plain(src[nSrc:])
		n = copy(dst[nDst:], src[nSrc:nSrc+n])
		nDst, nSrc = nDst+n, nSrc+n
	}
	if !atEOF {
		return nDst, nSrc, nil
	}
	if len(dst)-nDst < room {
		return nDst, nSrc, transform.ErrShortDst
	}
	return nDst + d.unshift(dst[nDst:]), nSrc, nil
}

// plain is how many octets of ASCII stand before the next plus sign.
func plain(src []byte) int {
	if n := bytes.IndexByte(src, '+'); n >= 0 {
		src = src[:n]
	}
	return ascii(src)
}

// digits decodes digits for as long as there are any, and room for what they make.
func (d *utf7Decoder) digits(dst, src []byte) (nDst, nSrc int) {
	d.empty = false
	bits, count := d.bits, d.count
	for nSrc < len(src) && len(dst)-nDst >= room {
		v := digit(src[nSrc])
		if v >= 64 {
			break
		}
		nSrc++
		bits, count = bits<<6|uint32(v), count+6
		if count < 16 {
			continue
		}
		count -= 16
		unit := rune(bits >> count & 0xffff)
		if d.lead == 0 && (unit < 0xd800 || unit > 0xdfff) {
			nDst += utf8.EncodeRune(dst[nDst:], unit)
			continue
		}
		nDst += d.unit(dst[nDst:], unit)
	}
	d.bits, d.count = bits, count
	return nDst, nSrc
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

// digit is the value of a base64 digit; 64 or more if it is none.
func digit(c byte) byte { return digits7[c] }

// digits7 has the value of each base64 digit.
const digits7 = none + none + "@@@@@@@@@@@" + "\x3e" + "@@@" + "\x3f" +
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d" + "@@@@@@" +
	"@" + "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19" + "@@@@@" +
	"@" + "\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33" + "@@@@@" +
	none + none + none + none + none + none + none + none

const none = "@@@@@@@@@@@@@@@@"
