package email

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"inreply/email/charset"
	"inreply/email/guard"
	"inreply/email/header"
	"inreply/email/htmltext"
	"inreply/email/transfer"
)

// content reads the bodies of a mail into its message.
type content struct {
	raw     []byte
	parts   []guard.Part
	message *Message

	charsets *charset.Decoders
	values   *header.Values

	leaves []leaf // what the parts are, by the index of the part

	guesses   int // texts so far whose charset was not as declared
	converted int // octets of HTML so far that were made into text

	bodies []bodyText // in their order
	names  names
}

// bodyText is a text of the mail itself, not decoded yet.
type bodyText struct {
	text charset.Text
	html bool
	also bool   // the same stands in another part as plain text
	made string // what was made of HTML
}

func (c *content) read() {
	c.names = names{}
	c.describe()
	plain := c.plainAlternatives()
	first := true
	for i, part := range c.parts {
		if part.Kind != guard.Leaf {
			continue
		}
		l := c.leaves[i]
		if l.malformed {
			c.message.defect("media-type", "a media type cannot be read as it stands")
		}
		if !l.isBody(first) {
			c.attach(part, l)
			first = false
			continue
		}
		first = false
		c.bodies = append(c.bodies, bodyText{text: c.open(part, l), html: l.mediaType == "text/html", also: plain[i]})
	}
	c.message.HTML = c.html()
	c.message.Text = c.plain()
}

// describe reads what each part is.
func (c *content) describe() {
	r := newLeafReader()
	c.leaves = make([]leaf, len(c.parts))
	for i, part := range c.parts {
		if part.Kind == guard.Leaf {
			c.leaves[i] = r.read(part.Header.Of(c.raw), parent(c.parts, i) == guard.Digest)
		}
	}
}

// html decodes the HTML of the mail, and makes text of what does not stand there as
// text too. All of it takes one copy, for it is known before how large it is.
func (c *content) html() string {
	var w lineWriter
	size := 0
	for _, b := range c.bodies {
		if b.html {
			size += b.text.Size() + len("\n")
		}
	}
	w.text.Grow(size)
	first := true
	for i := range c.bodies {
		b := &c.bodies[i]
		if !b.html {
			continue
		}
		if !first {
			w.text.WriteByte('\n')
		}
		first = false
		start := w.text.Len()
		w.body(b.text)
		w.flush()
		if !b.also {
			b.made = c.fromHTML(w.text.String()[start:])
		}
	}
	return w.text.String()
}

// plain decodes the texts of the mail, one below the other, those that have nothing
// in them left out.
func (c *content) plain() string {
	var kept []bodyText
	size := 0
	for _, b := range c.bodies {
		switch {
		case !b.html && !isBlank(b.text):
			size += b.text.Size() + len("\n\n")
			kept = append(kept, b)
		case b.html && strings.TrimSpace(b.made) != "":
			size += len(b.made) + len("\n\n")
			kept = append(kept, b)
		}
	}
	if len(kept) == 1 && kept[0].html {
		return kept[0].made
	}
	var w lineWriter
	w.text.Grow(size)
	for i, b := range kept {
		if i > 0 {
			w.text.WriteString("\n\n")
		}
		if b.html {
			w.text.WriteString(strings.TrimRight(b.made, "\n"))
			continue
		}
		w.body(b.text)
		if len(kept) > 1 {
			w.newlines = 0 // the empty line between two texts is ours
		}
		w.flush()
	}
	return w.text.String()
}

// longestBlank is how much white space is none; a person's text begins earlier.
const longestBlank = 64 << 10

// isBlank reports whether a text has nothing in it.
func isBlank(t charset.Text) bool {
	if t.Size() > longestBlank {
		return false
	}
	for piece := range t.Pieces() {
		if len(bytes.TrimLeftFunc(piece, func(r rune) bool { return r == 0 || unicode.IsSpace(r) })) > 0 {
			return false
		}
	}
	return true
}

