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
	open := func(depth int) string { return strings.TrimSuffix(nested(depth, ""), "\n") }
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

		// Combinations.
		{"nested as deep as may be, around base64 half of illegal octets", func() string {
			return open(19) + "Content-Type: text/plain\n" + base64 + times("!A\n", 20<<20)
		}, ""},
		{"nested as deep as may be, around bad base64", func() string { return open(19) + base64 + times("!!!A\n", 20<<20) }, "email.max_bad_base64"},
		{"parts of bad base64 that is small enough", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/plain\n"+base64+times("!", largeBadBase64)+"\n", 600)
		}, ""},
		{"as many parts in a charset that must be guessed", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/plain\n\n"+times("\xe4\xfc\xf6 \xff\n", 40_000)+"\n", 900)
		}, ""},
		{"as many parts in a charset of two octets", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/plain; charset=gb18030\n\n"+times("\xc4\xe3\xba\xc3\n", 40_000)+"\n", 900)
		}, ""},
		{"two texts in one octet that become three", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/plain; charset=windows-874\n\n"+times("\xa1\xa2\n", 19<<20)+"\n", 2)
		}, ""},
		{"quoted-printable of octets that become three", func() string {
			return "Content-Type: text/plain; charset=windows-874\nContent-Transfer-Encoding: quoted-printable\n\n" + times("\xa1\xa2\n", 40<<20)
		}, ""},
		{"quoted-printable of soft line ends", func() string { return "Content-Transfer-Encoding: quoted-printable\n\n" + times("a=\n", 40<<20) }, ""},
		{"text of 40 MB, in GB 18030, of four octets each", func() string {
			return "Content-Type: text/plain; charset=gb18030\n\n" + times("\x81\x30\x85\x30", 9<<20) + "\n" + times("\x81\x30\x85\x30\n", 30<<20)
		}, ""},
		{"text of 40 MB, in GB 18030, the last octet of which is wrong", func() string {
			return "Content-Type: text/plain; charset=gb18030\n\n" + times("\xc4\xe3\xba\xc3\n", 40<<20) + "\xff"
		}, ""},
		{"text of 40 MB, in GB 18030, one octet in twenty of which is wrong", func() string {
			return "Content-Type: text/plain; charset=gb18030\n\n" + times("\xc4\xe3\xba\xc3", sampleOfText) + times("\xc4\xe3\xba\xc3\xc4\xe3\xba\xc3\xc4\xe3\xba\xc3\xc4\xe3\xba\xc3\xc4\xe3\xba\xc3\xff\n", 40<<20)
		}, ""},
		{"text of 40 MB, of nothing but shifts", func() string {
			return "Content-Type: text/plain; charset=iso-2022-jp\n\n" + times("\x1b$B\x1b(B\x1b(I\n", 40<<20)
		}, ""},
		{"text of 40 MB, that shifts and does not say so", func() string { return "A: b\n\n" + times("\x1b$B$3$s\x1b(B hello\n", 40<<20) }, ""},
		{"text of 40 MB, in UTF-7", func() string {
			return "Content-Type: text/plain; charset=utf-7\n\n" + times("+ZeVnLIqe-+AOQ-\n", 40<<20)
		}, ""},
		{"text of 40 MB, in UTF-16", func() string {
			return "Content-Type: text/plain; charset=utf-16le\n\n" + times("\x00\xd8\x00\xdc\n\x00", 40<<20)
		}, ""},
		{"text of 40 MB, nearly UTF-8", func() string {
			return "Content-Type: text/plain; charset=utf-8\n\n" + times(strings.Repeat("\xc3\xa4", 5)+"\xff\n", 40<<20)
		}, ""},
		{"text of 40 MB, blank", func() string { return "A: b\n\n" + times(" \t\u00a0\r\n", 40<<20) }, ""},
		{"text of 40 MB, of CRLF", func() string { return "A: b\n\n" + times("\r\n", 40<<20) }, ""},
		{"HTML of 40 MB, in a charset of two octets", func() string {
			return "Content-Type: text/html; charset=big5\n\n" + times("<p>\xa4\xa4\xa4\xe5</p>\n", 40<<20)
		}, ""},
		{"one encoded word of 1 MB", func() string { return "Subject: =?utf-8?b?" + times("w6TD", 1<<20-200) + "?=\n\nx" }, ""},
		{"encoded words in a charset of two octets", func() string { return "Subject: " + times("=?gb18030?b?xOO6w6Os?= x ", 1<<20-200) + "\n\nx" }, ""},
		{"encoded words in all fields", func() string { return times("X: =?iso-2022-jp?b?GyRCJDMbKEI=?= =?big5?q?=A4=A4?=\n", 500_000) + "\nx" }, ""},
		{"fields in no charset", func() string { return strings.Repeat("X: \xe4\xfc \xff\xfe gr\xfc\xdfe\n", 9999) + "\nx" }, ""},
		{"fields that shift", func() string { return strings.Repeat("X: \x1b$B$3$s\x1b(B hello\n", 9999) + "\nx" }, ""},
		{"names of files in no charset", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: a/b; name*0*=x''\xe4%e4; name*1=\"\xfc\"\n\nx\n", 990)
		}, ""},
		{"nested comments", func() string { return "From: " + times("(", 500_000) + times(")", 500_000) + "\n\nx" }, ""},
		{"comments side by side", func() string { return "To: " + times("(a) ", 1<<20-200) + "\n\nx" }, ""},
		{"comments in addresses", func() string { return "To: " + times("a(x)@(y)b(z).c, ", 1<<20-200) + "\n\nx" }, ""},
		{"brackets in brackets", func() string { return "From: " + times("<a@b>", 1<<20-200) + "\n\nx" }, ""},
		{"quotes in brackets", func() string { return "To: " + times(`<"@a>,`, 1<<20-200) + "\n\nx" }, ""},
		{"groups", func() string { return "To: " + times("g: a@b; ", 1<<20-200) + "\n\nx" }, ""},
		{"words before an address", func() string { return "From: " + times("a ", 1<<20-200) + "a@b\n\nx" }, ""},
		{"words before addresses", func() string { return "To: " + times("a a a@b, ", 1<<20-200) + "\n\nx" }, ""},
		{"From fields", func() string { return strings.Repeat("From: \"a\" <a@b>, c@d\n", 9998) + "\nx" }, ""},
		{"folds in From", func() string { return "From: a\n" + times(" b\n", 1<<20-200) + " <a@b>\n\nx" }, ""},
		{"verdicts", func() string { return times("Authentication-Results: a; spf=pass (((; dkim=pass\n", 500_000) + "\nx" }, ""},
		{"comments in a verdict", func() string { return "Authentication-Results: a; " + times("((()", 1<<20-200) + "\n\nx" }, ""},
		{"introductions as long as may be", func() string {
			return "A: b\n\n" + times("On 10:00 "+strings.Repeat("<a@b.c> wrote 12:30 ", 14)+":\n", 600_000)
		}, ""},
		{"introductions in three lines", func() string {
			return "A: b\n\n" + times("On 10:00 <a@b> schrieb am um a heeft\nEl 10:00 <a@b> 2026年1月1日\nle am 10:00 <a@b> em :\n\n", 600_000)
		}, ""},
		{"lines with a colon", func() string { return "A: b\n\n" + times("f:b\n", 600_000) }, ""},
		{"lines of one letter", func() string { return "A: b\n\n" + times("x\n", 600_000) }, ""},
		{"HTML of a million elements", func() string { return "Content-Type: text/html\n\n" + strings.Repeat("<div>\n", 1_000_000) }, ""},
		{"HTML of tables in tables", func() string { return "Content-Type: text/html\n\n" + times("<table><tr><td>a\n", 5<<20) }, ""},
		{"HTML of hidden elements", func() string {
			return "Content-Type: text/html\n\n" + times("<p style=\"color:red;display:none;font-size:0\">a<b hidden>b</b>\n", 5<<20)
		}, ""},
		{"HTML of one style", func() string { return "Content-Type: text/html\n\n<p style='" + times("a:b;\n", 2<<20-100) + "'>x" }, ""},
		{"HTML of attributes of one element", func() string { return "Content-Type: text/html\n\n<p " + times("a=b\n", 2<<20-100) + ">x" }, ""},
		{"HTML of links", func() string {
			return "Content-Type: text/html\n\n" + times("<a href=http://x>", 1<<20) + times("y</a>\n", 1<<20)
		}, ""},
		{"HTML of end tags", func() string {
			return "Content-Type: text/html\n\n" + strings.Repeat("<p><i>", 100) + times("</b></table>\n", 2<<20)
		}, ""},
		{"HTML of comments", func() string { return "Content-Type: text/html\n\n" + times("<!-- - -- ->\n", 2<<20) }, ""},
		{"HTML of scripts", func() string { return "Content-Type: text/html\n\n" + times("<script><!--<script></script>\n", 2<<20) }, ""},
		{"HTML of titles", func() string {
			return "Content-Type: text/html\n\n" + times("<title></titl><textarea></title\n", 2<<20)
		}, ""},
		{"HTML of lists", func() string { return "Content-Type: text/html\n\n" + times("<ol><li>a\n", 2<<20) }, ""},
		{"HTML of quoted lines", func() string {
			return "Content-Type: text/html\n\n" + strings.Repeat("<blockquote>", 9) + times("a<br>\n", 2<<20)
		}, ""},
		{"parts of HTML", func() string {
			return multipart + strings.Repeat("--b\nContent-Type: text/html\n\n"+times("<p>a</p>\n", 40_000)+"\n", 900)
		}, ""},
	}
}

const (
	largeBadBase64 = 64<<10 - 2 // octets up to which nobody minds bad base64
	sampleOfText   = 64 << 10   // octets of a text in which a charset is looked for, and more
)

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
			benchmarkParse(b, p, h.raw())
		})
	}
}
