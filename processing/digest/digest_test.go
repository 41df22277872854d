package digest_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode/utf16"

	"inreply/email"
	"inreply/processing/digest"
)

// file is an attachment.
type file struct{ name, kind, content string }

func message(tb testing.TB, files ...file) *email.Message {
	tb.Helper()
	var b strings.Builder
	b.WriteString("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: Totals\r\nMessage-ID: <1@example.com>\r\n" +
		"Date: Thu, 01 Oct 2026 09:12:44 +0200\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n")
	for _, f := range files {
		fmt.Fprintf(&b, "\r\n--b\r\nContent-Type: %s\r\nContent-Disposition: attachment; filename=\"%s\"\r\nContent-Transfer-Encoding: base64\r\n\r\n", f.kind, f.name)
		encoded := base64.StdEncoding.EncodeToString([]byte(f.content))
		for len(encoded) > 76 {
			b.WriteString(encoded[:76] + "\r\n")
			encoded = encoded[76:]
		}
		b.WriteString(encoded)
	}
	b.WriteString("\r\n--b--\r\n")
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := parser.Parse(email.Raw{Object: email.Object{Bucket: "b", Key: "k", ETag: "e"}, Bytes: []byte(b.String())})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func process(tb testing.TB, config digest.Config, files ...file) *email.Reply {
	tb.Helper()
	r, err := digest.New(config).Process(tb.Context(), message(tb, files...))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func csv(content string) file { return file{"a.csv", "text/csv", content} }

func wide(order binary.AppendByteOrder, mark bool) string {
	const s = "Straße;Betrag €\r\nHaupt;12,5\r\nNeben;7,5\r\n"
	var b []byte
	if mark {
		b = order.AppendUint16(b, 0xFEFF)
	}
	for _, unit := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// Whatever a program exported: its charset, its delimiter, its ends of lines.
func TestWhatProgramsExport(t *testing.T) {
	const want = "  Straße (text)\n    distinct  2\n\n  Betrag € (number)\n    total     20\n"
	for name, content := range map[string]string{
		"UTF-8":                "Straße;Betrag €\nHaupt;12,5\nNeben;7,5\n",
		"UTF-8 with BOM":       "\xEF\xBB\xBFStraße;Betrag €\r\nHaupt;12,5\r\nNeben;7,5\r\n",
		"Windows-1252":         "Stra\xDFe;Betrag \x80\r\nHaupt;12,5\r\nNeben;7,5\r\n",
		"UTF-16 little":        wide(binary.LittleEndian, true),
		"UTF-16 big":           wide(binary.BigEndian, true),
		"UTF-16 without BOM":   wide(binary.LittleEndian, false),
		"UTF-16 BE, no BOM":    wide(binary.BigEndian, false),
		"tabs":                 "Straße\tBetrag €\nHaupt\t12,5\nNeben\t7,5\n",
		"bars":                 "Straße|Betrag €\nHaupt|12,5\nNeben|7,5\n",
		"commas and quotes":    "Straße,Betrag €\n\"Haupt\",\"12.5\"\n\"Neben\",\"7.5\"\n",
		"no last end of line":  "Straße;Betrag €\nHaupt;12,5\nNeben;7,5",
		"spaces round cells":   "Straße ; Betrag € \n Haupt ; 12,5 \n Neben ; 7,5 \n",
		"currency and percent": "Straße;Betrag €\nHaupt;12,50 €\nNeben;7,5 %\n",
	} {
		t.Run(name, func(t *testing.T) {
			if r := process(t, digest.Defaults(), csv(content)); !strings.Contains(r.Text, want) {
				t.Errorf("%s\nwant\n%s", r.Text, want)
			}
		})
	}
}

func TestWhatIsSaid(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"numbers", "n\n1\n2\n3\n4\n\"1,000\"\n", "    total     1,010\n    mean      202\n    range     1 to 1,000\n    quartiles 2, 3, 4\n    distinct  5\n"},
		{"negative numbers", "n\n(5)\n-7\n", "total     -12\n"},
		{"small numbers", "n\n0.001\n0.002\n", "mean      0.0015\n"},
		{"large numbers", "n\n1e20\n1e20\n", "total     2e+20\n"},
		{"thousands as in Switzerland", "n\n1'234\n1'000\n", "total     2,234\n"},
		{"thousands as in Germany", "n;m\n1.234,50;a\n1.000,00;a\n", "total     2,234.5\n"},
		{"infinities are text", "n\n1e999\nInf\n", "n (text)"},
		{"codes are text", "zip\n01234\n04321\n", "zip (text)"},
		{"dates", "d\n2026-10-01\n2026-07-15\n", "d (date)\n    span      2026-07-15 to 2026-10-01\n"},
		{"dates in Germany", "d\n1.10.2026\n15.7.2026\n", "span      2026-07-15 to 2026-10-01\n"},
		{"mixed", "x\n1\n2026-07-15\na\n", "x (text)"},
		{"missing", "x\n1\n\"\"\nn/a\n-\n", "missing   3\n"},
		{"nothing in a column", "x,y\n1,\n2,\n", "y (empty)\n    missing   2\n"},
		{"most frequent", "x\na\nb\nb\na\nb\nc\n", "most      b (3), a (2)\n"},
		{"ragged", "a,b\n1\n1,2,3\n1,2\n", "a.csv: 3 rows, 2 columns; 2 rows had another number of cells than the heading\n"},
		{"one row", "a\n1\n", "a.csv: 1 row, 1 column\n"},
		{"a heading alone", "a,b\n", "a.csv: 0 rows, 2 columns\n\n  a (empty)\n"},
		{"a heading without names", ",\n1,2\n", "  column 1 (number)"},
		{"an empty file", "", "a.csv could not be read: the file is empty\n"},
		{"white space", "\xEF\xBB\xBF\r\n \r\n", "a.csv could not be read: the file is empty\n"},
		{"control characters", "a\x00b\na\x1b[31m\nx\x00y\x00z\n", "  a\uFFFDb (text)"},
		{"lone quotes", "a,b\n5\" disk,1\n3\" disk,2\n", "total     3\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := process(t, digest.Defaults(), csv(c.content))
			if !strings.Contains(r.Text, c.want) {
				t.Errorf("%s\nwant\n%s", r.Text, c.want)
			}
			if strings.ContainsAny(r.Text+r.HTML, "\x00\x1b") {
				t.Error("control characters come back")
			}
		})
	}
}

