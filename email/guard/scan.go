package guard

import (
	"bytes"
	"hash/maphash"
)

// scanner is one pass over a mail.
type scanner struct {
	raw    []byte
	at     int // where the next line begins
	limits Limits

	parts  []Part
	open   []level // from the outermost in
	faults []Fault
	breach *Breach

	seed    maphash.Seed
	hashes  uint64    // bits of the hashes of the open boundaries
	longest int       // octets of the longest of them
	lengths uint64    // bits of their lengths
	firsts  [4]uint64 // bits of their first octets

	header int // octets of headers so far
	fields int // header fields so far
}

// level is a multipart that is open.
type level struct {
	part     int
	boundary []byte
	hash     uint64 // of boundary
	parts    int    // that it has so far
}

// delimiter is a line that ends a part (RFC 2046, section 5.1.1).
type delimiter struct {
	found bool
	level int  // index of the multipart whose boundary it has
	last  bool // it has two more hyphens: no part follows
	start int  // where the line begins
}

func (s *scanner) scan() {
	d := s.part(-1)
	for d.found {
		s.close(d.level+1, d.start, false)
		if d.last {
			s.close(d.level, d.start, true)
			d = s.skip()
			continue
		}
		s.open[d.level].parts++
		d = s.part(s.open[d.level].part)
	}
	s.close(0, len(s.raw), false)
}

// part reads a part up to and with the delimiter behind it; of a multipart, up
// to and with the delimiter before its first part.
func (s *scanner) part(parent int) delimiter {
	p := len(s.parts)
	if p >= s.limits.Parts {
		s.refuse("parts", p+1, s.limits.Parts, s.at)
		return delimiter{}
	}
	depth := 0
	if parent >= 0 {
		depth = s.parts[parent].Depth + 1
	}
	s.parts = append(s.parts, Part{Parent: parent, Depth: depth})
	c, d := s.readHeader(p)
	if d.found || s.breach != nil {
		end := s.parts[p].Header.End
		s.parts[p].Body = Range{end, end}
		return d
	}
	s.parts[p].Body = Range{s.at, len(s.raw)}
	boundary := s.describe(p, c)
	if boundary == nil {
		return s.leaf(p)
	}
	if len(s.open) >= s.limits.Depth {
		s.refuse("depth", len(s.open)+1, s.limits.Depth, s.at)
		return delimiter{}
	}
	s.open = append(s.open, level{part: p, boundary: boundary, hash: maphash.Bytes(s.seed, boundary)})
	s.look()
	return s.skip()
}

// close ends the open multiparts from a level on. An octet offset is where.
func (s *scanner) close(from, offset int, properly bool) {
	for i := len(s.open) - 1; i >= from; i-- {
		l := s.open[i]
		p := &s.parts[l.part]
		p.Body.End = offset
		if l.parts == 0 {
			// What looks like a preamble is all the text there is.
			s.fault(AbsentBoundary, p.Body.Start)
			p.Kind = Leaf
			p.Body.End = max(p.Body.Start, s.beforeLineEnd(offset))
			p.Decoded = int64(p.Body.Len())
		} else if !properly {
			s.fault(Unclosed, offset)
		}
	}
	s.open = s.open[:from]
	s.look()
}

// skip reads a preamble or an epilogue, up to and with the delimiter behind it.
func (s *scanner) skip() delimiter { return s.search() }

// leaf reads the body of a part that has none within it.
func (s *scanner) leaf(p int) delimiter {
	d := s.search()
	if s.breach != nil {
		return d
	}
	body := &s.parts[p].Body
	body.End = len(s.raw)
	if d.found {
		body.End = max(body.Start, s.beforeLineEnd(d.start))
	}
	s.measure(p)
	return d
}

