package queue_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inreply/queue"
)

// TestReceiveAsks: what is asked for stands in the request, and what is zero is
// left to the queue.
func TestReceiveAsks(t *testing.T) {
	w := &wire{answer: func(int, string) (int, string) { return http.StatusOK, `{}` }}
	q := queue.New(sqsOf(w), queueURL)
	for _, r := range []queue.Receive{
		{},
		{Max: 10, Wait: 1500 * time.Millisecond, Visibility: time.Minute, Attempt: "a1"},
		{Max: 3, Wait: -time.Second, Visibility: -time.Hour},
	} {
		if got, err := q.Receive(t.Context(), r); err != nil || len(got) != 0 {
			t.Fatal(got, err)
		}
	}
	system := []any{
		"MessageGroupId", "MessageDeduplicationId", "SequenceNumber", "ApproximateReceiveCount",
		"SentTimestamp", "DeadLetterQueueSourceArn", "AWSTraceHeader",
	}
	always := func(more map[string]any) map[string]any {
		more["QueueUrl"], more["MessageSystemAttributeNames"], more["MessageAttributeNames"] = queueURL, system, []any{"All"}
		return more
	}
	want := []map[string]any{
		always(map[string]any{}),
		always(map[string]any{"MaxNumberOfMessages": 10.0, "WaitTimeSeconds": 2.0, "VisibilityTimeout": 60.0, "ReceiveRequestAttemptId": "a1"}),
		always(map[string]any{"MaxNumberOfMessages": 3.0}),
	}
	if diff := cmp.Diff(want, asked(t, w)); diff != "" {
		t.Errorf("asked otherwise (-want +got):\n%s", diff)
	}
}

