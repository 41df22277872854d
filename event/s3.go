package event

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// s3Record is one record of an S3 event, as far as it is needed. Fields that S3
// adds with later versions of it are passed over ("Event message structure" asks
// for that).
type s3Record struct {
	Source string `json:"eventSource"`
	Name   string `json:"eventName"`
	Time   moment `json:"eventTime"`
	Region string `json:"awsRegion"`
	Rerun  Rerun  `json:"inreply"` // S3 writes nothing there
	S3     struct {
		Bucket struct {
			Name string `json:"name"`
		} `json:"bucket"`
		Object struct {
			Key       string  `json:"key"`
			Size      *octets `json:"size"`
			ETag      string  `json:"eTag"`
			VersionID string  `json:"versionId"`
			Sequencer string  `json:"sequencer"`
		} `json:"object"`
	} `json:"s3"`
}

func s3Event(records []json.RawMessage) (Notice, error) {
	if len(records) == 0 {
		return Notice{}, notAnEvent("its list of records is empty")
	}
	n := Notice{Kind: Ignored}
	for i, raw := range records {
		var r s3Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return Notice{}, notAnEvent("record %d is none of S3's: %s", i, fault(err))
		}
		if r.S3.Bucket.Name == "" || r.S3.Object.Key == "" {
			return Notice{}, notAnEvent("record %d, from %s, names no bucket or no key", i, excerpt(r.Source))
		}
		if !r.Rerun.sound() {
			return Notice{}, notAnEvent("record %d is of a rerun whose id is none: %s", i, excerpt(r.Rerun.ID))
		}
		// The name has no "s3:" before it, but the setting that asks for it does.
		if !strings.HasPrefix(strings.TrimPrefix(r.Name, "s3:"), "ObjectCreated:") {
			continue
		}
		object := r.object(raw)
		if strings.HasSuffix(object.Key, setupName) {
			n.Kind = more(n.Kind, Setup)
			continue
		}
		n.Kind = Created
		n.Objects = append(n.Objects, object)
	}
	return n, nil
}

func (r s3Record) object(raw json.RawMessage) Object {
	o := r.S3.Object
	return Object{
		Bucket: r.S3.Bucket.Name, Key: formDecoded(o.Key), VersionID: o.VersionID, ETag: unquoted(o.ETag),
		Sequencer: o.Sequencer, Region: r.Region, Name: r.Name, Size: o.Size.orUnknown(), Time: r.Time.Time, Rerun: r.Rerun,
		Notice: fmt.Appendf(nil, `{"Records":[%s]}`, sendable(raw)),
	}
}

// formDecoded is a key as S3 has it. In an event of S3 it is encoded as in a form:
// a space is "+". What is no such encoding is taken as it is, which is how some
// emulators write it.
func formDecoded(key string) string {
	decoded, err := url.QueryUnescape(key)
	if err != nil {
		return key
	}
	return decoded
}

func unquoted(etag string) string { return strings.Trim(etag, `"`) }

// longestRerun is how many characters the id of a rerun may have.
const longestRerun = 64

// sound reports whether a rerun has an id of letters, digits, dashes and dots, or
// is none. One that wants something and has no id could be repeated for ever.
func (r Rerun) sound() bool {
	if r.ID == "" {
		return r == Rerun{}
	}
	return len(r.ID) <= longestRerun && !strings.ContainsFunc(r.ID, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '.'
	})
}
