package xlsx

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

// Bounds of the texts that cells share: they are held in memory.
const (
	mostShared  = 4_000_000
	mostLetters = 48 << 20 // octets
)

// texts are those that cells share, one after the other.
type texts struct {
	letters []byte
	ends    []uint32
}

// at is the text of a number, as a cell writes it.
func (t *texts) at(number []byte) []byte {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(number)), 10, 32)
	if err != nil || n >= uint64(len(t.ends)) {
		return nil
	}
	begin := uint32(0)
	if n > 0 {
		begin = t.ends[n-1]
	}
	return t.letters[begin:t.ends[n]:t.ends[n]]
}

// read reads the list of texts: <si><t>text</t></si>, or in runs with fonts of
// their own. How it is pronounced (rPh) is left out.
func (t *texts) read(in io.Reader) error {
	s := newScanner(in)
	within, aside := false, 0
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := string(s.name)
		switch {
		case s.kind == text:
			if within && aside == 0 {
				t.letters = appendText(t.letters, s.text)
			}
		case name == "rPh":
			aside += step(s.kind)
		case name == "t":
			within = s.kind == begins
		case name == "si" && s.kind == ends:
			t.ends = append(t.ends, uint32(len(t.letters))) //nolint:gosec // bounded by the next line
		}
		if len(t.ends) > mostShared || len(t.letters) > mostLetters {
			return ErrTexts
		}
	}
}

func step(k kind) int {
	if k == begins {
		return 1
	}
	return -1
}

// appendText decodes what spreadsheets write for characters that XML has not, such
// as _x000D_ (ECMA-376, part 1, 22.9.2.19).
func appendText(to, s []byte) []byte {
	for {
		n := bytes.Index(s, []byte("_x"))
		if n < 0 || len(s) < n+7 {
			return append(to, s...)
		}
		code, err := strconv.ParseUint(string(s[n+2:n+6]), 16, 16)
		if err != nil || s[n+6] != '_' {
			to = append(to, s[:n+2]...)
			s = s[n+2:]
			continue
		}
		to = append(to, s[:n]...)
		to = append(to, string(rune(code))...)
		s = s[n+7:]
	}
}
