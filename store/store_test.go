package store_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inreply/local"
	"inreply/store"
)

func TestOpen(t *testing.T) {
	s, c := world(t)
	versioning(t, c)
	first := put(t, c, "inbound/a b+ü", "one")
	put(t, c, "inbound/a b+ü", "twice")
	put(t, c, "empty", "")
	tests := map[string]struct{ key, version, content, etag string }{
		"latest":        {"inbound/a b+ü", "", "twice", "acab8a08d87398bb78bcb3aa85d07336"},
		"older version": {"inbound/a b+ü", first, "one", "f97c5d29941bfb1b2fdab0874906ab82"},
		"empty":         {"empty", "", "", "d41d8cd98f00b204e9800998ecf8427e"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.Open(t.Context(), bucket, test.key, test.version)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(got.Body)
			if err := errors.Join(err, got.Body.Close()); err != nil || string(content) != test.content {
				t.Errorf("read %q, %v", content, err)
			}
			want := &store.Object{Bucket: bucket, Key: test.key, ETag: test.etag, ContentType: "message/rfc822", Size: int64(len(test.content))}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(store.Object{}, "Body", "VersionID", "LastModified")); diff != "" {
				t.Errorf("opened otherwise (-want +got):\n%s", diff)
			}
			if got.VersionID == "" || test.version != "" && got.VersionID != test.version {
				t.Errorf("version %q, want %q", got.VersionID, test.version)
			}
			if age := time.Since(got.LastModified); age < -time.Minute || age > time.Hour {
				t.Errorf("last modified %s", got.LastModified)
			}
		})
	}
}

// TestHead: what S3 knows of an object is what opening it tells.
func TestHead(t *testing.T) {
	s, c := world(t)
	versioning(t, c)
	first := put(t, c, "drop/a b+ü.pdf", "one")
	put(t, c, "drop/a b+ü.pdf", "twice")
	put(t, c, "empty", "")
	for _, at := range [][2]string{{"drop/a b+ü.pdf", ""}, {"drop/a b+ü.pdf", first}, {"empty", ""}} {
		opened, err := s.Open(t.Context(), bucket, at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		_ = opened.Body.Close()
		got, err := s.Head(t.Context(), bucket, at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(opened, got, cmpopts.IgnoreFields(store.Object{}, "Body")); diff != "" {
			t.Errorf("%s: known otherwise (-opened +asked):\n%s", at[0], diff)
		}
		if got.Body != nil || got.VersionID == "" {
			t.Errorf("%+v", got)
		}
	}
}

// TestHeadReadsNothing: one call, and no octet of the object. Only a refusal, which
// a HEAD does not explain, is asked for once more.
func TestHeadReadsNothing(t *testing.T) {
	var asked []string
	status := http.StatusOK
	s := store.New(client(wire(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.Method)
		if status == http.StatusOK {
			return answer(200, "x"), nil
		}
		if r.Method == http.MethodHead {
			return answer(status, ""), nil
		}
		return refusal(status, "ExpiredToken"), nil
	})))
	if _, err := s.Head(t.Context(), bucket, "k", ""); err != nil {
		t.Fatal(err)
	}
	status = http.StatusBadRequest
	if _, err := s.Head(t.Context(), bucket, "k", ""); classOf(err) != (class{outage: "s3"}) {
		t.Errorf("%v is %+v", err, classOf(err))
	}
	if diff := cmp.Diff([]string{"HEAD", "HEAD", "GET"}, asked); diff != "" {
		t.Errorf("asked otherwise (-want +got):\n%s", diff)
	}
}

// TestHeadOfWhatIsThereAgain: what HEAD does not find and GET does is worth another
// try.
func TestHeadOfWhatIsThereAgain(t *testing.T) {
	s := store.New(client(wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodHead {
			return answer(404, ""), nil
		}
		return answer(200, "x"), nil
	})))
	if _, err := s.Head(t.Context(), bucket, "k", ""); err == nil || classOf(err) != (class{}) {
		t.Errorf("%v is %+v", err, classOf(err))
	}
}

