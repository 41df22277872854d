package guard

import "bytes"

// tally counts a base64 body without decoding it.
type tally struct {
	digits  int64 // since the last padding
	decoded int64
	bad     int64

	slow    bool        // the last piece had something else than digits and line ends in it
	weights *[256]int64 // of octets, where they are counted one by one; nil if not yet
}

// piece is how much is looked at together: it stays in the processor's nearest
// cache while its line ends are counted.
const piece = 4 << 10

// add counts a text. Nearly all pieces of one have nothing but digits in them,
// and line ends.
func (t *tally) add(text []byte) {
	for len(text) > 0 {
		p := text[:min(len(text), piece)]
		text = text[len(p):]
		// Where one piece had something else in it, the next one has, too.
		if t.slow || seen(p)&^(digit|lineEnd) != 0 {
			t.slow = t.addSlowly(p)
			continue
		}
		t.digits += int64(len(p) - bytes.Count(p, []byte("\n")) - bytes.Count(p, []byte("\r")))
	}
}

// addSlowly counts a text octet by octet. Digits are in the lower half of a sum,
// what is bad in the upper half. It reports whether there was anything but digits
// and line ends.
func (t *tally) addSlowly(text []byte) (more bool) {
	if t.weights == nil {
		t.weights = weights()
	}
	w, decoded := t.weights, t.decoded
	sum := t.digits | t.bad<<32
	before := sum >> 32
	for _, c := range text {
		if c != '=' {
			sum += w[c]
			continue
		}
		more = true
		digits := sum & lowerHalf
		if digits == 0 {
			continue
		}
		sum += int64(broken[digits&3]) << 32
		sum -= digits
		decoded += digits>>2*3 + int64(octetsOf[digits&3])
	}
	t.digits, t.bad, t.decoded = sum&lowerHalf, sum>>32, decoded
	return more || sum>>32 > before
}

const lowerHalf = 1<<32 - 1

// weights are what each octet adds to the sum.
func weights() *[256]int64 {
	var w [256]int64
	for c := range w {
		switch class[c] {
		case digit:
			w[c] = 1
		case other:
			w[c] = 1 << 32
		}
	}
	return &w
}

// What the digits behind the last four of a run make: octets, or nothing, for six
// bits are none.
const (
	octetsOf = "\x00\x00\x01\x02"
	broken   = "\x00\x01\x00\x00"
)

// end ends a run of digits: at padding, which may be followed by another run, for
// there are programs that encode a file in pieces, and at the end of the body.
func (t *tally) end() {
	t.decoded += t.digits/4*3 + int64(octetsOf[t.digits%4])
	t.bad += int64(broken[t.digits%4])
	t.digits = 0
}

// seen are the classes of all octets of a text.
func seen(text []byte) (all byte) {
	for len(text) >= 8 {
		w := text[:8]
		all |= class[w[0]] | class[w[1]] | class[w[2]] | class[w[3]] | class[w[4]] | class[w[5]] | class[w[6]] | class[w[7]]
		text = text[8:]
	}
	for _, c := range text {
		all |= class[c]
	}
	return all
}

// The classes of octets in a base64 body.
const (
	digit   = 0
	lineEnd = 1
	padding = 2
	other   = 4
	gap     = 8 // a blank or a tab
)

// class has the class of each octet.
const class = "\x04\x04\x04\x04\x04\x04\x04\x04\x04\x08\x01\x04\x04\x01\x04\x04" +
	"\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04" +
	"\x08\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x00\x04\x04\x04\x00" + // + /
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x02\x04\x04" + // 0 to 9, =
	"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // A to Z
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x04\x04" +
	"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // a to z
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x04\x04" +
	others + others + others + others + others + others + others + others

const others = "\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04"
