package email

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jhillyerd/enmime/v2"
	"golang.org/x/text/encoding/htmlindex"
)

// Parser turns Raw into Message. It is safe for concurrent use.
type Parser struct {
	config Config
	enmime *enmime.Parser
	heads  []*regexp.Regexp // of quotes
}

// NewParser returns a Parser.
func NewParser(config Config) (*Parser, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the parser's settings: %w", err)
	}
	return &Parser{config: config, heads: quoteHeads(), enmime: enmime.NewParser(
		enmime.DisableTextConversion(true),
		enmime.MaxStoredPartErrors(50),
		enmime.SkipMalformedParts(true),
		enmime.MultipartWOBoundaryAsSinglePart(true),
	)}, nil
}

// Parse reads a mail. Its error has Permanent() true.
func (p *Parser) Parse(raw Raw) (*Message, error) {
	if err := p.config.guard(raw.Bytes); err != nil {
		return nil, err
	}
	fields, _ := headerFields(raw.Bytes)
	if len(fields) == 0 {
		return nil, &Error{Why: "it does not begin with a header field such as \"From: ...\""}
	}
	envelope, err := p.enmime.ReadEnvelope(bytes.NewReader(raw.Bytes))
	if err != nil {
		return nil, &Error{Why: "no MIME structure can be made out in it"}
	}
	m := &Message{ID: raw.Object.ID(), Object: raw.Object}
	block := sesBlock(fields)
	m.readEnvelope(raw, fields[:block])
	m.Header = decoded(fields[block:])
	m.readHeader()
	m.readContent(envelope)
	m.ReplyText = replyText(m.Text, p.heads)
	m.Automation = p.config.automation(m)
	return m, nil
}

// readEnvelope takes what SES knows of the mail: from its notification if there
// was one, else from the block that it put on top.
func (m *Message) readEnvelope(raw Raw, block []Field) {
	var top Top
	top.readBlock(block)
	m.ReturnPath, m.NullPath, m.Recipients, m.Verdicts = top.MailFrom, top.NullPath, top.Recipients, top.Verdicts
	if r := raw.Receipt; r != nil {
		m.ReturnPath, m.NullPath = r.MailFrom, r.MailFrom == ""
		m.Recipients = nil
		for _, to := range r.Recipients {
			m.Recipients = append(m.Recipients, normal(to))
		}
		// The notification's verdicts are SES's own words; the domains that they
		// are about stand only in the block.
		v := r.Verdicts
		v.SPFDomain, v.DKIMDomains = top.Verdicts.SPFDomain, top.Verdicts.DKIMDomains
		m.Verdicts = v
	}
}

// decoded decodes the encoded words of all fields.
func decoded(fields []Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		out[i] = Field{Name: valid(f.Name), Value: decodeWords(f.Value)}
	}
	return out
}

