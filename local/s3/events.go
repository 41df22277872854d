package s3

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

// subject is what S3 writes above every notification through SNS.
const subject = "Amazon S3 Notification"

// The shape of an event, in the order in which AWS writes its members.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html.
type (
	records struct {
		Records []record
	}
	record struct {
		EventVersion      string            `json:"eventVersion"`
		EventSource       string            `json:"eventSource"`
		AWSRegion         string            `json:"awsRegion"`
		EventTime         string            `json:"eventTime"`
		EventName         string            `json:"eventName"`
		UserIdentity      principal         `json:"userIdentity"`
		RequestParameters requestParameters `json:"requestParameters"`
		ResponseElements  responseElements  `json:"responseElements"`
		S3                recordS3          `json:"s3"`
	}
	principal struct {
		PrincipalID string `json:"principalId"`
	}
	requestParameters struct {
		SourceIPAddress string `json:"sourceIPAddress"`
	}
	responseElements struct {
		RequestID string `json:"x-amz-request-id"`
		HostID    string `json:"x-amz-id-2"`
	}
	recordS3 struct {
		SchemaVersion   string       `json:"s3SchemaVersion"`
		ConfigurationID string       `json:"configurationId"`
		Bucket          recordBucket `json:"bucket"`
		Object          recordObject `json:"object"`
	}
	recordBucket struct {
		Name          string    `json:"name"`
		OwnerIdentity principal `json:"ownerIdentity"`
		ARN           string    `json:"arn"`
	}
	recordObject struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size,omitempty"`
		ETag      string `json:"eTag,omitempty"`
		VersionID string `json:"versionId,omitempty"`
		Sequencer string `json:"sequencer"`
	}
	testEvent struct {
		Service   string
		Event     string
		Time      string
		Bucket    string
		RequestID string `json:"RequestId"`
		HostID    string `json:"HostId"`
	}
)

// record writes a change as the event that a destination gets.
func (s *Server) record(c change, configurationID string) record {
	r := record{
		EventVersion:      "2.1",
		EventSource:       "aws:s3",
		AWSRegion:         s.region,
		EventTime:         xmlTime(c.at),
		EventName:         c.event,
		UserIdentity:      principal{"AWS:" + s.account},
		RequestParameters: requestParameters{c.address},
		ResponseElements:  responseElements{c.id, c.hostID},
	}
	r.S3.SchemaVersion = "1.0"
	r.S3.ConfigurationID = configurationID
	r.S3.Bucket = recordBucket{c.bucket, principal{s.account}, "arn:aws:s3:::" + c.bucket}
	r.S3.Object = recordObject{Key: encodeKey(c.key), ETag: c.etag, VersionID: c.versionID, Sequencer: fmt.Sprintf("%018X", c.sequencer)}
	if strings.HasPrefix(c.event, "ObjectCreated:") {
		r.S3.Object.Size = &c.size
	}
	return r
}

// encodeKey writes a key as AWS does in events: form-encoded, but for the slashes.
func encodeKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}

// announce tells of a change to whoever wants to know. That a destination refuses an event
// changes nothing for the request that caused it.
func (s *Server) announce(c change) {
	s.mu.Lock()
	n := s.notifications[c.bucket]
	s.mu.Unlock()
	for _, d := range n.destinations() {
		if !d.wants(c.event, c.key) {
			continue
		}
		times := 1
		if s.duplicate(c.key) {
			times = 2
		}
		for range times {
			if err := s.send(d, records{[]record{s.record(c, d.ID)}}); err != nil {
				s.log.Warn("s3: event not delivered", zap.String("bucket", c.bucket), zap.String("key", c.key), zap.Error(err))
			}
		}
	}
}

// announceTest sends the event that shows that a notification works.
func (s *Server) announceTest(bucket string, n Notification, r request) error {
	var refused []error
	for _, d := range n.destinations() {
		now := xmlTime(time.Now())
		refused = append(refused, s.send(d, testEvent{"Amazon S3", "s3:TestEvent", now, bucket, r.id, r.hostID}))
	}
	if err := errors.Join(refused...); err != nil {
		return refuse(400, "InvalidArgument", "Unable to validate the following destination configurations: "+err.Error())
	}
	return nil
}

func (s *Server) send(d destination, event any) error {
	body, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	if d.topic {
		return s.topics.Publish(d.arn, subject, string(body))
	}
	return s.queues.Deliver(d.arn, string(body))
}
