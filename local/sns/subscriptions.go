package sns

import (
	"encoding/hex"
	"encoding/json"
	"maps"
	"net"
	"net/url"
	"strconv"
	"strings"

	"inreply/local/query"
)

// subscription is one endpoint of a topic. A subscription is never changed after it was handed
// out: setting an attribute puts a changed copy in its place, so that a delivery under way
// needs no lock.
type subscription struct {
	arn, topicARN      string
	protocol, endpoint string
	attributes         map[string]string
	confirmed          bool
	token              string // the secret of the confirmation link
	raw                bool
	filter             *filter // nil lets everything pass
	filterBody         bool    // the filter reads the body instead of the attributes
	deadLetters        string  // ARN of a queue, or ""
	retries            retryPolicy
}

// pending is the ARN that lists show for a subscription that was not confirmed yet.
const pending = "PendingConfirmation"

// Subscribe subscribes an endpoint to a topic and returns the subscription's ARN. The protocol
// is "sqs", with a queue's ARN as its endpoint, or "http" or "https", with a URL on this
// machine, which gets a request to confirm before anything else.
func (s *Server) Subscribe(topicARN, protocol, endpoint string, attributes map[string]string) (arn string, err error) {
	sub, err := s.subscribe(topicARN, protocol, endpoint, attributes)
	if err != nil {
		return "", err
	}
	return sub.arn, nil
}

func (s *Server) subscribe(topicARN, protocol, endpoint string, attributes map[string]string) (*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(topicARN)
	if err != nil {
		return nil, err
	}
	if err := checkEndpoint(t, protocol, endpoint); err != nil {
		return nil, err
	}
	sub := &subscription{topicARN: topicARN, protocol: protocol, endpoint: endpoint, attributes: make(map[string]string)}
	for name, value := range attributes {
		if err := sub.set(name, value); err != nil {
			return nil, err
		}
	}
	if err := sub.compile(); err != nil {
		return nil, err
	}
	for _, other := range s.subscriptions {
		if other.topicARN != topicARN || other.protocol != protocol || other.endpoint != endpoint {
			continue
		}
		if !maps.Equal(other.attributes, sub.attributes) {
			return nil, invalid("Attributes Reason: Subscription already exists with different attributes")
		}
		return other, nil
	}
	sub.arn = topicARN + ":" + s.uuid()
	sub.confirmed = protocol == "sqs"
	s.subscriptions[sub.arn] = sub
	if !sub.confirmed {
		sub.token = hex.EncodeToString(s.random(64))
		s.askToConfirm(sub)
	}
	return sub, nil
}

func checkEndpoint(t *topic, protocol, endpoint string) error {
	switch protocol {
	case "sqs":
		if !strings.HasPrefix(endpoint, "arn:aws:sqs:") {
			return invalid("SQS endpoint ARN")
		}
		if isFifo(endpoint) && !t.fifo() {
			return invalid("Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics")
		}
		return nil
	case "http", "https":
		if t.fifo() {
			return invalid("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue")
		}
		return checkURL(protocol, endpoint)
	case "email", "email-json", "sms", "application", "lambda", "firehose":
		return query.NotOffered("SNS", "Subscribe with protocol "+protocol)
	}
	return invalid("Amazon SNS does not support this protocol string: %s", protocol)
}

