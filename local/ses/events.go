package ses

import (
	"bytes"
	"encoding/json"
	"net/mail"
	"slices"
	"strings"

	"go.uber.org/zap"

	"inreply/local/query"
)

// Publisher puts a message on a standard SNS topic.
type Publisher func(topicARN, subject, message string) error

// destination is where a configuration set publishes events of its mails.
type destination struct {
	name    string
	enabled bool
	types   []string // such as "bounce", in lower case
	topic   string   // ARN
}

// The types of events, as an event destination names them.
const (
	eventSend      = "send"
	eventDelivery  = "delivery"
	eventBounce    = "bounce"
	eventComplaint = "complaint"
)

// SetDestination has a configuration set, which is made if it is not there, publish
// bounces and complaints of its mails to a topic, or nothing if that is empty.
func (s *Server) SetDestination(configurationSet, topicARN string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if topicARN == "" {
		s.configurationSets[configurationSet] = nil
		return
	}
	s.configurationSets[configurationSet] = []destination{
		{name: "feedback", enabled: true, types: []string{eventBounce, eventComplaint}, topic: topicARN},
	}
}

// HasConfigurationSet tells whether there is a configuration set of this name.
func (s *Server) HasConfigurationSet(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.configurationSet(name) == nil
}

// readDestination reads EventDestination. Only topics are destinations here.
func readDestination(p query.Parameters) (destination, error) {
	d := destination{
		name: p.Get("EventDestination.Name"), enabled: p.Get("EventDestination.Enabled") == "true",
		types: p.Strings("EventDestination.MatchingEventTypes"), topic: p.Get("EventDestination.SNSDestination.TopicARN"),
	}
	for i, kind := range d.types {
		d.types[i] = strings.ToLower(kind)
	}
	switch {
	case !legalName(d.name):
		return d, invalid("Event destination name contains invalid characters: <%s>.", d.name)
	case len(d.types) == 0:
		return d, invalid("At least one event type must be specified.")
	case p.Any("EventDestination.KinesisFirehoseDestination"), p.Any("EventDestination.CloudWatchDestination"):
		return d, query.NotOffered("SES", "an event destination that is no SNS topic")
	case !strings.HasPrefix(d.topic, "arn:aws:sns:"):
		return d, refuse("InvalidSNSDestination", "Invalid SNS topic ARN <%s>.", d.topic)
	}
	return d, nil
}

// at is where a destination of this name stands among those of a set; -1 if it is
// not there. The caller holds the lock.
func (s *Server) at(configurationSet, name string) int {
	return slices.IndexFunc(s.configurationSets[configurationSet], func(d destination) bool { return d.name == name })
}

func (s *Server) createEventDestination(p query.Parameters) (any, error) {
	d, err := readDestination(p)
	if err != nil {
		return nil, err
	}
	set := p.Get("ConfigurationSetName")
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.configurationSet(set); err != nil {
		return nil, err
	}
	if s.at(set, d.name) >= 0 {
		return nil, refuse("EventDestinationAlreadyExists", "Event destination <%s> already exists for configuration set <%s>.", d.name, set)
	}
	s.configurationSets[set] = append(s.configurationSets[set], d)
	return nil, nil
}

func (s *Server) updateEventDestination(p query.Parameters) (any, error) {
	d, err := readDestination(p)
	if err != nil {
		return nil, err
	}
	set := p.Get("ConfigurationSetName")
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.findDestination(set, d.name)
	if err != nil {
		return nil, err
	}
	s.configurationSets[set][at] = d
	return nil, nil
}

func (s *Server) deleteEventDestination(p query.Parameters) (any, error) {
	set := p.Get("ConfigurationSetName")
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.findDestination(set, p.Get("EventDestinationName"))
	if err != nil {
		return nil, err
	}
	s.configurationSets[set] = slices.Delete(s.configurationSets[set], at, at+1)
	return nil, nil
}

// findDestination refuses what is not there. The caller holds the lock.
func (s *Server) findDestination(set, name string) (int, error) {
	if err := s.configurationSet(set); err != nil {
		return -1, err
	}
	at := s.at(set, name)
	if at < 0 {
		return -1, refuse("EventDestinationDoesNotExist", "No EventDestination found for ConfigurationSet <%s> and EventDestination <%s>.", set, name)
	}
	return at, nil
}

