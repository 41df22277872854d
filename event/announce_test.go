package event_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inreply/event"
)

func TestAnnounceIsReadBackByDecode(t *testing.T) {
	for _, key := range []string{
		"inbound/4b1f0c", "Q3 report+1%20.eml", "über/日本 .eml", "a/../b", "quote\"<&>", "tab\tline\n", "\xff\xfe", "\uFFFE\uFFFF", "?versionId=1#x",
	} {
		for size, rerun := range map[int64]event.Rerun{-1: {}, 0: {ID: "r.1-a"}, 5120: {ID: "2", Again: true, Uncapped: true}} {
			want := event.Object{
				Bucket: "example-mail", Key: key, ETag: "0cc175b9-2", VersionID: "v.1", Region: "eu-west-1",
				Name: "ObjectCreated:Put", Size: size, Time: at("2026-11-02T09:15:00Z"), Rerun: rerun,
			}
			text := event.Announce(want)
			n, err := event.Decode(text)
			if err != nil || n.Kind != event.Created || len(n.Objects) != 1 {
				t.Errorf("%q: %+v, %v", key, n, err)
				continue
			}
			if diff := cmp.Diff(want, n.Objects[0], cmpopts.IgnoreFields(event.Object{}, "Notice")); diff != "" {
				t.Errorf("%q (-want +got):\n%s", key, diff)
			}
		}
	}
}

// What a list does not say stands in no notice either.
func TestAnnounceWithoutWhatIsNotKnown(t *testing.T) {
	got := string(event.Announce(event.Object{Bucket: "b", Key: "k y", Size: -1, Time: time.Unix(0, 0)}))
	want := `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventTime":"1970-01-01T00:00:00Z","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":"b"},"object":{"key":"k+y"}}}]}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
