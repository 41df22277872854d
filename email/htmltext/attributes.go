package htmltext

import (
	"bytes"
	"strings"

	"golang.org/x/net/html/atom"
)

// attributes are those that matter to the text.
type attributes struct {
	hidden bool
	href   string
	alt    string
}

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
			a.hidden = a.hidden || hides(value[:min(len(value), longestStyle)])
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

// hides reports whether a style makes an element invisible. The declarations are
// those that newsletters hide their first sentence with.
func hides(style []byte) bool {
	for declaration := range bytes.SplitSeq(bytes.ToLower(style), []byte(";")) {
		name, value, _ := bytes.Cut(declaration, []byte(":"))
		value, _, _ = bytes.Cut(value, []byte("!"))
		switch v := string(bytes.TrimSpace(value)); string(bytes.TrimSpace(name)) {
		case "display":
			if v == "none" {
				return true
			}
		case "visibility":
			if v == "hidden" || v == "collapse" {
				return true
			}
		case "mso-hide":
			if v == "all" {
				return true
			}
		case "font-size", "max-height", "opacity":
			if zero(v) {
				return true
			}
		}
	}
	return false
}

// zero reports whether a length is nothing, in whatever unit.
func zero(value string) bool {
	number := strings.TrimRight(value, "abcdefghijklmnopqrstuvwxyz%")
	return number != "" && strings.Trim(number, "0.") == ""
}
