package email

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// hostile are mails that cost a parser without a guard seconds or gigabytes, and
// what becomes of them here: the limit that they breach, or nothing if they are
// parsed. Sizes are those at which enmime alone was measured, or larger.
func hostile() []hostileMail {
	multipart := "Content-Type: multipart/mixed; boundary=b\n\n"
	nested := func(depth int, body string) string {
		var b strings.Builder
		for i := range depth {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		b.WriteString("\n" + body)
		return b.String()
	}
	times := func(s string, octets int) string { return strings.Repeat(s, octets/len(s)) }
	base64 := "Content-Transfer-Encoding: base64\n\n"
	text := "Some words that a person might write in a mail to somebody.\n"
	return []hostileMail{
		{"empty parts", func() string { return multipart + strings.Repeat("--b\n", 100_000) }, "email.max_parts"},
		{"as many empty parts as may be", func() string { return multipart + strings.Repeat("--b\n", 999) }, ""},
		{"parts of text", func() string { return multipart + strings.Repeat("--b\nContent-Type: text/plain\n\nx\n", 50_000) }, "email.max_parts"},
		{"as many parts of text as may be", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/plain; charset=iso-8859-1; name=\"a b\"\n\nx\n", 999)
		}, ""},
		{"as many files as may be", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: a/b; name=x\nContent-Transfer-Encoding: quoted-printable\n\nx=\n", 999)
		}, ""},
		{"nested 1000 deep", func() string { return nested(1000, times(text, 1<<20)) }, "email.max_depth"},
		{"nested 10000 deep", func() string { return nested(10_000, "") }, "email.max_depth"},
		{"nested as deep as may be, around 20 MB", func() string { return nested(20, times(text, 20<<20)) }, ""},
		{"nested, and none of the boundaries comes", func() string { return strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n", 100_000) }, ""},
		{"base64 of nothing but illegal octets", func() string { return base64 + times("!", 10<<20) }, "email.max_bad_base64"},
		{"base64 half of illegal octets", func() string { return base64 + times("!A\n", 10<<20) }, ""},
		{"base64 of padding", func() string { return base64 + times("QQ==", 9<<20) }, ""},
		{"base64 text in one line", func() string { return base64 + times("QUJD", 10<<20) }, ""},
		{"one line of 20 MB", func() string { return "Subject: x\n\n" + times("x", 20<<20) }, "email.max_line"},
		{"parameters", func() string { return "Content-Type: text/plain; " + times("a=b; ", 1<<20) }, "email.max_parameters"},
		{"parameters on lines of their own", func() string { return "Content-Type: text/plain;\n" + times(" a=b;\n", 1000<<10) + "\n\n" }, "email.max_parameters"},
		{"long parameters", func() string {
			return "Content-Type: text/plain; " + strings.Repeat("a"+times("b", 4000)+"=\""+times("c", 10_000)+"\"; ", 63) + "\n\nx"
		}, ""},
		{"pieces of one parameter", func() string { return "Content-Type: a/b; " + pieces(63, 16000) + "\n\nx" }, ""},
		{"encoded words in a file name", func() string {
			return "Content-Type: a/b; name=\"" + times("=?utf-8?q?=C3=A4?= ", 1<<20-100) + "\"\n\nx"
		}, ""},
		{"encoded words in a type", func() string { return "Content-Type: " + times("=?utf-8?q?=C3=A4?= ", 1<<20-100) + "\n\nx" }, ""},
		{"encoded words in the types of parts", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: a/b; name=\""+times("=?utf-8?q?=C3=A4?= ", 7<<10)+"\"\n\nx\n", 140)
		}, ""},
		{"pieces of a parameter in parts", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: a/b; "+pieces(63, 100)+"\n\nx\n", 135)
		}, ""},
		{"quotes in a type", func() string { return "Content-Type: a/b; x=" + times(`"\`, 1<<20-100) + "\n\nx" }, ""},
		{"specials in a type", func() string { return "Content-Type: a/b; x=" + times(`@[]()<>`, 1<<20-100) + "\n\nx" }, ""},
		{"equals signs in a type", func() string { return "Content-Type: a/b; x" + times(`=`, 1<<20-100) + "\n\nx" }, ""},
		{"slashes in a type", func() string { return "Content-Type: " + times(`a/`, 1<<20-100) + "\n\nx" }, ""},
		{"commas in a type", func() string { return "Content-Type: " + times(`a,`, 1<<20-100) + "\n\nx" }, ""},
		{"tags in a type", func() string { return "Content-Type: a/b" + times(`<a>`, 1<<20-100) + "\n\nx" }, ""},
		{"folds in a type", func() string { return "Content-Type: a/b" + times("\n a", 1<<20-100) + "\n\nx" }, ""},
		{"disposition of encoded words", func() string {
			return "Content-Disposition: attachment; filename=" + times("=?utf-8?b?w6Q=?=", 1<<20-100) + "\n\nx"
		}, ""},
		{"header of 2 MB", func() string { return "X: " + times("Some words ", 2<<20) + "\n\nx" }, "email.max_header"},
		{"header of many fields", func() string { return times("A: b\n", 1<<20-100) }, "email.max_fields"},
		{"header of as many fields as may be", func() string { return strings.Repeat("Received: from a by b; =?utf-8?q?=FF?=\n", 9999) + "\nx" }, ""},
		{"header of junk", func() string { return "A: b\n" + times("junk\nA:b\n", 512<<10) + "\nx" }, "email.max_fields"},
		{"header without end", func() string { return "A: b\n" + times(" c\n", 1<<20-100) }, ""},
		{"encoded words", func() string { return "Subject: " + times("=?x?q?=FF?= ", 1<<20-100) + "\n\nx" }, ""},
		{"encoded words without end", func() string { return "Subject: " + times("=?a?q?x", 1<<20-100) + "\n\nx" }, ""},
		{"octets of no charset", func() string { return "Subject: " + times("\xff =?", 1<<20-100) + "\n\nx" }, ""},
		{"brackets", func() string { return "To: " + times("<,", 1<<20-100) + "\n\nx" }, ""},
		{"quotes", func() string { return "From: " + times(`"\",`, 1<<20-100) + "\n\nx" }, ""},
		{"comments", func() string { return "From: " + times(`(`, 1<<20-100) + "\n\nx" }, ""},
		{"mailboxes", func() string { return "To: " + times("a@b.example, ", 1<<20-100) + "\n\nx" }, ""},
		{"references", func() string { return "References: " + times("<a@b> ", 500<<10) + times("<c@d>", 500<<10) + "\n\nx" }, ""},
		{"date", func() string { return "Date: " + times("(", 1<<20-100) + "\n\nx" }, ""},
		{"boundary of 5000 octets", func() string {
			return "Content-Type: multipart/mixed; boundary=" + times("b", 5000) + "\n\n" + times("--"+times("b", 4999)+"\n", 20<<20)
		}, ""},
		{"boundary of 1 MB", func() string { return "Content-Type: multipart/mixed; boundary=" + times("b", 1<<20-100) + "\n\n" }, "email.max_boundary"},
		{"lines that are nearly delimiters", func() string { return nested(20, times("--b\n", 20<<20)) }, ""},
		{"empty lines", func() string { return "A: b\n\n" + times("\n", 40<<20) }, ""},
		{"carriage returns", func() string { return "A: b\r\n\r\n" + times("\r", 9<<20) }, ""},
		{"lines that end in CR", func() string { return "A: b\r\r" + times("x\r", 20<<20) }, ""},
		{"zeros", func() string { return "A: b\n\n" + times("\x00\n", 20<<20) }, ""},
		{"text of 40 MB", func() string { return "A: b\n\n" + times(text, 40<<20) }, ""},
		{"text of 40 MB, every octet quoted", func() string {
			return "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n" + times(strings.Repeat("=C3=A4", 12)+"=\n", 40<<20)
		}, ""},
		{"text of 40 MB, in a charset that shifts", func() string {
			return "Content-Type: text/plain; charset=iso-2022-jp\n\n" + times("\x1b$B$3$s$K$A$O\x1b(B hello\n", 40<<20)
		}, ""},
		{"text of 40 MB, base64, in a charset of two octets", func() string {
			return "Content-Type: text/plain; charset=gb18030\nContent-Transfer-Encoding: base64\n\n" + times(strings.Repeat("xOO6w6Os", 9)+"\n", 40<<20)
		}, ""},
		{"text of no charset", func() string { return "A: b\n\n" + times("\xff\xfe\xfd\n", 10<<20) }, ""},
		{"text of a charset that it is not in", func() string { return "Content-Type: text/plain; charset=gb2312\n\n" + times("\xff\xfe\xfd\n", 10<<20) }, ""},
		{"quoted-printable of equals signs", func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + times("=", 10<<20) }, ""},
		{"quoted-printable of white space", func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + times(" \t", 10<<20) }, ""},
		{"HTML", func() string { return "Content-Type: text/html\n\n" + times("<p>Some words</p>\n", 20<<20) }, ""},
		{"HTML of open tags", func() string { return "Content-Type: text/html\n\n" + times("<div style='display:none'><b>\n", 20<<20) }, ""},
		{"HTML of attributes", func() string { return "Content-Type: text/html\n\n<p " + times("a=b\n", 20<<20) }, ""},
		{"HTML of quotes", func() string { return "Content-Type: text/html\n\n" + times("<blockquote>\n", 20<<20) }, ""},
		{"HTML of entities", func() string { return "Content-Type: text/html\n\n" + times("&amp;&#x26;\n", 20<<20) }, ""},
		{"HTML of less-than signs", func() string { return "Content-Type: text/html\n\n" + times("<", 9<<20) }, ""},
		{"introductions", func() string { return "A: b\n\n" + times("On Monday he wrote, and on:\n", 10<<20) }, ""},
		{"repeated headers", func() string { return "A: b\n\n" + times("From: x\n", 10<<20) }, ""},
		{"quotations", func() string { return "A: b\n\n" + times("> x\n", 10<<20) }, ""},
		{"alternatives", func() string { return alternatives(300) }, ""},
	}
}

