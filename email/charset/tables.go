package charset

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Decoders decode several times as fast as golang.org/x/text does, by tables for
// which x/text is asked once, when an encoding is first met, what each octet and
// each pair of octets means. They are safe for concurrent use. The zero value has
// no tables and leaves all to x/text, which does for a few words.
type Decoders struct {
	mu    sync.Mutex
	fresh map[encoding.Encoding]func() transform.Transformer
}

// NewDecoders returns Decoders that keep tables: half a megabyte for each
// encoding of two octets that is met.
func NewDecoders() *Decoders {
	return &Decoders{fresh: map[encoding.Encoding]func() transform.Transformer{}}
}

// decoder returns a decoder for one text at a time.
func (d *Decoders) decoder(e encoding.Encoding) transform.Transformer {
	if d.fresh == nil {
		return exact(e)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	fresh, made := d.fresh[e]
	if !made {
		fresh = tabled(e)
		d.fresh[e] = fresh
	}
	return fresh()
}

// exact is the decoder that x/text has.
func exact(e encoding.Encoding) transform.Transformer { return e.NewDecoder().Transformer }

// tabled returns what makes decoders of an encoding.
func tabled(e encoding.Encoding) func() transform.Transformer {
	switch e {
	case japanese.ISO2022JP:
		two, more := lettersBehind(e, "\x1b$B"), lettersBehind(e, "\x1b$(D")
		return func() transform.Transformer { return &iso2022{sets: [...]*letters{kanji: two, supplement: more}} }
	case simplifiedchinese.HZGB2312:
		hanzi := lettersBehind(e, "~{")
		return func() transform.Transformer { return &hz{hanzi: hanzi} }
	case unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM):
		return func() transform.Transformer { return utf16Decoder{} }
	case unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM):
		return func() transform.Transformer { return utf16Decoder{big: true} }
	}
	switch kind(exact(e)) {
	case ofOne:
		s := &singles{}
		for c := range s {
			s[c] = ask(exact(e), "", byte(c))
		}
		return func() transform.Transformer { return s }
	case ofTwo:
		p := &pairs{letters: lettersBehind(e, ""), exact: exact(e)}
		switch e {
		case japanese.EUCJP:
			p.lead, p.third = 0x8f, lettersBehind(e, "\x8f")
		case simplifiedchinese.GB18030:
			p.fourth = lettersOfFour(e)
		}
		return func() transform.Transformer { return p }
	case ofOther:
	}
	return func() transform.Transformer { return exact(e) }
}

// width is how many octets the letters of an encoding have.
type width uint8

const (
	ofOne width = iota
	ofTwo       // or one, or now and then more
	ofOther
)

// kind says which, of an encoding without state in which ASCII stands for itself.
func kind(d transform.Transformer) width {
	if _, keepsState := d.(*utf7Decoder); keepsState {
		return ofOther
	}
	of, dst := ofOne, [8]byte{}
	for c := range 256 {
		n, size, err := d.Transform(dst[:], []byte{byte(c)}, false)
		switch {
		case c < utf8.RuneSelf && (err != nil || n != 1 || dst[0] != byte(c)):
			return ofOther
		case errors.Is(err, transform.ErrShortSrc) && size == 0:
			of = ofTwo
		case err != nil:
			return ofOther
		}
	}
	return of
}

// letter is what an octet or a pair of octets stands for, in one word: UTF-8, its
// first octet in the lowest bits; how many octets of it; with how many octets it is
// written, 0 being more than there are; and whether it stands for nothing.
type letter uint64

// sizeAt is where in a letter the number of octets is that it is written with.
const sizeAt = 40

func newLetter(text []byte, size int) letter {
	padded := [4]byte{}
	copy(padded[:], text)
	l := letter(binary.LittleEndian.Uint32(padded[:])) | letter(len(text)&0xff)<<32 | letter(size&0xff)<<sizeAt
	if bytes.Contains(text, []byte("\uFFFD")) {
		l |= 1 << 48
	}
	return l
}

func (l letter) n() int    { return int(l >> 32 & 0xff) }
func (l letter) size() int { return int(l >> sizeAt & 0xff) }
func (l letter) lost() int { return int(l >> 48) }

// common reports whether two octets become three, as nearly all of Chinese, Japanese
// and Korean do. Where the next letter begins is then known before this one was
// looked up, which makes a decoder twice as fast.
func (l letter) common() bool { return l>>32 == 3|2<<8 }

