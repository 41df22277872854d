// Package store is S3 as verbs: open, read the top, put if nobody else did,
// replace if nobody else has. On these stand the records that outlive a process:
// the mail record and the sender record (records.go). There is no lock and no
// list in them; S3's conditional writes decide who was first
// ("Conditional requests" in the S3 user guide).
//
// Errors describe themselves. An object that is gone is permanent; S3 not
// answering, or only with a 5xx or a throttle after the SDK has tried again, is
// an outage of "s3"; everything else is neither, and worth another try.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// What the verbs find.
var (
	ErrMissing = errors.New("there is no such object")
	ErrExists  = errors.New("the object exists already")
	ErrChanged = errors.New("the object has changed")
)

// Store is S3. It is safe for concurrent use.
type Store struct{ client *s3.Client }

// New returns a Store.
func New(client *s3.Client) *Store { return &Store{client: client} }

// Object is one object, open for reading. Whoever opened it closes Body.
type Object struct {
	Bucket       string
	Key          string
	VersionID    string // empty in a bucket without versioning
	ETag         string // without quotes
	ContentType  string
	Size         int64 // octets; of Body
	LastModified time.Time
	Body         io.ReadCloser // nil in a list
}

// Open opens an object, of the latest version if versionID is empty. Its size is
// known before its body is read; a body that ends early is an error when it is
// read.
func (s *Store) Open(ctx context.Context, bucket, key, versionID string) (*Object, error) {
	asking, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(patience, func() { cancel(errLate) })
	out, err := s.client.GetObject(asking, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(versionID)})
	late.Stop()
	if err != nil {
		defer cancel(nil)
		return nil, failure(asking, "get object", bucket, key, err)
	}
	return &Object{
		Bucket: bucket, Key: key, VersionID: aws.ToString(out.VersionId), ETag: unquoted(out.ETag),
		ContentType: aws.ToString(out.ContentType), Size: aws.ToInt64(out.ContentLength),
		LastModified: aws.ToTime(out.LastModified), Body: body{out.Body, asking, cancel, bucket, key},
	}, nil
}

// body names the object in errors of reading it.
type body struct {
	io.ReadCloser
	ctx         context.Context //nolint:containedctx // of the call whose answer this is
	cancel      context.CancelCauseFunc
	bucket, key string
}

func (b body) Close() error {
	defer b.cancel(nil)
	return b.ReadCloser.Close() //nolint:wrapcheck // nobody asks why a close failed
}

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = failure(b.ctx, "read object", b.bucket, b.key, err)
	}
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

// Top reads the first n octets of an object, or all of a smaller one.
func (s *Store) Top(ctx context.Context, bucket, key, versionID string, n int64) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &bucket, Key: &key, VersionId: optional(versionID), Range: aws.String(fmt.Sprintf("bytes=0-%d", n-1)),
	})
	if code(err) == "InvalidRange" {
		return nil, nil // The object is empty: it has no first octet (RFC 9110, section 14.1.1).
	}
	if err != nil {
		return nil, failure(ctx, "get the top of object", bucket, key, err)
	}
	defer out.Body.Close() //nolint:errcheck // it was read
	top, err := io.ReadAll(io.LimitReader(out.Body, n))
	if err != nil {
		return nil, failure(ctx, "read the top of object", bucket, key, err)
	}
	return top, nil
}

// Get reads a small object. Its error is ErrMissing if there is none.
func (s *Store) Get(ctx context.Context, bucket, key string) (content []byte, etag string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if code(err) == "NoSuchKey" {
		return nil, "", ErrMissing
	}
	if err != nil {
		return nil, "", failure(ctx, "get object", bucket, key, err)
	}
	defer out.Body.Close() //nolint:errcheck // it was read
	content, err = io.ReadAll(out.Body)
	if err != nil {
		return nil, "", failure(ctx, "read object", bucket, key, err)
	}
	return content, aws.ToString(out.ETag), nil
}

// PutNew writes an object that must not exist. Its error is ErrExists if it
// does. A retry of the SDK may meet its own first write and report it so: who
// needs to know writes something into the object that only he can know.
func (s *Store) PutNew(ctx context.Context, bucket, key, contentType string, content []byte) (etag string, err error) {
	return s.put(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: &contentType, IfNoneMatch: aws.String("*")}, content, ErrExists)
}

// Replace writes an object over the one that had this ETag. Its error is
// ErrChanged if that is no longer there.
func (s *Store) Replace(ctx context.Context, bucket, key, etag, contentType string, content []byte) (string, error) {
	return s.put(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key, ContentType: &contentType, IfMatch: &etag}, content, ErrChanged)
}

