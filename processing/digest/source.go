package digest

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"inreply/email"
)

// sniffed is how much of a file its charset and delimiter are found out from, in
// octets.
const sniffed = 64 << 10

var errEmpty = errors.New("the file is empty")

// open opens an attachment as UTF-8. A file is read through once to find out its
// charset, so that nothing of it need be kept.
func open(a email.Attachment) (io.ReadCloser, error) {
	raw := a.Open()
	defer raw.Close()
	charset, empty, err := charsetOf(raw)
	if err != nil {
		return nil, fmt.Errorf("read the attachment: %w", err)
	}
	if empty {
		return nil, errEmpty
	}
	content := a.Open()
	return struct {
		io.Reader
		io.Closer
	}{charset.NewDecoder().Reader(content), content}, nil
}

// charsetOf is the charset of a text: by its byte order mark, by the NULs that
// UTF-16 has in Western text, UTF-8 if it is valid, and otherwise what Windows
// writes in the West. empty says that there is nothing but white space.
func charsetOf(r io.Reader) (charset encoding.Encoding, empty bool, err error) {
	in := bufio.NewReaderSize(r, sniffed)
	top, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	if len(bytes.TrimSpace(bytes.TrimPrefix(top, []byte("\xEF\xBB\xBF")))) == 0 && errors.Is(err, io.EOF) {
		return nil, true, nil
	}
	if charset := wide(top); charset != nil {
		return charset, false, nil
	}
	valid, err := isUTF8(in)
	if err != nil {
		return nil, false, err
	}
	if valid {
		return unicode.UTF8BOM, false, nil
	}
	return charmap.Windows1252, false, nil
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

// isUTF8 reads a text through and reports whether it is valid.
func isUTF8(r io.Reader) (bool, error) {
	buffer := make([]byte, sniffed)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("look at the text: %w", err)
		}
		chunk := buffer[:kept+n]
		if errors.Is(err, io.EOF) {
			return utf8.Valid(chunk), nil
		}
		whole := len(chunk) - cut(chunk)
		if !utf8.Valid(chunk[:whole]) {
			return false, nil
		}
		kept = copy(buffer, chunk[whole:])
	}
}

// cut is how many octets at the end of a chunk may be the beginning of a
// character that goes on in the next.
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

// delimiter is the one that cuts the first lines into the same number of cells,
// as many as possible; a comma if none does. The last line may be cut off.
func delimiter(top []byte) rune {
	best, most := ',', 1
	for _, d := range []rune{',', ';', '\t', '|'} {
		if n := cells(top, d); n > most {
			best, most = d, n
		}
	}
	return best
}

// cells is how many cells the first lines have with a delimiter; 0 if they differ.
func cells(top []byte, delimiter rune) int {
	r := newReader(bytes.NewReader(top), delimiter)
	n, rows := 0, 0
	for rows < 10 {
		record, err := r.Read()
		if err != nil {
			break
		}
		at := r.InputOffset()
		switch {
		case n == 0:
			n = len(record)
		case len(record) != n && at < int64(len(top)):
			return 0
		}
		rows++
	}
	return n
}

func newReader(in io.Reader, delimiter rune) *csv.Reader {
	r := csv.NewReader(in)
	r.Comma = delimiter
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	r.ReuseRecord = true
	return r
}
