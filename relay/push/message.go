package push

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What SNS delivers ("Parsing Amazon SNS message formats" in the SNS developer
// guide).
const (
	notification   = "Notification"
	subscription   = "SubscriptionConfirmation"
	unsubscription = "UnsubscribeConfirmation"
)

// message is one delivery of SNS. Only what is in signed is to be believed.
type message struct {
	Type             string
	ID               string `json:"MessageId"`
	TopicARN         string `json:"TopicArn"`
	Subject          *string
	Message          string
	Timestamp        string
	Token            string // of a confirmation
	SubscribeURL     string // of a confirmation
	SignatureVersion string
	Signature        string
	SigningCertURL   string

	signature []byte
}

// readMessage reads a delivery, and sees to it that nothing is missing.
func readMessage(body []byte) (*message, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, refuse(http.StatusBadRequest, "it is no JSON of SNS")
	}
	if m.Type != notification && m.Type != subscription && m.Type != unsubscription {
		return nil, refuse(http.StatusBadRequest, "its type %q is none of SNS's", excerpt(m.Type))
	}
	var err error
	if m.signature, err = base64.StdEncoding.DecodeString(m.Signature); err != nil || len(m.signature) == 0 {
		return nil, refuse(http.StatusForbidden, "it has no signature")
	}
	return &m, nil
}

// signed is the text that SNS has signed: names and values, each on a line of its
// own, in the order of the names ("Verifying the signatures of Amazon SNS messages"
// in the SNS developer guide). The subject is signed if there is one.
func (m *message) signed() []byte {
	lines := []string{"Message", m.Message, "MessageId", m.ID}
	if m.Type == notification {
		if m.Subject != nil {
			lines = append(lines, "Subject", *m.Subject)
		}
		lines = append(lines, "Timestamp", m.Timestamp)
	} else {
		lines = append(lines, "SubscribeURL", m.SubscribeURL, "Timestamp", m.Timestamp, "Token", m.Token)
	}
	lines = append(lines, "TopicArn", m.TopicARN, "Type", m.Type)
	return []byte(strings.Join(lines, "\n") + "\n")
}

// ahead is how much SNS's clock may be before ours.
const ahead = 5 * time.Minute

// checkAge refuses what was kept back, or was sent before. The time is that of the
// publication, also when SNS tries again.
func (m *message) checkAge(now time.Time, most time.Duration) error {
	at, err := time.Parse(time.RFC3339, m.Timestamp)
	if err != nil {
		return refuse(http.StatusBadRequest, "its timestamp %q is none", excerpt(m.Timestamp))
	}
	if age := now.Sub(at); age > most || age < -ahead {
		return refuse(http.StatusForbidden, "it is of %s, which is not between %s ago and now: relay.push.max_age, or the clock here", at.Format(time.RFC3339), most)
	}
	return nil
}

// excerpt is the beginning of what a stranger wrote, fit for a log line.
func excerpt(s string) string {
	const longest = 120
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	quoted := strconv.QuoteToASCII(s)
	return quoted[1 : len(quoted)-1]
}
