package page

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"inreply/processing/digest/report"
)

// nothing is the answer to a mail without a file.
const nothing = "I found no table in your mail. Attach a CSV, TSV or Excel (.xlsx) file and I will tell you what is in it."

// named is one thing that is told, with its name.
type named struct{ Name, Value string }

// title is what a report begins with.
func title(r report.Report) string {
	tables, problems := 0, 0
	for _, f := range r.Files {
		tables += len(f.Sheets)
		if f.Problem != "" {
			problems++
		}
	}
	switch {
	case len(r.Files) == 0:
		return "No table in your mail"
	case tables == 0 && len(r.Files) == 1:
		return "Your file could not be read"
	case tables == 0:
		return "None of your files could be read"
	case len(r.Files) == 1 && tables == 1:
		return r.Files[0].Name
	case problems > 0:
		return fmt.Sprintf("%s in %s; %s could not be read", report.Count(tables, "table"), report.Count(len(r.Files)-problems, "file"), report.Count(problems, "file"))
	}
	return fmt.Sprintf("%s in %s", report.Count(tables, "table"), report.Count(len(r.Files), "file"))
}

// preview is what a list of mails shows of it.
func preview(r report.Report) string {
	var parts []string
	for _, f := range r.Files {
		for _, s := range f.Sheets {
			parts = append(parts, heading(f, s)+": "+shape(s))
		}
		if f.Problem != "" {
			parts = append(parts, f.Name+" could not be read")
		}
	}
	if len(parts) == 0 {
		return nothing
	}
	return strings.Join(parts[:min(len(parts), 3)], "; ") + "."
}

// heading names a sheet.
func heading(f report.File, s report.Sheet) string {
	if s.Name == "" {
		return f.Name
	}
	return f.Name + ", " + s.Name
}

func shape(s report.Sheet) string {
	return report.Count(s.Rows, "row") + ", " + report.Count(s.Width, "column")
}

// origin is how a file was read.
func origin(f report.File) string {
	parts := []string{report.Size(f.Size)}
	switch f.Format {
	case "xlsx":
		parts = append(parts, "Excel workbook")
	case "csv":
		parts = append(parts, delimiterName(f.Delimiter)+" between cells", f.Charset)
	}
	return strings.Join(parts, ", ")
}

func delimiterName(d string) string {
	switch d {
	case ",":
		return "commas"
	case ";":
		return "semicolons"
	case "\t":
		return "tabs"
	case "|":
		return "bars"
	}
	return report.Shown(d)
}

// notes are what is to be said of a sheet beside its columns.
func notes(f report.File, s report.Sheet) []string {
	var all []string
	if s.Problem != "" {
		all = append(all, s.Problem)
	}
	all = append(all, f.Notes...)
	return append(all, s.Notes...)
}

// more is what is said of sheets and files that are not told of.
func more(r report.Report) string {
	if r.Unread == 0 {
		return ""
	}
	told := 0
	for _, f := range r.Files {
		told += len(f.Sheets)
	}
	return fmt.Sprintf("%s more I did not look at: of one mail, I read %s and %s at most.",
		report.Plural(r.Unread, "sheet or file", "sheets or files"), report.Count(max(told, 1), "sheet"), report.Count(20, "file"))
}

// kind is the type of a column in words.
func kind(c report.Column) string {
	if c.Unit != "" {
		return c.Type + ", " + c.Unit
	}
	return c.Type
}

// isMoney reports whether numbers look best with two decimals, or with none.
func isMoney(c report.Column) bool {
	return c.Unit != "" && c.Unit != "%" || c.Numbers.Places == 2
}

// write writes a number of a column.
func write(c report.Column, n float64) string {
	if isMoney(c) {
		return report.Money(n)
	}
	if c.Numbers.Key {
		return strings.ReplaceAll(report.Figure(n), ",", "") // 2026, not 2,026
	}
	return report.Figure(n)
}

// totals reports whether adding a column up means anything.
func totals(c report.Column) bool { return !c.Numbers.Key && c.Unit != "%" }

func total(c report.Column) string {
	sum := report.Sum(c.Numbers.Total)
	if point := strings.LastIndexByte(sum, '.'); isMoney(c) && point >= 0 && len(sum)-point == 2 {
		sum += "0"
	}
	if c.Numbers.Rounded {
		return "about " + sum
	}
	return sum
}

// about is put before what is not exact.
func about(c report.Column) string {
	if c.Numbers.Error > 0 {
		return "about "
	}
	return ""
}

// distinct is how many values of a column are distinct.
func distinct(c report.Column) string {
	if c.More {
		return "more than " + report.Figure(float64(c.Distinct))
	}
	return report.Figure(float64(c.Distinct))
}

// columnNotes are what is to be said of a column beside its figures.
func columnNotes(c report.Column) []string {
	all := c.Notes
	if c.Numbers != nil && c.Numbers.Error > 0 {
		all = append(slices.Clip(all), fmt.Sprintf("There were too many numbers to keep them all: median and quartiles may be off by %s %% of the ranks.",
			report.Figure(math.Ceil(c.Numbers.Error*1000)/1000)))
	}
	return all
}

func times(v report.Value) string {
	n := report.Figure(float64(v.Times))
	if v.Least {
		return "at least " + n
	}
	return n
}

// isTold reports whether the most frequent values of a column say anything: not of
// numbers and dates that nearly all come once.
func isTold(c report.Column) bool {
	if len(c.Top) == 0 {
		return false
	}
	switch c.Type {
	case report.Number, report.Date:
		return 10*c.Top[0].Times >= c.Values && c.Top[0].Times > 2
	}
	return true
}
