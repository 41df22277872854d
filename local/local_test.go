package local_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local"
	"inreply/local/ses"
)

const mail = "From: Ann <ann@example.org>\r\nTo: sales@example.com\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\r\nHello.\r\n"

// A mail that comes in is an object with SES's headers on top, and an event at
// the intake queue.
func TestMailComesIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, clients := newWorld(t)
		if got := clients.receive(t.Context(), t, a.IntakeURL); len(got) != 1 || !strings.Contains(got[0], "s3:TestEvent") {
			t.Errorf("first comes the test event, got %q", got)
		}
		stored, err := w.Receive(local.Mail{
			Envelope: ses.Envelope{From: "ann@example.org", Recipients: []string{"sales@example.com"}},
			Raw:      []byte(mail),
			Verdicts: ses.Verdicts{Spam: ses.Fail},
		})
		if err != nil || len(stored) != 1 || stored[0].Bucket != "mail-bucket" || stored[0].Key != "mail/"+stored[0].ID {
			t.Fatalf("stored %+v, %v", stored, err)
		}
		events := clients.receive(t.Context(), t, a.IntakeURL)
		if len(events) != 1 || !strings.Contains(events[0], `"key":"`+stored[0].Key+`"`) {
			t.Errorf("events %q", events)
		}
		object, err := clients.s3.GetObject(t.Context(), &awss3.GetObjectInput{Bucket: &stored[0].Bucket, Key: &stored[0].Key})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(object.Body)
		if err != nil || !bytes.HasSuffix(raw, []byte(mail)) || !bytes.Contains(raw, []byte("X-SES-Spam-Verdict: FAIL\r\n")) {
			t.Errorf("object, %v:\n%s", err, raw)
		}
	})
}

// A rule with a topic tells it of the mail as SES does.
func TestMailIsAnnouncedBySES(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, clients := newWorld(t)
		clients.receive(t.Context(), t, a.IntakeURL) // The test event.
		w.SES.SetRules("told", ses.Rule{Name: "store", Bucket: "mail-bucket", KeyPrefix: "unannounced/", Topic: a.TopicARN})
		stored, err := w.Receive(local.Mail{
			Envelope: ses.Envelope{From: "bounce+1@example.org", Recipients: []string{"sales@example.com"}},
			Raw:      []byte(strings.Replace(mail, "Subject: Hello", "Subject: Hello,\r\n World\r\nCc: \"B, C\" <bc@example.org>, d@example.org", 1)),
			Verdicts: ses.Verdicts{DMARC: ses.Fail},
		})
		if err != nil {
			t.Fatal(err)
		}
		got := clients.receive(t.Context(), t, a.IntakeURL)
		if len(got) != 1 {
			t.Fatalf("notices %q", got)
		}
		var notice map[string]map[string]any
		notices := json.NewDecoder(strings.NewReader(strings.Replace(got[0], `"notificationType":"Received",`, "", 1)))
		if err := notices.Decode(&notice); err != nil {
			t.Fatal(err)
		}
		if n := len(notice["mail"]["headers"].([]any)); n != 13 {
			t.Errorf("%d headers", n)
		}
		delete(notice["mail"], "headers")
		pass, now := map[string]any{"status": "PASS"}, "2000-01-01T00:00:00.000Z"
		want := map[string]map[string]any{
			"mail": {
				"timestamp": now, "source": "bounce+1@example.org", "messageId": stored[0].ID, "headersTruncated": false,
				"destination": []any{"sales@example.com", "bc@example.org", "d@example.org"},
				"commonHeaders": map[string]any{
					"returnPath": "bounce+1@example.org", "from": []any{`"Ann" <ann@example.org>`}, "to": []any{"sales@example.com"},
					"cc": []any{`"B, C" <bc@example.org>`, "d@example.org"}, "messageId": "<1@example.org>", "subject": "Hello, World",
				},
			},
			"receipt": {
				"timestamp": now, "processingTimeMillis": 0.0, "recipients": []any{"sales@example.com"},
				"spamVerdict": pass, "virusVerdict": pass, "spfVerdict": pass, "dkimVerdict": pass,
				"dmarcVerdict": map[string]any{"status": "FAIL"}, "dmarcPolicy": "none",
				"action": map[string]any{
					"type": "S3", "topicArn": a.TopicARN, "bucketName": "mail-bucket", "objectKeyPrefix": "unannounced/", "objectKey": stored[0].Key,
				},
			},
		}
		if diff := cmp.Diff(want, notice); diff != "" {
			t.Errorf("notice (-want +got):\n%s", diff)
		}
	})
}

