package event

import (
	"encoding/json"
	"net/url"
	"strings"
	"time"
)

// Announce is a notice of one object as S3 itself would have sent it when the
// object was put, for an object that was announced before, or never. [Decode]
// reads it. Bucket and Key must not be empty; a negative Size is left out. What
// S3 would not have said stands under a name of its own, "inreply".
func Announce(o Object) []byte {
	type named struct {
		Name string `json:"name"`
	}
	type object struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size,omitempty"`
		ETag      string `json:"eTag,omitempty"`
		VersionID string `json:"versionId,omitempty"`
	}
	type contents struct {
		Version string `json:"s3SchemaVersion"`
		Bucket  named  `json:"bucket"`
		Object  object `json:"object"`
	}
	type record struct {
		Version string    `json:"eventVersion"`
		Source  string    `json:"eventSource"`
		Region  string    `json:"awsRegion,omitempty"`
		Time    time.Time `json:"eventTime"`
		Name    string    `json:"eventName"`
		S3      contents  `json:"s3"`
		Rerun   *Rerun    `json:"inreply,omitempty"`
	}
	r := record{
		Version: "2.1", Source: "aws:s3", Region: o.Region, Time: o.Time.UTC(), Name: "ObjectCreated:Put",
		S3: contents{Version: "1.0", Bucket: named{o.Bucket}, Object: object{
			Key: formEncoded(o.Key), ETag: o.ETag, VersionID: o.VersionID,
		}},
	}
	if o.Size >= 0 {
		r.S3.Object.Size = &o.Size
	}
	if o.Rerun != (Rerun{}) {
		r.Rerun = &o.Rerun
	}
	text, err := json.Marshal(map[string][]record{"Records": {r}})
	if err != nil {
		return nil // a time beyond the year 9999, which S3 does not have
	}
	return sendable(text)
}

// formEncoded is what formDecoded reads, with the slashes left as S3 leaves them.
func formEncoded(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}
