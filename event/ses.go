package event

import (
	"encoding/json"
	"strings"
)

// sesReceipt and sesMail are the two halves of SES's notification of a received
// mail. What the header says (mail.destination, mail.commonHeaders) is the
// sender's word, and not read here.
type (
	sesReceipt struct {
		Time         moment     `json:"timestamp"`
		Recipients   []string   `json:"recipients"` // of the envelope, as the receipt rule matched them
		SpamVerdict  sesVerdict `json:"spamVerdict"`
		VirusVerdict sesVerdict `json:"virusVerdict"`
		SPFVerdict   sesVerdict `json:"spfVerdict"`
		DKIMVerdict  sesVerdict `json:"dkimVerdict"`
		DMARCVerdict sesVerdict `json:"dmarcVerdict"`
		Action       struct {
			Type   string `json:"type"`
			Bucket string `json:"bucketName"`
			Key    string `json:"objectKey"` // with the prefix; not encoded
		} `json:"action"`
	}
	sesVerdict struct {
		Status string `json:"status"`
	}
	sesMail struct {
		Source    string `json:"source"` // envelope sender
		MessageID string `json:"messageId"`
	}
)

func sesNotification(s shape, raw []byte) (Notice, error) {
	if s.NotificationType != "Received" {
		return Notice{}, notAnEvent("it is SES's notice of a %s, which is about a mail that was sent", excerpt(s.NotificationType+s.EventType))
	}
	if s.Mail == nil || s.Receipt == nil {
		return Notice{}, notAnEvent("it is SES's notice of a received mail without its mail or its receipt")
	}
	var mail sesMail
	if err := json.Unmarshal(s.Mail, &mail); err != nil {
		return Notice{}, notAnEvent("the mail in SES's notice is none of SES's: %s", fault(err))
	}
	var receipt sesReceipt
	if err := json.Unmarshal(s.Receipt, &receipt); err != nil {
		return Notice{}, notAnEvent("the receipt in SES's notice is none of SES's: %s", fault(err))
	}
	stored := receipt.Action
	if mail.MessageID == setupName || strings.HasSuffix(stored.Key, setupName) {
		return Notice{Kind: Setup}, nil
	}
	if stored.Bucket == "" || stored.Key == "" {
		return Notice{}, notAnEvent("SES stored the mail nowhere (action %s): use a receipt rule with an S3 action", excerpt(stored.Type))
	}
	return Notice{Kind: Created, Objects: []Object{{
		Bucket: stored.Bucket, Key: stored.Key, Name: s.NotificationType, Size: -1, Time: receipt.Time.Time,
		Receipt: &Receipt{
			MessageID: mail.MessageID, MailFrom: strings.Trim(mail.Source, "<>"), Recipients: receipt.Recipients, Time: receipt.Time.Time,
			Spam: receipt.SpamVerdict.Status, Virus: receipt.VirusVerdict.Status,
			SPF: receipt.SPFVerdict.Status, DKIM: receipt.DKIMVerdict.Status, DMARC: receipt.DMARCVerdict.Status,
		},
		Notice: sendable(raw),
	}}}, nil
}
