package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"sync"

	"inreply/email/filename"
	"inreply/email/guard"
	"inreply/email/header"
)

// body is an encoded file within the raw octets of a mail.
type body struct {
	raw  []byte
	part guard.Part

	mu  sync.Mutex
	sum string // SHA-256 in hex; empty until somebody has read all of it
}

func (b *body) open() io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &bodyReader{source: decoder(b.raw, b.part)}
	if b.sum == "" {
		r.hash, r.body = sha256.New(), b
	}
	return r
}

func (b *body) sha256() string {
	b.mu.Lock()
	sum := b.sum
	b.mu.Unlock()
	if sum != "" {
		return sum
	}
	h := sha256.New()
	if _, err := io.Copy(h, decoder(b.raw, b.part)); err != nil {
		return ""
	}
	return b.keep(h)
}

func (b *body) keep(h hash.Hash) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sum = hex.EncodeToString(h.Sum(nil))
	return b.sum
}

// bodyReader decodes a file as it is read, and hashes it on the first time.
type bodyReader struct {
	source io.Reader
	hash   hash.Hash // nil: the sum is known
	body   *body
	closed bool
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if r.closed {
		return 0, fmt.Errorf("read attachment: %w", io.ErrClosedPipe)
	}
	n, err := r.source.Read(p)
	if r.hash == nil {
		return n, err
	}
	r.hash.Write(p[:n])
	if err == io.EOF {
		r.body.keep(r.hash)
		r.hash = nil
	}
	return n, err
}

func (r *bodyReader) Close() error {
	r.closed = true
	return nil
}

// attach adds a file to the message. Nothing of it is decoded but its beginning,
// and, where only that tells its size, what is quoted-printable.
func (c *content) attach(part guard.Part, l leaf) {
	if part.Body.Len() == 0 && l.name == "" {
		return // a delimiter and nothing else
	}
	b := &body{raw: c.raw, part: part}
	top := beginning(c.raw, part)
	number := len(c.message.Attachments) + 1
	name := l.name
	if name == "" && l.mediaType == "message/rfc822" {
		name = c.subjectName(top)
	}
	a := Attachment{
		Name: c.names.unique(filename.Safe(name, l.mediaType, number)), RawName: l.name,
		ContentType: l.mediaType, DetectedType: detectedType(top), Disposition: "attachment", ContentID: l.contentID,
		Size: part.Decoded, open: b.open, sum: b.sha256,
	}
	if l.disposition == "inline" || l.disposition == "" && l.contentID != "" {
		a.Disposition = "inline"
	}
	if a.Size < 0 {
		a.Size, _ = io.Copy(io.Discard, decoder(c.raw, part))
	}
	c.message.Attachments = append(c.message.Attachments, a)
}

// topSize is how much of a file is decoded to see what it is.
const topSize = 4 << 10

func beginning(raw []byte, part guard.Part) []byte {
	part.Body.End = min(part.Body.End, part.Body.Start+2*topSize)
	top := make([]byte, min(topSize, part.Body.Len()))
	n, _ := io.ReadFull(decoder(raw, part), top)
	return top[:n]
}

// subjectName is the name of a file that is a mail: its subject.
func (c *content) subjectName(top []byte) string {
	fields, _ := header.Split(top)
	if subject := c.values.Text(value(fields, "Subject")); subject != "" {
		return strings.NewReplacer("/", "-", `\`, "-").Replace(subject) + ".eml"
	}
	return ""
}

// detectedType is what the first octets of a file say it is; empty if nothing.
func detectedType(top []byte) string {
	switch {
	case bytes.HasPrefix(top, []byte("PK\x03\x04")):
		return zipType(top)
	case bytes.HasPrefix(top, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return "application/x-ole-storage"
	case bytes.HasPrefix(top, []byte("MZ")) && bytes.Contains(top, []byte("PE\x00\x00")):
		return "application/vnd.microsoft.portable-executable"
	case bytes.HasPrefix(top, []byte("\x7fELF")):
		return "application/x-executable"
	case bytes.HasPrefix(top, []byte("{\\rtf")):
		return "application/rtf"
	case bytes.HasPrefix(top, []byte("BEGIN:VCALENDAR")):
		return "text/calendar"
	case bytes.HasPrefix(top, []byte("BEGIN:VCARD")):
		return "text/vcard"
	}
	if len(top) == 0 {
		return ""
	}
	detected, _, _ := strings.Cut(http.DetectContentType(top), ";")
	if detected == "application/octet-stream" {
		return ""
	}
	return detected
}

// zipType tells the formats apart that are ZIP files, by the names in the first
// octets.
func zipType(top []byte) string {
	const office = "application/vnd.openxmlformats-officedocument."
	has := func(s string) bool { return bytes.Contains(top, []byte(s)) }
	switch {
	case has("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"):
		return "application/vnd.oasis.opendocument.spreadsheet"
	case has("mimetypeapplication/vnd.oasis.opendocument.text"):
		return "application/vnd.oasis.opendocument.text"
	case has("xl/"):
		return office + "spreadsheetml.sheet"
	case has("word/"):
		return office + "wordprocessingml.document"
	case has("ppt/"):
		return office + "presentationml.presentation"
	}
	return "application/zip"
}

// names are those of the files so far, so that writing them to one folder loses
// none.
type names map[string]int

func (n names) unique(name string) string {
	key := strings.ToLower(name)
	n[key]++
	if n[key] == 1 {
		return name
	}
	again := filename.Numbered(name, n[key])
	if n[strings.ToLower(again)] > 0 {
		return n.unique(again)
	}
	n[strings.ToLower(again)]++
	return again
}
