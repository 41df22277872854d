package email

import (
	"bytes"
)

// guard looks at the raw octets before the parser does, whose time and memory a
// hostile mail can make grow with the square of its size: it walks its list of
// sibling parts for each new one, and reads a part again at every level that it
// is nested in.
func (c Config) guard(raw []byte) error {
	if int64(len(raw)) > c.Largest() {
		return &Error{Limit: "email.max_mib", Value: int64(len(raw)) >> 20, Allows: int64(c.MaxMiB), Offset: c.Largest()}
	}
	if n := headerSize(raw); n > c.MaxHeader {
		return &Error{Limit: "email.max_header", Value: int64(n), Allows: int64(c.MaxHeader), Offset: int64(c.MaxHeader)}
	}
	var boundaries [][]byte
	parts := 0
	for at := 0; at < len(raw); {
		end := bytes.IndexByte(raw[at:], '\n')
		if end < 0 {
			end = len(raw) - at
		}
		line := raw[at : at+end]
		if b := boundaryOf(line); b != nil {
			boundaries = append(boundaries, b)
			if len(boundaries) > c.MaxDepth+c.MaxParts/10 {
				return &Error{Limit: "email.max_depth", Value: int64(len(boundaries)), Allows: int64(c.MaxDepth), Offset: int64(at)}
			}
		}
		if delimits(line, boundaries) {
			parts++
			if parts > c.MaxParts {
				return &Error{Limit: "email.max_parts", Value: int64(parts), Allows: int64(c.MaxParts), Offset: int64(at)}
			}
		}
		at += end + 1
	}
	return nil
}

// headerSize is where the header ends.
func headerSize(raw []byte) int {
	size := len(raw)
	for _, empty := range [][]byte{[]byte("\n\n"), []byte("\n\r\n"), []byte("\r\r")} {
		if at := bytes.Index(raw[:size], empty); at >= 0 {
			size = at
		}
	}
	return size
}

// boundaryOf is the boundary that a line declares, or nil.
func boundaryOf(line []byte) []byte {
	const parameter = "boundary="
	if len(line) > 2000 {
		return nil
	}
	at := bytes.IndexByte(line, '=')
	if at < len(parameter)-1 || !bytes.EqualFold(line[at+1-len(parameter):at+1], []byte(parameter)) {
		at = bytes.Index(bytes.ToLower(line), []byte(parameter))
		if at < 0 {
			return nil
		}
		at += len(parameter) - 1
	}
	b := bytes.Trim(line[at+1:], " \t\r")
	if len(b) > 0 && b[0] == '"' {
		b, _, _ = bytes.Cut(b[1:], []byte(`"`))
		return b
	}
	b, _, _ = bytes.Cut(b, []byte(";"))
	return bytes.TrimSpace(b)
}

// delimits reports whether a line is the delimiter of one of the boundaries.
func delimits(line []byte, boundaries [][]byte) bool {
	if !bytes.HasPrefix(line, []byte("--")) {
		return false
	}
	for _, b := range boundaries {
		if bytes.HasPrefix(line[2:], b) {
			return true
		}
	}
	return false
}
