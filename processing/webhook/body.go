package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"inreply/email"
)

// body is a request, ready to be sent. Files within it are encoded as they are read,
// straight from the mail, as often as it is asked for: once to be signed, once to be
// sent. None of them is held in memory.
type body struct {
	sections []section
}

// section is a piece of a body: text, or a file that is to be base64.
type section struct {
	text []byte
	file *email.Attachment
}

// reader returns the octets of the body from the beginning.
func (b *body) reader() io.Reader {
	readers := make([]io.Reader, len(b.sections))
	for i, s := range b.sections {
		if s.file == nil {
			readers[i] = bytes.NewReader(s.text)
			continue
		}
		readers[i] = encoding(*s.file)
	}
	return io.MultiReader(readers...)
}

// encoding reads a file as base64. It opens the file when it is first read.
func encoding(file email.Attachment) io.Reader {
	e := &encoded{file: file}
	e.to = base64.NewEncoder(base64.StdEncoding, &e.out)
	return e
}

type encoded struct {
	file   email.Attachment
	opened io.ReadCloser
	to     io.WriteCloser // encodes into out
	out    bytes.Buffer
	in     [3 << 10]byte
	done   bool
}

func (e *encoded) Read(p []byte) (int, error) {
	if e.opened == nil {
		e.opened = e.file.Open()
	}
	for e.out.Len() == 0 && !e.done {
		if err := e.more(); err != nil {
			return 0, fmt.Errorf("encode %s: %w", e.file.Name, err)
		}
	}
	return e.out.Read(p)
}

// more encodes a little more of the file.
func (e *encoded) more() error {
	n, err := e.opened.Read(e.in[:])
	if _, err := e.to.Write(e.in[:n]); err != nil {
		return err
	}
	if !errors.Is(err, io.EOF) {
		return err
	}
	e.done = true
	return errors.Join(e.to.Close(), e.opened.Close())
}

// build makes the body of a request about a message. Files are in it, the smallest
// first, as long as there is room for them; the others are put where links lead to
// them. Links are signed anew each time.
func (w *Webhook) build(ctx context.Context, m *email.Message) (*body, error) {
	r := newRequest(m)
	link, err := w.linkTo(ctx, m.Object)
	if err != nil {
		return nil, err
	}
	if r.Object != nil {
		r.Object.Link = link
	} else {
		r.Raw.Link = link
	}
	inline := inlined(m, int64(w.service.InlineKiB)<<10)
	files, size, err := w.files(ctx, m, inline)
	if err != nil {
		return nil, err
	}
	head, err := r.fit(int64(w.service.MaxBodyKiB)<<10 - size)
	if err != nil {
		return nil, err
	}
	if r.Mail == nil {
		return &body{[]section{{text: head}}}, nil
	}
	// The head ends in "attachments":[]}, and the files belong between the brackets.
	b := &body{[]section{{text: head[:len(head)-2]}}}
	b.sections = append(b.sections, files...)
	b.sections = append(b.sections, section{text: head[len(head)-2:]})
	return b, nil
}

// inlined says which files are sent within the request.
func inlined(m *email.Message, most int64) map[int]bool {
	order := make([]int, len(m.Attachments))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(m.Attachments[a].Size - m.Attachments[b].Size) })
	in := map[int]bool{}
	for _, i := range order {
		if most -= m.Attachments[i].Size; most < 0 {
			break
		}
		in[i] = true
	}
	return in
}

// files are the files of a request as JSON, with commas between them, and about how
// many octets that is.
func (w *Webhook) files(ctx context.Context, m *email.Message, inline map[int]bool) (files []section, size int64, err error) {
	for i := range m.Attachments {
		a := &m.Attachments[i]
		described := Attachment{
			ID: strconv.Itoa(i + 1), Filename: a.Name, FilenameRaw: a.RawName,
			ContentType: a.ContentType, DetectedType: a.DetectedType, Size: a.Size, SHA256: a.SHA256(),
			Disposition: a.Disposition, ContentID: a.ContentID,
		}
		if !inline[i] {
			link, err := w.linkToFile(ctx, m.ID, i, a)
			if err != nil {
				return nil, 0, err
			}
			described.Link = &link
		}
		text, err := encode(described)
		if err != nil {
			return nil, 0, err
		}
		if i > 0 {
			text = append([]byte{','}, text...)
		}
		size += int64(len(text))
		if !inline[i] {
			files = append(files, section{text: text})
			continue
		}
		size += int64(base64.StdEncoding.EncodedLen(int(a.Size)))
		files = append(files,
			section{text: append(text[:len(text)-1], `,"content":"`...)},
			section{file: a},
			section{text: []byte(`"}`)})
	}
	return files, size, nil
}

// linkTo signs a link to an object.
func (w *Webhook) linkTo(ctx context.Context, o email.Object) (Link, error) {
	url, expires, err := w.parts.Links.Presign(ctx, o.Bucket, o.Key, o.VersionID, w.service.LinkLife)
	if err != nil {
		return Link{}, fmt.Errorf("link to the mail: %w", err)
	}
	return Link{URL: url, Expires: expires.UTC().Truncate(time.Second)}, nil
}

// linkToFile puts a file where a link can lead to it, and signs one.
func (w *Webhook) linkToFile(ctx context.Context, mail string, i int, a *email.Attachment) (Link, error) {
	read := func() ([]byte, error) {
		opened := a.Open()
		defer opened.Close()
		content := bytes.NewBuffer(make([]byte, 0, a.Size+bytes.MinRead))
		if _, err := content.ReadFrom(opened); err != nil {
			return nil, fmt.Errorf("read %s: %w", a.Name, err)
		}
		return content.Bytes(), nil
	}
	url, expires, err := w.parts.Files.Link(ctx, mail, strconv.Itoa(i+1), read, w.service.LinkLife)
	if err != nil {
		return Link{}, fmt.Errorf("link to attachment %d: %w", i+1, err)
	}
	return Link{URL: url, Expires: expires.UTC().Truncate(time.Second)}, nil
}
