package sns

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"inreply/local/query"
)

// maxMessage is the largest message with its attributes, in bytes; also that of a batch.
const maxMessage = 256 << 10

// firstSequence comes before the first sequence number: AWS's have 20 digits.
const firstSequence = 10_000_000_000_000_000_000

// publication is what a publisher hands in.
type publication struct {
	subject, message         string
	groupID, deduplicationID string
	attributes               map[string]Attribute
	byProtocol               map[string]string // with MessageStructure json
}

// text is the message for a protocol, which may have one of its own.
func (in publication) text(protocol string) string {
	if text, differs := in.byProtocol[protocol]; differs {
		return text
	}
	return in.message
}

func (in publication) size() int {
	n := len(in.message)
	for name, attribute := range in.attributes {
		n += len(name) + len(attribute.Type) + len(attribute.String) + len(attribute.Binary)
	}
	return n
}

// readPublication reads the parameters of Publish, or of one entry of PublishBatch.
func readPublication(p query.Parameters) (publication, error) {
	in := publication{
		subject:         p.Get("Subject"),
		message:         p.Get("Message"),
		groupID:         p.Get("MessageGroupId"),
		deduplicationID: p.Get("MessageDeduplicationId"),
	}
	if len(in.subject) > 100 || strings.ContainsAny(in.subject, "\r\n") {
		return publication{}, invalid("Subject")
	}
	for _, entry := range p.Structures("MessageAttributes", "entry") {
		name := entry.Get("Name")
		attribute, err := readAttribute(name, entry)
		if err != nil {
			return publication{}, err
		}
		if in.attributes == nil {
			in.attributes = make(map[string]Attribute)
		}
		in.attributes[name] = attribute
	}
	if p.Get("MessageStructure") != "json" {
		return in, nil
	}
	if err := json.Unmarshal([]byte(in.message), &in.byProtocol); err != nil {
		return publication{}, invalid("Message Structure - JSON message body failed to parse")
	}
	text, hasDefault := in.byProtocol["default"]
	if !hasDefault {
		return publication{}, invalid("Message Structure - No default entry in JSON message body")
	}
	in.message = text
	return in, nil
}

