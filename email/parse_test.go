package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func newParser(tb testing.TB) *Parser {
	tb.Helper()
	p, err := NewParser(Defaults())
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func parse(tb testing.TB, p *Parser, raw string) *Message {
	tb.Helper()
	m, err := p.Parse(Raw{Bytes: []byte(raw)})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func sample(tb testing.TB, name string) string {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".eml"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

func TestErrorIsPermanentAndNamesTheLimit(t *testing.T) {
	config := Defaults()
	config.MaxParts = 2
	p, err := NewParser(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Parse(Raw{Bytes: []byte("Content-Type: multipart/mixed; boundary=q\n\n--q\n\nx\n--q\n\ny\n--q--\n")})
	permanent, ok := err.(interface{ Permanent() bool })
	if m != nil || !ok || !permanent.Permanent() {
		t.Fatalf("%v, %v", m, err)
	}
	if want := "the mail breaks the limit email.max_parts: 3, where 2 is allowed, at octet 54"; err.Error() != want {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
	c := Defaults()
	c.MaxParts, c.MaxBadBase64, c.Domains = 0, 101, []string{"a@b"}
	err := c.Validate()
	for _, want := range []string{"max_parts: 0", "max_bad_base64: 101", `domains[0]: "a@b"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := NewParser(c); err == nil {
		t.Error("a parser with settings that are wrong")
	}
	if got := Defaults().Largest(); got != 41<<20 {
		t.Error(got)
	}
}

// What the notification says counts before what stands on top, and our own domains
// where neither names a recipient.
func TestEnvelope(t *testing.T) {
	raw := []byte(sample(t, "plain"))
	config := Defaults()
	config.Domains = []string{"Ours.example"}
	p, err := NewParser(config)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Parse(Raw{Bytes: raw, Receipt: &Receipt{Recipients: []string{"other@OURS.example"}, Verdicts: Verdicts{Spam: Fail}}})
	if err != nil {
		t.Fatal(err)
	}
	if !m.NullPath || m.ReturnPath != "" || !slices.Equal(m.Recipients, []string{"other@ours.example"}) {
		t.Errorf("%v %q %q", m.NullPath, m.ReturnPath, m.Recipients)
	}
	if want := (Verdicts{Spam: Fail, SPFDomain: "customer.example", DKIMDomains: []string{"customer.example"}, DMARCDomain: "customer.example"}); !cmp.Equal(want, m.Verdicts) {
		t.Errorf("%+v", m.Verdicts)
	}
	without := parse(t, p, "From: a@b.example\nTo: x@elsewhere.example, y@ours.example\nCc: z@OURS.example\n\nx")
	if !slices.Equal(without.Recipients, []string{"y@ours.example", "z@ours.example"}) || without.NullPath || without.Verdicts.Spam != "" {
		t.Errorf("%q %v %+v", without.Recipients, without.NullPath, without.Verdicts)
	}
}

// A file is decoded when it is read, any number of times, in any pieces; its hash
// is that of what is read.
func TestAttachment(t *testing.T) {
	content := bytes.Repeat([]byte("region,sum\nnorth,1\n"), 1000)
	m := parse(t, newParser(t), mailWith(content))
	if len(m.Attachments) != 1 {
		t.Fatal(m.Attachments)
	}
	a := m.Attachments[0]
	want := sha256.Sum256(content)
	for range 2 {
		r := a.Open()
		got, err := io.ReadAll(iotest.HalfReader(r))
		if err != nil || !bytes.Equal(got, content) || a.Size != int64(len(content)) {
			t.Fatalf("%d octets, %v", len(got), err)
		}
		if a.SHA256() != hex.EncodeToString(want[:]) {
			t.Error(a.SHA256())
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(make([]byte, 1)); err == nil {
			t.Error("it can be read after it was closed")
		}
	}
	unread := parse(t, newParser(t), mailWith(content)).Attachments[0]
	if unread.SHA256() != hex.EncodeToString(want[:]) {
		t.Error("another hash if nobody has read it")
	}
}

func mailWith(content []byte) string {
	return "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nText.\r\n--q\r\nContent-Type: text/csv\r\n" +
		"Content-Disposition: attachment; filename=sales.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded(content) + "\r\n--q--\r\n"
}

// 20 MB of attachment cost next to nothing until somebody reads them.
func TestAttachmentsCostNothingUnread(t *testing.T) {
	if raceDetector {
		t.Skip("it allocates on its own account")
	}
	raw := []byte(mailWith(make([]byte, 15<<20)))
	p := newParser(t)
	result := testing.Benchmark(func(b *testing.B) {
		b.Helper()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := p.Parse(Raw{Bytes: raw}); err != nil {
				b.Fatal(err)
			}
		}
	})
	if per := float64(result.AllocedBytesPerOp()) / float64(len(raw)); per > 0.1 {
		t.Errorf("%.3f octets allocated for each octet of the mail", per)
	}
}

func TestAnswer(t *testing.T) {
	p := newParser(t)
	m := parse(t, p, "From: Ann <ann@b.example>\nReply-To: other@c.example\nSubject: AW: Re[2]: Offer\nMessage-ID: <m@b>\nReferences: <r1@b> <r2@b>\nIn-Reply-To: <r2@b>\n\nx")
	m.ID = "id"
	want := &Reply{Mail: "id", To: Address{Name: "Ann", Mailbox: "ann@b.example"}, Subject: "Re: Offer", InReplyTo: "<m@b>", References: []string{"<r1@b>", "<r2@b>", "<m@b>"}}
	if diff := cmp.Diff(want, m.Answer()); diff != "" {
		t.Error(diff)
	}
	bare := parse(t, p, "From: ann@b.example\nIn-Reply-To: <r@b>\nMessage-ID: <bad id\n\nx").Answer()
	if bare.Subject != "Re:" || bare.InReplyTo != "" || !slices.Equal(bare.References, []string{"<r@b>"}) {
		t.Errorf("%+v", bare)
	}
	long := parse(t, p, "From: a@b.example\nMessage-ID: <m@b>\nSubject: "+strings.Repeat("\u00e4", 1000)+"\nReferences: "+strings.Repeat("<x@y> ", 3)+ids(90)+"\n\nx").Answer()
	if len(long.References) != longestReferences || long.References[0] != "<x@y>" || long.References[longestReferences-1] != "<m@b>" {
		t.Errorf("%q", long.References)
	}
	if len(long.Subject) > longestSubject+10 || !utf8.ValidString(long.Subject) {
		t.Errorf("%q", long.Subject)
	}
}

func ids(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("<" + strings.Repeat("i", i+1) + "@b> ")
	}
	return b.String()
}

func TestMark(t *testing.T) {
	key := []byte("secret")
	mark := Mark(key, "4711")
	if !Marked(key, mark) || !Marked(key, " "+mark) {
		t.Errorf("%q is not known again", mark)
	}
	for _, forged := range []string{"", "1.", "1.4711.", "1.4711.00", Mark([]byte("other"), "4711"), strings.Replace(mark, "4711", "4712", 1), mark + "0", mark[1:]} {
		if Marked(key, forged) {
			t.Errorf("%q passes", forged)
		}
	}
}

// Whatever comes, there is a message or an error; the text is valid, names are
// safe, sizes are right, and no defect carries what the sender wrote.
func FuzzParse(f *testing.F) {
	mails, err := filepath.Glob("testdata/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range mails {
		raw, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	p := newParser(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		checkMail(t, p, raw)
	})
}

func checkMail(tb testing.TB, p *Parser, raw []byte) *Message {
	tb.Helper()
	kept := bytes.Clone(raw)
	m, err := p.Parse(Raw{Bytes: raw})
	if !bytes.Equal(kept, raw) {
		tb.Fatal("the octets were changed")
	}
	if (m == nil) == (err == nil) {
		tb.Fatalf("message %v and error %v", m, err)
	}
	if err != nil {
		if permanent, ok := err.(interface{ Permanent() bool }); !ok || !permanent.Permanent() {
			tb.Fatalf("not permanent: %v", err)
		}
		return nil
	}
	for _, text := range []string{m.Text, m.HTML, m.ReplyText, m.Subject, m.From.Name, m.From.Mailbox} {
		if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			tb.Fatalf("%q", text)
		}
	}
	seen := map[string]bool{}
	for _, a := range m.Attachments {
		if unsafeName(a.Name) || !utf8.ValidString(a.RawName+a.ContentType+a.ContentID) || seen[strings.ToLower(a.Name)] {
			tb.Fatalf("%q", a.Name)
		}
		seen[strings.ToLower(a.Name)] = true
		n, err := io.Copy(io.Discard, a.Open())
		if err != nil || n != a.Size || len(a.SHA256()) != 64 {
			tb.Fatalf("%d octets of %d: %v", n, a.Size, err)
		}
	}
	for _, d := range m.Defects {
		if strings.ContainsFunc(d.Code+d.Detail, func(r rune) bool { return r < ' ' || r > '~' }) {
			tb.Fatalf("%+v", d)
		}
	}
	r := m.Answer()
	if strings.ContainsAny(r.Subject+r.InReplyTo+strings.Join(r.References, ""), "\r\n\x00") || len(r.References) > longestReferences {
		tb.Fatalf("%+v", r)
	}
	if m.Automation.IsAuto != (len(m.Automation.Reasons) > 0) {
		tb.Fatalf("%+v", m.Automation)
	}
	return m
}

func unsafeName(name string) bool {
	return name == "" || len(name) > 255 || name[0] == '.' || name[0] == '-' || strings.ContainsAny(name, "/\\:*?\"<>|\x00\r\n") ||
		!utf8.ValidString(name) || strings.HasSuffix(name, " ") || strings.HasSuffix(name, ".") || filepath.Base(name) != name
}

// Nobody is the author of a list that is too long to be read.
func TestLongLists(t *testing.T) {
	list := strings.Repeat("a@b.example, ", 10_000) + "c@d.example"
	m := parse(t, newParser(t), "From: "+list+"\nTo: "+list+"\n\nx")
	var codes []string
	for _, d := range m.Defects {
		codes = append(codes, d.Code)
	}
	if len(m.To) != 10_000 || m.From != (Address{}) || !slices.Contains(codes, "long-list") || !slices.Contains(codes, "several-authors") {
		t.Errorf("%d mailboxes, from %v: %v", len(m.To), m.From, codes)
	}
}

// The charsets of a few values are looked for, and those of all others are not.
func TestGuessesInHeader(t *testing.T) {
	cyrillic := "\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? \xdf \xef\xee\xeb\xf3\xf7\xe8\xeb \xf2\xe2\xee\xe5 \xef\xe8\xf1\xfc\xec\xee."
	m := parse(t, newParser(t), "From: a@b.example\n"+strings.Repeat("Subject: "+cyrillic+"\n", 30)+"\nx")
	if m.Subject != "Привет, как дела? Я получил твое письмо." {
		t.Errorf("%q", m.Subject)
	}
	if last := m.Header[30].Value; !strings.HasPrefix(last, "Ïðèâåò") {
		t.Errorf("%q", last)
	}
}
