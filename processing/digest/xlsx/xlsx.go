// Package xlsx reads the workbooks of Excel and its kin (ECMA-376): the sheets and
// their rows, each cell as text. Numbers are written plainly, dates as 2006-01-02,
// percentages and currencies with their sign. Formulas are never computed: a cell
// has the value that was saved with it.
//
// A workbook is a ZIP file with XML in it, and both can be made to unpack to
// anything. So no more than a bound is unpacked, whatever the ZIP file says of
// itself, and only the texts that cells share are held in memory; rows are read as
// they are unpacked.
//
// The tour: xlsx.go opens a workbook, sheet.go reads rows, shared.go the texts that
// cells share, style.go and value.go what numbers mean, scanner.go reads XML.
package xlsx

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// What is wrong with a workbook. The sentences go into the reply.
var (
	ErrNoWorkbook = errors.New("it is a ZIP file, but no Excel workbook")
	ErrBinary     = errors.New("it is a binary workbook (.xlsb); save it as .xlsx")
	ErrEntries    = errors.New("its ZIP file has too many entries")
	ErrTooLarge   = errors.New("unpacked, it is larger than may be read")
	ErrTexts      = errors.New("it has more text than may be read")
	ErrNoSheets   = errors.New("it has no sheets")
)

// mostEntries is how many files a workbook may be made of.
const mostEntries = 20_000

// mostSheets is how many sheets are listed.
const mostSheets = 10_000

// Book is a workbook.
type Book struct {
	Sheets []Sheet

	entries  map[string]*zip.File
	left     int64 // octets that may still be unpacked
	shared   texts
	styles   []style
	from1904 bool
}

// Sheet is one sheet of a workbook.
type Sheet struct {
	Name   string
	Hidden bool
	part   string // name in the ZIP file
	size   int64  // unpacked, as far as it was read; 0 before
}

// Open opens a workbook. No more than most octets of it are unpacked, and no more
// than a hundred times its own size and a little: no honest workbook is packed more
// tightly.
func Open(content []byte, most int64) (*Book, error) {
	// The directory of a ZIP file is held as a whole, so its entries are counted
	// first, by how each begins.
	if bytes.Count(content, []byte("PK\x01\x02")) > mostEntries {
		return nil, ErrEntries
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		return nil, fmt.Errorf("its ZIP file is broken: %w", err)
	}
	b := &Book{entries: map[string]*zip.File{}, left: min(most, 16<<20+100*int64(len(content)))}
	for _, f := range archive.File {
		if name := entryName(f.Name); b.entries[name] == nil {
			b.entries[name] = f
		}
	}
	return b, b.read()
}

// entryName is a name as it is looked up: some programs write them with other
// slashes and letters.
func entryName(name string) string {
	return strings.ToLower(strings.TrimPrefix(strings.ReplaceAll(name, `\`, "/"), "/"))
}

func (b *Book) read() error {
	workbook, err := b.workbook()
	if err != nil {
		return err
	}
	folder := path.Dir(workbook)
	targets, err := b.relations(path.Join(folder, "_rels", path.Base(workbook)+".rels"), folder)
	if err != nil {
		return err
	}
	if err := b.readWorkbook(workbook, targets); err != nil {
		return err
	}
	for _, t := range targets {
		switch path.Base(t.kind) {
		case "sharedStrings":
			err = b.part(t.part, b.shared.read)
		case "styles":
			err = b.part(t.part, func(in io.Reader) (err error) {
				b.styles, err = readStyles(in)
				return err
			})
		}
		if err != nil && !errors.Is(err, errNoPart) {
			return err
		}
	}
	if len(b.Sheets) == 0 {
		return ErrNoSheets
	}
	return nil
}

// workbook is the part that lists the sheets.
func (b *Book) workbook() (string, error) {
	targets, err := b.relations("_rels/.rels", "")
	if err != nil {
		return "", err
	}
	for _, t := range targets {
		if path.Base(t.kind) == "officeDocument" && b.entries[t.part] != nil {
			if strings.HasSuffix(t.part, ".bin") {
				return "", ErrBinary
			}
			if strings.Contains(t.part, "workbook") || strings.HasPrefix(t.part, "xl/") {
				return t.part, nil
			}
			return "", ErrNoWorkbook
		}
	}
	if b.entries["xl/workbook.xml"] != nil {
		return "xl/workbook.xml", nil
	}
	return "", ErrNoWorkbook
}

var errNoPart = errors.New("a part of it is missing")

// part reads one file of the ZIP file.
func (b *Book) part(name string, read func(io.Reader) error) error {
	f := b.entries[entryName(name)]
	if f == nil {
		return errNoPart
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("its ZIP file is broken: %w", err)
	}
	defer in.Close()
	err = read(&limited{in, b})
	switch {
	case errors.Is(err, zip.ErrChecksum), errors.Is(err, zip.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("its ZIP file is broken: %w", err)
	}
	return err
}

// limited counts what is unpacked.
type limited struct {
	in   io.Reader
	book *Book
}

func (l *limited) Read(p []byte) (int, error) {
	if l.book.left <= 0 {
		return 0, ErrTooLarge
	}
	n, err := l.in.Read(p[:min(int64(len(p)), l.book.left)])
	l.book.left -= int64(n)
	return n, err
}

// relation says where a part is that another one names by its id.
type relation struct{ id, kind, part string }

// relations reads a list of relations; none if it is missing.
func (b *Book) relations(name, folder string) ([]relation, error) {
	var targets []relation
	err := b.part(name, func(in io.Reader) error {
		return elements(in, "Relationship", func(s *scanner) bool {
			target := string(s.attr("Target"))
			if !strings.HasPrefix(target, "/") {
				target = path.Join(folder, target)
			}
			targets = append(targets, relation{string(s.attr("Id")), string(s.attr("Type")), entryName(target)})
			return len(targets) < mostEntries
		})
	})
	if errors.Is(err, errNoPart) {
		return nil, nil
	}
	return targets, err
}

// elements calls take with each element of a name, until it returns false.
func elements(in io.Reader, name string, take func(*scanner) bool) error {
	s := newScanner(in)
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if s.kind == begins && string(s.name) == name && !take(s) {
			return nil
		}
	}
}

func (b *Book) readWorkbook(name string, targets []relation) error {
	parts := map[string]string{}
	for _, t := range targets {
		parts[t.id] = t.part
	}
	return b.part(name, func(in io.Reader) error {
		s := newScanner(in)
		for {
			err := s.next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if s.kind != begins {
				continue
			}
			switch string(s.name) {
			case "workbookPr":
				on := string(s.attr("date1904"))
				b.from1904 = on == "1" || on == "true"
			case "sheet":
				if len(b.Sheets) == mostSheets {
					return nil
				}
				b.addSheet(s, parts)
			}
		}
	})
}

// addSheet takes a sheet in; one of a macro or a chart has no rows.
func (b *Book) addSheet(s *scanner, parts map[string]string) {
	part := parts[relationID(s)]
	if part == "" {
		part = entryName(fmt.Sprintf("xl/worksheets/sheet%d.xml", len(b.Sheets)+1))
	}
	if strings.Contains(part, "chartsheets/") || strings.Contains(part, "macrosheets/") || strings.Contains(part, "dialogsheets/") {
		return
	}
	state := string(s.attr("state"))
	b.Sheets = append(b.Sheets, Sheet{Name: string(s.attr("name")), Hidden: state == "hidden" || state == "veryHidden", part: part})
}

// relationID is the attribute r:id; sheetId has another name.
func relationID(s *scanner) string { return string(s.attr("id")) }
