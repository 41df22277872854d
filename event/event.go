// Package event reads the notices that announce an object in S3, in every shape
// in which AWS delivers them: S3's own event, SES's notification of a received
// mail, EventBridge's "Object Created"; each of them raw, in an SNS envelope, or
// wrapped by an EventBridge Pipe.
//
// A notice is either something that was created ([Created], with one [Object] for
// each), or one of those that AWS sends to see whether anybody listens. Every
// other text is an error that names what the text looked like, and that is
// permanent: it will never become a notice.
//
// The shapes come from the S3 user guide ("Event message structure"), the SES
// developer guide ("Contents of notifications for email receiving"), the SNS
// developer guide ("Parsing message formats") and the EventBridge user guide
// ("Amazon S3 events").
package event

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
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
	Objects []Object
}

// Object is one object that was announced.
type Object struct {
	Bucket    string
	Key       string // as S3 has it, decoded
	VersionID string // empty if the notice has none
	ETag      string // without quotes; empty if the notice has none
	Sequencer string // hexadecimal; orders events of one key
	Region    string
	Name      string // of the event, such as "ObjectCreated:Put" or "Received"
	Size      int64  // octets, -1 if the notice does not say
	Time      time.Time
	Receipt   *Receipt // nil unless SES sent the notice
	Notice    []byte   // a notice of this object alone, unwrapped; [Decode] reads it
}

// Receipt is what SES says of a mail beside the object.
type Receipt struct {
	MessageID  string // SES's id of the mail
	MailFrom   string // envelope sender, empty for the null reverse-path
	Recipients []string
	Time       time.Time

	Spam, Virus, SPF, DKIM, DMARC string // PASS, FAIL, GRAY, ...; empty if SES did not say
}

// setupName is the name of the object, and the id of the mail, with which SES
// tries out a receipt rule.
const setupName = "AMAZON_SES_SETUP_NOTIFICATION"

// deepest is how many wrappers may lie round a notice: a pipe's record, an
// envelope of SNS, and one in reserve.
const deepest = 3

// notEvent is the error of a text that announces nothing.
type notEvent struct{ why string }

func (e *notEvent) Error() string   { return "not an event: " + e.why }
func (e *notEvent) Permanent() bool { return true }

func notAnEvent(format string, a ...any) error {
	return &notEvent{fmt.Sprintf(format, a...)}
}

// Decode reads the body of a message. Its error says what the body looked like,
// and has Permanent() true.
func Decode(body []byte) (Notice, error) {
	return decode(body, deepest)
}

// shape is every field that tells one shape from another.
type shape struct {
	// S3
	Records []json.RawMessage
	Event   string
	// SES
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Receipt          *sesReceipt
	Mail             *sesMail
	// SNS
	Type    string
	Message *string
	// EventBridge
	DetailType string `json:"detail-type"`
	Source     string
	Detail     *bridgeDetail
	Time       time.Time
	Region     string
	// a record of a pipe
	Body      *string `json:"body"`
	MessageID string  `json:"messageId"`
}

func decode(body []byte, depth int) (Notice, error) {
	if depth == 0 {
		return Notice{}, notAnEvent("wrapped more than %d times", deepest)
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "[") {
		return decodeList([]byte(text), depth)
	}
	if !strings.HasPrefix(text, "{") {
		return Notice{}, notAnEvent("it is no JSON object: %s", excerpt(text))
	}
	var s shape
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return Notice{}, notAnEvent("it is no JSON of an event: %v", err)
	}
	switch {
	case s.Records != nil:
		return s3Event(s.Records)
	case s.Event == "s3:TestEvent":
		return Notice{Kind: Test}, nil
	case s.NotificationType != "" || s.EventType != "":
		return sesNotification(s, []byte(text))
	case s.Type == "Notification" && s.Message != nil:
		return decode([]byte(*s.Message), depth-1)
	case s.Type == "SubscriptionConfirmation" || s.Type == "UnsubscribeConfirmation":
		return Notice{Kind: Setup}, nil
	case s.DetailType != "":
		return bridgeEvent(s, []byte(text))
	case s.Body != nil:
		return decode([]byte(*s.Body), depth-1)
	}
	return Notice{}, notAnEvent("it is JSON, but of no shape that announces an object: %s", excerpt(text))
}

// decodeList reads what a pipe delivers: a list of records.
func decodeList(body []byte, depth int) (Notice, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil {
		return Notice{}, notAnEvent("it is no JSON of a list: %v", err)
	}
	if len(list) == 0 {
		return Notice{}, notAnEvent("it is an empty list")
	}
	all := Notice{Kind: Ignored}
	for _, one := range list {
		n, err := decode(one, depth-1)
		if err != nil {
			return Notice{}, err
		}
		all.Objects = append(all.Objects, n.Objects...)
		if all.Kind != Created {
			all.Kind = n.Kind
		}
	}
	return all, nil
}

// s3Record is one record of an S3 event.
type s3Record struct {
	EventSource string    `json:"eventSource"`
	EventName   string    `json:"eventName"`
	EventTime   time.Time `json:"eventTime"`
	Region      string    `json:"awsRegion"`
	S3          struct {
		Bucket struct{ Name string }
		Object struct {
			Key       string
			Size      *int64
			ETag      string `json:"eTag"`
			VersionID string `json:"versionId"`
			Sequencer string
		}
	}
}

