package xlsx

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode"
)

// What numbers of a style are.
type style struct {
	date, clock bool // a date, a time of day, or both
	percent     bool
	unit        string // currency
}

// mostStyles is how many styles a workbook has at most; Excel allows 65,490.
const mostStyles = 70_000

// readStyles reads what the styles of cells say of their numbers.
func readStyles(in io.Reader) ([]style, error) {
	s := newScanner(in)
	formats := map[int]string{}
	var styles []style
	within := false
	for {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return styles, nil
		}
		if err != nil {
			return nil, err
		}
		switch {
		case string(s.name) == "cellXfs" && s.kind != text:
			within = s.kind == begins
		case s.kind != begins:
		case string(s.name) == "numFmt":
			if id, err := strconv.Atoi(string(s.attr("numFmtId"))); err == nil && len(formats) < mostStyles {
				formats[id] = string(s.attr("formatCode"))
			}
		case within && string(s.name) == "xf" && len(styles) < mostStyles:
			id, err := strconv.Atoi(string(s.attr("numFmtId")))
			if err != nil {
				id = 0
			}
			styles = append(styles, styleOf(id, formats))
		}
	}
}

// styleOf knows the formats that have a number and no code (ECMA-376, part 1,
// 18.8.30).
func styleOf(id int, formats map[int]string) style {
	if code, ok := formats[id]; ok {
		return styleOfCode(code)
	}
	switch {
	case id == 9 || id == 10:
		return style{percent: true}
	case id >= 14 && id <= 17, id >= 27 && id <= 31, id == 36, id >= 50 && id <= 58:
		return style{date: true}
	case id >= 18 && id <= 21, id >= 32 && id <= 35, id >= 45 && id <= 47:
		return style{clock: true}
	case id == 22:
		return style{date: true, clock: true}
	}
	return style{}
}

// styleOfCode reads a format such as dd.mm.yyyy or #,##0.00 [$€-407]: the first
// of its sections, which is for positive numbers.
func styleOfCode(code string) style {
	var st style
	bare := make([]byte, 0, len(code)) // without texts
	for i := 0; i < len(code); i++ {
		switch c := code[i]; c {
		case ';':
			return st.from(bare)
		case '\\', '_', '*':
			i++
		case '"':
			n := strings.IndexByte(code[i+1:], '"')
			if n < 0 {
				return st.from(bare)
			}
			st.currency(code[i+1 : i+1+n])
			i += n + 1
		case '[':
			n := strings.IndexByte(code[i:], ']')
			if n < 0 {
				return st.from(bare)
			}
			bare = append(bare, st.bracket(code[i+1:i+n])...)
			i += n
		default:
			bare = append(bare, c)
		}
	}
	return st.from(bare)
}

// bracket reads what stands in brackets: a currency, elapsed hours, a color or a
// condition.
func (st *style) bracket(s string) string {
	if sign, ok := strings.CutPrefix(s, "$"); ok {
		sign, _, _ = strings.Cut(sign, "-")
		if sign != "" && len(sign) <= 6 {
			st.unit = sign
		}
		return ""
	}
	if l := strings.ToLower(s); l == "h" || l == "hh" || l == "m" || l == "mm" || l == "s" || l == "ss" {
		return l
	}
	return ""
}

func (st *style) currency(text string) {
	for _, r := range text {
		if unicode.Is(unicode.Sc, r) {
			st.unit = string(r)
		}
	}
}

func (st style) from(bare []byte) style {
	lower := bytes.ToLower(bare)
	if string(lower) == "general" || string(lower) == "@" {
		return st
	}
	has := func(letters string) bool { return bytes.ContainsAny(lower, letters) }
	st.clock = has("hs")
	st.date = has("yd") || has("m") && !st.clock
	st.percent = has("%")
	st.currency(string(bare))
	if st.date || st.clock {
		st.unit = ""
	}
	return st
}