func asked(t *testing.T, w *wire) []map[string]any {
	t.Helper()
	all := make([]map[string]any, len(w.bodies))
	for i, body := range w.bodies {
		if err := json.Unmarshal([]byte(body), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestReleaseSendsZero: SQS refuses an entry without a timeout, and the SDK used to
// leave out a zero (aws-sdk-go-v2, issue 2250).
func TestReleaseSendsZero(t *testing.T) {
	w := &wire{answer: func(int, string) (int, string) { return http.StatusOK, sqsAnswer(ok(0)) }}
	if err := queue.New(sqsOf(w), queueURL).Release(t.Context(), []string{"h"})[0]; err != nil {
		t.Fatal(err)
	}
	entry := map[string]any{"Id": "0", "ReceiptHandle": "h", "VisibilityTimeout": 0.0}
	want := []map[string]any{{"QueueUrl": queueURL, "Entries": []any{entry}}}
	if diff := cmp.Diff(want, asked(t, w)); diff != "" {
		t.Errorf("asked otherwise (-want +got):\n%s", diff)
	}
}

// TestReceiveAsksOnce: a receive that fails is not asked again by the SDK, even one
// that would retry.
func TestReceiveAsksOnce(t *testing.T) {
	for name, status := range map[string]int{"refused": http.StatusServiceUnavailable, "connection dies": 0} {
		t.Run(name, func(t *testing.T) {
			w := &wire{answer: func(int, string) (int, string) { return status, `{"__type":"ServiceUnavailable"}` }}
			c := config(w)
			c.Retryer = nil
			if _, err := queue.New(sqs.NewFromConfig(c), queueURL).Receive(t.Context(), queue.Receive{Max: 10}); err == nil {
				t.Error("received")
			}
			if len(w.asked) != 1 {
				t.Errorf("asked %d times", len(w.asked))
			}
		})
	}
}

// TestReceiveReads: every field has its place, and one that SQS leaves out is zero.
func TestReceiveReads(t *testing.T) {
	const answer = `{"Messages":[
		{"MessageId":"m1","ReceiptHandle":"h1","Body":"one","MD5OfBody":"f97c5d29941bfb1b2fdab0874906ab82",
		 "Attributes":{"MessageGroupId":"g","MessageDeduplicationId":"d","SequenceNumber":"18850000000000000000","ApproximateReceiveCount":"3",
		               "SentTimestamp":"1763942400123","DeadLetterQueueSourceArn":"arn:aws:sqs:us-east-1:000000000000:mails.fifo","AWSTraceHeader":"Root=1-2-3"},
		 "MessageAttributes":{"inreply":{"DataType":"String","StringValue":"{}"},"tries":{"DataType":"Number","StringValue":"5"},"raw":{"DataType":"Binary","BinaryValue":"AAE="}}},
		{"MessageId":"m2","ReceiptHandle":"h2","Body":"two","MD5OfBody":"b8a9f715dbb64fd5c56e7783c6820a61"}]}`
	w := &wire{answer: func(int, string) (int, string) { return http.StatusOK, answer }}
	got, err := queue.New(sqsOf(w), queueURL).Receive(t.Context(), queue.Receive{Max: 10})
	if err != nil {
		t.Fatal(err)
	}
	want := []queue.Message{
		{
			ID: "m1", Handle: "h1", Body: "one", Group: "g", DeduplicationID: "d", Sequence: "18850000000000000000", ReceiveCount: 3,
			Sent: time.UnixMilli(1763942400123), SourceARN: "arn:aws:sqs:us-east-1:000000000000:mails.fifo", Trace: "Root=1-2-3",
			Attributes: map[string]string{"inreply": "{}", "tries": "5"},
		},
		{ID: "m2", Handle: "h2", Body: "two"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read otherwise (-want +got):\n%s", diff)
	}
}

// TestWay is the way of messages through a FIFO queue, and what the verbs do to
// them there.
func TestWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a := world(t)
		q := queue.New(sqsOf(w.Client()), a.QueueURL)
		if q.URL() != a.QueueURL {
			t.Errorf("the queue is at %s", q.URL())
		}
		for i, r := range q.Send(t.Context(), []queue.Outgoing{
			{Body: "a1", Group: "a", DeduplicationID: "1", Attributes: map[string]string{"k": "v"}},
			{Body: "a2", Group: "a", DeduplicationID: "2"},
			{Body: "b1", Group: "b", DeduplicationID: "3"},
			{Body: "a1 again", Group: "a", DeduplicationID: "1"},
		}) {
			if r.Err != nil || r.ID == "" || r.Sequence == "" {
				t.Fatalf("message %d: %+v", i, r)
			}
		}
		first := receive(t, q, 3)
		if diff := cmp.Diff([]string{"a1", "a2", "b1"}, bodiesOf(first)); diff != "" {
			t.Fatalf("received otherwise (-want +got):\n%s", diff)
		}
		if m := first[0]; m.Group != "a" || m.DeduplicationID != "1" || m.ReceiveCount != 1 || !m.Sent.Equal(time.Now()) || m.Attributes["k"] != "v" {
			t.Errorf("read %+v", m)
		}

		// a2 goes back, a1 stays, b1 is deleted; a garbled handle is lost.
		if err := q.Release(t.Context(), []string{first[1].Handle})[0]; err != nil {
			t.Fatal(err)
		}
		errs := q.Delete(t.Context(), []string{"garbled", first[2].Handle})
		if !queue.Lost(errs[0]) || errs[1] != nil {
			t.Errorf("deleting: %v", errs)
		}
		if err := q.Extend(t.Context(), []queue.Extension{{Handle: first[0].Handle, For: 2 * time.Minute}})[0]; err != nil {
			t.Fatal(err)
		}
		if got := receive(t, q, 0); len(got) != 0 {
			t.Errorf("the group is locked, and gave out %v", bodiesOf(got))
		}

		// The lease of a1 ends: its handle is worth nothing from then on.
		time.Sleep(2*time.Minute + time.Second)
		if err := q.Delete(t.Context(), []string{first[0].Handle})[0]; !queue.Lost(err) {
			t.Errorf("deleting after the lease: %v", err)
		}
		if err := q.Extend(t.Context(), []queue.Extension{{Handle: first[0].Handle, For: time.Minute}})[0]; !queue.Lost(err) {
			t.Errorf("extending after the lease: %v", err)
		}
		second := receive(t, q, 2)
		if second[0].ReceiveCount != 2 || second[1].ReceiveCount != 2 {
			t.Errorf("received %d and %d times", second[0].ReceiveCount, second[1].ReceiveCount)
		}
		for _, err := range q.Delete(t.Context(), []string{second[0].Handle, second[1].Handle}) {
			if err != nil {
				t.Error(err)
			}
		}
		attributes, err := q.Attributes(t.Context())
		if err != nil || attributes.Visible+attributes.InFlight+attributes.Delayed != 0 {
			t.Errorf("left: %+v, %v", attributes, err)
		}
	})
}

// TestAttempt: the same attempt brings the same messages again.
func TestAttempt(t *testing.T) {
	w, a := world(t)
	q := queue.New(sqsOf(w.Client()), a.QueueURL)
	send(t, q, "one")
	for range 2 {
		got, err := q.Receive(t.Context(), queue.Receive{Max: 10, Attempt: "a1"})
		if err != nil || len(got) != 1 {
			t.Fatalf("received %d, %v", len(got), err)
		}
	}
	if got, err := q.Receive(t.Context(), queue.Receive{Max: 10, Attempt: "a2"}); err != nil || len(got) != 0 {
		t.Errorf("another attempt received %d, %v", len(got), err)
	}
}

func send(t *testing.T, q *queue.Queue, texts ...string) {
	t.Helper()
	for i, r := range q.Send(t.Context(), outgoing(texts)) {
		if r.Err != nil {
			t.Fatalf("message %d: %v", i, r.Err)
		}
	}
}

func receive(t *testing.T, q *queue.Queue, n int) []queue.Message {
	t.Helper()
	got, err := q.Receive(t.Context(), queue.Receive{Max: 10, Visibility: time.Minute})
	if err != nil || len(got) != n {
		t.Fatalf("received %v, %v; want %d messages", bodiesOf(got), err, n)
	}
	return got
}

func bodiesOf(messages []queue.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Body)
	}
	return all
}

