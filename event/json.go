package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// deepest is how deep the objects and lists of a notice may lie in each other.
// AWS's own need six.
const deepest = 64

// unambiguous refuses JSON that two readers may read in two ways, or that is
// nested beyond reason. encoding/json takes the last of two names, other readers
// the first; it also takes a name for another that differs in case only, so these
// count as the same here.
func unambiguous(text []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(text))
	tokens.UseNumber()
	var within []level
	for {
		token, err := tokens.Token()
		if errors.Is(err, io.EOF) && len(within) == 0 {
			return nil
		}
		if err != nil {
			return notAnEvent("it is no JSON: %s", fault(err))
		}
		if token == json.Delim('}') || token == json.Delim(']') {
			within = within[:len(within)-1]
			continue
		}
		if len(within) > 0 {
			if err := within[len(within)-1].take(token); err != nil {
				return err
			}
		}
		if _, opens := token.(json.Delim); opens {
			if len(within) == deepest {
				return notAnEvent("it is nested more than %d deep", deepest)
			}
			within = append(within, level{object: token == json.Delim('{')})
		}
	}
}

// level is one object or list that is being read.
type level struct {
	object bool
	value  bool                // a name was read, and its value is next
	names  map[string]struct{} // folded
}

// take notes the next token of the level. In an object, every other one is a name.
func (l *level) take(token json.Token) error {
	if !l.object {
		return nil
	}
	if l.value {
		l.value = false
		return nil
	}
	l.value = true
	name, _ := token.(string) // always is one: the decoder has seen to that
	folded := strings.Map(smallest, name)
	if _, twice := l.names[folded]; twice {
		return notAnEvent("it has the name %s twice in one object", excerpt(name))
	}
	if l.names == nil {
		l.names = map[string]struct{}{}
	}
	l.names[folded] = struct{}{}
	return nil
}

// smallest is one rune for all that differ in case only, as encoding/json folds
// them.
func smallest(r rune) rune {
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}

// moment is a time as AWS writes it. One that is written otherwise is zero: it is
// no reason to refuse a mail.
type moment struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (m *moment) UnmarshalJSON(text []byte) error {
	var at time.Time
	if at.UnmarshalJSON(text) == nil {
		m.Time = at
	}
	return nil
}

// octets is a size; what is written otherwise is -1, as is one that is missing.
type octets int64

// UnmarshalJSON implements [json.Unmarshaler].
func (o *octets) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 63)
	*o = octets(n)
	if err != nil {
		*o = -1
	}
	return nil
}

func (o *octets) orUnknown() int64 {
	if o == nil {
		return -1
	}
	return int64(*o)
}

// sendable is JSON as SQS and SNS take it, which is in the characters of XML 1.0
// ("SendMessage" in the SQS API reference). It says the same: in JSON, whatever
// XML refuses can stand in a string only, where it may be escaped.
func sendable(text []byte) []byte {
	if utf8.Valid(text) && !bytes.Contains(text, []byte("\uFFFE")) && !bytes.Contains(text, []byte("\uFFFF")) {
		return text
	}
	var b bytes.Buffer
	for _, r := range string(text) { // an octet that is no UTF-8 is U+FFFD here, as in encoding/json
		if r == 0xFFFE || r == 0xFFFF {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.Bytes()
}

// noEventError is the error of a text that announces nothing.
type noEventError struct{ why string }

func (e *noEventError) Error() string { return "not an event: " + e.why }

// Permanent reports that the text will never be an event.
func (e *noEventError) Permanent() bool { return true }

func notAnEvent(format string, a ...any) error {
	return &noEventError{fmt.Sprintf(format, a...)}
}

// fault is what encoding/json found, without the value and without our own names
// of things.
func fault(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("%v (octet %d)", syntax, syntax.Offset)
	}
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		kind, _, _ := strings.Cut(wrong.Value, " ") // "number 12345..."
		return fmt.Sprintf("%s is a %s (octet %d)", wrong.Field, kind, wrong.Offset)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "it ends too early"
	}
	return excerpt(err.Error())
}

// excerpt is the beginning of a text, quoted, fit for a log line.
func excerpt[T string | []byte](text T) string {
	const longest = 80
	if len(text) <= longest {
		return strconv.Quote(string(text))
	}
	cut := longest
	for cut > longest-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strconv.Quote(string(text[:cut])) + " and more"
}
