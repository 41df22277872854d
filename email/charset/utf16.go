package charset

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// utf16Decoder decodes UTF-16 (RFC 2781) without a byte order mark.
type utf16Decoder struct{ big bool }

// Reset does nothing: there is no state.
func (utf16Decoder) Reset() {}

func (d utf16Decoder) unit(src []byte) rune {
	if d.big {
		return rune(src[0])<<8 | rune(src[1])
	}
	return rune(src[1])<<8 | rune(src[0])
}

// Transform decodes what there is. Half of a pair of surrogates is none.
func (d utf16Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for len(src)-nSrc >= 2 {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		u, size := d.unit(src[nSrc:]), 2
		if u < utf8.RuneSelf {
			dst[nDst] = byte(u & 0x7f)
			nDst, nSrc = nDst+1, nSrc+2
			continue
		}
		if utf16.IsSurrogate(u) {
			switch {
			case len(src)-nSrc >= 4:
				if second := d.unit(src[nSrc+2:]); second >= 0xdc00 && second <= 0xdfff {
					u, size = utf16.DecodeRune(u, second), 4
				}
			case !atEOF:
				return nDst, nSrc, transform.ErrShortSrc
			}
		}
		nDst += utf8.EncodeRune(dst[nDst:], u)
		nSrc += size
	}
	if nSrc == len(src) {
		return nDst, nSrc, nil
	}
	if !atEOF {
		return nDst, nSrc, transform.ErrShortSrc
	}
	if len(dst)-nDst < utf8.UTFMax {
		return nDst, nSrc, transform.ErrShortDst
	}
	return nDst + utf8.EncodeRune(dst[nDst:], utf8.RuneError), nSrc + 1, nil
}

func (d utf16Decoder) measure(src []byte) (size, lost int) {
	for i := 0; i < len(src); i += 2 {
		if i+1 == len(src) {
			return size + len("\uFFFD"), lost + 1
		}
		switch u := d.unit(src[i:]); {
		case u < utf8.RuneSelf:
			size++
		case u < 0x800:
			size += 2
		case u == utf8.RuneError:
			size, lost = size+3, lost+1
		case u < 0xd800 || u > 0xdfff:
			size += 3
		case i+3 < len(src) && d.unit(src[i+2:])&0xfc00 == 0xdc00:
			i += 2
			if u < 0xdc00 {
				size += 4
				continue
			}
			fallthrough
		default:
			size, lost = size+3, lost+1
		}
	}
	return size, lost
}
