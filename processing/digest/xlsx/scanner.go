package xlsx

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"
)

// Bounds of what is read of XML. Excel writes nothing near them.
const (
	longestTag  = 256 << 10 // octets
	longestText = 128 << 10 // octets of one text that are kept
	deepest     = 64        // elements within each other
)

// What is wrong with XML. The sentences go into the reply.
var (
	errXML     = errors.New("its XML is broken")
	errTag     = errors.New("its XML has a tag that is too long")
	errDeep    = errors.New("its XML is nested too deeply")
	errDoctype = errors.New("its XML has a document type, which no spreadsheet has")
	errCharset = errors.New("its XML is not in UTF-8")
)

// scanner reads XML as spreadsheets are written in: elements and text, UTF-8, no
// document type. Unlike encoding/xml it allocates nothing for a token, bounds what
// it holds of a tag, a text and their nesting, and refuses a document type. Names
// are without their prefix.
type scanner struct {
	in      io.Reader
	buffer  []byte
	at, end int
	readErr error

	depth int
	kind  kind
	name  []byte // of the element that begins or ends
	attrs []byte // of the element that begins, as they are written
	empty bool   // the element that began ends at once, and its end is yet to come
	text  []byte // decoded
	tag   []byte // as it is written

	// What does not lie in the buffer as a whole is put together here.
	parts, decoded []byte
}

type kind uint8

const (
	begins kind = iota
	ends
	text
)

func newScanner(in io.Reader) *scanner {
	return &scanner{in: in, buffer: make([]byte, 32<<10)}
}

// next moves on to the next beginning, end or text; io.EOF after the last one.
func (s *scanner) next() error {
	if s.empty {
		s.empty = false
		s.kind = ends
		s.depth--
		return nil
	}
	for {
		if !s.fill() {
			return s.last()
		}
		if s.buffer[s.at] != '<' {
			if err := s.readText(); err != nil {
				return err
			}
			return nil
		}
		s.at++
		if found, err := s.readTag(); found || err != nil {
			return err
		}
	}
}

// last is the error at the end of what there is.
func (s *scanner) last() error {
	switch {
	case s.readErr != nil && !errors.Is(s.readErr, io.EOF):
		return s.readErr
	case s.depth != 0:
		return errXML
	}
	return io.EOF
}

// fill makes sure that there is an octet to look at.
func (s *scanner) fill() bool {
	for s.at == s.end {
		if s.readErr != nil {
			return false
		}
		var n int
		n, s.readErr = s.in.Read(s.buffer)
		s.at, s.end = 0, n
	}
	return true
}

// readText reads up to the next tag.
func (s *scanner) readText() error {
	s.kind = text
	chunk := s.buffer[s.at:s.end]
	if n := bytes.IndexByte(chunk, '<'); n >= 0 {
		s.at += n
		s.setText(chunk[:n])
		return nil
	}
	s.parts = s.parts[:0]
	for s.fill() {
		chunk := s.buffer[s.at:s.end]
		n := bytes.IndexByte(chunk, '<')
		if n < 0 {
			n = len(chunk)
		}
		s.parts = append(s.parts, chunk[:min(n, longestText-min(len(s.parts), longestText))]...)
		s.at += n
		if n < len(chunk) {
			break
		}
	}
	s.setText(s.parts)
	return nil
}

func (s *scanner) setText(raw []byte) {
	s.text = raw
	if bytes.IndexByte(raw, '&') >= 0 {
		s.decoded = unescape(s.decoded[:0], raw)
		s.text = s.decoded
	}
}

// readTag reads what stands between < and >. It reports false for what is neither
// an element nor text.
func (s *scanner) readTag() (bool, error) {
	if !s.fill() {
		return false, s.broken()
	}
	switch s.buffer[s.at] {
	case '?':
		return false, s.skip("?>")
	case '!':
		return s.readMarkup()
	case 0:
		return false, errCharset
	}
	if err := s.readElement(); err != nil {
		return false, err
	}
	return true, s.split()
}

func (s *scanner) broken() error {
	if s.readErr != nil && !errors.Is(s.readErr, io.EOF) {
		return s.readErr
	}
	return errXML
}

// readElement reads a tag up to its >, which may stand within quotes.
func (s *scanner) readElement() error {
	var quote byte
	s.parts = s.parts[:0]
	for s.fill() {
		chunk := s.buffer[s.at:s.end]
		var n int
		if n, quote = endOfTag(chunk, quote); n == len(chunk) {
			s.parts = append(s.parts, chunk...)
			s.at = s.end
			if len(s.parts) > longestTag {
				return errTag
			}
			continue
		}
		if chunk[n] == '<' {
			return errXML
		}
		s.at += n + 1
		if s.tag = chunk[:n]; len(s.parts) > 0 {
			s.parts = append(s.parts, chunk[:n]...)
			s.tag = s.parts
		}
		return nil
	}
	return s.broken()
}

// endOfTag is the index of the first > or < that is in no quotes, or the length of
// the text, and the quotes that are open there.
func endOfTag(text []byte, quote byte) (n int, open byte) {
	for n, c := range text {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c > '>':
		case c == '>' || c == '<':
			return n, 0
		case c == '"' || c == '\'':
			quote = c
		}
	}
	return len(text), quote
}

