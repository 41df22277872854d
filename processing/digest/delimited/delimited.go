// Package delimited reads text whose cells have a delimiter between them: CSV, TSV
// and their kin, as programs export it. Nobody says in which charset such a file is
// or what its delimiter is, so both are found out: charset.go, delimiter.go.
// reader.go takes the rows apart.
package delimited

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/text/encoding"
)

// What makes a file none. The sentences go into the reply.
var (
	ErrEmpty  = errors.New("it is empty")
	ErrBinary = errors.New("it holds no text")
	// ErrTooLarge is that of a packed file, behind what may be read of it.
	ErrTooLarge = errors.New("unpacked, it is larger than may be read")
)

// sniffed is how much of a file its delimiter is found out from, in octets.
const sniffed = 64 << 10

// File is a text of which charset and delimiter are known.
type File struct {
	Charset   string // its name, such as UTF-8
	Guessed   bool   // the charset is that which is likeliest
	Delimiter byte
	Packed    bool // with gzip

	open     func() io.ReadCloser
	encoding encoding.Encoding // nil: UTF-8
	newline  byte
	skip     int // octets before the first row: a line sep=;
	most     int64
}

// Open looks at a file, which it reads once. Open opens it anew each time; most is
// how many octets of a packed file are read.
func Open(open func() io.ReadCloser, most int64) (*File, error) {
	f := &File{open: open, most: most}
	if err := f.findPacking(); err != nil {
		return nil, err
	}
	if err := f.findCharset(); err != nil {
		return nil, err
	}
	text, err := f.text()
	if err != nil {
		return nil, err
	}
	defer text.Close()
	top, err := beginning(text, sniffed)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(top)) == 0 {
		return nil, ErrEmpty
	}
	f.findDelimiter(top)
	return f, nil
}

// beginning is the first octets of a text.
func beginning(r io.Reader, size int) ([]byte, error) {
	top := make([]byte, size)
	n, err := io.ReadFull(r, top)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("read the beginning: %w", err)
	}
	return top[:n], nil
}

func (f *File) findPacking() error {
	raw := f.open()
	defer raw.Close()
	top, err := beginning(raw, 3)
	f.Packed = bytes.Equal(top, []byte{0x1f, 0x8b, 8}) // RFC 1952, section 2.3
	return err
}

// unpacked is the file as it is without gzip.
func (f *File) unpacked() (io.ReadCloser, error) {
	raw := f.open()
	if !f.Packed {
		return raw, nil
	}
	unpacked, err := gzip.NewReader(raw)
	if err != nil {
		return nil, fmt.Errorf("it cannot be unpacked: %w", err)
	}
	return reading{&limited{unpacked, f.most}, raw}, nil
}

// text is the file in UTF-8, without a byte order mark.
func (f *File) text() (io.ReadCloser, error) {
	raw, err := f.unpacked()
	if err != nil {
		return nil, err
	}
	if f.encoding == nil {
		return reading{&unmarked{in: raw}, raw}, nil
	}
	return reading{f.encoding.NewDecoder().Reader(raw), raw}, nil
}

type reading struct {
	io.Reader
	io.Closer
}

// limited ends with an error where a packed file is larger than may be read.
type limited struct {
	in   io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := l.in.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}

// unmarked leaves out the byte order mark of UTF-8.
type unmarked struct {
	in    io.Reader
	begun bool
}

func (u *unmarked) Read(p []byte) (int, error) {
	if u.begun || len(p) < 3 {
		return u.in.Read(p)
	}
	u.begun = true
	n, err := io.ReadFull(u.in, p[:3])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	if n == 3 && bytes.Equal(p[:3], []byte(utf8Mark)) {
		return 0, nil
	}
	return n, err
}

// Rows calls row with each row that is not empty: its first cells, at most most of
// them, and how many it has, until row returns false. The cells are row's only
// until it returns. It may be called any number of times. A damaged file is an
// error after the rows before the damage.
func (f *File) Rows(ctx context.Context, most int, row func(cells [][]byte, width int) bool) (Faults, error) {
	text, err := f.text()
	if err != nil {
		return Faults{}, err
	}
	defer text.Close()
	if _, err := io.CopyN(io.Discard, text, int64(f.skip)); err != nil {
		return Faults{}, fmt.Errorf("read the first line: %w", err)
	}
	r := newReader(text, f.Delimiter, f.newline, most)
	for n := 0; r.next(); n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return r.faults, fmt.Errorf("read row %d: %w", n+1, context.Cause(ctx))
		}
		if !row(r.cells, r.width) {
			return r.faults, nil
		}
	}
	return r.faults, r.err
}
