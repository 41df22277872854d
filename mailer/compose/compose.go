// Package compose writes a reply as SES sends it: nothing but ASCII, CRLF only,
// no line of 998 octets or more (RFC 5322, section 2.1.1), header fields folded.
//
// Text and HTML are alternatives, HTML stands together with the images that it
// shows, and beside all that stand the attachments:
//
//	multipart/mixed
//	├── multipart/alternative
//	│   ├── text/plain
//	│   └── multipart/related
//	│       ├── text/html
//	│       └── image/png, inline
//	└── text/csv, attachment
//
// A level that would hold one thing is left out. Header fields are written in
// header.go, words that are not ASCII in words.go (RFC 2047) and parameters.go
// (RFC 2231), bodies in body.go.
//
// Whatever could end a line where it must not, a CR, LF or NUL in anything that a
// header carries, is refused, and the error names the field. The same reply and
// the same [Options] give the same octets: nothing is taken from the clock or at
// random here.
package compose

import (
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"

	"inreply/email"
)

// Options are what a mail needs beside the reply.
type Options struct {
	From     email.Address // where the reply has no From of its own
	Date     time.Time
	Boundary string        // a random text of letters and digits, another for each mail
	Fields   []email.Field // more fields of the header, ASCII only; empty ones are left out
}

// Error is why a reply cannot be composed. It is permanent: the same reply fails
// the same way tomorrow.
type Error struct {
	Field string // of the header, or "text", "html", "attachments[2].name"
	Why   string
}

func (e *Error) Error() string { return e.Field + ": " + e.Why }

// Permanent reports that the same reply fails the same way tomorrow.
func (e *Error) Permanent() bool { return true }

// Reply writes a reply. The caller has written the text, so what is left empty
// there is sent empty.
func Reply(r *email.Reply, o Options) ([]byte, error) {
	if !isToken(o.Boundary) || len(o.Boundary) > 40 {
		return nil, &Error{"boundary", fmt.Sprintf("%q is not made of at most 40 letters and digits", o.Boundary)}
	}
	parts, err := checkParts(r.Attachments)
	if err != nil {
		return nil, err
	}
	c := &composer{boundary: o.Boundary}
	c.out = make([]byte, 0, c.size(r, parts))
	c.header(r, o)
	c.body(r, parts)
	if c.err != nil {
		return nil, c.err
	}
	return c.out, nil
}

// composer writes to out. The first error stays.
type composer struct {
	out      []byte
	boundary string
	err      error
}

func (c *composer) fail(field, format string, args ...any) {
	if c.err == nil {
		c.err = &Error{field, fmt.Sprintf(format, args...)}
	}
}

// header writes the fields of the whole mail. The body adds those of its content.
func (c *composer) header(r *email.Reply, o Options) {
	from := r.From
	if from == (email.Address{}) {
		from = o.From
	}
	c.address("From", from)
	c.address("To", r.To)
	c.text("Subject", r.Subject)
	c.field("Date", o.Date.UTC().Format(time.RFC1123Z))
	c.ids("In-Reply-To", r.InReplyTo)
	c.ids("References", r.References...)
	// RFC 3834, section 5; and what Exchange goes by instead ([MS-OXCMAIL],
	// section 2.1.3.2.18).
	c.field("Auto-Submitted", "auto-replied")
	c.field("X-Auto-Response-Suppress", "All")
	for _, f := range o.Fields {
		c.extra(f)
	}
	c.replyFields(r.Headers)
	c.field("MIME-Version", "1.0")
}

// mostFields is how many fields of its own a reply may have.
const mostFields = 50

// replyFields writes the fields that a processor gave its reply. They are words,
// encoded where they must be.
func (c *composer) replyFields(fields []email.Field) {
	if len(fields) > mostFields {
		c.fail("headers", "there are %d, and %d are allowed", len(fields), mostFields)
		return
	}
	for i, f := range fields {
		if !email.ReplyField(f.Name) {
			c.fail(fmt.Sprintf("headers[%d].name", i), "%q is no field that a reply may set", f.Name)
			return
		}
		if len(f.Value) > longestFieldValue {
			c.fail(fmt.Sprintf("headers[%d].value", i), "%s has %d octets, and %d are allowed", f.Name, len(f.Value), longestFieldValue)
			return
		}
		c.text(f.Name, f.Value)
	}
}

// longestFieldValue is the longest value of such a field, in octets.
const longestFieldValue = 2000

// extra writes a field that the caller named.
func (c *composer) extra(f email.Field) {
	if !isName(f.Name) {
		c.fail("header", "%q is no name of a field", f.Name)
		return
	}
	if !isASCII(f.Value) {
		c.fail(f.Name, "%q is not ASCII", f.Value)
		return
	}
	c.field(f.Name, f.Value)
}

// part is a file of a reply, ready to be written.
type part struct {
	email.Part
	kind   string // media type
	params []parameter
	inline bool
}

// checkParts makes the files ready. The Content-Type of a file is what the caller
// said as far as it may be: a part that is encoded as base64 must not be of a
// composite type (RFC 2045, section 6.4).
func checkParts(files []email.Part) ([]part, error) {
	parts := make([]part, len(files))
	for i, f := range files {
		at := fmt.Sprintf("attachments[%d].", i)
		for _, s := range []struct{ field, value string }{{"name", f.Name}, {"content_type", f.ContentType}, {"content_id", f.ContentID}} {
			if why := breaks(s.value); why != "" {
				return nil, &Error{at + s.field, why}
			}
		}
		if f.ContentID != "" && !isID("<"+f.ContentID+">") {
			return nil, &Error{at + "content_id", fmt.Sprintf("%q cannot be a Content-ID", f.ContentID)}
		}
		p := part{Part: f, kind: "application/octet-stream"}
		if f.ContentType != "" {
			kind, params, err := mime.ParseMediaType(f.ContentType)
			if err != nil || !strings.Contains(kind, "/") || len(f.ContentType) > 500 {
				return nil, &Error{at + "content_type", fmt.Sprintf("%q is no media type", f.ContentType)}
			}
			if !strings.HasPrefix(kind, "multipart/") && !strings.HasPrefix(kind, "message/") {
				p.kind, p.params = kind, sorted(params)
			}
		}
		parts[i] = p
	}
	return parts, nil
}

func sorted(params map[string]string) []parameter {
	list := make([]parameter, 0, len(params))
	for name, value := range params {
		list = append(list, parameter{name, value})
	}
	slices.SortFunc(list, func(a, b parameter) int { return strings.Compare(a.name, b.name) })
	return list
}

// breaks says what in a text could end a header field; nothing if nothing does.
func breaks(s string) string {
	at := strings.IndexAny(s, "\r\n\x00")
	if at < 0 {
		return ""
	}
	what := map[byte]string{'\r': "a CR", '\n': "an LF", 0: "a NUL"}[s[at]]
	return fmt.Sprintf("there is %s at octet %d", what, at)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// isToken reports whether a text needs no quotes as a parameter's value and no
// thought as a boundary.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
}

// isName reports whether a text may name a field (RFC 5322, section 2.2).
func isName(s string) bool {
	return s != "" && len(s) <= 70 && isASCII(s) && !strings.ContainsAny(s, " :")
}

// isID reports whether a text is a message id that a header can carry (RFC 5322,
// section 3.6.4, without what is obsolete).
func isID(s string) bool {
	return len(s) > 2 && len(s) <= 998-80 && isASCII(s) && s[0] == '<' && strings.IndexByte(s, '>') == len(s)-1 &&
		!strings.ContainsAny(s[1:], " <")
}
