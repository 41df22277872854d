package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// What the verbs find.
var (
	ErrMissing = errors.New("there is no such object")
	ErrExists  = errors.New("the object exists already")
	ErrChanged = errors.New("the object has changed")
)

// Error is why a verb failed.
type Error struct {
	verb, bucket, key string
	permanent, outage bool
	err               error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s/%s: %v", e.verb, e.bucket, e.key, e.err) }
func (e *Error) Unwrap() error { return e.err }

// Permanent reports whether the object that was to be read is gone for good.
func (e *Error) Permanent() bool { return e.permanent }

// Outage is "s3" when S3 does not answer, or not usefully.
func (e *Error) Outage() string {
	if e.outage {
		return "s3"
	}
	return ""
}

// patience is how long S3 is waited for in one call, and for each part of a body.
// An S3 that takes longer is out; what its caller's own time ended before is the
// caller's affair.
const patience = 20 * time.Second

// What S3 did wrong without an error of its own.
var (
	errLate     = errors.New("S3 did not answer in time")
	errNoLength = errors.New("S3 did not say how long it is")
)

// reading wraps what S3, or the way to it, said of an object that was announced.
func reading(ctx context.Context, verb, bucket, key string, err error) error {
	wrapped := failed(ctx, verb, bucket, key, err)
	if e, ok := wrapped.(*Error); ok { //nolint:errorlint // made by failed
		e.permanent = gone(err)
	}
	return wrapped
}

// failed wraps what S3, or the way to it, said.
func failed(ctx context.Context, verb, bucket, key string, err error) error {
	if errors.Is(context.Cause(ctx), errLate) {
		return &Error{verb: verb, bucket: bucket, key: key, err: errLate, outage: true}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s/%s: %w", verb, bucket, key, err)
	}
	return &Error{verb: verb, bucket: bucket, key: key, err: err, outage: out(err)}
}

// gone reports whether an object will not come back: it is deleted, the version
// is, or it was archived. Without the permission to list the bucket, S3 answers
// 403 for a missing key too (GetObject in the S3 API reference), so a 403 may be a
// missing permission as well, which somebody will grant: it is not permanent.
func gone(err error) bool {
	switch code(err) {
	case "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "InvalidObjectState", "MethodNotAllowed":
		return true
	}
	return false
}

// unexplained reports whether S3 refused, and what it refused for stood in a body
// that a HEAD does not have ("HeadObject" in the S3 API reference).
func unexplained(err error) bool {
	r, ok := errors.AsType[*awshttp.ResponseError](err)
	return ok && r.HTTPStatusCode() >= http.StatusBadRequest && r.HTTPStatusCode() < http.StatusInternalServerError
}

// unusable are the answers to credentials or to a clock, not to what was asked.
func unusable() []string {
	return []string{"ExpiredToken", "InvalidToken", "TokenRefreshRequired", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestTimeTooSkewed"}
}

// out reports whether S3 is out: nothing came back, or only a part of it, or it
// said that it cannot.
func out(err error) bool {
	if slices.Contains(unusable(), code(err)) || code(err) == "RequestTimeout" {
		return true
	}
	if (retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}).IsErrorThrottle(err) == aws.TrueTernary {
		return true
	}
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status := r.HTTPStatusCode()
		return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status < http.StatusMultipleChoices
	}
	if errors.Is(err, errNoLength) {
		return false
	}
	// There was no response: the connection, the name, the time, the credentials. An
	// error of the SDK before it asked, such as a missing region, is none of these.
	if _, asked := errors.AsType[*smithy.OperationError](err); !asked {
		return true // while reading a body
	}
	_, unsent := errors.AsType[*smithy.SerializationError](err)
	return !unsent
}

// code is S3's error code; empty if there is none.
func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}
