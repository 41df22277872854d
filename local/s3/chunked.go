package s3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// readChunked decodes a body in Content-Encoding aws-chunked and returns its trailer. The SDKs
// send one over TLS: they learn the checksum only while they send. Every chunk is its size in
// hexadecimal, perhaps a signature behind a semicolon, CRLF, the bytes and CRLF; a chunk of size
// 0 ends the body, and the trailer's lines follow. Signatures are not checked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html.
func readChunked(body io.Writer, encoded io.Reader) (trailer http.Header, err error) {
	r := bufio.NewReader(encoded)
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, fmt.Errorf("read chunk: %w", err)
		}
		digits, _, _ := strings.Cut(line, ";")
		size, err := strconv.ParseInt(digits, 16, 64)
		if err != nil || size < 0 {
			return nil, fmt.Errorf("chunk size %q is no hexadecimal number", digits)
		}
		if size == 0 {
			return readTrailer(r)
		}
		if _, err := io.CopyN(body, r, size); err != nil {
			return nil, fmt.Errorf("read chunk: %w", err)
		}
		if line, err := readLine(r); err != nil || line != "" {
			return nil, errors.New("a chunk is longer than its size")
		}
	}
}

// readTrailer reads lines up to an empty one, or the end: some clients leave out the last CRLF.
func readTrailer(r *bufio.Reader) (http.Header, error) {
	trailer := make(http.Header)
	for {
		line, err := readLine(r)
		if line == "" {
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("read trailer: %w", err)
			}
			return trailer, nil
		}
		name, value, _ := strings.Cut(line, ":")
		trailer.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
}

// readLine reads up to LF and takes the line's end away. A last line without one is a line too.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return line, err
}
