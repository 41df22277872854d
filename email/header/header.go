// Package header reads header fields as people and programs really write them:
// fields and folding (RFC 5322, sections 2.2 and 4), encoded words (RFC 2047),
// mailboxes and message identifiers.
//
// Nothing here fails. What cannot be understood is left out, or stays as it is,
// and is valid UTF-8 in any case. Every function takes time in proportion to
// what it reads.
package header

import (
	"bytes"
	"net/mail"
	"strings"
	"time"

	"inreply/email/charset"
)

// Field is one field, unfolded, as it was written.
type Field struct {
	Name  string
	Value string
}

// Split splits a header into its fields. A line that is no field, nor folded, is
// passed over, unless the field above it plainly goes on: nobody's words get into
// somebody else's field. It reports whether the header's end was seen; after it
// nothing is read.
func Split(text []byte) (fields []Field, complete bool) {
	fields = make([]Field, 0, 1+bytes.Count(text[:min(len(text), 64<<10)], []byte("\n")))
	var value []byte // of the last field, with its folded lines
	flush := func() {
		if len(fields) > 0 {
			fields[len(fields)-1].Value = string(bytes.TrimSpace(value))
		}
	}
	for len(text) > 0 {
		line, rest := Line(text)
		if len(line) == 0 {
			flush()
			return fields, true
		}
		text = rest
		name := Name(line)
		if name == "" && line[0] != ' ' && line[0] != '\t' && !goesOn(fields, value) {
			continue
		}
		if name == "" {
			value = append(value, ' ')
			value = append(value, bytes.TrimSpace(line)...)
			continue
		}
		flush()
		fields = append(fields, Field{Name: name})
		value = append(value[:0], line[bytes.IndexByte(line, ':')+1:]...)
	}
	flush()
	return fields, false
}

// goesOn reports whether a field is cut off in the middle of a list: the white
// space before its next line was lost.
func goesOn(fields []Field, value []byte) bool {
	value = bytes.TrimRight(value, " \t")
	if len(fields) == 0 || len(value) == 0 {
		return false
	}
	switch last := value[len(value)-1]; strings.ToLower(fields[len(fields)-1].Name) {
	case "content-type", "content-disposition":
		return last == ';'
	case "to", "cc":
		return last == ','
	}
	return false
}

// Name is the name of the field that a line begins with; empty if it is folded,
// or none.
func Name(line []byte) string {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return ""
	}
	name := bytes.TrimRight(line[:colon], " \t")
	for _, c := range name {
		if c <= ' ' || c >= 0x7f {
			return ""
		}
	}
	return string(name)
}

// Line takes the first line off: it ends in CRLF, LF or a lone CR. It looks no
// further than that.
func Line(text []byte) (line, rest []byte) {
	end := bytes.IndexAny(text, "\r\n")
	if end < 0 {
		return text, nil
	}
	if text[end] == '\r' && end+1 < len(text) && text[end+1] == '\n' {
		return text[:end], text[end+2:]
	}
	return text[:end], text[end+1:]
}

// Text is a field's value for reading: encoded words decoded, no line breaks nor
// other controls.
func (v *Values) Text(value string) string {
	return strings.TrimSpace(printable(v.Decode(value)))
}

// printable is a text without control characters, as one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return -1
		}
		return r
	}, charset.Valid(s))
}

// Date is the time that a Date field names; zero if it names none.
func Date(value string) time.Time {
	value = strings.TrimSpace(value)
	if value == "" || len(value) > 100 {
		return time.Time{}
	}
	if date, err := mail.ParseDate(value); err == nil {
		return date
	}
	// What programs write that have not read RFC 5322.
	value, _, _ = strings.Cut(value, " (")
	value = strings.Join(strings.Fields(value), " ")
	for _, layout := range []string{
		time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, time.RFC3339,
		"Mon, 2 Jan 2006 15:04:05", "Mon, 2 Jan 2006 15:04:05 GMT-0700", "Mon, 2 Jan 2006 15:04:05 -07:00", "2 Jan 2006 15:04:05",
		"Mon Jan 2 15:04:05 2006 -0700", "Mon, 2-Jan-06 15:04:05 MST", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05",
		"Mon, Jan 2 2006 15:04:05 -0700", "Mon, 2 January 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05.000 -0700",
	} {
		if date, err := time.Parse(layout, value); err == nil {
			return date
		}
	}
	return time.Time{}
}

// longestID is the longest message identifier that is handed on: it must fit into
// a line of a header of ours.
const longestID = 250

// IDs are the valid message identifiers in a field (RFC 5322, section 3.6.4), with
// their angle brackets, each once.
func IDs(value string) (ids []string) {
	seen := map[string]bool{}
	for {
		start := strings.IndexByte(value, '<')
		if start < 0 {
			return ids
		}
		value = value[start:]
		end := strings.IndexByte(value, '>')
		if end < 0 {
			return ids
		}
		if again := strings.LastIndexByte(value[:end], '<'); again > 0 {
			value = value[again:]
			end -= again
		}
		if id := withoutSpace(value[:end+1]); validID(id) && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
		value = value[end+1:]
	}
}

// withoutSpace mends an identifier that was folded where it must not be.
func withoutSpace(id string) string {
	if len(id) > longestID+50 || !strings.ContainsAny(id, " \t") {
		return id
	}
	return strings.Join(strings.Fields(id), "")
}

// validID reports whether an identifier may stand in a header that we write. Not
// every program writes an @ into its own.
func validID(id string) bool {
	if len(id) < 3 || len(id) > longestID {
		return false
	}
	for _, c := range []byte(id[1 : len(id)-1]) {
		if c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}
