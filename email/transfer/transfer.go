// Package transfer undoes the content transfer encodings of mail (RFC 2045,
// section 6) as streams, straight from the raw octets.
//
// Its readers never fail. What a strict decoder would refuse is passed over, and
// [inreply/email/guard] has counted it before: octets that are no base64, text
// behind the padding, an equals sign in quoted-printable that introduces nothing.
// A reader allocates nothing but itself.
package transfer

import (
	"bytes"
	"io"
)

// Base64 decodes base64. Octets outside of the alphabet are passed over. Padding
// ends a run of digits, and another run may follow it.
func Base64(encoded []byte) io.Reader { return &base64Reader{src: encoded} }

type base64Reader struct {
	src    []byte
	bits   uint32 // of digits that make no three octets yet
	digits uint   // how many they are
	ready  [3]byte
	left   []byte // of ready
}

func (r *base64Reader) Read(p []byte) (int, error) {
	n := copy(p, r.left)
	r.left = r.left[n:]
	for n < len(p) && len(r.left) == 0 {
		if r.digits == 0 && len(p)-n >= 3 {
			n += r.quanta(p[n:])
		}
		if n == len(p) {
			break
		}
		size, more := r.slow()
		if !more && size == 0 {
			break
		}
		m := copy(p[n:], r.ready[:size])
		r.left = r.ready[m:size]
		n += m
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// quanta decodes four digits into three octets for as long as there is nothing
// but digits.
func (r *base64Reader) quanta(p []byte) int {
	src, n := r.src, 0
	for len(src) >= 4 && len(p)-n >= 3 {
		a, b, c, d := digits[src[0]], digits[src[1]], digits[src[2]], digits[src[3]]
		if a|b|c|d > 63 {
			break
		}
		bits := uint32(a)<<18 | uint32(b)<<12 | uint32(c)<<6 | uint32(d)
		out := p[n : n+3 : n+3]
		out[0], out[1], out[2] = byte(bits>>16&0xff), byte(bits>>8&0xff), byte(bits&0xff)
		n += 3
		src = src[4:]
	}
	r.src = src
	return n
}

// slow reads octet by octet until there are octets ready, and reports how many,
// and whether anything is left to read.
func (r *base64Reader) slow() (size int, more bool) {
	for i, c := range r.src {
		v := digits[c]
		if v <= 63 {
			r.bits = r.bits<<6 | uint32(v)
			r.digits++
		}
		if r.digits == 4 || v == pad && r.digits > 0 {
			r.src = r.src[i+1:]
			if size = r.flush(); size > 0 {
				return size, true
			}
			return 0, true
		}
	}
	r.src = nil
	return r.flush(), false
}

// flush makes octets of the digits so far; what is left of their bits is dropped.
func (r *base64Reader) flush() int {
	bits := r.bits << (6 * (4 - r.digits))
	size := int(r.digits) * 6 / 8
	r.ready = [3]byte{byte(bits >> 16 & 0xff), byte(bits >> 8 & 0xff), byte(bits & 0xff)}
	r.bits, r.digits = 0, 0
	return size
}

// QuotedPrintable decodes quoted-printable. White space at the end of a line was
// put there on the way and is dropped (RFC 2045, section 6.7, rule 3). An equals
// sign that introduces nothing stands for itself.
func QuotedPrintable(encoded []byte) io.Reader { return &quotedReader{src: encoded} }

type quotedReader struct {
	src   []byte
	plain int // octets at the beginning of src that stand for themselves
}

func (r *quotedReader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && len(r.src) > 0 {
		if r.plain > 0 {
			m := copy(p[n:], r.src[:r.plain])
			r.src, r.plain = r.src[m:], r.plain-m
			n += m
			continue
		}
		m, more := r.near(p[n:])
		if n += m; n == len(p) || len(r.src) == 0 {
			break
		}
		if more {
			r.plain = special(r.src)
			continue
		}
		switch c := r.src[0]; c {
		case '=':
			size, is := equals(r.src)
			if is {
				p[n] = '='
				n++
			}
			r.src = r.src[size:]
		case ' ', '\t':
			r.white()
		default:
			r.plain = special(r.src)
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// longRun is how many octets side by side stand for themselves before it is worth
// looking for the end of them all together.
const longRun = 24

// near decodes octet by octet, up to a long run, or to what needs a closer look:
// an equals sign that introduces no octet nor ends a line, and white space that may
// end one. It leaves the last octets of a body. It reports whether it was a long run
// that ended it.
func (r *quotedReader) near(p []byte) (n int, long bool) {
	src, run := r.src, 0
	for n < len(p) && len(src) > 2 && run < longRun {
		c := src[0]
		if c != '=' {
			if (c == ' ' || c == '\t') && mayEnd(src[1]) {
				break
			}
			p[n] = c
			src = src[1:]
			n, run = n+1, run+1
			continue
		}
		run = 0
		if high, low := hexDigits[src[1]], hexDigits[src[2]]; high|low < 16 {
			p[n] = high<<4 | low
			src = src[3:]
			n++
		} else if src[1] == '\n' {
			src = src[2:]
		} else if src[1] == '\r' && src[2] == '\n' {
			src = src[3:]
		} else {
			break
		}
	}
	r.src = src
	return n, run == longRun
}

// mayEnd reports whether white space before an octet may end a line.
func mayEnd(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// special is how many octets stand for themselves, before one that needs a closer
// look: an equals sign, or white space that may end a line. It looks a short way
// ahead only, so that a text of nothing else is not read again and again.
func special(src []byte) int {
	const ahead = 256
	src = src[:min(len(src), ahead)]
	for at := 0; at < len(src); {
		line := src[at:]
		if n := bytes.IndexByte(line, '\n'); n >= 0 {
			line = line[:n+1]
		}
		if n := bytes.IndexByte(line, '='); n >= 0 {
			return at + n
		}
		if n := words(line); n >= 0 {
			return at + n
		}
		at += len(line)
	}
	return len(src)
}

// words is where the white space at the end of a line begins; -1 if there is none.
func words(line []byte) int {
	end := len(line)
	if end > 0 && line[end-1] == '\n' {
		end--
	}
	if end > 0 && line[end-1] == '\r' {
		end--
	}
	n := end
	for n > 0 && (line[n-1] == ' ' || line[n-1] == '\t') {
		n--
	}
	if n == end {
		return -1
	}
	return n
}

// white passes over white space at the end of a line, and takes any other as it
// is.
func (r *quotedReader) white() {
	i := 0
	for i < len(r.src) && (r.src[i] == ' ' || r.src[i] == '\t') {
		i++
	}
	if endsLine(r.src[i:]) {
		r.src = r.src[i:]
		return
	}
	r.plain = i
}

func endsLine(src []byte) bool {
	return len(src) == 0 || src[0] == '\n' || src[0] == '\r' && (len(src) == 1 || src[1] == '\n')
}

// equals reads an equals sign that introduces no octet: it is at the end of a line
// that goes on, or stands for itself. It takes size octets of src.
func equals(src []byte) (size int, is bool) {
	i := 1
	for i < len(src) && i < 100 && (src[i] == ' ' || src[i] == '\t') {
		i++
	}
	switch {
	case i == len(src):
		return i, false
	case src[i] == '\n':
		return i + 1, false
	case src[i] == '\r' && i+1 < len(src) && src[i+1] == '\n':
		return i + 2, false
	}
	return 1, true
}

// pad is the entry of the equals sign in digits; what is no digit has 0xff.
const pad = 0x40

// digits has the value of each base64 digit.
const digits = no16 + no16 + // controls
	"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x3e\xff\xff\xff\x3f" + // + and /
	"\x34\x35\x36\x37\x38\x39\x3a\x3b\x3c\x3d\xff\xff\xff\x40\xff\xff" + // 0 to 9, =
	"\xff\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e" + // A to O
	"\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\xff\xff\xff\xff\xff" + // P to Z
	"\xff\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x27\x28" + // a to o
	"\x29\x2a\x2b\x2c\x2d\x2e\x2f\x30\x31\x32\x33\xff\xff\xff\xff\xff" + // p to z
	no16 + no16 + no16 + no16 + no16 + no16 + no16 + no16

const no16 = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"

// hexDigits has the value of each hexadecimal digit.
const hexDigits = no16 + no16 + no16 +
	"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\xff\xff\xff\xff\xff\xff" + // 0 to 9
	"\xff\x0a\x0b\x0c\x0d\x0e\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff" + // A to F
	no16 +
	"\xff\x0a\x0b\x0c\x0d\x0e\x0f\xff\xff\xff\xff\xff\xff\xff\xff\xff" + // a to f
	no16 + no16 + no16 + no16 + no16 + no16 + no16 + no16 + no16
