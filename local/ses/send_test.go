package ses_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/ses"
)

func TestSentMailIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(ses.Config{})
		if _, err := r.CreateConfigurationSet(context.Background(), &awsses.CreateConfigurationSetInput{ConfigurationSet: &types.ConfigurationSet{Name: aws.String("set")}}); err != nil {
			t.Fatal(err)
		}
		out, err := r.SendRawEmail(context.Background(), &awsses.SendRawEmailInput{
			RawMessage: &types.RawMessage{Data: []byte(raw)}, Source: aws.String("Bot <bot@example.com>"), Destinations: []string{"a@example.org", "b@example.org"},
			ConfigurationSetName: aws.String("set"), Tags: []types.MessageTag{{Name: aws.String("group"), Value: aws.String("g1")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []ses.Sent{{
			ID: *out.MessageId, MessageID: "<" + *out.MessageId + "@email.amazonses.com>", Source: "bot@example.com",
			Destinations: []string{"a@example.org", "b@example.org"}, Raw: []byte(raw), At: time.Now(), ConfigurationSet: "set",
			Tags: map[string]string{"group": "g1", "route": "digest", "try": "1"},
		}}
		if diff := cmp.Diff(want, r.server.Sent()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEnvelopeComesFromTheHeaders(t *testing.T) {
	r := newRig(ses.Config{Region: "ap-southeast-1"})
	id, err := r.send(raw)
	if err != nil {
		t.Fatal(err)
	}
	sent := r.server.Sent()[0]
	if sent.Source != "bot@example.com" || sent.MessageID != "<"+id+"@ap-southeast-1.amazonses.com>" || !strings.HasPrefix(id, "010e") {
		t.Errorf("sent %v", sent)
	}
	if diff := cmp.Diff([]string{"user@example.org", "hidden@example.org", "more@example.org"}, sent.Destinations); diff != "" {
		t.Error(diff)
	}
}

func TestWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(ses.Config{Region: "eu-west-1"})
		id, err := r.send(strings.ReplaceAll(raw, "\r\n", "\n"))
		if err != nil {
			t.Fatal(err)
		}
		want := "From: \"Bot\" <bot@example.com>\r\nTo: user@example.org\r\nSubject: hello\r\n" +
			"In-Reply-To: <orig-1@example.org>\r\nReferences: <orig-0@example.org>\r\n <orig-1@example.org>\r\n" +
			"Message-ID: <" + id + "@eu-west-1.amazonses.com>\r\nDate: Sat, 01 Jan 2000 00:00:00 +0000\r\n" +
			"Feedback-ID: ::1.eu-west-1.local:AmazonSES\r\nX-SES-Outgoing: 2000.01.01-127.0.0.1\r\n\r\nbody h\xc3\xa9\r\n.\r\nlast\r\n"
		w := httptest.NewRecorder()
		r.server.ServeSent(w, httptest.NewRequest(http.MethodGet, ses.SentPath+"/"+id, nil))
		if diff := cmp.Diff(want, w.Body.String()); diff != "" {
			t.Error(diff)
		}
		w = httptest.NewRecorder()
		r.server.ServeSent(w, httptest.NewRequest(http.MethodGet, ses.SentPath+"/none", nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("a mail that was not sent: %d", w.Code)
		}
	})
}

func TestSentIsShown(t *testing.T) {
	r := newRig(ses.Config{})
	show := func() string {
		t.Helper()
		w := httptest.NewRecorder()
		r.server.ServeSent(w, httptest.NewRequest(http.MethodGet, ses.SentPath, nil))
		return w.Body.String()
	}
	if got := show(); got != "{\"messages\":[]}\n" {
		t.Errorf("nothing is shown as %q", got)
	}
	latin := strings.Replace(raw, "\xc3\xa9", "\xe9", 1)
	for _, m := range []string{raw, latin} {
		if _, err := r.send(m); err != nil {
			t.Fatal(err)
		}
	}
	var list struct {
		Messages []struct {
			ID           string `json:"Id"`
			Region       string
			Source       string
			Destinations []string
			RawData      string
			RawBase64    []byte
			Timestamp    time.Time
		} `json:"messages"`
	}
	if err := json.Unmarshal([]byte(show()), &list); err != nil {
		t.Fatal(err)
	}
	first, second := list.Messages[0], list.Messages[1]
	if first.RawData != raw || first.Region != "us-east-1" || first.Source != "bot@example.com" || len(first.Destinations) != 3 || first.Timestamp.IsZero() {
		t.Errorf("first %v", first)
	}
	if string(second.RawBase64) != latin {
		t.Errorf("second %q", second.RawBase64)
	}
}

func TestSendIsRefused(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("a@example.org, ", 51), ", ")
	for _, c := range []struct {
		name, code, message string
		in                  awsses.SendRawEmailInput
		mail                string
	}{
		{
			name: "sender not verified", code: "MessageRejected", mail: strings.ReplaceAll(raw, "bot@example.com", "nobody@unverified.test"),
			message: "Email address is not verified. The following identities failed the check in region US-EAST-1: nobody@unverified.test",
		},
		{
			name: "envelope's sender not verified", code: "MessageRejected", mail: raw, in: awsses.SendRawEmailInput{Source: aws.String("x@unverified.test")},
			message: "Email address is not verified. The following identities failed the check in region US-EAST-1: x@unverified.test",
		},
		{name: "look-alike domain", code: "MessageRejected", mail: strings.ReplaceAll(raw, "bot@example.com", "bot@notexample.com")},
		{
			name: "too large", code: "InvalidParameterValue", mail: raw + strings.Repeat("x", 10<<20),
			message: fmt.Sprintf("Message length is more than 10485760 bytes long: '%d'.", 10<<20+len(raw)),
		},
		{name: "too many recipients", code: "InvalidParameterValue", mail: strings.Replace(raw, "user@example.org", many, 1), message: "Recipient count exceeds 50."},
		{name: "too many destinations", code: "InvalidParameterValue", mail: raw, in: awsses.SendRawEmailInput{Destinations: strings.Split(many, ", ")}, message: "Recipient count exceeds 50."},
		{name: "no recipient", code: "InvalidParameterValue", mail: "From: bot@example.com\r\nSubject: x\r\n\r\nx", message: "Missing required header 'To'."},
		{name: "no From", code: "InvalidParameterValue", mail: "To: bot@example.com\r\n\r\nx", message: "Missing required header 'From'."},
		{name: "no header", code: "InvalidParameterValue", mail: "just text"},
		{name: "no mail", code: "InvalidParameterValue", mail: ""},
		{name: "header twice", code: "InvalidParameterValue", mail: "Subject: y\r\n" + raw, message: "Duplicate header 'Subject'."},
		{name: "In-Reply-To twice", code: "InvalidParameterValue", mail: "In-Reply-To: <y>\r\n" + raw, message: "Duplicate header 'In-Reply-To'."},
		{name: "no domain", code: "InvalidParameterValue", mail: strings.Replace(raw, "user@example.org", "user", 1), message: "Missing final '@domain'"},
		{name: "illegal address", code: "InvalidParameterValue", mail: strings.Replace(raw, "user@example.org", "a b@example.org", 1)},
		{
			name: "unknown configuration set", code: "ConfigurationSetDoesNotExist", mail: raw, in: awsses.SendRawEmailInput{ConfigurationSetName: aws.String("none")},
			message: "Configuration set <none> does not exist.",
		},
		{name: "unknown configuration set in the header", code: "ConfigurationSetDoesNotExist", mail: "X-SES-CONFIGURATION-SET: none\r\n" + raw},
		{name: "illegal tag", code: "InvalidParameterValue", mail: raw, in: awsses.SendRawEmailInput{Tags: []types.MessageTag{{Name: aws.String("a b"), Value: aws.String("x")}}}},
		{name: "illegal value of a tag", code: "InvalidParameterValue", mail: raw, in: awsses.SendRawEmailInput{Tags: []types.MessageTag{{Name: aws.String("a"), Value: aws.String("x@y")}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(ses.Config{})
			c.in.RawMessage = &types.RawMessage{Data: []byte(c.mail)}
			_, err := r.SendRawEmail(context.Background(), &c.in)
			wantRefusal(t, err, c.code, c.message)
			if sent := r.server.Sent(); len(sent) != 0 {
				t.Errorf("sent %v", sent)
			}
		})
	}
}

func TestRefusalsAreTyped(t *testing.T) {
	r := newRig(ses.Config{})
	_, err := r.send("From: x@unverified.test\r\nTo: a@example.org\r\n\r\nx")
	if _, ok := errors.AsType[*types.MessageRejected](err); !ok {
		t.Errorf("got %v", err)
	}
	_, err = r.SendRawEmail(context.Background(), &awsses.SendRawEmailInput{RawMessage: &types.RawMessage{Data: []byte(raw)}, ConfigurationSetName: aws.String("none")})
	if _, ok := errors.AsType[*types.ConfigurationSetDoesNotExistException](err); !ok {
		t.Errorf("got %v", err)
	}
	statistics, err := r.GetSendStatistics(context.Background(), &awsses.GetSendStatisticsInput{})
	if err != nil || len(statistics.SendDataPoints) != 1 || statistics.SendDataPoints[0].Rejects != 1 {
		t.Errorf("statistics %v, %v", statistics, err)
	}
}

func TestSandboxRefusesStrangers(t *testing.T) {
	r := newRig(ses.Config{Sandbox: true})
	_, err := r.send("From: bot@example.com\r\nTo: a@example.org, b@sub.example.com\r\n\r\nx")
	wantRefusal(t, err, "MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: a@example.org")
	r.server.Verify("a@EXAMPLE.org")
	if _, err := r.send("From: bot@example.com\r\nTo: a@example.org, b@sub.example.com\r\n\r\nx"); err != nil {
		t.Error(err)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(ses.Config{Quota: ses.Quota{Daily: -1, Rate: 4}})
		mail := "From: bot@example.com\r\nTo: a@example.org\r\n\r\nx"
		burst := func() (n int) {
			for ; ; n++ {
				if _, err := r.send(mail); err != nil {
					wantRefusal(t, err, "Throttling", "Maximum sending rate exceeded.")
					return n
				}
			}
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 4}, {0, 0}, {250 * time.Millisecond, 1}, {500 * time.Millisecond, 2}, {time.Hour, 4}} {
			time.Sleep(step.wait)
			if n := burst(); n != step.want {
				t.Errorf("after %v %d could be sent, want %d", step.wait, n, step.want)
			}
		}
		time.Sleep(time.Second)
		if _, err := r.send("From: bot@example.com\r\nTo: " + strings.TrimSuffix(strings.Repeat("a@example.org,", 40), ",") + "\r\n\r\nx"); err != nil {
			t.Errorf("a mail to more than a second's worth: %v", err)
		}
		time.Sleep(9 * time.Second)
		if n := burst(); n != 0 {
			t.Errorf("%d could be sent before that was paid for", n)
		}
		time.Sleep(time.Second)
		if n := burst(); n == 0 {
			t.Error("nothing could be sent after that was paid for")
		}
	})
}

func TestDailyQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(ses.Config{Quota: ses.Quota{Daily: 5, Rate: -1}})
		mail := "From: bot@example.com\r\nTo: a@example.org, b@example.org\r\n\r\nx"
		for range 2 {
			if _, err := r.send(mail); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
		}
		_, err := r.send(mail)
		wantRefusal(t, err, "Throttling", "Daily message quota exceeded.")
		quota, err := r.GetSendQuota(context.Background(), &awsses.GetSendQuotaInput{})
		if err != nil || quota.Max24HourSend != 5 || quota.MaxSendRate != -1 || quota.SentLast24Hours != 4 {
			t.Errorf("quota %v, %v", quota, err)
		}
		time.Sleep(22 * time.Hour)
		if _, err := r.send(mail); err != nil {
			t.Errorf("24 hours after the first: %v", err)
		}
	})
}

