// Package guard reads the raw octets of a mail once, before any parser does, and
// says where its parts are.
//
// A parser that is kind to broken mail can be made to spend hours on a small one:
// many parts, deep nesting, endless parameters. [Scan] finds all of that out in
// one pass whose time grows with the size of the mail and with nothing else, and
// which keeps nothing but a few words for each part:
//
//	raw --Scan--> Structure{Parts: header, body, encoding, base64 counts ...; Faults}
//	          \-> *Breach{Limit, Value, Allowed, Offset}
//
// The structure is what RFC 2046 says it is, and where the mail does not keep to
// the RFC, what was most likely meant. Whatever was wrong and could be understood
// all the same is a [Fault], with the place where it was seen; faults and breaches
// carry no octet that the sender wrote.
//
// A part's header and body are ranges of the raw octets: nothing is decoded here,
// so a file of 20 MB costs a look at each octet and no memory.
//
// The scanner goes line by line. A line that begins with two hyphens may be the
// delimiter of any multipart that is open, the longest boundary first, for one
// boundary may begin with another (RFC 2046, section 5.1.2). The delimiter of an
// outer multipart closes the inner ones.
package guard

import (
	"fmt"
	"hash/maphash"
)

// Limits are the most that a mail may have of each. A breach ends the scan.
type Limits struct {
	Size       int64 // octets
	Header     int   // octets of all headers together, those of parts included
	Fields     int   // header fields, those of parts included
	Line       int   // octets in one line
	Parts      int   // parts, multiparts included
	Depth      int   // multiparts within each other
	Boundary   int   // octets of a boundary
	Parameters int   // parameters of one field that describes content
	BadBase64  int   // octets in a hundred of a large base64 body that are not base64
}

// Breach is a limit that a mail does not keep.
type Breach struct {
	Limit   string // "size", "header", "fields", "line", "parts", "depth", "boundary", "parameters", "bad_base64"
	Value   int64  // how far it had come, in the limit's unit
	Allowed int64
	Offset  int64 // octets from the beginning of the mail
}

// String says which limit is broken, by how much, and where.
func (b *Breach) String() string {
	return fmt.Sprintf("limit %s: %d where %d is allowed, at octet %d", b.Limit, b.Value, b.Allowed, b.Offset)
}

// Range are the octets from Start up to End, End excluded.
type Range struct{ Start, End int }

// Of returns these octets of raw.
func (r Range) Of(raw []byte) []byte { return raw[r.Start:r.End] }

// Len is the number of octets.
func (r Range) Len() int { return r.End - r.Start }

// Encoding is a content transfer encoding (RFC 2045, section 6).
type Encoding uint8

// The encodings. Identity stands for 7bit, 8bit and binary, and for what nobody
// knows.
const (
	Identity Encoding = iota
	Base64
	QuotedPrintable
)

// Kind is what the structure depends on in a part's media type.
type Kind uint8

// The kinds.
const (
	Leaf        Kind = iota // not a multipart
	Mixed                   // any multipart that is none of the following
	Alternative             // the same content in several forms
	Related                 // a root and what it refers to
	Digest                  // its parts are mails unless they say otherwise
	Report                  // RFC 6522
)

// Part is one part of a mail, the mail itself being the first.
type Part struct {
	Header   Range // without the empty line; empty if there is none
	Body     Range // as encoded; of a multipart, all that is within
	Parent   int   // index of the multipart it is in; -1 for the mail itself
	Depth    int   // multiparts around it
	Kind     Kind
	Encoding Encoding
	Decoded  int64 // octets after decoding; -1 if that takes decoding
	Bad      int64 // octets in a base64 body that are not base64, white space aside
}

// Structure is what a scan found.
type Structure struct {
	Parts  []Part
	Faults []Fault // one of each code
}

// Fault is something that is wrong with a mail, and was tolerated.
type Fault struct {
	Code   Code
	Offset int64 // where it was first seen
}

// Code names a fault. The codes are stable.
type Code string

// The faults.
const (
	NoHeader          Code = "no-header"              // the mail begins with its text
	NoSeparator       Code = "no-empty-line"          // no empty line between header and body
	MboxLine          Code = "mbox-line"              // a line "From ..." of a mailbox file stands on top
	HeaderLine        Code = "header-line"            // a line in a header is no field
	NoBoundary        Code = "no-boundary"            // a multipart declares no boundary
	LongBoundary      Code = "long-boundary"          // more than the 70 octets of RFC 2046
	AbsentBoundary    Code = "absent-boundary"        // the declared boundary delimits nothing
	Unclosed          Code = "unclosed-multipart"     // the last delimiter of a multipart is missing
	RepeatedField     Code = "repeated-content-field" // two Content-Type fields and the like in one part; the first counts
	MalformedEncoding Code = "malformed-encoding"     // such as "base64;", read as what was meant
	UnknownEncoding   Code = "unknown-encoding"       // the body was left as it is
	CorruptBase64     Code = "corrupt-base64"         // octets that are not base64, or too few
)

// longestBoundary is what RFC 2046, section 5.1.1 allows.
const longestBoundary = 70

// Scan reads a mail. Its lines end in LF or CRLF. A breach comes with an empty
// structure.
func Scan(raw []byte, limits Limits) (Structure, *Breach) {
	if int64(len(raw)) > limits.Size {
		return Structure{}, &Breach{Limit: "size", Value: int64(len(raw)), Allowed: limits.Size, Offset: limits.Size}
	}
	s := scanner{raw: raw, limits: limits, parts: make([]Part, 0, 8), open: make([]level, 0, 4), seed: maphash.MakeSeed()}
	s.scan()
	if s.breach != nil {
		return Structure{}, s.breach
	}
	return Structure{Parts: s.parts, Faults: s.faults}, nil
}
