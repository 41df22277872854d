package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/s3"
)

func TestObjectIsReadAsItWasWritten(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	const key = "in/a b+c%é/../x~*.eml"
	body := strings.Repeat("Ab\r\n\x00é", 9000)
	_, err := r.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(body), ContentType: aws.String("message/rfc822"),
		ContentDisposition: aws.String("inline"), CacheControl: aws.String("no-store"), Metadata: map[string]string{"origin": "ses"},
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		t.Fatal(err)
	}
	if readAll(t, out.Body) != body {
		t.Error("the body is another")
	}
	if *out.ContentType != "message/rfc822" || *out.ContentDisposition != "inline" || *out.CacheControl != "no-store" || out.Metadata["origin"] != "ses" || out.ContentEncoding != nil {
		t.Errorf("headers %v", out)
	}
	head, err := r.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil || *head.ContentLength != int64(len(body)) || *head.ETag != *out.ETag || head.VersionId != nil {
		t.Errorf("head %v, %v", head, err)
	}
	if list, err := r.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)}); err != nil || *list.Contents[0].Key != key {
		t.Errorf("listed %v, %v", list, err)
	}
}

func TestNothingOfAnObjectOutlivesItsReplacement(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	_, err := r.PutObject(ctx, &awss3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("old"), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ContentType: aws.String("text/plain"), Metadata: map[string]string{"origin": "ses"},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.put(t, "k", "new")
	out, err := r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil || readAll(t, out.Body) != "new" {
		t.Fatalf("%v, %v", out, err)
	}
	if len(out.Metadata) != 0 || out.ChecksumSHA256 != nil || *out.ContentType == "text/plain" {
		t.Errorf("left over: %v %v %s", out.Metadata, out.ChecksumSHA256, *out.ContentType)
	}
}

func TestMissing(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	_, err := r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	if _, ok := errors.AsType[*types.NoSuchKey](err); !ok {
		t.Errorf("GetObject: %v", err)
	}
	_, err = r.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")})
	if _, ok := errors.AsType[*types.NotFound](err); !ok {
		t.Errorf("HeadObject: %v", err)
	}
	_, err = r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String("none"), Key: aws.String("k")})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchBucket")
	_, err = r.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("none")})
	wantRefusal(t, err, http.StatusNotFound, "NotFound")
	_, err = r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("none"), Key: aws.String("k"), Body: strings.NewReader("x")})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchBucket")
	if _, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("none")}); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
	if err := r.server.Put("none", "k", "", nil); err == nil {
		t.Error("Put into a bucket that is not there")
	}
}

func TestRange(t *testing.T) {
	r := newRig(t, s3.Config{})
	r.put(t, "k", "0123456789")
	r.put(t, "empty", "")
	for _, c := range []struct {
		header string
		status int
		body   string
		part   string
	}{
		{"bytes=2-5", 206, "2345", "bytes 2-5/10"},
		{"bytes=-3", 206, "789", "bytes 7-9/10"},
		{"bytes=-30", 206, "0123456789", "bytes 0-9/10"},
		{"bytes=8-", 206, "89", "bytes 8-9/10"},
		{"bytes=8-100", 206, "89", "bytes 8-9/10"},
		{"bytes=0-0", 206, "0", "bytes 0-0/10"},
		{"bytes=0-1,4-5", 200, "0123456789", ""},
		{"bytes=5-2", 200, "0123456789", ""},
		{"bytes=x-2", 200, "0123456789", ""},
		{"bytes=-", 200, "0123456789", ""},
		{"lines=1-2", 200, "0123456789", ""},
		{"bytes=10-", 416, "", ""},
		{"bytes=-0", 416, "", ""},
	} {
		t.Run(c.header, func(t *testing.T) {
			w := r.request(t, http.MethodGet, "/bucket/k", "", "Range", c.header, "X-Amz-Checksum-Mode", "ENABLED")
			if w.Code != c.status || w.Header().Get("Content-Range") != c.part {
				t.Fatalf("status %d, part %q", w.Code, w.Header().Get("Content-Range"))
			}
			if c.status < 300 && w.Body.String() != c.body {
				t.Errorf("body %q", w.Body)
			}
			if whole, sum := c.status == 200, w.Header().Get("X-Amz-Checksum-Type") != ""; whole != sum {
				t.Errorf("whole %t, checksum %t", whole, sum)
			}
			if c.status == 416 && !strings.Contains(w.Body.String(), "<Code>InvalidRange</Code>") {
				t.Errorf("body %s", w.Body)
			}
		})
	}
	if w := r.request(t, http.MethodGet, "/bucket/empty", "", "Range", "bytes=0-9"); w.Code != 416 {
		t.Errorf("range of an empty object: %d", w.Code)
	}
	out, err := r.GetObject(context.Background(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Range: aws.String("bytes=2-5")})
	if err != nil || readAll(t, out.Body) != "2345" {
		t.Errorf("by the SDK: %v, %v", out, err)
	}
}

