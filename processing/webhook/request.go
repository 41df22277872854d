package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"inreply/email"
)

// SchemaVersion is the version of the requests' form. Fields may be added to it; one
// that changes or goes makes a new one.
const SchemaVersion = "1"

// What a request is about.
const (
	TypeMail   = "mail"
	TypeObject = "object"
)

// Request is what a service is told of a mail or an object. docs/webhook.md describes
// every field, and docs/webhook/request.schema.json is its JSON Schema. Times are in
// RFC 3339 and UTC; null where they are not known.
type Request struct {
	SchemaVersion string     `json:"schema_version"`
	Type          string     `json:"type"`
	ID            string     `json:"id"`
	Attempt       int        `json:"attempt"`
	ReceivedAt    *time.Time `json:"received_at"`
	Route         Route      `json:"route"`
	Object        *Object    `json:"object,omitempty"` // of type object, and nothing below it then
	*Mail
}

// Route is the route that a mail took.
type Route struct {
	Name     string            `json:"name"`
	Captures map[string]string `json:"captures"`
	PlusTag  string            `json:"plus_tag"`
}

// Object is an object that is no mail.
type Object struct {
	Bucket      string `json:"bucket"`
	Key         string `json:"key"`
	VersionID   string `json:"version_id"`
	ETag        string `json:"etag"`
	ContentType string `json:"content_type"`
	Size        int64  `json:"size"`
	Link
}

// Link leads to octets, for whoever has it, until it expires.
type Link struct {
	URL     string    `json:"url"`
	Expires time.Time `json:"url_expires_at"`
}

// Mail is what a mail says.
type Mail struct {
	Envelope   Envelope   `json:"envelope"`
	From       *Address   `json:"from"`
	Sender     *Address   `json:"sender"`
	ReplyTo    []Address  `json:"reply_to"`
	To         []Address  `json:"to"`
	Cc         []Address  `json:"cc"`
	Subject    string     `json:"subject"`
	Date       *time.Time `json:"date"`
	MessageID  string     `json:"message_id"`
	InReplyTo  []string   `json:"in_reply_to"`
	References []string   `json:"references"`
	Headers    []Field    `json:"headers"`
	Text       string     `json:"text"`
	HTML       string     `json:"html"`
	ReplyText  string     `json:"reply_text"`
	Truncated  []string   `json:"truncated"` // names of fields that were too long: they are cut, or empty
	Auth       Verdicts   `json:"auth"`
	Scan       Scan       `json:"scan"`
	Automation Automation `json:"automation"`
	Defects    []Defect   `json:"defects"`
	Reply      Permit     `json:"reply"`
	Raw        Raw        `json:"raw"`

	// The last field: files are written behind it as they are read.
	Attachments []Attachment `json:"attachments"`
}

// Envelope is what the servers said to each other (RFC 5321).
type Envelope struct {
	MailFrom string   `json:"mail_from"`
	RcptTo   []string `json:"rcpt_to"`
}

// Address is a mailbox.
type Address struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

// Field is a header field.
type Field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Verdicts say who wrote the mail, in SES's words.
type Verdicts struct {
	SPF            string `json:"spf"`
	DKIM           string `json:"dkim"`
	DMARC          string `json:"dmarc"`
	VerifiedDomain string `json:"verified_domain"` // the domain of from, if the mail surely comes from there
}

// Scan is what SES found in the mail.
type Scan struct {
	Spam  string `json:"spam"`
	Virus string `json:"virus"`
}

// Automation says whether a program wrote the mail.
type Automation struct {
	IsAuto  bool     `json:"is_auto"`
	Reasons []string `json:"reasons"`
}

// Defect is what was wrong with the mail.
type Defect struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Permit says whether the mail may be answered.
type Permit struct {
	Allowed  bool     `json:"allowed"`
	Reason   string   `json:"reason"`
	To       *Address `json:"to"`
	MaxBytes int64    `json:"max_bytes"`
}

