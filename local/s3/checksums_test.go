package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"inreply/local/s3"
)

// sums are the checksums of "hello", made with other programs.
func sums() map[types.ChecksumAlgorithm]string {
	return map[types.ChecksumAlgorithm]string{
		types.ChecksumAlgorithmCrc32:     "NhCmhg==",
		types.ChecksumAlgorithmCrc32c:    "mnG7TA==",
		types.ChecksumAlgorithmCrc64nvme: "M3eFcAZSQlc=",
		types.ChecksumAlgorithmSha1:      "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
		types.ChecksumAlgorithmSha256:    "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
	}
}

func TestChecksumsAreKept(t *testing.T) {
	ctx := context.Background()
	for _, endpoint := range []string{"http://s3.local", "https://s3.local"} { // in the header, behind the body
		for algorithm, want := range sums() {
			t.Run(endpoint+" "+string(algorithm), func(t *testing.T) {
				r := newRig(t, s3.Config{})
				c := client(r.server, endpoint)
				out, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("hello"), ChecksumAlgorithm: algorithm})
				if err != nil {
					t.Fatal(err)
				}
				if got := pick(algorithm, out.ChecksumCRC32, out.ChecksumCRC32C, out.ChecksumCRC64NVME, out.ChecksumSHA1, out.ChecksumSHA256); got != want {
					t.Errorf("put answered %q, want %q", got, want)
				}
				got, err := c.GetObject(ctx, &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled})
				if err != nil {
					t.Fatal(err)
				}
				if readAll(t, got.Body) != "hello" || got.ContentEncoding != nil {
					t.Errorf("got %v", got)
				}
				if sum := pick(algorithm, got.ChecksumCRC32, got.ChecksumCRC32C, got.ChecksumCRC64NVME, got.ChecksumSHA1, got.ChecksumSHA256); sum != want || got.ChecksumType != types.ChecksumTypeFullObject {
					t.Errorf("get answered %q %s", sum, got.ChecksumType)
				}
			})
		}
	}
}

// pick takes the one checksum that is asked for.
func pick(algorithm types.ChecksumAlgorithm, all ...*string) string {
	for i, a := range []types.ChecksumAlgorithm{
		types.ChecksumAlgorithmCrc32, types.ChecksumAlgorithmCrc32c, types.ChecksumAlgorithmCrc64nvme, types.ChecksumAlgorithmSha1, types.ChecksumAlgorithmSha256,
	} {
		if a == algorithm {
			return aws.ToString(all[i])
		}
	}
	return ""
}

