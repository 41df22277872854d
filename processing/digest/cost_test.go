package digest_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"inreply/email"
	"inreply/processing/digest"
)

// alone names the file with the mail that this process is to digest, and nothing
// else.
const alone = "INREPLY_DIGEST_ALONE"

// The largest mail that SES takes in holds 29 MB of files. Each of these is digested
// by a process of its own, which does nothing else: the time is that of digesting,
// with one core, and the memory is the most that the process ever had, mail and all.
//
//	go test -run '^$' -bench Largest ./processing/digest
func BenchmarkLargest(b *testing.B) {
	if file := os.Getenv(alone); file != "" {
		digestAlone(b, file)
		return
	}
	for _, c := range []struct {
		name, file string
		content    func() []byte
	}{
		{"orders", "a.csv", orders},
		{"digits", "a.csv", func() []byte { return bytes.Repeat([]byte("1,2,3,4,5,6,7,8\n"), size/16) }},
		{"wide", "a.csv", wideTable},
		{"distinct", "a.csv", distinctTexts},
		{"numbers", "a.csv", distinctNumbers},
		{"semicolons in Windows-1252", "a.csv", western},
		{"workbook of numbers", "a.xlsx", func() []byte { return workbookOf(b, numberCells) }},
		{"workbook of texts", "a.xlsx", func() []byte { return workbookOf(b, textCells) }},
		{"dense workbook", "a.xlsx", func() []byte { return workbookOf(b, digitCells) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			file := filepath.Join(b.TempDir(), "mail")
			if err := os.WriteFile(file, mail(c.file, c.content()), 0o600); err != nil {
				b.Fatal(err)
			}
			for range b.N {
				command := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkLargest$", "-test.benchtime=1x")
				command.Env = append(os.Environ(), alone+"="+file, "GOMAXPROCS=1")
				output, err := command.CombinedOutput()
				found := regexp.MustCompile(`digested in (\d+) ms of the processor and (\d+) ms, at most (\d+) kB`).FindSubmatch(output)
				if err != nil || found == nil {
					b.Fatalf("%v\n%s", err, output)
				}
				for i, unit := range []string{"cpu-ms", "ms", "peak-kB"} {
					n, err := strconv.ParseFloat(string(found[i+1]), 64)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(n, unit)
				}
			}
		})
	}
}

func digestAlone(b *testing.B, file string) {
	b.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		b.Fatal(err)
	}
	m, err := parser.Parse(email.Raw{Object: email.Object{Bucket: "b", Key: "k", ETag: "e"}, Bytes: raw})
	if err != nil {
		b.Fatal(err)
	}
	began, worked := time.Now(), processorTime(b)
	reply, err := digest.New(digest.Defaults()).Process(context.Background(), m)
	took, worked := time.Since(began), processorTime(b)-worked
	if err != nil || len(reply.HTML) == 0 {
		b.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	peak := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	fmt.Printf("digested in %d ms of the processor and %d ms, at most %s kB\n", worked.Milliseconds(), took.Milliseconds(), peak[1])
	if os.Getenv(alone+"_TEXT") != "" {
		fmt.Print(reply.Text)
	}
}

// processorTime is what this process has used.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// size is how large the files are, in octets.
const size = 29_000_000