func TestOneOfManyConditionalPutsWins(t *testing.T) {
	r := newRig(t, s3.Config{})
	var won, lost atomic.Int64
	race := func(in func(i int) *awss3.PutObjectInput) {
		t.Helper()
		won.Store(0)
		lost.Store(0)
		var all sync.WaitGroup
		for i := range 16 {
			all.Go(func() {
				_, err := r.PutObject(context.Background(), in(i))
				if err == nil {
					won.Add(1)
					return
				}
				lost.Add(1)
				wantRefusal(t, err, http.StatusPreconditionFailed, "PreconditionFailed")
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 15 {
			t.Errorf("%d won, %d lost", won.Load(), lost.Load())
		}
	}
	race(func(i int) *awss3.PutObjectInput {
		return &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("new"), Body: strings.NewReader(fmt.Sprint(i)), IfNoneMatch: aws.String("*")}
	})
	etag := r.put(t, "old", "x").ETag
	race(func(i int) *awss3.PutObjectInput {
		return &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("old"), Body: strings.NewReader(fmt.Sprint(i)), IfMatch: etag}
	})
}

func TestConditionsOnWriting(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	first := r.put(t, "k", "one")
	_, err := r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("two"), IfMatch: first.ETag})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("none"), Body: strings.NewReader("x"), IfMatch: first.ETag})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchKey")
	_, err = r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), IfNoneMatch: first.ETag})
	wantRefusal(t, err, http.StatusNotImplemented, "NotImplemented")
	_, err = r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), IfMatch: first.ETag})
	wantRefusal(t, err, http.StatusPreconditionFailed, "PreconditionFailed")
	_, err = r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: aws.String("bucket/k"), IfNoneMatch: aws.String("*")})
	wantRefusal(t, err, http.StatusPreconditionFailed, "PreconditionFailed")
	if body := r.get(t, "k"); body != "two" {
		t.Errorf("after refused writes it is %q", body)
	}
	if _, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")}); err != nil {
		t.Fatal(err)
	}
	_, err = r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("three"), IfNoneMatch: aws.String("*")})
	if err != nil {
		t.Errorf("after the delete: %v", err)
	}
}

