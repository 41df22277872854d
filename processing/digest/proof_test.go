package digest_test

import (
	"bytes"
	encoding "encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"inreply/email"
	"inreply/processing/digest"
	"inreply/processing/digest/report"
)

func sample(tb testing.TB, name string) *email.Message {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "samples", name))
	if err != nil {
		tb.Fatal(err)
	}
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		tb.Fatal(err)
	}
	m, err := parser.Parse(email.Raw{Object: email.Object{Bucket: "b", Key: "k", ETag: "e"}, Bytes: raw})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// The replies to the shipped samples, as everybody may read them: text, HTML and
// JSON. UPDATE=1 writes them anew.
func TestSamplesAreAsTheyWere(t *testing.T) {
	for _, name := range []string{"sales-2026q3", "orders", "mixed"} {
		t.Run(name, func(t *testing.T) {
			m := sample(t, name+".eml")
			r, err := digest.New(digest.Defaults()).Process(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			again, err := digest.New(digest.Defaults()).Process(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			for i, a := range r.Attachments {
				if !bytes.Equal(a.Content, again.Attachments[i].Content) {
					t.Errorf("%s is not the same the second time", a.Name)
				}
			}
			checkJSON(t, schema(t), attached(t, r))
			for extension, got := range map[string]string{".txt": r.Text, ".html": r.HTML, ".json": string(attached(t, r))} {
				golden(t, filepath.Join("testdata", name+extension), got)
			}
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what goes out now:\n%s", file, got)
	}
}

// figuresOf is the digest of one file as its JSON has it.
func figuresOf(tb testing.TB, f file) report.Report {
	tb.Helper()
	var r report.Report
	if err := json.Unmarshal(attached(tb, process(tb, digest.Defaults(), f)), &r); err != nil {
		tb.Fatal(err)
	}
	return r
}

// What is said of numbers is what a second, plain computation finds, whether they
// come as CSV or as XLSX.
func TestFiguresAgainstAPlainComputation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cents := rapid.SliceOfN(rapid.IntRange(-1_000_000, 1_000_000), 2, 200).Draw(rt, "cents")
		var text strings.Builder
		w := encoding.NewWriter(&text)
		rows := cells{{"label", "amount"}}
		check := func(err error) {
			if err != nil {
				rt.Fatal(err)
			}
		}
		check(w.Write([]string{"label", "amount"}))
		sum := 0
		seen := map[int]bool{}
		for _, n := range cents {
			amount := strconv.FormatFloat(float64(n)/100, 'f', 2, 64)
			check(w.Write([]string{"x", amount}))
			rows = append(rows, []any{"x", float64(n) / 100})
			sum += n
			seen[n] = true
		}
		w.Flush()
		slices.Sort(cents)
		quartile := func(q float64) float64 {
			at := q * float64(len(cents)-1)
			below := int(at)
			above := min(below+1, len(cents)-1)
			a, b := float64(cents[below])/100, float64(cents[above])/100
			return a + (b-a)*(at-float64(below))
		}
		for _, f := range []file{csv(text.String()), {"a.xlsx", "application/zip", workbook(t, rows)}} {
			s := figuresOf(t, f).Files[0].Sheets[0]
			c := s.Columns[1]
			n := c.Numbers
			total, err := strconv.ParseFloat(string(n.Total), 64)
			check(err)
			if s.Rows != len(cents) || c.Values != len(cents) || c.Distinct != len(seen) ||
				total != float64(sum)/100 || n.Min != float64(cents[0])/100 || n.Max != float64(cents[len(cents)-1])/100 {
				rt.Fatalf("%s: %+v %+v of %v", f.name, c, *n, cents)
			}
			for q, got := range map[float64]float64{0.25: n.Lower, 0.5: n.Median, 0.75: n.Upper, -1: n.Mean} {
				want := float64(sum) / 100 / float64(len(cents))
				if q > 0 {
					want = quartile(q)
				}
				if d := got - want; d > 1e-9 || d < -1e-9 {
					rt.Fatalf("%s: %v is %v, want %v of %v", f.name, q, got, want, cents)
				}
			}
		}
	})
}

// Whatever a file holds, it gets an answer that holds the promises: valid JSON, HTML
// that Gmail does not cut off, nothing of the sender's that is not escaped.
func FuzzDigest(f *testing.F) {
	f.Add("a.csv", "a,b\n1,2\n")
	f.Add("a.csv", "\xFF\xFEa\x00;\x00b\x00\n\x00")
	f.Add("a.tsv", "a\tb\n\"1\t<script>\n")
	f.Add("a.csv.gz", gzipped(f, "a,b\n1,2\n"))
	f.Add("a.xlsx", workbook(f, cells{{"a", "<b>"}, {1, "x"}}))
	f.Add("a.xls", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	s := schema(f)
	f.Fuzz(func(t *testing.T, name, content string) {
		if strings.ContainsAny(name, "\"\r\n\\") {
			return
		}
		r := process(t, digest.Defaults(), file{name, "application/octet-stream", content})
		if len(r.HTML) > 102_400 || strings.Contains(r.HTML, "<script") || strings.ContainsAny(r.Text+r.HTML, "\x00\x1b\u202e") {
			t.Errorf("%d octets:\n%s", len(r.HTML), r.HTML)
		}
		if len(r.Attachments) > 0 {
			checkJSON(t, s, attached(t, r))
		}
	})
}

// Workbooks that unpack to more than they may get a sentence, and cost little.
func TestBombs(t *testing.T) {
	sheet := func(content string) map[string]string {
		return map[string]string{
			"xl/workbook.xml":            `<workbook><sheets><sheet name="a" r:id="r1"/></sheets></workbook>`,
			"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/a.xml"/><Relationship Id="r2" Type="x/sharedStrings" Target="shared.xml"/></Relationships>`,
			"xl/worksheets/a.xml":        content,
		}
	}
	shared := sheet("<worksheet/>")
	shared["xl/shared.xml"] = "<sst>" + strings.Repeat("<si><t>"+strings.Repeat("x", 1000)+"</t></si>", 60_000) + "</sst>"
	many := map[string]string{}
	for i := range 20_001 {
		many[fmt.Sprintf("xl/worksheets/sheet%d.xml", i)] = ""
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"rows":          {sheet("<worksheet><sheetData>" + strings.Repeat("<row><c><v>1</v></c></row>", 2_000_000)), "unpacked, it is larger than may be read."},
		"shared texts":  {shared, "than may be read."},
		"sheets":        {many, "its ZIP file has too many entries."},
		"nested XML":    {sheet(strings.Repeat("<a>", 100_000)), "its XML is nested too deeply."},
		"a long tag":    {sheet("<a " + strings.Repeat("x", 1_000_000)), "its XML has a tag that is too long."},
		"document type": {sheet(`<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>`), "its XML has a document type"},
		"broken XML":    {sheet("<worksheet><sheetData><row>"), "its XML is broken."},
		"a far column":  {sheet(`<worksheet><sheetData><row><c r="A1"><v>1</v></c><c r="ZZZZZ1"><v>1</v></c></row></sheetData></worksheet>`), "1 cell was left out, beyond the last column that a sheet can have."},
		"no sheets":     {map[string]string{"xl/workbook.xml": "<workbook/>"}, "it has no sheets."},
	} {
		t.Run(name, func(t *testing.T) {
			r := process(t, digest.Defaults(), file{"a.xlsx", "application/vnd.ms-excel", zipped(t, c.files)})
			if !strings.Contains(inOneLine(r.Text), c.want) {
				t.Errorf("%s\nwant %s", r.Text, c.want)
			}
		})
	}
}
