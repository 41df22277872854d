package ses

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"time"

	"inreply/local/query"
)

// simple is the mail of SendEmail, which SES writes by itself.
type simple struct {
	source       string
	to, cc, bcc  []string
	replyTo      []string
	returnPath   string
	subject      string
	text, html   string
	hasText      bool
	hasHTML      bool
	textEncoding string
	htmlEncoding string
}

func readSimple(p query.Parameters) simple {
	charset := func(part string) string {
		if name := p.Get("Message.Body." + part + ".Charset"); name != "" {
			return name
		}
		return "UTF-8"
	}
	return simple{
		source:       p.Get("Source"),
		to:           p.Strings("Destination.ToAddresses"),
		cc:           p.Strings("Destination.CcAddresses"),
		bcc:          p.Strings("Destination.BccAddresses"),
		replyTo:      p.Strings("ReplyToAddresses"),
		returnPath:   p.Get("ReturnPath"),
		subject:      p.Get("Message.Subject.Data"),
		text:         p.Get("Message.Body.Text.Data"),
		html:         p.Get("Message.Body.Html.Data"),
		hasText:      p.Has("Message.Body.Text.Data"),
		hasHTML:      p.Has("Message.Body.Html.Data"),
		textEncoding: charset("Text"),
		htmlEncoding: charset("Html"),
	}
}

// body is one body of the mail.
type body struct{ kind, charset, text string }

// compose writes the mail: one body, or both as alternatives.
func (m simple) compose(now time.Time) ([]byte, error) {
	var bodies []body
	if m.hasText {
		bodies = append(bodies, body{"text/plain", m.textEncoding, m.text})
	}
	if m.hasHTML {
		bodies = append(bodies, body{"text/html", m.htmlEncoding, m.html})
	}
	if bodies == nil {
		return nil, invalid("Message body is required.")
	}
	var mail bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&mail, "%s: %s\r\n", name, value)
		}
	}
	line("From", m.source)
	line("Reply-To", strings.Join(m.replyTo, ", "))
	line("Return-Path", m.returnPath)
	line("To", strings.Join(m.to, ", "))
	line("Cc", strings.Join(m.cc, ", "))
	line("Subject", mime.QEncoding.Encode("UTF-8", m.subject))
	line("Date", now.UTC().Format(time.RFC1123Z))
	line("MIME-Version", "1.0")
	if len(bodies) == 1 {
		line("Content-Type", bodies[0].kind+"; charset="+bodies[0].charset)
		line("Content-Transfer-Encoding", bodies[0].transferEncoding())
		mail.WriteString("\r\n" + bodies[0].encoded())
		return mail.Bytes(), nil
	}
	if err := alternatives(&mail, bodies); err != nil {
		return nil, err
	}
	return mail.Bytes(), nil
}

func alternatives(mail *bytes.Buffer, bodies []body) error {
	parts := multipart.NewWriter(mail)
	fmt.Fprintf(mail, "Content-Type: multipart/alternative; boundary=%q\r\n\r\n", parts.Boundary())
	for _, b := range bodies {
		w, err := parts.CreatePart(b.header())
		if err != nil {
			return fmt.Errorf("write part: %w", err)
		}
		if _, err := w.Write([]byte(b.encoded())); err != nil {
			return fmt.Errorf("write part: %w", err)
		}
	}
	if err := parts.Close(); err != nil {
		return fmt.Errorf("end parts: %w", err)
	}
	return nil
}

func (b body) header() textproto.MIMEHeader {
	return textproto.MIMEHeader{
		"Content-Type":              {b.kind + "; charset=" + b.charset},
		"Content-Transfer-Encoding": {b.transferEncoding()},
	}
}

// transferEncoding leaves ASCII in short lines readable.
func (b body) transferEncoding() string {
	for line := range strings.Lines(b.text) {
		if len(line) > 900 || strings.ContainsFunc(line, func(r rune) bool { return r > 126 || r == 0 }) {
			return "base64"
		}
	}
	return "7bit"
}

func (b body) encoded() string {
	if b.transferEncoding() == "7bit" {
		return strings.ReplaceAll(strings.ReplaceAll(b.text, "\r\n", "\n"), "\n", "\r\n") + "\r\n"
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(b.text))
	var lines strings.Builder
	for len(encoded) > 76 {
		lines.WriteString(encoded[:76] + "\r\n")
		encoded = encoded[76:]
	}
	lines.WriteString(encoded + "\r\n")
	return lines.String()
}