// split makes of a tag what it says.
func (s *scanner) split() error {
	tag := s.tag
	if len(tag) > 0 && tag[0] == '/' {
		s.kind = ends
		s.name = local(bytes.TrimSpace(tag[1:]))
		s.depth--
		if s.depth < 0 || len(s.name) == 0 {
			return errXML
		}
		return nil
	}
	s.kind = begins
	if n := len(tag); n > 0 && tag[n-1] == '/' {
		s.empty = true
		tag = tag[:n-1]
	}
	n := 0
	for n < len(tag) && !isSpace(tag[n]) {
		n++
	}
	s.name, s.attrs = local(tag[:n]), tag[n:]
	s.depth++
	switch {
	case len(s.name) == 0:
		return errXML
	case s.depth > deepest:
		return errDeep
	}
	return nil
}

// local is a name without its prefix.
func local(name []byte) []byte {
	for n, c := range name {
		if c == ':' && n > 0 && n < len(name)-1 {
			return name[n+1:]
		}
	}
	return name
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\r' || c == '\t' }

// readMarkup reads what begins with <!: a comment, or text that is written as it
// is.
func (s *scanner) readMarkup() (bool, error) {
	begin, err := s.peek(3)
	if err != nil {
		return false, err
	}
	if bytes.Equal(begin, []byte("!--")) {
		s.at += 3
		return false, s.skip("-->")
	}
	const cdata = "![CDATA["
	if begin, err = s.peek(len(cdata)); err != nil || string(begin) != cdata {
		return false, errDoctype
	}
	s.at += len(cdata)
	s.kind = text
	s.parts = s.parts[:0]
	err = s.until("]]>", func(chunk []byte) {
		s.parts = append(s.parts, chunk[:min(len(chunk), longestText-min(len(s.parts), longestText))]...)
	})
	s.text = s.parts
	return true, err
}

// peek makes sure that n octets are in the buffer.
func (s *scanner) peek(n int) ([]byte, error) {
	for s.end-s.at < n {
		copy(s.buffer, s.buffer[s.at:s.end])
		s.end -= s.at
		s.at = 0
		if s.readErr != nil {
			return nil, s.broken()
		}
		var more int
		more, s.readErr = s.in.Read(s.buffer[s.end:])
		s.end += more
	}
	return s.buffer[s.at : s.at+n], nil
}

func (s *scanner) skip(end string) error { return s.until(end, func([]byte) {}) }

// until reads up to an end, and hands over what stands before it.
func (s *scanner) until(end string, take func([]byte)) error {
	for {
		if _, err := s.peek(len(end)); err != nil {
			return err
		}
		chunk := s.buffer[s.at:s.end]
		if n := bytes.Index(chunk, []byte(end)); n >= 0 {
			take(chunk[:n])
			s.at += n + len(end)
			return nil
		}
		n := len(chunk) - len(end) + 1
		take(chunk[:n])
		s.at += n
	}
}

// attr is an attribute of the element that begins; nil if it has none of this
// name.
func (s *scanner) attr(name string) []byte {
	for rest := s.attrs; ; {
		var key, value []byte
		if key, value, rest = attribute(rest); key == nil || string(key) == name {
			return value
		}
	}
}

// attribute is the first one of attributes, without its prefix and with its entities
// decoded, and those behind it. There is none where key is nil.
func attribute(attrs []byte) (key, value, rest []byte) {
	rest = trimLeft(attrs)
	eq := bytes.IndexByte(rest, '=')
	if eq < 0 {
		return nil, nil, nil
	}
	key = local(bytes.TrimSpace(rest[:eq]))
	rest = trimLeft(rest[eq+1:])
	if len(rest) < 2 || rest[0] != '"' && rest[0] != '\'' {
		return nil, nil, nil
	}
	n := bytes.IndexByte(rest[1:], rest[0])
	if n < 0 {
		return nil, nil, nil
	}
	value = rest[1 : n+1]
	if bytes.IndexByte(value, '&') >= 0 {
		value = unescape(nil, value)
	}
	return key, value, rest[n+2:]
}

func trimLeft(s []byte) []byte {
	n := 0
	for n < len(s) && isSpace(s[n]) {
		n++
	}
	return s[n:]
}

// unescape decodes entities; what is none stays as it is.
func unescape(to, s []byte) []byte {
	for {
		n := bytes.IndexByte(s, '&')
		if n < 0 {
			return append(to, s...)
		}
		to = append(to, s[:n]...)
		s = s[n:]
		end := endOfEntity(s)
		if r, ok := entity(s[:end]); ok && end < len(s) && s[end] == ';' {
			to = utf8.AppendRune(to, r)
			s = s[end+1:]
			continue
		}
		to = append(to, '&')
		s = s[1:]
	}
}

// endOfEntity is the index of what ends an entity, or what could be one: a number may
// have any number of zeros before it.
func endOfEntity(s []byte) int {
	end := 1
	for end < len(s) && (s[end] == '#' || isLetterOrDigit(s[end])) {
		end++
	}
	return end
}

func isLetterOrDigit(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// entity is the character of an entity, which begins with &.
func entity(s []byte) (rune, bool) {
	switch string(s) {
	case "&amp":
		return '&', true
	case "&lt":
		return '<', true
	case "&gt":
		return '>', true
	case "&quot":
		return '"', true
	case "&apos":
		return '\'', true
	}
	if len(s) < 3 || s[1] != '#' {
		return 0, false
	}
	digits, base := string(s[2:]), 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return rune(n), err == nil && n <= utf8.MaxRune //nolint:gosec // compared
}