func TestConditionsOnReading(t *testing.T) {
	r := newRig(t, s3.Config{})
	etag := *r.put(t, "k", "one").ETag
	now, hour := time.Now().UTC(), time.Hour
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"right ETag", []string{"If-Match", etag}, 200},
		{"one of two ETags", []string{"If-Match", `"x", ` + etag}, 200},
		{"ETag without quotes", []string{"If-Match", strings.Trim(etag, `"`)}, 200},
		{"stale ETag", []string{"If-Match", `"x"`}, 412},
		{"known ETag", []string{"If-None-Match", etag}, 304},
		{"known ETag, weak", []string{"If-None-Match", "W/" + etag}, 304},
		{"other ETag", []string{"If-None-Match", `"x"`}, 200},
		{"not modified since", []string{"If-Modified-Since", now.Format(http.TimeFormat)}, 304},
		{"modified since", []string{"If-Modified-Since", now.Add(-hour).Format(http.TimeFormat)}, 200},
		{"unmodified since", []string{"If-Unmodified-Since", now.Format(http.TimeFormat)}, 200},
		{"not unmodified since", []string{"If-Unmodified-Since", now.Add(-hour).Format(http.TimeFormat)}, 412},
		{"ETag before date", []string{"If-Match", etag, "If-Unmodified-Since", now.Add(-hour).Format(http.TimeFormat)}, 200},
		{"date only without ETag", []string{"If-None-Match", `"x"`, "If-Modified-Since", now.Format(http.TimeFormat)}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				w := r.request(t, method, "/bucket/k", "", c.header...)
				if w.Code != c.status {
					t.Errorf("%s: status %d", method, w.Code)
				}
				if empty := w.Body.Len() == 0; empty != (method == http.MethodHead || c.status == 304) {
					t.Errorf("%s: body %q", method, w.Body)
				}
				if w.Header().Get("ETag") != etag {
					t.Errorf("%s: ETag %s", method, w.Header().Get("ETag"))
				}
			}
		})
	}
}

func TestCopy(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	const key = "a b+c%é.eml"
	source, err := r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader("x"), ContentType: aws.String("message/rfc822"), Metadata: map[string]string{"a": "1"}})
	if err != nil {
		t.Fatal(err)
	}
	const escaped = "bucket/a%20b%2Bc%25%C3%A9.eml"
	out, err := r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("kept"), CopySource: aws.String(escaped)})
	if err != nil || *out.CopyObjectResult.ETag != *source.ETag || out.CopyObjectResult.LastModified == nil {
		t.Fatalf("%v, %v", out, err)
	}
	_, err = r.CopyObject(ctx, &awss3.CopyObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("replaced"), CopySource: aws.String(escaped),
		MetadataDirective: types.MetadataDirectiveReplace, ContentType: aws.String("text/plain"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"kept": "message/rfc822 1", "replaced": "text/plain "} {
		head, err := r.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if got := *head.ContentType + " " + head.Metadata["a"]; got != want {
			t.Errorf("%s has %q, want %q", key, got, want)
		}
	}
	_, err = r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: aws.String("bucket/none")})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchKey")
	_, err = r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: aws.String("bucket")})
	wantRefusal(t, err, http.StatusBadRequest, "InvalidArgument")
	_, err = r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), CopySource: aws.String("bucket/kept"), CopySourceIfMatch: aws.String(`"x"`)})
	wantRefusal(t, err, http.StatusPreconditionFailed, "PreconditionFailed")
}

func TestPresigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, s3.Config{})
		r.put(t, "k v", "hello")
		signed, err := awss3.NewPresignClient(r.Client).PresignGetObject(context.Background(), &awss3.GetObjectInput{
			Bucket: aws.String(bucket), Key: aws.String("k v"), ResponseContentType: aws.String("text/csv"),
		}, awss3.WithPresignExpires(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if w := r.request(t, http.MethodGet, signed.URL, ""); w.Code != 200 || w.Body.String() != "hello" || w.Header().Get("Content-Type") != "text/csv" {
			t.Errorf("in time: %d %q %s", w.Code, w.Body, w.Header().Get("Content-Type"))
		}
		time.Sleep(time.Second)
		if w := r.request(t, http.MethodGet, signed.URL, ""); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "Request has expired") {
			t.Errorf("too late: %d %s", w.Code, w.Body)
		}
	})
}

func TestLimits(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	_, err := r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(strings.Repeat("k", 1025)), Body: strings.NewReader("x")})
	wantRefusal(t, err, http.StatusBadRequest, "KeyTooLongError")
	_, err = r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"), Metadata: map[string]string{"a": strings.Repeat("x", 2048)}})
	wantRefusal(t, err, http.StatusBadRequest, "MetadataTooLarge")
}

