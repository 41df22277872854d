package digest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"inreply/email"
	"inreply/processing/digest/chart"
	"inreply/processing/digest/delimited"
	"inreply/processing/digest/page"
	"inreply/processing/digest/report"
	"inreply/processing/digest/table"
	"inreply/processing/digest/xlsx"
)

// isAside reports whether a file is none that the sender meant to have read: a
// picture in a signature, a signature itself, a calling card, an invitation.
func isAside(a email.Attachment) bool {
	if a.Disposition == "inline" && (strings.HasPrefix(a.ContentType, "image/") || strings.HasPrefix(a.DetectedType, "image/")) {
		return true
	}
	switch a.ContentType {
	case "application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature", "application/pgp-keys", "text/calendar", "text/vcard", "text/x-vcard":
		return true
	}
	return a.Size == 0 && a.RawName == ""
}

// file reads one file, and says why it cannot.
func (r *reading) file(ctx context.Context, a email.Attachment) {
	r.report.Files = append(r.report.Files, report.File{Name: report.Shown(a.Name), Size: a.Size, Sheets: []report.Sheet{}})
	f := &r.report.Files[len(r.report.Files)-1]
	if err := r.read(ctx, a, f); err != nil {
		f.Problem = sentence(err)
	}
}

// sentence is an error as it stands in the reply, without octets of the sender's.
func sentence(err error) string {
	return report.Line(strings.TrimSuffix(err.Error(), ".")) + "."
}

// read reads a file by what it is; the name and the declared type count where the
// first octets leave it open.
func (r *reading) read(ctx context.Context, a email.Attachment, f *report.File) error {
	name := strings.ToLower(a.Name)
	extension := path.Ext(name)
	switch a.DetectedType {
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return r.workbook(ctx, a, f)
	case "application/zip":
		if isWorkbook(extension, a.ContentType) {
			return r.workbook(ctx, a, f)
		}
		return errors.New("it is a ZIP file: send the files in it as they are")
	case "application/x-ole-storage":
		return oleProblem(a)
	case "application/x-gzip", "application/gzip":
		if strings.HasSuffix(name, ".tar.gz") || extension == ".tgz" {
			return errors.New("it is a packed archive: send the files in it as they are")
		}
		return r.delimited(ctx, a, f, strings.HasSuffix(name, ".csv.gz") || strings.HasSuffix(name, ".tsv.gz"))
	case "text/html", "text/xml":
		if isDelimited(extension, a.ContentType) {
			return r.delimited(ctx, a, f, true) // a cell may begin with a tag
		}
		return errors.New("it is a web page or XML, whatever its name says: save it as .xlsx or .csv")
	case "", "text/plain":
		if isWorkbook(extension, a.ContentType) && a.DetectedType == "" && !startsAsText(a) {
			return errors.New("it is damaged: it does not begin as a workbook does")
		}
		return r.delimited(ctx, a, f, isDelimited(extension, a.ContentType))
	}
	if isDelimited(extension, a.ContentType) && strings.HasPrefix(a.DetectedType, "text/") {
		return r.delimited(ctx, a, f, true)
	}
	return fmt.Errorf("it is %s, and I read CSV, TSV and XLSX files", kindOf(a.DetectedType))
}

func isDelimited(extension, contentType string) bool {
	switch extension {
	case ".csv", ".tsv", ".tab", ".psv":
		return true
	}
	switch contentType {
	case "text/csv", "text/tab-separated-values", "application/csv", "text/x-csv", "application/x-csv", "text/comma-separated-values":
		return true
	}
	return false
}

func isWorkbook(extension, contentType string) bool {
	switch extension {
	case ".xlsx", ".xlsm", ".xltx", ".xltm", ".xlsb", ".xls":
		return true
	}
	return strings.HasPrefix(contentType, "application/vnd.openxmlformats-officedocument.spreadsheetml") || contentType == "application/vnd.ms-excel"
}

// startsAsText reports whether the first octets could be text.
func startsAsText(a email.Attachment) bool {
	in := a.Open()
	defer in.Close()
	top := make([]byte, 512)
	n, err := io.ReadFull(in, top)
	return n > 0 && (err == nil || errors.Is(err, io.ErrUnexpectedEOF)) && bytes.IndexByte(top[:n], 0) < 0
}

// kindOf names what a file is.
func kindOf(mediaType string) string {
	major, minor, _ := strings.Cut(mediaType, "/")
	switch {
	case major == "image":
		return "a picture"
	case major == "audio", major == "video":
		return "a recording"
	case minor == "pdf":
		return "a PDF document"
	case strings.Contains(minor, "wordprocessingml"), minor == "rtf", minor == "vnd.oasis.opendocument.text":
		return "a text document"
	case strings.Contains(minor, "presentationml"):
		return "a presentation"
	case minor == "vnd.oasis.opendocument.spreadsheet":
		return "a spreadsheet of LibreOffice (save it as .xlsx)"
	case strings.Contains(minor, "rar"), strings.Contains(minor, "zip"), strings.Contains(minor, "7z"):
		return "an archive"
	case strings.Contains(minor, "executable"):
		return "a program"
	}
	return "no table"
}

// oleProblem says what is wrong with a file in Microsoft's old container: a
// workbook with a password is one too. The names of its streams are in UTF-16.
func oleProblem(a email.Attachment) error {
	in := a.Open()
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, mostOle))
	if err != nil {
		return errors.New("it is damaged")
	}
	has := func(name string) bool {
		wide := make([]byte, 0, 2*len(name))
		for i := range len(name) {
			wide = append(wide, name[i], 0)
		}
		return bytes.Contains(content, wide)
	}
	switch {
	case has("EncryptedPackage"):
		return errors.New("it is protected by a password: save it without one")
	case has("Workbook"), has("Book"):
		return errors.New("it is a workbook in the format of Excel before 2007: save it as .xlsx")
	case has("WordDocument"):
		return errors.New("it is a text document, and I read CSV, TSV and XLSX files")
	}
	return errors.New("it is a document in an old format of Microsoft's: save it as .xlsx")
}

