// Package htmltext turns the HTML of a mail into text that reads as the mail
// looks.
//
// Blocks stand on lines of their own, cells of a table keep apart, links and
// pictures keep what they lead to and what they are called, lists their marks,
// and what is quoted gets a "> " before each line, as in a mail of plain text.
// What a mail program does not show is dropped: scripts, styles, and the hidden
// sentence that newsletters put on top for the list of mails.
//
// It walks the tokens of golang.org/x/net/html once and builds no tree. The
// elements that are open are known down to a depth that no honest mail has, so
// time grows with the size of the HTML, and memory with that of its text.
package htmltext

import (
	"strconv"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// deepest is how many open elements are kept in mind; elements further in count
// as part of those.
const deepest = 200

// farthest is how far up an element is looked for that an end tag may close.
const farthest = 32

// Text is the text of an HTML document, valid UTF-8 if that is. Its lines end in
// LF, without white space at their ends.
func Text(source string) string {
	w := walker{tokens: html.NewTokenizer(strings.NewReader(source))}
	for {
		switch w.tokens.Next() {
		case html.ErrorToken:
			return w.out.String()
		case html.TextToken:
			w.text(w.tokens.Text())
		case html.StartTagToken:
			w.start(false)
		case html.SelfClosingTagToken:
			w.start(true)
		case html.EndTagToken:
			name, _ := w.tokens.TagName()
			w.end(atom.Lookup(name))
		}
	}
}

type walker struct {
	tokens *html.Tokenizer
	out    writer
	open   []element
	hidden int // open elements that are not shown
	pre    int // open elements that keep their white space
	lists  []int
}

// element is one that is open.
type element struct {
	name   atom.Atom
	hidden bool
	tiny   bool   // its letters have no size
	href   string // of a link
	from   int    // where in the text the link begins
}

// start opens an element.
func (w *walker) start(closed bool) {
	name, more := w.tokens.TagName()
	e := element{name: atom.Lookup(name), from: w.out.Len()}
	a := w.attributes(more, e.name)
	if e.name == 0 {
		return
	}
	w.imply(e.name)
	e.hidden = a.hidden || neverShown(e.name)
	e.tiny = a.size == nothing || a.size == inherited && w.tiny()
	e.href = a.href
	if w.hidden == 0 && !e.hidden {
		w.begin(e.name, a)
	}
	if closed || void(e.name) || len(w.open) >= deepest {
		return
	}
	w.open = append(w.open, e)
	if e.hidden {
		w.hidden++
	}
	if e.name == atom.Pre {
		w.pre++
	}
}

// tiny reports whether letters have no size here. Unlike what is hidden, an element
// within may give them one: there are layouts that take the gaps between cells
// away like that.
func (w *walker) tiny() bool { return len(w.open) > 0 && w.open[len(w.open)-1].tiny }

// imply closes what a new element ends without an end tag (HTML, section 13.1.2.4).
func (w *walker) imply(name atom.Atom) {
	closes := func(names ...atom.Atom) {
		for _, n := range names {
			if len(w.open) > 0 && w.open[len(w.open)-1].name == n {
				w.pop()
			}
		}
	}
	switch name {
	case atom.Body:
		closes(atom.Title, atom.Style, atom.Head)
	case atom.P, atom.Div, atom.Table, atom.Ul, atom.Ol, atom.Blockquote, atom.Hr, atom.Pre, atom.H1, atom.H2, atom.H3:
		closes(atom.P)
	case atom.Li:
		closes(atom.P, atom.Li)
	case atom.Td, atom.Th:
		closes(atom.P, atom.Td, atom.Th)
	case atom.Tr:
		closes(atom.P, atom.Td, atom.Th, atom.Tr)
	}
}

// begin writes what stands before an element's content.
func (w *walker) begin(name atom.Atom, a attributes) {
	switch name {
	case atom.Br:
		w.out.newline()
	case atom.Hr:
		w.out.lines(1)
		w.out.word("---")
		w.out.lines(1)
	case atom.Img:
		if a.alt != "" {
			w.out.word("[" + a.alt + "]")
		}
	case atom.Td, atom.Th:
		w.out.cell()
	case atom.Ul:
		w.out.lines(1)
		w.lists = append(w.lists, -1)
	case atom.Ol:
		w.out.lines(1)
		w.lists = append(w.lists, 0)
	case atom.Li:
		w.out.lines(1)
		w.out.mark(w.bullet())
	case atom.Blockquote:
		w.out.lines(2)
		w.out.quote++
	default:
		w.out.lines(space(name))
	}
}

// bullet is what stands before an entry of the innermost list.
func (w *walker) bullet() string {
	if len(w.lists) == 0 || w.lists[len(w.lists)-1] < 0 {
		return "- "
	}
	w.lists[len(w.lists)-1]++
	return strconv.Itoa(w.lists[len(w.lists)-1]) + ". "
}

// end closes an element, and those within it that are still open. An end tag
// without an element is passed over.
func (w *walker) end(name atom.Atom) {
	if name == atom.P && !w.isOpen(name) || name == atom.Br {
		w.out.lines(1)
		return
	}
	if name == 0 || !w.isOpen(name) {
		return
	}
	for {
		last := w.open[len(w.open)-1].name
		w.pop()
		if last == name {
			return
		}
	}
}

// isOpen looks for an open element; a table's cell is not closed from within a
// table inside of it.
func (w *walker) isOpen(name atom.Atom) bool {
	for i := len(w.open) - 1; i >= max(0, len(w.open)-farthest); i-- {
		if w.open[i].name == name {
			return true
		}
		if w.open[i].name == atom.Table && name != atom.Body && name != atom.Html && name != atom.Div {
			return false
		}
	}
	return false
}

// pop closes the innermost element.
func (w *walker) pop() {
	e := w.open[len(w.open)-1]
	w.open = w.open[:len(w.open)-1]
	if e.name == atom.Pre {
		w.pre--
	}
	if e.hidden {
		w.hidden--
	}
	if w.hidden > 0 || e.hidden {
		return
	}
	switch e.name {
	case atom.A:
		w.link(e)
	case atom.Ul, atom.Ol:
		w.lists = w.lists[:max(0, len(w.lists)-1)]
		w.out.lines(1)
	case atom.Blockquote:
		w.out.lines(2)
		w.out.quote = max(0, w.out.quote-1)
	default:
		w.out.lines(space(e.name))
	}
}

// link writes where a link leads, unless its text says so.
func (w *walker) link(e element) {
	text := strings.TrimSpace(w.out.since(e.from))
	target := strings.TrimPrefix(e.href, "mailto:")
	if target == "" || text == "" || strings.EqualFold(text, target) || strings.EqualFold(text, strings.TrimSuffix(e.href, "/")) {
		return
	}
	if plain := strings.TrimPrefix(strings.TrimPrefix(target, "https://"), "http://"); strings.EqualFold(strings.TrimSuffix(plain, "/"), strings.TrimSuffix(text, "/")) {
		return
	}
	w.out.space()
	w.out.word("(" + target + ")")
}

// text writes what stands between two tags.
func (w *walker) text(text []byte) {
	if w.hidden > 0 || w.tiny() {
		return
	}
	if w.pre > 0 {
		w.out.verbatim(text)
		return
	}
	for len(text) > 0 {
		n, size := special(text)
		if n > 0 {
			w.out.wordBytes(text[:n])
		}
		between := text[n : n+size]
		text = text[n+size:]
		switch string(between) {
		case "":
		case " ", "\t", "\n", "\r", "\f", "\u00a0":
			w.out.space()
		case "\u200c", "\u200d":
			w.joiner(between)
		}
	}
}

// special is where the first letter stands that is no part of a word, and its
// size; both the end if there is none. Besides white space there is what fills up
// the list of mails behind a hidden sentence, and is not seen.
func special(text []byte) (at, size int) {
	for i, c := range text {
		switch {
		case c <= ' ':
			return i, 1
		case c < 0x80 || len(text)-i < 2:
		case c == 0xc2 && (text[i+1] == 0xa0 || text[i+1] == 0xad), c == 0xcd && text[i+1] == 0x8f:
			return i, 2
		case len(text)-i < 3:
		case c == 0xe2 && text[i+1] == 0x80 && text[i+2] >= 0x8b && text[i+2] <= 0x8d, c == 0xef && text[i+1] == 0xbb && text[i+2] == 0xbf:
			return i, 3
		}
	}
	return len(text), 0
}

// joiner keeps a zero width joiner within a word, where letters need it.
func (w *walker) joiner(j []byte) {
	if w.out.inWord() {
		w.out.wordBytes(j)
	}
}

// neverShown are the elements whose content is not part of the text.
func neverShown(name atom.Atom) bool {
	switch name {
	case atom.Script, atom.Style, atom.Head, atom.Title, atom.Template, atom.Svg, atom.Math, atom.Iframe, atom.Object, atom.Noframes, atom.Select, atom.Audio, atom.Video:
		return true
	}
	return false
}

// void are the elements that have no content.
func void(name atom.Atom) bool {
	switch name {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Source, atom.Wbr, atom.Param:
		return true
	}
	return false
}

// space is how many line ends stand around an element.
func space(name atom.Atom) int {
	switch name {
	case atom.P, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Pre, atom.Table, atom.Dl, atom.Fieldset:
		return 2
	case atom.Div, atom.Tr, atom.Section, atom.Article, atom.Header, atom.Footer, atom.Main, atom.Nav, atom.Aside, atom.Address, atom.Center,
		atom.Form, atom.Dt, atom.Dd, atom.Figure, atom.Figcaption, atom.Caption, atom.Thead, atom.Tbody, atom.Tfoot, atom.Body, atom.Li:
		return 1
	}
	return 0
}
