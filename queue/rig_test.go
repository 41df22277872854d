package queue_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/goleak"

	"inreply/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire stands where the network is. It keeps what was asked, and answers what the
// test says.
type wire struct {
	asked  []string // operations, in order
	bodies []string
	answer func(call int, body string) (status int, answer string)
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	if form, err := url.ParseQuery(string(body)); operation == "" && err == nil {
		operation = form.Get("Action")
		body = []byte(inOrder(form)) // a form is sorted by name: 10 before 2
	}
	w.asked, w.bodies = append(w.asked, operation), append(w.bodies, string(body))
	status, answer := w.answer(len(w.asked)-1, string(body))
	if status == 0 {
		return nil, errors.New("connection reset")
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(answer)), Request: r}, nil
}

// inOrder are the fields of the entries of a PublishBatch, entry by entry.
func inOrder(form url.Values) string {
	var b strings.Builder
	for n := 1; ; n++ {
		entry := "PublishBatchRequestEntries.member." + strconv.Itoa(n)
		if !form.Has(entry + ".Id") {
			return b.String()
		}
		fmt.Fprintf(&b, "%s.Message=%s\n", entry, form.Get(entry+".Message"))
	}
}

// config is of clients that try once, so that no retry hides what went wrong.
func config(client aws.HTTPClient) aws.Config {
	return aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), HTTPClient: client,
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func sqsOf(client aws.HTTPClient) *sqs.Client { return sqs.NewFromConfig(config(client)) }
func snsOf(client aws.HTTPClient) *sns.Client { return sns.NewFromConfig(config(client)) }

const queueURL = "http://anywhere/000000000000/mails.fifo"

// said is the answer to one entry of a batch.
type said struct {
	id      string
	code    string // of a refusal; empty: it succeeded
	message string
	sender  bool
}

func ok(ids ...int) []said {
	var all []said
	for _, id := range ids {
		all = append(all, said{id: strconv.Itoa(id)})
	}
	return all
}

func refused(id int, code, message string, sender bool) said {
	return said{id: strconv.Itoa(id), code: code, message: message, sender: sender}
}

// sqsAnswer is a batch's answer as SQS writes it.
func sqsAnswer(all []said) string {
	successful, failed := []map[string]any{}, []map[string]any{}
	for _, s := range all {
		if s.code == "" {
			successful = append(successful, map[string]any{"Id": s.id, "MessageId": "m" + s.id, "SequenceNumber": "100" + s.id})
			continue
		}
		failed = append(failed, map[string]any{"Id": s.id, "Code": s.code, "Message": s.message, "SenderFault": s.sender})
	}
	answer, err := json.Marshal(map[string]any{"Successful": successful, "Failed": failed})
	if err != nil {
		panic(err)
	}
	return string(answer)
}

// snsAnswer is a batch's answer as SNS writes it.
func snsAnswer(all []said) string {
	var successful, failed strings.Builder
	for _, s := range all {
		if s.code == "" {
			fmt.Fprintf(&successful, "<member><Id>%s</Id><MessageId>m%s</MessageId><SequenceNumber>100%s</SequenceNumber></member>", s.id, s.id, s.id)
			continue
		}
		fmt.Fprintf(&failed, "<member><Id>%s</Id><Code>%s</Code><Message>%s</Message><SenderFault>%t</SenderFault></member>", s.id, s.code, s.message, s.sender)
	}
	return `<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful>` + successful.String() +
		`</Successful><Failed>` + failed.String() + `</Failed></PublishBatchResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishBatchResponse>`
}

// world is a local AWS with the queues and topics of a deployment.
func world(tb testing.TB) (*local.World, local.Addresses) {
	tb.Helper()
	w := local.New(local.Config{})
	tb.Cleanup(w.Close)
	a, err := w.Provision(local.Names{
		Bucket: "example-mail", Prefix: "inbound/", Topic: "events", Intake: "intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "mail.fifo", Queue: "mails.fifo", DeadLetters: "mails-dead.fifo", Identities: []string{"our.example"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return w, a
}

// texts are n texts, each of its own.
func texts(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("text-%02d", i)
	}
	return all
}

// upTo is 0 to n-1.
func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}