// longestHTML is how much HTML of a mail is made into text. No mail program shows
// more, and few show as much.
const longestHTML = 2 << 20

func (c *content) fromHTML(source string) string {
	if left := longestHTML - c.converted; len(source) > left {
		c.message.defect("long-html", "only the beginning of the HTML was made into text")
		source = strings.ToValidUTF8(source[:left], "")
	}
	c.converted += len(source)
	return htmltext.Text(source)
}

// plainAlternatives says for each part whether it is one of several forms of the
// same, another one of which is plain text.
func (c *content) plainAlternatives() map[int]bool {
	has := map[int]bool{} // multipart/alternative with plain text somewhere within
	alternative := func(i int, do func(int)) {
		for p := c.parts[i].Parent; p >= 0; p = c.parts[p].Parent {
			if c.parts[p].Kind == guard.Alternative {
				do(p)
			}
		}
	}
	for i, part := range c.parts {
		if part.Kind != guard.Leaf || part.Parent < 0 {
			continue
		}
		if l := c.leaves[i]; l.mediaType == "text/plain" && l.disposition != "attachment" && !c.blank(part) {
			alternative(i, func(p int) { has[p] = true })
		}
	}
	plain := map[int]bool{}
	for i, l := range c.leaves {
		if l.mediaType == "text/html" {
			alternative(i, func(p int) { plain[i] = plain[i] || has[p] })
		}
	}
	return plain
}

// blank reports whether a body has nothing in it.
func (c *content) blank(part guard.Part) bool {
	return part.Body.Len() < 200 && len(bytes.TrimSpace(part.Body.Of(c.raw))) == 0
}

// largeBody is from how many octets on a body of quoted-printable that is nearly
// all of 8 bits is none: it would be kept twice, and one of its octets may become
// three.
const largeBody = 1 << 20

// mostlyHigh reports whether more than half of the octets are not ASCII.
func mostlyHigh(body []byte) bool {
	n := 0
	for _, c := range body {
		n += int(c >> 7)
	}
	return n > len(body)/2
}

// mostGuesses is for how many texts of a mail the charset is looked for. One look
// takes a millisecond, and an honest mail has few texts that need it.
const mostGuesses = 20

// open undoes the transfer encoding of a body and finds out its charset.
func (c *content) open(part guard.Part, l leaf) charset.Text {
	octets, declared := c.octets(part), l.charset
	if declared == "" && l.mediaType == "text/html" && !utf8.Valid(octets) {
		declared = ofMeta(octets)
	}
	guess := c.guesses < mostGuesses
	text, outcome := c.charsets.Open(declared, octets, guess)
	if guess {
		if outcome != charset.Declared {
			c.guesses++
		}
		c.charsetDefect(outcome)
	}
	return text
}

// ofMeta is the charset that HTML declares itself, at its beginning (HTML, section
// 4.2.5.4); empty if it does not.
func ofMeta(octets []byte) string {
	top := bytes.ToLower(octets[:min(len(octets), 2048)])
	for {
		_, rest, found := bytes.Cut(top, []byte("<meta"))
		if !found {
			return ""
		}
		var tag []byte
		tag, top, _ = bytes.Cut(rest, []byte(">"))
		if _, value, named := bytes.Cut(tag, []byte("charset")); named {
			value = bytes.TrimLeft(value, " \t\r\n='\"")
			if end := bytes.IndexAny(value, " \t\r\n'\";/"); end >= 0 {
				value = value[:end]
			}
			return string(value)
		}
	}
}

// octets are those of a body without its transfer encoding.
func (c *content) octets(part guard.Part) []byte {
	body := part.Body.Of(c.raw)
	if part.Encoding == guard.Identity {
		return body
	}
	size := part.Decoded
	if part.Encoding == guard.QuotedPrintable {
		if len(body) > largeBody && mostlyHigh(body) {
			c.message.defect("malformed-encoding", "a large body that is declared as quoted-printable is none; it was left as it is")
			return body
		}
		size = int64(len(body))
	}
	decoded := make([]byte, size)
	n, _ := io.ReadFull(decoder(c.raw, part), decoded)
	return decoded[:n]
}

