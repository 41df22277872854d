package digest_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
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
	const want = "  Straße (text)\n    distinct  2\n\n  Betrag € (number)\n    total     20"
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
		{"numbers", "n\n1\n2\n3\n4\n\"1,000\"\n", "    total     1,010\n    mean      202\n    median    3\n    range     1 to 1,000\n    quartiles 2 and 4\n    distinct  5\n"},
		{"negative numbers", "n\n(5)\n-7\n3-\n", "total     -15\n"},
		{"small numbers", "n\n0.001\n0.002\n", "mean      0.0015\n"},
		{"large numbers", "n\n1e20\n1e20\n", "total     about 2e+20\n"},
		{"thousands as in Switzerland", "n\n1'234\n1'000\n", "total     2,234\n"},
		{"thousands as in Germany", "n;m\n1.234,50;a\n1.000,00;a\n", "total     2,234.50\n"},
		{"thousands as in India", "n;m\n12,34,567.25;a\n1,000.25;a\n", "total     1,235,567.50\n"},
		{"the column decides what a comma is", "n;m\n1,234;a\n1,5;a\n", "total     2.73\n"},
		{"the column decides what a point is", "n\tm\n1.234\ta\n1.5\ta\n", "total     2.73\n"},
		{"no telling what a point is", "n\tm\n1.234\ta\n2.345\ta\n", "Whether the comma or the point marks decimals cannot be told from the values:\n    read with a decimal point.\n"},
		{"another column tells what a point is", "n\tm\n1.234\t1,5\n2.345\t2,5\n", "total     3,579\n"},
		{"a sum loses nothing", "n\n0.1\n0.2\n1000000000000\n-1000000000000\n", "total     0.3\n"},
		{"currency", "n\n€ 12.50\n€ 7.50\n", "n (number, €)\n    total     20\n"},
		{"several currencies", "n\n€ 12.50\n$ 7.50\n", "The numbers have several units (€, $), and are added up as if they had none."},
		{"percent", "n\n12 %\n8 %\n", "n (number, %)\n    mean      10\n"},
		{"numbering", "id,x\n1,a\n2,b\n3,c\n", "id (number)\n    range     1 to 3\n    distinct  3\n"},
		{"infinities are text", "n\n1e999\nInf\n", "n (text)"},
		{"codes are text", "zip\n01234\n43210\n", "zip (text)\n    distinct  2\n    Some have leading zeros or more than 15 digits, so these are codes and no\n    numbers.\n"},
		{"dates", "d\n2026-10-01\n2026-07-15\n", "d (date)\n    span      2026-07-15 to 2026-10-01 (79 days)\n"},
		{"dates in Germany", "d\n1.10.2026\n15.7.2026\n", "span      2026-07-15 to 2026-10-01 (79 days)\n"},
		{"days before months", "d\n13/4/2026\n3/5/2026\n", "span      2026-04-13 to 2026-05-03 (21 days)\n"},
		{"months before days", "d\n4/13/2026\n5/3/2026\n", "span      2026-04-13 to 2026-05-03 (21 days)\n"},
		{"no telling days from months", "d\n3/4/2026\n5/6/2026\n", "span      2026-03-04 to 2026-05-06 (64 days)\n    distinct  2\n    Whether the day or the month comes first cannot be told from the values:\n    read with the month first.\n"},
		{"dates in words", "d;x\n3. März 2026;a\nMar 5, 2026;b\n6-avr-26;c\n", "span      2026-03-03 to 2026-04-06 (35 days)\n"},
		{"dates with times", "d\n2026-07-15 10:00\n2026-07-15T22:30:00Z\n", "span      2026-07-15T10:00:00 to 2026-07-15T22:30:00 (1 day)\n"},
		{"yes and no", "x\nyes\nNo\nyes\n", "x (boolean)\n    distinct  2\n    most      yes (2)\n"},
		{"mixed", "x\n1\n2026-07-15\na\n", "x (text)"},
		{"one that is none", "x\n" + strings.Repeat("1\n2\n", 10) + "soon\n", "x (number)\n    total     30\n"},
		{"and what it is", "x\n" + strings.Repeat("1\n2\n", 10) + "soon\n", "    1 value is no number: soon\n"},
		{"missing", "x\n1\n\"\"\nn/a\n-\n", "missing   3\n"},
		{"nothing in a column", "x,y\n1,\n2,\n", "y (empty)\n    missing   2\n"},
		{"most frequent", "x\na\nb\nb\na\nb\nc\n", "most      b (3), a (2)\n"},
		{"ragged", "a,b\n1\n1,2,3\n1,2\n", "  1 row has more cells than there are columns; what is beyond was left out.\n  1 row has fewer cells than there are columns; the rest counts as missing.\n"},
		{"one row", "a\nx\n", "a.csv: 1 row, 1 column\n"},
		{"a heading alone", "a,b\n", "a.csv: 0 rows, 2 columns\n\n  a (empty)\n"},
		{"a heading without names", ",\n1,2\n", "  column 1 (number)"},
		{"names that occur twice", "a,a\n1,2\n", "  a (2) (number)"},
		{"no heading", "1,2026-01-01,x\n2,2026-01-02,y\n", "a.csv: 2 rows, 3 columns\n  The first row holds values and no names, so the columns are numbered.\n"},
		{"a heading of years", "region,2024,2025\nx,1,2\ny,3,4\n", "  2024 (number)\n    total     4\n"},
		{"a title above", "Sales of 2026\n\na,b,c\n1,2,3\n4,5,6\n", "a.csv: 2 rows, 3 columns\n  1 row above the heading was passed over.\n"},
		{"a total below", "a,b\nx,1\ny,2\nTotal,3\n", "The last row looks like a total (\"Total\"). It is counted as any other row."},
		{"empty rows", "a,b\n1,2\n,\n,\n3,4\n,\n", "a.csv: 2 rows, 2 columns\n  2 empty rows among the others were passed over.\n"},
		{"what Excel says of its delimiter", "sep=|\na|b\n1|2\n", "a.csv: 1 row, 2 columns\n"},
		{"the ends of lines of old", "a,b\r1,2\r3,4\r", "a.csv: 2 rows, 2 columns\n"},
		{"an empty file", "", "a.csv could not be read: it is empty.\n"},
		{"white space", "\xEF\xBB\xBF\r\n \r\n", "a.csv could not be read: it is empty.\n"},
		{"no text", strings.Repeat("\x00\x01\x02\x03a", 100), "a.csv could not be read: it holds no text.\n"},
		{"control characters", "a\x00b and a long name without any\na\x1b[31m\nx and some more and more and more text without\n", "  a\uFFFDb and a long"},
		{"text that turns around", "a\u202Eb\nx\n", "  ab (text)"},
		{"lone quotes", "a,b\n5\" disk,1\n3\" disk,2\n", "total     3\n"},
		{"a quote that stays open", "a,b\n\"x,1\ny,2\n", "A quotation mark is opened in row 2 and never closed: what follows it was read\n  as one cell.\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := process(t, digest.Defaults(), csv(c.content))
			if !strings.Contains(inOneLine(r.Text), inOneLine(c.want)) {
				t.Errorf("%s\nwant\n%s", r.Text, c.want)
			}
			if strings.ContainsAny(r.Text+r.HTML, "\x00\x1b") {
				t.Error("control characters come back")
			}
		})
	}
}

