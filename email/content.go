package email

import (
	"bytes"
	"io"
	"strings"

	"inreply/email/charset"
	"inreply/email/guard"
	"inreply/email/htmltext"
	"inreply/email/transfer"
)

// content reads the bodies of a mail into its message.
type content struct {
	raw     []byte
	parts   []guard.Part
	message *Message
	leaves  []leaf // what the parts are, by the index of the part

	guesses   int // texts so far whose charset was not as declared
	converted int // octets of HTML so far that were made into text

	texts []string // in their order, from text/plain and from HTML that stands alone
	htmls []string
	names names
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
		c.body(part, l, plain[i])
	}
	c.message.Text = joined(c.texts)
	c.message.HTML = strings.Join(c.htmls, "\n")
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

// body takes a text of the mail. Plain says that the same stands in another part
// as plain text.
func (c *content) body(part guard.Part, l leaf, plain bool) {
	text := c.text(part, l.charset)
	if l.mediaType == "text/plain" {
		c.texts = append(c.texts, text)
		return
	}
	c.htmls = append(c.htmls, text)
	if !plain {
		c.texts = append(c.texts, c.fromHTML(text))
	}
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

// joined are texts below each other.
func joined(texts []string) string {
	var kept []string
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			kept = append(kept, t)
		}
	}
	if len(kept) == 1 {
		return kept[0]
	}
	for i := range kept {
		kept[i] = strings.TrimRight(kept[i], "\n")
	}
	return strings.Join(kept, "\n\n")
}

// text decodes a body: its transfer encoding, its line ends and its charset. There
// is one copy of it, and a second one only if its charset is not that of UTF-8.
func (c *content) text(part guard.Part, declared string) string {
	w := lineWriter{keep: wide(declared)}
	w.text.Grow(int(max(part.Decoded, int64(part.Body.Len()))))
	if part.Encoding == guard.Identity {
		w.write(part.Body.Of(c.raw))
		w.end()
	} else {
		w.copy(decoder(c.raw, part), min(part.Body.Len()+1, 4<<10))
	}
	text := c.inUTF8(declared, w.text.String())
	if w.keep {
		text = strings.ReplaceAll(text, "\r\n", "\n")
	}
	return withoutZeros(text)
}

// mostGuesses is for how many texts of a mail the charset is looked for. One look
// takes a millisecond, and an honest mail has few texts that need it.
const mostGuesses = 20

func (c *content) inUTF8(declared, text string) string {
	if c.guesses >= mostGuesses {
		return charset.Short(declared, text)
	}
	decoded, outcome := charset.Decode(declared, text)
	if outcome != charset.Declared {
		c.guesses++
	}
	c.charsetDefect(outcome)
	return decoded
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

// wide reports whether the letters of a charset have more octets than one, so that
// a line end is not what it seems before they are decoded.
func wide(declared string) bool {
	declared = strings.ToLower(declared)
	return strings.Contains(declared, "utf-16") || strings.Contains(declared, "utf-32") || strings.Contains(declared, "ucs")
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

// lineWriter writes text with LF at the ends of lines in place of CRLF.
type lineWriter struct {
	text strings.Builder
	keep bool // leave line ends as they are
	cr   bool // the last octet was CR, and is not written yet
}

func (w *lineWriter) copy(r io.Reader, piece int) {
	buffer := make([]byte, piece)
	for {
		n, err := r.Read(buffer)
		w.write(buffer[:n])
		if err != nil {
			break
		}
	}
	w.end()
}

// end writes what was kept back.
func (w *lineWriter) end() {
	if w.cr {
		w.text.WriteByte('\r')
	}
}

func (w *lineWriter) write(b []byte) {
	if w.keep {
		w.text.Write(b)
		return
	}
	if w.cr && len(b) > 0 {
		if b[0] != '\n' {
			w.text.WriteByte('\r')
		}
		w.cr = false
	}
	for {
		at := bytes.Index(b, []byte("\r\n"))
		if at < 0 {
			break
		}
		w.text.Write(b[:at])
		b = b[at+1:]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		w.cr = true
		b = b[:n-1]
	}
	w.text.Write(b)
}

// withoutZeros leaves out what no text has, and what some programs take for its
// end.
func withoutZeros(text string) string {
	if strings.IndexByte(text, 0) < 0 {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := range len(text) {
		if text[i] != 0 {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}
