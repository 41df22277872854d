package delimited

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/unicode"
)

const utf8Mark = "\xEF\xBB\xBF"

// findCharset finds the charset of a text: by its byte order mark; by the NULs that
// UTF-16 has in Western text; UTF-8 if it is valid, or all but; else what the
// frequency of octets says, if it says so clearly; and otherwise what Windows writes
// in the West.
func (f *File) findCharset() error {
	raw, err := f.unpacked()
	if err != nil {
		return err
	}
	defer raw.Close()
	l := look{}
	switch err := l.through(raw); {
	case err == nil, errors.Is(err, ErrTooLarge):
	case f.Packed && l.size == 0:
		return fmt.Errorf("it cannot be unpacked: %w", err)
	case !f.Packed:
		return err
	}
	switch order := l.wide; {
	case l.size == 0:
		return ErrEmpty
	case order != nil:
		f.encoding, f.Charset = order, "UTF-16"
	case l.binary():
		return ErrBinary
	case l.multi >= 10*l.invalid:
		f.Charset = "UTF-8"
	default:
		f.Guessed = true
		f.encoding, f.Charset = guess(l.sample)
	}
	return nil
}

// look is what one reading of a file shows.
type look struct {
	size    int64
	wide    encoding.Encoding // UTF-16, in its order of octets
	control int64             // octets that no text has
	multi   int64             // characters of several octets
	invalid int64             // octets that are no UTF-8
	sample  []byte            // of text with such octets
}

func (l *look) binary() bool { return l.control > l.size/64 }

func (l *look) through(r io.Reader) error {
	buffer := make([]byte, 64<<10)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("look at the text: %w", err)
		}
		if l.size == 0 {
			l.wide = wide(buffer[:n])
		}
		l.size += int64(n)
		if l.wide != nil {
			return nil
		}
		chunk := buffer[:kept+n]
		if errors.Is(err, io.EOF) {
			l.at(chunk)
			return nil
		}
		whole := len(chunk) - cut(chunk)
		l.at(chunk[:whole])
		kept = copy(buffer, chunk[whole:])
	}
}

const mostSample = 16 << 10

func (l *look) at(chunk []byte) {
	for _, c := range chunk {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f' && c != 0x1b {
			l.control++
		}
	}
	if utf8.Valid(chunk) {
		l.multi += int64(len(chunk) - utf8.RuneCount(chunk))
		return
	}
	for i := 0; i < len(chunk); {
		c, size := utf8.DecodeRune(chunk[i:])
		switch {
		case size > 1:
			l.multi++
		case c == utf8.RuneError:
			l.invalid++
			if len(l.sample) < mostSample {
				l.sample = append(l.sample, chunk[max(i-20, 0):min(i+44, len(chunk))]...)
				i += 44 - 1
			}
		}
		i += size
	}
}

// wide is UTF-16 in the order of octets that a text is in, or nil.
func wide(top []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(top, []byte("\xFF\xFE")), bytes.HasPrefix(top, []byte("\xFE\xFF")):
		return unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM)
	}
	var even, odd int
	for i, octet := range top {
		if octet == 0 && i%2 == 0 {
			even++
		} else if octet == 0 {
			odd++
		}
	}
	switch {
	case odd > len(top)/4 && even < len(top)/16:
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case even > len(top)/4 && odd < len(top)/16:
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	return nil
}

// cut is how many octets at the end of a chunk may be the beginning of a character
// that goes on in the next.
func cut(chunk []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(chunk); n++ {
		if utf8.RuneStart(chunk[len(chunk)-n]) {
			if utf8.FullRune(chunk[len(chunk)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// guess is the likeliest charset of a text that is no UTF-8. Among the charsets of
// the West frequencies tell little, and windows-1252 is what is written there.
func guess(sample []byte) (encoding.Encoding, string) {
	western := func() (encoding.Encoding, string) { return charmap.Windows1252, "Windows-1252" }
	best, err := chardet.NewTextDetector().DetectBest(sample)
	if err != nil || best.Confidence < 20 {
		return western()
	}
	switch best.Charset {
	case "windows-1251", "KOI8-R", "ISO-8859-5", "ISO-8859-7", "windows-1253", "ISO-8859-8", "ISO-8859-8-I", "windows-1255", "windows-1256",
		"Shift_JIS", "EUC-JP", "EUC-KR", "Big5", "GB-18030":
	default:
		return western()
	}
	name := best.Charset
	if name == "GB-18030" {
		name = "gb18030"
	}
	found, err := htmlindex.Get(name)
	if err != nil {
		return western()
	}
	return found, best.Charset
}