// Get is the value of the first field of this name; empty if there is none.
func (m *Message) Get(name string) string {
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// count is how many fields of this name there are.
func (m *Message) count(name string) (n int) {
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

func (m *Message) readHeader() {
	m.From = firstAddress(m.Get("From"))
	m.Sender = firstAddress(m.Get("Sender"))
	m.ReplyTo = addresses(m.Get("Reply-To"))
	m.To = addresses(m.Get("To"))
	m.Cc = addresses(m.Get("Cc"))
	m.Subject = m.Get("Subject")
	if date, err := mail.ParseDate(m.Get("Date")); err == nil {
		m.Date = date
	} else {
		m.defect("date", "the date is missing or cannot be read")
	}
	if ids := messageIDs(m.Get("Message-ID")); len(ids) > 0 {
		m.MessageID = ids[0]
	} else {
		m.defect("message-id", "the message id is missing or invalid")
	}
	m.InReplyTo = messageIDs(m.Get("In-Reply-To"))
	m.References = messageIDs(m.Get("References"))
	if m.From == (Address{}) {
		m.defect("from", "From is missing or names no mailbox")
	}
	if m.count("From") > 1 {
		m.defect("from-twice", "there is more than one From; the first was taken")
	}
}

func (m *Message) defect(code, detail string) {
	m.Defects = append(m.Defects, Defect{Code: code, Detail: detail})
}

// messageIDs are the valid message ids in a field, with their angle brackets.
func messageIDs(value string) (ids []string) {
	for {
		open := strings.IndexByte(value, '<')
		if open < 0 {
			return ids
		}
		value = value[open:]
		end := strings.IndexByte(value, '>')
		if end < 0 {
			return ids
		}
		if id := value[:end+1]; validID(id) {
			ids = append(ids, id)
		}
		value = value[end+1:]
	}
}

// validID reports whether an id may stand in a header that we write: RFC 5322,
// section 3.6.4, more or less, and short enough for a line.
func validID(id string) bool {
	inner := id[1 : len(id)-1]
	return len(id) <= 250 && len(inner) > 0 && !strings.ContainsFunc(inner, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '<' || r == '>'
	})
}

func (m *Message) readContent(e *enmime.Envelope) {
	m.HTML = valid(e.HTML)
	m.Text = valid(strings.ReplaceAll(e.Text, "\r\n", "\n"))
	if strings.TrimSpace(m.Text) == "" && m.HTML != "" {
		m.Text = htmlText(m.HTML)
	}
	for _, list := range [][]*enmime.Part{e.Attachments, e.Inlines, e.OtherParts} {
		for _, part := range list {
			if len(part.Content) > 0 || part.FileName != "" {
				m.Attachments = append(m.Attachments, attachment(part, len(m.Attachments)+1))
			}
		}
	}
	if len(e.Errors) > 0 {
		// enmime's own words may carry the sender's octets.
		m.defect("mime", fmt.Sprintf("%d faults in the MIME structure were tolerated", len(e.Errors)))
	}
}

func attachment(part *enmime.Part, number int) Attachment {
	content := part.Content
	detected, _, _ := mime.ParseMediaType(http.DetectContentType(content))
	if detected == "application/octet-stream" {
		detected = ""
	}
	disposition := "attachment"
	if part.Disposition == "inline" {
		disposition = "inline"
	}
	return Attachment{
		Name: safeName(part.FileName, part.ContentType, number), RawName: valid(part.FileName),
		ContentType: strings.ToLower(part.ContentType), DetectedType: detected, Disposition: disposition,
		ContentID: strings.Trim(part.ContentID, "<>"), Size: int64(len(content)),
		open: func() io.ReadCloser { return io.NopCloser(bytes.NewReader(content)) },
	}
}

// safeName is a file name without a path, without control characters, and not
// empty.
func safeName(name, contentType string, number int) string {
	name = path.Base(strings.ReplaceAll(valid(name), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`/:*?"<>|`, r) || unicode.Is(unicode.Cf, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.Trim(name, " .")
	for len(name) > 200 {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	if name != "" {
		return name
	}
	extension := ".bin"
	if known, _ := mime.ExtensionsByType(contentType); len(known) > 0 {
		extension = slices.Min(known)
	}
	return fmt.Sprintf("part-%d%s", number, extension)
}

// wordDecoder decodes encoded words (RFC 2047) in every charset of the WHATWG.
func wordDecoder() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(charset string, r io.Reader) (io.Reader, error) {
		encoding, err := htmlindex.Get(charset)
		if err != nil {
			return nil, fmt.Errorf("find charset: %w", err)
		}
		return encoding.NewDecoder().Reader(r), nil
	}}
}

// decodeWords decodes what can be decoded, and leaves the rest as it is.
func decodeWords(value string) string {
	if decoded, err := wordDecoder().DecodeHeader(value); err == nil {
		value = decoded
	}
	return valid(value)
}

// valid is a text as UTF-8, without NUL and line breaks in the way of headers.
func valid(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