// TestPublishKeepsOrder: more than one call's worth arrives as it was published.
func TestPublishKeepsOrder(t *testing.T) {
	w, a := world(t)
	texts := texts(25)
	for i, r := range queue.NewTopic(snsOf(w.Client()), a.FifoTopicARN).Publish(t.Context(), outgoing(texts)) {
		if r.Err != nil || r.ID == "" || r.Sequence == "" {
			t.Fatalf("message %d: %+v", i, r)
		}
	}
	q := queue.New(sqsOf(w.Client()), a.QueueURL)
	var got []string
	for len(got) < len(texts) {
		messages, err := q.Receive(t.Context(), queue.Receive{Max: 10})
		if err != nil || len(messages) == 0 {
			t.Fatalf("received %d, %v", len(messages), err)
		}
		var handles []string
		for _, m := range messages {
			got, handles = append(got, m.Body), append(handles, m.Handle)
		}
		for _, err := range q.Delete(t.Context(), handles) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff(texts, got); diff != "" {
		t.Errorf("arrived otherwise (-want +got):\n%s", diff)
	}
}

func TestAttributes(t *testing.T) {
	w, a := world(t)
	got, err := queue.New(sqsOf(w.Client()), a.QueueURL).Attributes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(got.DeadLetterARN, ":mails-dead.fifo") || got.MaxReceiveCount == 0 || got.Visibility == 0 || got.Retention == 0 {
		t.Errorf("read %+v", got)
	}
	if !got.Fifo || got.DeduplicationScope != "queue" || got.FifoThroughputLimit != "perQueue" || !strings.HasSuffix(got.ARN, ":mails.fifo") {
		t.Errorf("read %+v", got)
	}
	intake, err := queue.New(sqsOf(w.Client()), a.IntakeURL).Attributes(t.Context())
	if err != nil || intake.Fifo || intake.DeduplicationScope != "" {
		t.Errorf("read %+v, %v", intake, err)
	}
}

// TestAttributesAsWritten: SQS gives everything as text, and a redrive policy as
// JSON with a number or a text for its count, as it was set.
func TestAttributesAsWritten(t *testing.T) {
	tests := map[string]struct {
		written string
		want    queue.Attributes
	}{
		"all": {
			`"QueueArn":"arn:q","FifoQueue":"true","ContentBasedDeduplication":"true","VisibilityTimeout":"60","MessageRetentionPeriod":"1209600","DelaySeconds":"5",
			 "ApproximateNumberOfMessages":"1","ApproximateNumberOfMessagesNotVisible":"2","ApproximateNumberOfMessagesDelayed":"3",
			 "RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:dead\",\"maxReceiveCount\":1000}"`,
			queue.Attributes{
				ARN: "arn:q", Fifo: true, ContentBasedDeduplication: true, Visibility: time.Minute, Retention: 14 * 24 * time.Hour, Delay: 5 * time.Second,
				Visible: 1, InFlight: 2, Delayed: 3, DeadLetterARN: "arn:dead", MaxReceiveCount: 1000,
			},
		},
		"count as text":    {`"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:dead\",\"maxReceiveCount\":\"5\"}"`, queue.Attributes{DeadLetterARN: "arn:dead", MaxReceiveCount: 5}},
		"policy of no use": {`"RedrivePolicy":"dead"`, queue.Attributes{}},
		"nothing":          {``, queue.Attributes{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := &wire{answer: func(int, string) (int, string) { return http.StatusOK, `{"Attributes":{` + test.written + `}}` }}
			got, err := queue.New(sqsOf(w), queueURL).Attributes(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(queue.Attributes{}, "Raw")); diff != "" {
				t.Errorf("read otherwise (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFind(t *testing.T) {
	w, a := world(t)
	client := sqsOf(w.Client())
	for _, name := range []string{"mails.fifo", "arn:aws:sqs:us-east-1:000000000000:mails.fifo", a.QueueURL} {
		if got, err := queue.Find(t.Context(), client, name); err != nil || got != a.QueueURL {
			t.Errorf("%s: found %s, %v; want %s", name, got, err, a.QueueURL)
		}
	}
	if _, err := queue.Find(t.Context(), client, "nowhere"); !queue.Missing(err) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("found a queue that is not there: %v", err)
	}
}

// TestMissing: every verb says that its queue is not there.
func TestMissing(t *testing.T) {
	w, a := world(t)
	q := queue.New(sqsOf(w.Client()), a.QueueURL+"x")
	_, received := q.Receive(t.Context(), queue.Receive{Max: 1})
	_, attributes := q.Attributes(t.Context())
	for verb, err := range map[string]error{
		"receive": received, "attributes": attributes,
		"delete": q.Delete(t.Context(), []string{"h"})[0], "release": q.Release(t.Context(), []string{"h"})[0],
		"send": q.Send(t.Context(), outgoing([]string{"x"}))[0].Err,
	} {
		if !queue.Missing(err) || queue.Lost(err) {
			t.Errorf("%s: %v", verb, err)
		}
	}
}