// Raw is the mail as it was received.
type Raw struct {
	Link
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Attachment is a file. It has either a link or its content in base64.
type Attachment struct {
	ID           string `json:"id"`
	Filename     string `json:"filename"`
	FilenameRaw  string `json:"filename_raw"`
	ContentType  string `json:"content_type"`
	DetectedType string `json:"detected_type"`
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
	Disposition  string `json:"disposition"`
	ContentID    string `json:"content_id"`
	*Link
}

// newRequest is the request about a message, but for what leads to S3.
func newRequest(m *email.Message) *Request {
	r := &Request{
		SchemaVersion: SchemaVersion, Type: TypeMail, ID: m.ID, Attempt: max(1, m.Try), ReceivedAt: known(m.Announced),
		Route: Route{Name: m.Route.Name, Captures: m.Route.Captures, PlusTag: m.Route.Tag},
	}
	if r.Route.Captures == nil {
		r.Route.Captures = map[string]string{}
	}
	if isObject(m) {
		o := m.Object
		r.Type = TypeObject
		r.Object = &Object{Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID, ETag: o.ETag, ContentType: o.ContentType, Size: o.Size}
		return r
	}
	r.Mail = newMail(m)
	return r
}

// isObject reports whether a message is an object that is no mail: nobody has read
// it. Every mail that was read has a header field or a defect.
func isObject(m *email.Message) bool {
	return len(m.Header) == 0 && len(m.Defects) == 0 && m.SHA256() == ""
}

func newMail(m *email.Message) *Mail {
	mail := &Mail{
		Envelope: Envelope{MailFrom: m.ReturnPath, RcptTo: listed(m.Recipients)},
		From:     mailbox(m.From), Sender: mailbox(m.Sender),
		ReplyTo: mailboxes(m.ReplyTo), To: mailboxes(m.To), Cc: mailboxes(m.Cc),
		Subject: m.Subject, Date: known(m.Date),
		MessageID: m.MessageID, InReplyTo: listed(m.InReplyTo), References: listed(m.References),
		Headers: []Field{}, Text: m.Text, HTML: m.HTML, ReplyText: m.ReplyText, Truncated: []string{},
		Auth: verdicts(m), Scan: Scan{Spam: string(m.Verdicts.Spam), Virus: string(m.Verdicts.Virus)},
		Automation: Automation{IsAuto: m.Automation.IsAuto, Reasons: listed(m.Automation.Reasons)},
		Defects:    []Defect{}, Attachments: []Attachment{},
		Reply: Permit{Allowed: m.Permit.Allowed, Reason: m.Permit.Reason, To: mailbox(m.Permit.To), MaxBytes: m.Permit.Largest},
		Raw:   Raw{SHA256: m.SHA256(), Size: m.Object.Size},
	}
	for _, f := range m.Header {
		mail.Headers = append(mail.Headers, Field{Name: f.Name, Value: f.Value})
	}
	for _, d := range m.Defects {
		mail.Defects = append(mail.Defects, Defect{Code: d.Code, Detail: d.Detail})
	}
	return mail
}

func verdicts(m *email.Message) Verdicts {
	v := Verdicts{SPF: string(m.Verdicts.SPF), DKIM: string(m.Verdicts.DKIM), DMARC: string(m.Verdicts.DMARC)}
	if m.Verdicts.Authenticated(m.From, email.Aligned) {
		v.VerifiedDomain = m.From.Domain()
	}
	return v
}

func known(t time.Time) *time.Time {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 { // what RFC 3339 can say
		return nil
	}
	t = t.UTC()
	return &t
}

func mailbox(a email.Address) *Address {
	if a == (email.Address{}) {
		return nil
	}
	return &Address{Name: a.Name, Address: a.Mailbox}
}

func mailboxes(all []email.Address) []Address {
	list := make([]Address, len(all))
	for i, a := range all {
		list[i] = *mailbox(a)
	}
	return list
}

func listed(all []string) []string {
	if all == nil {
		return []string{}
	}
	return all
}

// fit makes the head of the request, which is all of it but the content of files, at
// most so many octets long. What is cut or left out is named in Truncated; raw has
// it all. What matters least goes first.
func (r *Request) fit(most int64) ([]byte, error) {
	if r.Mail == nil {
		return encode(r)
	}
	r.Mail.clip("text", &r.Mail.Text, most/4)
	r.Mail.clip("reply_text", &r.Mail.ReplyText, most/8)
	r.Mail.clip("html", &r.Mail.HTML, most/4)
	for _, drop := range []struct {
		name string
		now  func(m *Mail)
	}{
		{"", func(*Mail) {}},
		{"html", func(m *Mail) { m.HTML = "" }},
		{"headers", func(m *Mail) { m.Headers = []Field{} }},
		{"references", func(m *Mail) { m.References = []string{} }},
		{"cc", func(m *Mail) { m.Cc = []Address{} }},
		{"to", func(m *Mail) { m.To = []Address{} }},
		{"reply_text", func(m *Mail) { m.ReplyText = "" }},
		{"text", func(m *Mail) { m.Text = "" }},
		{"defects", func(m *Mail) { m.Defects = []Defect{} }},
	} {
		if drop.name != "" {
			drop.now(r.Mail)
			r.Mail.truncated(drop.name)
		}
		head, err := encode(r)
		if err != nil {
			return nil, err
		}
		if int64(len(head)) <= most {
			return head, nil
		}
	}
	return nil, &failure{err: fmt.Errorf("the request would have more than %d octets without any text: see max_body_kib", most), permanent: true}
}

// encode writes JSON in which < > & stay as they are: nobody puts it into a page, and
// HTML would be half as long again.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), nil
}

func (m *Mail) truncated(name string) {
	if !slices.Contains(m.Truncated, name) {
		m.Truncated = append(m.Truncated, name)
	}
}

// clip cuts a text where its JSON would become too long, between two characters.
func (m *Mail) clip(name string, text *string, most int64) {
	if int64(len(*text))*6 <= most {
		return // however it is escaped
	}
	var n int64
	for at, r := range *text {
		n += escaped(r)
		if n > most {
			*text = (*text)[:at]
			m.truncated(name)
			return
		}
	}
}

// escaped is how many octets a character has in encoding/json's output, at most.
func escaped(r rune) int64 {
	switch {
	case r == '\n' || r == '\r' || r == '\t' || r == '"' || r == '\\':
		return 2
	case r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' || r == '\uFFFD':
		return 6
	case r < 0x80:
		return 1
	case r < 0x800:
		return 2
	case r < 0x10000:
		return 3
	}
	return 4
}
