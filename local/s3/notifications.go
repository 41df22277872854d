package s3

import (
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Notification says which events of a bucket are announced to whom. It is also the document of
// Put- and GetBucketNotificationConfiguration.
type Notification struct {
	XMLName xml.Name            `xml:"NotificationConfiguration"`
	Topics  []TopicNotification `xml:"TopicConfiguration"`
	Queues  []QueueNotification `xml:"QueueConfiguration"`

	// What is not offered is read only to be refused.
	Functions   []struct{} `xml:"CloudFunctionConfiguration"`
	EventBridge *struct{}  `xml:"EventBridgeConfiguration"`
}

// TopicNotification announces events to an SNS topic, which must not be FIFO.
type TopicNotification struct {
	Announcement
	TopicARN string `xml:"Topic"`
}

// QueueNotification announces events to an SQS queue, which must not be FIFO.
type QueueNotification struct {
	Announcement
	QueueARN string `xml:"Queue"`
}

// Announcement says which events are announced.
type Announcement struct {
	// ID is the configurationId of the events; an empty one is chosen.
	ID string `xml:"Id"`
	// Events are names with the prefix s3:, the last part of which may be *, such as
	// s3:ObjectCreated:*.
	Events []string `xml:"Event"`
	// Filter limits the keys; nil and empty announce all.
	Filter *Filter `xml:"Filter"`
}

// Filter limits the keys whose events are announced.
type Filter struct {
	Rules []FilterRule `xml:"S3Key>FilterRule"`
}

// FilterRule is a rule by Name prefix or suffix. Each may be there once.
type FilterRule struct {
	Name  string
	Value string
}

// rule is the value of a filter's rule, "" when there is none.
func (a Announcement) rule(name string) string {
	if a.Filter == nil {
		return ""
	}
	for _, r := range a.Filter.Rules {
		if strings.EqualFold(r.Name, name) {
			return r.Value
		}
	}
	return ""
}

// wants tells whether an event, such as ObjectCreated:Put, is announced.
func (a Announcement) wants(event, key string) bool {
	if !strings.HasPrefix(key, a.rule("prefix")) || !strings.HasSuffix(key, a.rule("suffix")) {
		return false
	}
	for _, pattern := range a.Events {
		if covers(strings.TrimPrefix(pattern, "s3:"), event) {
			return true
		}
	}
	return false
}

func covers(pattern, event string) bool {
	family, all := strings.CutSuffix(pattern, "*")
	return pattern == event || all && strings.HasPrefix(event, family)
}

// destination is one target of a notification.
type destination struct {
	Announcement
	arn   string
	topic bool
}

func (n Notification) destinations() []destination {
	var all []destination
	for _, t := range n.Topics {
		all = append(all, destination{t.Announcement, t.TopicARN, true})
	}
	for _, q := range n.Queues {
		all = append(all, destination{q.Announcement, q.QueueARN, false})
	}
	return all
}

func (s *Server) getNotification(w http.ResponseWriter, t target) error {
	s.mu.Lock()
	n := s.notifications[t.bucket]
	s.mu.Unlock()
	return writeXML(w, n)
}

func (s *Server) putNotification(r *http.Request, t target) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var n Notification
	if err != nil || xml.Unmarshal(body, &n) != nil {
		return malformedXML()
	}
	validate := !strings.EqualFold(r.Header.Get("X-Amz-Skip-Destination-Validation"), "true")
	return s.notify(t.bucket, n, t.request, validate)
}

// forget drops the notifications of a bucket that was deleted.
func (s *Server) forget(bucket string) {
	if exists, _ := s.store.BucketExists(bucket); exists {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.notifications, bucket)
	delete(s.lifecycles, bucket)
}

