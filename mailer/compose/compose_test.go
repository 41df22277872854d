package compose_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/email"
	"inreply/mailer/compose"
)

var update = flag.Bool("update", false, "write the golden mails anew")

func options() compose.Options {
	return compose.Options{
		From:     email.Address{Name: "Data desk", Mailbox: "data@inreply.example"},
		Date:     time.Date(2026, 10, 1, 9, 15, 0, 0, time.UTC),
		Boundary: "5f1c9a",
	}
}

// pixel is an image of one pixel.
func pixel(t *testing.T) []byte {
	t.Helper()
	png, err := base64.StdEncoding.DecodeString("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg==")
	if err != nil {
		t.Fatal(err)
	}
	return png
}

// Golden mails: what a reply of each shape looks like, octet by octet.
func TestGoldenMails(t *testing.T) {
	answer := func(change func(*email.Reply)) *email.Reply {
		r := &email.Reply{
			Mail: "m", To: email.Address{Name: "Ana Mendes", Mailbox: "ana.mendes@example.com"},
			Subject: "Re: Sales figures", InReplyTo: "<q3@example.com>", References: []string{"<q2@example.com>", "<q3@example.com>"},
			Text: "Hello Ana,\n\nhere are your totals.\n",
		}
		change(r)
		return r
	}
	for name, r := range map[string]*email.Reply{
		"text":             answer(func(*email.Reply) {}),
		"text-and-html":    answer(func(r *email.Reply) { r.HTML = "<p>Hello <b>Ana</b></p>\n" }),
		"html-alone":       answer(func(r *email.Reply) { r.Text, r.HTML = "", "<p>Hello <b>Ana</b></p>" }),
		"empty":            answer(func(r *email.Reply) { r.Text = "" }),
		"not-threaded":     answer(func(r *email.Reply) { r.InReplyTo, r.References = "", nil }),
		"name-with-comma":  answer(func(r *email.Reply) { r.To.Name = `Mendes, "Ana"` }),
		"name-in-japanese": answer(func(r *email.Reply) { r.To.Name = "山田 太郎" }),
		"subject-in-german": answer(func(r *email.Reply) {
			r.Subject = "Re: Umsätze für das dritte Quartal, endlich vollständig und geprüft"
		}),
		"subject-too-long": answer(func(r *email.Reply) { r.Subject = "Re: " + strings.Repeat("x", 200) }),
		"text-in-japanese": answer(func(r *email.Reply) { r.Text = "合計をお送りします。\n" }),
		"text-for-the-wire": answer(func(r *email.Reply) {
			r.Text = "From the start\n.\na = b\ttab and space at the end \nend\r\nold\rnew\n" + strings.Repeat("long ", 40)
		}),
		"idn-domain": answer(func(r *email.Reply) { r.To.Mailbox = "ana@bücher.example" }),
		"own-fields": answer(func(r *email.Reply) {
			r.Headers = []email.Field{{Name: "X-Ticket", Value: "4711"}, {Name: "Keywords", Value: "Umsätze, drittes Quartal"}, {Name: "Importance", Value: "high"}}
		}),
		"long-thread": answer(func(r *email.Reply) {
			r.References = nil
			for i := range 20 {
				r.References = append(r.References, fmt.Sprintf("<%d.%s@mail.example.com>", i+1, strings.Repeat("f00d", 8)))
			}
			r.InReplyTo = r.References[19]
		}),
		"file-alone": answer(func(r *email.Reply) {
			r.Text, r.Attachments = "", []email.Part{{Name: "totals.csv", ContentType: "text/csv", Content: []byte("a,b\n")}}
		}),
		"image-in-html": answer(func(r *email.Reply) {
			r.HTML = `<p>Hello <img src="cid:logo@inreply.example"></p>`
			r.Attachments = []email.Part{{Name: "logo.png", ContentType: "image/png", ContentID: "logo@inreply.example", Content: pixel(t)}}
		}),
		"image-without-html": answer(func(r *email.Reply) {
			r.Attachments = []email.Part{{Name: "logo.png", ContentType: "image/png", ContentID: "logo@inreply.example", Content: pixel(t)}}
		}),
		"file-without-name": answer(func(r *email.Reply) { r.Attachments = []email.Part{{Content: []byte("what is this")}} }),
		"own-sender":        answer(func(r *email.Reply) { r.From = email.Address{Name: "Ask", Mailbox: "ask@inreply.example"} }),
		"everything": answer(func(r *email.Reply) {
			r.HTML = `<p>Hello <img src="cid:logo@inreply.example"></p>`
			r.Attachments = []email.Part{
				{Name: "logo.png", ContentType: "image/png", ContentID: "logo@inreply.example", Content: pixel(t)},
				{Name: "totals.csv", ContentType: "text/csv; charset=utf-8", Content: []byte("region,total\r\nNorth,12\r\n")},
				{Name: "Umsätze 2026 – vollständige Fassung mit allen Anlagen und Berichten.csv", ContentType: "text/csv", Content: []byte("a;b\n")},
				{Name: `quo"te.txt`, Content: []byte("what is this")},
				{Name: "mail.eml", ContentType: "message/rfc822", Content: []byte("From: a@example.com\r\n\r\nhello\r\n")},
			}
		}),
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, r, options()) })
	}
}

