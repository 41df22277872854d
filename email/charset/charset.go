// Package charset turns text of any charset into UTF-8.
//
// The charset that a mail declares counts as long as the text decodes in it; only
// where it does not, or where there is none, is the charset looked for: first
// UTF-8, which hardly any other text is by accident, then what the frequency of
// octets suggests, then windows-1252, in which everything means something.
// Detection never overrules a declaration that works, for on short texts it is
// wrong too often.
package charset

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// Outcome says how far a declared charset could be kept to.
type Outcome uint8

// The outcomes.
const (
	Declared Outcome = iota // the declared charset, or plain UTF-8 or ASCII where none was declared
	Detected                // none was declared, and it was detected
	Unknown                 // nobody knows the declared charset; it was detected
	Failed                  // the text does not decode in the declared charset; it was detected
	Damaged                 // some of it decodes in no charset that could be found
)

// sample is how many octets are looked at to detect a charset.
const sample = 16 << 10

// Decode returns text as valid UTF-8. Name is the declared charset as it stands
// in the mail; empty if there is none.
func Decode(name, text string) (string, Outcome) {
	if decoded, ok := marked(text); ok {
		return decoded, Declared
	}
	name = normal(name)
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "unknown-8bit", "x-unknown", "default":
		if seven(name) && shifts(text) {
			break // it looks like ASCII, and is not
		}
		if utf8.ValidString(text) {
			return text, Declared
		}
	}
	outcome := Detected
	switch declared := lookup(name); {
	case name == "utf-8":
		if mostlyUTF8(text) {
			return Valid(text), Damaged
		}
		outcome = Failed
	case declared != nil && !seven(name):
		decoded, ok := try(declared, text)
		if ok {
			return decoded, Declared
		}
		outcome = Failed
	case !seven(name):
		outcome = Unknown
	}
	return detect(name, text, outcome)
}

// Short is [Decode] for a few words, on which detection is no better than
// guessing, and costs more than they are worth.
func Short(name, text string) string {
	if name = normal(name); name == "utf-8" {
		return Valid(text)
	}
	if e := lookup(name); e != nil {
		if decoded, ok := try(e, text); ok {
			return decoded
		}
	}
	if utf8.ValidString(text) {
		return text
	}
	return Valid(convert(charmap.Windows1252, text))
}

// Valid returns s without octets that are not UTF-8.
func Valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// shifts reports whether a text of seven bits has the sequences by which ISO 2022
// changes its set of letters.
func shifts(text string) bool {
	return strings.Contains(text, "\x1b$") || strings.Contains(text, "\x1b(")
}

// seven reports whether a name promises ASCII, or nothing.
func seven(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "default":
		return true
	}
	return false
}

// marked decodes a text that begins with a byte order mark.
func marked(text string) (string, bool) {
	switch {
	case strings.HasPrefix(text, "\xef\xbb\xbf"):
		if text = text[3:]; utf8.ValidString(text) {
			return text, true
		}
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return try(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), text)
	}
	return "", false
}

// normal is a charset's name without what mail programs put around it.
func normal(name string) string {
	name = strings.ToLower(strings.Trim(name, " \t\r\n\"'`<>="))
	for _, prefix := range []string{"charset=", "charset:", "iso="} {
		if rest, cut := strings.CutPrefix(name, prefix); cut {
			name = strings.Trim(rest, " \"'")
		}
	}
	if at := strings.IndexAny(name, "; ,*"); at > 0 {
		name = name[:at] // RFC 2231 puts a language behind an asterisk
	}
	name = strings.ReplaceAll(name, "_", "-")
	switch name {
	case "utf8", "utf-8-mac", "unicode-1-1-utf-8", "utf", "x-utf-8":
		return "utf-8"
	}
	return name
}

// lookup is the encoding of a normal name; nil if nobody knows it.
func lookup(name string) encoding.Encoding {
	switch name {
	case "":
		return nil
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "utf7":
		return utf7{}
	case "gb2312", "gbk", "cp936", "x-gbk", "gb-2312", "gb2312-80":
		return simplifiedchinese.GB18030 // the one that has them all
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312
	case "ks-c-5601-1987", "ks-c-5601", "ksc5601", "cp949", "ks-c-5601-1989":
		return korean.EUCKR
	case "macintosh", "x-mac-roman", "macroman", "apple-roman":
		return charmap.Macintosh
	case "ansi", "cp-1252", "windows1252":
		return charmap.Windows1252
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e
	}
	for _, index := range []*ianaindex.Index{ianaindex.MIME, ianaindex.IANA, ianaindex.MIB} {
		if e, err := index.Encoding(name); err == nil && e != nil {
			return e
		}
	}
	if page, cut := strings.CutPrefix(name, "cp"); cut {
		return lookup("windows-" + page)
	}
	return nil
}

// try decodes a text, and reports whether all of it could be. Where it could not,
// the beginning mostly tells, and the rest is spared.
func try(e encoding.Encoding, text string) (string, bool) {
	there := strings.Contains(text[:min(len(text), sample)], "\uFFFD")
	if len(text) > 2*sample && !there && strings.Count(convert(e, text[:sample]), "\uFFFD") > 1 {
		return "", false
	}
	decoded := convert(e, text)
	lost := strings.Contains(decoded, "\uFFFD") && !strings.Contains(text, "\uFFFD")
	return decoded, !lost && utf8.ValidString(decoded)
}

// convert decodes a text piece by piece, so that there are no two copies of it.
// What cannot be decoded becomes U+FFFD.
func convert(e encoding.Encoding, text string) string {
	if len(text) < 1<<10 {
		decoded, err := e.NewDecoder().String(text)
		if err != nil {
			return text + "\uFFFD"
		}
		return decoded
	}
	var b strings.Builder
	b.Grow(len(text) + high(text))
	if _, err := io.Copy(&b, e.NewDecoder().Reader(strings.NewReader(text))); err != nil {
		b.WriteString("\uFFFD")
	}
	return b.String()
}

// high is how many octets are not ASCII: most of them become two.
func high(text string) int {
	n := 0
	for i := range len(text) {
		n += int(text[i] >> 7)
	}
	return n
}

// detect looks for the charset of a text. The outcome is what is returned if one
// is found that fits.
func detect(name, text string, outcome Outcome) (string, Outcome) {
	if utf8.ValidString(text) && !shifts(text) {
		return text, outcome
	}
	found, err := chardet.NewTextDetector().DetectBest([]byte(text[:min(len(text), sample)]))
	if err == nil && found.Confidence >= 20 {
		if e := lookup(normal(found.Charset)); e != nil {
			if decoded, ok := try(e, text); ok {
				return decoded, outcome
			}
		}
	}
	if utf8.ValidString(text) {
		return text, outcome
	}
	if e := lookup(name); e != nil {
		if decoded := convert(e, text); mostlyText(decoded) {
			return Valid(decoded), Damaged
		}
	}
	return Valid(convert(charmap.Windows1252, text)), outcome
}

// mostlyUTF8 reports whether there are more letters of several octets in a text
// than octets that belong to none.
func mostlyUTF8(text string) bool {
	good, bad := 0, 0
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case r == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
		text = text[size:]
	}
	return good >= bad
}

// mostlyText reports whether few letters of a decoded text were lost.
func mostlyText(decoded string) bool {
	return strings.Count(decoded, "\uFFFD")*20 < utf8.RuneCountInString(decoded)
}
