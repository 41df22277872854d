package sns

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"inreply/local/query"
)

// topic is one topic. Its maps are guarded by the Server's lock.
type topic struct {
	arn        string
	attributes map[string]string
	tags       map[string]string
	deleted    int // subscriptions that were unsubscribed

	// order is held while a FIFO topic takes a message in and delivers it, so that queues get
	// messages in the order of their sequence numbers.
	order    sync.Mutex
	sequence uint64
	seen     map[string]receipt // by deduplication id, and group where that is the scope
	seenAt   []sighting         // oldest first
}

// receipt is what a publisher gets back.
type receipt struct {
	id       string
	sequence string // of FIFO topics
}

// sighting remembers when a deduplication id was first seen.
type sighting struct {
	key string
	at  time.Time
}

// deduplication is how long a FIFO topic remembers a deduplication id.
const deduplication = 5 * time.Minute

func (t *topic) fifo() bool { return isFifo(t.arn) }

func isFifo(arn string) bool { return strings.HasSuffix(arn, ".fifo") }

// topicAttribute tells whether CreateTopic and SetTopicAttributes take an attribute.
func topicAttribute(name string) bool {
	switch name {
	case "DisplayName", "Policy", "DeliveryPolicy", "KmsMasterKeyId", "SignatureVersion", "TracingConfig",
		"FifoTopic", "ContentBasedDeduplication", "FifoThroughputScope":
		return true
	}
	return false
}

// CreateTopic creates a topic and returns its ARN. The name of a FIFO topic ends in ".fifo",
// and its attribute FifoTopic is "true". A topic that exists with the same attributes is
// returned as it is.
func (s *Server) CreateTopic(name string, attributes map[string]string) (arn string, err error) {
	if err := checkTopic(name, attributes); err != nil {
		return "", err
	}
	arn = "arn:aws:sns:" + s.region + ":" + s.account + ":" + name
	s.mu.Lock()
	defer s.mu.Unlock()
	if t, exists := s.topics[arn]; exists {
		for attribute, value := range attributes {
			if t.attributes[attribute] != value {
				return "", invalid("Attributes Reason: Topic already exists with different attributes")
			}
		}
		return arn, nil
	}
	t := &topic{arn: arn, attributes: make(map[string]string), tags: make(map[string]string), seen: make(map[string]receipt)}
	if isFifo(name) {
		t.attributes["ContentBasedDeduplication"] = "false"
		t.attributes["FifoThroughputScope"] = "Topic"
	}
	maps.Copy(t.attributes, attributes)
	s.topics[arn] = t
	return arn, nil
}

func checkTopic(name string, attributes map[string]string) error {
	fifo := strings.EqualFold(attributes["FifoTopic"], "true")
	plain, _ := strings.CutSuffix(name, ".fifo")
	if fifo != isFifo(name) {
		if fifo {
			return invalid("Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long.")
		}
		return invalid("Topic Name")
	}
	if len(name) > 256 || !legalName(plain, 256) {
		return invalid("Topic Name")
	}
	for attribute, value := range attributes {
		if err := checkTopicAttribute(attribute, value, fifo); err != nil {
			return err
		}
	}
	return nil
}

func checkTopicAttribute(name, value string, fifo bool) error {
	if !topicAttribute(name) {
		return invalid("Attributes Reason: Unknown attribute %s", name)
	}
	switch name {
	case "SignatureVersion":
		if value != "1" && value != "2" {
			return invalid("Attributes Reason: SignatureVersion: Invalid value [%s]", value)
		}
	case "ContentBasedDeduplication":
		if !fifo {
			return invalid("Attributes Reason: Content-based deduplication can only be set for FIFO topics")
		}
		if value != "true" && value != "false" {
			return invalid("Attributes Reason: ContentBasedDeduplication: Invalid value [%s]", value)
		}
	case "FifoThroughputScope":
		if !fifo || (value != "Topic" && value != "MessageGroup") {
			return invalid("Attributes Reason: FifoThroughputScope: Invalid value [%s]", value)
		}
	}
	return nil
}

func (s *Server) createTopic(p query.Parameters) (any, error) {
	arn, err := s.CreateTopic(p.Get("Name"), p.Map("Attributes"))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tag := range p.Structures("Tags", "member") {
		s.topics[arn].tags[tag.Get("Key")] = tag.Get("Value")
	}
	return struct{ TopicArn string }{arn}, nil
}