// inOneLine is text without its line breaks, wherever they fell.
func inOneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestWhatTheSenderWroteIsNoHTML(t *testing.T) {
	r := process(t, digest.Defaults(), csv("<script>alert(1)</script>,b\n<b>x</b>,\n<b>x</b>,\n"))
	if strings.Contains(r.HTML, "<script>") || strings.Contains(r.HTML, "<b>x</b>") || !strings.Contains(r.HTML, "&lt;script&gt;") {
		t.Errorf("%s", r.HTML)
	}
}

func TestWhatIsNoTable(t *testing.T) {
	r := process(t, digest.Defaults())
	const want = "I found no table in your mail. Attach a CSV, TSV or Excel (.xlsx) file"
	if !strings.HasPrefix(r.Text, want) || !strings.Contains(r.HTML, want) || len(r.Attachments) > 0 {
		t.Errorf("%s", r.Text)
	}
}

// What cannot be read is named, and why, beside what could.
func TestWhatCannotBeRead(t *testing.T) {
	const ole = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
	wide := func(s string) string {
		var b strings.Builder
		for _, c := range s {
			b.WriteRune(c)
			b.WriteByte(0)
		}
		return b.String()
	}
	for _, c := range []struct {
		file
		want string
	}{
		{file{"a.pdf", "application/pdf", "%PDF-1.7"}, "a.pdf could not be read: it is a PDF document, and I read CSV, TSV and XLSX\nfiles.\n"},
		{file{"a.png", "image/png", "\x89PNG\x0d\x0a\x1a\x0a"}, "it is a picture"},
		{file{"a.xlsx", "application/octet-stream", ole + wide("EncryptedPackage")}, "a.xlsx could not be read: it is protected by a password: save it without one.\n"},
		{file{"a.xls", "application/vnd.ms-excel", ole + wide("Workbook")}, "it is a workbook in the format of Excel before 2007: save it\nas .xlsx."},
		{file{"a.xls", "application/vnd.ms-excel", "<html><table><tr><td>1"}, "it is a web page or XML, whatever its name says"},
		{file{"a.zip", "application/zip", zipped(t, map[string]string{"a.csv": "a\n1\n"})}, "it is a ZIP file: send the files in it as they are."},
		{file{"a.xlsx", "application/zip", zipped(t, map[string]string{"a.csv": "a\n1\n"})}, "it is a ZIP file, but no Excel workbook."},
		{file{"a.xlsx", "application/zip", "PK\x03\x04" + strings.Repeat("x", 5000)}, "its ZIP file is broken"},
		{file{"a.xlsx", "application/octet-stream", "\x00\x01\x02"}, "it is damaged: it does not begin as a workbook does."},
		{file{"a.bin", "application/octet-stream", strings.Repeat("\x00\x01\x02\x03\xff", 50)}, "it is in no format that I know"},
		{file{"a.txt", "text/plain; name=a.txt", "Dear all,\nthis is a letter,\nand no table\nat all.\n"}, "it is text without a table"},
		{file{"a.csv.gz", "application/gzip", "\x1f\x8b\x08\x00garbage"}, "it cannot be unpacked"},
	} {
		t.Run(c.name+" "+c.want, func(t *testing.T) {
			r := process(t, digest.Defaults(), c.file, file{"good.csv", "text/csv", "a,b\n1,2\n"})
			if !strings.Contains(inOneLine(r.Text), inOneLine(c.want)) || !strings.Contains(r.Text, "good.csv: 1 row, 2 columns") || !strings.Contains(r.HTML, "This file could not be read: it ") &&
				!strings.Contains(r.HTML, "This file could not be read: its ") {
				t.Errorf("%s\nwant\n%s", r.Text, c.want)
			}
		})
	}
}

