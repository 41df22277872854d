package store_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"go.uber.org/goleak"

	"inreply/local"
	"inreply/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const bucket = "example-mail"

// client is an S3 client that tries once, so that no retry hides what went wrong.
func client(over aws.HTTPClient) *s3.Client {
	return s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), UsePathStyle: true, HTTPClient: over,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""), Retryer: aws.NopRetryer{},
	})
}

// world is a local AWS with a bucket, and its client.
func world(tb testing.TB) (*store.Store, *s3.Client) {
	tb.Helper()
	w := local.New(local.Config{})
	tb.Cleanup(w.Close)
	if err := w.S3.CreateBucket(bucket); err != nil {
		tb.Fatal(err)
	}
	c := client(w.Client())
	return store.New(c), c
}

// put writes an object and returns its version.
func put(tb testing.TB, c *s3.Client, key, content string) (version string) {
	tb.Helper()
	out, err := c.PutObject(tb.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(content), ContentType: aws.String("message/rfc822"),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

func versioning(tb testing.TB, c *s3.Client) {
	tb.Helper()
	_, err := c.PutBucketVersioning(tb.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// wire stands where the network is.
type wire func(r *http.Request) (*http.Response, error)

func (w wire) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, fmt.Errorf("read request: %w", err)
		}
	}
	return w(r)
}

// answer is a response with as much of its body as it says.
func answer(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Length": {fmt.Sprint(len(body))}, "Etag": {`"e1"`}},
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// refusal is an error as S3 writes it.
func refusal(status int, code string) *http.Response {
	return answer(status, fmt.Sprintf("<Error><Code>%s</Code><Message>no</Message></Error>", code))
}

// class is what an error says of itself.
type class struct {
	permanent bool
	outage    string
}

func classOf(err error) class {
	var c class
	var lasting interface{ Permanent() bool }
	if errors.As(err, &lasting) {
		c.permanent = lasting.Permanent()
	}
	var unavailable interface{ Outage() string }
	if errors.As(err, &unavailable) {
		c.outage = unavailable.Outage()
	}
	return c
}

// verbs are all that ask S3, each with its error.
func verbs(s *store.Store) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"open": func(ctx context.Context) error {
			o, err := s.Open(ctx, bucket, "k", "")
			if err == nil {
				_, err = io.ReadAll(o.Body)
				return errors.Join(err, o.Body.Close())
			}
			return err
		},
		"top":  func(ctx context.Context) error { _, err := s.Top(ctx, bucket, "k", "", 10); return err },
		"head": func(ctx context.Context) error { _, err := s.Head(ctx, bucket, "k", ""); return err },
		"get":  func(ctx context.Context) error { _, _, err := s.Get(ctx, bucket, "k"); return err },
		"put new": func(ctx context.Context) error {
			_, err := s.PutNew(ctx, bucket, "k", "text/plain", []byte("x"))
			return err
		},
		"replace": func(ctx context.Context) error {
			_, err := s.Replace(ctx, bucket, "k", `"e1"`, "text/plain", []byte("x"))
			return err
		},
		"list": func(ctx context.Context) error {
			for _, err := range s.List(ctx, bucket, "k", "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func readsObjects(verb string) bool {
	return verb == "open" || verb == "top" || verb == "head" || verb == "list"
}
