package mailer

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"inreply/email"
)

// longestMail is what SES takes by SendRawEmail (quotas in the SES developer
// guide), in octets.
const longestMail = 10 << 20

// longestMailbox is the longest path in SMTP without its brackets (RFC 5321,
// section 4.5.3.1: local part 64, domain 255).
const longestMailbox = 320

// compose writes a reply as SES sends it: CRLF only, lines below 998 octets,
// nothing but ASCII. SES puts its own Message-ID and Date.
func (m *Mailer) compose(r *email.Reply) ([]byte, error) {
	var b bytes.Buffer
	c := composer{out: &b, newBoundary: func() string { return "=_" + m.newID() }}
	from := r.From
	if from == (email.Address{}) {
		from = email.Address{Name: m.config.Name, Mailbox: m.config.From}
	}
	c.address("From", from)
	c.address("To", r.To)
	c.text("Subject", r.Subject)
	c.field("Date", time.Now().UTC().Format(time.RFC1123Z))
	c.ids("In-Reply-To", []string{r.InReplyTo})
	c.ids("References", r.References)
	// RFC 3834, section 5; and what Exchange goes by instead (MS-OXCMAIL).
	c.field("Auto-Submitted", "auto-replied")
	c.field("X-Auto-Response-Suppress", "All")
	c.field("MIME-Version", "1.0")
	c.body(r)
	if c.err != nil {
		return nil, c.err
	}
	if b.Len() > longestMail {
		return nil, fmt.Errorf("the reply has %d octets, and SES takes %d", b.Len(), longestMail)
	}
	return b.Bytes(), nil
}

// composer writes to out; the first error stays.
type composer struct {
	out         *bytes.Buffer
	newBoundary func() string
	err         error
}

func (c *composer) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// field writes one header field, folded before 78 octets where it has spaces
// (RFC 5322, section 2.2.3).
func (c *composer) field(name, value string) {
	if value == "" {
		return
	}
	if at := strings.IndexAny(value, "\r\n\x00"); at >= 0 {
		c.fail(fmt.Errorf("%s has a line break or a NUL at octet %d", name, at))
		return
	}
	c.out.WriteString(name + ":")
	column := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if column+1+len(word) > 76 && column > len(name)+1 {
			c.out.WriteString("\r\n")
			column = 0
		}
		c.out.WriteString(" " + word)
		column += 1 + len(word)
	}
	c.out.WriteString("\r\n")
}

// text writes a field of words, encoded where they are not ASCII (RFC 2047).
func (c *composer) text(name, value string) {
	if at := strings.IndexAny(value, "\r\n\x00"); at >= 0 {
		c.fail(fmt.Errorf("%s has a line break or a NUL at octet %d", name, at))
		return
	}
	c.field(name, encode(value))
}

// encode encodes what is not ASCII, and words too long for a line.
func encode(value string) string {
	long := false
	for word := range strings.FieldsSeq(value) {
		long = long || len(word) > 200
	}
	if encoded := mime.QEncoding.Encode("utf-8", value); encoded != value || !long {
		return encoded
	}
	// An encoded word may have 75 octets; the word's own may be anything.
	var words []string
	for len(value) > 0 {
		n := min(40, len(value))
		for n < len(value) && !utf8.RuneStart(value[n]) {
			n++
		}
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString([]byte(value[:n]))+"?=")
		value = value[n:]
	}
	return strings.Join(words, " ")
}

// address writes a field with one mailbox.
func (c *composer) address(name string, a email.Address) {
	mailbox, err := wireMailbox(a.Mailbox)
	if err != nil {
		c.fail(fmt.Errorf("%s: %w", name, err))
		return
	}
	if strings.ContainsAny(a.Name, "\r\n\x00") {
		c.fail(fmt.Errorf("%s: the display name has a line break or a NUL", name))
		return
	}
	switch {
	case a.Name == "":
		c.field(name, mailbox)
	case isPhrase(a.Name):
		c.field(name, a.Name+" <"+mailbox+">")
	case isASCII(a.Name):
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Name)
		c.field(name, `"`+quoted+`" <`+mailbox+">")
	default:
		c.field(name, encode(a.Name)+" <"+mailbox+">")
	}
}