// The fields that the settings ask for stand beside those of the standards, and what
// is longer than a line is folded.
func TestGoldenFields(t *testing.T) {
	o := options()
	o.Fields = []email.Field{
		{Name: "List-Unsubscribe", Value: "<https://example.com/stop>"},
		{Name: "Feedback-ID", Value: "replies:example:inreply"},
		{Name: email.MarkField, Value: email.Mark([]byte("secret"), strings.Repeat("4711", 16))},
		{Name: "X-Empty"},
	}
	golden(t, "fields-of-settings", &email.Reply{To: email.Address{Mailbox: "ana@example.com"}, Subject: "Re: totals", Text: "Hello\n"}, o)
}

// golden compares a reply on the wire with testdata.
func golden(t *testing.T, name string, r *email.Reply, o compose.Options) {
	t.Helper()
	got, err := compose.Reply(r, o)
	if err != nil {
		t.Fatal(err)
	}
	wire(t, got)
	file := filepath.Join("testdata", name+".eml")
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// wire checks what must hold of every mail on the wire.
func wire(t interface{ Errorf(string, ...any) }, raw []byte) {
	rest := raw
	for n := 1; len(rest) > 0; n++ {
		line, after, ok := bytes.Cut(rest, []byte("\r\n"))
		if !ok && n == 1 {
			t.Errorf("there is no line")
		}
		if at := bytes.IndexAny(line, "\r\n\x00"); at >= 0 {
			t.Errorf("line %d: octet %#x at %d", n, line[at], at)
		}
		if len(line) >= 998 {
			t.Errorf("line %d has %d octets", n, len(line))
		}
		if at := bytes.IndexFunc(line, func(r rune) bool { return r > '~' }); at >= 0 {
			t.Errorf("line %d is not ASCII at %d", n, at)
		}
		rest = after
	}
	header, _, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		t.Errorf("the header has no end")
	}
	for line := range strings.SplitSeq(string(header), "\r\n") {
		if strings.TrimSpace(line) == "" {
			t.Errorf("the header has an empty line")
		}
	}
}

