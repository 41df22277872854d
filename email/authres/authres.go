// Package authres reads Authentication-Results fields (RFC 8601) that somebody
// wrote who wishes harm.
//
// The field is ours, but much in it is not: the envelope sender, the name that a
// host greets with and the domains of signatures are what the other side chose,
// and stand in comments, in quoted strings and in plain words of the field. So it
// is read token by token, with comments that nest and quotes that escape, and
// never searched for words. What stands in a comment is no result, and neither is
// what stands within quotes.
package authres

import "strings"

// Result is one result of a field.
type Result struct {
	Method     string            // "spf", "dkim", "dmarc", ..., lower case, without version
	Value      string            // "pass", "fail", ..., lower case
	Properties map[string]string // "header.from", ..., names in lower case
}

// mostResults is more than any server writes.
const mostResults = 100

// Parse reads a field's value as RFC 8601, section 2.2 has it, and as SES writes
// it, which puts client-ip and envelope-from between the results. Server is the
// authserv-id that the field must have; if it has another, ok is false.
func Parse(value, server string) (results []Result, ok bool) {
	t := tokens{rest: value}
	if id := t.next(); !strings.EqualFold(id.text, server) || id.quoted {
		return nil, false
	}
	starts := false // the next word begins a result
	for len(results) < mostResults {
		w := t.next()
		switch {
		case w.end:
			return results, true
		case w.semicolon:
			starts = true
			continue
		}
		name, said, pair := t.pair(w)
		switch {
		case !pair:
			starts = false
		case starts:
			method, _, _ := strings.Cut(strings.ToLower(name), "/")
			results = append(results, Result{Method: method, Value: strings.ToLower(said), Properties: map[string]string{}})
			starts = false
		case len(results) > 0:
			results[len(results)-1].add(strings.ToLower(name), said)
		}
	}
	return results, true
}

// add keeps the first property of each name.
func (r Result) add(name, value string) {
	if _, there := r.Properties[name]; !there {
		r.Properties[name] = value
	}
}

// token is a word, a semicolon, or the end.
type token struct {
	text      string
	quoted    bool
	semicolon bool
	end       bool
}

// tokens reads a field value word by word; comments are passed over.
type tokens struct{ rest string }

func (t *tokens) next() token {
	t.skip()
	if t.rest == "" {
		return token{end: true}
	}
	if t.rest[0] == ';' {
		t.rest = t.rest[1:]
		return token{semicolon: true}
	}
	if t.rest[0] == '"' {
		return token{text: t.quoted(), quoted: true}
	}
	end := strings.IndexAny(t.rest, " \t\r\n;\"(=")
	switch {
	case end < 0:
		end = len(t.rest)
	case end == 0:
		end = 1 // a lone "="
	}
	w := t.rest[:end]
	t.rest = t.rest[end:]
	return token{text: w}
}

// pair reads "= value" after the word w, if that follows. A value may be made of
// words and quoted strings that touch, as in "a;b"@example.com.
func (t *tokens) pair(w token) (name, value string, ok bool) {
	t.skip()
	if w.quoted || !strings.HasPrefix(t.rest, "=") {
		return "", "", false
	}
	t.rest = t.rest[1:]
	t.skip()
	var b strings.Builder
	for t.rest != "" && !strings.ContainsRune(" \t\r\n;(", rune(t.rest[0])) {
		if t.rest[0] == '"' {
			b.WriteString(t.quoted())
			continue
		}
		end := strings.IndexAny(t.rest, " \t\r\n;\"(")
		if end < 0 {
			end = len(t.rest)
		}
		b.WriteString(t.rest[:end])
		t.rest = t.rest[end:]
	}
	return w.text, b.String(), true
}

// skip passes over white space and comments, which nest (RFC 5322, section
// 3.2.2). An open comment goes on to the end.
func (t *tokens) skip() {
	for depth := 0; t.rest != ""; t.rest = t.rest[1:] {
		switch c := t.rest[0]; {
		case c == '\\' && depth > 0 && len(t.rest) > 1:
			t.rest = t.rest[1:]
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n':
			return
		}
	}
}

// quoted reads a quoted string; an open one goes on to the end.
func (t *tokens) quoted() string {
	var b strings.Builder
	for i := 1; i < len(t.rest); i++ {
		switch c := t.rest[i]; {
		case c == '\\' && i+1 < len(t.rest):
			i++
			b.WriteByte(t.rest[i])
		case c == '"':
			t.rest = t.rest[i+1:]
			return b.String()
		default:
			b.WriteByte(c)
		}
	}
	t.rest = ""
	return b.String()
}
