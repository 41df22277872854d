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
	mails := []hostileMail{
		{"empty parts", multipart + strings.Repeat("--b\n", 100_000), "email.max_parts"},
		{"as many empty parts as may be", multipart + strings.Repeat("--b\n", 999), ""},
		{"parts of text", multipart + strings.Repeat("--b\nContent-Type: text/plain\n\nx\n", 50_000), "email.max_parts"},
		{"as many parts of text as may be", multipart + strings.Repeat("--b\nContent-Type: text/plain; charset=iso-8859-1; name=\"a b\"\n\nx\n", 999), ""},
		{"as many files as may be", multipart + strings.Repeat("--b\nContent-Type: a/b; name=x\nContent-Transfer-Encoding: quoted-printable\n\nx=\n", 999), ""},
		{"nested 1000 deep", nested(1000, times(text, 1<<20)), "email.max_depth"},
		{"nested 10000 deep", nested(10_000, ""), "email.max_depth"},
		{"nested as deep as may be, around 20 MB", nested(20, times(text, 20<<20)), ""},
		{"nested, and none of the boundaries comes", strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n", 100_000), ""},
		{"base64 of nothing but illegal octets", base64 + times("!", 10<<20), "email.max_bad_base64"},
		{"base64 half of illegal octets", base64 + times("!A\n", 10<<20), ""},
		{"base64 of padding", base64 + times("QQ==", 9<<20), ""},
		{"base64 text in one line", base64 + times("QUJD", 10<<20), ""},
		{"one line of 20 MB", "Subject: x\n\n" + times("x", 20<<20), "email.max_line"},
		{"parameters", "Content-Type: text/plain; " + times("a=b; ", 1<<20), "email.max_parameters"},
		{"parameters on lines of their own", "Content-Type: text/plain;\n" + times(" a=b;\n", 1000<<10) + "\n\n", "email.max_parameters"},
		{"long parameters", "Content-Type: text/plain; " + strings.Repeat("a"+times("b", 4000)+"=\""+times("c", 1000)+"\"; ", 199) + "\n\nx", ""},
		{"pieces of one parameter", "Content-Type: a/b; " + pieces(198, 5000) + "\n\nx", ""},
		{"encoded words in a file name", "Content-Type: a/b; name=\"" + times("=?utf-8?q?=C3=A4?= ", 1<<20-100) + "\"\n\nx", ""},
		{"encoded words in a type", "Content-Type: " + times("=?utf-8?q?=C3=A4?= ", 1<<20-100) + "\n\nx", ""},
		{"encoded words in the types of parts", multipart + strings.Repeat("--b\nContent-Type: a/b; name=\""+times("=?utf-8?q?=C3=A4?= ", 7<<10)+"\"\n\nx\n", 140), ""},
		{"pieces of a parameter in parts", multipart + strings.Repeat("--b\nContent-Type: a/b; "+pieces(100, 60)+"\n\nx\n", 140), ""},
		{"quotes in a type", "Content-Type: a/b; x=" + times(`"\`, 1<<20-100) + "\n\nx", ""},
		{"specials in a type", "Content-Type: a/b; x=" + times(`@[]()<>`, 1<<20-100) + "\n\nx", ""},
		{"equals signs in a type", "Content-Type: a/b; x" + times(`=`, 1<<20-100) + "\n\nx", ""},
		{"slashes in a type", "Content-Type: " + times(`a/`, 1<<20-100) + "\n\nx", ""},
		{"commas in a type", "Content-Type: " + times(`a,`, 1<<20-100) + "\n\nx", ""},
		{"tags in a type", "Content-Type: a/b" + times(`<a>`, 1<<20-100) + "\n\nx", ""},
		{"folds in a type", "Content-Type: a/b" + times("\n a", 1<<20-100) + "\n\nx", ""},
		{"disposition of encoded words", "Content-Disposition: attachment; filename=" + times("=?utf-8?b?w6Q=?=", 1<<20-100) + "\n\nx", ""},
		{"header of 2 MB", "X: " + times("Some words ", 2<<20) + "\n\nx", "email.max_header"},
		{"header of many fields", times("A: b\n", 1<<20-100), "email.max_fields"},
		{"header of as many fields as may be", strings.Repeat("Received: from a by b; =?utf-8?q?=FF?=\n", 9999) + "\nx", ""},
		{"header of junk", "A: b\n" + times("junk\nA:b\n", 512<<10) + "\nx", "email.max_fields"},
		{"header without end", "A: b\n" + times(" c\n", 1<<20-100), ""},
		{"encoded words", "Subject: " + times("=?x?q?=FF?= ", 1<<20-100) + "\n\nx", ""},
		{"encoded words without end", "Subject: " + times("=?a?q?x", 1<<20-100) + "\n\nx", ""},
		{"octets of no charset", "Subject: " + times("\xff =?", 1<<20-100) + "\n\nx", ""},
		{"brackets", "To: " + times("<,", 1<<20-100) + "\n\nx", ""},
		{"quotes", "From: " + times(`"\",`, 1<<20-100) + "\n\nx", ""},
		{"comments", "From: " + times(`(`, 1<<20-100) + "\n\nx", ""},
		{"mailboxes", "To: " + times("a@b.example, ", 1<<20-100) + "\n\nx", ""},
		{"references", "References: " + times("<a@b> ", 500<<10) + times("<c@d>", 500<<10) + "\n\nx", ""},
		{"date", "Date: " + times("(", 1<<20-100) + "\n\nx", ""},
		{"boundary of 5000 octets", "Content-Type: multipart/mixed; boundary=" + times("b", 5000) + "\n\n" + times("--"+times("b", 4999)+"\n", 20<<20), ""},
		{"boundary of 1 MB", "Content-Type: multipart/mixed; boundary=" + times("b", 1<<20-100) + "\n\n", "email.max_boundary"},
		{"lines that are nearly delimiters", nested(20, times("--b\n", 20<<20)), ""},
		{"empty lines", "A: b\n\n" + times("\n", 40<<20), ""},
		{"carriage returns", "A: b\r\n\r\n" + times("\r", 9<<20), ""},
		{"lines that end in CR", "A: b\r\r" + times("x\r", 20<<20), ""},
		{"zeros", "A: b\n\n" + times("\x00\n", 20<<20), ""},
		{"text of 40 MB", "A: b\n\n" + times(text, 40<<20), ""},
		{"text of no charset", "A: b\n\n" + times("\xff\xfe\xfd\n", 10<<20), ""},
		{"text of a charset that it is not in", "Content-Type: text/plain; charset=gb2312\n\n" + times("\xff\xfe\xfd\n", 10<<20), ""},
		{"quoted-printable of equals signs", "Content-Transfer-Encoding: quoted-printable\n\n" + times("=", 10<<20), ""},
		{"quoted-printable of white space", "Content-Transfer-Encoding: quoted-printable\n\n" + times(" \t", 10<<20), ""},
		{"HTML", "Content-Type: text/html\n\n" + times("<p>Some words</p>\n", 20<<20), ""},
		{"HTML of open tags", "Content-Type: text/html\n\n" + times("<div style='display:none'><b>\n", 20<<20), ""},
		{"HTML of attributes", "Content-Type: text/html\n\n<p " + times("a=b\n", 20<<20), ""},
		{"HTML of quotes", "Content-Type: text/html\n\n" + times("<blockquote>\n", 20<<20), ""},
		{"HTML of entities", "Content-Type: text/html\n\n" + times("&amp;&#x26;\n", 20<<20), ""},
		{"HTML of less-than signs", "Content-Type: text/html\n\n" + times("<", 9<<20), ""},
		{"introductions", "A: b\n\n" + times("On Monday he wrote, and on:\n", 10<<20), ""},
		{"repeated headers", "A: b\n\n" + times("From: x\n", 10<<20), ""},
		{"quotations", "A: b\n\n" + times("> x\n", 10<<20), ""},
		{"alternatives", alternatives(300), ""},
	}
	for i := range mails {
		mails[i].mail = "From: a@b.example\n" + mails[i].mail
	}
	return mails
}

type hostileMail struct {
	name   string
	mail   string
	breach string // the setting; empty if the mail is parsed
}

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
			raw := []byte(h.mail)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			m, err := p.Parse(Raw{Bytes: raw})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			breach := ""
			var e *Error
			if errors.As(err, &e) {
				breach = e.Limit
			}
			if breach != h.breach || (err == nil) == (m == nil) {
				t.Errorf("limit %q, error %v", breach, err)
			}
			allocated := after.TotalAlloc - before.TotalAlloc
			const fixed = 20 << 20 // whatever the size: what describing a thousand parts, or 80,000 mailboxes, takes
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
			raw := []byte(h.mail)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(Raw{Bytes: raw})
			}
		})
	}
}
