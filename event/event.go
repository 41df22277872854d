// Package event reads the notices that announce an object in S3, in every shape
// in which AWS delivers them.
//
// A notice begins as one of three:
//
//	S3          {"Records": [{"s3": {"bucket": ..., "object": ...}}, ...]}     s3.go
//	SES         {"notificationType": "Received", "receipt": ..., "mail": ...}  ses.go
//	EventBridge {"detail-type": "Object Created", "detail": ...}               bridge.go
//
// and on its way it may be put into an envelope of SNS ({"Type": "Notification",
// "Message": "..."}), or into the record of an EventBridge Pipe ({"messageId": ...,
// "body": "..."}), alone or in a list. [Decode] takes all that off again.
//
// What is left is a [Notice]: something that was created ([Created], with one
// [Object] for each), or one of those that AWS sends to see whether anybody
// listens. Every other text is an error that says what the text looked like, and
// that is permanent: it will never become a notice.
//
// What a notice knows depends on who sent it. S3 and EventBridge know the object's
// size, ETag and version, but neither its envelope nor SES's verdicts; SES knows
// those two and nothing of the first three. What a later step needs and the notice
// lacks, that step gets from the object itself.
//
// A notice is not believed blindly: whoever may send to the queue may send
// anything. Names that stand twice in one JSON object are refused, so that two
// readers of one notice can't read two different objects from it, and so is what
// is nested deeper than any notice.
//
// The shapes come from the S3 user guide ("Event message structure"), the SES
// developer guide ("Contents of notifications for Amazon SES email receiving"),
// the SNS developer guide ("Message formats") and the EventBridge user guide
// ("Amazon S3 events", "Amazon EventBridge Pipes").
package event

import (
	"bytes"
	"encoding/json"
	"time"
)

// Kind is what a notice is for.
type Kind string

// The kinds. Only Created has objects.
const (
	Created Kind = "created" // objects were created
	Test    Kind = "test"    // S3 tries out a destination (s3:TestEvent)
	Setup   Kind = "setup"   // SES tries out a rule, or SNS a subscription
	Ignored Kind = "ignored" // something happened that was no creation, such as a removal
)

// Notice is one announcement.
type Notice struct {
	Kind    Kind
	Objects []Object // in the order in which they are announced
}

// Object is one object that was announced.
type Object struct {
	Bucket    string
	Key       string // as S3 has it, decoded
	VersionID string // empty if the notice has none
	ETag      string // without quotes; empty if the notice has none
	Sequencer string // hexadecimal; orders events of one key; empty if the notice has none
	Region    string // of the bucket; empty if the notice has none
	Name      string // of the event, such as "ObjectCreated:Put" or "Received"
	Size      int64  // octets, -1 if the notice does not say
	Time      time.Time
	Receipt   *Receipt // nil unless SES sent the notice
	Rerun     Rerun    // zero unless an operator had it announced
	Notice    []byte   // a notice of this object alone, unwrapped, in characters that SQS takes; [Decode] reads it
}

// Receipt is what SES says of a mail beside the object.
type Receipt struct {
	MessageID  string // SES's id of the mail
	MailFrom   string // envelope sender, empty for the null reverse-path
	Recipients []string
	Time       time.Time

	Spam, Virus, SPF, DKIM, DMARC string // PASS, FAIL, GRAY, ...; empty if SES did not say
}

// Rerun says of a notice that an operator sent it, and not S3, and what he wants.
type Rerun struct {
	ID       string `json:"rerun"`              // names the rerun; empty: S3 sent it
	Again    bool   `json:"again,omitempty"`    // what was answered before is answered once more
	Uncapped bool   `json:"uncapped,omitempty"` // the sender's caps do not hold
}

// setupName is the name of the object, and the id of the mail, with which SES
// tries out a receipt rule.
const setupName = "AMAZON_SES_SETUP_NOTIFICATION"

// mostWrappers is how many wrappers may lie round a notice: a list of a pipe's
// records, the record, an envelope of SNS, and one in reserve.
const mostWrappers = 4

// Decode reads the body of a message. Its error says what the body looked like,
// quotes no more than 80 octets of it, and has Permanent() true.
func Decode(body []byte) (Notice, error) {
	return decode(body, mostWrappers)
}

// shape is every field that tells one shape from another.
type shape struct {
	// S3
	Records []json.RawMessage `json:"Records"`
	Event   string            `json:"Event"`
	// SES
	NotificationType string          `json:"notificationType"`
	EventType        string          `json:"eventType"`
	Receipt          json.RawMessage `json:"receipt"`
	Mail             json.RawMessage `json:"mail"`
	// SNS
	Type    string  `json:"Type"`
	Message *string `json:"Message"`
	// EventBridge
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Detail     json.RawMessage `json:"detail"`
	Time       moment          `json:"time"`
	Region     string          `json:"region"`
	// a record of a pipe
	Body *string `json:"body"`
}

func decode(body []byte, wrappers int) (Notice, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return Notice{}, notAnEvent("it is empty")
	}
	if body[0] != '{' && body[0] != '[' {
		return Notice{}, notAnEvent("it is no JSON object: %s", excerpt(body))
	}
	if err := unambiguous(body); err != nil {
		return Notice{}, err
	}
	if body[0] == '[' {
		return decodeList(body, wrappers)
	}
	var s shape
	if err := json.Unmarshal(body, &s); err != nil {
		return Notice{}, notAnEvent("it is no JSON of an event: %s", fault(err))
	}
	switch {
	case s.Records != nil:
		return s3Event(s.Records)
	case s.Event == "s3:TestEvent":
		return Notice{Kind: Test}, nil
	case s.NotificationType != "" || s.EventType != "":
		return sesNotification(s, body)
	case s.Type == "Notification" && s.Message != nil:
		return unwrap(*s.Message, wrappers)
	case s.Type == "SubscriptionConfirmation" || s.Type == "UnsubscribeConfirmation":
		return Notice{Kind: Setup}, nil
	case s.DetailType != "":
		return bridgeEvent(s, body)
	case s.Body != nil:
		return unwrap(*s.Body, wrappers)
	}
	return Notice{}, notAnEvent("it is JSON, but of no shape that announces an object: %s", excerpt(body))
}

// unwrap reads what stood in a wrapper.
func unwrap(inner string, wrappers int) (Notice, error) {
	if wrappers == 0 {
		return Notice{}, notAnEvent("it is wrapped more than %d times", mostWrappers)
	}
	return decode([]byte(inner), wrappers-1)
}

// decodeList reads what a pipe delivers: a list of records. A list with one
// element that is no notice is none: who looks into its dead letter finds all of
// it there.
func decodeList(body []byte, wrappers int) (Notice, error) {
	if wrappers == 0 {
		return Notice{}, notAnEvent("it is wrapped more than %d times", mostWrappers)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return Notice{}, notAnEvent("it is no JSON of a list: %s", fault(err))
	}
	if len(list) == 0 {
		return Notice{}, notAnEvent("it is an empty list")
	}
	var all Notice
	for _, one := range list {
		n, err := decode(one, wrappers-1)
		if err != nil {
			return Notice{}, err
		}
		all.Objects = append(all.Objects, n.Objects...)
		all.Kind = more(all.Kind, n.Kind)
	}
	return all, nil
}

// more is the kind of a notice that announces two things: whatever was created
// counts, then what AWS tried out.
func more(a, b Kind) Kind {
	for _, kind := range []Kind{Created, Test, Setup} {
		if a == kind || b == kind {
			return kind
		}
	}
	return Ignored
}
