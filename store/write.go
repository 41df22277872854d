package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"inreply/tracing"
)

// Get reads a small object. Its error is ErrMissing if there is none.
func (s *Store) Get(ctx context.Context, bucket, key string) (content []byte, etag string, err error) {
	ctx, span := called(ctx, "GetObject", bucket, key)
	defer func() { tracing.End(span, unexpected(err)) }()
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errLate)
	defer cancel()
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if code(err) == "NoSuchKey" {
		return nil, "", ErrMissing
	}
	if err != nil {
		return nil, "", failed(ctx, "get object", bucket, key, err)
	}
	defer out.Body.Close()
	content, err = io.ReadAll(out.Body)
	if err != nil {
		return nil, "", failed(ctx, "read object", bucket, key, err)
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

func (s *Store) put(ctx context.Context, in *s3.PutObjectInput, content []byte, refused error) (etag string, err error) {
	ctx, span := called(ctx, "PutObject", *in.Bucket, *in.Key)
	defer func() { tracing.End(span, unexpected(err)) }()
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
					return "", failed(ctx, "wait to put object", *in.Bucket, *in.Key, err)
				}
				continue
			}
		}
		return "", failed(ctx, "put object", *in.Bucket, *in.Key, err)
	}
}

// unexpected is an error that a trace shows as one: that somebody was faster, or
// nobody was there yet, is an answer.
func unexpected(err error) error {
	if errors.Is(err, ErrMissing) || errors.Is(err, ErrExists) || errors.Is(err, ErrChanged) {
		return nil
	}
	return err
}

// pause waits a little, longer with each try.
func pause(ctx context.Context, try int) error {
	timer := time.NewTimer(time.Duration(rand.Float64() * float64(20*time.Millisecond<<try)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // put says what it waited for
	}
}