func TestTop(t *testing.T) {
	s, c := world(t)
	const n = 10
	for name, content := range map[string]string{
		"empty": "", "shorter": "short", "as long": "0123456789", "longer": "0123456789abc",
	} {
		put(t, c, name, content)
		got, err := s.Top(t.Context(), bucket, name, "", n)
		if err != nil || string(got) != content[:min(n, len(content))] {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// TestTopWithoutRanges: who does not know ranges sends the whole object.
func TestTopWithoutRanges(t *testing.T) {
	s := store.New(client(wire(func(*http.Request) (*http.Response, error) { return answer(200, "0123456789abc"), nil })))
	if got, err := s.Top(t.Context(), bucket, "k", "", 4); err != nil || string(got) != "0123" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestOpenLeavesTheRest: a body may be closed before its end.
func TestOpenLeavesTheRest(t *testing.T) {
	s, c := world(t)
	put(t, c, "long", strings.Repeat("x", 1<<20))
	o, err := s.Open(t.Context(), bucket, "long", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(o.Body, make([]byte, 10)); err != nil {
		t.Error(err)
	}
	if err := o.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestPresign(t *testing.T) {
	w := local.New(local.Config{})
	t.Cleanup(w.Close)
	if err := w.S3.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	c := client(w.Client())
	versioning(t, c)
	first := put(t, c, "a b", "one")
	put(t, c, "a b", "two")
	for version, want := range map[string]string{"": "two", first: "one"} {
		link, expires, err := store.New(c).Presign(t.Context(), bucket, "a b", version, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if left := time.Until(expires); left <= 0 || left > time.Hour || !strings.Contains(link, "X-Amz-Expires=3600") {
			t.Errorf("expires in %s: %s", left, link)
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := w.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil || string(content) != want {
			t.Errorf("the link leads to %q, %v; want %q", content, err, want)
		}
	}
}

func TestList(t *testing.T) {
	s, c := world(t)
	const many = 1005 // more than a page
	for i := range many {
		put(t, c, "in/"+strings.Repeat("a", i%7)+time.Duration(i).String(), "x")
	}
	put(t, c, "out/1", "x")
	var keys []string
	for o, err := range s.List(t.Context(), bucket, "in/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if o.Bucket != bucket || o.Size != 1 || strings.Contains(o.ETag, `"`) || o.ETag == "" || o.LastModified.IsZero() || o.Body != nil {
			t.Fatalf("listed %+v", o)
		}
		if len(keys) > 0 && keys[len(keys)-1] >= o.Key {
			t.Fatalf("%s after %s", o.Key, keys[len(keys)-1])
		}
		keys = append(keys, o.Key)
	}
	if len(keys) != many {
		t.Errorf("listed %d of %d", len(keys), many)
	}
	for range s.List(t.Context(), bucket, "in/", "") {
		break // whoever has enough may stop
	}
	for o := range s.List(t.Context(), bucket, "nothing/", "") {
		t.Errorf("listed %+v", o)
	}
}

// TestListEndsWithAnError: what was listed before it counts.
func TestListEndsWithAnError(t *testing.T) {
	asked := 0
	s := store.New(client(wire(func(*http.Request) (*http.Response, error) {
		if asked++; asked > 1 {
			return refusal(503, "SlowDown"), nil
		}
		return answer(200, `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>a</Key></Contents></ListBucketResult>`), nil
	})))
	var got []string
	for o, err := range s.List(t.Context(), bucket, "", "") {
		if err != nil {
			if classOf(err).outage != "s3" {
				t.Error(err)
			}
			got = append(got, "error")
			continue
		}
		got = append(got, o.Key)
	}
	if diff := cmp.Diff([]string{"a", "error"}, got); diff != "" {
		t.Errorf("listed otherwise (-want +got):\n%s", diff)
	}
}

// TestOpenAsksForTheVersion: an empty version is none, not one with no name.
func TestOpenAsksForTheVersion(t *testing.T) {
	var asked []string
	s := store.New(client(wire(func(r *http.Request) (*http.Response, error) {
		asked = append(asked, r.URL.Query().Get("versionId")+" "+r.Header.Get("Range"))
		return answer(200, "x"), nil
	})))
	for _, version := range []string{"", "v1"} {
		o, err := s.Open(t.Context(), bucket, "k", version)
		if err != nil {
			t.Fatal(err)
		}
		_ = o.Body.Close()
		if _, err := s.Top(t.Context(), bucket, "k", version, 64<<10); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{" ", " bytes=0-65535", "v1 ", "v1 bytes=0-65535"}, asked); diff != "" {
		t.Errorf("asked otherwise (-want +got):\n%s", diff)
	}
}

func deleteObject(t *testing.T, c *s3.Client, key string) {
	t.Helper()
	if _, err := c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
		t.Fatal(err)
	}
}
