package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is the JSON of a request.
type object = map[string]any

// refusal is an error as it comes over the wire.
type refusal struct {
	Status     int
	Type       string `json:"__type"`
	Message    string `json:"message"`
	QueryError string
}

// rig is a Server that is called as over HTTP, without sockets.
type rig struct {
	t testing.TB
	s *Server
}

// inBubble runs test against a Server in a synctest bubble, where time passes
// only while everybody sleeps.
func inBubble(t *testing.T, test func(r rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		test(r)
	})
}

func newRig(tb testing.TB) rig {
	tb.Helper()
	s := New(Config{URL: func() string { return "http://127.0.0.1:4570" }})
	tb.Cleanup(s.Close)
	return rig{tb, s}
}

// call calls an operation and decodes the answer into out; it returns the
// refusal, or nil.
func (r rig) call(ctx context.Context, operation string, in, out any) *refusal {
	r.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		r.t.Fatal(err)
	}
	request := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", bytes.NewReader(body))
	request.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	answer := httptest.NewRecorder()
	r.s.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		e := refusal{Status: answer.Code, QueryError: answer.Header().Get("X-Amzn-Query-Error")}
		if err := json.Unmarshal(answer.Body.Bytes(), &e); err != nil {
			r.t.Fatal(err)
		}
		return &e
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Body.Bytes(), out); err != nil {
		r.t.Fatal(err)
	}
	return nil
}

func (r rig) must(operation string, in, out any) {
	r.t.Helper()
	if e := r.call(r.t.Context(), operation, in, out); e != nil {
		r.t.Fatalf("%s: %+v", operation, *e)
	}
}

// code calls an operation that must be refused and returns the code on which
// SDKs match.
func (r rig) code(operation string, in any) string {
	r.t.Helper()
	e := r.call(r.t.Context(), operation, in, nil)
	if e == nil {
		return "accepted"
	}
	code, _, _ := strings.Cut(e.QueryError, ";")
	return code
}

// queue creates a queue and returns its URL.
func (r rig) queue(name string, attributes map[string]string) (url string) {
	r.t.Helper()
	all := map[string]string{}
	if strings.HasSuffix(name, ".fifo") {
		all["FifoQueue"] = "true"
	}
	maps.Copy(all, attributes)
	var out queueURLOutput
	r.must("CreateQueue", object{"QueueName": name, "Attributes": all}, &out)
	return out.QueueUrl
}

// withGrave is the attribute that names a dead-letter queue.
func (r rig) withGrave(name string, receives string) map[string]string {
	return map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + r.s.ARN(name) + `","maxReceiveCount":` + receives + `}`}
}

// send sends bodies to one group, each under its own deduplication id.
func (r rig) send(url, group string, bodies ...string) {
	r.t.Helper()
	for _, body := range bodies {
		r.must("SendMessage", object{
			"QueueUrl": url, "MessageBody": body, "MessageGroupId": group,
			"MessageDeduplicationId": group + body + strconv.FormatInt(time.Now().UnixNano(), 36),
		}, nil)
	}
}

// receive asks for up to 10 messages with everything about them, waiting for
// wait seconds, hiding them for visibility seconds.
func (r rig) receive(url string, wait, visibility int) []receivedMessage {
	r.t.Helper()
	return r.receiveAs(url, object{"WaitTimeSeconds": wait, "VisibilityTimeout": visibility})
}

func (r rig) receiveAs(url string, more object) []receivedMessage {
	r.t.Helper()
	var out receiveOutput
	r.must("ReceiveMessage", receiveRequest(url, more), &out)
	return out.Messages
}

func receiveRequest(url string, more object) object {
	in := object{
		"QueueUrl": url, "MaxNumberOfMessages": 10,
		"MessageSystemAttributeNames": []string{"All"}, "MessageAttributeNames": []string{"All"},
	}
	maps.Copy(in, more)
	return in
}

func (r rig) delete(url string, m receivedMessage) {
	r.t.Helper()
	r.must("DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": m.ReceiptHandle}, nil)
}

func (r rig) hide(url string, m receivedMessage, seconds int) {
	r.t.Helper()
	r.must("ChangeMessageVisibility", object{"QueueUrl": url, "ReceiptHandle": m.ReceiptHandle, "VisibilityTimeout": seconds}, nil)
}

func (r rig) attribute(url, name string) string {
	r.t.Helper()
	var out getAttributesOutput
	r.must("GetQueueAttributes", object{"QueueUrl": url, "AttributeNames": []string{name}}, &out)
	return out.Attributes[name]
}

func bodies(messages []receivedMessage) string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Body)
	}
	return strings.Join(all, " ")
}

func (r rig) want(what string, got []receivedMessage, want string) {
	r.t.Helper()
	if diff := cmp.Diff(want, bodies(got)); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// polled is what a poll in the background brought, and when.
type polled struct {
	messages []receivedMessage
	refusal  *refusal
	after    time.Duration
}

// poll receives in the background, waiting up to 20 s.
func (r rig) poll(ctx context.Context, url string, more object) <-chan polled {
	r.t.Helper()
	in := receiveRequest(url, object{"WaitTimeSeconds": 20})
	maps.Copy(in, more)
	result := make(chan polled, 1)
	start := time.Now()
	go func() {
		var out receiveOutput
		e := r.call(ctx, "ReceiveMessage", in, &out)
		result <- polled{out.Messages, e, time.Since(start)}
	}()
	synctest.Wait()
	return result
}
