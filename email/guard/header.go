package guard

import (
	"bytes"
	"mime"
)

// content are the fields of a header that say what a body is.
type content struct {
	mediaType Range // values of the fields; empty ranges where there is none
	encoding  Range
}

// readHeader reads the header of a part and the empty line behind it. A delimiter
// may come before that line does: then the part has no body.
func (s *scanner) readHeader(p int) (content, delimiter) {
	var c content
	var value *Range // of the field that is being read, when it counts
	start, fields, parameters := s.at, 0, 0
	s.parts[p].Header = Range{start, start}
	for s.at < len(s.raw) {
		at := s.at
		line := s.line()
		if s.breach != nil {
			return c, delimiter{}
		}
		if d := s.delimits(line, at); d.found {
			s.parts[p].Header.End = at
			return c, d
		}
		switch s.lineKind(line, fields) {
		case empty:
			s.parts[p].Header.End = at
			return c, delimiter{}
		case ofField:
			fields++
			value, parameters = s.field(&c, line, at), 0
		case continuation:
		case ofMailbox:
			s.fault(MboxLine, at)
			s.parts[p].Header = Range{s.at, s.at}
			continue
		case junk:
			// Most likely a continuation whose white space was lost.
			s.fault(HeaderLine, at)
		case ofBody:
			s.unseparated(p, at, fields)
			s.at = at
			s.parts[p].Header.End = at
			return c, delimiter{}
		}
		if value != nil {
			value.End = at + len(line)
			if parameters += bytes.Count(line, []byte(";")); parameters > s.limits.Parameters {
				s.refuse("parameters", parameters, s.limits.Parameters, value.Start)
			}
		}
		s.parts[p].Header.End = s.at
		if s.header += s.at - at; s.header > s.limits.Header {
			s.refuse("header", s.header, s.limits.Header, at)
		}
	}
	return c, delimiter{}
}

// unseparated records that a body begins where a header was expected.
func (s *scanner) unseparated(p, at, fields int) {
	if p == 0 && fields == 0 {
		s.fault(NoHeader, at)
		return
	}
	s.fault(NoSeparator, at)
}

// field counts a field, and returns the range of its value if it says what the
// body is.
func (s *scanner) field(c *content, line []byte, at int) *Range {
	if s.fields++; s.fields > s.limits.Fields {
		s.refuse("fields", s.fields, s.limits.Fields, at)
	}
	colon := bytes.IndexByte(line, ':')
	var value *Range
	switch name := bytes.TrimRight(line[:colon], " \t"); {
	case bytes.EqualFold(name, []byte("Content-Type")):
		value = &c.mediaType
	case bytes.EqualFold(name, []byte("Content-Transfer-Encoding")):
		value = &c.encoding
	case bytes.EqualFold(name, []byte("Content-Disposition")):
		return &Range{at + colon + 1, at + colon + 1} // only its length counts
	default:
		return nil
	}
	if value.Start > 0 {
		s.fault(RepeatedField, at)
		return nil
	}
	*value = Range{at + colon + 1, at + colon + 1}
	return value
}

// lineKind is what a line in a header is.
type lineKind uint8

const (
	empty        lineKind = iota // the header ends
	ofField                      // a field begins
	continuation                 // of the field before
	ofMailbox                    // "From " of a mailbox file
	junk                         // none of these, but the header goes on
	ofBody                       // the header ended without an empty line
)

func (s *scanner) lineKind(line []byte, fields int) lineKind {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return empty
	}
	if isField(line) {
		return ofField
	}
	if fields == 0 && s.header == 0 && (bytes.HasPrefix(line, []byte("From ")) || bytes.HasPrefix(line, []byte(">From "))) {
		return ofMailbox
	}
	folded := line[0] == ' ' || line[0] == '\t'
	switch {
	case fields == 0 && blank(line):
		return empty
	case fields == 0:
		return ofBody
	case folded && !blank(line):
		return continuation
	}
	// What follows decides: a line of white space, or without a colon, is within
	// the header if the header goes on behind it.
	next := s.peek()
	goesOn := isField(next) || len(next) == 0 && !folded
	switch {
	case folded && goesOn:
		return continuation
	case folded:
		return empty
	case goesOn:
		return junk
	}
	return ofBody
}

// peek is the next line, without its end.
func (s *scanner) peek() []byte {
	rest := s.raw[s.at:min(len(s.raw), s.at+1000)]
	if n := bytes.IndexByte(rest, '\n'); n >= 0 {
		rest = rest[:n]
	}
	return bytes.TrimSuffix(rest, []byte("\r"))
}

// isField reports whether a line begins with a field's name and a colon (RFC
// 5322, section 2.2), white space between them included (section 4.5).
func isField(line []byte) bool {
	for i, c := range line {
		switch {
		case c == ':':
			return i > 0
		case c == ' ' || c == '\t':
			rest := bytes.TrimLeft(line[i:], " \t")
			return i > 0 && len(rest) > 0 && rest[0] == ':'
		case c <= ' ' || c >= 0x7f:
			return false
		}
	}
	return false
}