// put writes a letter; four octets of dst are overwritten in any case.
func (l letter) put(dst []byte) int {
	binary.LittleEndian.PutUint32(dst, uint32(l&0xffffffff))
	return l.n()
}

// letters has a letter for each pair of octets, the first in the higher bits.
type letters [1 << 16]letter

func (l *letters) of(first, second byte) letter { return l[uint(first)<<8|uint(second)] }

// lettersBehind asks for each pair of octets behind a prefix.
func lettersBehind(e encoding.Encoding, prefix string) *letters {
	d, all := exact(e), &letters{}
	for first := range 256 {
		for second := range 256 {
			all[first<<8|second] = ask(d, prefix, byte(first), byte(second))
		}
	}
	return all
}

// ask decodes octets behind a prefix that stands for nothing by itself. What of
// them stands for more than fits into a letter are two letters.
func ask(d transform.Transformer, prefix string, octets ...byte) letter {
	d.Reset()
	dst := [16]byte{}
	n, size, err := d.Transform(dst[:], append([]byte(prefix), octets...), false)
	if size -= len(prefix); size <= 0 || err != nil && !errors.Is(err, transform.ErrShortSrc) {
		return 0
	}
	if n > 4 {
		_, n = utf8.DecodeRune(dst[:])
		size = 1
	}
	return newLetter(dst[:n], size)
}

// roomOfLetter is what a letter writes at most.
const roomOfLetter = utf8.UTFMax

// highBits are set in octets that are not ASCII.
const highBits = 0x8080808080808080

// plainRun copies octets that are ASCII, as many as there are, and room for.
func plainRun(dst, src []byte) int {
	n, most := 0, min(len(dst), len(src))
	for n+8 <= most {
		w := binary.LittleEndian.Uint64(src[n:])
		if w&highBits != 0 {
			break
		}
		binary.LittleEndian.PutUint64(dst[n:], w)
		n += 8
	}
	for n < most && src[n] < utf8.RuneSelf {
		dst[n] = src[n]
		n++
	}
	return n
}

// singles decode an encoding whose letters have one octet.
type singles [256]letter

// Reset does nothing: there is no state.
func (*singles) Reset() {}

// Transform decodes what there is, eight octets at a time.
func (s *singles) Transform(dst, src []byte, _ bool) (nDst, nSrc int, err error) {
	for len(src)-nSrc >= 8 && len(dst)-nDst >= 8*roomOfLetter {
		w := binary.LittleEndian.Uint64(src[nSrc:])
		if w&highBits == 0 {
			binary.LittleEndian.PutUint64(dst[nDst:], w)
			nDst, nSrc = nDst+8, nSrc+8
			continue
		}
		for range 8 {
			nDst += s[w&0xff].put(dst[nDst:])
			w >>= 8
		}
		nSrc += 8
	}
	for nSrc < len(src) {
		if len(dst)-nDst < roomOfLetter {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += s[src[nSrc]].put(dst[nDst:])
		nSrc++
	}
	return nDst, nSrc, nil
}

func (s *singles) measure(src []byte) (size, lost int) {
	var both [256]uint64 // octets of the letter, and in the upper half whether it stands for nothing
	for c, l := range s {
		both[c] = uint64(l>>32&0xff | l>>48<<32)
	}
	var sum uint64
	for _, c := range src {
		sum += both[c]
	}
	return int(sum & 0xffffffff), int(sum >> 32)
}

// pairs decode an encoding whose letters have two octets, or one. Its longer
// letters are rare.
type pairs struct {
	letters *letters
	lead    byte     // begins letters of three octets
	third   *letters // of their other two; nil if there are none
	fourth  []letter // of four octets (GB 18030); nil if there are none
	exact   transform.Transformer
}

// Reset does nothing: there is no state.
func (*pairs) Reset() {}

// Transform decodes what there is.
func (p *pairs) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		n := plainRun(dst[nDst:], src[nSrc:])
		nDst, nSrc = nDst+n, nSrc+n
		n, size := p.run(dst[nDst:], src[nSrc:])
		nDst, nSrc = nDst+n, nSrc+size
		switch {
		case nSrc == len(src):
			return nDst, nSrc, nil
		case len(dst)-nDst < roomOfLetter:
			return nDst, nSrc, transform.ErrShortDst
		case src[nSrc] < utf8.RuneSelf:
			continue
		}
		if n, size, err = p.other(dst[nDst:], src[nSrc:], atEOF); err != nil {
			return nDst, nSrc, err
		}
		nDst, nSrc = nDst+n, nSrc+size
	}
	return nDst, nSrc, nil
}