// What could end a line where it must not is refused, and the field is named.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*email.Reply, *compose.Options)
		want   string
	}{
		{"CR in the subject", func(r *email.Reply, _ *compose.Options) { r.Subject = "a\rb" }, "Subject: there is a CR at octet 1"},
		{"LF in the subject", func(r *email.Reply, _ *compose.Options) { r.Subject = "a\nBcc: x@example.com" }, "Subject: there is an LF at octet 1"},
		{"NUL in the subject", func(r *email.Reply, _ *compose.Options) { r.Subject = "\x00" }, "Subject: there is a NUL at octet 0"},
		{"LF in the display name", func(r *email.Reply, _ *compose.Options) { r.To.Name = "a\nb" }, "To: in the display name there is an LF at octet 1"},
		{"LF in the mailbox", func(r *email.Reply, _ *compose.Options) { r.To.Mailbox = "a@b.example\nBcc: x@example.com" }, "To: in the mailbox there is an LF at octet 11"},
		{"LF in From", func(r *email.Reply, _ *compose.Options) {
			r.From = email.Address{Name: "x\n", Mailbox: "a@b.example"}
		}, "From: in the display name there is an LF at octet 1"},
		{"LF in a field", func(r *email.Reply, _ *compose.Options) {
			r.Headers = []email.Field{{Name: "X-Ticket", Value: "1\nBcc: x@example.com"}}
		}, "X-Ticket: there is an LF at octet 1"},
		{"a field that is ours", func(r *email.Reply, _ *compose.Options) {
			r.Headers = []email.Field{{Name: "X-Ticket", Value: "1"}, {Name: "Bcc", Value: "x@example.com"}}
		}, `headers[1].name: "Bcc" is no field that a reply may set`},
		{"a field of SES", func(r *email.Reply, _ *compose.Options) {
			r.Headers = []email.Field{{Name: "x-ses-configuration-set", Value: "theirs"}}
		}, "headers[0].name"},
		{"LF in a field's name", func(r *email.Reply, _ *compose.Options) {
			r.Headers = []email.Field{{Name: "X-A: b\nBcc", Value: "x@example.com"}}
		}, "headers[0].name"},
		{"too many fields", func(r *email.Reply, _ *compose.Options) {
			r.Headers = make([]email.Field, 51)
		}, "headers: there are 51, and 50 are allowed"},
		{"a field too long", func(r *email.Reply, _ *compose.Options) {
			r.Headers = []email.Field{{Name: "X-Ticket", Value: strings.Repeat("a", 2001)}}
		}, "headers[0].value: X-Ticket has 2001 octets, and 2000 are allowed"},
		{"no recipient", func(r *email.Reply, _ *compose.Options) { r.To = email.Address{} }, "To: there is no mailbox"},
		{"two recipients", func(r *email.Reply, _ *compose.Options) { r.To.Mailbox = "a@x.example,b@x.example" }, "before the @ is not allowed"},
		{"mailbox too long", func(r *email.Reply, _ *compose.Options) {
			r.To.Mailbox = strings.Repeat("a", 64) + "@" + strings.Repeat("b.", 140) + "example"
		}, "To: the mailbox has 352 octets, and 320 are allowed"},
		{"local part too long", func(r *email.Reply, _ *compose.Options) {
			r.To.Mailbox = strings.Repeat("a", 65) + "@b.example"
		}, "To: the mailbox has 65 octets before its @"},
		{"SMTPUTF8", func(r *email.Reply, _ *compose.Options) { r.To.Mailbox = "jürgen@example.com" }, "To: the part before the @ is not ASCII"},
		{"broken In-Reply-To", func(r *email.Reply, _ *compose.Options) { r.InReplyTo = "q3@example.com" }, "In-Reply-To: "},
		{"LF in References", func(r *email.Reply, _ *compose.Options) { r.References = []string{"<a\n@b>"} }, "References: "},
		{"NUL in the text", func(r *email.Reply, _ *compose.Options) { r.Text = "a\x00" }, "text: there is a NUL at octet 1"},
		{"NUL in the HTML", func(r *email.Reply, _ *compose.Options) { r.HTML = "\x00" }, "html: there is a NUL at octet 0"},
		{"LF in a file name", func(r *email.Reply, _ *compose.Options) {
			r.Attachments = []email.Part{{}, {Name: "a\nb"}}
		}, "attachments[1].name: there is an LF at octet 1"},
		{"LF in a content type", func(r *email.Reply, _ *compose.Options) {
			r.Attachments = []email.Part{{ContentType: "text/csv\nX: y"}}
		}, "attachments[0].content_type: there is an LF at octet 8"},
		{"no content type", func(r *email.Reply, _ *compose.Options) {
			r.Attachments = []email.Part{{ContentType: "csv"}}
		}, "attachments[0].content_type: \"csv\" is no media type"},
		{"LF in a content id", func(r *email.Reply, _ *compose.Options) {
			r.Attachments = []email.Part{{ContentID: "a\nb"}}
		}, "attachments[0].content_id: there is an LF at octet 1"},
		{"bracket in a content id", func(r *email.Reply, _ *compose.Options) {
			r.Attachments = []email.Part{{ContentID: "a>b"}}
		}, "attachments[0].content_id: "},
		{"LF in a field's value", func(_ *email.Reply, o *compose.Options) {
			o.Fields = []email.Field{{Name: "Feedback-ID", Value: "a\nb"}}
		}, "Feedback-ID: "},
		{"LF in a field's name", func(_ *email.Reply, o *compose.Options) {
			o.Fields = []email.Field{{Name: "X\nY", Value: "a"}}
		}, "header: "},
		{"boundary with a space", func(_ *email.Reply, o *compose.Options) { o.Boundary = "a b" }, "boundary: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, o := &email.Reply{To: email.Address{Mailbox: "ana@example.com"}}, options()
			c.change(r, &o)
			raw, err := compose.Reply(r, o)
			if err == nil {
				t.Fatalf("it was composed:\n%s", raw)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q", err, c.want)
			}
			if e, ok := errors.AsType[*compose.Error](err); !ok || !e.Permanent() {
				t.Errorf("%T is not permanent", err)
			}
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("the error %q breaks a line itself", err)
			}
		})
	}
}

