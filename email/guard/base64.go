package guard

import "bytes"

// tally counts a base64 body without decoding it.
type tally struct {
	digits  int64 // since the last padding
	decoded int64
	bad     int64
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
		if seen(p)&^(digit|lineEnd) != 0 {
			t.addSlowly(p)
			continue
		}
		t.digits += int64(len(p) - bytes.Count(p, []byte("\n")) - bytes.Count(p, []byte("\r")))
	}
}

func (t *tally) addSlowly(text []byte) {
	digits := t.digits
	for _, c := range text {
		switch class[c] {
		case digit:
			digits++
		case padding:
			if digits > 0 {
				t.digits = digits
				t.end()
				digits = 0
			}
		case other:
			t.bad++
		}
	}
	t.digits = digits
}

// end ends a run of digits: at padding, which may be followed by another run, for
// there are programs that encode a file in pieces, and at the end of the body.
func (t *tally) end() {
	t.decoded += t.digits / 4 * 3
	switch t.digits % 4 {
	case 1:
		t.bad++ // six bits are no octet
	case 2:
		t.decoded++
	case 3:
		t.decoded += 2
	}
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
