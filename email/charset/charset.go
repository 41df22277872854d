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
	"bytes"
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

// longestShifted is how much of a text in UTF-7 or HZ is decoded. They take longer
// than any other charset, and nobody has written as much in them.
const longestShifted = 4 << 20

// sample is how many octets are looked at to detect a charset.
const sample = 16 << 10

// Decode returns a value of a header as valid UTF-8. Name is the declared charset
// as it stands in the mail; empty if there is none.
func Decode(name, value string) (string, Outcome) {
	var exact Decoders
	text, outcome := exact.Open(name, []byte(value), true)
	return text.String(), outcome
}

// Open finds out how a text becomes UTF-8, and decodes none of it yet. Guess says
// that its charset may be looked for.
func (d *Decoders) Open(name string, octets []byte, guess bool) (Text, Outcome) {
	if t, ok := d.marked(octets); ok {
		return t, Declared
	}
	name = normal(name)
	outcome := Detected
	var tried Text // in the declared charset; zero if that was plainly wrong
	switch declared := lookup(name); {
	case name == "utf-8", seven(name):
		// What looks like ASCII may not be.
		if (!seven(name) || !shifts(octets)) && utf8.Valid(octets) {
			return asIs(octets), Declared
		}
		if name == "utf-8" {
			if t, mostly := repaired(octets); mostly {
				return t, Damaged
			}
			outcome = Failed
		}
	case (name == "utf-7" || name == "hz-gb-2312") && len(octets) > longestShifted:
		outcome = Unknown
	case declared != nil:
		t, ok := d.try(declared, octets)
		if ok {
			return t, Declared
		}
		tried, outcome = t, Failed
	default:
		outcome = Unknown
	}
	if !guess {
		return d.unguessed(octets), outcome
	}
	return d.detect(name, octets, tried, outcome)
}

// Short is [Decode] for a few words, on which detection is no better than
// guessing, and costs more than they are worth.
func Short(name, text string) string {
	if name = normal(name); name == "utf-8" {
		return Valid(text)
	}
	if e := lookup(name); e != nil {
		decoded, err := e.NewDecoder().String(text)
		if err == nil && (!strings.Contains(decoded, "\uFFFD") || strings.Contains(text, "\uFFFD")) && utf8.ValidString(decoded) {
			return decoded
		}
	}
	if utf8.ValidString(text) {
		return text
	}
	decoded, err := charmap.Windows1252.NewDecoder().String(text)
	if err != nil {
		return Valid(text)
	}
	return Valid(decoded)
}

// Valid returns s without octets that are not UTF-8.
func Valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// shifts reports whether a text of seven bits has the sequences by which ISO 2022
// changes its set of letters.
func shifts(octets []byte) bool {
	return bytes.Contains(octets, []byte("\x1b$")) || bytes.Contains(octets, []byte("\x1b("))
}

// seven reports whether a name promises ASCII, or nothing.
func seven(name string) bool {
	switch name {
	case "", "us-ascii", "ascii", "unknown-8bit", "x-unknown", "default":
		return true
	}
	return false
}

// marked opens a text that begins with a byte order mark.
func (d *Decoders) marked(octets []byte) (Text, bool) {
	if rest, is := bytes.CutPrefix(octets, []byte("\xef\xbb\xbf")); is {
		return asIs(rest), utf8.Valid(rest)
	}
	if rest, is := bytes.CutPrefix(octets, []byte("\xff\xfe")); is {
		return d.try(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), rest)
	}
	if rest, is := bytes.CutPrefix(octets, []byte("\xfe\xff")); is {
		return d.try(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), rest)
	}
	return Text{}, false
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
	case "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "utf7":
		return "utf-7"
	case "hz", "hz-gb2312":
		return "hz-gb-2312"
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
	case "utf-7":
		return utf7{}
	case "gb2312", "gbk", "cp936", "x-gbk", "gb-2312", "gb2312-80":
		return simplifiedchinese.GB18030 // the one that has them all
	case "hz-gb-2312":
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

// try opens a text as one of an encoding, and reports whether all of it decodes.
// Where it does not, the beginning mostly tells, and the rest is spared.
func (d *Decoders) try(e encoding.Encoding, octets []byte) (Text, bool) {
	decoder := d.decoder(e)
	if top := octets[:min(len(octets), sample)]; len(octets) > 2*sample && measure(decoder, top).lost > 1 && !hasReplacement(top) {
		return Text{}, false
	}
	t := measure(decoder, octets)
	return t, t.lost == 0 || hasReplacement(octets)
}

// hasReplacement reports whether U+FFFD stands in a text itself: then it does not
// tell that something was lost.
func hasReplacement(octets []byte) bool { return bytes.Contains(octets, []byte("\uFFFD")) }

// detect looks for the charset of a text. The outcome is what is returned if one
// is found that fits.
func (d *Decoders) detect(name string, octets []byte, tried Text, outcome Outcome) (Text, Outcome) {
	valid := utf8.Valid(octets)
	if valid && !shifts(octets) {
		return asIs(octets), outcome
	}
	declared := lookup(name)
	found, err := chardet.NewTextDetector().DetectBest(octets[:min(len(octets), sample)])
	if err == nil && found.Confidence >= 20 {
		if e := lookup(normal(found.Charset)); e != nil && (e != declared || tried.size == 0) {
			if t, ok := d.try(e, octets); ok {
				return t, outcome
			}
		}
	}
	if valid {
		return asIs(octets), outcome
	}
	if tried.size > 0 && tried.lost*20 < len(octets) {
		return tried, Damaged
	}
	return measure(d.decoder(charmap.Windows1252), octets), outcome
}

// unguessed is a text that is in UTF-8, or else in what everything means something
// in.
func (d *Decoders) unguessed(octets []byte) Text {
	if utf8.Valid(octets) {
		return asIs(octets)
	}
	return measure(d.decoder(charmap.Windows1252), octets)
}