// topic finds a topic. The caller holds the lock.
func (s *Server) topic(arn string) (*topic, error) {
	t, exists := s.topics[arn]
	if exists {
		return t, nil
	}
	if !strings.HasPrefix(arn, "arn:aws:sns:") {
		return nil, invalid("TopicArn")
	}
	return nil, notFound("Topic")
}

// deleteTopic succeeds for a topic that does not exist, as on AWS.
func (s *Server) deleteTopic(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arn := p.Get("TopicArn")
	delete(s.topics, arn)
	maps.DeleteFunc(s.subscriptions, func(_ string, sub *subscription) bool { return sub.topicARN == arn })
	return nil, nil
}

func (s *Server) listTopics(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	type entry struct{ TopicArn string }
	var all []entry
	for arn := range s.topics {
		all = append(all, entry{arn})
	}
	entries, next := page(all, p.Get("NextToken"), func(e entry) string { return e.TopicArn })
	return struct {
		Topics    []entry `xml:"Topics>member"`
		NextToken string  `xml:",omitempty"`
	}{entries, next}, nil
}

func (s *Server) getTopicAttributes(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(p.Get("TopicArn"))
	if err != nil {
		return nil, err
	}
	attributes := map[string]string{
		"TopicArn":                t.arn,
		"Owner":                   s.account,
		"DisplayName":             "",
		"Policy":                  ownerPolicy(t.arn, s.account),
		"EffectiveDeliveryPolicy": effectiveDeliveryPolicy,
	}
	maps.Copy(attributes, t.attributes)
	var confirmed, pending int
	for _, sub := range s.subscriptions {
		switch {
		case sub.topicARN != t.arn:
		case sub.confirmed:
			confirmed++
		default:
			pending++
		}
	}
	attributes["SubscriptionsConfirmed"] = strconv.Itoa(confirmed)
	attributes["SubscriptionsPending"] = strconv.Itoa(pending)
	attributes["SubscriptionsDeleted"] = strconv.Itoa(t.deleted)
	return struct{ Attributes query.Entries }{sorted(attributes)}, nil
}

// ownerPolicy is what a topic's policy is before anybody sets one: the owner may do everything.
func ownerPolicy(arn, account string) string {
	return `{"Version":"2008-10-17","Id":"__default_policy_ID","Statement":[{"Sid":"__default_statement_ID","Effect":"Allow",` +
		`"Principal":{"AWS":"*"},"Action":["SNS:GetTopicAttributes","SNS:SetTopicAttributes","SNS:AddPermission","SNS:RemovePermission",` +
		`"SNS:DeleteTopic","SNS:Subscribe","SNS:ListSubscriptionsByTopic","SNS:Publish"],"Resource":"` + arn + `",` +
		`"Condition":{"StringEquals":{"AWS:SourceOwner":"` + account + `"}}}]}`
}

func (s *Server) setTopicAttributes(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(p.Get("TopicArn"))
	if err != nil {
		return nil, err
	}
	name, value := p.Get("AttributeName"), p.Get("AttributeValue")
	if name == "FifoTopic" {
		return nil, invalid("AttributeName")
	}
	if err := checkTopicAttribute(name, value, t.fifo()); err != nil {
		return nil, err
	}
	t.attributes[name] = value
	return nil, nil
}

// tagged finds the topic whose tags are asked for. The caller holds the lock.
func (s *Server) tagged(arn string) (*topic, error) {
	t, exists := s.topics[arn]
	if !exists {
		return nil, &query.Error{Status: 404, Code: "ResourceNotFound", Message: "Resource does not exist"}
	}
	return t, nil
}

func (s *Server) tagResource(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(p.Get("ResourceArn"))
	if err != nil {
		return nil, err
	}
	for _, tag := range p.Structures("Tags", "member") {
		t.tags[tag.Get("Key")] = tag.Get("Value")
	}
	return nil, nil
}

func (s *Server) untagResource(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(p.Get("ResourceArn"))
	if err != nil {
		return nil, err
	}
	for _, key := range p.Strings("TagKeys") {
		delete(t.tags, key)
	}
	return nil, nil
}

func (s *Server) listTagsForResource(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.tagged(p.Get("ResourceArn"))
	if err != nil {
		return nil, err
	}
	type tag struct{ Key, Value string }
	var tags []tag
	for _, key := range slices.Sorted(maps.Keys(t.tags)) {
		tags = append(tags, tag{key, t.tags[key]})
	}
	return struct {
		Tags []tag `xml:"Tags>member"`
	}{tags}, nil
}