// destinationShape is an event destination in an answer.
type destinationShape struct {
	Name               string
	Enabled            bool
	MatchingEventTypes []string `xml:"MatchingEventTypes>member"`
	TopicARN           string   `xml:"SNSDestination>TopicARN"`
}

// destinations shows those of a set. The caller holds the lock.
func (s *Server) destinations(set string) (shapes []destinationShape) {
	for _, d := range s.configurationSets[set] {
		shapes = append(shapes, destinationShape{d.name, d.enabled, d.types, d.topic})
	}
	return shapes
}

// subscribed are the topics that want to know of an event. The caller holds the
// lock.
func (s *Server) subscribed(set, kind string) (topics []string) {
	for _, d := range s.configurationSets[set] {
		if d.enabled && slices.Contains(d.types, kind) {
			topics = append(topics, d.topic)
		}
	}
	return topics
}

// simulator is the domain of the mailboxes that behave as their name says
// ("Using the mailbox simulator" in the SES developer guide). They may have labels:
// bounce+label@simulator.amazonses.com.
const simulator = "simulator.amazonses.com"

// becomes is what becomes of a mail to one recipient, as events, in order.
func becomes(recipient string) []string {
	local, domain, _ := strings.Cut(strings.ToLower(recipient), "@")
	local, _, _ = strings.Cut(local, "+")
	if domain == simulator {
		switch local {
		case "bounce", "suppressionlist":
			return []string{eventBounce}
		case "complaint":
			return []string{eventDelivery, eventComplaint}
		}
	}
	return []string{eventDelivery}
}

// event is an event as SES publishes it ("Contents of event data that Amazon SES
// publishes to Amazon SNS" in the developer guide).
type event struct {
	EventType string          `json:"eventType"`
	Bounce    *bounceEvent    `json:"bounce,omitempty"`
	Complaint *complaintEvent `json:"complaint,omitempty"`
	Delivery  *deliveryEvent  `json:"delivery,omitempty"`
	Send      *struct{}       `json:"send,omitempty"`
	Mail      mailEvent       `json:"mail"`
}

type mailEvent struct {
	Timestamp        string              `json:"timestamp"`
	Source           string              `json:"source"`
	SendingAccountID string              `json:"sendingAccountId"`
	MessageID        string              `json:"messageId"`
	Destination      []string            `json:"destination"`
	HeadersTruncated bool                `json:"headersTruncated"`
	CommonHeaders    commonHeaders       `json:"commonHeaders"`
	Tags             map[string][]string `json:"tags"`
}

type commonHeaders struct {
	From      []string `json:"from,omitempty"`
	To        []string `json:"to,omitempty"`
	MessageID string   `json:"messageId"`
	Subject   string   `json:"subject,omitempty"`
}

type bounceEvent struct {
	BounceType        string             `json:"bounceType"`
	BounceSubType     string             `json:"bounceSubType"`
	BouncedRecipients []bouncedRecipient `json:"bouncedRecipients"`
	Timestamp         string             `json:"timestamp"`
	FeedbackID        string             `json:"feedbackId"`
	ReportingMTA      string             `json:"reportingMTA,omitempty"`
}

type bouncedRecipient struct {
	EmailAddress   string `json:"emailAddress"`
	Action         string `json:"action"`
	Status         string `json:"status"`
	DiagnosticCode string `json:"diagnosticCode"`
}

type complaintEvent struct {
	ComplainedRecipients  []recipientEvent `json:"complainedRecipients"`
	Timestamp             string           `json:"timestamp"`
	FeedbackID            string           `json:"feedbackId"`
	ComplaintSubType      *string          `json:"complaintSubType"`
	UserAgent             string           `json:"userAgent"`
	ComplaintFeedbackType string           `json:"complaintFeedbackType"`
	ArrivalDate           string           `json:"arrivalDate"`
}

type recipientEvent struct {
	EmailAddress string `json:"emailAddress"`
}