func TestMailboxes(t *testing.T) {
	for in, want := range map[string]string{
		"ana@example.com":          "ana@example.com",
		"Ana.Mendes@EXAMPLE.com":   "Ana.Mendes@example.com",
		"ana@bücher.example":       "ana@xn--bcher-kva.example",
		"a+tag@example.com":        "a+tag@example.com",
		"o'neil@example.com":       "o'neil@example.com",
		"..dots..@docomo.example":  "..dots..@docomo.example",
		"ana@under_score.example":  "ana@under_score.example",
		`"john doe"@example.com`:   `"john doe"@example.com`,
		"@example.com":             "",
		"ana":                      "",
		"ana@":                     "",
		"ana mendes@example.com":   "",
		"<ana@example.com>":        "",
		"ana@exa mple.com":         "",
		"ana@example.com>":         "",
		`"a"b"@example.com`:        "",
		"ana@[192.0.2.1]":          "",
		"a@b@example.com":          "",
		"ana\t@example.com":        "",
		"ana@example.com,bo@x.org": "",
	} {
		got, err := compose.Mailbox(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestTheSameReplyGivesTheSameOctets(t *testing.T) {
	r := &email.Reply{To: email.Address{Mailbox: "ana@example.com"}, Text: "a", HTML: "b", Attachments: []email.Part{{Name: "c", ContentType: "text/csv; a=1; b=2; c=3; d=4"}}}
	first, err := compose.Reply(r, options())
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, err := compose.Reply(r, options())
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%v\n%s\n%s", err, first, again)
		}
	}
}

// Composing goes at 200 MB a second or more, and allocates at most 1.5 octets for
// each that it writes.
func BenchmarkReply(b *testing.B) {
	for name, r := range map[string]*email.Reply{
		"20MB-attachment": {Text: "Hello", Attachments: []email.Part{{Name: "a.bin", Content: make([]byte, 20<<20)}}},
		"20MB-text":       {Text: strings.Repeat("The quick brown fox jumps over the lazy dog, äh, and so on = 1.\n", 20<<20/66)},
		"small":           {Text: "Hello", HTML: "<p>Hello", Attachments: []email.Part{{Name: "a.csv", Content: make([]byte, 50_000)}}},
	} {
		r.To = email.Address{Mailbox: "ana@example.com"}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var written int
			for b.Loop() {
				raw, err := compose.Reply(r, options())
				if err != nil {
					b.Fatal(err)
				}
				written = len(raw)
			}
			b.SetBytes(int64(written))
			b.ReportMetric(float64(written), "octets")
		})
	}
}

// What is allocated must not depend on the machine, so it is tested, not only
// measured.
func TestComposingAllocatesLittle(t *testing.T) {
	r := &email.Reply{
		To: email.Address{Mailbox: "ana@example.com"}, Text: strings.Repeat("Grüße = 1 \n", 10_000),
		Attachments: []email.Part{{Name: "a.bin", Content: make([]byte, 5<<20)}},
	}
	var written int
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		for range b.N {
			raw, err := compose.Reply(r, options())
			if err != nil {
				b.Fatal(err)
			}
			written = len(raw)
		}
	})
	if share := float64(result.AllocedBytesPerOp()) / float64(written); share > 1.5 {
		t.Errorf("%.2f octets allocated for each one written", share)
	}
}