func mail(name string, content []byte) []byte {
	var b bytes.Buffer
	b.Grow(3 * len(content) / 2)
	b.WriteString("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: Totals\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n" +
		"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for len(content) > 0 {
		n := min(57, len(content))
		b.WriteString(base64.StdEncoding.EncodeToString(content[:n]) + "\r\n")
		content = content[n:]
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

// filled is a table of the size, of rows that are made one by one.
func filled(heading string, row func(b *bytes.Buffer, i int, r *rand.Rand)) []byte {
	var b bytes.Buffer
	b.Grow(size + 1000)
	b.WriteString(heading)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; b.Len() < size; i++ {
		row(&b, i, r)
	}
	return b.Bytes()
}

func orders() []byte {
	return filled("id,day,customer,region,amount,note\n", func(b *bytes.Buffer, i int, r *rand.Rand) {
		fmt.Fprintf(b, "%d,2026-%02d-%02d,customer %d,%s,%d.%02d,%s\n", i, i%12+1, i%28+1, r.IntN(200_000),
			[]string{"North", "South", "East", "West"}[r.IntN(4)], r.IntN(100_000), r.IntN(100), []string{"", "", "ok", "late"}[r.IntN(4)])
	})
}

func western() []byte {
	return filled("Stra\xDFe;Betrag \x80;Tag\r\n", func(b *bytes.Buffer, i int, r *rand.Rand) {
		fmt.Fprintf(b, "Stra\xDFe %d;%d.%03d,%02d;%d.%d.2026\r\n", i%70_000, r.IntN(100), r.IntN(1000), r.IntN(100), i%28+1, i%12+1)
	})
}

// wideTable has as many columns as are told of, and nearly all values are distinct.
func wideTable() []byte {
	return filled("", func(b *bytes.Buffer, _ int, r *rand.Rand) {
		for range 200 {
			fmt.Fprintf(b, "%c%c%c,", 'a'+r.IntN(26), 'a'+r.IntN(26), 'a'+r.IntN(26))
		}
		b.WriteByte('\n')
	})
}

func distinctTexts() []byte {
	return filled("", func(b *bytes.Buffer, i int, _ *rand.Rand) { fmt.Fprintf(b, "x%d,y%d,z%d\n", i, i, i) })
}

func distinctNumbers() []byte {
	return filled("n\n", func(b *bytes.Buffer, _ int, r *rand.Rand) { fmt.Fprintf(b, "%d\n", r.IntN(1_000_000)) })
}

// workbookOf is a workbook of the size, with as much in its one sheet as is unpacked
// of any, or as it takes to fill the file. Where that packs well, a picture does.
func workbookOf(b *testing.B, row func(w *bytes.Buffer, i int, r *rand.Rand) (shared []byte)) []byte {
	b.Helper()
	var file, line bytes.Buffer
	z := zip.NewWriter(&file)
	entry := func(name string, method uint16) io.Writer {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			b.Fatal(err)
		}
		return w
	}
	write := func(w io.Writer, text string) int {
		n, err := io.WriteString(w, text)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	write(entry("xl/workbook.xml", zip.Deflate), `<workbook><sheets><sheet name="a" r:id="r1"/></sheets></workbook>`)
	write(entry("xl/_rels/workbook.xml.rels", zip.Deflate),
		`<Relationships><Relationship Id="r1" Type="x/worksheet" Target="worksheets/a.xml"/><Relationship Id="r2" Type="x/sharedStrings" Target="shared.xml"/></Relationships>`)
	sheet := entry("xl/worksheets/a.xml", zip.Deflate)
	var shared bytes.Buffer
	shared.WriteString("<sst>")
	unpacked := write(sheet, `<worksheet><sheetData>`)
	r := rand.New(rand.NewPCG(1, 2))
	for i := 0; unpacked+shared.Len() < 250<<20 && file.Len()+shared.Len()/4 < size; i++ {
		line.Reset()
		fmt.Fprintf(&line, `<row r="%d">`, i+1)
		shared.Write(row(&line, i, r))
		line.WriteString(`</row>`)
		unpacked += write(sheet, line.String())
	}
	write(sheet, `</sheetData></worksheet>`)
	write(entry("xl/shared.xml", zip.Deflate), shared.String()+"</sst>")
	picture := make([]byte, max(size-file.Len(), 0))
	for i := range picture {
		picture[i] = byte(r.Uint32())
	}
	write(entry("xl/media/image1.png", zip.Store), string(picture))
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}

// numberCells are those that Excel writes.
func numberCells(w *bytes.Buffer, i int, r *rand.Rand) []byte {
	for column := range 6 {
		fmt.Fprintf(w, `<c r="%c%d" s="1"><v>%d.%02d</v></c>`, 'A'+column, i+1, r.IntN(1_000_000), r.IntN(100))
	}
	return nil
}

// textCells are texts that the workbook keeps in a list of its own.
func textCells(w *bytes.Buffer, i int, r *rand.Rand) []byte {
	fmt.Fprintf(w, `<c r="A%d" t="s"><v>%d</v></c><c r="B%d"><v>%d</v></c>`, i+1, i, i+1, r.IntN(1000))
	return fmt.Appendf(nil, `<si><t>customer %x</t></si>`, r.Uint64())
}

// digitCells are as many as possible.
func digitCells(w *bytes.Buffer, i int, _ *rand.Rand) []byte {
	for column := range 8 {
		fmt.Fprintf(w, `<c><v>%d</v></c>`, (i+column)%10)
	}
	return nil
}