func TestMailThatNoRuleTakes(t *testing.T) {
	w, _, _ := newWorld(t)
	w.SES.SetRules("other", ses.Rule{Name: "sales", Recipients: []string{"sales@example.com"}, Bucket: "mail-bucket", KeyPrefix: "mail/"})
	_, err := w.Receive(local.Mail{Envelope: ses.Envelope{Recipients: []string{"nobody@example.com"}}, Raw: []byte(mail)})
	var permanent interface{ Permanent() bool }
	if !errors.As(err, &permanent) || !permanent.Permanent() {
		t.Errorf("error %v", err)
	}
	stored, err := w.Receive(local.Mail{Envelope: ses.Envelope{Recipients: []string{"nobody@example.com", "sales@example.com"}}, Raw: []byte(mail)})
	if err != nil || len(stored) != 1 {
		t.Errorf("one of two recipients matches: %+v, %v", stored, err)
	}
}

func TestProvision(t *testing.T) {
	w, a, clients := newWorld(t)
	again, err := w.Provision(names())
	if err != nil || again != a {
		t.Errorf("again: %+v, %v", again, err)
	}
	out, err := clients.sqs.GetQueueAttributes(t.Context(), &awssqs.GetQueueAttributesInput{QueueUrl: &a.QueueURL, AttributeNames: []sqstypes.QueueAttributeName{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"FifoQueue": "true", "VisibilityTimeout": "60", "MessageRetentionPeriod": "1209600",
		"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:mails-dead.fifo","maxReceiveCount":1000}`,
	}
	for name, value := range want {
		if out.Attributes[name] != value {
			t.Errorf("%s = %s, want %s", name, out.Attributes[name], value)
		}
	}
	_, err = clients.sns.Publish(t.Context(), &awssns.PublishInput{
		TopicArn: &a.FifoTopicARN, Message: aws.String("relayed"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"relayed"}, clients.receive(t.Context(), t, a.QueueURL)); diff != "" {
		t.Errorf("what the FIFO topic delivers (-want +got):\n%s", diff)
	}
	bad := names()
	bad.Queue = "mails"
	if _, err := w.Provision(bad); err == nil || !strings.Contains(err.Error(), "create queue mails") {
		t.Errorf("a FIFO queue without its suffix: %v", err)
	}
	bad.Queue = ""
	if _, err := w.Provision(bad); err == nil {
		t.Error("an empty name was taken")
	}
}

func TestListen(t *testing.T) {
	w, a, _ := newWorld(t)
	endpoint, err := w.Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	if w.Endpoint() != endpoint || !strings.HasPrefix(w.SQS.URL("intake"), endpoint+"/") {
		t.Errorf("endpoint %s, the world says %s, a queue is at %s", endpoint, w.Endpoint(), w.SQS.URL("intake"))
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	clients := newClients(&http.Client{Transport: transport}, endpoint)
	w.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.SendMessage": {LostResponse: 1, Limit: 1}}})
	in := &awssqs.SendMessageInput{QueueUrl: &a.IntakeURL, MessageBody: aws.String("x")}
	if _, err := clients.sqs.SendMessage(t.Context(), in); !errors.Is(err, io.EOF) {
		t.Errorf("lost response over a socket: %v", err)
	}
	if got := clients.receive(t.Context(), t, a.IntakeURL); len(got) != 2 { // The test event is the first.
		t.Errorf("received %q", got)
	}
	w.Close()
	if _, err := clients.sqs.SendMessage(t.Context(), in); err == nil {
		t.Error("it still listens")
	}
	if _, err := w.Listen(t.Context(), "127.0.0.1:0"); err == nil {
		t.Error("a closed world listens")
	}
}

func TestCloseEndsPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, clients := newWorld(t)
		start := time.Now()
		waiting := make(chan error, 1)
		go func() {
			_, err := clients.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &a.QueueURL, WaitTimeSeconds: 20})
			waiting <- err
		}()
		time.Sleep(time.Second)
		w.Close()
		if err := <-waiting; err != nil || time.Since(start) != time.Second {
			t.Errorf("answered after %v: %v", time.Since(start), err)
		}
	})
}

func TestListenOnlyOnThisMachine(t *testing.T) {
	w := local.New(local.Config{})
	defer w.Close()
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "127.0.0.1", ""} {
		if _, err := w.Listen(t.Context(), address); err == nil {
			t.Errorf("listens on %q", address)
		}
		if _, err := w.ListenSMTP(t.Context(), address, ses.Verdicts{}); err == nil {
			t.Errorf("takes mail on %q", address)
		}
	}
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if _, err := w.Listen(t.Context(), taken.Addr().String()); err == nil {
		t.Error("listens where somebody else does")
	}
}

func TestListenSMTP(t *testing.T) {
	w, a, clients := newWorld(t)
	clients.receive(t.Context(), t, a.IntakeURL) // The test event.
	address, err := w.ListenSMTP(t.Context(), "127.0.0.1:0", ses.Verdicts{})
	if err != nil {
		t.Fatal(err)
	}
	if err := smtp.SendMail(address, nil, "ann@example.org", []string{"sales@example.com"}, []byte(mail)); err != nil {
		t.Fatal(err)
	}
	if got := clients.receive(t.Context(), t, a.IntakeURL); len(got) != 1 {
		t.Errorf("events %q", got)
	}
	w.SES.SetRules("none")
	if err := smtp.SendMail(address, nil, "ann@example.org", []string{"sales@example.com"}, []byte(mail)); err == nil || !strings.HasPrefix(err.Error(), "554") {
		t.Errorf("a mail that no rule takes: %v", err)
	}
	w.Close()
	if _, err := w.ListenSMTP(t.Context(), "127.0.0.1:0", ses.Verdicts{}); err == nil {
		t.Error("a closed world takes mail")
	}
}

// get follows a link to the World.
func get(t *testing.T, w *local.World, link string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := w.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}

func TestPages(t *testing.T) {
	w, a, clients := newWorld(t)
	errs := clients.calls(t.Context(), a)
	if err := errs["ses.SendRawEmail"]; err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/_local/health":                           "ok",
		"/_local/calls":                            `"ses.SendRawEmail":1`,
		"/_local/ses":                              w.SES.Sent()[0].ID,
		"/_local/ses/" + w.SES.Sent()[0].ID:        "Subject: x\r\n",
		"/_local/sns/cert.pem":                     "BEGIN CERTIFICATE",
		"/?Action=ListTopics&Version=2010-03-31":   "relayed.fifo",
		"/?Action=GetSendQuota&Version=2010-12-01": "Max24HourSend",
		"/mail-bucket?list-type=2":                 "other/x",
		"/mail-bucket/other/x":                     "x",
	} {
		if status, body := get(t, w, "http://anywhere"+path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _ := get(t, w, "http://anywhere/_local/nothing"); status != http.StatusNotFound {
		t.Errorf("an unknown page: %d", status)
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	w, _, _ := newWorld(t)
	for _, c := range []struct {
		what, path, form, names string
		header                  map[string]string
	}{
		{"EventBridge", "/", "", "AWSEvents.PutEvents", map[string]string{"X-Amz-Target": "AWSEvents.PutEvents"}},
		{"SQS", "/", "{}", "AddPermission", map[string]string{"X-Amz-Target": "AmazonSQS.AddPermission"}},
		{"SNS", "/", "Action=AddPermission&Version=2010-03-31", "AddPermission", nil},
		{"SES", "/", "Action=CreateTemplate&Version=2010-12-01", "CreateTemplate", nil},
		{"SES version 2", "/v2/email/outbound-emails", "{}", "ses POST /v2/email/outbound-emails", map[string]string{
			"Authorization": "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/ses/aws4_request, SignedHeaders=host, Signature=0",
		}},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://anywhere"+c.path, strings.NewReader(c.form))
		if err != nil {
			t.Fatal(err)
		}
		if c.header == nil {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for name, value := range c.header {
			r.Header.Set(name, value)
		}
		answer, err := w.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusNotImplemented || !bytes.Contains(body, []byte(c.names)) {
			t.Errorf("%s: %d %s %v", c.what, answer.StatusCode, body, err)
		}
	}
}

// Operations are counted under the names that the APIs give them.
func TestOperationsByName(t *testing.T) {
	w, a, clients := newWorld(t)
	ctx := t.Context()
	bucket, key := aws.String("mail-bucket"), aws.String("other/key with space")
	steps := map[string]func() error{
		"s3.PutObject": func() error {
			_, err := clients.s3.PutObject(ctx, &awss3.PutObjectInput{Bucket: bucket, Key: key})
			return err
		},
		"s3.GetObject": func() error {
			_, err := clients.s3.GetObject(ctx, &awss3.GetObjectInput{Bucket: bucket, Key: key})
			return err
		},
		"s3.HeadObject": func() error {
			_, err := clients.s3.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: bucket, Key: key})
			return err
		},
		"s3.CopyObject": func() error {
			_, err := clients.s3.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: bucket, Key: aws.String("copy"), CopySource: aws.String("mail-bucket/" + url.PathEscape(*key))})
			return err
		},
		"s3.ListObjectsV2": func() error {
			_, err := clients.s3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: bucket})
			return err
		},
		"s3.ListBuckets": func() error {
			_, err := clients.s3.ListBuckets(ctx, &awss3.ListBucketsInput{})
			return err
		},
		"s3.HeadBucket": func() error {
			_, err := clients.s3.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: bucket})
			return err
		},
		"s3.CreateBucket": func() error {
			_, err := clients.s3.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("another")})
			return err
		},
		"s3.GetBucketNotificationConfiguration": func() error {
			_, err := clients.s3.GetBucketNotificationConfiguration(ctx, &awss3.GetBucketNotificationConfigurationInput{Bucket: bucket})
			return err
		},
		"s3.GetBucketVersioning": func() error {
			_, err := clients.s3.GetBucketVersioning(ctx, &awss3.GetBucketVersioningInput{Bucket: bucket})
			return err
		},
		"s3.CreateMultipartUpload": func() error {
			_, err := clients.s3.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: bucket, Key: key})
			return err
		},
		"sqs.GetQueueUrl": func() error {
			_, err := clients.sqs.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: aws.String("intake")})
			return err
		},
		"sns.GetTopicAttributes": func() error {
			_, err := clients.sns.GetTopicAttributes(ctx, &awssns.GetTopicAttributesInput{TopicArn: &a.TopicARN})
			return err
		},
	}
	for _, name := range []string{
		"s3.PutObject", "s3.GetObject", "s3.HeadObject", "s3.CopyObject", "s3.ListObjectsV2", "s3.ListBuckets", "s3.HeadBucket", "s3.CreateBucket",
		"s3.GetBucketNotificationConfiguration", "s3.GetBucketVersioning", "s3.CreateMultipartUpload", "sqs.GetQueueUrl", "sns.GetTopicAttributes",
	} {
		if err := steps[name](); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := w.CallCounts()[name]; n != 1 {
			t.Errorf("%s: counted %d times: %v", name, n, w.CallCounts())
		}
	}
	_, err := clients.s3.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: bucket, Key: key})
	if err != nil || w.CallCounts()["s3.DeleteObject"] != 1 {
		t.Errorf("DeleteObject: %v", err)
	}
}

// Two Worlds with the same source of chance answer the same calls alike.
func TestSameCallsSameWorld(t *testing.T) {
	run := func() (all []string) {
		synctest.Test(t, func(t *testing.T) {
			w := local.New(local.Config{Rand: rand.NewChaCha8([32]byte{1})})
			defer w.Close()
			a, err := w.Provision(names())
			if err != nil {
				t.Fatal(err)
			}
			clients := newClients(w.Client(), "http://anywhere")
			for i := range 5 {
				_, err := w.Receive(local.Mail{Envelope: ses.Envelope{From: fmt.Sprint(i, "@example.org"), Recipients: []string{"sales@example.com"}}, Raw: []byte(mail)})
				if err != nil {
					t.Fatal(err)
				}
			}
			all = clients.receive(t.Context(), t, a.IntakeURL)
			sent, err := json.Marshal(w.SES.Sent())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(sent))
		})
		return all
	}
	first := run()
	if diff := cmp.Diff(first, run()); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	if len(first) != 7 || slices.Contains(first, "") {
		t.Errorf("got %d answers", len(first))
	}
}

// An HTTP subscriber is confirmed by the link that it was sent.
func TestConfirmationLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := make(chan string, 1)
		subscriber := local.ClientOf(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var notice struct{ Type, SubscribeURL string }
			if err := json.NewDecoder(r.Body).Decode(&notice); err != nil {
				t.Error(err)
			}
			if notice.Type == "SubscriptionConfirmation" {
				link <- notice.SubscribeURL
			}
		}))
		w := local.New(local.Config{HTTP: &http.Client{Transport: roundTripper(subscriber.Do)}})
		defer w.Close()
		topic, err := w.SNS.CreateTopic("announced", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.SNS.Subscribe(topic, "http", "http://127.0.0.1:9/push", nil); err != nil {
			t.Fatal(err)
		}
		if status, body := get(t, w, <-link); status != http.StatusOK || !strings.Contains(body, "SubscriptionArn") {
			t.Errorf("%d %s", status, body)
		}
		if n := w.CallCounts()["sns.ConfirmSubscription"]; n != 1 {
			t.Errorf("%v", w.CallCounts())
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
