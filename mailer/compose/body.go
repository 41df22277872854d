package compose

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"inreply/email"
)

// body writes the content, and before it the fields that describe it.
func (c *composer) body(r *email.Reply, parts []part) {
	var inline, attached []part
	for _, p := range parts {
		// Without HTML there is nothing that could show it.
		if p.ContentID != "" && r.HTML != "" {
			p.inline = true
			inline = append(inline, p)
		} else {
			attached = append(attached, p)
		}
	}
	if len(attached) == 0 {
		c.message(r, inline)
		return
	}
	c.multipart("mixed", func(next func()) {
		next()
		c.message(r, inline)
		for _, p := range attached {
			next()
			c.file(p)
		}
	})
}

// message writes what a mail program shows.
func (c *composer) message(r *email.Reply, inline []part) {
	switch {
	case r.HTML == "":
		c.prose("text", "text/plain", r.Text)
	case r.Text == "":
		c.rich(r, inline)
	default:
		c.multipart("alternative", func(next func()) {
			next()
			c.prose("text", "text/plain", r.Text)
			next()
			c.rich(r, inline)
		})
	}
}

// rich writes HTML, with the images that it shows.
func (c *composer) rich(r *email.Reply, inline []part) {
	if len(inline) == 0 {
		c.prose("html", "text/html", r.HTML)
		return
	}
	c.multipart("related", func(next func()) {
		next()
		c.prose("html", "text/html", r.HTML)
		for _, p := range inline {
			next()
			c.file(p)
		}
	})
}

// multipart writes a body of several parts: write calls next before each. No
// encoded part can hold a line that begins with "--=_", for in quoted-printable
// an = is followed by two digits and base64 has none but at its end.
func (c *composer) multipart(kind string, write func(next func())) {
	boundary := "=_" + kind + "_" + c.boundary
	params := []parameter{{"boundary", boundary}}
	if kind == "related" { // whose first part must be named (RFC 2387, section 3.1)
		params = append(params, parameter{"type", "text/html"})
	}
	c.parameters("Content-Type", "multipart/"+kind, params)
	write(func() { c.out = append(c.out, "\r\n--"+boundary+"\r\n"...) })
	c.out = append(c.out, "\r\n--"+boundary+"--\r\n"...)
}

// prose writes a text part in the encoding that is shorter. Its lines end in CRLF
// whatever they ended in.
func (c *composer) prose(field, kind, text string) {
	if at := strings.IndexByte(text, 0); at >= 0 {
		c.fail(field, "there is a NUL at octet %d", at)
		return
	}
	if !utf8.ValidString(text) { // which is faster to ask for than to see to
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	c.parameters("Content-Type", kind, []parameter{{"charset", "utf-8"}})
	if inBase64(text, escapes(text)) {
		c.out = append(c.out, "Content-Transfer-Encoding: base64\r\n\r\n"...)
		c.base64([]byte(canonical(text)))
		return
	}
	c.out = append(c.out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n"...)
	c.quotedPrintable(text)
}

// inBase64 reports whether a text with so many escapes is shorter in base64 than
// quoted.
func inBase64(text string, escapes int) bool {
	return 6*escapes > len(text) // a third more than len, against two more for each
}

// escapes is how many octets of a text quoted-printable must encode.
func escapes(text string) int {
	n := 0
	for i := range len(text) {
		if c := text[i]; c > '~' || c == '=' {
			n++
		}
	}
	return n
}

// canonical is a text with CRLF at the end of each line.
func canonical(text string) string {
	if !strings.Contains(text, "\r") && !strings.Contains(text, "\n") {
		return text
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return strings.ReplaceAll(text, "\n", "\r\n")
}

// quotedPrintable writes a text in lines of at most 76 octets (RFC 2045, section
// 6.7).
func (c *composer) quotedPrintable(text string) {
	for len(text) > 0 {
		end := strings.IndexAny(text, "\r\n")
		if end < 0 {
			c.quotedLine(text)
			return
		}
		c.quotedLine(text[:end])
		c.out = append(c.out, '\r', '\n')
		if strings.HasPrefix(text[end:], "\r\n") {
			end++
		}
		text = text[end+1:]
	}
}

// quotedLine writes one line of a text, in several of the wire if need be. White
// space before its end is encoded, or it would get lost.
func (c *composer) quotedLine(line string) {
	const hex = "0123456789ABCDEF"
	column := 0
	for len(line) > 0 {
		if run := plainRun(line, 75-column); run > 0 {
			c.out = append(c.out, line[:run]...)
			column += run
			line = line[run:]
			continue
		}
		if column+3 > 75 || column == 75 {
			c.out = append(c.out, '=', '\r', '\n')
			column = 0
			continue
		}
		c.out = append(c.out, '=', hex[line[0]>>4], hex[line[0]&15])
		column += 3
		line = line[1:]
	}
}

// plainRun is how many octets at the beginning of a line may stand as they are,
// at most so many.
func plainRun(line string, most int) int {
	n := 0
	for n < len(line) && n < most {
		octet := line[n]
		if octet == '=' || octet > '~' || octet < ' ' && octet != '\t' {
			break
		}
		n++
	}
	if n == len(line) && (line[n-1] == ' ' || line[n-1] == '\t') {
		n--
	}
	return n
}

// file writes a file as base64.
func (c *composer) file(p part) {
	disposition := "attachment"
	if p.inline {
		disposition = "inline"
	}
	c.parameters("Content-Type", p.kind, p.params)
	c.out = append(c.out, "Content-Transfer-Encoding: base64\r\n"...)
	var names []parameter
	if p.Name != "" {
		names = []parameter{{"filename", strings.ToValidUTF8(p.Name, "\uFFFD")}}
	}
	c.parameters("Content-Disposition", disposition, names)
	if p.ContentID != "" {
		c.field("Content-ID", "<"+p.ContentID+">")
	}
	c.out = append(c.out, "\r\n"...)
	c.base64(p.Content)
}

// perLine is how many octets make a line of 76 in base64 (RFC 2045, section 6.8).
const perLine = 57

// base64 writes octets in lines.
func (c *composer) base64(content []byte) {
	for len(content) > perLine {
		c.out = base64.StdEncoding.AppendEncode(c.out, content[:perLine])
		c.out = append(c.out, '\r', '\n')
		content = content[perLine:]
	}
	c.out = base64.StdEncoding.AppendEncode(c.out, content)
}

// size is about how long the mail will be, and a little more, so that it is
// written into one piece of memory.
func (c *composer) size(r *email.Reply, parts []part) int {
	n := 4096 + 2*len(r.Subject)
	for _, reference := range r.References {
		n += len(reference) + 4
	}
	for _, text := range []string{r.Text, r.HTML} {
		n += proseSize(text)
	}
	for _, p := range parts {
		n += 512 + 4*len(p.Name) + base64Size(len(p.Content))
	}
	return n
}

func proseSize(text string) int {
	lines, escaped := strings.Count(text, "\n"), escapes(text)
	if inBase64(text, escaped) {
		return base64Size(len(text) + lines)
	}
	return (len(text)+2*escaped+lines)*79/76 + 3*lines + 64
}

func base64Size(n int) int { return base64.StdEncoding.EncodedLen(n) + 2*(n/perLine) + 2 }
