package email

import (
	"bufio"
	"bytes"
	"cmp"
	"strings"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"

	"inreply/email/charset"
	"inreply/email/guard"
	"inreply/email/header"
)

// leaf is what the header of a part says of its body.
type leaf struct {
	mediaType   string // lower case, without parameters; never empty
	charset     string // as declared
	disposition string // "attachment", "inline", or empty
	name        string // decoded; empty if there is none
	contentID   string
	malformed   bool // the media type could not be read as it stands
}

// leafReader has enmime read the headers of parts, one at a time and without
// their bodies: it is the most tolerant reader of them that there is. Where the
// parts are, it never gets to decide, nor to decode one.
type leafReader struct {
	parser *enmime.Parser
	source *bytes.Reader
	buffer *bufio.Reader
	fields []byte
	cut    bool // some of the fields were left out
	total  int  // octets of fields so far
}

// longestDescription is how many octets of a part's header enmime gets to see. It
// allocates several hundred octets for each of some fields, and no program writes
// a tenth of this.
const longestDescription = 8 << 10

// mostDescription is the same for all parts of a mail together. What is beyond is
// known by its media type only.
const mostDescription = 128 << 10

func newLeafReader() *leafReader {
	return &leafReader{
		parser: enmime.NewParser(
			enmime.RawContent(true),
			enmime.DisableTextConversion(true),
			enmime.DisableCharacterDetection(true),
			enmime.MultipartWOBoundaryAsSinglePart(true),
			enmime.SkipMalformedParts(true),
			enmime.MaxStoredPartErrors(1),
		),
		source: bytes.NewReader(nil),
		buffer: bufio.NewReader(nil),
	}
}

// read reads the header of a part. Digest says that the part is within a
// multipart/digest, where a mail is what is meant by nothing (RFC 2046, section
// 5.1.5).
func (r *leafReader) read(part []byte, digest bool) leaf {
	r.describing(part)
	l := leaf{mediaType: "text/plain", malformed: r.cut}
	if digest {
		l.mediaType = "message/rfc822"
	}
	if len(r.fields) <= len("\r\n") {
		return l
	}
	var p *enmime.Part
	ok := false
	if r.total += len(r.fields); r.total <= mostDescription {
		p, ok = r.ask()
	}
	if !ok {
		l.malformed = true
		l.mediaType = readable(bareType(r.fields, l.mediaType))
		return l
	}
	if declared := strings.ToLower(p.ContentType); isMediaType(declared) {
		l.mediaType = readable(declared)
	} else if declared != "" {
		l.malformed = true
	}
	l.charset = p.Charset
	l.disposition = disposition(p.Disposition)
	l.name = charset.Valid(cmp.Or(r.extendedName(), p.FileName))
	l.contentID = charset.Valid(strings.Trim(p.ContentID, "<> "))
	return l
}

// extendedName is the name of a file that is written as RFC 2231 has it, of which
// enmime knows no other charset than UTF-8; empty if there is none.
func (r *leafReader) extendedName() string {
	if !bytes.Contains(r.fields, []byte("*")) {
		return ""
	}
	fields, _ := header.Split(r.fields)
	for _, field := range []struct{ name, parameter string }{{"Content-Disposition", "filename"}, {"Content-Type", "name"}} {
		if name, ok := header.Extended(value(fields, field.name), field.parameter); ok {
			return name
		}
	}
	return ""
}

// ask hands the fields to enmime. That it does not panic was tried on millions of
// headers; if it does on one that was not among them, this part's description is
// lost, and not the process.
func (r *leafReader) ask() (p *enmime.Part, ok bool) {
	defer func() {
		if recover() != nil {
			p, ok = nil, false
		}
	}()
	r.source.Reset(r.fields)
	r.buffer.Reset(r.source)
	p, err := r.parser.ReadParts(r.buffer)
	return p, err == nil
}

// describing keeps the fields that describe the body, and the line that ends them.
func (r *leafReader) describing(part []byte) {
	r.fields, r.cut = r.fields[:0], false
	keep := false
	for len(part) > 0 {
		line, rest := header.Line(part)
		if name := header.Name(line); name != "" {
			keep = len(name) > 8 && strings.EqualFold(name[:8], "Content-") && !strings.EqualFold(name, "Content-Transfer-Encoding")
		}
		if keep && len(r.fields)+len(line) > longestDescription {
			r.cut = true
			break
		}
		if keep {
			r.fields = append(r.fields, inUTF8(line)...)
			r.fields = append(r.fields, "\r\n"...)
		}
		part = rest
	}
	r.fields = append(r.fields, "\r\n"...)
}

// inUTF8 is a line of a header with octets that are in no charset.
func inUTF8(line []byte) []byte {
	if utf8.Valid(line) {
		return line
	}
	return []byte(charset.Short("", string(line)))
}

// readable is the media type that a leaf is read as: a multipart without parts is
// the text that it has.
func readable(mediaType string) string {
	if strings.HasPrefix(mediaType, "multipart/") {
		return "text/plain"
	}
	return mediaType
}

// bareType is the media type of a field that enmime cannot read: what stands
// before anything else.
func bareType(fields []byte, otherwise string) string {
	all, _ := header.Split(fields)
	declared, _, _ := strings.Cut(value(all, "Content-Type"), ";")
	if declared = strings.ToLower(strings.TrimSpace(declared)); isMediaType(declared) {
		return declared
	}
	return otherwise
}

// isMediaType reports whether s is a type and a subtype (RFC 2045, section 5.1).
func isMediaType(s string) bool {
	kind, subtype, ok := strings.Cut(s, "/")
	return ok && kind != "" && subtype != "" && len(s) <= 127 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"[]?=`, r)
	}) && !strings.Contains(subtype, "/")
}

// disposition is one of the two of RFC 2183; any other is "attachment" (section
// 2.8).
func disposition(declared string) string {
	switch declared = strings.ToLower(declared); declared {
	case "", "inline":
		return declared
	}
	return "attachment"
}

// isBody reports whether a leaf is text of the mail itself, rather than a file.
func (l leaf) isBody(first bool) bool {
	if l.mediaType != "text/plain" && l.mediaType != "text/html" || l.disposition == "attachment" {
		return false
	}
	return l.name == "" || first
}

// parent is the multipart around a part.
func parent(parts []guard.Part, i int) guard.Kind {
	if p := parts[i].Parent; p >= 0 {
		return parts[p].Kind
	}
	return guard.Mixed
}
