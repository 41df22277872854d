package s3

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
)

// defaultContentType is what an object has that was stored without one.
const defaultContentType = "binary/octet-stream"

// conditions are what must hold for a write.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html.
type conditions struct {
	ifAbsent bool   // If-None-Match: *
	ifMatch  string // an ETag, or *
}

func readConditions(header http.Header) (conditions, error) {
	c := conditions{ifMatch: header.Get("If-Match")}
	switch header.Get("If-None-Match") {
	case "":
	case "*":
		c.ifAbsent = true
	default:
		return c, refuse(http.StatusNotImplemented, "NotImplemented",
			"A header you provided implies functionality that is not implemented", "Header", "If-None-Match")
	}
	return c, nil
}

func preconditionFailed(condition string) *Error {
	return refuse(http.StatusPreconditionFailed, "PreconditionFailed",
		"At least one of the pre-conditions you specified did not hold", "Condition", condition)
}

// matches tells whether an ETag is in the list of a condition.
func matches(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.Trim(strings.TrimPrefix(strings.TrimSpace(tag), "W/"), `"`)
		if tag == "*" || tag == etag {
			return true
		}
	}
	return false
}

// checkRead judges the conditions of a GET or HEAD, in the order of RFC 9110 section 13.2.2.
func checkRead(header http.Header, e entry) error {
	modified := e.Modified.Truncate(time.Second)
	if list := header.Get("If-Match"); list != "" {
		if !matches(list, e.ETag) {
			return preconditionFailed("If-Match")
		}
	} else if since, err := http.ParseTime(header.Get("If-Unmodified-Since")); err == nil && modified.After(since) {
		return preconditionFailed("If-Unmodified-Since")
	}
	notModified := refuse(http.StatusNotModified, "NotModified", "Not Modified")
	if list := header.Get("If-None-Match"); list != "" {
		if matches(list, e.ETag) {
			return notModified
		}
	} else if since, err := http.ParseTime(header.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		return notModified
	}
	return nil
}

// getObject answers GetObject and HeadObject.
func (s *Server) getObject(w http.ResponseWriter, r *http.Request, t target) error {
	if t.query.Has("partNumber") {
		return notOffered("GetObject with partNumber")
	}
	o, err := s.store.read(t.bucket, t.key, version(t))
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("ETag", `"`+o.ETag+`"`)
	header.Set("Last-Modified", o.Modified.Format(http.TimeFormat))
	if err := checkRead(r.Header, o.entry); err != nil {
		return err
	}
	part, partial, err := readRange(r.Header.Get("Range"), o.size)
	if err != nil {
		return err
	}
	o.describe(header, t.query)
	header.Set("Content-Length", strconv.FormatInt(part.length, 10))
	status := http.StatusOK
	if partial {
		status = http.StatusPartialContent
		header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.start, part.start+part.length-1, o.size))
	} else if strings.EqualFold(r.Header.Get("X-Amz-Checksum-Mode"), "ENABLED") {
		// A part of the object has none: the checksum is that of the whole.
		o.Checksum.describe(header)
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.CopyN(io.Discard, o.body, part.start); err != nil {
		return fmt.Errorf("read object %s/%s: %w", t.bucket, t.key, err)
	}
	// The caller has gone when this fails; nobody is left to tell.
	_, _ = io.CopyN(w, o.body, part.length)
	return nil
}

// version is the version that a request names. Objects from before versioning go by "null".
func version(t target) string {
	if id := t.query.Get("versionId"); id != "null" {
		return id
	}
	return ""
}

// describe writes an object's headers, as the response-... parameters would have them.
func (o object) describe(header http.Header, query url.Values) {
	header.Set("Content-Type", defaultContentType)
	for name, value := range o.Header {
		header.Set(name, value)
	}
	for _, name := range []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"} {
		if value := query.Get("response-" + strings.ToLower(name)); value != "" {
			header.Set(name, value)
		}
	}
	header.Set("Accept-Ranges", "bytes")
	header.Set("X-Amz-Server-Side-Encryption", "AES256")
	if o.versionID != "" {
		header.Set("X-Amz-Version-Id", o.versionID)
	}
}

// span is a part of an object.
type span struct{ start, length int64 }

// readRange reads a Range header with one range. Like AWS, it takes no notice of one that it
// cannot read, or of several ranges.
func readRange(header string, size int64) (part span, partial bool, err error) {
	ranges, ok := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(ranges, "-")
	start, hasStart := readBound(first)
	end, hasEnd := readBound(last)
	switch {
	case !ok, !dash, !hasStart && first != "", !hasEnd && last != "", !hasStart && !hasEnd, hasStart && hasEnd && end < start:
		return span{0, size}, false, nil
	case !hasStart: // the last bytes
		start, end = max(size-end, 0), size-1
	case !hasEnd, end >= size:
		end = size - 1
	}
	if start >= size {
		return span{}, false, refuse(http.StatusRequestedRangeNotSatisfiable, "InvalidRange", "The requested range is not satisfiable",
			"RangeRequested", header, "ActualObjectSize", strconv.FormatInt(size, 10))
	}
	return span{start, end - start + 1}, true, nil
}

func readBound(text string) (bound int64, ok bool) {
	bound, err := strconv.ParseInt(text, 10, 64)
	return bound, err == nil && bound >= 0
}