func TestSendEmail(t *testing.T) {
	utf8 := "h\u00e9 " + strings.Repeat("long ", 40)
	for _, c := range []struct {
		name       string
		text, html *types.Content
		want       map[string]string
	}{
		{"text", &types.Content{Data: aws.String("a\nb")}, nil, map[string]string{"text/plain": "a\r\nb\r\n"}},
		{"HTML", nil, &types.Content{Data: aws.String("<p>" + utf8), Charset: aws.String("UTF-8")}, map[string]string{"text/html": "<p>" + utf8}},
		{"both", &types.Content{Data: aws.String(utf8)}, &types.Content{Data: aws.String("<p>b")}, map[string]string{"text/plain": utf8, "text/html": "<p>b\r\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(ses.Config{})
			_, err := r.SendEmail(context.Background(), &awsses.SendEmailInput{
				Source:      aws.String("bot@example.com"),
				Destination: &types.Destination{ToAddresses: []string{"a@example.org"}, CcAddresses: []string{"c@example.org"}, BccAddresses: []string{"b@example.org"}},
				Message:     &types.Message{Subject: &types.Content{Data: aws.String("s é")}, Body: &types.Body{Text: c.text, Html: c.html}}, ReplyToAddresses: []string{"r@example.com"},
			})
			if err != nil {
				t.Fatal(err)
			}
			sent := r.server.Sent()[0]
			if diff := cmp.Diff([]string{"a@example.org", "c@example.org", "b@example.org"}, sent.Destinations); diff != "" {
				t.Error(diff)
			}
			message, err := mail.ReadMessage(strings.NewReader(string(sent.Raw)))
			if err != nil {
				t.Fatal(err)
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
			if err != nil || subject != "s é" || message.Header.Get("Reply-To") != "r@example.com" || message.Header.Get("Bcc") != "" {
				t.Errorf("header %v", message.Header)
			}
			if diff := cmp.Diff(c.want, bodies(t, message)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// bodies decodes the bodies of a mail, by type.
func bodies(t *testing.T, message *mail.Message) map[string]string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	if kind != "multipart/alternative" {
		found[kind] = decoded(t, message.Header.Get("Content-Transfer-Encoding"), message.Body)
		return found
	}
	for parts := multipart.NewReader(message.Body, parameters["boundary"]); ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			t.Fatal(err)
		}
		found[kind] = decoded(t, part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

func TestSendEmailWithoutBody(t *testing.T) {
	r := newRig(ses.Config{})
	_, err := r.SendEmail(context.Background(), &awsses.SendEmailInput{
		Source: aws.String("bot@example.com"), Destination: &types.Destination{ToAddresses: []string{"a@example.org"}},
		Message: &types.Message{Subject: &types.Content{Data: aws.String("s")}, Body: &types.Body{}},
	})
	wantRefusal(t, err, "InvalidParameterValue", "Message body is required.")
}