// search reads up to and with the next delimiter. Nearly all octets of a mail
// pass through here, and nothing of a line matters but whether two hyphens begin
// it: so lines are not cut, but that is what is looked for, and how long lines
// are is seen to afterwards.
func (s *scanner) search() delimiter {
	raw, begin := s.raw, s.at
	var d delimiter
	end, firsts := len(raw), s.firsts
	for at := begin; at < len(raw); {
		if !twoHyphens(raw, at) {
			at = leap(raw, at)
			continue
		}
		if at+2 < len(raw) {
			c := raw[at+2]
			if c == '\n' {
				at += 3
				continue
			}
			if firsts[c/64]&(1<<(c%64)) == 0 {
				at = behindLine(raw, at+2)
				continue
			}
		}
		n := lineLength(raw[at:])
		if d = s.delimits(raw[at:at+n], at); d.found {
			end = min(len(raw), at+n+1)
			break
		}
		at += n + 1
	}
	s.at = end
	if s.long(begin, end) || !d.found {
		return delimiter{}
	}
	return d
}

// begins reports whether the boundary of an open multipart may begin with an octet.
func (s *scanner) begins(c byte) bool { return s.firsts[c/64]&(1<<(c%64)) != 0 }

func twoHyphens(raw []byte, at int) bool {
	return at+1 < len(raw) && raw[at] == '-' && raw[at+1] == '-'
}

// few is how many octets are looked at one by one, because a search that begins
// anew is worth it only for more.
const few = 32

// leap is where the next line begins, behind an octet, that begins with two
// hyphens; the end if none does. Hyphens are rarer than lines, so they are what is
// searched; where they are not, it costs what a look at each octet does.
func leap(raw []byte, at int) int {
	for {
		near := min(at+few, len(raw)-2)
		for ; at < near; at++ {
			if raw[at] == '\n' && raw[at+1] == '-' && raw[at+2] == '-' {
				return at + 1
			}
		}
		if at >= len(raw)-2 {
			return len(raw)
		}
		n := bytes.Index(raw[at+1:], []byte("--"))
		if n < 0 {
			return len(raw)
		}
		at += n + 1
		if raw[at-1] == '\n' {
			return at
		}
	}
}

// behindLine is where the next line begins.
func behindLine(raw []byte, at int) int {
	for near := min(at+few, len(raw)); at < near; at++ {
		if raw[at] == '\n' {
			return at + 1
		}
	}
	if n := bytes.IndexByte(raw[at:], '\n'); n >= 0 {
		return at + n + 1
	}
	return len(raw)
}

// lineLength is how long the first line is, without its LF.
func lineLength(text []byte) int {
	for n, c := range text[:min(few, len(text))] {
		if c == '\n' {
			return n
		}
	}
	if n := bytes.IndexByte(text, '\n'); n >= 0 {
		return n
	}
	return len(text)
}

// long reports, and refuses, the first line between two line beginnings that is
// too long. It leaps as far as a line may be long and looks back for its end.
func (s *scanner) long(from, to int) bool {
	limit := s.limits.Line
	for to-from > limit {
		n := bytes.LastIndexByte(s.raw[from:from+limit+1], '\n')
		if n < 0 {
			n = bytes.IndexByte(s.raw[from:to], '\n')
			if n < 0 {
				n = to - from
			}
			s.refuse("line", n, limit, from)
			return true
		}
		from += n + 1
	}
	return false
}

// measure says how large a leaf is when it is decoded.
func (s *scanner) measure(p int) {
	part := &s.parts[p]
	switch part.Encoding {
	case Identity:
		part.Decoded = int64(part.Body.Len())
	case QuotedPrintable:
		part.Decoded = -1
	case Base64:
		var t tally
		t.add(part.Body.Of(s.raw))
		t.end()
		part.Decoded, part.Bad = t.decoded, t.bad
		if t.bad > 0 {
			s.fault(CorruptBase64, part.Body.Start)
		}
		if size := int64(part.Body.Len()); size >= largeBody && t.bad*100 > size*int64(s.limits.BadBase64) {
			s.refuse("bad_base64", int(t.bad*100/size), s.limits.BadBase64, part.Body.Start)
		}
	}
}

// largeBody is from how many octets on a share of bad ones is a limit: a short
// text that is declared as base64 and is none does no harm.
const largeBody = 64 << 10