func readAttribute(name string, entry query.Parameters) (Attribute, error) {
	a := Attribute{Type: entry.Get("Value.DataType"), String: entry.Get("Value.StringValue")}
	base, _, _ := strings.Cut(a.Type, ".")
	switch base {
	case "String", "Number":
		if a.String == "" {
			return a, attributeRefused("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
		}
		if _, err := strconv.ParseFloat(a.String, 64); base == "Number" && err != nil {
			return a, attributeRefused("Could not cast message attribute '%s' value to number.", name)
		}
	case "Binary":
		decoded, err := base64.StdEncoding.DecodeString(entry.Get("Value.BinaryValue"))
		if err != nil || len(decoded) == 0 {
			return a, attributeRefused("The message attribute '%s' must contain non-empty message attribute value for message attribute type '%s'.", name, a.Type)
		}
		a.Binary = decoded
	default:
		return a, attributeRefused("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	}
	return a, nil
}

func attributeRefused(format string, args ...any) error {
	refusal := invalid(format, args...)
	refusal.Code = "ParameterValueInvalid"
	return refusal
}

// checkBatch refuses a batch as a whole, as AWS does before it looks at the messages.
func checkBatch(entries []query.Parameters) error {
	if len(entries) == 0 {
		return &query.Error{Code: "EmptyBatchRequest", Message: "The batch request doesn't contain any entries."}
	}
	if len(entries) > 10 {
		return &query.Error{Code: "TooManyEntriesInBatchRequest", Message: "The batch request contains more entries than permissible."}
	}
	seen := make(map[string]bool)
	for _, entry := range entries {
		id := entry.Get("Id")
		if !legalName(id, 80) {
			return &query.Error{Code: "InvalidBatchEntryId", Message: "The Id of a batch entry in a batch request doesn't abide by the specification."}
		}
		if seen[id] {
			return &query.Error{Code: "BatchEntryIdsNotDistinct", Message: "Two or more batch entries in the request have the same Id."}
		}
		seen[id] = true
	}
	return nil
}

// checkTogether refuses a batch that is too large, or whose entries lack what the topic needs.
func (s *Server) checkTogether(topicARN string, batch []publication) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := s.topic(topicARN)
	if err != nil {
		return err
	}
	size := 0
	for _, in := range batch {
		size += in.size()
	}
	if size > maxMessage {
		return &query.Error{Code: "BatchRequestTooLong", Message: "The length of all the batch messages put together is more than the limit."}
	}
	for _, in := range batch {
		if err := t.checkIDs(in); err != nil {
			return err
		}
	}
	return nil
}

// check tells whether a topic takes this message.
func (t *topic) check(in publication) error {
	if in.message == "" {
		return invalid("Empty message")
	}
	if in.size() > maxMessage {
		return invalid("Message too long")
	}
	if !utf8.ValidString(in.message) {
		return invalid("Message Reason: Message must be UTF-8 encoded")
	}
	return t.checkIDs(in)
}

func (t *topic) checkIDs(in publication) error {
	if !legalID(in.groupID) {
		return invalid("The MessageGroupId parameter can only include alphanumeric and punctuation characters and must be between 1 and 128 characters long")
	}
	if !legalID(in.deduplicationID) {
		return invalid("The MessageDeduplicationId parameter can only include alphanumeric and punctuation characters and must be between 1 and 128 characters long")
	}
	if !t.fifo() {
		if in.deduplicationID != "" {
			return invalid("MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type")
		}
		return nil
	}
	if in.groupID == "" {
		return invalid("The MessageGroupId parameter is required for FIFO topics")
	}
	if in.deduplicationID == "" && t.attributes["ContentBasedDeduplication"] != "true" {
		return invalid("The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	return nil
}

// legalID tells whether SNS takes a group or deduplication id: up to 128 ASCII letters, digits
// and punctuation.
func legalID(id string) bool {
	return len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

// legalName tells whether a name has only ASCII letters, digits, - and _, and is not too long.
func legalName(name string, longest int) bool {
	illegal := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	return name != "" && len(name) <= longest && strings.IndexFunc(name, illegal) < 0
}

// publish takes a message in and delivers it to whoever wants it.
func (s *Server) publish(topicARN string, in publication) (receipt, error) {
	s.mu.Lock()
	t, err := s.topic(topicARN)
	s.mu.Unlock()
	if err != nil {
		return receipt{}, err
	}
	if t.fifo() {
		t.order.Lock()
		defer t.order.Unlock()
	}
	n, subscribers, err := s.accept(t, in)
	if err != nil {
		return receipt{}, err
	}
	for _, sub := range subscribers {
		s.deliver(sub, n)
	}
	return n.receipt, nil
}

// accept checks, numbers and remembers a message, and lists who wants it: nobody, when it is a
// duplicate.
func (s *Server) accept(t *topic, in publication) (*notification, []*subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := t.check(in); err != nil {
		return nil, nil, err
	}
	n := &notification{
		publication: in,
		topicARN:    t.arn,
		at:          time.Now(),
		version:     t.attributes["SignatureVersion"],
		signer:      s.signer,
		base:        s.url(),
	}
	if t.fifo() {
		if n.deduplicationID == "" {
			hash := sha256.Sum256([]byte(in.message))
			n.deduplicationID = hex.EncodeToString(hash[:])
		}
		if first, duplicate := t.recall(in.groupID, n.deduplicationID, n.at); duplicate {
			n.receipt = first
			return n, nil, nil
		}
		t.sequence++
		n.sequence = strconv.FormatUint(firstSequence+t.sequence, 10)
	}
	n.id = s.uuid()
	if t.fifo() {
		t.remember(in.groupID, n.deduplicationID, n.receipt, n.at)
	}
	return n, s.interested(n), nil
}

// interested lists the subscriptions that get a message, always in the same order.
func (s *Server) interested(n *notification) []*subscription {
	var found []*subscription
	for _, sub := range s.subscriptions {
		if sub.topicARN == n.topicARN && sub.confirmed && sub.wants(n) {
			found = append(found, sub)
		}
	}
	slices.SortFunc(found, func(a, b *subscription) int { return strings.Compare(a.arn, b.arn) })
	return found
}

func (sub *subscription) wants(n *notification) bool {
	if sub.filter == nil {
		return true
	}
	if sub.filterBody {
		return sub.filter.matchBody(n.message)
	}
	return sub.filter.matchAttributes(n.attributes)
}

// scope is the key by which a deduplication id is remembered.
func (t *topic) scope(groupID, deduplicationID string) string {
	if t.attributes["FifoThroughputScope"] == "MessageGroup" {
		return deduplicationID + "\x00" + groupID
	}
	return deduplicationID
}

// recall finds the message that came first with this id within the last five minutes.
func (t *topic) recall(groupID, deduplicationID string, now time.Time) (first receipt, seen bool) {
	for len(t.seenAt) > 0 && now.Sub(t.seenAt[0].at) >= deduplication {
		delete(t.seen, t.seenAt[0].key)
		t.seenAt = t.seenAt[1:]
	}
	first, seen = t.seen[t.scope(groupID, deduplicationID)]
	return first, seen
}

func (t *topic) remember(groupID, deduplicationID string, r receipt, now time.Time) {
	key := t.scope(groupID, deduplicationID)
	t.seen[key] = r
	t.seenAt = append(t.seenAt, sighting{key, now})
}

// deliver hands a message to one subscription.
func (s *Server) deliver(sub *subscription, n *notification) {
	if sub.protocol != "sqs" {
		s.pushTo(sub, n)
		return
	}
	d, err := n.delivery(sub)
	if err == nil {
		err = s.queues.Deliver(sub.endpoint, d.to(sub.endpoint))
	}
	if err != nil {
		s.bury(sub, n, err)
	}
}

// delivery is what a queue gets. Raw delivery of more than ten attributes fails, since SQS
// takes no more: https://docs.aws.amazon.com/sns/latest/dg/sns-large-payload-raw-message-delivery.html.
func (n *notification) delivery(sub *subscription) (Delivery, error) {
	d := Delivery{Body: n.text("sqs"), GroupID: n.groupID, DeduplicationID: n.deduplicationID}
	if !sub.raw {
		envelope, err := n.envelope(sub)
		d.Body = envelope
		return d, err
	}
	if len(n.attributes) > 10 {
		return d, errors.New("raw delivery carries at most ten message attributes")
	}
	d.Attributes = n.attributes
	return d, nil
}

// to leaves out the deduplication id for standard queues, which refuse one.
func (d Delivery) to(queueARN string) Delivery {
	if !isFifo(queueARN) {
		d.DeduplicationID = ""
	}
	return d
}

// bury moves a message that could not be delivered to the subscription's dead-letter queue.
func (s *Server) bury(sub *subscription, n *notification, cause error) {
	log := s.log.With(zap.String("subscription", sub.arn), zap.String("message_id", n.id), zap.NamedError("cause", cause))
	if sub.deadLetters == "" {
		log.Warn("sns: message not delivered, and the subscription has no dead-letter queue")
		return
	}
	d, err := n.delivery(sub)
	if err != nil {
		d = Delivery{Body: n.text(sub.protocol), GroupID: n.groupID, DeduplicationID: n.deduplicationID}
	}
	if err := s.queues.Deliver(sub.deadLetters, d.to(sub.deadLetters)); err != nil {
		log.Warn("sns: message not delivered, and refused by the dead-letter queue", zap.Error(err))
		return
	}
	log.Warn("sns: message not delivered, moved to the dead-letter queue")
}