func s3Event(records []json.RawMessage) (Notice, error) {
	n := Notice{Kind: Ignored}
	for i, raw := range records {
		var r s3Record
		if err := json.Unmarshal(raw, &r); err != nil {
			return Notice{}, notAnEvent("record %d is none of S3's: %v", i, err)
		}
		if r.S3.Bucket.Name == "" || r.S3.Object.Key == "" {
			return Notice{}, notAnEvent("record %d names no bucket or no key", i)
		}
		// The name has no "s3:" before it, but the setting that asks for it does.
		if !strings.HasPrefix(strings.TrimPrefix(r.EventName, "s3:"), "ObjectCreated:") {
			continue
		}
		o := r.S3.Object
		// Form encoding: a space is "+". A key that is no form encoding is taken as
		// it is; some emulators write it so.
		key, err := url.QueryUnescape(o.Key)
		if err != nil {
			key = o.Key
		}
		if strings.HasSuffix(key, setupName) {
			n.Kind = kindOr(n.Kind, Setup)
			continue
		}
		size := int64(-1)
		if o.Size != nil {
			size = *o.Size
		}
		n.Kind = Created
		n.Objects = append(n.Objects, Object{
			Bucket: r.S3.Bucket.Name, Key: key, VersionID: o.VersionID, ETag: strings.Trim(o.ETag, `"`),
			Sequencer: o.Sequencer, Region: r.Region, Name: r.EventName, Size: size, Time: r.EventTime,
			Notice: fmt.Appendf(nil, `{"Records":[%s]}`, raw),
		})
	}
	return n, nil
}

// kindOr is Created if k is, else other.
func kindOr(k, other Kind) Kind {
	if k == Created {
		return k
	}
	return other
}

type sesReceipt struct {
	Timestamp    time.Time
	Recipients   []string
	SpamVerdict  sesVerdict `json:"spamVerdict"`
	VirusVerdict sesVerdict `json:"virusVerdict"`
	SPFVerdict   sesVerdict `json:"spfVerdict"`
	DKIMVerdict  sesVerdict `json:"dkimVerdict"`
	DMARCVerdict sesVerdict `json:"dmarcVerdict"`
	Action       struct {
		Type       string
		BucketName string `json:"bucketName"`
		ObjectKey  string `json:"objectKey"`
	}
}

type sesVerdict struct{ Status string }

type sesMail struct {
	Source    string // envelope sender
	MessageID string `json:"messageId"`
}

func sesNotification(s shape, raw []byte) (Notice, error) {
	if s.NotificationType != "Received" {
		return Notice{}, notAnEvent("it is SES's notice of a %s, which is about mail that was sent", excerpt(s.NotificationType+s.EventType))
	}
	if s.Mail == nil || s.Receipt == nil {
		return Notice{}, notAnEvent("it is SES's notice of a received mail without its mail or its receipt")
	}
	if s.Mail.MessageID == setupName {
		return Notice{Kind: Setup}, nil
	}
	r, a := s.Receipt, s.Receipt.Action
	if a.BucketName == "" || a.ObjectKey == "" {
		return Notice{}, notAnEvent("SES stored the mail nowhere (action %s): use a receipt rule with an S3 action", excerpt(a.Type))
	}
	if strings.HasSuffix(a.ObjectKey, setupName) {
		return Notice{Kind: Setup}, nil
	}
	return Notice{Kind: Created, Objects: []Object{{
		Bucket: a.BucketName, Key: a.ObjectKey, Name: s.NotificationType, Size: -1, Time: r.Timestamp,
		Receipt: &Receipt{
			MessageID: s.Mail.MessageID, MailFrom: strings.Trim(s.Mail.Source, "<>"), Recipients: r.Recipients, Time: r.Timestamp,
			Spam: r.SpamVerdict.Status, Virus: r.VirusVerdict.Status,
			SPF: r.SPFVerdict.Status, DKIM: r.DKIMVerdict.Status, DMARC: r.DMARCVerdict.Status,
		},
		Notice: raw,
	}}}, nil
}

type bridgeDetail struct {
	Bucket struct{ Name string }
	Object struct {
		Key       string
		Size      *int64
		ETag      string `json:"etag"`
		VersionID string `json:"version-id"`
		Sequencer string
	}
	Reason string
}

func bridgeEvent(s shape, raw []byte) (Notice, error) {
	if s.Source != "aws.s3" || s.Detail == nil {
		return Notice{}, notAnEvent("it is EventBridge's %s from %s, not S3's", excerpt(s.DetailType), excerpt(s.Source))
	}
	if s.DetailType != "Object Created" {
		return Notice{Kind: Ignored}, nil
	}
	o := s.Detail.Object
	if s.Detail.Bucket.Name == "" || o.Key == "" {
		return Notice{}, notAnEvent("EventBridge's event names no bucket or no key")
	}
	if strings.HasSuffix(o.Key, setupName) {
		return Notice{Kind: Setup}, nil
	}
	size := int64(-1)
	if o.Size != nil {
		size = *o.Size
	}
	return Notice{Kind: Created, Objects: []Object{{
		// The key is not encoded here.
		Bucket: s.Detail.Bucket.Name, Key: o.Key, VersionID: o.VersionID, ETag: strings.Trim(o.ETag, `"`),
		Sequencer: o.Sequencer, Region: s.Region, Name: "ObjectCreated:" + s.Detail.Reason, Size: size, Time: s.Time,
		Notice: raw,
	}}}, nil
}

// excerpt is the beginning of a text, fit for a log line.
func excerpt(text string) string {
	const longest = 80
	text = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == utf8.RuneError {
			return '.'
		}
		return r
	}, strings.ToValidUTF8(text, "."))
	if len(text) <= longest {
		return fmt.Sprintf("%q", text)
	}
	text = text[:longest]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return fmt.Sprintf("%q and more", text)
}