// run decodes letters up to where two of ASCII stand side by side.
func (p *pairs) run(dst, src []byte) (n, size int) {
	for len(src)-size >= 2 && len(dst)-n >= roomOfLetter {
		if src[size] < utf8.RuneSelf {
			if src[size+1] < utf8.RuneSelf {
				break
			}
			dst[n] = src[size]
			n, size = n+1, size+1
			continue
		}
		l := p.letters.of(src[size], src[size+1])
		if l.common() {
			l.put(dst[n:])
			n, size = n+3, size+2
			continue
		}
		if l == 0 {
			if l = p.longer(src[size:]); l == 0 {
				break
			}
		}
		n += l.put(dst[n:])
		size += l.size()
	}
	return n, size
}

func (p *pairs) measure(src []byte) (size, lost int) {
	var dst [2 * longest]byte
	for i := 0; i < len(src); {
		n := ascii(src[i:])
		size, i = size+n, i+n
		for len(src)-i >= 2 {
			if src[i] < utf8.RuneSelf {
				if src[i+1] < utf8.RuneSelf {
					break
				}
				size, i = size+1, i+1
				continue
			}
			l := p.letters.of(src[i], src[i+1])
			if l.common() {
				size, i = size+3, i+2
				continue
			}
			if l == 0 {
				if l = p.longer(src[i:]); l == 0 {
					break
				}
			}
			size, lost, i = size+l.n(), lost+l.lost(), i+l.size()
		}
		if i < len(src) && src[i] >= utf8.RuneSelf {
			n, read, _ := p.other(dst[:], src[i:], true)
			size, lost, i = size+n, lost+bytes.Count(dst[:n], []byte("\uFFFD")), i+read
		}
	}
	return size, lost
}

// longest is more octets than any letter has.
const longest = 8

// other decodes octets that no table has: they are no letter, or the last ones of a
// text.
func (p *pairs) other(dst, src []byte, atEOF bool) (n, size int, err error) {
	if len(src) > longest {
		src, atEOF = src[:longest], false
	}
	if n, size, err = p.exact.Transform(dst, src, atEOF); size > 0 {
		err = nil
	}
	return n, size, err
}

// longer is the letter of three or four octets that begins here; 0 if none does.
func (p *pairs) longer(src []byte) letter {
	switch {
	case len(src) < 4:
	case p.fourth != nil:
		return p.ofFour(src)
	case p.third != nil && src[0] == p.lead:
		if l := p.third.of(src[1], src[2]); l.size() == 2 {
			return l + 1<<sizeAt
		}
	}
	return 0
}

// The letters of four octets of GB 18030 are numbered; the first are those of the
// basic plane, all others follow from a certain number on.
const (
	lettersInPlane = 39420
	firstBeyond    = 189000
	lettersBeyond  = 1 << 20
)

// lettersOfFour asks for the letters of four octets in the basic plane.
func lettersOfFour(e encoding.Encoding) []letter {
	d, dst := exact(e), [8]byte{}
	all := make([]letter, lettersInPlane)
	for i := range all {
		src := []byte{byte(0x81 + i/12600), byte(0x30 + i/1260%10), byte(0x81 + i/10%126), byte(0x30 + i%10)}
		if n, size, err := d.Transform(dst[:], src, true); err == nil && size == len(src) {
			all[i] = newLetter(dst[:n], size)
		}
	}
	return all
}

// ofFour is the letter of four octets that begins here; 0 if none does.
func (p *pairs) ofFour(src []byte) letter {
	a, b, c, d := int(src[0])-0x81, int(src[1])-0x30, int(src[2])-0x81, int(src[3])-0x30
	if a < 0 || b < 0 || b > 9 || c < 0 || c > 125 || d < 0 || d > 9 {
		return 0
	}
	switch n := ((a*10+b)*126+c)*10 + d; {
	case n < lettersInPlane:
		return p.fourth[n]
	case n >= firstBeyond && n < firstBeyond+lettersBeyond:
		var text [utf8.UTFMax]byte
		return newLetter(text[:utf8.EncodeRune(text[:], rune(n-firstBeyond+0x10000))], 4)
	}
	return 0
}
