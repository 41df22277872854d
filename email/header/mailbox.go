package header

import (
	"strings"
	"unicode/utf8"
)

// Mailbox is one mailbox of a list (RFC 5322, section 3.4).
type Mailbox struct {
	Name    string // display name, decoded; empty if there is none
	Address string // local-part@domain, the domain in lower case
}

// MostMailboxes is how many mailboxes of a list are read.
const MostMailboxes = 10_000

// Mailboxes reads a list of mailboxes and groups. What is no mailbox is left out.
// Encoded words count in names only: an address is what stands there.
func (v *Values) Mailboxes(value string) []Mailbox {
	if value == "" {
		return nil
	}
	list := make([]Mailbox, 0, 1+min(strings.Count(value, ",")+strings.Count(value, ";"), MostMailboxes))
	r := reader{rest: value, values: v}
	for r.rest != "" && len(list) < MostMailboxes {
		if m, ok := r.mailbox(); ok {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// reader reads a list of mailboxes element by element.
type reader struct {
	rest   string
	values *Values

	// What is open and never closed is found out once: a list of a million open
	// brackets is not read a million times.
	openQuote   bool
	openBracket bool
}

// element is what stands between two commas.
type element struct {
	plain   strings.Builder // words and quoted strings, outside of angle brackets
	name    strings.Builder // the same without quotes
	at      bool            // there is an @ in plain
	comment string          // the last comment
	angle   string          // what stands in angle brackets
	angled  bool
}

func (r *reader) mailbox() (Mailbox, bool) {
	var e element
	for r.rest != "" {
		switch c := r.rest[0]; c {
		case ',', ';':
			r.rest = r.rest[1:]
			return e.mailbox(r.values)
		case ':':
			// A group's name: its mailboxes follow, up to a semicolon. In an address
			// a colon is none.
			r.rest = r.rest[1:]
			if e.at {
				e.plain.WriteByte(c)
				continue
			}
			e = element{}
		case '"':
			quoted := r.quoted()
			e.plain.WriteString(quoted)
			e.name.WriteString(unquote(quoted))
		case '(':
			e.comment = r.comment()
		case '<':
			e.bracket(r)
		default:
			n := strings.IndexAny(r.rest[1:], ",;:\"(<")
			if n < 0 {
				n = len(r.rest) - 1
			}
			e.at = e.at || strings.Contains(r.rest[:n+1], "@")
			e.plain.WriteString(r.rest[:n+1])
			e.name.WriteString(r.rest[:n+1])
			r.rest = r.rest[n+1:]
		}
	}
	return e.mailbox(r.values)
}

// bracket reads what stands in angle brackets. Of several the last counts, for a
// name may have some in it.
func (e *element) bracket(r *reader) {
	inner, closed := r.bracketed()
	if e.angled && !closed {
		return
	}
	if e.angled {
		e.name.WriteString("<" + e.angle + ">")
	}
	e.angle, e.angled = inner, true
}

func (e *element) mailbox(v *Values) (Mailbox, bool) {
	if e.angled {
		address, ok := Address(e.angle)
		return Mailbox{Name: v.name(e.name.String()), Address: address}, ok
	}
	address, ok := Address(e.plain.String())
	if ok {
		return Mailbox{Name: v.name(e.comment), Address: address}, true
	}
	// A name and an address without brackets: the last word counts if it is the
	// only one that can be an address.
	if !e.at || strings.Count(e.plain.String(), "@") != 1 {
		return Mailbox{}, false
	}
	words := strings.Fields(e.plain.String())
	if len(words) < 2 {
		return Mailbox{}, false
	}
	address, ok = Address(words[len(words)-1])
	return Mailbox{Name: v.name(strings.Join(words[:len(words)-1], " ")), Address: address}, ok
}

// name is a display name for reading.
func (v *Values) name(s string) string {
	if s == "" {
		return ""
	}
	return strings.Join(strings.Fields(v.Text(s)), " ")
}

// quoted takes a quoted string off, with its quotes. An open one is a word of its
// own.
func (r *reader) quoted() string {
	for i := 1; i < len(r.rest) && !r.openQuote; i++ {
		switch r.rest[i] {
		case '\\':
			i++
		case '"':
			quoted := r.rest[:i+1]
			r.rest = r.rest[i+1:]
			return quoted
		}
	}
	// Only the rest up to the next bracket is lost.
	r.openQuote = true
	end := strings.IndexAny(r.rest, "<,")
	if end < 0 {
		end = len(r.rest)
	}
	quoted := r.rest[1:end]
	r.rest = r.rest[end:]
	return quoted
}

func unquote(quoted string) string {
	quoted = strings.TrimSuffix(strings.TrimPrefix(quoted, `"`), `"`)
	if !strings.Contains(quoted, `\`) {
		return quoted
	}
	var b strings.Builder
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		b.WriteByte(quoted[i])
	}
	return b.String()
}

// comment takes a comment off, which may have others within, and returns its text.
func (r *reader) comment() string {
	depth := 0
	for i := 0; i < len(r.rest); i++ {
		switch r.rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				text := r.rest[1:i]
				r.rest = r.rest[i+1:]
				return text
			}
		}
	}
	text := r.rest[1:]
	r.rest = ""
	return text
}

// bracketed takes off what stands in angle brackets, without them.
func (r *reader) bracketed() (inner string, closed bool) {
	quoted := false
	for i := 1; i < len(r.rest) && !r.openBracket; i++ {
		switch c := r.rest[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '>':
			inner = r.rest[1:i]
			r.rest = r.rest[i+1:]
			return inner, true
		}
	}
	r.openBracket = true
	end := strings.IndexByte(r.rest[1:], ',') + 1
	if end == 0 {
		end = len(r.rest)
	}
	inner = r.rest[1:end]
	r.rest = r.rest[end:]
	return inner, false
}

// longestAddress is more than RFC 5321, section 4.5.3.1 allows for a path.
const longestAddress = 320

// Address returns an addr-spec in its normal form, and whether it is one: a local
// part and a domain, with nothing in them that could not be sent on.
func Address(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if route := strings.IndexByte(s, ':'); strings.HasPrefix(s, "@") && route > 0 {
		s = s[route+1:] // RFC 5322, section 4.4
	}
	if len(s) > 6 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > longestAddress {
		return "", false
	}
	local, domain := strings.TrimSpace(s[:at]), strings.ToLower(strings.TrimSpace(s[at+1:]))
	if !validLocal(local) || !validDomain(domain) {
		return "", false
	}
	return local + "@" + domain, true
}

func validLocal(local string) bool {
	if local == "" || !utf8.ValidString(local) {
		return false
	}
	if local[0] == '"' {
		return len(local) > 2 && local[len(local)-1] == '"' && !strings.ContainsFunc(local, isControl) && closesAtEnd(local)
	}
	return !strings.ContainsFunc(local, func(r rune) bool {
		return isControl(r) || strings.ContainsRune(" \"(),:;<>@[\\]", r)
	})
}

// closesAtEnd reports whether a quoted string ends with its last octet, and not
// before.
func closesAtEnd(quoted string) bool {
	for i := 1; i < len(quoted); i++ {
		switch quoted[i] {
		case '\\':
			i++
		case '"':
			return i == len(quoted)-1
		}
	}
	return false
}

func validDomain(domain string) bool {
	if !utf8.ValidString(domain) || domain[0] == '.' || strings.Contains(domain, "..") {
		return false
	}
	if inner, literal := strings.CutPrefix(domain, "["); literal {
		inner, literal = strings.CutSuffix(inner, "]")
		return literal && inner != "" && !strings.ContainsFunc(inner, func(r rune) bool { return isControl(r) || strings.ContainsRune(" []\\", r) })
	}
	return !strings.ContainsFunc(domain, func(r rune) bool {
		return isControl(r) || strings.ContainsRune(" !\"#$%&'()*+,/:;<=>?@[\\]^`{|}~", r)
	})
}

func isControl(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError }
