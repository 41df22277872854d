package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"inreply/email"
	"inreply/email/htmltext"
)

// What a service can have done with a mail.
const (
	ActionReply  = "reply"  // answer it
	ActionNone   = "none"   // stay silent
	ActionReject = "reject" // refuse it, in the service's words or the settings'
	ActionDefer  = "defer"  // ask again later
)

// Response is what a service says. docs/webhook/response.schema.json is its JSON
// Schema. Fields that are not here are passed over.
type Response struct {
	Action     string   `json:"action"`
	Reply      *Reply   `json:"reply"`
	RetryAfter *float64 `json:"retry_after_s"`
}

// Reply is the content of a reply. Who gets it, and in which thread, is not the
// service's to say.
type Reply struct {
	Subject     string  `json:"subject"` // empty: that of the mail, with Re:
	Text        string  `json:"text"`    // empty: made from html
	HTML        string  `json:"html"`
	Template    string  `json:"template"`
	Data        any     `json:"data"`
	Attachments []File  `json:"attachments"`
	Headers     []Field `json:"headers"`
}

// File is a file of a reply.
type File struct {
	Filename    string `json:"filename"`
	ContentType string `json:"content_type"`
	ContentID   string `json:"content_id"` // set, the file is inline
	Content     string `json:"content"`    // base64
}

// Most of what a reply may have.
const (
	mostFiles      = 100
	mostFields     = 50
	longestValue   = 2000
	longestSubject = 2000
	longestName    = 255
	longestType    = 500
)

// broken is the error of an answer that breaks the contract.
type broken struct{ field, why string }

func (b *broken) Error() string { return b.field + ": " + b.why }

// Permanent reports that the service said what it meant.
func (b *broken) Permanent() bool { return true }

// errNotJSON is why an answer cannot be read at all.
var errNotJSON = errors.New("its answer is not JSON")

// Decode reads what a service says, and checks all of it that could harm. Its error
// is permanent if it is JSON that breaks the contract, and names the field then.
func Decode(text []byte) (*Response, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // of Data: an order number is no float
	var r *Response
	if err := decoder.Decode(&r); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return nil, &broken{field(wrong.Field), fmt.Sprintf("it is %s, and must be %s", article(wrong.Value), kinds(wrong.Type.Kind().String()))}
		}
		return nil, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w alone: something follows it", errNotJSON)
	}
	if r == nil {
		return nil, &broken{"the answer", "it is null, and must be an object"}
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

func field(name string) string {
	if name == "" {
		return "the answer"
	}
	return name
}

func article(kind string) string {
	switch kind, _, _ := strings.Cut(kind, " "); kind {
	case "array", "object":
		return "an " + kind
	case "bool":
		return "true or false"
	default:
		return "a " + kind
	}
}

func kinds(kind string) string {
	switch kind {
	case "struct", "ptr":
		return "an object"
	case "slice":
		return "an array"
	case "float64":
		return "a number"
	}
	return "a string"
}

func (r *Response) check() error {
	switch r.Action {
	case ActionReply:
		if r.Reply == nil {
			return &broken{"reply", "it is not there, and the action is reply"}
		}
		if r.Reply.blank() {
			return &broken{"reply", "there is neither text nor html nor template"}
		}
	case ActionNone, ActionReject, ActionDefer:
	case "":
		return &broken{"action", "it is not there"}
	default:
		return &broken{"action", fmt.Sprintf("%.40q is none of %s, %s, %s, %s", r.Action, ActionReply, ActionNone, ActionReject, ActionDefer)}
	}
	if r.RetryAfter != nil && (*r.RetryAfter < 0 || *r.RetryAfter > longestWait.Seconds()) {
		return &broken{"retry_after_s", fmt.Sprintf("%g is not between 0 and %g", *r.RetryAfter, longestWait.Seconds())}
	}
	if r.Reply == nil {
		return nil
	}
	return r.Reply.check()
}

// blank reports whether there is nothing to say. Encoders that know no null write such
// a reply where there is none.
func (r *Reply) blank() bool {
	return strings.TrimSpace(r.Text+r.HTML+r.Template) == ""
}

func (r *Reply) check() error {
	for _, f := range []struct {
		name, value string
		most        int
	}{{"reply.subject", r.Subject, longestSubject}, {"reply.template", r.Template, longestName}} {
		if err := oneLine(f.name, f.value, f.most); err != nil {
			return err
		}
	}
	if strings.ContainsRune(r.Text, 0) || strings.ContainsRune(r.HTML, 0) {
		return &broken{"reply", "there is a NUL in text or html"}
	}
	if len(r.Headers) > mostFields {
		return &broken{"reply.headers", fmt.Sprintf("there are %d, and %d are allowed", len(r.Headers), mostFields)}
	}
	for i, h := range r.Headers {
		at := fmt.Sprintf("reply.headers[%d]", i)
		if !email.ReplyField(h.Name) {
			return &broken{at + ".name", fmt.Sprintf("%.80q is no field that a reply may set", h.Name)}
		}
		if err := oneLine(at+".value", h.Value, longestValue); err != nil {
			return err
		}
	}
	if len(r.Attachments) > mostFiles {
		return &broken{"reply.attachments", fmt.Sprintf("there are %d, and %d are allowed", len(r.Attachments), mostFiles)}
	}
	for i, f := range r.Attachments {
		if err := f.check(fmt.Sprintf("reply.attachments[%d].", i)); err != nil {
			return err
		}
	}
	return nil
}

func (f File) check(at string) error {
	for _, x := range []struct {
		name, value string
		most        int
	}{{"filename", f.Filename, longestName}, {"content_type", f.ContentType, longestType}, {"content_id", f.ContentID, longestName}} {
		if err := oneLine(at+x.name, x.value, x.most); err != nil {
			return err
		}
	}
	if f.Filename == "" {
		return &broken{at + "filename", "it is not there"}
	}
	if f.ContentType != "" {
		if kind, _, err := mime.ParseMediaType(f.ContentType); err != nil || !strings.Contains(kind, "/") {
			return &broken{at + "content_type", fmt.Sprintf("%.80q is no media type", f.ContentType)}
		}
	}
	if strings.ContainsAny(f.ContentID, "<> \t") {
		return &broken{at + "content_id", "there must be no < > or space in it"}
	}
	return nil
}

// oneLine checks what becomes part of a header.
func oneLine(name, value string, most int) error {
	if len(value) > most {
		return &broken{name, fmt.Sprintf("it has %d octets, and %d are allowed", len(value), most)}
	}
	if at := strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }); at >= 0 {
		return &broken{name, fmt.Sprintf("there is a control character at octet %d", at)}
	}
	return nil
}