// notify checks and keeps a bucket's notifications, and sends the test events.
func (s *Server) notify(bucket string, n Notification, r request, validate bool) error {
	if exists, _ := s.store.BucketExists(bucket); !exists {
		return noSuchBucket(bucket)
	}
	if len(n.Functions) > 0 {
		return notOffered("notifications to Lambda functions")
	}
	if n.EventBridge != nil {
		return notOffered("notifications to EventBridge")
	}
	all := n.destinations()
	for i, d := range all {
		if err := s.checkDestination(d, validate); err != nil {
			return err
		}
		for _, other := range all[:i] {
			if d.overlaps(other.Announcement) {
				return refuse(http.StatusBadRequest, "InvalidArgument",
					"Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are overlapping for the same event type.")
			}
		}
	}
	s.mu.Lock()
	for i := range n.Topics {
		s.identify(&n.Topics[i].Announcement)
	}
	for i := range n.Queues {
		s.identify(&n.Queues[i].Announcement)
	}
	s.notifications[bucket] = n
	s.mu.Unlock()
	if !validate {
		return nil
	}
	return s.announceTest(bucket, n, r)
}

// identify chooses an id where none was given. The caller holds the lock.
func (s *Server) identify(a *Announcement) {
	if a.ID == "" {
		a.ID = base64.RawURLEncoding.EncodeToString(s.random(36))
	}
}

func (s *Server) checkDestination(d destination, validate bool) error {
	invalid := func(name, value, message string) error {
		return refuse(http.StatusBadRequest, "InvalidArgument", message, "ArgumentName", name, "ArgumentValue", value)
	}
	if len(d.Events) == 0 {
		return malformedXML()
	}
	for _, event := range d.Events {
		if !known(event) {
			return invalid("Event", event, "The event '"+event+"' is not supported for notifications")
		}
	}
	if err := checkRules(d.Filter); err != "" {
		return invalid("FilterRule", "", err)
	}
	kind, fifo, exists := "queue", false, false
	switch {
	case d.topic && s.topics != nil:
		kind = "topic"
		fifo, exists = s.topics.Fifo(d.arn)
	case !d.topic && s.queues != nil:
		fifo, exists = s.queues.Fifo(d.arn)
	}
	switch {
	case fifo && d.topic:
		return invalid(d.arn, "FIFO SNS topics are not supported", "Unable to validate the following destination configurations: FIFO SNS topics are not supported.")
	case fifo:
		return invalid("Queue", d.arn, "FIFO SQS queues are not supported.")
	case !exists && validate:
		return invalid(d.arn, "The destination "+kind+" does not exist", "Unable to validate the following destination configurations")
	}
	return nil
}

// known tells whether S3 has an event, or a family of them.
func known(event string) bool {
	for _, name := range []string{
		"s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload",
		"s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
	} {
		family := name[:strings.LastIndex(name, ":")+1] + "*"
		if event == name || event == family {
			return true
		}
	}
	return false
}

// checkRules says what is wrong with a filter, "" when nothing is.
func checkRules(f *Filter) string {
	if f == nil {
		return ""
	}
	seen := make(map[string]bool)
	for _, r := range f.Rules {
		name := strings.ToLower(r.Name)
		if name != "prefix" && name != "suffix" {
			return "filter rule name must be either prefix or suffix"
		}
		if seen[name] {
			return fmt.Sprintf("Cannot specify more than one %s rule in a filter.", name)
		}
		if len(r.Value) > 1024 {
			return "Size of filter rule value cannot exceed 1024 bytes in UTF-8 representation"
		}
		seen[name] = true
	}
	return ""
}

// overlaps tells whether one event could be announced by both.
func (a Announcement) overlaps(b Announcement) bool {
	p, q := a.rule("prefix"), b.rule("prefix")
	if !strings.HasPrefix(p, q) && !strings.HasPrefix(q, p) {
		return false
	}
	p, q = a.rule("suffix"), b.rule("suffix")
	if !strings.HasSuffix(p, q) && !strings.HasSuffix(q, p) {
		return false
	}
	for _, one := range a.Events {
		for _, other := range b.Events {
			if covers(one, other) || covers(other, one) {
				return true
			}
		}
	}
	return false
}