// checkURL refuses endpoints on other machines: what runs on a laptop calls nobody outside.
func checkURL(protocol, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != protocol {
		return invalid("Endpoint must match the specified protocol")
	}
	if u.Hostname() == "localhost" {
		return nil
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() {
		return invalid("Endpoint Reason: the local SNS calls only endpoints on this machine (localhost, 127.0.0.1, ::1), not %s", u.Hostname())
	}
	return nil
}

// set takes one attribute. [subscription.compile] must follow, since some are read together.
func (sub *subscription) set(name, value string) error {
	switch name {
	case "RawMessageDelivery":
		raw, err := strconv.ParseBool(value)
		if err != nil {
			return invalid("Attributes Reason: RawMessageDelivery: Invalid value [%s]. Must be true or false.", value)
		}
		value = strconv.FormatBool(raw)
	case "FilterPolicyScope":
		if value != "MessageAttributes" && value != "MessageBody" {
			return invalid("Attributes Reason: FilterPolicyScope: Invalid value [%s]. Please use either MessageBody or MessageAttributes", value)
		}
	case "FilterPolicy", "RedrivePolicy", "DeliveryPolicy":
	default:
		return invalid("AttributeName")
	}
	if value == "" {
		delete(sub.attributes, name)
		return nil
	}
	sub.attributes[name] = value
	return nil
}

// compile makes the subscription behave as its attributes say.
func (sub *subscription) compile() error {
	sub.raw = sub.attributes["RawMessageDelivery"] == "true"
	sub.filterBody = sub.attributes["FilterPolicyScope"] == "MessageBody"
	sub.filter, sub.deadLetters, sub.retries = nil, "", defaultRetries()
	if policy, set := sub.attributes["FilterPolicy"]; set {
		compiled, err := compileFilter(policy, sub.filterBody)
		if err != nil {
			return err
		}
		sub.filter = compiled
	}
	if policy, set := sub.attributes["RedrivePolicy"]; set {
		var redrive struct {
			Target string `json:"deadLetterTargetArn"`
		}
		if json.Unmarshal([]byte(policy), &redrive) != nil || !strings.HasPrefix(redrive.Target, "arn:aws:sqs:") {
			return invalid("RedrivePolicy: deadLetterTargetArn is an invalid arn")
		}
		if isFifo(sub.topicARN) != isFifo(redrive.Target) {
			return invalid("RedrivePolicy: must use a FIFO queue as DLQ for a FIFO topic, and a standard queue for a standard one")
		}
		sub.deadLetters = redrive.Target
	}
	if policy, set := sub.attributes["DeliveryPolicy"]; set {
		retries, err := readRetries(policy)
		if err != nil {
			return invalid("DeliveryPolicy: %s", err)
		}
		sub.retries = retries
	}
	return nil
}

func (s *Server) subscribeOperation(p query.Parameters) (any, error) {
	sub, err := s.subscribe(p.Get("TopicArn"), p.Get("Protocol"), p.Get("Endpoint"), p.Map("Attributes"))
	if err != nil {
		return nil, err
	}
	arn := sub.arn
	if !sub.confirmed && p.Get("ReturnSubscriptionArn") != "true" {
		arn = "pending confirmation"
	}
	return struct{ SubscriptionArn string }{arn}, nil
}

func (s *Server) confirmSubscription(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.topic(p.Get("TopicArn")); err != nil {
		return nil, err
	}
	for arn, sub := range s.subscriptions {
		if sub.topicARN != p.Get("TopicArn") || sub.token == "" || sub.token != p.Get("Token") {
			continue
		}
		changed := *sub
		changed.confirmed = true
		s.subscriptions[arn] = &changed
		return struct{ SubscriptionArn string }{arn}, nil
	}
	return nil, invalid("Token")
}

// unsubscribe succeeds for a subscription that does not exist, as on AWS.
func (s *Server) unsubscribe(p query.Parameters) (any, error) {
	arn := p.Get("SubscriptionArn")
	if strings.Count(arn, ":") != 6 {
		return nil, invalid("SubscriptionArn Reason: An ARN must have at least 6 elements, not %d", strings.Count(arn, ":")+1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, exists := s.subscriptions[arn]
	if !exists {
		return nil, nil
	}
	delete(s.subscriptions, arn)
	s.topics[sub.topicARN].deleted++
	return nil, nil
}

// listed is a subscription in a list.
type listed struct {
	SubscriptionArn string
	Owner           string
	Protocol        string
	Endpoint        string
	TopicArn        string
}

func (s *Server) listSubscriptions(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list(p.Get("NextToken"), func(*subscription) bool { return true })
}

func (s *Server) listSubscriptionsByTopic(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(p.Get("TopicArn"))
	if err != nil {
		return nil, err
	}
	return s.list(p.Get("NextToken"), func(sub *subscription) bool { return sub.topicARN == t.arn })
}

func (s *Server) list(token string, wanted func(*subscription) bool) (any, error) {
	var all []*subscription
	for _, sub := range s.subscriptions {
		if wanted(sub) {
			all = append(all, sub)
		}
	}
	found, next := page(all, token, func(sub *subscription) string { return sub.arn })
	var entries []listed
	for _, sub := range found {
		arn := sub.arn
		if !sub.confirmed {
			arn = pending
		}
		entries = append(entries, listed{arn, s.account, sub.protocol, sub.endpoint, sub.topicARN})
	}
	return struct {
		Subscriptions []listed `xml:"Subscriptions>member"`
		NextToken     string   `xml:",omitempty"`
	}{entries, next}, nil
}

// subscription finds a subscription. The caller holds the lock.
func (s *Server) subscription(arn string) (*subscription, error) {
	sub, exists := s.subscriptions[arn]
	if !exists {
		return nil, notFound("Subscription")
	}
	return sub, nil
}

func (s *Server) getSubscriptionAttributes(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(p.Get("SubscriptionArn"))
	if err != nil {
		return nil, err
	}
	attributes := map[string]string{
		"SubscriptionArn":              sub.arn,
		"TopicArn":                     sub.topicARN,
		"Protocol":                     sub.protocol,
		"Endpoint":                     sub.endpoint,
		"Owner":                        s.account,
		"SubscriptionPrincipal":        "arn:aws:iam::" + s.account + ":root",
		"ConfirmationWasAuthenticated": strconv.FormatBool(sub.protocol == "sqs"),
		"PendingConfirmation":          strconv.FormatBool(!sub.confirmed),
		"RawMessageDelivery":           "false",
	}
	if sub.filter != nil {
		attributes["FilterPolicyScope"] = "MessageAttributes"
	}
	maps.Copy(attributes, sub.attributes)
	return struct{ Attributes query.Entries }{sorted(attributes)}, nil
}

func (s *Server) setSubscriptionAttributes(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := s.subscription(p.Get("SubscriptionArn"))
	if err != nil {
		return nil, err
	}
	changed := *sub
	changed.attributes = maps.Clone(sub.attributes)
	if err := changed.set(p.Get("AttributeName"), p.Get("AttributeValue")); err != nil {
		return nil, err
	}
	if err := changed.compile(); err != nil {
		return nil, err
	}
	s.subscriptions[sub.arn] = &changed
	return nil, nil
}
