package local

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"inreply/local/ses"
)

// maxNoticeHeaders is how many bytes of headers an SES notification carries.
const maxNoticeHeaders = 10 << 10

// notice is the notification that a receipt rule's S3 action sends to its topic
// (SES developer guide, "Contents of notifications for Amazon SES email
// receiving").
type notice struct {
	NotificationType string        `json:"notificationType"`
	Mail             noticeMail    `json:"mail"`
	Receipt          noticeReceipt `json:"receipt"`
}

type noticeMail struct {
	Timestamp        string         `json:"timestamp"`
	Source           string         `json:"source"`
	MessageID        string         `json:"messageId"` // SES's, not the header
	Destination      []string       `json:"destination"`
	HeadersTruncated bool           `json:"headersTruncated"`
	Headers          []noticeHeader `json:"headers"`
	CommonHeaders    commonHeaders  `json:"commonHeaders"`
}

type noticeHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type commonHeaders struct {
	ReturnPath string   `json:"returnPath,omitempty"`
	From       []string `json:"from,omitempty"`
	ReplyTo    []string `json:"replyTo,omitempty"`
	To         []string `json:"to,omitempty"`
	Cc         []string `json:"cc,omitempty"`
	Date       string   `json:"date,omitempty"`
	MessageID  string   `json:"messageId,omitempty"`
	Subject    string   `json:"subject,omitempty"`
}

type noticeReceipt struct {
	Timestamp            string        `json:"timestamp"`
	ProcessingTimeMillis int           `json:"processingTimeMillis"`
	Recipients           []string      `json:"recipients"`
	SpamVerdict          noticeVerdict `json:"spamVerdict"`
	VirusVerdict         noticeVerdict `json:"virusVerdict"`
	SPFVerdict           noticeVerdict `json:"spfVerdict"`
	DKIMVerdict          noticeVerdict `json:"dkimVerdict"`
	DMARCVerdict         noticeVerdict `json:"dmarcVerdict"`
	DMARCPolicy          string        `json:"dmarcPolicy,omitempty"` // only when DMARC failed
	Action               noticeAction  `json:"action"`
}

type noticeVerdict struct {
	Status ses.Verdict `json:"status"`
}

type noticeAction struct {
	Type            string `json:"type"`
	TopicARN        string `json:"topicArn"`
	BucketName      string `json:"bucketName"`
	ObjectKeyPrefix string `json:"objectKeyPrefix,omitempty"`
	ObjectKey       string `json:"objectKey"`
}

// notify tells a rule's topic of a mail that was stored.
func (w *World) notify(rule ses.Rule, m Mail, received ses.Received) error {
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	n := notice{
		NotificationType: "Received",
		Mail:             describe(received.Raw),
		Receipt:          m.receipt(),
	}
	n.Mail.Timestamp, n.Receipt.Timestamp = now, now
	n.Mail.Source, n.Mail.MessageID = m.From, received.ID
	n.Receipt.Action = noticeAction{
		Type: "S3", TopicARN: rule.Topic, BucketName: rule.Bucket,
		ObjectKeyPrefix: rule.KeyPrefix, ObjectKey: rule.KeyPrefix + received.ID,
	}
	b, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encode notification: %w", err)
	}
	if err := w.SNS.Publish(rule.Topic, "Amazon SES Email Receipt Notification", string(b)); err != nil {
		return fmt.Errorf("tell topic %s: %w", rule.Topic, err)
	}
	return nil
}

func (m Mail) receipt() noticeReceipt {
	verdict := func(v ses.Verdict) noticeVerdict { return noticeVerdict{cmp.Or(v, ses.Pass)} }
	r := noticeReceipt{
		Recipients:   m.Recipients,
		SpamVerdict:  verdict(m.Verdicts.Spam),
		VirusVerdict: verdict(m.Verdicts.Virus),
		SPFVerdict:   verdict(m.Verdicts.SPF),
		DKIMVerdict:  verdict(m.Verdicts.DKIM),
		DMARCVerdict: verdict(m.Verdicts.DMARC),
	}
	if m.Verdicts.DMARC == ses.Fail {
		r.DMARCPolicy = "none"
	}
	return r
}

// describe is what a notification says of the mail in an object. A mail whose
// header cannot be read is described as far as it can.
func describe(object []byte) noticeMail {
	var d noticeMail
	d.Headers, d.HeadersTruncated = headers(object)
	message, err := mail.ReadMessage(bytes.NewReader(object))
	if err != nil {
		return d
	}
	h := message.Header
	d.CommonHeaders = commonHeaders{
		ReturnPath: strings.Trim(h.Get("Return-Path"), "<>"),
		From:       addresses(h.Get("From")),
		ReplyTo:    addresses(h.Get("Reply-To")),
		To:         addresses(h.Get("To")),
		Cc:         addresses(h.Get("Cc")),
		Date:       h.Get("Date"),
		MessageID:  h.Get("Message-Id"),
		Subject:    h.Get("Subject"),
	}
	for _, list := range [][]string{d.CommonHeaders.To, d.CommonHeaders.Cc} {
		for _, address := range list {
			d.Destination = append(d.Destination, bare(address))
		}
	}
	return d
}

// headers lists the fields of the header in their order, unfolded (RFC 5322,
// section 2.2.3), up to the size that a notification may have.
func headers(object []byte) (fields []noticeHeader, truncated bool) {
	head, _, _ := bytes.Cut(object, []byte("\r\n\r\n"))
	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(head))
	size := 0
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		size += len(line)
		if size > maxNoticeHeaders {
			return fields, true
		}
		fields = append(fields, noticeHeader{name, strings.TrimSpace(value)})
	}
	return fields, false
}

// addresses splits a list of addresses; one that cannot be read stays whole.
func addresses(list string) []string {
	if list == "" {
		return nil
	}
	parsed, err := mail.ParseAddressList(list)
	if err != nil {
		return []string{list}
	}
	var all []string
	for _, a := range parsed {
		if a.Name == "" {
			all = append(all, a.Address)
			continue
		}
		all = append(all, a.String())
	}
	return all
}

func bare(address string) string {
	a, err := mail.ParseAddress(address)
	if err != nil {
		return address
	}
	return a.Address
}