// reply makes the reply to a mail of what the service says.
func (w *Webhook) reply(ctx context.Context, m *email.Message, text []byte) (*email.Reply, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // no reply is an answer
	}
	r, err := Decode(text)
	if err != nil {
		// What is not JSON may come from a proxy, or from a process that was ending.
		return nil, &failure{err: err, permanent: !errors.Is(err, errNotJSON), alive: !errors.Is(err, errNotJSON)}
	}
	switch {
	case r.Action == ActionNone:
		return nil, nil //nolint:nilnil // no reply is an answer
	case r.Action == ActionDefer:
		a := &answer{alive: true, err: errors.New("it defers the mail")}
		if r.RetryAfter != nil {
			a.after = max(time.Second, time.Duration(*r.RetryAfter*float64(time.Second)))
		}
		return nil, w.putOff(ctx, m.ID, a)
	case isObject(m):
		return nil, nil //nolint:nilnil // nobody is to be answered
	case r.Action == ActionReject && (r.Reply == nil || r.Reply.blank()):
		return w.refuse(ctx, m)
	}
	reply, err := r.Reply.to(m)
	if err != nil {
		return nil, &failure{err: err, permanent: true, alive: true}
	}
	return reply, nil
}

// refuse is the refusal of the settings.
func (w *Webhook) refuse(ctx context.Context, m *email.Message) (*email.Reply, error) {
	reply, err := w.parts.Refuser.Process(ctx, m)
	if err != nil {
		return nil, &failure{err: fmt.Errorf("write the refusal: %w", err), ours: true}
	}
	return reply, nil
}

// to is the reply to a mail. Files are decoded here.
func (r *Reply) to(m *email.Message) (*email.Reply, error) {
	reply := m.Answer()
	if s := strings.TrimSpace(r.Subject); s != "" {
		reply.Subject = s
	}
	reply.Text, reply.HTML, reply.Template, reply.Data = r.Text, r.HTML, r.Template, r.Data
	if r.Text == "" && r.HTML != "" && r.Template == "" {
		reply.Text = htmltext.Text(r.HTML)
	}
	for _, h := range r.Headers {
		reply.Headers = append(reply.Headers, email.Field{Name: h.Name, Value: h.Value})
	}
	var size int64
	for i, f := range r.Attachments {
		at := fmt.Sprintf("reply.attachments[%d].content", i)
		content, err := base64.StdEncoding.DecodeString(f.Content)
		if err != nil {
			return nil, &broken{at, "it is not base64"}
		}
		size += int64(len(content))
		if most := m.Permit.Largest; most > 0 && size > most {
			return nil, &broken{at, fmt.Sprintf("with it the files have %d octets, and a reply may have %d in all (reply.max_bytes)", size, most)}
		}
		reply.Attachments = append(reply.Attachments, email.Part{
			Name: f.Filename, ContentType: f.kind(content), ContentID: f.ContentID, Content: content,
		})
	}
	return reply, nil
}

// kind is the media type of a file.
func (f File) kind(content []byte) string {
	if f.ContentType != "" {
		return f.ContentType
	}
	return http.DetectContentType(content)
}
