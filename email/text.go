package email

import (
	"regexp"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// htmlText is the text of an HTML body: blocks on lines of their own, cells
// apart, links with their target, nothing of what is not shown.
func htmlText(source string) string {
	z := html.NewTokenizer(strings.NewReader(source))
	var b strings.Builder
	var href string
	hidden := 0
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return tidy(b.String())
		}
		token := z.Token()
		switch kind {
		case html.TextToken:
			if hidden == 0 {
				b.WriteString(spaced(token.Data))
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			switch token.DataAtom {
			case atom.Script, atom.Style, atom.Head, atom.Title:
				if kind == html.StartTagToken {
					hidden++
				}
			case atom.A:
				href = attribute(token, "href")
			case atom.Td, atom.Th:
				b.WriteByte('\t')
			case atom.Li:
				b.WriteString("\n- ")
			case atom.Br, atom.P, atom.Div, atom.Tr, atom.H1, atom.H2, atom.H3, atom.H4, atom.Blockquote, atom.Ul, atom.Ol, atom.Table, atom.Hr, atom.Pre:
				b.WriteByte('\n')
			}
		case html.EndTagToken:
			switch token.DataAtom {
			case atom.Script, atom.Style, atom.Head, atom.Title:
				hidden = max(0, hidden-1)
			case atom.A:
				if strings.HasPrefix(href, "http") && !strings.HasSuffix(b.String(), href) {
					b.WriteString(" (" + href + ")")
				}
				href = ""
			case atom.P, atom.Div, atom.H1, atom.H2, atom.H3, atom.H4, atom.Blockquote, atom.Table:
				b.WriteByte('\n')
			}
		}
	}
}

// spaced is a text with each run of white space as one space.
func spaced(text string) string {
	words := strings.Join(strings.Fields(text), " ")
	if words == "" {
		return " "
	}
	if strings.ContainsAny(text[:1], " \t\r\n") {
		words = " " + words
	}
	if strings.ContainsAny(text[len(text)-1:], " \t\r\n") {
		words += " "
	}
	return words
}

func attribute(token html.Token, name string) string {
	for _, a := range token.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// tidy takes off what white space the tags left behind.
func tidy(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.Trim(line, " \t\n")
		if line != "" || len(lines) > 0 && lines[len(lines)-1] != "" {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// quoteHeads match the line with which mail programs introduce what they quote.
func quoteHeads() []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, pattern := range []string{
		`(?i)^On .{5,200} wrote:$`, `(?i)^Am .{5,200} schrieb.{0,120}:$`, `(?i)^Le .{5,200} a écrit\s?:$`,
		`(?i)^El .{5,200} escribió:$`, `(?i)^Em .{5,200} escreveu:$`, `(?i)^Il .{5,200} ha scritto:$`,
		`(?i)^Op .{5,200} schreef.{0,120}:$`, `^.{5,200}のメール[:：]$`, `^.{5,200}写道[:：]$`,
		`(?i)^-{2,}\s*(Original Message|Ursprüngliche Nachricht|Message d'origine|Mensaje original|Mensagem original|Messaggio originale|Oorspronkelijk bericht)\s*-{2,}$`,
	} {
		all = append(all, regexp.MustCompile(pattern))
	}
	return all
}

// replyText is the text without what is quoted and without a signature. It may
// be empty, so it stands beside the whole text, never in its place.
func replyText(text string, heads []*regexp.Regexp) string {
	var kept []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		bare := strings.TrimSpace(line)
		if line == "-- " || line == "--" { // RFC 3676, section 4.3
			break
		}
		if introduces(heads, bare) {
			break
		}
		if !strings.HasPrefix(bare, ">") {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n"))
}

func introduces(heads []*regexp.Regexp, line string) bool {
	for _, head := range heads {
		if head.MatchString(line) {
			return true
		}
	}
	return false
}
