package charset

import (
	"bytes"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// iso2022 decodes ISO-2022-JP (RFC 1468), in which escape sequences choose the set
// that the octets behind them are of.
type iso2022 struct {
	set  set
	sets [4]*letters // of the sets of two octets
}

type set uint8

// The sets of ISO-2022-JP.
const (
	roman set = iota
	katakana
	kanji
	supplement
)

// Reset makes the decoder ready for another text.
func (d *iso2022) Reset() { d.set = roman }

// escape reads an escape sequence, and returns its size. None is 0, an incomplete
// one is -1.
func escape(src []byte) (chosen set, size int) {
	if len(src) < 3 {
		return 0, -1
	}
	switch string(src[1:3]) {
	case "$@", "$B":
		return kanji, 3
	case "(B", "(J":
		return roman, 3
	case "(I":
		return katakana, 3
	case "$(":
		if len(src) < 4 {
			return 0, -1
		}
		if src[3] == 'D' {
			return supplement, 4
		}
	}
	return 0, 0
}

// Transform decodes what there is.
func (d *iso2022) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < roomOfLetter {
			return nDst, nSrc, transform.ErrShortDst
		}
		switch c := src[nSrc]; {
		case c == '\x1b':
			chosen, size := escape(src[nSrc:])
			if size < 0 && !atEOF {
				return nDst, nSrc, transform.ErrShortSrc
			}
			if size > 0 {
				d.set = chosen
				nSrc += size
				continue
			}
		case c >= utf8.RuneSelf:
		case d.set == roman:
			n := until('\x1b', dst[nDst:], src[nSrc:])
			nDst, nSrc = nDst+n, nSrc+n
			continue
		case d.set == katakana && c >= 0x21 && c < 0x60:
			nDst += utf8.EncodeRune(dst[nDst:], rune(c)+0xff61-0x21)
			nSrc++
			continue
		case d.set == katakana:
		case c == '\n':
			d.set = roman // a line begins in ASCII
			continue
		case len(src)-nSrc >= 2:
			n, size := d.sets[d.set].run(dst[nDst:], src[nSrc:])
			nDst, nSrc = nDst+n, nSrc+size
			continue
		case !atEOF:
			return nDst, nSrc, transform.ErrShortSrc
		}
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		nSrc++
	}
	return nDst, nSrc, nil
}

// run decodes a letter of two octets that are ASCII, and those behind it, up to
// what may end them.
func (l *letters) run(dst, src []byte) (n, size int) {
	for {
		x := l.of(src[size], src[size+1])
		if x.common() {
			x.put(dst[n:])
			n, size = n+3, size+2
		} else {
			n += x.put(dst[n:])
			size += x.size()
		}
		if len(src)-size < 2 || len(dst)-n < roomOfLetter || src[size] < 0x21 || src[size] >= '~' {
			return n, size
		}
	}
}

// until copies ASCII up to an octet, as much as there is room for. It is mostly
// near.
func until(end byte, dst, src []byte) int {
	src = src[:min(len(dst), len(src))]
	n := 0
	for ; n < len(src) && n < 16; n++ {
		if src[n] == end || src[n] >= utf8.RuneSelf {
			return n
		}
		dst[n] = src[n]
	}
	if at := bytes.IndexByte(src[n:], end); at >= 0 {
		src = src[:n+at]
	}
	return n + plainRun(dst[n:], src[n:])
}

// hz decodes HZ (RFC 1843), in which "~{" and "~}" stand around Chinese.
type hz struct {
	chinese bool
	hanzi   *letters
}

// Reset makes the decoder ready for another text.
func (d *hz) Reset() { d.chinese = false }

// Transform decodes what there is.
func (d *hz) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < roomOfLetter {
			return nDst, nSrc, transform.ErrShortDst
		}
		c, pair := src[nSrc], len(src)-nSrc >= 2
		switch {
		case c >= utf8.RuneSelf:
		case !d.chinese && c != '~':
			n := until('~', dst[nDst:], src[nSrc:])
			nDst, nSrc = nDst+n, nSrc+n
			continue
		case !pair && !atEOF:
			return nDst, nSrc, transform.ErrShortSrc
		case !pair:
		case c == '~':
			nDst += d.tilde(dst[nDst:], src[nSrc+1])
			nSrc += 2
			continue
		default:
			n, size := d.hanzi.run(dst[nDst:], src[nSrc:])
			nDst, nSrc = nDst+n, nSrc+size
			continue
		}
		nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		nSrc++
	}
	return nDst, nSrc, nil
}

// tilde reads what stands behind a tilde.
func (d *hz) tilde(dst []byte, c byte) int {
	switch c {
	case '{':
		d.chinese = true
	case '}':
		d.chinese = false
	case '~':
		dst[0] = '~'
		return 1
	case '\n': // the line goes on
	default:
		return utf8.EncodeRune(dst, utf8.RuneError)
	}
	return 0
}