func TestSubresourcesAreNotTakenForObjects(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	r.put(t, "k", "body")
	_, err := r.PutObjectTagging(ctx, &awss3.PutObjectTaggingInput{Bucket: aws.String(bucket), Key: aws.String("k"), Tagging: &types.Tagging{TagSet: []types.Tag{}}})
	wantRefusal(t, err, http.StatusNotImplemented, "NotImplemented")
	if !strings.Contains(err.Error(), "does not offer PutObjectTagging") {
		t.Errorf("refused as %v", err)
	}
	for target, operation := range map[string]string{
		"GET /bucket?policy":               "GetBucketPolicy",
		"GET /bucket/k?acl":                "GetObjectAcl",
		"DELETE /bucket?publicAccessBlock": "DeletePublicAccessBlock",
		"GET /bucket?object-lock":          "GetObjectLockConfiguration",
		"PUT /bucket/k?legal-hold":         "PutObjectLegalHold",
		"POST /bucket/k?restore":           "RestoreObject",
		"POST /bucket":                     "PostObject",
		"GET /bucket/k?partNumber=1":       "GetObject with partNumber",
	} {
		method, path, _ := strings.Cut(target, " ")
		w := r.request(t, method, path, "")
		if w.Code != http.StatusNotImplemented || !strings.Contains(w.Body.String(), "the local S3 does not offer "+operation) {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
	if w := r.request(t, http.MethodPatch, "/bucket/k", ""); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PATCH: %d", w.Code)
	}
	if body := r.get(t, "k"); body != "body" {
		t.Errorf("the object became %q", body)
	}
}

func TestLists(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	for _, key := range []string{"a/1", "a/2", "a/3", "b", "c/1", "c/2", "d é+", "e/x/y"} {
		r.put(t, key, "x")
	}
	for _, c := range []struct {
		prefix, delimiter, after string
		size                     int32
		want                     [][]string
	}{
		{"", "", "", 3, [][]string{{"a/1", "a/2", "a/3"}, {"b", "c/1", "c/2"}, {"d é+", "e/x/y"}}},
		{"a/", "", "", 3, [][]string{{"a/1", "a/2", "a/3"}}},
		{"", "/", "", 1, [][]string{{"[a/]"}, {"b"}, {"[c/]"}, {"d é+"}, {"[e/]"}}},
		{"", "/", "", 5, [][]string{{"b", "d é+", "[a/]", "[c/]", "[e/]"}}},
		{"e/", "/", "", 5, [][]string{{"[e/x/]"}}},
		{"a", "", "a/2", 5, [][]string{{"a/3"}}},
		{"", "/", "a/2", 2, [][]string{{"b", "[a/]"}, {"d é+", "[c/]"}, {"[e/]"}}},
		{"none", "", "", 5, [][]string{nil}},
	} {
		t.Run(fmt.Sprintf("%s %s %s %d", c.prefix, c.delimiter, c.after, c.size), func(t *testing.T) {
			in := &awss3.ListObjectsV2Input{Bucket: aws.String(bucket), Prefix: &c.prefix, MaxKeys: &c.size}
			if c.delimiter != "" {
				in.Delimiter = &c.delimiter
			}
			if c.after != "" {
				in.StartAfter = &c.after
			}
			var got [][]string
			for pages := awss3.NewListObjectsV2Paginator(r, in); pages.HasMorePages(); {
				page, err := pages.NextPage(ctx)
				if err != nil {
					t.Fatal(err)
				}
				var names []string
				for _, o := range page.Contents {
					names = append(names, *o.Key)
				}
				for _, p := range page.CommonPrefixes {
					names = append(names, "["+*p.Prefix+"]")
				}
				got = append(got, names)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBuckets(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	r.put(t, "k", "x")
	if _, err := r.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Errorf("created again in us-east-1: %v", err)
	}
	if err := r.server.CreateBucket("Not_A_Name"); err == nil {
		t.Error("a bucket has an illegal name")
	}
	_, err := r.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: aws.String(bucket)})
	wantRefusal(t, err, http.StatusConflict, "BucketNotEmpty")
	out, err := r.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}, {Key: aws.String("none")}}}})
	if err != nil || len(out.Deleted) != 2 {
		t.Errorf("deleted %v, %v", out, err)
	}
	if _, err := r.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Errorf("deleted: %v", err)
	}
	if list, err := r.ListBuckets(ctx, &awss3.ListBucketsInput{}); err != nil || len(list.Buckets) != 0 {
		t.Errorf("listed %v, %v", list, err)
	}
	elsewhere := newRig(t, s3.Config{Region: "eu-west-1"})
	_, err = elsewhere.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String(bucket)})
	wantRefusal(t, err, http.StatusConflict, "BucketAlreadyOwnedByYou")
	for want, r := range map[types.BucketLocationConstraint]rig{"": r, "eu-west-1": elsewhere} {
		if err := r.server.CreateBucket("other"); err != nil {
			t.Fatal(err)
		}
		location, err := r.GetBucketLocation(ctx, &awss3.GetBucketLocationInput{Bucket: aws.String("other")})
		if err != nil || location.LocationConstraint != want {
			t.Errorf("%v, %v", location, err)
		}
		head, err := r.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: aws.String("other")})
		if err != nil || *head.BucketRegion == "" {
			t.Errorf("%v, %v", head, err)
		}
	}
}

