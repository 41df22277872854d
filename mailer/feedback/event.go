package feedback

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Kind is what an event tells of.
type Kind string

// The kinds. What neither bounced nor was complained of is Other: deliveries, and
// what SNS and SES say when they are set up.
const (
	Bounce    Kind = "bounce"
	Complaint Kind = "complaint"
	Other     Kind = "other"
)

// The reasons of a suppression.
const (
	Bounced    = "bounced"
	Complained = "complained"
)

// Event is what SES tells of a mail that it sent.
type Event struct {
	Kind      Kind
	Permanent bool     // of a bounce: it will never be delivered
	Mistaken  bool     // of a complaint: the recipient says that it is no spam
	Addresses []string // that it is about
	SES       string   // SES's id of the mail
	Mail      string   // id of the mail that was answered, from its tag; empty if it has none
	Why       string   // SES's words for it
}

// reason is why its addresses must not be written to; empty if they may be.
func (e Event) reason() string {
	switch {
	case e.Kind == Bounce && e.Permanent:
		return Bounced
	case e.Kind == Complaint && !e.Mistaken:
		return Complained
	}
	return ""
}

// tag is the name of the message tag by which the mailer names the mail that was
// answered.
const tag = "inreply-mail"

// recipient is one address in SES's JSON.
type recipient struct {
	Address    string `json:"emailAddress"`
	Diagnostic string `json:"diagnosticCode"`
}

// notice is SES's JSON, of event publishing (eventType) and of notifications
// (notificationType), which are the same but for that ("Contents of event data
// that Amazon SES publishes to Amazon SNS" in the developer guide).
type notice struct {
	EventType        string `json:"eventType"`
	NotificationType string `json:"notificationType"`
	Mail             struct {
		MessageID string              `json:"messageId"`
		Tags      map[string][]string `json:"tags"`
	} `json:"mail"`
	Bounce struct {
		Type       string      `json:"bounceType"`
		SubType    string      `json:"bounceSubType"`
		Recipients []recipient `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		SubType    string      `json:"complaintSubType"`
		Feedback   string      `json:"complaintFeedbackType"`
		Recipients []recipient `json:"complainedRecipients"`
	} `json:"complaint"`
}

// envelope is what SNS puts round a message that it does not deliver raw.
type envelope struct {
	Type    string `json:"Type"`
	Message string `json:"Message"`
}

// Decode reads an event, in SNS's envelope or without. Its error says that it is
// none, and quotes nothing of it.
func Decode(body []byte) (Event, error) {
	var wrapped envelope
	if err := json.Unmarshal(body, &wrapped); err != nil {
		return Event{}, fmt.Errorf("read an event of SES: %w", errNoJSON)
	}
	if wrapped.Type != "" {
		if !strings.HasPrefix(strings.TrimSpace(wrapped.Message), "{") {
			// "Successfully validated SNS topic for Amazon SES event publishing."
			return Event{Kind: Other}, nil
		}
		body = []byte(wrapped.Message)
	}
	var n notice
	if err := json.Unmarshal(body, &n); err != nil {
		return Event{}, fmt.Errorf("read an event of SES: %w", errNoJSON)
	}
	e := Event{Kind: Other, SES: n.Mail.MessageID}
	if tags := n.Mail.Tags[tag]; len(tags) > 0 {
		e.Mail = tags[0]
	}
	switch n.EventType + n.NotificationType {
	case "Bounce":
		e.Kind, e.Permanent = Bounce, n.Bounce.Type == "Permanent"
		e.Why = n.Bounce.Type + " " + n.Bounce.SubType
		e.addresses(n.Bounce.Recipients)
	case "Complaint":
		e.Kind, e.Mistaken = Complaint, n.Complaint.Feedback == "not-spam"
		e.Why = strings.TrimSpace(n.Complaint.Feedback + " " + n.Complaint.SubType)
		e.addresses(n.Complaint.Recipients)
	case "":
		return Event{}, fmt.Errorf("read an event of SES: %w", errNoEvent)
	}
	return e, nil
}

func (e *Event) addresses(recipients []recipient) {
	for _, r := range recipients {
		if r.Address != "" {
			e.Addresses = append(e.Addresses, strings.ToLower(r.Address))
		}
		if r.Diagnostic != "" {
			e.Why += ": " + r.Diagnostic
		}
	}
}

var (
	errNoJSON  = errors.New("it is no JSON object")
	errNoEvent = errors.New("it has neither an eventType nor a notificationType")
)
