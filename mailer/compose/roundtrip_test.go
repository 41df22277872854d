package compose_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"os/exec"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"inreply/email"
	"inreply/mailer/compose"
)

// content is what a parser read in a mail.
type content struct {
	From, To, Subject, Text, HTML string
	ToName                        string
	References                    []string
	Files                         []file
}

type file struct {
	Name, Kind, ID string
	Content        []byte
}

// Whatever a reply says is read again by three parsers that know nothing of this
// one: enmime, by way of package email; the standard library; Python's email.
func TestRoundTrips(t *testing.T) {
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	python := newPython(t)
	rapid.Check(t, func(t *rapid.T) {
		r := drawReply(t)
		raw, err := compose.Reply(r, options())
		if err != nil {
			t.Fatal(err)
		}
		wire(t, raw)
		want := contentOf(r)
		for name, read := range map[string]func([]byte) (content, error){
			"standard library": readByLibrary,
			"email":            func(raw []byte) (content, error) { return readByEmail(parser, raw) },
			"python":           python,
		} {
			if read == nil {
				continue
			}
			got, err := read(raw)
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, raw)
			}
			if name == "python" && unspaced(got.ToName) == unspaced(want.ToName) {
				got.ToName = want.ToName // It keeps the space between the encoded words of a long name.
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s (-want +got):\n%s\n%s", name, diff, raw)
			}
		}
	})
}

// prose draws a text as people write it: any characters but those that no line
// of a mail can carry.
func prose(lines bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		alphabet := rapid.SampledFrom([]string{"ascii", "any", "nasty"}).Draw(t, "alphabet")
		var char *rapid.Generator[rune]
		switch alphabet {
		case "ascii":
			char = rapid.RuneFrom(nil, &unicode.RangeTable{R16: []unicode.Range16{{' ', '~', 1}}})
		case "any":
			char = rapid.Rune()
		default:
			char = rapid.SampledFrom([]rune(" \t=?_.\"\\'(),:;<>@[]%*é漢🙂\u00a0\u200e-"))
		}
		s := rapid.StringOfN(char, 0, 300, -1).Draw(t, "text")
		return strings.Map(func(r rune) rune {
			if r == 0 || r == '\r' || r == '\n' && !lines || r == unicode.ReplacementChar || r == '\ufeff' {
				return -1
			}
			if unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || unicode.IsControl(r) && r != '\n' && r != '\t' {
				return -1 // Python takes them for line ends, and so would many programs.
			}
			return r
		}, s)
	})
}

// word draws a text that parsers neither trim nor squeeze.
func word() *rapid.Generator[string] {
	return rapid.Map(prose(false), func(s string) string {
		return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\t' || r == ' ' || unicode.IsSpace(r) }), " ")
	})
}

func drawReply(t *rapid.T) *email.Reply {
	r := &email.Reply{
		Mail:    "m",
		To:      email.Address{Name: word().Draw(t, "name"), Mailbox: rapid.StringMatching(`[a-zA-Z0-9!#$%&'*+/=?^_{|}~-]{1,40}@([a-z0-9]{1,20}\.){1,3}example`).Draw(t, "to")},
		Subject: word().Draw(t, "subject"),
		Text:    prose(true).Draw(t, "text"),
	}
	if strings.TrimSpace(r.Text) == "" {
		r.Text = "" // Readers differ over a text of nothing but white space.
	}
	if rapid.Bool().Draw(t, "threaded") {
		r.References = rapid.SliceOfN(rapid.StringMatching(`<[a-zA-Z0-9.!#$%&'*+/=?^_{|}~-]{1,120}@[a-z0-9.-]{1,60}>`), 1, 20).Draw(t, "references")
		r.InReplyTo = r.References[len(r.References)-1]
	}
	if rapid.Bool().Draw(t, "rich") {
		r.HTML = "<p>" + prose(true).Draw(t, "html")
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "files") {
		p := email.Part{
			// Names as files have them: package email makes the rest safe to write.
			Name:        strings.Trim(strings.Map(fileRune, word().Draw(t, "file")), " .") + fmt.Sprintf("%d.bin", i),
			ContentType: rapid.SampledFrom([]string{"application/pdf", "image/png", "application/x-thing"}).Draw(t, "kind"),
			Content:     rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "content"),
		}
		if rapid.Bool().Draw(t, "inline") {
			p.ContentID = fmt.Sprintf("part%d@inreply.example", i)
		}
		r.Attachments = append(r.Attachments, p)
	}
	return r
}

func fileRune(r rune) rune {
	if strings.ContainsRune(`/\:*?"<>|`, r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r) {
		return -1
	}
	return r
}

// contentOf is what a reply says, as a reader gets it: inline files first.
func contentOf(r *email.Reply) content {
	c := content{
		From: "data@inreply.example", To: r.To.Mailbox, ToName: r.To.Name, Subject: r.Subject,
		References: r.References, Text: unix(r.Text), HTML: unix(r.HTML),
	}
	for _, inline := range []bool{true, false} {
		for _, p := range r.Attachments {
			if (p.ContentID != "" && r.HTML != "") == inline {
				c.Files = append(c.Files, file{Name: p.Name, Kind: p.ContentType, ID: p.ContentID, Content: p.Content})
			}
		}
	}
	return c
}

