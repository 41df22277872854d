package email

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
)

// languages are a sentence for each group of charsets that has its letters.
func languages() []struct {
	text     string
	charsets []string
} {
	return []struct {
		text     string
		charsets []string
	}{
		{"Grüße aus Köln. Die Zahlen für das dritte Quartal sind größer als erwartet, und Jürgen prüft sie noch.\r\n", []string{"utf-8", "iso-8859-1", "windows-1252", "iso-8859-15", "macintosh", "utf-16le", "utf-16be"}},
		{"Zażółć gęślą jaźń. Příliš žluťoučký kůň úpěl ďábelské ódy, a pak šel spát.\r\n", []string{"iso-8859-2", "windows-1250"}},
		{"Съешь же ещё этих мягких французских булок, да выпей чаю.\r\n", []string{"utf-8", "koi8-r", "windows-1251", "iso-8859-5", "ibm866", "x-mac-cyrillic", "utf-16le"}},
		{"Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.\r\n", []string{"iso-8859-7", "windows-1253"}},
		{"דג סקרן שט בים מאוכזב ולפתע מצא לו חברה.\r\n", []string{"windows-1255"}},
		{"نص حكيم له سر قاطع وذو شأن عظيم.\r\n", []string{"windows-1256"}},
		{"เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน\r\n", []string{"windows-874"}},
		{"第三季度的销售数字比预期的要好，我们还在核对，请您稍等。\r\n", []string{"utf-8", "gb18030", "gbk", "gb2312", "hz-gb-2312"}},
		{"第三季度的銷售數字比預期的要好，我們還在核對，請您稍等。\r\n", []string{"big5"}},
		{"いろはにほへと散りぬるを。第三四半期の売上は予想より良かったです。\r\n", []string{"utf-8", "iso-2022-jp", "shift_jis", "euc-jp"}},
		{"다람쥐 헌 쳇바퀴에 타고파. 삼분기 매출은 예상보다 좋았습니다.\r\n", []string{"euc-kr", "ks_c_5601-1987"}},
	}
}

func encodingOf(tb testing.TB, name string) encoding.Encoding {
	tb.Helper()
	if name == "ks_c_5601-1987" {
		name = "euc-kr"
	}
	if name == "hz-gb-2312" {
		e, err := ianaindex.MIME.Encoding(name)
		if err != nil {
			tb.Fatal(err)
		}
		return e
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// textMail is a mail of that many octets, all of them text.
func textMail(tb testing.TB, charset, text, transfer string, octets int) string {
	tb.Helper()
	line, err := encodingOf(tb, charset).NewEncoder().String(text)
	if err != nil {
		tb.Fatal(err)
	}
	switch transfer {
	case "base64":
		digits := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(line, 57*8)))
		var b strings.Builder
		for ; len(digits) >= 76; digits = digits[76:] {
			b.WriteString(digits[:76] + "\r\n")
		}
		line = b.String()
	case "quoted-printable":
		line = quotedPrintable(line)
	}
	return "From: a@b.example\r\nContent-Type: text/plain; charset=" + charset + "\r\nContent-Transfer-Encoding: " + transfer + "\r\n\r\n" + strings.Repeat(line, octets/len(line))
}

// quotedPrintable quotes every octet that is not ASCII, in lines that are soft.
func quotedPrintable(line string) string {
	var b strings.Builder
	width := 0
	for _, c := range []byte(line) {
		if width > 72 {
			b.WriteString("=\r\n")
			width = 0
		}
		switch {
		case c == '\r' || c == '\n':
			b.WriteByte(c)
			width = 0
		case c < ' ' || c > '~' || c == '=':
			fmt.Fprintf(&b, "=%02X", c)
			width += 3
		default:
			b.WriteByte(c)
			width++
		}
	}
	return b.String()
}

// A text comes out of every charset and every transfer encoding as it was written,
// in bounded memory.
func TestCharsets(t *testing.T) {
	p := newParser(t)
	for _, l := range languages() {
		for _, charset := range l.charsets {
			for _, transfer := range transfers() {
				raw := []byte(textMail(t, charset, l.text, transfer, 1<<20))
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				m, err := p.Parse(Raw{Bytes: raw})
				runtime.ReadMemStats(&after)
				if err != nil {
					t.Fatal(err)
				}
				line := strings.ReplaceAll(l.text, "\r\n", "\n")
				if n := len(m.Text) / len(line); n < 1000 || m.Text != strings.Repeat(line, n) {
					t.Errorf("%s, %s: %d octets of text, and %v", charset, transfer, len(m.Text), m.Defects)
				}
				// A table of half a megabyte is made once for each charset, and half a
				// megabyte of the text is searched for a reply.
				if allocated := after.TotalAlloc - before.TotalAlloc; !raceDetector && allocated > 3*uint64(len(raw))+(4<<20) {
					t.Errorf("%s, %s: %d octets allocated for a mail of %d", charset, transfer, allocated, len(raw))
				}
			}
		}
	}
}

func transfers() []string { return []string{"8bit", "base64", "quoted-printable"} }

// A text as large as SES takes in, in every charset that mail programs write, and
// in every transfer encoding.
func BenchmarkCharsets(b *testing.B) {
	p := newParser(b)
	for _, l := range languages() {
		for _, charset := range l.charsets {
			for _, transfer := range transfers() {
				b.Run(fmt.Sprintf("%s/%s/%.9s", charset, transfer, l.text), func(b *testing.B) {
					benchmarkParse(b, p, []byte(textMail(b, charset, l.text, transfer, 40<<20)))
				})
			}
		}
	}
}

// benchmarkParse measures by processor time too.
func benchmarkParse(b *testing.B, p *Parser, raw []byte) {
	b.Helper()
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	runtime.GC()
	began := processorTime(b)
	for b.Loop() {
		p.Parse(Raw{Bytes: raw})
	}
	b.ReportMetric(float64((processorTime(b)-began).Milliseconds())/float64(b.N), "cpu-ms/op")
}