// describe reads what the body of a part is. It returns the boundary of a
// multipart, and nil for anything else.
func (s *scanner) describe(p int, c content) []byte {
	part := &s.parts[p]
	value := c.mediaType.Of(s.raw)
	subtype, ok := multipart(value)
	if !ok {
		part.Encoding = s.encoding(c.encoding)
		return nil
	}
	boundary := boundaryOf(value)
	if len(boundary) == 0 {
		s.fault(NoBoundary, s.at)
		boundary = s.guessed()
	}
	switch n := len(boundary); {
	case n == 0:
		return nil
	case n > s.limits.Boundary:
		s.refuse("boundary", n, s.limits.Boundary, c.mediaType.Start)
	case n > longestBoundary:
		s.fault(LongBoundary, c.mediaType.Start)
	}
	part.Kind = kindOf(subtype)
	return boundary
}

func kindOf(subtype []byte) Kind {
	switch {
	case bytes.EqualFold(subtype, []byte("alternative")):
		return Alternative
	case bytes.EqualFold(subtype, []byte("related")):
		return Related
	case bytes.EqualFold(subtype, []byte("digest")):
		return Digest
	case bytes.EqualFold(subtype, []byte("report")):
		return Report
	}
	return Mixed // RFC 2046, section 5.1.7
}

// multipart reports whether a media type is one, and which.
func multipart(value []byte) (subtype []byte, ok bool) {
	const prefix = "multipart/"
	value = bytes.TrimLeft(value, " \t\r\n\"")
	if len(value) < len(prefix) || !bytes.EqualFold(value[:len(prefix)], []byte(prefix)) {
		return nil, false
	}
	value = value[len(prefix):]
	if end := bytes.IndexAny(value, "; \t\r\n\"("); end >= 0 {
		value = value[:end]
	}
	return value, true
}

// boundaryOf is the boundary parameter of a media type. It is not decoded further
// than a quoted string is; what RFC 2231 splits into pieces is left to the
// standard library.
func boundaryOf(value []byte) []byte {
	const name = "boundary"
	for at := 0; at < len(value); at++ {
		if value[at] == '"' {
			at += quotedEnd(value[at:])
			continue
		}
		rest := value[at:]
		if len(rest) < len(name) || !bytes.EqualFold(rest[:len(name)], []byte(name)) {
			continue
		}
		if at > 0 && !bytes.ContainsRune([]byte("; \t\r\n\""), rune(value[at-1])) {
			continue // the end of another name
		}
		rest = bytes.TrimLeft(rest[len(name):], " \t\r\n")
		switch {
		case bytes.HasPrefix(rest, []byte("*")):
			_, parameters, _ := mime.ParseMediaType(string(value))
			return []byte(parameters[name])
		case bytes.HasPrefix(rest, []byte("=")):
			return unquoted(bytes.TrimLeft(rest[1:], " \t\r\n"))
		}
	}
	return nil
}

// quotedEnd is the index of the quote that ends a quoted string, or of its last
// octet if none does.
func quotedEnd(quoted []byte) int {
	for i := 1; i < len(quoted); i++ {
		switch quoted[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(quoted) - 1
}

// unquoted is the value of a parameter, without white space at its end, which no
// boundary has.
func unquoted(value []byte) []byte {
	if len(value) == 0 || value[0] != '"' {
		if end := bytes.IndexAny(value, "; \t\r\n"); end >= 0 {
			value = value[:end]
		}
		return value
	}
	inner := value[1 : 1+max(0, quotedEnd(value)-1)]
	if bytes.ContainsAny(inner, "\\\r\n") {
		plain := make([]byte, 0, len(inner))
		for i := 0; i < len(inner); i++ {
			switch c := inner[i]; {
			case c == '\\' && i+1 < len(inner):
				i++
				plain = append(plain, inner[i])
			case c != '\r' && c != '\n':
				plain = append(plain, c)
			}
		}
		inner = plain
	}
	return bytes.TrimRight(inner, " \t")
}

// guessed is what delimits a multipart that does not say so: the first line of
// its body that begins with two hyphens, if it is the first that is not empty.
func (s *scanner) guessed() []byte {
	rest := bytes.TrimLeft(s.raw[s.at:min(len(s.raw), s.at+1000)], " \t\r\n")
	if !bytes.HasPrefix(rest, []byte("--")) {
		return nil
	}
	end := bytes.IndexByte(rest, '\n')
	if end < 0 {
		return nil
	}
	return bytes.TrimRight(rest[2:end], " \t\r-")
}

// encoding reads a Content-Transfer-Encoding.
func (s *scanner) encoding(at Range) Encoding {
	value := bytes.Trim(at.Of(s.raw), " \t\r\n")
	word := value
	if end := bytes.IndexAny(word, "; \t\r\n(,"); end >= 0 {
		word = word[:end]
	}
	word = bytes.Trim(word, `"'`)
	encoding, known := knownEncoding(word)
	if !known && len(value) > 0 {
		s.fault(UnknownEncoding, at.Start)
		return Identity
	}
	if len(word) != len(value) {
		s.fault(MalformedEncoding, at.Start)
	}
	return encoding
}

func knownEncoding(word []byte) (Encoding, bool) {
	is := func(name string) bool { return bytes.EqualFold(word, []byte(name)) }
	switch {
	case is("base64"), is("base-64"):
		return Base64, true
	case is("quoted-printable"):
		return QuotedPrintable, true
	case is("7bit"), is("8bit"), is("binary"), is("7-bit"), is("8-bit"):
		return Identity, true
	}
	return Identity, false
}