// mostOle is how much of such a file is looked at, in octets.
const mostOle = 48 << 20

// delimited reads text with delimiters. Unless it is known to be that, it must look
// like a table.
func (r *reading) delimited(ctx context.Context, a email.Attachment, f *report.File, known bool) error {
	file, err := delimited.Open(a.Open, int64(r.config.MaxUnpacked)<<20)
	switch {
	case errors.Is(err, delimited.ErrBinary) && !known:
		return errors.New("it is in no format that I know: I read CSV, TSV and XLSX files")
	case err != nil:
		return err
	case !known && !file.Tabular():
		return errors.New("it is text without a table: I read CSV, TSV and XLSX files")
	}
	f.Format, f.Charset, f.Delimiter = "csv", file.Charset, string(file.Delimiter)
	if file.Guessed {
		f.Notes = append(f.Notes, fmt.Sprintf("Its charset is stated nowhere; it was read as %s, which is the likeliest.", file.Charset))
	}
	t := table.New(table.Options{
		MaxRows: r.config.MaxRows, MaxColumns: r.config.MaxColumns,
		Comma: file.Delimiter == ';', DayFirst: file.Delimiter == ';',
	})
	faults, err := file.Rows(ctx, r.config.MaxColumns+1, t.Row)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s := t.Report()
	if err != nil {
		s.Problem = partly(s.Rows, err)
	}
	if faults.Unclosed > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("A quotation mark is opened in row %s and never closed: what follows it was read as one cell.", report.Figure(float64(faults.Unclosed))))
	}
	if faults.Cut > 0 {
		s.Notes = append(s.Notes, fmt.Sprintf("%s longer than 64 kB; only their beginning was read.", report.Plural(faults.Cut, "cell is", "cells are")))
	}
	r.add(ctx, f, s, t, func(ctx context.Context, most int, row func([][]byte, int) bool) error {
		_, err := file.Rows(ctx, most, row)
		return err
	})
	return nil
}

// partly says how far a table could be read.
func partly(rows int, err error) string {
	if rows == 0 {
		return sentence(err)
	}
	return fmt.Sprintf("Only the first %s could be read: %s", report.Count(rows, "row"), sentence(err))
}

// workbook reads the sheets of a workbook.
func (r *reading) workbook(ctx context.Context, a email.Attachment, f *report.File) error {
	in := a.Open()
	defer in.Close()
	content := bytes.NewBuffer(make([]byte, 0, a.Size+bytes.MinRead))
	if _, err := content.ReadFrom(in); err != nil {
		return errors.New("it is damaged")
	}
	book, err := xlsx.Open(content.Bytes(), int64(r.config.MaxUnpacked)<<20)
	if err != nil {
		return err
	}
	f.Format = "xlsx"
	for i := range book.Sheets {
		if r.sheets == r.config.MaxSheets {
			r.report.Unread += len(book.Sheets) - i
			break
		}
		r.sheet(ctx, f, book, i)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// sheet reads one sheet of a workbook.
func (r *reading) sheet(ctx context.Context, f *report.File, book *xlsx.Book, i int) {
	t := table.New(table.Options{MaxRows: r.config.MaxRows, MaxColumns: r.config.MaxColumns, Spread: true})
	seen, err := book.Rows(ctx, i, r.config.MaxColumns+1, t.Row)
	s := t.Report()
	s.Name = report.Shown(book.Sheets[i].Name)
	if err != nil {
		s.Problem = partly(s.Rows, err)
	}
	note := func(format string, args ...any) { s.Notes = append(s.Notes, fmt.Sprintf(format, args...)) }
	if book.Sheets[i].Hidden {
		note("The sheet is hidden.")
	}
	if seen.Formulas > 0 {
		note("%s not computed anew: shown is what was saved with them.", report.Plural(seen.Formulas, "formula was", "formulas were"))
	}
	if seen.Unsaved > 0 {
		note("Of these, %s saved without a value and count as missing.", report.Plural(seen.Unsaved, "was", "were"))
	}
	if seen.Errors > 0 {
		note("%s as missing: an error such as #DIV/0!", report.Plural(seen.Errors, "cell counts", "cells count"))
	}
	if seen.Beyond > 0 {
		note("%s left out, beyond the last column that a sheet can have.", report.Plural(seen.Beyond, "cell was", "cells were"))
	}
	r.add(ctx, f, s, t, func(ctx context.Context, most int, row func([][]byte, int) bool) error {
		_, err := book.Rows(ctx, i, most, row)
		return err
	})
}

// add takes a sheet into the report, and makes the chart of what deserves one: its
// rows are read once more for that.
func (r *reading) add(ctx context.Context, f *report.File, s report.Sheet, t *table.Table, rows chart.Rows) {
	r.sheets++
	f.Sheets = append(f.Sheets, s)
	plan := chart.For(s)
	if plan == nil || s.Problem != "" {
		return
	}
	if err := plan.Read(ctx, t, rows); err != nil {
		return // a reply without a picture is a reply
	}
	if r.charts == nil {
		r.charts = map[page.At]*chart.Plan{}
	}
	r.charts[page.At{File: len(r.report.Files) - 1, Sheet: len(f.Sheets) - 1}] = plan
}
