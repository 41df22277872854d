package htmltext

import (
	"bytes"
	"strings"
)

// deepestQuote is how many marks a quoted line gets at most.
const deepestQuote = 8

// writer writes words, and between them as much white space as was asked for,
// once.
type writer struct {
	text     strings.Builder
	newlines int    // due before the next word
	blank    bool   // a space is due
	tab      bool   // a cell begins
	bullet   string // that the next word gets
	quote    int    // depth of what is quoted
	before   int    // the same of the last word
}

func (w *writer) Len() int       { return w.text.Len() }
func (w *writer) String() string { return w.text.String() }

// since is the text from an offset on.
func (w *writer) since(offset int) string { return w.text.String()[offset:] }

// lines makes the next word begin a line, with an empty one before it if n is 2.
func (w *writer) lines(n int) { w.newlines = max(w.newlines, n) }

// newline ends the line, which may be empty.
func (w *writer) newline() { w.newlines = min(w.newlines+1, 2) }

// space makes the next word stand apart.
func (w *writer) space() { w.blank = true }

// cell makes the next word stand apart from the cell before it.
func (w *writer) cell() { w.tab = true }

// mark puts the mark of a list before the next word.
func (w *writer) mark(bullet string) { w.bullet = bullet }

// inWord reports whether the last thing written was a word that goes on.
func (w *writer) inWord() bool { return w.text.Len() > 0 && w.newlines == 0 && !w.blank && !w.tab }

func (w *writer) word(s string) {
	w.gap()
	w.text.WriteString(s)
}

func (w *writer) wordBytes(b []byte) {
	w.gap()
	w.text.Write(b)
}

// atLeast is how much room there is before a word.
const atLeast = 64

// gap writes the white space that is due.
func (w *writer) gap() {
	if w.text.Cap()-w.text.Len() < atLeast {
		w.text.Grow(atLeast) // to twice its size, so that it is copied as seldom as may be
	}
	prefix := quotes(w.quote)
	switch {
	case w.text.Len() == 0:
		w.text.WriteString(prefix)
	case w.newlines > 0:
		w.text.WriteByte('\n')
		if w.newlines > 1 {
			w.text.WriteString(strings.TrimRight(quotes(min(w.quote, w.before)), " "))
			w.text.WriteByte('\n')
		}
		w.text.WriteString(prefix)
	case w.tab:
		w.text.WriteByte('\t')
	case w.blank:
		w.text.WriteByte(' ')
	}
	w.text.WriteString(w.bullet)
	w.newlines, w.blank, w.tab, w.bullet, w.before = 0, false, false, "", w.quote
}

func quotes(depth int) string { return "> > > > > > > > "[:2*min(depth, deepestQuote)] }

// verbatim writes text with its own white space.
func (w *writer) verbatim(text []byte) {
	for len(text) > 0 {
		line, rest, more := bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimRight(line, " \t\r"); len(line) > 0 {
			w.wordBytes(line)
		}
		if more {
			w.newline()
		}
		text = rest
	}
}