func TestWhatTheSenderWroteIsNoHTML(t *testing.T) {
	r := process(t, digest.Defaults(), csv("<script>alert(1)</script>,b\n<b>x</b>,\n<b>x</b>,\n"))
	if strings.Contains(r.HTML, "<script>") || strings.Contains(r.HTML, "<b>x</b>") || !strings.Contains(r.HTML, "&lt;script&gt;") {
		t.Errorf("%s", r.HTML)
	}
}

func TestWhatIsNoTable(t *testing.T) {
	for _, files := range [][]file{nil, {{"a.pdf", "application/pdf", "%PDF-1.7"}}} {
		r := process(t, digest.Defaults(), files...)
		const want = "I found no table in your mail. Attach a .csv or .tsv file"
		if !strings.HasPrefix(r.Text, want) || !strings.Contains(r.HTML, want) {
			t.Errorf("%s", r.Text)
		}
	}
}

func TestOnlySoMuchIsRead(t *testing.T) {
	r := process(t, digest.Config{MaxRows: 2, MaxColumns: 1}, csv("a,b,c\n1,2,3\n4,5,6\n7,8,9\n"))
	if !strings.Contains(r.Text, "a.csv: 2 rows, 3 columns (only the first 2 rows were read) (only the first 1 columns are shown)") ||
		strings.Contains(r.Text, "  b (") || !strings.Contains(r.Text, "total     5\n") {
		t.Errorf("%s", r.Text)
	}
	var many []file
	for i := range 13 {
		many = append(many, file{fmt.Sprintf("%d.csv", i), "text/csv", "a\n1\n"})
	}
	r = process(t, digest.Defaults(), many...)
	if !strings.Contains(r.Text, "9.csv: 1 row") || strings.Contains(r.Text, "10.csv: ") || !strings.Contains(r.Text, "3 tables more I did not read: a mail may have 10.") {
		t.Errorf("%s", r.Text)
	}
	r = process(t, digest.Defaults(), csv(strings.Repeat("n", 5000)+"\n"+strings.Repeat("x", 100_000)+"\n"+strings.Repeat("x", 100_000)+"\n"))
	if len(r.Text) > 500 {
		t.Errorf("%d octets are said of one cell", len(r.Text))
	}
}

func TestQuartilesOfMoreNumbersThanAreKept(t *testing.T) {
	var b strings.Builder
	b.WriteString(strings.Repeat("n,", 999) + "n\n") // a thousand columns keep a thousand numbers each
	c := digest.Defaults()
	c.MaxColumns = 1100
	for i := range 3000 {
		fmt.Fprintf(&b, "%d\n", i)
	}
	r := process(t, c, csv(b.String()))
	if !strings.Contains(r.Text, "total     4,498,500\n    mean      1,499.5\n    range     0 to 2,999\n    quartiles about 74") {
		t.Errorf("%.600s", r.Text)
	}
}

func TestAnInterruptedDigestIsAnError(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	cancel(stopped)
	_, err := digest.New(digest.Defaults()).Process(ctx, message(t, csv("a\n1\n")))
	if !errors.Is(err, stopped) {
		t.Errorf("%v", err)
	}
}

// A large table costs no more memory than a small one: it is never held as a
// whole.
func TestATableIsNotHeld(t *testing.T) {
	var b strings.Builder
	b.WriteString("id,note\n")
	note := strings.Repeat("a long note ", 100)
	for i := range 15_000 {
		fmt.Fprintf(&b, "%d,%d %s\n", i, i, note)
	}
	m := message(t, csv(b.String()))
	size := uint64(b.Len())
	b.Reset()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r, err := digest.New(digest.Defaults()).Process(t.Context(), m)
	if err != nil || !strings.Contains(r.Text, "15,000 rows") {
		t.Fatalf("%v, %.100s", err, r.Text)
	}
	runtime.ReadMemStats(&after)
	if grown := after.HeapSys - min(before.HeapSys, after.HeapSys); grown > size {
		t.Errorf("%d MB for a table of %d MB", grown>>20, size>>20)
	}
}

func BenchmarkProcess(b *testing.B) {
	var t strings.Builder
	t.WriteString("id,name,amount,day\n")
	for i := range 100_000 {
		fmt.Fprintf(&t, "%d,name of %d,%d.50,2026-%02d-%02d\n", i, i, i%1000, i%12+1, i%28+1)
	}
	m := message(b, csv(t.String()))
	d := digest.New(digest.Defaults())
	b.SetBytes(int64(t.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Process(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
