// Package store is S3 as verbs.
//
//	store.go    open an object, ask about it, read its top, link to it, list
//	write.go    get, put if nobody did before, replace if nobody has since
//	records.go  what outlives a process: the mail record and the sender record
//	errors.go   what an error means
//
// There is no lock in the records. S3's conditional writes decide who was first
// ("Conditional requests" in the S3 user guide): of all who write an object that
// must not exist, one succeeds, and of all who replace what they have read, one.
//
// Errors describe themselves. An object that is gone is permanent. S3 not
// answering, or only with a 5xx or a throttle after the SDK has tried again, is
// an outage of "s3", and so are credentials that S3 no longer takes: no other
// object could be read either. Everything else is neither, and worth another try.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"inreply/tracing"
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
	Body         io.ReadCloser // nil unless it was opened
}

// Open opens an object, of the latest version if versionID is empty. Its size is
// known before its body is read; a body that ends early is an error when it is
// read, and so is one that stops coming.
func (s *Store) Open(ctx context.Context, bucket, key, versionID string) (*Object, error) {
	ctx, span := called(ctx, "GetObject", bucket, key)
	asking, cancel := context.WithCancelCause(ctx)
	late := time.AfterFunc(patience, func() { cancel(errLate) })
	out, err := s.client.GetObject(asking, &s3.GetObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(versionID)})
	late.Stop()
	if err == nil && out.ContentLength == nil {
		err = errNoLength
		defer out.Body.Close()
	}
	if err != nil {
		defer cancel(nil)
		tracing.End(span, err)
		return nil, reading(asking, "get object", bucket, key, err)
	}
	o := &Object{
		Bucket: bucket, Key: key, VersionID: aws.ToString(out.VersionId), ETag: unquoted(out.ETag),
		ContentType: aws.ToString(out.ContentType), Size: aws.ToInt64(out.ContentLength),
		LastModified: aws.ToTime(out.LastModified),
	}
	o.Body = &body{from: out.Body, left: o.Size, ctx: asking, cancel: cancel, late: late, span: span, bucket: bucket, key: key}
	return o, nil
}

// body reads an object to its end: not further, and not less.
type body struct {
	from        io.ReadCloser
	left        int64           // octets that must still come
	ctx         context.Context //nolint:containedctx // of the call whose answer this is
	cancel      context.CancelCauseFunc
	late        *time.Timer // cancels the call; runs while S3 is waited for
	span        trace.Span  // of the call: until the last octet is here
	bucket, key string
}

func (b *body) Read(p []byte) (int, error) {
	b.late.Reset(patience)
	n, err := b.from.Read(p)
	b.late.Stop()
	b.left -= int64(n)
	if errors.Is(err, io.EOF) && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		tracing.Fail(b.span, err)
		err = reading(b.ctx, "read object", b.bucket, b.key, err)
	}
	if b.left <= 0 {
		b.span.End()
	}
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

// Close may be called at any time, also before the end.
func (b *body) Close() error {
	defer b.cancel(nil)
	defer b.span.End() // Ends what has not ended.
	b.late.Stop()
	return b.from.Close() //nolint:wrapcheck // nobody asks why a close failed
}

// Head asks what S3 knows of an object, and reads nothing of it.
func (s *Store) Head(ctx context.Context, bucket, key, versionID string) (_ *Object, err error) {
	ctx, span := called(ctx, "HeadObject", bucket, key)
	defer func() { tracing.End(span, err) }()
	asking, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	out, err := s.client.HeadObject(asking, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, VersionId: optional(versionID)})
	if unexplained(err) {
		// An answer to HEAD has no body, and S3's word for what is wrong would stand
		// in it. The same question by GET is told.
		if _, explained := s.Top(ctx, bucket, key, versionID, 1); explained != nil {
			return nil, explained
		}
	}
	if err == nil && out.ContentLength == nil {
		err = errNoLength
	}
	if err != nil {
		return nil, reading(asking, "ask about object", bucket, key, err)
	}
	return &Object{
		Bucket: bucket, Key: key, VersionID: aws.ToString(out.VersionId), ETag: unquoted(out.ETag),
		ContentType: aws.ToString(out.ContentType), Size: aws.ToInt64(out.ContentLength),
		LastModified: aws.ToTime(out.LastModified),
	}, nil
}

// Top reads the first n octets of an object, or all of a smaller one.
func (s *Store) Top(ctx context.Context, bucket, key, versionID string, n int64) (_ []byte, err error) {
	ctx, span := called(ctx, "GetObject", bucket, key)
	defer func() { tracing.End(span, err) }()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &bucket, Key: &key, VersionId: optional(versionID), Range: aws.String(fmt.Sprintf("bytes=0-%d", n-1)),
	})
	if code(err) == "InvalidRange" {
		return nil, nil // The object is empty: it has no first octet (RFC 9110, section 14.1.1).
	}
	if err != nil {
		return nil, reading(ctx, "get the top of object", bucket, key, err)
	}
	defer out.Body.Close()
	var top bytes.Buffer
	top.Grow(int(min(n, aws.ToInt64(out.ContentLength))) + bytes.MinRead)
	// Whoever does not know ranges sends all of it.
	if _, err := top.ReadFrom(io.LimitReader(out.Body, n)); err != nil {
		return nil, reading(ctx, "read the top of object", bucket, key, err)
	}
	return top.Bytes(), nil
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

// List goes through the objects under a prefix, in the order of their keys, and
// begins behind the key after unless that is empty. It ends with the first error.
func (s *Store) List(ctx context.Context, bucket, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		pages := s3.NewListObjectsV2Paginator(s.client, &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &prefix, StartAfter: optional(after)})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(Object{}, reading(ctx, "list objects under", bucket, prefix, err))
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

// called begins the span of a call.
func called(ctx context.Context, operation, bucket, key string) (context.Context, trace.Span) {
	ctx, span := tracing.Call(ctx, "S3", operation)
	if span.IsRecording() {
		span.SetAttributes(attribute.String("aws.s3.bucket", bucket), attribute.String("aws.s3.key", key))
	}
	return ctx, span
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func unquoted(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