func TestChecksumIsMadeWhenNoneIsSent(t *testing.T) {
	r := newRig(t, s3.Config{})
	if err := r.server.Put(bucket, "direct", "text/plain", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	r.request(t, http.MethodPut, "/bucket/plain", "hello")
	for _, key := range []string{"direct", "plain"} {
		w := r.request(t, http.MethodHead, "/bucket/"+key, "", "X-Amz-Checksum-Mode", "ENABLED")
		if got := w.Header().Get("X-Amz-Checksum-Crc64nvme"); got != sums()[types.ChecksumAlgorithmCrc64nvme] {
			t.Errorf("%s has %q", key, got)
		}
		if w := r.request(t, http.MethodHead, "/bucket/"+key, ""); w.Header().Get("X-Amz-Checksum-Crc64nvme") != "" {
			t.Errorf("%s shows its checksum to whom did not ask", key)
		}
	}
}

func TestBodyIsRefused(t *testing.T) {
	const sum = "X-Amz-Checksum-Crc32"
	const streaming = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	for _, c := range []struct {
		name, body string
		header     []string
		code       string
	}{
		{"wrong checksum", "hello", []string{sum, "AAAAAA=="}, "BadDigest"},
		{"checksum too short", "hello", []string{sum, "AAAA"}, "InvalidRequest"},
		{"two checksums", "hello", []string{sum, "NhCmhg==", "X-Amz-Checksum-Sha1", "qvTGHdzF6KLavt4PO0gs2a6pQ00="}, "InvalidRequest"},
		{"algorithm without checksum", "hello", []string{"X-Amz-Sdk-Checksum-Algorithm", "CRC32"}, "InvalidRequest"},
		{"wrong Content-MD5", "hello", []string{"Content-MD5", "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"},
		{"Content-MD5 that is none", "hello", []string{"Content-MD5", "x"}, "InvalidDigest"},
		{"wrong checksum behind", "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "5"}, "BadDigest"},
		{"chunk cut off", "5\r\nhel", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody"},
		{"chunk too long", "2\r\nhello\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody"},
		{"no end", "5\r\nhello\r\n", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody"},
		{"size is no number", "x\r\nhello\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "5"}, "IncompleteBody"},
		{"not the length", "5\r\nhello\r\n0\r\n\r\n", []string{"X-Amz-Content-Sha256", streaming, "X-Amz-Decoded-Content-Length", "6"}, "IncompleteBody"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, s3.Config{})
			w := r.request(t, http.MethodPut, "/bucket/k", c.body, c.header...)
			if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "<Code>"+c.code+"</Code>") {
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
			if w := r.request(t, http.MethodHead, "/bucket/k", ""); w.Code != http.StatusNotFound {
				t.Error("it was stored all the same")
			}
		})
	}
}

func TestSignedChunks(t *testing.T) {
	r := newRig(t, s3.Config{})
	signature := ";chunk-signature=" + strings.Repeat("0", 64)
	body := "3" + signature + "\r\nhel\r\n2" + signature + "\r\nlo\r\n0" + signature + "\r\nx-amz-checksum-crc32:NhCmhg==\r\nx-amz-trailer-signature:0\r\n\r\n"
	w := r.request(t, http.MethodPut, "/bucket/k", body, "X-Amz-Content-Sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		"X-Amz-Decoded-Content-Length", "5", "Content-Encoding", "aws-chunked,gzip")
	if w.Code != http.StatusOK || w.Header().Get("X-Amz-Checksum-Crc32") != "NhCmhg==" {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	w = r.request(t, http.MethodGet, "/bucket/k", "")
	if w.Body.String() != "hello" || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("got %q in %q", w.Body, w.Header().Get("Content-Encoding"))
	}
}

// streamed is a body of unknown length, as an SDK has it that reads a pipe.
type streamed struct{ io.Reader }

func TestStreamedBody(t *testing.T) {
	r := newRig(t, s3.Config{})
	body := bytes.Repeat([]byte("0123456789"), 50_000)
	_, err := r.PutObject(context.Background(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: streamed{bytes.NewReader(body)}, ContentLength: aws.Int64(int64(len(body)))})
	if err != nil {
		t.Fatal(err)
	}
	if r.get(t, "k") != string(body) {
		t.Error("the body is another")
	}
}

func TestUploadInParts(t *testing.T) {
	for _, c := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
		header    string
		parts     bool
	}{
		{"", "", "X-Amz-Checksum-Crc64nvme", false},
		{types.ChecksumAlgorithmCrc32, "", "X-Amz-Checksum-Crc32", true},
		{types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, "X-Amz-Checksum-Crc32", false},
		{types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite, "X-Amz-Checksum-Sha256", true},
	} {
		t.Run(fmt.Sprint(c.algorithm, c.kind), func(t *testing.T) {
			r := newRig(t, s3.Config{})
			r.notify(t, "s3:ObjectCreated:*")
			u := newUpload(t, r, &awss3.CreateMultipartUploadInput{
				Bucket: aws.String(bucket), Key: aws.String("in/k.eml"), ContentType: aws.String("message/rfc822"), ChecksumAlgorithm: c.algorithm, ChecksumType: c.kind,
			})
			u.part(t, 1, bytes.Repeat([]byte("1"), 5<<20))
			u.part(t, 2, []byte("2"))
			out, err := u.complete(&awss3.CompleteMultipartUploadInput{})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(*out.ETag, `-2"`) {
				t.Errorf("ETag %s", *out.ETag)
			}
			got, err := r.GetObject(context.Background(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/k.eml"), IfMatch: out.ETag})
			if err != nil {
				t.Fatal(err)
			}
			if body := readAll(t, got.Body); len(body) != 5<<20+1 || body[5<<20] != '2' || *got.ContentType != "message/rfc822" {
				t.Errorf("%d bytes of %s", len(body), *got.ContentType)
			}
			w := r.request(t, http.MethodHead, "/bucket/in/k.eml", "", "X-Amz-Checksum-Mode", "ENABLED")
			if sum := w.Header().Get(c.header); sum == "" || strings.HasSuffix(sum, "-2") != c.parts {
				t.Errorf("checksum %v", w.Header())
			}
			list, err := r.ListObjectsV2(context.Background(), &awss3.ListObjectsV2Input{Bucket: aws.String(bucket)})
			if err != nil || *list.Contents[0].ETag != *out.ETag {
				t.Errorf("listed as %v, %v", list, err)
			}
			versions, err := r.ListObjectVersions(context.Background(), &awss3.ListObjectVersionsInput{Bucket: aws.String(bucket)})
			if err != nil || *versions.Versions[0].ETag != *out.ETag {
				t.Errorf("listed as %v, %v", versions, err)
			}
			events := r.listeners.events(t)
			if len(events) != 1 || events[0].Records[0].EventName != "ObjectCreated:CompleteMultipartUpload" || `"`+events[0].Records[0].S3.Object.ETag+`"` != *out.ETag {
				t.Errorf("events %v", events)
			}
		})
	}
}

// upload is a multipart upload under way.
type upload struct {
	rig
	key, id *string
	parts   []types.CompletedPart
}

func newUpload(t *testing.T, r rig, in *awss3.CreateMultipartUploadInput) *upload {
	t.Helper()
	out, err := r.CreateMultipartUpload(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return &upload{rig: r, key: in.Key, id: out.UploadId}
}

func (u *upload) part(t *testing.T, number int32, body []byte) {
	t.Helper()
	out, err := u.UploadPart(context.Background(), &awss3.UploadPartInput{Bucket: aws.String(bucket), Key: u.key, UploadId: u.id, PartNumber: &number, Body: bytes.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	u.parts = append(u.parts, types.CompletedPart{ETag: out.ETag, PartNumber: &number})
}

func (u *upload) complete(in *awss3.CompleteMultipartUploadInput) (*awss3.CompleteMultipartUploadOutput, error) {
	in.Bucket, in.Key, in.UploadId = aws.String(bucket), u.key, u.id
	in.MultipartUpload = &types.CompletedMultipartUpload{Parts: u.parts}
	return u.CompleteMultipartUpload(context.Background(), in)
}

func TestUploadInPartsIsRefused(t *testing.T) {
	ctx := context.Background()
	r := newRig(t, s3.Config{})
	create := &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("k")}
	big := bytes.Repeat([]byte("x"), 5<<20)

	small := newUpload(t, r, create)
	small.part(t, 1, []byte("1"))
	small.part(t, 2, []byte("2"))
	_, err := small.complete(&awss3.CompleteMultipartUploadInput{})
	wantRefusal(t, err, http.StatusBadRequest, "EntityTooSmall")

	unordered := newUpload(t, r, create)
	unordered.part(t, 2, big)
	unordered.part(t, 1, big)
	_, err = unordered.complete(&awss3.CompleteMultipartUploadInput{})
	wantRefusal(t, err, http.StatusBadRequest, "InvalidPartOrder")

	unknown := newUpload(t, r, create)
	unknown.part(t, 1, big)
	unknown.parts[0].ETag = aws.String(`"x"`)
	_, err = unknown.complete(&awss3.CompleteMultipartUploadInput{})
	wantRefusal(t, err, http.StatusBadRequest, "InvalidPart")

	late := newUpload(t, r, create)
	late.part(t, 1, []byte("x"))
	r.put(t, "k", "first")
	_, err = late.complete(&awss3.CompleteMultipartUploadInput{IfNoneMatch: aws.String("*")})
	wantRefusal(t, err, http.StatusPreconditionFailed, "PreconditionFailed")

	list, err := r.ListMultipartUploads(ctx, &awss3.ListMultipartUploadsInput{Bucket: aws.String(bucket), Prefix: aws.String("k")})
	if err != nil || len(list.Uploads) != 4 {
		t.Errorf("%v, %v", list, err)
	}
	parts, err := r.ListParts(ctx, &awss3.ListPartsInput{Bucket: aws.String(bucket), Key: aws.String("k"), UploadId: small.id, MaxParts: aws.Int32(1)})
	if err != nil || len(parts.Parts) != 1 || !*parts.IsTruncated || *parts.NextPartNumberMarker != "1" {
		t.Errorf("%v, %v", parts, err)
	}
	if _, err := r.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("k"), UploadId: small.id}); err != nil {
		t.Fatal(err)
	}
	_, err = small.complete(&awss3.CompleteMultipartUploadInput{})
	wantRefusal(t, err, http.StatusNotFound, "NoSuchUpload")
	_, err = r.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: aws.String("k"), ChecksumAlgorithm: types.ChecksumAlgorithmSha1, ChecksumType: types.ChecksumTypeFullObject})
	wantRefusal(t, err, http.StatusBadRequest, "InvalidRequest")
	if w := r.request(t, http.MethodPut, "/bucket/k?uploadId="+*late.id+"&partNumber=10001", "x"); w.Code != http.StatusBadRequest {
		t.Errorf("part 10001: %d", w.Code)
	}
}
