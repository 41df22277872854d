package s3

import (
	"encoding/xml"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/johannesboyne/gofakes3"
	"go.uber.org/zap"
)

const namespace = "http://s3.amazonaws.com/doc/2006-03-01/"

// Error is a refusal as AWS words it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html.
type Error struct {
	Status  int
	Code    string
	Message string
	// Details are more elements of the answer, such as Key; names and values take turns.
	Details []string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, message string, details ...string) *Error {
	return &Error{status, code, message, details}
}

func noSuchBucket(bucket string) *Error {
	return refuse(http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist", "BucketName", bucket)
}

func noSuchKey(key string) *Error {
	return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.", "Key", key)
}

func notOffered(operation string) *Error {
	return refuse(http.StatusNotImplemented, "NotImplemented", "the local S3 does not offer "+operation)
}

func malformedXML() *Error {
	return refuse(http.StatusBadRequest, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema")
}

// target is what a request is about.
type target struct {
	request
	bucket, key string
	query       url.Values
}

// ServeHTTP answers the REST protocol with path-style addresses: /bucket/key.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = "127.0.0.1"
	}
	t := target{request: s.newRequest(address), query: r.URL.Query()}
	t.bucket, t.key, _ = strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	header := w.Header()
	header.Set("X-Amz-Request-Id", t.id)
	header.Set("X-Amz-Id-2", t.hostID)
	header.Set("Server", "AmazonS3")
	if err := s.route(w, r, t); err != nil {
		s.log.Debug("s3: request refused", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
		writeError(w, r, t, err)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request, t target) error {
	if operation := unoffered(r.Method, t); operation != "" {
		return notOffered(operation)
	}
	if err := checkExpiry(t.query, time.Now()); err != nil {
		return err
	}
	if t.bucket == "" {
		s.rest.ServeHTTP(w, r)
		return nil
	}
	creates := t.key == "" && r.Method == http.MethodPut && !t.query.Has("notification") && !t.query.Has("versioning") && !t.query.Has("lifecycle")
	if exists, _ := s.store.BucketExists(t.bucket); !exists && !creates {
		return noSuchBucket(t.bucket)
	}
	if t.key == "" {
		return s.routeBucket(w, r, t)
	}
	return s.routeObject(w, r, t)
}

// routeBucket leaves to gofakes3 what it does as AWS does.
func (s *Server) routeBucket(w http.ResponseWriter, r *http.Request, t target) error {
	w.Header().Set("X-Amz-Bucket-Region", s.region)
	switch {
	case t.query.Has("location") && r.Method == http.MethodGet:
		return s.getLocation(w)
	case t.query.Has("notification") && r.Method == http.MethodGet:
		return s.getNotification(w, t)
	case t.query.Has("notification") && r.Method == http.MethodPut:
		return s.putNotification(r, t)
	case t.query.Has("lifecycle"):
		return s.lifecycle(w, r, t)
	case t.query.Has("uploads") && r.Method == http.MethodGet:
		return s.listUploads(w, t)
	case r.Method == http.MethodPost && !t.query.Has("delete"):
		return notOffered("PostObject")
	case r.Method == http.MethodPut && !t.query.Has("versioning"):
		if exists, _ := s.store.BucketExists(t.bucket); exists && s.region != "us-east-1" {
			return refuse(http.StatusConflict, "BucketAlreadyOwnedByYou",
				"Your previous request to create the named bucket succeeded and you already own it.", "BucketName", t.bucket)
		}
	case r.Method == http.MethodDelete:
		defer s.forget(t.bucket)
	}
	s.rest.ServeHTTP(w, r)
	return nil
}

// getLocation answers GetBucketLocation, where us-east-1 goes without saying.
func (s *Server) getLocation(w http.ResponseWriter) error {
	location := struct {
		XMLName   xml.Name `xml:"LocationConstraint"`
		Namespace string   `xml:"xmlns,attr"`
		Region    string   `xml:",chardata"`
	}{Namespace: namespace, Region: s.region}
	if s.region == "us-east-1" {
		location.Region = ""
	}
	return writeXML(w, location)
}

func (s *Server) routeObject(w http.ResponseWriter, r *http.Request, t target) error {
	if len(t.key) > 1024 {
		return refuse(http.StatusBadRequest, "KeyTooLongError", "Your key is too long", "MaxSizeAllowed", "1024")
	}
	uploadID := t.query.Get("uploadId")
	switch {
	case uploadID != "" && r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return notOffered("UploadPartCopy")
	case uploadID != "" && r.Method == http.MethodPut:
		return s.uploadPart(w, r, t)
	case uploadID != "" && r.Method == http.MethodPost:
		return s.completeUpload(w, r, t)
	case uploadID != "" && r.Method == http.MethodDelete:
		return s.abortUpload(w, t)
	case uploadID != "" && r.Method == http.MethodGet:
		return s.listParts(w, t)
	case t.query.Has("uploads") && r.Method == http.MethodPost:
		return s.createUpload(w, r, t)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		return s.getObject(w, r, t)
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") != "":
		return s.copyObject(w, r, t)
	case r.Method == http.MethodPut:
		return s.putObject(w, r, t)
	case r.Method == http.MethodDelete:
		return s.deleteObject(w, r, t)
	}
	return refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.")
}

// unoffered names the operation on a sub-resource that is not here. It must come first: a
// server that does not know ?tagging would take the tags for the object.
func unoffered(method string, t target) string {
	if t.bucket == "" {
		return ""
	}
	verb := "Get"
	switch method {
	case http.MethodPut, http.MethodPost:
		verb = "Put"
	case http.MethodDelete:
		verb = "Delete"
	}
	kind := "Bucket"
	if t.key != "" {
		kind = "Object"
	}
	for parameter := range t.query {
		switch parameter {
		case "acl", "tagging", "policy", "policyStatus", "cors", "encryption", "website", "logging", "replication",
			"requestPayment", "ownershipControls", "retention", "legal-hold", "torrent", "attributes", "annotation":
			return verb + kind + camel(parameter)
		case "accelerate", "analytics", "inventory", "metrics", "intelligent-tiering", "metadataConfiguration", "metadataTable", "abac":
			return verb + kind + camel(parameter) + "Configuration"
		case "object-lock":
			return verb + "ObjectLockConfiguration"
		case "publicAccessBlock":
			return verb + "PublicAccessBlock"
		case "restore", "select", "renameObject", "session":
			return camel(parameter) + kind
		}
	}
	return ""
}

// camel turns a sub-resource's name into the form it has in an operation's name.
func camel(parameter string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(parameter, "-") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// checkExpiry refuses a presigned request after its time; the signature is not checked.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html.
func checkExpiry(query url.Values, now time.Time) error {
	if !query.Has("X-Amz-Expires") {
		return nil
	}
	signed, err := time.Parse("20060102T150405Z", query.Get("X-Amz-Date"))
	seconds, err2 := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || err2 != nil || seconds < 0 || seconds > 604800 {
		return refuse(http.StatusBadRequest, "AuthorizationQueryParametersError", "X-Amz-Date must be in the ISO8601 Long Format, X-Amz-Expires a number up to 604800")
	}
	if end := signed.Add(time.Duration(seconds) * time.Second); now.After(end) {
		return refuse(http.StatusForbidden, "AccessDenied", "Request has expired", "X-Amz-Expires", query.Get("X-Amz-Expires"),
			"Expires", end.Format(time.RFC3339), "ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// asError words an error of the storage as AWS does.
func asError(err error, t target) *Error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	var stored gofakes3.Error
	if !errors.As(err, &stored) {
		return refuse(http.StatusInternalServerError, "InternalError", err.Error())
	}
	switch code := stored.ErrorCode(); code {
	case gofakes3.ErrNoSuchKey:
		return noSuchKey(t.key)
	case gofakes3.ErrNoSuchBucket:
		return noSuchBucket(t.bucket)
	case gofakes3.ErrNoSuchVersion:
		return refuse(http.StatusNotFound, string(code), "The specified version does not exist.", "Key", t.key)
	default:
		return refuse(code.Status(), string(code), code.Message())
	}
}

func writeError(w http.ResponseWriter, r *http.Request, t target, err error) {
	refused := asError(err, t)
	header := w.Header()
	if refused.Status == http.StatusNotModified || r.Method == http.MethodHead {
		header.Del("Content-Length")
		w.WriteHeader(refused.Status)
		return
	}
	elements := append([]string{"Code", refused.Code, "Message", refused.Message}, refused.Details...)
	elements = append(elements, "Resource", r.URL.Path, "RequestId", t.id, "HostId", t.hostID)
	var body strings.Builder
	body.WriteString(xml.Header + "<Error>")
	for i := 0; i+1 < len(elements); i += 2 {
		body.WriteString("<" + elements[i] + ">")
		// A strings.Builder takes everything.
		_ = xml.EscapeText(&body, []byte(elements[i+1]))
		body.WriteString("</" + elements[i] + ">")
	}
	body.WriteString("</Error>")
	header.Set("Content-Type", "application/xml")
	header.Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(refused.Status)
	// The caller has gone when this fails; nobody is left to tell.
	_, _ = w.Write([]byte(body.String()))
}

// writeXML answers with a document.
func writeXML(w http.ResponseWriter, document any) error {
	body, err := xml.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(xml.Header)+len(body)))
	// The caller has gone when this fails; nobody is left to tell.
	_, _ = w.Write(append([]byte(xml.Header), body...))
	return nil
}