// isPhrase reports whether a name needs no quotes (RFC 5322, section 3.2.3).
func isPhrase(name string) bool {
	return strings.Trim(name, " ") == name && !strings.ContainsFunc(name, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(" !#$%&'*+-/=?^_`{|}~", r)
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf || s[i] < ' ' {
			return false
		}
	}
	return true
}

// wireMailbox is a mailbox as SES takes it: the domain in ASCII, and no local
// part outside it, since SES does not speak SMTPUTF8.
func wireMailbox(mailbox string) (string, error) {
	if err := checkMailbox(mailbox); err != nil {
		return "", err
	}
	at := strings.LastIndexByte(mailbox, '@')
	if !isASCII(mailbox[:at]) {
		return "", fmt.Errorf("the part before the @ of %q is not ASCII, and SES cannot send to such a mailbox", mailbox)
	}
	domain, err := idna.Lookup.ToASCII(mailbox[at+1:])
	if err != nil {
		return "", fmt.Errorf("the domain of %q is none: %w", mailbox, err)
	}
	return mailbox[:at+1] + domain, nil
}

// checkMailbox reports what is wrong with a mailbox.
func checkMailbox(mailbox string) error {
	at := strings.LastIndexByte(mailbox, '@')
	switch {
	case mailbox == "":
		return errors.New("there is no mailbox")
	case len(mailbox) > longestMailbox:
		return fmt.Errorf("the mailbox has %d octets, and %d are allowed", len(mailbox), longestMailbox)
	case strings.ContainsAny(mailbox, "\r\n\x00"):
		return errors.New("the mailbox has a line break or a NUL")
	case at <= 0 || at == len(mailbox)-1 || strings.ContainsAny(mailbox, " <>,;"):
		return fmt.Errorf("%q is no mailbox", mailbox)
	}
	return nil
}

// ids writes a field of message ids, one a line if need be.
func (c *composer) ids(name string, ids []string) {
	var given []string
	for _, id := range ids {
		if id == "" {
			continue
		}
		if !strings.HasPrefix(id, "<") || !strings.HasSuffix(id, ">") || !isASCII(id) || strings.Contains(id, " ") {
			c.fail(fmt.Errorf("%s: %q is no message id", name, id))
			return
		}
		given = append(given, id)
	}
	c.field(name, strings.Join(given, " "))
}

// body writes the content: text and HTML as alternatives, HTML with its inline
// parts, and beside all that the attachments.
func (c *composer) body(r *email.Reply) {
	var inline, attached []email.Part
	for _, p := range r.Attachments {
		if p.ContentID != "" && r.HTML != "" {
			inline = append(inline, p)
		} else {
			attached = append(attached, p)
		}
	}
	write := func(w partWriter) { c.alternatives(w, r, inline) }
	if len(attached) == 0 {
		write(c.top)
		return
	}
	c.multipart(c.top, "mixed", func(w partWriter) {
		write(w)
		for _, p := range attached {
			c.part(w, p, "attachment")
		}
	})
}

func (c *composer) alternatives(w partWriter, r *email.Reply, inline []email.Part) {
	if r.HTML == "" {
		c.quoted(w, "text/plain; charset=utf-8", r.Text)
		return
	}
	rich := func(w partWriter) {
		if len(inline) == 0 {
			c.quoted(w, "text/html; charset=utf-8", r.HTML)
			return
		}
		c.multipart(w, "related", func(w partWriter) {
			c.quoted(w, "text/html; charset=utf-8", r.HTML)
			for _, p := range inline {
				c.part(w, p, "inline")
			}
		})
	}
	if r.Text == "" {
		rich(w)
		return
	}
	c.multipart(w, "alternative", func(w partWriter) {
		c.quoted(w, "text/plain; charset=utf-8", r.Text)
		rich(w)
	})
}

