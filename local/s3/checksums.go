package s3

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // Content-MD5 is defined so.
	"crypto/sha1" //nolint:gosec // one of S3's checksums.
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// checksum is the checksum that is kept with an object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html.
type checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1 or SHA256
	Value     string // base64; of a composite one, followed by "-PARTS"
	Type      string // FULL_OBJECT or COMPOSITE
}

const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// crc64nvme is the polynomial of CRC-64/NVME, reversed as package crc64 wants it.
const crc64nvme = 0x9a6c9329ac4bc9b5

// newHash returns nil for an algorithm that S3 does not know.
func newHash(algorithm string) hash.Hash {
	switch algorithm {
	case "CRC32":
		return crc32.NewIEEE()
	case "CRC32C":
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case "CRC64NVME":
		return crc64.New(crc64.MakeTable(crc64nvme))
	case "SHA1":
		return sha1.New() //nolint:gosec // one of S3's checksums.
	case "SHA256":
		return sha256.New()
	}
	return nil
}

// sumOf is the checksum of a whole. The algorithm is one that newHash knows.
func sumOf(algorithm string, body []byte) checksum {
	h := newHash(algorithm)
	h.Write(body)
	return checksum{algorithm, base64.StdEncoding.EncodeToString(h.Sum(nil)), fullObject}
}

// defaultChecksum is the one that S3 makes when a client sends none.
func defaultChecksum(body []byte) checksum { return sumOf("CRC64NVME", body) }

// describe writes a checksum's headers.
func (c checksum) describe(header http.Header) {
	if c.Value == "" {
		return
	}
	header.Set("X-Amz-Checksum-"+c.Algorithm, c.Value)
	header.Set("X-Amz-Checksum-Type", c.Type)
}

// maxObject is the largest object of a single PUT.
const maxObject = 5 << 30

// readBody reads the body of an upload and the checksum that was sent with it, or the default
// one. A body that does not fit its checksum, its Content-MD5 or its length is refused.
func readBody(r *http.Request) ([]byte, checksum, error) {
	chunked := strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-")
	if r.ContentLength < 0 && !chunked {
		return nil, checksum{}, refuse(http.StatusLengthRequired, "MissingContentLength", "You must provide the Content-Length HTTP header.")
	}
	if r.ContentLength > maxObject {
		return nil, checksum{}, refuse(http.StatusBadRequest, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size",
			"MaxSizeAllowed", strconv.Itoa(maxObject))
	}
	var body bytes.Buffer
	trailer, err := make(http.Header), error(nil)
	if chunked {
		trailer, err = readChunked(&body, r.Body)
	} else {
		_, err = io.CopyN(&body, r.Body, r.ContentLength)
	}
	if err != nil {
		return nil, checksum{}, incompleteBody(err)
	}
	if length := r.Header.Get("X-Amz-Decoded-Content-Length"); chunked && length != strconv.Itoa(body.Len()) {
		return nil, checksum{}, incompleteBody(fmt.Errorf("x-amz-decoded-content-length is %s, the body has %d bytes", length, body.Len()))
	}
	if err := checkMD5(r.Header, body.Bytes()); err != nil {
		return nil, checksum{}, err
	}
	sum, err := checkSum(r.Header, trailer, body.Bytes())
	return body.Bytes(), sum, err
}

func incompleteBody(cause error) *Error {
	return refuse(http.StatusBadRequest, "IncompleteBody",
		"You did not provide the number of bytes specified by the Content-Length HTTP header: "+cause.Error())
}

func checkMD5(header http.Header, body []byte) error {
	sent, there := header["Content-Md5"]
	if !there {
		return nil
	}
	expected, err := base64.StdEncoding.DecodeString(sent[0])
	if err != nil || len(expected) != md5.Size {
		return refuse(http.StatusBadRequest, "InvalidDigest", "The Content-MD5 you specified was invalid.", "Content-MD5", sent[0])
	}
	if sum := md5.Sum(body); !bytes.Equal(sum[:], expected) { //nolint:gosec // Content-MD5 is defined so.
		return refuse(http.StatusBadRequest, "BadDigest", "The Content-MD5 you specified did not match what we received.",
			"ExpectedDigest", sent[0], "CalculatedDigest", base64.StdEncoding.EncodeToString(sum[:]))
	}
	return nil
}

// checkSum compares the body with the checksum in the header or trailer.
func checkSum(header, trailer http.Header, body []byte) (checksum, error) {
	sent, err := sentChecksum(header, trailer)
	if err != nil {
		return checksum{}, err
	}
	if sent.Algorithm == "" {
		return defaultChecksum(body), nil
	}
	sum := sumOf(sent.Algorithm, body)
	if len(sent.Value) != len(sum.Value) {
		return checksum{}, refuse(http.StatusBadRequest, "InvalidRequest",
			"Value for x-amz-checksum-"+strings.ToLower(sent.Algorithm)+" header is invalid.")
	}
	if sent.Value != sum.Value {
		return checksum{}, refuse(http.StatusBadRequest, "BadDigest",
			"The "+sent.Algorithm+" you specified did not match the calculated checksum.")
	}
	return sum, nil
}

// sentChecksum finds the checksum that a client sent; none has no algorithm.
func sentChecksum(header, trailer http.Header) (checksum, error) {
	var sent checksum
	for _, algorithm := range []string{"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"} {
		value := header.Get("X-Amz-Checksum-" + algorithm)
		if value == "" {
			value = trailer.Get("X-Amz-Checksum-" + algorithm)
		}
		if value == "" {
			continue
		}
		if sent.Algorithm != "" {
			return checksum{}, refuse(http.StatusBadRequest, "InvalidRequest",
				"Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		sent = checksum{Algorithm: algorithm, Value: value}
	}
	if sent.Algorithm == "" && header.Get("X-Amz-Sdk-Checksum-Algorithm") != "" {
		return checksum{}, refuse(http.StatusBadRequest, "InvalidRequest",
			"x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return sent, nil
}
