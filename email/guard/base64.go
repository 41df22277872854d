package guard

// tally counts a base64 body without decoding it.
type tally struct {
	digits  int64 // since the last padding
	decoded int64
	bad     int64
}

// add counts one line. Nearly all lines have nothing but digits in them, and a
// line end.
func (t *tally) add(line []byte) {
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if allDigits(line) {
		t.digits += int64(len(line))
		return
	}
	for _, c := range line {
		switch class[c] {
		case digit:
			t.digits++
		case padding:
			t.end()
		case other:
			t.bad++
		}
	}
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

func allDigits(line []byte) bool {
	var seen byte
	for len(line) >= 8 {
		seen |= class[line[0]] | class[line[1]] | class[line[2]] | class[line[3]] |
			class[line[4]] | class[line[5]] | class[line[6]] | class[line[7]]
		line = line[8:]
	}
	for _, c := range line {
		seen |= class[c]
	}
	return seen == digit
}

// The classes of octets in a base64 body.
const (
	digit   = 0
	space   = 1
	padding = 2
	other   = 4
)

// class has the class of each octet.
const class = "\x04\x04\x04\x04\x04\x04\x04\x04\x04\x01\x01\x04\x04\x01\x04\x04" +
	"\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04" +
	"\x01\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x00\x04\x04\x04\x00" + // + /
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x02\x04\x04" + // 0 to 9, =
	"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // A to Z
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x04\x04" +
	"\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + // a to z
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x04\x04\x04\x04" +
	others + others + others + others + others + others + others + others

const others = "\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04\x04"
