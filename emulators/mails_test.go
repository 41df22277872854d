package emulators

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply/local/ses"
)

const (
	senders = 20
	mails   = 100
	// poisoned is the mail with more parts than the first daemon is to take.
	poisoned   = mails
	partsLimit = 8
)

// sender is who wrote a mail. The poison is one of those of sender 7.
func sender(n int) string {
	if n == poisoned {
		n = 7
	}
	return fmt.Sprintf("sender-%d@example.com", n%senders)
}

// subject tells which mail it is, and messageID its Message-ID.
func (w *way) subject(n int) string   { return fmt.Sprintf("%s %03d", w.rig.name, n) }
func (w *way) messageID(n int) string { return fmt.Sprintf("<%s-%03d@example.com>", w.rig.name, n) }

// table is the name of the mail's attachment, which its answer must be about.
func table(n int) string { return fmt.Sprintf("table-%03d.csv", n) }

// mail is one as its sender wrote it: with a table of n+1 rows, and if it is the
// poison with many more parts.
func (w *way) mail(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: data@inreply.example\r\nSubject: %s\r\nMessage-ID: %s\r\n", sender(n), w.subject(n), w.messageID(n))
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n")
	fmt.Fprintf(&b, "--b\r\nContent-Type: text/csv; name=%s\r\nContent-Disposition: attachment; filename=%s\r\n\r\na,b\r\n%s", table(n), table(n), strings.Repeat("1,2\r\n", n+1))
	if n == poisoned {
		b.WriteString(strings.Repeat("--b\r\nContent-Type: text/plain\r\n\r\nand\r\n", partsLimit))
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

// store stores a mail as SES does, its own header on top, and has it announced.
func (w *way) store(n int) {
	w.t.Helper()
	envelope := ses.Envelope{From: sender(n), Recipients: []string{"data@inreply.example"}}
	received := w.door.Receive(envelope, w.mail(n), ses.Verdicts{})
	key := "inbound/" + received.ID
	w.keys[key] = n
	out, err := w.clients.S3.PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: aws.String(w.bucket()), Key: &key, Body: bytes.NewReader(received.Raw)})
	if err != nil {
		w.t.Fatalf("store mail %d: %v", n, err)
	}
	switch w.rig.announcer {
	case byTopic:
		_, err = w.clients.SNS.Publish(w.t.Context(), &sns.PublishInput{
			TopicArn: aws.String("arn:aws:sns:us-east-1:000000000000:inreply-events"), Message: aws.String(w.event(key, out, len(received.Raw))),
		})
	case byPipe:
		_, err = w.clients.SQS.SendMessage(w.t.Context(), &sqs.SendMessageInput{
			QueueUrl: aws.String(w.queueURL("inreply-mail.fifo")), MessageBody: aws.String(w.event(key, out, len(received.Raw))),
			MessageGroupId: aws.String(sender(n)), MessageDeduplicationId: aws.String(received.ID),
		})
		w.relayed = append(w.relayed, n)
	case byS3:
	}
	if err != nil {
		w.t.Fatalf("tell of mail %d: %v", n, err)
	}
}

// event is what S3 says of an object: see "Event message structure" in its user
// guide.
func (w *way) event(key string, put *s3.PutObjectOutput, size int) string {
	object := map[string]any{"key": key, "size": size, "eTag": strings.Trim(aws.ToString(put.ETag), `"`), "sequencer": fmt.Sprintf("%016X", time.Now().UnixNano())}
	if put.VersionId != nil {
		object["versionId"] = *put.VersionId
	}
	record := map[string]any{
		"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1",
		"eventTime": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "eventName": "ObjectCreated:Put",
		"s3": map[string]any{
			"s3SchemaVersion": "1.0", "configurationId": "inreply",
			"bucket": map[string]any{"name": w.bucket(), "arn": "arn:aws:s3:::" + w.bucket()}, "object": object,
		},
	}
	b, err := json.Marshal(map[string]any{"Records": []any{record}})
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}
