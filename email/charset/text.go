package charset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// Text is a text that has a way to become UTF-8. It is decoded as it is read, and
// its size is known before, so that it never takes more than one copy.
type Text struct {
	octets  []byte
	decoder transform.Transformer // nil: the octets are UTF-8 already
	size    int
	lost    int // U+FFFD in it
}

// asIs is a text that is UTF-8.
func asIs(octets []byte) Text { return Text{octets: octets, size: len(octets)} }

// several is how many letters of several octets there must be, in a long text, for each
// octet that belongs to none.
const several = 4

// repaired is a text in which each run of octets that are not UTF-8 becomes one
// U+FFFD. It reports whether it is UTF-8 at all: there are more letters of several
// octets in it than octets that belong to none, and if it is long, several times as
// many all along.
func repaired(octets []byte) (t Text, mostly bool) {
	t = Text{octets: octets, decoder: &repair{}, size: len(octets)}
	good, bad, runs, broken := 0, 0, 0, false
	for i := 0; i < len(octets); {
		if octets[i] < utf8.RuneSelf {
			i += ascii(octets[i:])
			broken = false
			continue
		}
		if ofTwoOctets(octets[i:]) {
			good++
			i += 2
			broken = false
			continue
		}
		if size := letterSize(octets[i:]); size > 0 {
			good++
			i += size
			broken = false
			continue
		}
		if !broken {
			runs++
		}
		bad++
		i++
		broken = true
		if bad > 1000 && good < several*bad {
			return Text{}, false
		}
	}
	t.size += runs*len("\uFFFD") - bad
	t.lost = runs
	return t, good >= bad
}

// measure finds out what a text becomes.
func measure(decoder transform.Transformer, octets []byte) Text {
	t := Text{octets: octets, decoder: decoder}
	if m, ok := decoder.(interface{ measure([]byte) (size, lost int) }); ok {
		t.size, t.lost = m.measure(octets)
		return t
	}
	for p := range t.Pieces() {
		t.size += len(p)
		t.lost += bytes.Count(p, []byte("\uFFFD"))
	}
	return t
}

// Size is how many octets of UTF-8 the text becomes.
func (t Text) Size() int { return t.size }

// String decodes the text.
func (t Text) String() string {
	var b strings.Builder
	b.Grow(t.size)
	for p := range t.Pieces() {
		b.Write(p)
	}
	return b.String()
}

// longestPiece is how much of a text is decoded together: as much as stays in the
// processor's nearest caches.
const longestPiece = 16 << 10

// Pieces are the pieces of the text in UTF-8, each valid by itself. A piece must
// not be changed, nor kept.
func (t Text) Pieces() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if t.decoder == nil {
			yield(t.octets)
			return
		}
		piece := make([]byte, min(longestPiece, 16+4*len(t.octets)))
		t.decoder.Reset()
		for src := t.octets; ; {
			n, size, err := t.decoder.Transform(piece, src, true)
			if src = src[size:]; !errors.Is(err, transform.ErrShortDst) || n == 0 {
				if err != nil {
					n += copy(piece[n:], "\uFFFD")
				}
				yield(piece[:n])
				return
			}
			if !yield(piece[:n]) {
				return
			}
		}
	}
}

// ascii is how many octets are ASCII before the first that is not.
func ascii(octets []byte) int {
	n := 0
	for n+8 <= len(octets) && binary.LittleEndian.Uint64(octets[n:])&highBits == 0 {
		n += 8
	}
	for n < len(octets) && octets[n] < utf8.RuneSelf {
		n++
	}
	return n
}

// ofTwoOctets reports whether a letter of two octets begins here.
func ofTwoOctets(octets []byte) bool {
	return len(octets) > 1 && octets[0]-0xc2 < 0xe0-0xc2 && octets[1]&0xc0 == 0x80
}

// letterSize is how many octets the letter has that begins here and is not ASCII; 0
// if none does.
func letterSize(octets []byte) int {
	if ofTwoOctets(octets) {
		return 2
	}
	if octets[0] < 0xe0 || octets[0] > 0xf4 {
		return 0
	}
	if _, size := utf8.DecodeRune(octets); size > 1 {
		return size
	}
	return 0
}

// repair decodes UTF-8 with octets in it that are not.
type repair struct {
	broken bool // the last octet was none of a letter
}

// Reset makes the decoder ready for another text.
func (d *repair) Reset() { d.broken = false }

// Transform decodes what there is, which must be all.
func (d *repair) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < utf8.UTFMax {
			return nDst, nSrc, transform.ErrShortDst
		}
		if src[nSrc] < utf8.RuneSelf {
			n := plainRun(dst[nDst:], src[nSrc:])
			nDst, nSrc, d.broken = nDst+n, nSrc+n, false
			continue
		}
		if size := letterSize(src[nSrc:]); size > 0 {
			if len(src)-nSrc >= utf8.UTFMax {
				binary.LittleEndian.PutUint32(dst[nDst:], binary.LittleEndian.Uint32(src[nSrc:]))
			} else {
				copy(dst[nDst:], src[nSrc:nSrc+size])
			}
			nDst, nSrc, d.broken = nDst+size, nSrc+size, false
			continue
		}
		if !d.broken {
			nDst += utf8.EncodeRune(dst[nDst:], utf8.RuneError)
		}
		nSrc++
		d.broken = true
	}
	return nDst, nSrc, nil
}