func (c *content) charsetDefect(o charset.Outcome) {
	switch o {
	case charset.Declared:
	case charset.Detected:
		c.message.defect("charset-missing", "a text declares no charset that it is in; it was detected")
	case charset.Unknown:
		c.message.defect("charset-unknown", "nobody knows the charset of a text; it was detected")
	case charset.Failed:
		c.message.defect("charset-wrong", "a text does not decode in its charset; it was detected")
	case charset.Damaged:
		c.message.defect("charset-damaged", "some letters of a text decode in no charset")
	}
}

// decoder reads a body without its transfer encoding.
func decoder(raw []byte, part guard.Part) io.Reader {
	switch body := part.Body.Of(raw); part.Encoding {
	case guard.Base64:
		return transfer.Base64(body)
	case guard.QuotedPrintable:
		return transfer.QuotedPrintable(body)
	default:
		return bytes.NewReader(body)
	}
}

// lineWriter writes texts with LF at the ends of lines in place of CRLF, and
// without zeros, which no text has and some programs take for its end.
type lineWriter struct {
	text     strings.Builder
	newlines int    // at the end of the text so far, not written yet
	cr       bool   // the last octet was CR, and is not written yet
	piece    []byte // what a piece becomes
}

// body writes a text, but for the newlines at its end.
func (w *lineWriter) body(t charset.Text) {
	for piece := range t.Pieces() {
		for len(piece) > 0 {
			n := min(len(piece), longestPiece)
			w.write(piece[:n])
			piece = piece[n:]
		}
	}
	if w.cr {
		w.cr = false
		w.flush()
		w.text.WriteByte('\r')
	}
}

// longestPiece is how much is written together.
const longestPiece = 16 << 10

// flush writes the newlines that were kept back.
func (w *lineWriter) flush() {
	const some = "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n"
	for w.newlines > 0 {
		n, _ := w.text.WriteString(some[:min(w.newlines, len(some))])
		w.newlines -= n
	}
}

func (w *lineWriter) write(piece []byte) {
	if w.cr {
		w.cr = false
		if piece[0] != '\n' {
			w.flush()
			w.text.WriteByte('\r')
		}
	}
	if piece[len(piece)-1] == '\r' {
		w.cr = true
		piece = piece[:len(piece)-1]
	}
	piece = w.tidy(piece)
	kept := bytes.TrimRight(piece, "\n")
	if len(kept) > 0 {
		w.flush()
		w.text.Write(kept)
	}
	w.newlines += len(piece) - len(kept)
}

// tidy is a piece without zeros, and without CR before LF.
func (w *lineWriter) tidy(piece []byte) []byte {
	crs := bytes.Count(piece, []byte("\r"))
	if zero := bytes.IndexByte(piece, 0) >= 0; !zero && crs == 0 {
		return piece
	} else if zero || crs > len(piece)/16 {
		w.piece = append(w.piece[:0], piece...)
		n := 0
		for i, c := range piece {
			w.piece[n] = c
			if c != 0 && (c != '\r' || i+1 == len(piece) || piece[i+1] != '\n') {
				n++
			}
		}
		return w.piece[:n]
	}
	w.piece = w.piece[:0]
	for {
		n := bytes.IndexByte(piece, '\r')
		if n < 0 {
			w.piece = append(w.piece, piece...)
			return w.piece
		}
		if n+1 < len(piece) && piece[n+1] == '\n' {
			w.piece = append(w.piece, piece[:n]...)
		} else {
			w.piece = append(w.piece, piece[:n+1]...)
		}
		piece = piece[n+1:]
	}
}
