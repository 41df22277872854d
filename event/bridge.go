package event

import (
	"encoding/json"
	"strings"
)

// bridgeDetail is what EventBridge says of an object.
type bridgeDetail struct {
	Bucket struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string  `json:"key"` // not encoded, unlike in S3's own event
		Size      *octets `json:"size"`
		ETag      string  `json:"etag"`
		VersionID string  `json:"version-id"`
		Sequencer string  `json:"sequencer"`
	} `json:"object"`
	Reason string `json:"reason"` // the API that created it, such as "PutObject"
}

func bridgeEvent(s shape, raw []byte) (Notice, error) {
	if s.Source != "aws.s3" || s.Detail == nil {
		return Notice{}, notAnEvent("it is EventBridge's %s from %s, not S3's", excerpt(s.DetailType), excerpt(s.Source))
	}
	if s.DetailType != "Object Created" {
		return Notice{Kind: Ignored}, nil
	}
	var detail bridgeDetail
	if err := json.Unmarshal(s.Detail, &detail); err != nil {
		return Notice{}, notAnEvent("the detail of EventBridge's event is none of S3's: %s", fault(err))
	}
	o := detail.Object
	if detail.Bucket.Name == "" || o.Key == "" {
		return Notice{}, notAnEvent("EventBridge's event names no bucket or no key")
	}
	if strings.HasSuffix(o.Key, setupName) {
		return Notice{Kind: Setup}, nil
	}
	return Notice{Kind: Created, Objects: []Object{{
		Bucket: detail.Bucket.Name, Key: o.Key, VersionID: o.VersionID, ETag: unquoted(o.ETag),
		Sequencer: o.Sequencer, Region: s.Region, Name: "ObjectCreated:" + detail.Reason, Size: o.Size.orUnknown(), Time: s.Time.Time,
		Notice: sendable(raw),
	}}}, nil
}
