package email

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"inreply/email/charset"
	"inreply/email/guard"
	"inreply/email/header"
	"inreply/email/quoted"
)

// Parser turns Raw into Message. It is safe for concurrent use.
type Parser struct {
	config   Config
	charsets *charset.Decoders
}

// NewParser returns a Parser.
func NewParser(config Config) (*Parser, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the parser's settings: %w", err)
	}
	return &Parser{config: config, charsets: charset.NewDecoders()}, nil
}

// Parse reads a mail. Its error is an *[Error], and permanent. The message refers
// to the raw octets, which must not change as long as its attachments are read.
func (p *Parser) Parse(raw Raw) (*Message, error) {
	octets, bare := withoutBareCR(raw.Bytes)
	s, breach := guard.Scan(octets, p.config.limits())
	if breach != nil {
		return nil, breached(breach)
	}
	if err := noMail(octets, s); err != nil {
		return nil, err
	}
	m := &Message{ID: raw.Object.ID(), Object: raw.Object, Announced: raw.Announced, Notice: raw.Notice, Try: raw.Try, Uncapped: raw.Uncapped, raw: raw.Bytes}
	if bare {
		m.defect("bare-cr", "lines end in CR alone")
	}
	for _, f := range s.Faults {
		m.defect(string(f.Code), fmt.Sprintf("%s, at octet %d", explain(f.Code), f.Offset))
	}
	fields, _ := header.Split(s.Parts[0].Header.Of(octets))
	block := sesBlock(fields)
	if len(fields) > 0 && len(fields) == block {
		m.defect(string(guard.NoHeader), explain(guard.NoHeader))
	}
	var values header.Values
	m.readHeader(&values, fields[block:])
	m.readEnvelope(raw.Receipt, fields[:block], p.config.Domains)
	c := content{raw: octets, parts: s.Parts, message: m, charsets: p.charsets, values: &values}
	c.read()
	m.ReplyText = m.replyText()
	m.Automation = p.config.automation(m, s.Parts)
	return m, nil
}

// noMail is an error if the octets are none.
func noMail(octets []byte, s guard.Structure) error {
	if len(bytes.TrimLeftFunc(octets, unicode.IsSpace)) == 0 {
		return &Error{Why: "it is empty"}
	}
	if s.Parts[0].Header.Len() > 0 {
		return nil
	}
	top := octets[:min(len(octets), 1024)]
	for _, c := range top {
		if c < '\t' || c > '\r' && c < ' ' && c != 0x1b {
			return &Error{Why: "it does not begin with a header field such as \"From: ...\", and it is no text"}
		}
	}
	return nil
}

// withoutBareCR mends a mail whose lines end in CR alone: the header of it ends
// nowhere else. It reports whether there was anything to mend.
func withoutBareCR(octets []byte) ([]byte, bool) {
	if !bytes.Contains(octets[:min(len(octets), 1<<20)], []byte("\r\r")) {
		return octets, false
	}
	if bytes.Contains(octets, []byte("\n\n")) || bytes.Contains(octets, []byte("\n\r\n")) {
		return octets, false
	}
	mended := bytes.Clone(octets)
	for i, c := range mended {
		if c == '\r' && (i+1 == len(mended) || mended[i+1] != '\n') {
			mended[i] = '\n'
		}
	}
	return mended, true
}

