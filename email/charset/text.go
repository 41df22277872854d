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

// repaired is a text in which each run of octets that are not UTF-8 becomes one
// U+FFFD.
func repaired(octets []byte) Text { return measure(&repair{}, octets) }

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
	for n+8 <= len(octets) && binary.LittleEndian.Uint64(octets[n:])&0x8080808080808080 == 0 {
		n += 8
	}
	for n < len(octets) && octets[n] < utf8.RuneSelf {
		n++
	}
	return n
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
		r, size := utf8.DecodeRune(src[nSrc:])
		broken := r == utf8.RuneError && size == 1
		if !broken || !d.broken {
			nDst += utf8.EncodeRune(dst[nDst:], r)
		}
		nSrc += size
		d.broken = broken
	}
	return nDst, nSrc, nil
}
