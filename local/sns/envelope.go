package sns

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// notification is an accepted message on its way out.
type notification struct {
	publication
	receipt
	topicARN string
	at       time.Time
	base     string // of links
	version  string // of signatures, "" is 1
	signer   *signer
}

// line is one member of an envelope, its value already in JSON.
type line struct{ name, value string }

// envelope writes a notification as AWS does: members in AWS's order, one to a line, a space on
// both sides of every colon. Nothing should depend on that, but what a person sees here should
// be what AWS shows.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html.
func (n *notification) envelope(sub *subscription) (string, error) {
	at := timestamp(n.at)
	lines := []line{{"Type", quote("Notification")}, {"MessageId", quote(n.id)}}
	if n.sequence != "" {
		lines = append(lines, line{"SequenceNumber", quote(n.sequence)})
	}
	lines = append(lines, line{"TopicArn", quote(n.topicARN)})
	if n.subject != "" {
		lines = append(lines, line{"Subject", quote(n.subject)})
	}
	text := n.text(sub.protocol)
	lines = append(lines, line{"Message", quote(text)}, line{"Timestamp", quote(at)})
	if n.sequence == "" {
		signed, err := n.signature(text, at)
		if err != nil {
			return "", err
		}
		lines = append(lines, signed...)
	}
	lines = append(lines, line{"UnsubscribeURL", quote(n.link("Unsubscribe", "SubscriptionArn", sub.arn))})
	if len(n.attributes) > 0 {
		lines = append(lines, line{"MessageAttributes", attributesJSON(n.attributes)})
	}
	return object(lines), nil
}

// signature signs a notification: the members that are signed, each name and value on a line
// of its own, in the order of their names.
// https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html.
func (n *notification) signature(text, at string) ([]line, error) {
	signed := []string{"Message", text, "MessageId", n.id}
	if n.subject != "" {
		signed = append(signed, "Subject", n.subject)
	}
	signed = append(signed, "Timestamp", at, "TopicArn", n.topicARN, "Type", "Notification")
	return n.signatureOf(signed)
}

func (n *notification) signatureOf(signed []string) ([]line, error) {
	version := n.version
	if version == "" {
		version = "1"
	}
	signature, err := n.signer.sign(version, strings.Join(signed, "\n")+"\n")
	if err != nil {
		return nil, fmt.Errorf("sign message %s: %w", n.id, err)
	}
	return []line{
		{"SignatureVersion", quote(version)},
		{"Signature", quote(base64.StdEncoding.EncodeToString(signature))},
		{"SigningCertURL", quote(n.base + CertificatePath)},
	}, nil
}

// confirmation writes the request to confirm a subscription.
func (n *notification) confirmation(sub *subscription) (string, error) {
	at := timestamp(n.at)
	link := n.link("ConfirmSubscription", "TopicArn", sub.topicARN) + "&Token=" + sub.token
	signed, err := n.signatureOf([]string{
		"Message", n.message, "MessageId", n.id, "SubscribeURL", link, "Timestamp", at,
		"Token", sub.token, "TopicArn", n.topicARN, "Type", "SubscriptionConfirmation",
	})
	if err != nil {
		return "", err
	}
	return object(append([]line{
		{"Type", quote("SubscriptionConfirmation")},
		{"MessageId", quote(n.id)},
		{"Token", quote(sub.token)},
		{"TopicArn", quote(n.topicARN)},
		{"Message", quote(n.message)},
		{"SubscribeURL", quote(link)},
		{"Timestamp", quote(at)},
	}, signed...)), nil
}

func (n *notification) link(action, parameter, value string) string {
	return n.base + "/?Action=" + action + "&" + parameter + "=" + url.QueryEscape(value)
}

func timestamp(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func object(lines []line) string {
	var b strings.Builder
	b.WriteString("{\n")
	for i, l := range lines {
		b.WriteString(`  "` + l.name + `" : ` + l.value)
		if i < len(lines)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteByte('}')
	return b.String()
}

func attributesJSON(attributes map[string]Attribute) string {
	var b strings.Builder
	b.WriteString("{\n")
	names := slices.Sorted(maps.Keys(attributes))
	for i, name := range names {
		a := attributes[name]
		value := a.String
		if a.Binary != nil {
			value = base64.StdEncoding.EncodeToString(a.Binary)
		}
		b.WriteString(`    ` + quote(name) + ` : {"Type":` + quote(a.Type) + `,"Value":` + quote(value) + `}`)
		if i < len(names)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString("  }")
	return b.String()
}

// quote writes a JSON string, without the escapes that keep HTML safe: AWS writes none.
func quote(s string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	// A string always encodes.
	_ = encoder.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}
