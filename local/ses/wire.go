package ses

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// SentPath is where [Server.ServeSent] belongs.
const SentPath = "/_local/ses"

// shown is a sent mail in the list that ServeSent answers with.
type shown struct {
	ID               string `json:"Id"`
	MessageID        string `json:"MessageId"`
	Region           string
	Source           string
	Destinations     []string
	RawData          string
	RawBase64        []byte
	Timestamp        time.Time
	ConfigurationSet string            `json:",omitempty"`
	Tags             map[string]string `json:",omitempty"`
}

// ServeSent shows what was sent. Beneath [SentPath] itself that is a list in JSON: RawData is
// the mail as text, RawBase64 its exact bytes, for mails that are no UTF-8. Beneath SentPath/ID it
// is one mail as it goes out on the wire.
func (s *Server) ServeSent(w http.ResponseWriter, r *http.Request) {
	id := strings.Trim(strings.TrimPrefix(r.URL.Path, SentPath), "/")
	if id == "" {
		s.serveList(w)
		return
	}
	for _, mail := range s.Sent() {
		if mail.ID != id {
			continue
		}
		w.Header().Set("Content-Type", "message/rfc822")
		// The caller has gone when this fails; nobody is left to tell.
		_, _ = w.Write(s.Wire(mail))
		return
	}
	http.Error(w, "no mail was sent with this id", http.StatusNotFound)
}

func (s *Server) serveList(w http.ResponseWriter) {
	list := struct {
		Messages []shown `json:"messages"`
	}{Messages: []shown{}}
	for _, mail := range s.Sent() {
		list.Messages = append(list.Messages, shown{
			ID: mail.ID, MessageID: mail.MessageID, Region: s.region, Source: mail.Source, Destinations: mail.Destinations,
			RawData: string(mail.Raw), RawBase64: mail.Raw, Timestamp: mail.At.UTC(),
			ConfigurationSet: mail.ConfigurationSet, Tags: mail.Tags,
		})
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The caller has gone when this fails; nobody is left to tell.
	_ = encoder.Encode(list)
}

// Wire returns a mail as its recipients get it: lines end in CRLF, SES's own Message-ID and Date
// stand where the sender's did not get through, and what was meant for SES alone is gone. The
// DKIM signatures that AWS adds are missing.
// https://docs.aws.amazon.com/ses/latest/dg/header-fields.html.
func (s *Server) Wire(mail Sent) []byte {
	header, body, _ := bytes.Cut(crlf(mail.Raw), []byte("\r\n\r\n"))
	var wire bytes.Buffer
	dropping := false
	for line := range bytes.Lines(append(header, "\r\n"...)) {
		folded := line[0] == ' ' || line[0] == '\t'
		if !folded {
			dropping = replaced(line)
		}
		if !dropping {
			wire.Write(line)
		}
	}
	at := mail.At.UTC()
	fmt.Fprintf(&wire, "Message-ID: %s\r\n", mail.MessageID)
	fmt.Fprintf(&wire, "Date: %s\r\n", at.Format(time.RFC1123Z))
	fmt.Fprintf(&wire, "Feedback-ID: ::1.%s.local:AmazonSES\r\n", s.region)
	fmt.Fprintf(&wire, "X-SES-Outgoing: %s-127.0.0.1\r\n\r\n", at.Format("2006.01.02"))
	wire.Write(body)
	return wire.Bytes()
}

// replaced tells whether SES takes a header away, to put its own in its place or for good.
func replaced(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	switch strings.ToLower(string(bytes.TrimSpace(name))) {
	case "message-id", "date", "bcc", "return-path", "feedback-id", "x-ses-outgoing", "x-ses-configuration-set",
		"x-ses-message-tags", "x-ses-source-arn", "x-ses-from-arn", "x-ses-return-path-arn", "x-ses-tenant":
		return true
	}
	return false
}

// crlf ends every line with CRLF, as SMTP has it (RFC 5321 section 2.3.8).
func crlf(raw []byte) []byte {
	if bytes.Count(raw, []byte("\n")) == bytes.Count(raw, []byte("\r\n")) {
		return raw
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
}
