package htmltext

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", ""},
		{"hello <b>wor</b>ld\n again", "hello world again"},
		{"<p>one</p><p>two<br>three</p>four", "one\n\ntwo\nthree\n\nfour"},
		{"<div>one<div>two</div></div><div>three</div>", "one\ntwo\nthree"},
		{"<table><tr><td>A</td><td>B</td></tr><tr><td>1<td>2</table>", "A\tB\n1\t2"},
		{"<table><tr><th>Region</th><th></th><th>Sum</th></tr></table>", "Region\tSum"},
		{"<a href='https://x.example/a?b=1&amp;c=2'>here</a>", "here (https://x.example/a?b=1&c=2)"},
		{"<a href='https://x.example/'>x.example</a> <a href='https://x.example'>https://x.example</a>", "x.example https://x.example"},
		{"<a href='mailto:a@b.example'>a@b.example</a>, <a href='javascript:x()'>no</a> <a href='#top'>top</a>", "a@b.example, no top"},
		{"<div style='display:none;max-height:0'>preheader <b>x</b></div><p>text", "text"},
		{"<span style=\"font-size:0px\">preheader</span>text<div hidden>more</div>", "text"},
		{"<td style='font-size:0px;padding:10px'><div style='font-size:13px'>text</div></td>", "text"},
		{"<div style='font-size:0'>a<span style='font-size:1em'>b<i>c</i></span><img alt=logo></div>text", "[logo]\ntext"},
		{"<div style='font-size:0;display:none'><div style='font-size:13px'>preheader</div></div>text", "text"},
		{"<div style='DISPLAY : none !important'>preheader</div>text", "text"},
		{"<div style='font-size:0.8em;opacity:0.5'>text</div>", "text"},
		{"<p style='display:none'>preheader<p>text", "text"},
		{"<head><title>T</title><style>p{}</style></head><body>text<script>x()</script></body>", "text"},
		{"<head><title>T</title><body>text", "text"},
		{"<ul><li>one<li>two</ul><ol><li>a</li><li>b</li></ol>", "- one\n- two\n1. a\n2. b"},
		{"<blockquote>a<br>b<blockquote>c</blockquote></blockquote>d", "> a\n> b\n>\n> > c\n\nd"},
		{"On Monday, Ann wrote:<blockquote><p>a</p><p>b</p></blockquote>", "On Monday, Ann wrote:\n\n> a\n>\n> b"},
		{"<pre>a  b\n  c\n</pre>d", "a  b\n  c\n\nd"},
		{"a&nbsp;&nbsp;b &lt;c&gt; &auml;", "a b <c> \u00e4"},
		{"<img src=x alt='Our  logo'><img src=y alt=''>text", "[Our logo]text"},
		{"a<hr>b", "a\n---\nb"},
		{"</p>a</div></table>b", "ab"},
		{"<!-- hidden --><!doctype html>a<![CDATA[b]]>", "a"},
		{"a\u00adb \u034f \u200c \u200b c", "ab c"},
		{"<td>a</td></td></tr><p", "a"},
		{strings.Repeat("<div>", 10_000) + "deep", "deep"},
		{strings.Repeat("<blockquote>", 50) + "deep", "> > > > > > > > deep"},
	} {
		if got := Text(c.source); got != c.want {
			t.Errorf("%.200q:\n got %q\nwant %q", c.source, got, c.want)
		}
	}
}

// The text is valid if the source is, no longer than the source allows, and none
// of its lines ends in white space.
func FuzzText(f *testing.F) {
	f.Add("<table><tr><td>A<td>B</table><a href=http://x>y</a><blockquote>q<pre> x\n y</pre>")
	f.Add("<div style='display:none'>x</div><p hidden>y</p>&auml;\u200d")
	f.Fuzz(func(t *testing.T, source string) {
		if !utf8.ValidString(source) {
			return
		}
		text := Text(source)
		if !utf8.ValidString(text) {
			t.Fatalf("%q", text)
		}
		if len(text) > 20*len(source)+100 {
			t.Fatalf("%d octets of %d", len(text), len(source))
		}
	})
}

func BenchmarkText(b *testing.B) {
	row := "<tr style='color:red'><td align=left>Region north-west</td><td><b>12,345.00</b>&nbsp;EUR</td><td><a href='https://example.com/'>more</a></td></tr>\r\n"
	for name, source := range map[string]string{
		"table":   "<html><body><table>" + strings.Repeat(row, 700) + "</table></body></html>",
		"open":    strings.Repeat("<div>", 200_000),
		"end":     strings.Repeat("<p>", 200) + strings.Repeat("</b>", 250_000),
		"less":    strings.Repeat("<", 1_000_000),
		"attr":    "<p " + strings.Repeat("a=b ", 250_000) + ">",
		"comment": strings.Repeat("<!--", 250_000),
		"raw":     strings.Repeat("<script>", 125_000),
		"links":   strings.Repeat("<a href=http://x>", 60_000) + strings.Repeat("</a>", 60_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(source)))
			b.ReportAllocs()
			for b.Loop() {
				Text(source)
			}
		})
	}
}