func (s *Server) putObject(w http.ResponseWriter, r *http.Request, t target) error {
	c, err := readConditions(r.Header)
	if err != nil {
		return err
	}
	kept, err := keptHeader(r.Header)
	if err != nil {
		return err
	}
	body, sum, err := readBody(r)
	if err != nil {
		return err
	}
	e := entry{ETag: etagOf(body), Header: kept, Checksum: sum}
	written, err := s.store.put(t.bucket, t.key, body, e, c, origin{"ObjectCreated:Put", t.request})
	if err != nil {
		return err
	}
	sum.describe(w.Header())
	describeWrite(w.Header(), written)
	w.WriteHeader(http.StatusOK)
	return nil
}

func describeWrite(header http.Header, written change) {
	header.Set("ETag", `"`+written.etag+`"`)
	header.Set("X-Amz-Server-Side-Encryption", "AES256")
	if written.versionID != "" {
		header.Set("X-Amz-Version-Id", written.versionID)
	}
}

// maxMetadata is the most that the names and values of an object's own metadata may take.
const maxMetadata = 2 << 10

// keptHeader picks the headers that are stored with an object.
func keptHeader(header http.Header) (map[string]string, error) {
	kept := make(map[string]string)
	size := 0
	for name := range header {
		value := header.Get(name)
		switch {
		case strings.HasPrefix(name, "X-Amz-Meta-"):
			size += len(name) - len("X-Amz-Meta-") + len(value)
			kept[name] = value
		case name == "Content-Encoding":
			// aws-chunked is how the body came, not what it is.
			value = strings.Trim(strings.ReplaceAll(value, "aws-chunked", ""), ", ")
			if value != "" {
				kept[name] = value
			}
		case name == "Content-Type", name == "Content-Disposition", name == "Content-Language", name == "Cache-Control", name == "Expires":
			kept[name] = value
		}
	}
	if size > maxMetadata {
		return nil, refuse(http.StatusBadRequest, "MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size",
			"Size", strconv.Itoa(size), "MaxSizeAllowed", strconv.Itoa(maxMetadata))
	}
	return kept, nil
}

// copyObject answers CopyObject with the source's headers, or with new ones where
// x-amz-metadata-directive says REPLACE.
func (s *Server) copyObject(w http.ResponseWriter, r *http.Request, t target) error {
	c, err := readConditions(r.Header)
	if err != nil {
		return err
	}
	source, err := s.readSource(r.Header)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(source.body)
	if err != nil {
		return fmt.Errorf("read source of copy: %w", err)
	}
	e := entry{ETag: etagOf(body), Header: source.Header, Checksum: defaultChecksum(body)}
	if !strings.Contains(source.Checksum.Value, "-") {
		e.Checksum = source.Checksum
	}
	if strings.EqualFold(r.Header.Get("X-Amz-Metadata-Directive"), "REPLACE") {
		if e.Header, err = keptHeader(r.Header); err != nil {
			return err
		}
	}
	written, err := s.store.put(t.bucket, t.key, body, e, c, origin{"ObjectCreated:Copy", t.request})
	if err != nil {
		return err
	}
	describeWrite(w.Header(), written)
	if source.versionID != "" {
		w.Header().Set("X-Amz-Copy-Source-Version-Id", source.versionID)
	}
	w.Header().Del("ETag")
	return writeXML(w, struct {
		XMLName      xml.Name `xml:"CopyObjectResult"`
		Namespace    string   `xml:"xmlns,attr"`
		LastModified string
		ETag         string
	}{Namespace: namespace, LastModified: xmlTime(written.at), ETag: `"` + written.etag + `"`})
}

// readSource reads the object that a copy is made of, if its conditions hold.
func (s *Server) readSource(header http.Header) (object, error) {
	path, rawVersion, _ := strings.Cut(header.Get("X-Amz-Copy-Source"), "?versionId=")
	path, err := url.PathUnescape(path)
	bucket, key, found := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if err != nil || !found || key == "" {
		return object{}, refuse(http.StatusBadRequest, "InvalidArgument", "Invalid copy source object key",
			"ArgumentName", "x-amz-copy-source", "ArgumentValue", header.Get("X-Amz-Copy-Source"))
	}
	t := target{bucket: bucket, key: key, query: url.Values{"versionId": {rawVersion}}}
	source, err := s.store.read(bucket, key, version(t))
	if err != nil {
		return object{}, asError(err, t)
	}
	conditions := make(http.Header)
	for _, name := range []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"} {
		conditions.Set(name, header.Get("X-Amz-Copy-Source-"+name))
	}
	if checkRead(conditions, source.entry) != nil {
		return object{}, preconditionFailed("x-amz-copy-source-If-...")
	}
	return source, nil
}

// deleteObject answers DeleteObject; deleting what is not there succeeds.
func (s *Server) deleteObject(w http.ResponseWriter, r *http.Request, t target) error {
	var deleted gofakes3.ObjectDeleteResult
	var err error
	if id := version(t); id != "" {
		deleted, err = s.store.removeVersion(t.bucket, t.key, id, t.request)
	} else {
		deleted, err = s.store.remove(t.bucket, t.key, conditions{ifMatch: r.Header.Get("If-Match")}, t.request)
	}
	if err != nil {
		return err
	}
	if deleted.IsDeleteMarker {
		w.Header().Set("X-Amz-Delete-Marker", "true")
	}
	if deleted.VersionID != "" {
		w.Header().Set("X-Amz-Version-Id", string(deleted.VersionID))
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func xmlTime(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
