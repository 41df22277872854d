package sns_test

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/sns"
)

func TestRawDelivery(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "mail.fifo", "FifoTopic", "true")
	r.subscribe(t, topic, fifoQueue, "RawMessageDelivery", "true")
	r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true")
	_, err := r.Publish(context.Background(), &awssns.PublishInput{
		TopicArn: &topic, Message: aws.String(`{"k":"<é>"}`), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"s": text("v"),
			"n": {DataType: aws.String("Number"), StringValue: aws.String("7")},
			"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := sns.Delivery{Body: `{"k":"<é>"}`, GroupID: "g", DeduplicationID: "d", Attributes: map[string]sns.Attribute{
		"s": {Type: "String", String: "v"}, "n": {Type: "Number", String: "7"}, "b": {Type: "Binary", Binary: []byte{0, 255}},
	}}
	if diff := cmp.Diff([]sns.Delivery{want}, r.queues.in(fifoQueue)); diff != "" {
		t.Error(diff)
	}
	want.DeduplicationID = ""
	if diff := cmp.Diff([]sns.Delivery{want}, r.queues.in(standardQueue)); diff != "" {
		t.Errorf("a standard queue takes no deduplication id: %s", diff)
	}
}

func TestEnvelopeOfFifoTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sns.Config{})
		topic := r.topic(t, "mail.fifo", "FifoTopic", "true")
		subscription := r.subscribe(t, topic, fifoQueue)
		out, err := r.Publish(context.Background(), &awssns.PublishInput{
			TopicArn: &topic, Message: aws.String(`{"a":"<b>&"}`), Subject: aws.String("subj"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"),
			MessageAttributes: map[string]types.MessageAttributeValue{"type": text("mail"), "b": {DataType: aws.String("Binary"), BinaryValue: []byte("x")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := `{
  "Type" : "Notification",
  "MessageId" : "` + *out.MessageId + `",
  "SequenceNumber" : "10000000000000000001",
  "TopicArn" : "arn:aws:sns:us-east-1:000000000000:mail.fifo",
  "Subject" : "subj",
  "Message" : "{\"a\":\"<b>&\"}",
  "Timestamp" : "2000-01-01T00:00:00.000Z",
  "UnsubscribeURL" : "http://127.0.0.1:4570/?Action=Unsubscribe&SubscriptionArn=` + strings.ReplaceAll(subscription, ":", "%3A") + `",
  "MessageAttributes" : {
    "b" : {"Type":"Binary","Value":"eA=="},
    "type" : {"Type":"String","Value":"mail"}
  }
}`
		got := r.queues.in(fifoQueue)
		if diff := cmp.Diff([]sns.Delivery{{Body: want, GroupID: "g", DeduplicationID: "d"}}, got); diff != "" {
			t.Error(diff)
		}
		if *out.SequenceNumber != "10000000000000000001" {
			t.Errorf("sequence number %s", *out.SequenceNumber)
		}
	})
}

func TestEnvelopeOfStandardTopicIsSigned(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			r := newRig(t, sns.Config{})
			topic := r.topic(t, "std", "SignatureVersion", version)
			r.subscribe(t, topic, standardQueue)
			if err := r.server.Publish(topic, "Amazon S3 Notification", `{"Records":[]}`); err != nil {
				t.Fatal(err)
			}
			r.publish(t, topic, "without subject", "", "")
			for _, body := range r.queues.bodies(standardQueue) {
				verify(t, r.server, version, body)
			}
		})
	}
}

// verify checks an envelope as its receiver would.
func verify(t *testing.T, server *sns.Server, version, body string) {
	t.Helper()
	var e map[string]string
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	if e["SigningCertURL"] != "http://127.0.0.1:4570"+sns.CertificatePath || e["SignatureVersion"] != version {
		t.Fatalf("certificate %s, version %s", e["SigningCertURL"], e["SignatureVersion"])
	}
	w := httptest.NewRecorder()
	server.ServeCertificate(w, httptest.NewRequest(http.MethodGet, sns.CertificatePath, nil))
	block, _ := pem.Decode(w.Body.Bytes())
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	var signed strings.Builder
	for _, name := range []string{"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"} {
		if value, there := e[name]; there {
			signed.WriteString(name + "\n" + value + "\n")
		}
	}
	signature, err := base64.StdEncoding.DecodeString(e["Signature"])
	if err != nil {
		t.Fatal(err)
	}
	hash, sum := crypto.SHA1, sha1.Sum([]byte(signed.String()))
	digest := sum[:]
	if version == "2" {
		sum := sha256.Sum256([]byte(signed.String()))
		hash, digest = crypto.SHA256, sum[:]
	}
	if err := rsa.VerifyPKCS1v15(certificate.PublicKey.(*rsa.PublicKey), hash, digest, signature); err != nil {
		t.Errorf("signature of %s: %v", body, err)
	}
}

func TestDeduplicationLastsFiveMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, sns.Config{})
		topic := r.topic(t, "mail.fifo", "FifoTopic", "true", "ContentBasedDeduplication", "true")
		r.subscribe(t, topic, fifoQueue, "RawMessageDelivery", "true")
		first := r.publish(t, topic, "x", "g", "")
		time.Sleep(5*time.Minute - time.Second)
		second := r.publish(t, topic, "x", "g", "")
		if *first.MessageId != *second.MessageId || *first.SequenceNumber != *second.SequenceNumber {
			t.Errorf("a duplicate got %s %s, the first %s %s", *second.MessageId, *second.SequenceNumber, *first.MessageId, *first.SequenceNumber)
		}
		r.publish(t, topic, "x", "other", "")
		time.Sleep(time.Second)
		third := r.publish(t, topic, "x", "g", "")
		if *third.MessageId == *first.MessageId || *third.SequenceNumber <= *first.SequenceNumber {
			t.Error("after five minutes it is still a duplicate")
		}
		const hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
		want := []sns.Delivery{{Body: "x", GroupID: "g", DeduplicationID: hash}, {Body: "x", GroupID: "g", DeduplicationID: hash}}
		if diff := cmp.Diff(want, r.queues.in(fifoQueue)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestDeduplicationPerGroup(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "mail.fifo", "FifoTopic", "true", "FifoThroughputScope", "MessageGroup")
	r.subscribe(t, topic, fifoQueue, "RawMessageDelivery", "true")
	r.publish(t, topic, "1", "a", "d")
	r.publish(t, topic, "2", "b", "d")
	r.publish(t, topic, "3", "a", "d")
	if diff := cmp.Diff([]string{"1", "2"}, r.queues.bodies(fifoQueue)); diff != "" {
		t.Error(diff)
	}
}

func TestPublishIsRefused(t *testing.T) {
	r := newRig(t, sns.Config{})
	standard := r.topic(t, "std")
	fifo := r.topic(t, "mail.fifo", "FifoTopic", "true")
	for _, c := range []struct {
		name, code, message string
		in                  awssns.PublishInput
	}{
		{
			"no group", "InvalidParameter", "Invalid parameter: The MessageGroupId parameter is required for FIFO topics",
			awssns.PublishInput{TopicArn: &fifo, Message: aws.String("x"), MessageDeduplicationId: aws.String("d")},
		},
		{
			"no deduplication id", "InvalidParameter",
			"Invalid parameter: The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
			awssns.PublishInput{TopicArn: &fifo, Message: aws.String("x"), MessageGroupId: aws.String("g")},
		},
		{
			"group with a space", "InvalidParameter", "",
			awssns.PublishInput{TopicArn: &fifo, Message: aws.String("x"), MessageGroupId: aws.String("g g"), MessageDeduplicationId: aws.String("d")},
		},
		{
			"deduplication id too long", "InvalidParameter", "",
			awssns.PublishInput{TopicArn: &fifo, Message: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String(strings.Repeat("d", 129))},
		},
		{
			"deduplication id on a standard topic", "InvalidParameter", "",
			awssns.PublishInput{TopicArn: &standard, Message: aws.String("x"), MessageDeduplicationId: aws.String("d")},
		},
		{"empty", "InvalidParameter", "Invalid parameter: Empty message", awssns.PublishInput{TopicArn: &standard, Message: aws.String("")}},
		{"too long", "InvalidParameter", "Invalid parameter: Message too long", awssns.PublishInput{TopicArn: &standard, Message: aws.String(strings.Repeat("x", 256<<10+1))}},
		{"too long with attributes", "InvalidParameter", "Invalid parameter: Message too long", awssns.PublishInput{
			TopicArn: &standard, Message: aws.String(strings.Repeat("x", 256<<10)),
			MessageAttributes: map[string]types.MessageAttributeValue{"a": text("b")},
		}},
		{"subject of two lines", "InvalidParameter", "Invalid parameter: Subject", awssns.PublishInput{TopicArn: &standard, Message: aws.String("x"), Subject: aws.String("a\nb")}},
		{"no number", "ParameterValueInvalid", "", awssns.PublishInput{
			TopicArn: &standard, Message: aws.String("x"),
			MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("Number"), StringValue: aws.String("seven")}},
		}},
		{"no type", "ParameterValueInvalid", "", awssns.PublishInput{
			TopicArn: &standard, Message: aws.String("x"),
			MessageAttributes: map[string]types.MessageAttributeValue{"n": {DataType: aws.String("Colour"), StringValue: aws.String("red")}},
		}},
		{"structure without default", "InvalidParameter", "", awssns.PublishInput{TopicArn: &standard, Message: aws.String(`{"sqs":"x"}`), MessageStructure: aws.String("json")}},
		{"no ARN", "InvalidParameter", "Invalid parameter: TopicArn", awssns.PublishInput{TopicArn: aws.String("std"), Message: aws.String("x")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := r.Publish(context.Background(), &c.in)
			wantRefusal(t, err, c.code, c.message)
		})
	}
}