func unspaced(s string) string { return strings.Join(strings.Fields(s), "") }

// unix is a text with LF at the end of its lines, as it is compared.
func unix(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

func readByEmail(parser *email.Parser, raw []byte) (content, error) {
	m, err := parser.Parse(email.Raw{Object: email.Object{Bucket: "b", Key: "k", ETag: "e"}, Bytes: raw})
	if err != nil {
		return content{}, err
	}
	c := content{
		From: m.From.Mailbox, Subject: m.Subject, References: m.References, Text: m.Text, HTML: unix(m.HTML),
	}
	if len(m.To) > 0 {
		c.To, c.ToName = m.To[0].Mailbox, m.To[0].Name
	}
	// Where there is no text, package email makes one from the HTML.
	if _, text, _ := bytes.Cut(raw, []byte("text/plain")); text == nil {
		c.Text = ""
	}
	for _, inline := range []bool{true, false} {
		for _, a := range m.Attachments {
			if (a.Disposition == "inline") != inline {
				continue
			}
			b, err := io.ReadAll(a.Open())
			if err != nil {
				return c, err
			}
			c.Files = append(c.Files, file{Name: a.RawName, Kind: a.ContentType, ID: a.ContentID, Content: b})
		}
	}
	return c, nil
}

func readByLibrary(raw []byte) (content, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return content{}, err
	}
	from, err := m.Header.AddressList("From")
	if err != nil {
		return content{}, err
	}
	to, err := m.Header.AddressList("To")
	if err != nil {
		return content{}, err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil {
		return content{}, err
	}
	c := content{From: from[0].Address, To: to[0].Address, ToName: to[0].Name, Subject: subject}
	if references := m.Header.Get("References"); references != "" {
		c.References = strings.Fields(references)
	}
	return c, c.walk(textproto.MIMEHeader(m.Header), m.Body)
}

// walk reads a part and those within it.
func (c *content) walk(header textproto.MIMEHeader, body io.Reader) error {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if strings.HasPrefix(kind, "multipart/") {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			if err := c.walk(p.Header, p); err != nil {
				return err
			}
		}
	}
	if header.Get("Content-Transfer-Encoding") == "base64" {
		body = base64.NewDecoder(base64.StdEncoding, body)
	} else {
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	_, named, err := mime.ParseMediaType(header.Get("Content-Disposition"))
	switch {
	case err == nil:
		c.Files = append(c.Files, file{Name: named["filename"], Kind: kind, ID: strings.Trim(header.Get("Content-ID"), "<>"), Content: b})
	case kind == "text/plain":
		c.Text = unix(string(b))
	default:
		c.HTML = unix(string(b))
	}
	return nil
}

// script reads mails from Python's standard input, each behind its length, and
// answers each with a line of JSON.
const script = `
import sys, json, base64, struct
from email import policy, message_from_bytes
while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4: break
    m = message_from_bytes(sys.stdin.buffer.read(struct.unpack(">I", head)[0]), policy=policy.default)
    out = {"Text": "", "HTML": "", "Files": None, "References": None, "Defects": [str(d) for p in m.walk() for d in p.defects]}
    a = m["To"].addresses[0]
    out["From"], out["To"], out["ToName"] = m["From"].addresses[0].addr_spec, a.addr_spec, a.display_name
    out["Subject"] = str(m["Subject"] or "")
    if m["References"]: out["References"] = str(m["References"]).split()
    for p in m.walk():
        if p.is_multipart(): continue
        b = p.get_payload(decode=True)
        if p.get_content_disposition():
            f = {"Name": p.get_filename(""), "Kind": p.get_content_type(), "ID": str(p["Content-ID"] or "").strip("<>"), "Content": base64.b64encode(b).decode()}
            out["Files"] = (out["Files"] or []) + [f]
        elif p.get_content_type() == "text/plain": out["Text"] = b.decode().replace("\r\n", "\n")
        else: out["HTML"] = b.decode().replace("\r\n", "\n")
    sys.stdout.write(json.dumps(out) + "\n"); sys.stdout.flush()
`

// newPython starts a Python that reads mails; nil where there is none.
func newPython(t *testing.T) func([]byte) (content, error) {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Log("there is no python3 here: two parsers only")
		return nil
	}
	command := exec.CommandContext(t.Context(), path, "-c", script)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	command.Stderr = &complaints
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		command.Wait()
	})
	lines := bufio.NewReader(out)
	return func(raw []byte) (content, error) {
		if err := binary.Write(in, binary.BigEndian, uint32(len(raw))); err != nil {
			return content{}, fmt.Errorf("%w: %s", err, complaints.String())
		}
		if _, err := in.Write(raw); err != nil {
			return content{}, err
		}
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return content{}, fmt.Errorf("%w: %s", err, complaints.String())
		}
		var answer struct {
			content
			Defects []string
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			return content{}, err
		}
		if len(answer.Defects) > 0 {
			return content{}, fmt.Errorf("defects: %q", answer.Defects)
		}
		return answer.content, nil
	}
}