// readEnvelope takes what SES knows of the mail: from its notification if there
// was one, else from the block that it put on top. Where neither names a
// recipient, it is us who stand in To and Cc.
func (m *Message) readEnvelope(r *Receipt, block []header.Field, domains []string) {
	var top Top
	top.readBlock(block)
	m.ReturnPath, m.NullPath, m.Recipients, m.Verdicts = top.MailFrom, top.NullPath, top.Recipients, top.Verdicts
	if r != nil {
		m.ReturnPath, m.NullPath = r.MailFrom, r.MailFrom == ""
		m.Recipients = nil
		for _, to := range r.Recipients {
			m.Recipients = append(m.Recipients, normal(to))
		}
		// The notification's verdicts are SES's own words; the domains that they
		// are about stand only in the block.
		v := r.Verdicts
		v.SPFDomain, v.DKIMDomains, v.DMARCDomain = top.Verdicts.SPFDomain, top.Verdicts.DKIMDomains, top.Verdicts.DMARCDomain
		m.Verdicts = v
	}
	if len(m.Recipients) > 0 {
		return
	}
	for _, list := range [][]Address{m.To, m.Cc} {
		for _, a := range list {
			for _, domain := range domains {
				if strings.EqualFold(a.Domain(), domain) {
					m.Recipients = append(m.Recipients, a.Mailbox)
				}
			}
		}
	}
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

// readHeader reads what the sender's side wrote.
func (m *Message) readHeader(values *header.Values, fields []header.Field) {
	first := func(name string) string { return value(fields, name) }
	m.From = m.author(values, fields)
	if sender := mailboxes(values, first("Sender")); len(sender) > 0 {
		m.Sender = sender[0]
	}
	m.ReplyTo = mailboxes(values, first("Reply-To"))
	m.To = mailboxes(values, first("To"))
	m.Cc = mailboxes(values, first("Cc"))
	if len(m.To) == header.MostMailboxes || len(m.Cc) == header.MostMailboxes {
		m.defect("long-list", "of a list of mailboxes only the beginning was read")
	}
	m.Header = make([]Field, len(fields))
	for i, f := range fields {
		m.Header[i] = Field{Name: f.Name, Value: values.Text(f.Value)}
	}
	m.Subject = m.Get("Subject")
	m.Date = header.Date(first("Date"))
	if m.Date.IsZero() {
		m.defect("date", "the date is missing or cannot be read")
	}
	if ids := header.IDs(first("Message-ID")); len(ids) > 0 {
		m.MessageID = ids[0]
	} else {
		m.defect("message-id", "the message id is missing or invalid")
	}
	m.InReplyTo = header.IDs(first("In-Reply-To"))
	m.References = header.IDs(first("References"))
}

// author is the mailbox of From, with a defect if nobody can say whose the mail
// is.
func (m *Message) author(values *header.Values, fields []header.Field) Address {
	a, several := author(values, fields)
	switch {
	case several:
		m.defect("several-authors", "From names mailboxes of several domains, or stands there more than once; nobody is taken for the author")
	case a == (Address{}):
		m.defect("from", "From is missing or names no mailbox")
	}
	return a
}

// value is that of the first field of this name, as it was written.
func value(fields []header.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// author is the first mailbox of From. There is none if there are several of
// several domains, in one field or in more: what DMARC passed for could then be
// another one than we believe (RFC 7489, section 6.6.1).
func author(values *header.Values, fields []header.Field) (a Address, several bool) {
	for _, f := range fields {
		if !strings.EqualFold(f.Name, "From") {
			continue
		}
		list := mailboxes(values, f.Value)
		if len(list) == header.MostMailboxes {
			return Address{}, true // who knows who comes behind them
		}
		for _, other := range list {
			if a == (Address{}) {
				a = other
			}
			if a.Domain() != other.Domain() {
				return Address{}, true
			}
		}
	}
	return a, false
}

// mailboxes reads a list of mailboxes.
func mailboxes(values *header.Values, value string) []Address {
	list := values.Mailboxes(value)
	if len(list) == 0 {
		return nil
	}
	all := make([]Address, len(list))
	for i, m := range list {
		all[i] = Address{Name: m.Name, Mailbox: m.Address}
	}
	return all
}

// normal is an envelope's mailbox with its domain in lower case.
func normal(mailbox string) string {
	at := strings.LastIndexByte(mailbox, '@')
	if at < 0 {
		return mailbox
	}
	return mailbox[:at] + strings.ToLower(mailbox[at:])
}

// longestReply is how much of a text is searched for a reply: nobody writes more
// by hand.
const longestReply = 512 << 10

func (m *Message) replyText() string {
	text := m.Text
	if len(text) > longestReply {
		text = strings.ToValidUTF8(text[:longestReply], "")
		m.defect("long-text", "only the beginning of the text was searched for what is no quotation")
	}
	return quoted.Reply(text)
}

func (m *Message) defect(code, detail string) {
	for _, d := range m.Defects {
		if d.Code == code {
			return
		}
	}
	m.Defects = append(m.Defects, Defect{Code: code, Detail: detail})
}

// explain says in our words what a fault is.
func explain(code guard.Code) string {
	switch code {
	case guard.NoHeader:
		return "the mail begins with its text; it has no header"
	case guard.NoSeparator:
		return "no empty line parts the header from the body"
	case guard.MboxLine:
		return "a line of a mailbox file stands on top"
	case guard.HeaderLine:
		return "a line in a header is no field; it was passed over, or taken for a part of the field above"
	case guard.NoBoundary:
		return "a multipart declares no boundary; it was read by its first delimiter, or as text"
	case guard.LongBoundary:
		return "a boundary is longer than the 70 octets of RFC 2046"
	case guard.AbsentBoundary:
		return "the boundary of a multipart delimits nothing; its body was read as text"
	case guard.Unclosed:
		return "the last delimiter of a multipart is missing"
	case guard.RepeatedField:
		return "a field that describes content stands there more than once; the first counts"
	case guard.MalformedEncoding:
		return "a transfer encoding has more behind it; it was read as what was meant"
	case guard.UnknownEncoding:
		return "nobody knows the transfer encoding; the body was left as it is"
	case guard.CorruptBase64:
		return "a base64 body has octets that are not base64, or ends within a letter; what could be decoded was"
	}
	return "something is wrong"
}
