package email

import (
	"bufio"
	"bytes"
	"strings"

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
}

// longestDescription is how many octets of a part's header enmime gets to see. It
// allocates several hundred octets for each of some fields, and no program writes
// a tenth of this.
const longestDescription = 8 << 10

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
	p, ok := r.ask()
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
	l.name = charset.Valid(p.FileName)
	l.contentID = charset.Valid(strings.Trim(p.ContentID, "<> "))
	return l
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
			r.fields = append(r.fields, line...)
			r.fields = append(r.fields, "\r\n"...)
		}
		part = rest
	}
	r.fields = withoutQuotes(append(r.fields, "\r\n"...))
}

// withoutQuotes takes the quotes off values that RFC 2231, section 4 has none
// around, in name* for one: there are programs that quote every value.
func withoutQuotes(fields []byte) []byte {
	kept, rest := fields[:0], fields
	for {
		at := bytes.Index(rest, []byte(`*="`)) + len(`*=`)
		if at < len(`*=`) {
			return append(kept, rest...)
		}
		kept, rest = append(kept, rest[:at]...), rest[at:]
		length := bytes.IndexByte(rest[1:], '"')
		if length > 0 && bytes.Count(rest[1:1+length], []byte("'")) == 2 && !bytes.ContainsAny(rest[1:1+length], " \t\r\n;,\\()<>@[]?=") {
			kept, rest = append(kept, rest[1:1+length]...), rest[length+2:]
			continue
		}
		kept, rest = append(kept, rest[0]), rest[1:]
	}
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
