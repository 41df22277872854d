package local

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// The services of a World, as operations are named after them.
const (
	serviceSQS = "sqs"
	serviceSNS = "sns"
	serviceSES = "ses"
	serviceS3  = "s3"
	serviceSTS = "sts"
)

// maxForm bounds the body of a Query request: the largest mail that SES takes,
// in base64, escaped once more.
const maxForm = 32 << 20

// call is a request of which is known what it asks for.
type call struct {
	service   string // empty: not one of ours, such as a page
	operation string // as the API names it
	handler   http.Handler
}

// name is what the call is counted under and what faults go by:
// "sqs.ReceiveMessage".
func (c call) name() string { return c.service + "." + c.operation }

// route finds out what r asks for. One listener serves all services; they are
// told apart as their protocols differ: SQS has a header, SNS and SES have a
// form with an action and a version, and everything else is S3.
func (w *World) route(rw http.ResponseWriter, r *http.Request) (call, error) {
	if strings.HasPrefix(r.URL.Path, pagesPath) {
		return call{handler: w.pages}, nil
	}
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		operation, ours := strings.CutPrefix(target, "AmazonSQS.")
		if !ours {
			return call{}, &notOfferedError{target}
		}
		return call{serviceSQS, operation, w.SQS}, nil
	}
	if action, version, ok, err := form(rw, r); err != nil || ok {
		return w.routeForm(action, version), err
	}
	if scope := signedFor(r); scope != "" && scope != serviceS3 {
		return call{}, &notOfferedError{scope + " " + r.Method + " " + r.URL.Path}
	}
	return call{serviceS3, s3Operation(r), w.S3}, nil
}

func (w *World) routeForm(action, version string) call {
	switch version {
	case "2010-12-01":
		return call{serviceSES, action, w.SES}
	case "2011-06-15":
		return call{serviceSTS, action, http.HandlerFunc(w.serveSTS)}
	}
	return call{serviceSNS, action, w.SNS}
}

// form reads action and version of a request in the Query protocol, and leaves
// the body as it was. A GET is one too: the link that confirms a subscription.
func form(rw http.ResponseWriter, r *http.Request) (action, version string, ok bool, err error) {
	if r.URL.Path != "/" {
		return "", "", false, nil
	}
	query := r.URL.Query()
	if r.Method == http.MethodGet {
		return query.Get("Action"), query.Get("Version"), query.Has("Action"), nil
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return "", "", false, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxForm))
	if err != nil {
		return "", "", false, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return formValue(body, "Action"), formValue(body, "Version"), true, nil
}

// formValue finds one value of a form without decoding the others, which may be
// megabytes of mail.
func formValue(form []byte, key string) string {
	for pair := range bytes.SplitSeq(form, []byte("&")) {
		value, ok := bytes.CutPrefix(pair, []byte(key+"="))
		if !ok {
			continue
		}
		plain, err := url.QueryUnescape(string(value))
		if err != nil {
			return ""
		}
		return plain
	}
	return ""
}

// signedFor is the service that the request's signature (AWS Signature
// Version 4) names in its credential scope; empty for an unsigned request. The
// signature itself is not checked.
func signedFor(r *http.Request) string {
	_, credential, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return ""
	}
	credential, _, _ = strings.Cut(credential, ",")
	scope := strings.Split(credential, "/")
	if len(scope) < 5 {
		return ""
	}
	return scope[len(scope)-2]
}

// s3Operation names the operation of a request in S3's REST protocol, with a
// path-style address.
func s3Operation(r *http.Request) string {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	switch {
	case bucket == "":
		return "ListBuckets"
	case key == "":
		return bucketOperation(r.Method, query)
	default:
		return objectOperation(r, query)
	}
}

func bucketOperation(method string, query url.Values) string {
	for _, part := range []struct{ parameter, noun string }{
		{"notification", "BucketNotificationConfiguration"},
		{"versioning", "BucketVersioning"},
		{"location", "BucketLocation"},
		{"lifecycle", "BucketLifecycleConfiguration"},
		{"policy", "BucketPolicy"},
	} {
		if query.Has(part.parameter) {
			return verb(method) + part.noun
		}
	}
	switch {
	case method == http.MethodPut:
		return "CreateBucket"
	case method == http.MethodPost && query.Has("delete"):
		return "DeleteObjects"
	case method != http.MethodGet:
		return verb(method) + "Bucket"
	case query.Has("uploads"):
		return "ListMultipartUploads"
	case query.Has("versions"):
		return "ListObjectVersions"
	case query.Get("list-type") == "2":
		return "ListObjectsV2"
	default:
		return "ListObjects"
	}
}

// verb is the word that the names of S3's operations begin with.
func verb(method string) string {
	switch method {
	case http.MethodPut:
		return "Put"
	case http.MethodDelete:
		return "Delete"
	case http.MethodHead:
		return "Head"
	case http.MethodPost:
		return "Post"
	default:
		return "Get"
	}
}

func objectOperation(r *http.Request, query url.Values) string {
	copies := r.Header.Get("X-Amz-Copy-Source") != ""
	upload := query.Has("uploadId")
	switch {
	case r.Method == http.MethodPut && upload && copies:
		return "UploadPartCopy"
	case r.Method == http.MethodPut && upload:
		return "UploadPart"
	case r.Method == http.MethodPut && copies:
		return "CopyObject"
	case r.Method == http.MethodPost && query.Has("uploads"):
		return "CreateMultipartUpload"
	case r.Method == http.MethodPost && upload:
		return "CompleteMultipartUpload"
	case r.Method == http.MethodDelete && upload:
		return "AbortMultipartUpload"
	case r.Method == http.MethodGet && upload:
		return "ListParts"
	default:
		return verb(r.Method) + "Object"
	}
}

// notOfferedError is a request that no service of the World knows.
type notOfferedError struct{ what string }

func (e *notOfferedError) Error() string { return "not offered here: " + e.what }

// refuse answers a request that could not be routed.
func refuse(rw http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	if _, ok := errors.AsType[*notOfferedError](err); ok {
		status = http.StatusNotImplemented
	}
	http.Error(rw, err.Error(), status)
}