// What is a table is read, whatever its name and its declared type say.
func TestWhatItIsCounts(t *testing.T) {
	book := workbook(t, cells{{"a", "b"}, {1, 2}})
	for _, f := range []file{
		{"a.dat", "application/octet-stream", "a,b\n1,2\n3,4\n"},
		{"a.txt", "text/plain", "a\tb\n1\t2\n3\t4\n"},
		{"a.xls", "application/vnd.ms-excel", "a\tb\n1\t2\n3\t4\n"},
		{"a.xlsx", "text/csv", "a;b\n1;2\n3;4\n"},
		{"a.csv", "text/csv", book},
		{"a.xlsx", "application/octet-stream", book},
		{"a.bin", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", book},
		{"a.csv.gz", "application/gzip", gzipped(t, "a,b\n1,2\n3,4\n")},
		{"a.gz", "application/octet-stream", gzipped(t, "a,b\n1,2\n3,4\n")},
	} {
		t.Run(f.name+" "+f.kind, func(t *testing.T) {
			if r := process(t, digest.Defaults(), f); !strings.Contains(r.Text, " rows, 2 columns\n") && !strings.Contains(r.Text, " 1 row, 2 columns\n") {
				t.Errorf("%s", r.Text)
			}
		})
	}
}

// What was not meant to be read is not spoken of.
func TestPicturesInSignaturesAreNotNamed(t *testing.T) {
	m := message(t, file{"logo.png", "image/png", "\x89PNG\x0d\x0a\x1a\x0a"})
	m.Attachments[0].Disposition = "inline"
	r, err := digest.New(digest.Defaults()).Process(t.Context(), m)
	if err != nil || strings.Contains(r.Text, "logo") {
		t.Errorf("%v, %s", err, r.Text)
	}
}

func TestOnlySoMuchIsRead(t *testing.T) {
	c := digest.Defaults()
	c.MaxRows, c.MaxColumns = 2, 1
	r := process(t, c, csv("a,b,c\n1,2,3\n4,5,6\n7,8,9\n"))
	if !strings.Contains(r.Text, "a.csv: 2 rows, 3 columns\n  Only the first 2 rows were read.\n  Only the first 1 column is told of.\n") ||
		strings.Contains(r.Text, "  b (") || !strings.Contains(r.Text, "total     5\n") {
		t.Errorf("%s", r.Text)
	}
	var many []file
	for i := range 13 {
		many = append(many, file{fmt.Sprintf("%d.csv", i), "text/csv", "a\n1\n"})
	}
	r = process(t, digest.Defaults(), many...)
	if !strings.Contains(r.Text, "9.csv: 1 row") || strings.Contains(r.Text, "10.csv: ") || !strings.Contains(r.Text, "3 sheets or files more I did not look at") {
		t.Errorf("%s", r.Text)
	}
	r = process(t, digest.Defaults(), csv(strings.Repeat("n", 5000)+"\n"+strings.Repeat("x", 100_000)+"\n"+strings.Repeat("x", 100_000)+"\n"))
	if len(r.Text) > 700 {
		t.Errorf("%d octets are said of one cell", len(r.Text))
	}
	r = process(t, digest.Defaults(), csv(strings.Repeat("n,", 1_000_000)+"n\n"+strings.Repeat("1,", 1_000_000)+"1\n"))
	if !strings.Contains(r.Text, "a.csv: 1 row, 1,000,001 columns\n  Only the first 200 columns are told of.\n") || len(r.HTML) > 102_400 {
		t.Errorf("%.500s, %d octets of HTML", r.Text, len(r.HTML))
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

func zipped(tb testing.TB, files map[string]string) string {
	tb.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

func gzipped(tb testing.TB, text string) string {
	tb.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

// cells are the rows of a sheet: text and numbers.
type cells [][]any

// workbook is a small one, as programs write it that do not care for looks.
func workbook(tb testing.TB, sheets ...cells) string {
	tb.Helper()
	files := map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels":         `<Relationships><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
	}
	var list, relations strings.Builder
	for i, sheet := range sheets {
		fmt.Fprintf(&list, `<sheet name="Sheet %d" sheetId="%d" r:id="r%d"/>`, i+1, i+1, i+1)
		fmt.Fprintf(&relations, `<Relationship Id="r%d" Type="x/worksheet" Target="worksheets/s%d.xml"/>`, i+1, i+1)
		var rows strings.Builder
		for _, row := range sheet {
			rows.WriteString("<row>")
			for _, cell := range row {
				if text, ok := cell.(string); ok {
					fmt.Fprintf(&rows, `<c t="inlineStr"><is><t>%s</t></is></c>`, text)
				} else {
					fmt.Fprintf(&rows, `<c><v>%v</v></c>`, cell)
				}
			}
			rows.WriteString("</row>")
		}
		files[fmt.Sprintf("xl/worksheets/s%d.xml", i+1)] = "<worksheet><sheetData>" + rows.String() + "</sheetData></worksheet>"
	}
	files["xl/workbook.xml"] = "<workbook><sheets>" + list.String() + "</sheets></workbook>"
	files["xl/_rels/workbook.xml.rels"] = "<Relationships>" + relations.String() + "</Relationships>"
	return zipped(tb, files)
}
