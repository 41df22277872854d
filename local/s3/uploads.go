package s3

import (
	"bytes"
	"cmp"
	"crypto/md5" //nolint:gosec // ETags are MD5 hashes.
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// minPart is the least that a part may have, but the last.
const minPart = 5 << 20

// uploads are the multipart uploads that were neither completed nor aborted.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html.
type uploads struct {
	mu   sync.Mutex
	open map[string]*upload // by id
}

// upload is one of them. It is guarded by the lock of uploads.
type upload struct {
	id, bucket, key string
	header          map[string]string
	algorithm, kind string // of the whole's checksum
	began           time.Time
	parts           map[int]part
}

// part is one part of an upload.
type part struct {
	body     []byte
	etag     string
	checksum checksum
	at       time.Time
}

// find returns the upload that a request names. The caller holds the lock.
func (u *uploads) find(t target) (*upload, error) {
	found, exists := u.open[t.query.Get("uploadId")]
	if !exists || found.bucket != t.bucket || found.key != t.key {
		return nil, refuse(http.StatusNotFound, "NoSuchUpload",
			"The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
			"UploadId", t.query.Get("uploadId"))
	}
	return found, nil
}

func (s *Server) createUpload(w http.ResponseWriter, r *http.Request, t target) error {
	kept, err := keptHeader(r.Header)
	if err != nil {
		return err
	}
	algorithm := strings.ToUpper(r.Header.Get("X-Amz-Checksum-Algorithm"))
	kind := strings.ToUpper(r.Header.Get("X-Amz-Checksum-Type"))
	if algorithm != "" && newHash(algorithm) == nil {
		return refuse(http.StatusBadRequest, "InvalidRequest",
			"Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	}
	if kind == fullObject && strings.HasPrefix(algorithm, "SHA") || kind == composite && algorithm == "CRC64NVME" {
		return refuse(http.StatusBadRequest, "InvalidRequest",
			"The "+kind+" checksum type cannot be used with the "+strings.ToLower(algorithm)+" checksum algorithm.")
	}
	s.mu.Lock()
	id := base64.RawURLEncoding.EncodeToString(s.random(48))
	s.mu.Unlock()
	created := &upload{
		id: id, bucket: t.bucket, key: t.key, header: kept,
		algorithm: algorithm, kind: kind, began: time.Now(), parts: make(map[int]part),
	}
	if algorithm == "" {
		created.algorithm = "CRC64NVME"
	} else {
		w.Header().Set("X-Amz-Checksum-Algorithm", algorithm)
	}
	if kind == "" {
		created.kind = composite
		if created.algorithm == "CRC64NVME" {
			created.kind = fullObject
		}
	}
	s.uploads.mu.Lock()
	s.uploads.open[id] = created
	s.uploads.mu.Unlock()
	return writeXML(w, struct {
		XMLName   xml.Name `xml:"InitiateMultipartUploadResult"`
		Namespace string   `xml:"xmlns,attr"`
		Bucket    string
		Key       string
		UploadID  string `xml:"UploadId"`
	}{Namespace: namespace, Bucket: t.bucket, Key: t.key, UploadID: id})
}

func (s *Server) uploadPart(w http.ResponseWriter, r *http.Request, t target) error {
	number, err := strconv.Atoi(t.query.Get("partNumber"))
	if err != nil || number < 1 || number > 10000 {
		return refuse(http.StatusBadRequest, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive",
			"ArgumentName", "partNumber", "ArgumentValue", t.query.Get("partNumber"))
	}
	body, sum, err := readBody(r)
	if err != nil {
		return err
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	u, err := s.uploads.find(t)
	if err != nil {
		return err
	}
	stored := part{body: body, etag: etagOf(body), checksum: sum, at: time.Now()}
	u.parts[number] = stored
	w.Header().Set("X-Amz-Checksum-"+sum.Algorithm, sum.Value)
	w.Header().Set("X-Amz-Server-Side-Encryption", "AES256")
	w.Header().Set("ETag", `"`+stored.etag+`"`)
	w.WriteHeader(http.StatusOK)
	return nil
}

// completion is the body of CompleteMultipartUpload.
type completion struct {
	Parts []struct {
		PartNumber int
		ETag       string
	} `xml:"Part"`
}

func (s *Server) completeUpload(w http.ResponseWriter, r *http.Request, t target) error {
	c, err := readConditions(r.Header)
	if err != nil {
		return err
	}
	var asked completion
	if err := xml.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.Parts) == 0 {
		return malformedXML()
	}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	u, err := s.uploads.find(t)
	if err != nil {
		return err
	}
	parts, err := u.choose(asked)
	if err != nil {
		return err
	}
	body, e := u.join(parts)
	written, err := s.store.put(t.bucket, t.key, body, e, c, origin{"ObjectCreated:CompleteMultipartUpload", t.request})
	if err != nil {
		return err
	}
	delete(s.uploads.open, u.id)
	describeWrite(w.Header(), written)
	w.Header().Del("ETag")
	return writeXML(w, completed(r, t, e))
}

// choose picks the parts that the whole is to consist of.
func (u *upload) choose(asked completion) ([]part, error) {
	var chosen []part
	last := 0
	for i, p := range asked.Parts {
		stored, exists := u.parts[p.PartNumber]
		if !exists || stored.etag != strings.Trim(p.ETag, `"`) {
			return nil, refuse(http.StatusBadRequest, "InvalidPart",
				"One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
				"UploadId", u.id, "PartNumber", strconv.Itoa(p.PartNumber), "ETag", p.ETag)
		}
		if p.PartNumber <= last {
			return nil, refuse(http.StatusBadRequest, "InvalidPartOrder",
				"The list of parts was not in ascending order. Parts must be ordered by part number.", "UploadId", u.id)
		}
		if len(stored.body) < minPart && i < len(asked.Parts)-1 {
			return nil, refuse(http.StatusBadRequest, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size",
				"ProposedSize", strconv.Itoa(len(stored.body)), "MinSizeAllowed", strconv.Itoa(minPart), "PartNumber", strconv.Itoa(p.PartNumber))
		}
		last = p.PartNumber
		chosen = append(chosen, stored)
	}
	return chosen, nil
}

// join puts parts together. The ETag of the whole is the hash of the parts' hashes, and so is a
// composite checksum.
func (u *upload) join(parts []part) ([]byte, entry) {
	var body bytes.Buffer
	etags := md5.New()           //nolint:gosec // ETags are MD5 hashes.
	sums := newHash(u.algorithm) // of the parts' checksums
	for _, p := range parts {
		body.Write(p.body)
		hash := md5.Sum(p.body) //nolint:gosec // ETags are MD5 hashes.
		etags.Write(hash[:])
		h := newHash(u.algorithm)
		h.Write(p.body)
		sums.Write(h.Sum(nil))
	}
	count := "-" + strconv.Itoa(len(parts))
	e := entry{ETag: hex.EncodeToString(etags.Sum(nil)) + count, Header: u.header}
	if u.kind == fullObject {
		e.Checksum = sumOf(u.algorithm, body.Bytes())
	} else {
		e.Checksum = checksum{u.algorithm, base64.StdEncoding.EncodeToString(sums.Sum(nil)) + count, composite}
	}
	return body.Bytes(), e
}

// completed is the answer to CompleteMultipartUpload.
func completed(r *http.Request, t target, e entry) any {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	type sum struct {
		XMLName xml.Name
		Value   string `xml:",chardata"`
	}
	return struct {
		XMLName      xml.Name `xml:"CompleteMultipartUploadResult"`
		Namespace    string   `xml:"xmlns,attr"`
		Location     string
		Bucket       string
		Key          string
		ETag         string
		Checksum     sum
		ChecksumType string
	}{
		Namespace: namespace, Location: fmt.Sprintf("%s://%s/%s/%s", scheme, r.Host, t.bucket, t.key),
		Bucket: t.bucket, Key: t.key, ETag: `"` + e.ETag + `"`,
		Checksum:     sum{XMLName: xml.Name{Local: "Checksum" + e.Checksum.Algorithm}, Value: e.Checksum.Value},
		ChecksumType: e.Checksum.Type,
	}
}

func (s *Server) abortUpload(w http.ResponseWriter, t target) error {
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	u, err := s.uploads.find(t)
	if err != nil {
		return err
	}
	delete(s.uploads.open, u.id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) listParts(w http.ResponseWriter, t target) error {
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	u, err := s.uploads.find(t)
	if err != nil {
		return err
	}
	type listed struct {
		PartNumber   int
		LastModified string
		ETag         string
		Size         int
	}
	list := struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		Namespace            string   `xml:"xmlns,attr"`
		Bucket               string
		Key                  string
		UploadID             string `xml:"UploadId"`
		PartNumberMarker     int
		NextPartNumberMarker int `xml:",omitempty"`
		MaxParts             int
		IsTruncated          bool
		Parts                []listed `xml:"Part"`
	}{Namespace: namespace, Bucket: u.bucket, Key: u.key, UploadID: u.id}
	// What is no number counts as 0, and that as the default.
	list.PartNumberMarker, _ = strconv.Atoi(t.query.Get("part-number-marker"))
	list.MaxParts, _ = strconv.Atoi(t.query.Get("max-parts"))
	list.MaxParts = min(cmp.Or(max(list.MaxParts, 0), 1000), 1000)
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= list.PartNumberMarker {
			continue
		}
		if len(list.Parts) == list.MaxParts {
			list.IsTruncated = true
			break
		}
		p := u.parts[number]
		list.Parts = append(list.Parts, listed{number, xmlTime(p.at), `"` + p.etag + `"`, len(p.body)})
		list.NextPartNumberMarker = number
	}
	return writeXML(w, list)
}

// listUploads lists the open uploads of a bucket under a prefix, all on one page.
func (s *Server) listUploads(w http.ResponseWriter, t target) error {
	type listed struct {
		Key          string
		UploadID     string `xml:"UploadId"`
		StorageClass string
		Initiated    string
	}
	list := struct {
		XMLName     xml.Name `xml:"ListMultipartUploadsResult"`
		Namespace   string   `xml:"xmlns,attr"`
		Bucket      string
		Prefix      string `xml:",omitempty"`
		MaxUploads  int
		IsTruncated bool
		Uploads     []listed `xml:"Upload"`
	}{Namespace: namespace, Bucket: t.bucket, Prefix: t.query.Get("prefix"), MaxUploads: 1000}
	s.uploads.mu.Lock()
	defer s.uploads.mu.Unlock()
	for _, u := range s.uploads.open {
		if u.bucket == t.bucket && strings.HasPrefix(u.key, list.Prefix) {
			list.Uploads = append(list.Uploads, listed{u.key, u.id, "STANDARD", xmlTime(u.began)})
		}
	}
	slices.SortFunc(list.Uploads, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Initiated, b.Initiated), cmp.Compare(a.UploadID, b.UploadID))
	})
	return writeXML(w, list)
}