type hostileMail struct {
	name   string
	mail   func() string
	breach string // the setting; empty if the mail is parsed
}

func (h hostileMail) raw() []byte { return []byte("From: a@b.example\n" + h.mail()) }

// pieces is a file name in as many pieces as RFC 2231 allows for.
func pieces(n, octets int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "name*%d*=%s; ", i, strings.Repeat("%C3", octets/3))
	}
	return b.String()
}

// alternatives nests forms of the same beside each other.
func alternatives(n int) string {
	var b strings.Builder
	b.WriteString("Content-Type: multipart/alternative; boundary=b\n\n")
	for range n {
		b.WriteString("--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: text/html\n\n<p>x\n--c--\n")
	}
	return b.String()
}

// Each ends in its breach, or parsed, in bounded memory. Its whole allocation is
// counted, of which no more than a part is there at any one time.
func TestHostile(t *testing.T) {
	p := newParser(t)
	for _, h := range hostile() {
		t.Run(h.name, func(t *testing.T) {
			raw := h.raw()
			if raceDetector && len(raw) > 2<<20 {
				t.Skip("it takes too long with the race detector")
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m, err := p.Parse(Raw{Bytes: raw})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			breach := ""
			if e, ok := errors.AsType[*Error](err); ok {
				breach = e.Limit
			}
			if breach != h.breach || (err == nil) == (m == nil) {
				t.Errorf("limit %q, error %v", breach, err)
			}
			if raceDetector {
				return // it allocates on its own account
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			const fixed = 24 << 20 // whatever the size: what describing a thousand parts, or 80,000 mailboxes, takes
			if allocated > 3*uint64(len(raw))+fixed {
				t.Errorf("%d octets allocated for a mail of %d", allocated, len(raw))
			}
			t.Logf("%d octets, %d allocated, %v", len(raw), allocated, took)
		})
	}
}

func BenchmarkHostile(b *testing.B) {
	p := newParser(b)
	for _, h := range hostile() {
		b.Run(h.name, func(b *testing.B) {
			raw := h.raw()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(Raw{Bytes: raw})
			}
		})
	}
}