func TestMessageMayDifferByProtocol(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true")
	for _, message := range []string{`{"default":"d","sqs":"q"}`, `{"default":"d"}`} {
		if _, err := r.Publish(context.Background(), &awssns.PublishInput{TopicArn: &topic, Message: &message, MessageStructure: aws.String("json")}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"q", "d"}, r.queues.bodies(standardQueue)); diff != "" {
		t.Error(diff)
	}
}

func entries(n int) []types.PublishBatchRequestEntry {
	var list []types.PublishBatchRequestEntry
	for i := range n {
		list = append(list, types.PublishBatchRequestEntry{
			Id: aws.String(fmt.Sprint("i", i)), Message: aws.String(fmt.Sprint(i)), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String(fmt.Sprint("d", i)),
		})
	}
	return list
}

func TestBatchKeepsItsOrder(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "mail.fifo", "FifoTopic", "true")
	r.subscribe(t, topic, fifoQueue, "RawMessageDelivery", "true")
	out, err := r.PublishBatch(context.Background(), &awssns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: entries(10)})
	if err != nil || len(out.Successful) != 10 || *out.Successful[9].Id != "i9" {
		t.Fatalf("%v, %v", out, err)
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, r.queues.bodies(fifoQueue)); diff != "" {
		t.Error(diff)
	}
}

func TestBatchIsRefusedInPart(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	out, err := r.PublishBatch(context.Background(), &awssns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: []types.PublishBatchRequestEntry{
		{Id: aws.String("good"), Message: aws.String("x")}, {Id: aws.String("bad"), Message: aws.String("")},
	}})
	if err != nil || len(out.Successful) != 1 || len(out.Failed) != 1 {
		t.Fatalf("%v, %v", out, err)
	}
	if f := out.Failed[0]; *f.Id != "bad" || *f.Code != "InvalidParameter" || !f.SenderFault {
		t.Errorf("failed %v", f)
	}
}

func TestBatchIsRefusedAsAWhole(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "mail.fifo", "FifoTopic", "true")
	r.subscribe(t, topic, fifoQueue)
	same := entries(2)
	same[1].Id = same[0].Id
	illegal := entries(1)
	illegal[0].Id = aws.String("a b")
	long := entries(2)
	long[0].Message, long[1].Message = aws.String(strings.Repeat("x", 200<<10)), aws.String(strings.Repeat("y", 100<<10))
	noGroup := entries(2)
	noGroup[1].MessageGroupId = nil
	for code, batch := range map[string][]types.PublishBatchRequestEntry{
		"EmptyBatchRequest":            {},
		"TooManyEntriesInBatchRequest": entries(11),
		"BatchEntryIdsNotDistinct":     same,
		"InvalidBatchEntryId":          illegal,
		"BatchRequestTooLong":          long,
		"InvalidParameter":             noGroup,
	} {
		t.Run(code, func(t *testing.T) {
			_, err := r.PublishBatch(context.Background(), &awssns.PublishBatchInput{TopicArn: &topic, PublishBatchRequestEntries: batch})
			wantRefusal(t, err, code, "")
		})
	}
	if got := r.queues.in(fifoQueue); got != nil {
		t.Errorf("delivered %v", got)
	}
}

func TestRefusedDeliveryGoesToTheDeadLetters(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	r.subscribe(t, topic, refusingQueue, "RawMessageDelivery", "true", "RedrivePolicy", `{"deadLetterTargetArn":"`+deadLetters+`"}`)
	r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true", "RedrivePolicy", `{"deadLetterTargetArn":"`+deadLetters+`"}`)
	r.publish(t, topic, "refused", "", "")
	if diff := cmp.Diff([]string{"refused"}, r.queues.bodies(deadLetters)); diff != "" {
		t.Error(diff)
	}
	attributes := make(map[string]types.MessageAttributeValue)
	for i := range 11 {
		attributes[fmt.Sprint("a", i)] = text("v")
	}
	if _, err := r.Publish(context.Background(), &awssns.PublishInput{TopicArn: &topic, Message: aws.String("eleven"), MessageAttributes: attributes}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"refused", "eleven", "eleven"}, r.queues.bodies(deadLetters)); diff != "" {
		t.Errorf("raw delivery carries ten attributes at most: %s", diff)
	}
	if diff := cmp.Diff([]string{"refused"}, r.queues.bodies(standardQueue)); diff != "" {
		t.Error(diff)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, raw := range []string{"true", "false"} {
		b.Run("raw="+raw, func(b *testing.B) {
			s := sns.New(sns.Config{Queues: nowhere{}})
			defer s.Close()
			topic, err := s.CreateTopic("std", nil)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.Subscribe(topic, "sqs", standardQueue, map[string]string{"RawMessageDelivery": raw}); err != nil {
				b.Fatal(err)
			}
			message := strings.Repeat("x", 500)
			for b.Loop() {
				if err := s.Publish(topic, "", message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// nowhere is where queues forget what they get.
type nowhere struct{}

func (nowhere) Deliver(string, sns.Delivery) error { return nil }
