package htmltext

import (
	"bytes"
	"strings"

	"golang.org/x/net/html/atom"
)

// attributes are those that matter to the text.
type attributes struct {
	hidden bool
	size   fontSize
	href   string
	alt    string
}

// fontSize is what an element says of the size of its letters.
type fontSize uint8

const (
	inherited fontSize = iota // nothing, or something relative
	nothing                   // letters that nobody sees
	something
)

// longest is how much of a link, of a name and of a style is looked at.
const (
	longestLink  = 2000
	longestAlt   = 300
	longestStyle = 2000
)

func (w *walker) attributes(more bool, element atom.Atom) attributes {
	var a attributes
	for more {
		var name, value []byte
		name, value, more = w.tokens.TagAttr()
		switch string(name) {
		case "hidden":
			a.hidden = true
		case "style":
			a.style(value[:min(len(value), longestStyle)])
		case "href":
			if element == atom.A && len(value) <= longestLink {
				a.href = target(value)
			}
		case "alt":
			if element == atom.Img {
				a.alt = strings.Join(strings.Fields(string(value[:min(len(value), longestAlt)])), " ")
				a.alt = strings.ToValidUTF8(a.alt, "")
			}
		}
	}
	return a
}

// target is where a link leads, if it leads out of the mail.
func target(value []byte) string {
	link := strings.TrimSpace(string(value))
	colon := strings.IndexByte(link, ':')
	if colon < 0 || strings.ContainsAny(link, " \t\r\n<>") {
		return ""
	}
	switch strings.ToLower(link[:colon]) {
	case "http", "https", "mailto", "tel", "ftp":
		return link
	}
	return ""
}

// style reads whether an element is invisible, and whether its letters are. The
// declarations are those that newsletters hide their first sentence with.
func (a *attributes) style(style []byte) {
	for declaration := range bytes.SplitSeq(bytes.ToLower(style), []byte(";")) {
		name, value, _ := bytes.Cut(declaration, []byte(":"))
		value, _, _ = bytes.Cut(value, []byte("!"))
		v := string(bytes.TrimSpace(value))
		if name = bytes.TrimSpace(name); string(name) == "font-size" {
			a.size = sizeOf(v)
			continue
		}
		a.hidden = a.hidden || hides(string(name), v)
	}
}

func hides(name, value string) bool {
	switch name {
	case "display":
		return value == "none"
	case "visibility":
		return value == "hidden" || value == "collapse"
	case "mso-hide":
		return value == "all"
	case "max-height", "opacity":
		return zero(value)
	}
	return false
}

// sizeOf reads a font-size.
func sizeOf(value string) fontSize {
	switch {
	case zero(value):
		return nothing
	case value == "", value == "inherit", value == "smaller", value == "larger", strings.HasSuffix(value, "%"),
		strings.HasSuffix(value, "em") && !strings.HasSuffix(value, "rem"):
		return inherited
	}
	return something
}

// zero reports whether a length is nothing, in whatever unit.
func zero(value string) bool {
	number := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz%")
	return number != "" && strings.Trim(number, "0.") == ""
}