func TestVersions(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	_, err := r.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	first, second := r.put(t, "k", "one"), r.put(t, "k", "two")
	if first.VersionId == nil || *first.VersionId == *second.VersionId {
		t.Fatalf("versions %v and %v", first.VersionId, second.VersionId)
	}
	get := func(version *string) string {
		t.Helper()
		out, err := r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: version})
		if err != nil {
			t.Fatal(err)
		}
		if version != nil && *out.VersionId != *version {
			t.Errorf("got version %s", *out.VersionId)
		}
		return readAll(t, out.Body)
	}
	if get(nil) != "two" || get(first.VersionId) != "one" {
		t.Error("a version has the body of another")
	}
	head, err := r.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: first.VersionId})
	if err != nil || *head.ETag != *first.ETag {
		t.Errorf("head of the first: %v, %v", head, err)
	}
	_, err = r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: aws.String("none")})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchVersion")
	_, err = r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: second.VersionId})
	wantRefusal(t, err, http.StatusNotImplemented, "NotImplemented")

	deleted, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	if err != nil || !*deleted.DeleteMarker {
		t.Fatalf("%v, %v", deleted, err)
	}
	_, err = r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k")})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchKey")
	_, err = r.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: deleted.VersionId})
	wantRefusal(t, err, http.StatusMethodNotAllowed, "MethodNotAllowed")
	if get(second.VersionId) != "two" {
		t.Error("the second version is gone")
	}
	if _, err := r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("three"), IfNoneMatch: aws.String("*")}); err != nil {
		t.Errorf("behind a delete marker nothing is there: %v", err)
	}
	if _, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), VersionId: first.VersionId}); err != nil {
		t.Errorf("deleting an old version: %v", err)
	}
	list, err := r.ListObjectVersions(ctx, &awss3.ListObjectVersionsInput{Bucket: aws.String(bucket)})
	if err != nil || len(list.Versions) != 2 || len(list.DeleteMarkers) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	_, err = r.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}})
	wantRefusal(t, err, http.StatusNotImplemented, "NotImplemented")
}

func BenchmarkPut(b *testing.B) {
	s := s3.New(s3.Config{})
	if err := s.CreateBucket(bucket); err != nil {
		b.Fatal(err)
	}
	body := []byte(strings.Repeat("x", 50<<10))
	b.SetBytes(int64(len(body)))
	for i := 0; b.Loop(); i++ {
		if err := s.Put(bucket, fmt.Sprint("in/", i%1000), "", body); err != nil {
			b.Fatal(err)
		}
	}
}