type deliveryEvent struct {
	Timestamp            string   `json:"timestamp"`
	ProcessingTimeMillis int      `json:"processingTimeMillis"`
	Recipients           []string `json:"recipients"`
	SMTPResponse         string   `json:"smtpResponse"`
	ReportingMTA         string   `json:"reportingMTA"`
}

// publication is an event on its way to a topic.
type publication struct{ topic, text string }

// publications are the events of a mail that somebody wants to know of. The caller
// holds the lock.
func (s *Server) publications(m Sent) (all []publication) {
	add := func(kind, recipient string) {
		topics := s.subscribed(m.ConfigurationSet, kind)
		if len(topics) == 0 {
			return
		}
		text, err := json.Marshal(s.event(m, kind, recipient))
		if err != nil {
			s.log.Warn("ses: event not written", zap.Error(err))
			return
		}
		for _, topic := range topics {
			all = append(all, publication{topic, string(text)})
		}
	}
	add(eventSend, "")
	for _, recipient := range m.Destinations {
		for _, kind := range becomes(recipient) {
			add(kind, recipient)
		}
	}
	return all
}

// event is one event of a mail. The caller holds the lock.
func (s *Server) event(m Sent, kind, recipient string) event {
	at := m.At.UTC().Format("2006-01-02T15:04:05.000Z")
	e := event{Mail: mailEvent{
		Timestamp: at, Source: m.Source, SendingAccountID: "000000000000", MessageID: m.ID, Destination: m.Destinations,
		CommonHeaders: commonHeaders{MessageID: m.ID}, Tags: map[string][]string{"ses:configuration-set": {m.ConfigurationSet}},
	}}
	if message, err := mail.ReadMessage(bytes.NewReader(m.Raw)); err == nil {
		h := message.Header
		e.Mail.CommonHeaders = commonHeaders{From: h["From"], To: h["To"], MessageID: m.ID, Subject: h.Get("Subject")}
	}
	for name, value := range m.Tags {
		e.Mail.Tags[name] = []string{value}
	}
	feedbackID := s.newID(m.At)
	switch kind {
	case eventSend:
		e.EventType, e.Send = "Send", &struct{}{}
	case eventDelivery:
		e.EventType = "Delivery"
		e.Delivery = &deliveryEvent{Timestamp: at, Recipients: []string{recipient}, SMTPResponse: "250 2.6.0 Message received", ReportingMTA: "local"}
	case eventBounce:
		e.EventType = "Bounce"
		e.Bounce = bounced(recipient, at, feedbackID)
	case eventComplaint:
		e.EventType = "Complaint"
		e.Complaint = &complaintEvent{
			ComplainedRecipients: []recipientEvent{{recipient}}, Timestamp: at, FeedbackID: feedbackID,
			UserAgent: "Amazon SES Mailbox Simulator", ComplaintFeedbackType: "abuse", ArrivalDate: at,
		}
	}
	return e
}

func bounced(recipient, at, feedbackID string) *bounceEvent {
	b := &bounceEvent{
		BounceType: "Permanent", BounceSubType: "General", Timestamp: at, FeedbackID: feedbackID, ReportingMTA: "dsn; local",
		BouncedRecipients: []bouncedRecipient{{recipient, "failed", "5.1.1", "smtp; 550 5.1.1 user unknown"}},
	}
	if strings.HasPrefix(strings.ToLower(recipient), "suppressionlist") {
		b.BounceSubType, b.ReportingMTA = "Suppressed", ""
		b.BouncedRecipients[0].DiagnosticCode = "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address."
	}
	return b
}

// publish tells topics of a mail that was accepted. Whoever sent it has its answer
// already, on AWS, and is not told of a topic that cannot be told.
func (s *Server) publish(all []publication) {
	for _, p := range all {
		if err := s.events(p.topic, "Amazon SES Email Event Notification", p.text); err != nil {
			s.log.Warn("ses: event not published", zap.String("topic", p.topic), zap.Error(err))
		}
	}
}

// counts are the bounces and complaints of a mail.
func (m Sent) counts() (bounces, complaints int) {
	for _, recipient := range m.Destinations {
		what := becomes(recipient)
		if slices.Contains(what, eventBounce) {
			bounces++
		}
		if slices.Contains(what, eventComplaint) {
			complaints++
		}
	}
	return bounces, complaints
}
