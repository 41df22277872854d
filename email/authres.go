package email

import "strings"

// methodResult is one result of an Authentication-Results field.
type methodResult struct {
	method     string // "spf", "dkim", "dmarc", ..., lower case
	result     string // "pass", "fail", ..., lower case
	properties map[string]string
}

// sesServer is the authserv-id under which SES writes.
const sesServer = "amazonses.com"

// authenticationResults reads the field as RFC 8601, section 2.2 writes it, and
// as SES does, which puts client-ip and envelope-from between the results. It
// reads tokens, comments and quoted strings, because a sender chooses what
// stands in an envelope-from or in a comment, semicolons included. It reports
// whether the field is SES's at all.
func authenticationResults(value string) (results []methodResult, ok bool) {
	t := tokens{rest: value}
	if server := t.next(); !strings.EqualFold(server.text, sesServer) || server.quoted {
		return nil, false
	}
	var r *methodResult
	starts := false // the next word begins a result
	for {
		w := t.next()
		switch {
		case w.end:
			return results, true
		case w.semicolon:
			starts = true
			continue
		}
		name, said, pair := t.pair(w)
		if !pair {
			starts = false
			continue
		}
		if starts {
			results = append(results, methodResult{method: strings.ToLower(name), result: strings.ToLower(said), properties: map[string]string{}})
			r = &results[len(results)-1]
			starts = false
			continue
		}
		if r != nil {
			r.properties[strings.ToLower(name)] = said
		}
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
	end := strings.IndexAny(t.rest, " \t;\"(=")
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
	for t.rest != "" && !strings.ContainsRune(" \t;(", rune(t.rest[0])) {
		if t.rest[0] == '"' {
			b.WriteString(t.quoted())
			continue
		}
		end := strings.IndexAny(t.rest, " \t;\"(")
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
		case depth == 0 && c != ' ' && c != '\t':
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