// partWriter begins a part with its header.
type partWriter func(header textproto.MIMEHeader) (io.Writer, error)

// top makes the mail itself the part: its header goes on.
func (c *composer) top(header textproto.MIMEHeader) (io.Writer, error) {
	for _, name := range []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID"} {
		c.field(name, header.Get(name))
	}
	c.out.WriteString("\r\n")
	return c.out, c.err
}

func (c *composer) multipart(w partWriter, kind string, write func(partWriter)) {
	boundary := c.newBoundary()
	out, err := w(textproto.MIMEHeader{"Content-Type": {"multipart/" + kind + `; boundary="` + boundary + `"`}})
	if err != nil {
		c.fail(fmt.Errorf("begin multipart/%s: %w", kind, err))
		return
	}
	parts := multipart.NewWriter(out)
	if err := parts.SetBoundary(boundary); err != nil {
		c.fail(fmt.Errorf("set the boundary: %w", err))
		return
	}
	write(parts.CreatePart)
	if err := parts.Close(); err != nil {
		c.fail(fmt.Errorf("end multipart/%s: %w", kind, err))
	}
}

// quoted writes a text as quoted-printable, whose lines are never too long.
func (c *composer) quoted(w partWriter, contentType, text string) {
	if strings.ContainsRune(text, 0) {
		c.fail(errors.New("the text has a NUL"))
		return
	}
	out, err := w(textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		c.fail(fmt.Errorf("begin the text: %w", err))
		return
	}
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	q := quotedprintable.NewWriter(out)
	_, err = io.WriteString(q, strings.ReplaceAll(text, "\n", "\r\n"))
	if err = errors.Join(err, q.Close()); err != nil {
		c.fail(fmt.Errorf("write the text: %w", err))
	}
}

// part writes a file as base64.
func (c *composer) part(w partWriter, p email.Part, disposition string) {
	if strings.ContainsAny(p.Name+p.ContentType+p.ContentID, "\r\n\x00") {
		c.fail(fmt.Errorf("attachment %q: its name, type or id has a line break or a NUL", p.Name))
		return
	}
	kind, parameters, err := mime.ParseMediaType(p.ContentType)
	if err != nil {
		c.fail(fmt.Errorf("attachment %q: content type %q: %w", p.Name, p.ContentType, err))
		return
	}
	header := textproto.MIMEHeader{
		"Content-Type":              {mime.FormatMediaType(kind, parameters)},
		"Content-Transfer-Encoding": {"base64"},
		"Content-Disposition":       {mime.FormatMediaType(disposition, map[string]string{"filename": p.Name})},
	}
	if p.ContentID != "" {
		header["Content-ID"] = []string{"<" + p.ContentID + ">"}
	}
	out, err := w(header)
	if err != nil {
		c.fail(fmt.Errorf("begin attachment %q: %w", p.Name, err))
		return
	}
	e := base64.NewEncoder(base64.StdEncoding, &lines{out: out})
	_, err = e.Write(p.Content)
	if err = errors.Join(err, e.Close()); err != nil {
		c.fail(fmt.Errorf("write attachment %q: %w", p.Name, err))
	}
}

// lines breaks what is written to it into lines of 76 octets (RFC 2045, section
// 6.8).
type lines struct {
	out    io.Writer
	column int
}

func (l *lines) Write(b []byte) (int, error) {
	written := 0
	for len(b) > 0 {
		n := min(76-l.column, len(b))
		if _, err := l.out.Write(b[:n]); err != nil {
			return written, fmt.Errorf("write a line: %w", err)
		}
		written += n
		l.column += n
		b = b[n:]
		if l.column == 76 {
			if _, err := io.WriteString(l.out, "\r\n"); err != nil {
				return written, fmt.Errorf("end a line: %w", err)
			}
			l.column = 0
		}
	}
	return written, nil
}