// beforeLineEnd is where the line end before a delimiter begins: it belongs to
// the delimiter (RFC 2046, section 5.1.1).
func (s *scanner) beforeLineEnd(offset int) int {
	if offset == len(s.raw) {
		return offset
	}
	if offset > 0 && s.raw[offset-1] == '\n' {
		offset--
	}
	if offset > 0 && s.raw[offset-1] == '\r' {
		offset--
	}
	return offset
}

// delimits reports whether a line is the delimiter of an open multipart. The
// longest boundary counts, and of equal ones the innermost. White space may
// follow, and nothing else.
func (s *scanner) delimits(line []byte, start int) delimiter {
	d := delimiter{start: start}
	if len(line) < 3 || line[0] != '-' || line[1] != '-' {
		return d
	}
	end := len(line)
	if line[end-1] > ' ' && s.lengths&(1<<((end-2)%64)|1<<(max(end-4, 0)%64)) == 0 {
		return d // no boundary is that long
	}
	for end > 2 && (line[end-1] == ' ' || line[end-1] == '\t' || line[end-1] == '\r') {
		end--
	}
	plain := line[2:end]
	if i := s.find(plain); i >= 0 {
		d.found, d.level = true, i
		return d
	}
	if last, is := bytes.CutSuffix(plain, []byte("--")); is {
		if i := s.find(last); i >= 0 {
			d.found, d.level, d.last = true, i, true
		}
	}
	return d
}

// find is the index of the innermost open multipart with this boundary; -1 if
// there is none. A line that is no delimiter, but looks like one, is told by its
// hash, however many multiparts are open and however alike their boundaries are.
func (s *scanner) find(boundary []byte) int {
	if len(boundary) == 0 || s.lengths&(1<<(len(boundary)%64)) == 0 || len(boundary) > s.longest || !s.begins(boundary[0]) {
		return -1
	}
	if len(s.open) == 1 {
		if bytes.Equal(s.open[0].boundary, boundary) {
			return 0
		}
		return -1
	}
	h := maphash.Bytes(s.seed, boundary)
	if s.hashes&(1<<(h%64)) == 0 {
		return -1
	}
	for i := len(s.open) - 1; i >= 0; i-- {
		if l := &s.open[i]; l.hash == h && bytes.Equal(l.boundary, boundary) {
			return i
		}
	}
	return -1
}

// look keeps what find needs to know of the open multiparts.
func (s *scanner) look() {
	s.hashes, s.longest, s.lengths, s.firsts = 0, 0, 0, [4]uint64{}
	for i := range s.open {
		l := &s.open[i]
		s.hashes |= 1 << (l.hash % 64)
		s.longest = max(s.longest, len(l.boundary))
		s.lengths |= 1 << (len(l.boundary) % 64)
		s.firsts[l.boundary[0]/64] |= 1 << (l.boundary[0] % 64)
	}
}

// blank reports whether there is nothing but white space.
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// line takes the next line, without its LF, and keeps its length in bounds.
func (s *scanner) line() []byte {
	rest := s.raw[s.at:]
	n := bytes.IndexByte(rest, '\n')
	if n < 0 {
		n = len(rest)
		s.at = len(s.raw)
	} else {
		s.at += n + 1
	}
	if n > s.limits.Line {
		s.refuse("line", n, s.limits.Line, len(s.raw)-len(rest))
	}
	return rest[:n]
}

// refuse keeps the first breach, and ends the scan.
func (s *scanner) refuse(limit string, value, allowed, offset int) {
	if s.breach == nil {
		s.breach = &Breach{Limit: limit, Value: int64(value), Allowed: int64(allowed), Offset: int64(offset)}
	}
	s.at = len(s.raw)
}

// fault keeps the first of each fault.
func (s *scanner) fault(code Code, offset int) {
	for _, f := range s.faults {
		if f.Code == code {
			return
		}
	}
	s.faults = append(s.faults, Fault{Code: code, Offset: int64(offset)})
}
