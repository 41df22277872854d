package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // it decodes UTF-8 only without
	"github.com/jhillyerd/enmime/v2"

	"inreply/email"
)

// seen is what a parser found in a mail, in octets, so that it can be checked
// that all of them did the same work.
type seen struct {
	text  int64 // of text/plain and text/html parts, decoded
	files int64 // of all other parts, decoded
}

// parser is one way to read a mail. Where files is false, their contents need not
// be looked at.
type parser struct {
	name  string
	parse func(raw []byte, files bool) (seen, error)
}

func parsers() ([]parser, error) {
	ours, err := email.NewParser(email.Defaults())
	if err != nil {
		return nil, fmt.Errorf("make our parser: %w", err)
	}
	lean := enmime.NewParser(enmime.DisableTextConversion(true), enmime.DisableCharacterDetection(true))
	return []parser{
		{"inreply/email", func(raw []byte, files bool) (seen, error) { return withEmail(ours, raw, files) }},
		{"enmime", func(raw []byte, _ bool) (seen, error) { return withEnmime(enmime.NewParser(), raw) }},
		{"enmime, no detection, no conversion", func(raw []byte, _ bool) (seen, error) { return withEnmime(lean, raw) }},
		{"go-message", withGoMessage},
		{"net/mail, mime/multipart", withNetMail},
	}, nil
}

// withEmail also judges who wrote the mail, whether a program did, what of its
// text is a quote, and makes text of HTML.
func withEmail(p *email.Parser, raw []byte, files bool) (seen, error) {
	m, err := p.Parse(email.Raw{Bytes: raw})
	if err != nil {
		return seen{}, fmt.Errorf("parse with email: %w", err)
	}
	s := seen{text: int64(len(m.Text) + len(m.HTML))}
	for _, a := range m.Attachments {
		if !files {
			s.files += a.Size
			continue
		}
		n, err := drain(a.Open())
		if err != nil {
			return seen{}, err
		}
		s.files += n
	}
	return s, nil
}

func drain(r io.ReadCloser) (int64, error) {
	n, err := io.Copy(io.Discard, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return n, fmt.Errorf("read a file: %w", err)
	}
	return n, nil
}

// withEnmime has decoded all files when it returns.
func withEnmime(p *enmime.Parser, raw []byte) (seen, error) {
	e, err := p.ReadEnvelope(bytes.NewReader(raw))
	if err != nil {
		return seen{}, fmt.Errorf("parse with enmime: %w", err)
	}
	s := seen{text: int64(len(e.Text) + len(e.HTML))}
	for _, list := range [][]*enmime.Part{e.Attachments, e.Inlines, e.OtherParts} {
		for _, part := range list {
			s.files += int64(len(part.Content))
		}
	}
	return s, nil
}

func withGoMessage(raw []byte, files bool) (seen, error) {
	var s seen
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return s, fmt.Errorf("parse with go-message: %w", err)
	}
	err = e.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return err
		}
		mediaType, _, err := part.Header.ContentType()
		if err != nil {
			mediaType = "text/plain"
		}
		if part.MultipartReader() != nil {
			return nil
		}
		return s.part(part.Body, mediaType, part.Header.Get("Content-Disposition"), files)
	})
	if err != nil {
		return s, fmt.Errorf("walk with go-message: %w", err)
	}
	return s, nil
}

// part reads a part that is decoded as it is read. Text is kept, as somebody who
// wants to answer it has to.
func (s *seen) part(body io.Reader, mediaType, disposition string, files bool) error {
	isText := mediaType == "text/plain" || mediaType == "text/html"
	if isText && !strings.HasPrefix(strings.ToLower(disposition), "attachment") {
		text, err := io.ReadAll(body)
		s.text += int64(len(text))
		return err
	}
	if !files {
		return nil
	}
	n, err := io.Copy(io.Discard, body)
	s.files += n
	return err
}

// withNetMail is what one writes with the standard library: no charsets, and no
// tolerance.
func withNetMail(raw []byte, files bool) (seen, error) {
	var s seen
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return s, fmt.Errorf("parse with net/mail: %w", err)
	}
	if err := s.walk(textproto.MIMEHeader(m.Header), m.Body, files); err != nil {
		return s, fmt.Errorf("walk with mime/multipart: %w", err)
	}
	return s, nil
}

func (s *seen) walk(header textproto.MIMEHeader, body io.Reader, files bool) error {
	mediaType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		mediaType = "text/plain"
	}
	if !strings.HasPrefix(mediaType, "multipart/") {
		return s.part(decoded(header, body), mediaType, header.Get("Content-Disposition"), files)
	}
	parts := multipart.NewReader(body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.walk(part.Header, part, files); err != nil {
			return err
		}
	}
}

func decoded(header textproto.MIMEHeader, body io.Reader) io.Reader {
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	}
	return body
}