// conflicts is how often a write is tried that met another one under way.
const conflicts = 5

func (s *Store) put(ctx context.Context, in *s3.PutObjectInput, content []byte, refused error) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	for try := 0; ; try++ {
		in.Body = bytes.NewReader(content)
		out, err := s.client.PutObject(ctx, in)
		switch code(err) {
		case "":
			if err == nil {
				return aws.ToString(out.ETag), nil
			}
		case "PreconditionFailed":
			return "", refused
		case "NoSuchKey":
			return "", ErrChanged // If-Match on what is no longer there.
		case "ConditionalRequestConflict":
			// Another write of the key was under way; S3 asks to try again.
			if try < conflicts {
				if err := pause(ctx, try); err != nil {
					return "", err
				}
				continue
			}
		}
		return "", failure(ctx, "put object", *in.Bucket, *in.Key, err)
	}
}

// pause waits a little, longer with each try.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(time.Duration(rand.Float64() * float64(20*time.Millisecond<<try))) //nolint:gosec // jitter
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait to write again: %w", context.Cause(ctx))
	}
}

// Presign returns a link that reads an object until it expires. It also dies
// with the credentials that signed it.
func (s *Store) Presign(ctx context.Context, bucket, key, versionID string, ttl time.Duration) (link string, expires time.Time, err error) {
	expires = time.Now().Add(ttl)
	signed, err := s3.NewPresignClient(s.client).PresignGetObject(ctx,
		&s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(versionID)}, s3.WithPresignExpires(ttl))
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign a link to %s/%s: %w", bucket, key, err)
	}
	return signed.URL, expires, nil
}

// List goes through the objects under a prefix, in the order of their keys. It
// ends with the first error.
func (s *Store) List(ctx context.Context, bucket, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, failure(ctx, "list objects under", bucket, prefix, err))
				return
			}
			for _, o := range page.Contents {
				object := Object{
					Bucket: bucket, Key: aws.ToString(o.Key), ETag: unquoted(o.ETag),
					Size: aws.ToInt64(o.Size), LastModified: aws.ToTime(o.LastModified),
				}
				if !yield(object, nil) {
					return
				}
			}
		}
	}
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }

// Error is why a verb failed.
type Error struct {
	verb, bucket, key string
	permanent, outage bool
	err               error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s/%s: %v", e.verb, e.bucket, e.key, e.err) }
func (e *Error) Unwrap() error { return e.err }

// Permanent reports whether the object is gone for good.
func (e *Error) Permanent() bool { return e.permanent }

// Outage is "s3" when S3 does not answer, or not usefully.
func (e *Error) Outage() string {
	if e.outage {
		return "s3"
	}
	return ""
}

// patience is how long S3 is waited for in one call. An S3 that takes longer is
// out; what its caller's own time ended before is the caller's affair.
const patience = 20 * time.Second

var errLate = errors.New("S3 did not answer in time")

// failure wraps what S3 or the way to it said.
func failure(ctx context.Context, verb, bucket, key string, err error) error {
	if errors.Is(context.Cause(ctx), errLate) {
		return &Error{verb: verb, bucket: bucket, key: key, err: errLate, outage: true}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s %s/%s: %w", verb, bucket, key, err)
	}
	return &Error{verb: verb, bucket: bucket, key: key, err: err, permanent: gone(err), outage: out(err)}
}

// gone reports whether an object will not come back. Without the permission to
// list the bucket, S3 answers 403 for a missing key too (GetObject in the S3 API
// reference), so a 403 may be a missing permission as well, which somebody will
// grant: it is not permanent.
func gone(err error) bool {
	switch code(err) {
	case "NoSuchKey", "NoSuchVersion", "NotFound", "NoSuchBucket", "InvalidObjectState", "MethodNotAllowed":
		return true
	}
	return false
}

// out reports whether S3 is out: nothing came back, or it said that it cannot.
func out(err error) bool {
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status := r.HTTPStatusCode()
		return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || code(err) == "SlowDown"
	}
	// No response: the connection, the name, the time. An error of the SDK before
	// it asked, such as a missing region, is none of these.
	if _, asked := errors.AsType[*smithy.OperationError](err); !asked {
		return true // while reading a body
	}
	_, unsent := errors.AsType[*smithy.SerializationError](err)
	return !unsent
}

// code is S3's error code; empty if there is none.
func code(err error) string {
	if e, ok := errors.AsType[*types.NoSuchKey](err); ok {
		return e.ErrorCode()
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}
