package sqs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
)

// direct answers an SDK client by calling the handler.
type direct struct{ http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

func (r rig) client() *awssqs.Client {
	return awssqs.New(awssqs.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String("http://127.0.0.1:4570"),
		Credentials:      credentials.NewStaticCredentialsProvider("key", "secret", ""),
		HTTPClient:       direct{r.s},
		RetryMaxAttempts: 1,
	})
}

func refusedAs[E error](t *testing.T, what string, err error) {
	t.Helper()
	if want, ok := errors.AsType[E](err); !ok {
		t.Errorf("%s: %v, want a %T", what, err, want)
	}
}

// The SDK turns refusals into its own error types.
func TestRefusalsAreTyped(t *testing.T) {
	r := newRig(t)
	c, ctx := r.client(), t.Context()
	q := r.queue("q.fifo", nil)
	handle := aws.String("garbage")
	entry := func(id string) types.SendMessageBatchRequestEntry {
		return types.SendMessageBatchRequestEntry{Id: &id, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: &id}
	}
	batch := func(entries ...types.SendMessageBatchRequestEntry) error {
		_, err := c.SendMessageBatch(ctx, &awssqs.SendMessageBatchInput{QueueUrl: &q, Entries: append([]types.SendMessageBatchRequestEntry{}, entries...)})
		return err
	}

	_, err := c.GetQueueUrl(ctx, &awssqs.GetQueueUrlInput{QueueName: aws.String("missing")})
	refusedAs[*types.QueueDoesNotExist](t, "GetQueueUrl", err)
	_, err = c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: aws.String("http://other.host/000000000000/missing")})
	refusedAs[*types.QueueDoesNotExist](t, "ReceiveMessage", err)
	_, err = c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("q.fifo"), Attributes: map[string]string{"FifoQueue": "true", "DelaySeconds": "1"}})
	refusedAs[*types.QueueNameExists](t, "CreateQueue", err)
	_, err = c.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &q, ReceiptHandle: handle})
	refusedAs[*types.ReceiptHandleIsInvalid](t, "DeleteMessage", err)
	_, err = c.ChangeMessageVisibility(ctx, &awssqs.ChangeMessageVisibilityInput{QueueUrl: &q, ReceiptHandle: handle})
	refusedAs[*types.ReceiptHandleIsInvalid](t, "ChangeMessageVisibility", err)
	_, err = c.SetQueueAttributes(ctx, &awssqs.SetQueueAttributesInput{QueueUrl: &q, Attributes: map[string]string{"VisibilityTimeout": "43201"}})
	refusedAs[*types.InvalidAttributeValue](t, "SetQueueAttributes", err)
	_, err = c.SetQueueAttributes(ctx, &awssqs.SetQueueAttributesInput{QueueUrl: &q, Attributes: map[string]string{"Colour": "red"}})
	refusedAs[*types.InvalidAttributeName](t, "SetQueueAttributes", err)
	_, err = c.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: &q, MessageBody: aws.String("\x00")})
	refusedAs[*types.InvalidMessageContents](t, "SendMessage", err)
	_, err = c.StartMessageMoveTask(ctx, &awssqs.StartMessageMoveTaskInput{SourceArn: aws.String("arn:aws:sqs:us-east-1:000000000000:missing")})
	refusedAs[*types.ResourceNotFoundException](t, "StartMessageMoveTask", err)
	refusedAs[*types.EmptyBatchRequest](t, "no entry", batch([]types.SendMessageBatchRequestEntry{}...))
	refusedAs[*types.BatchEntryIdsNotDistinct](t, "equal ids", batch(entry("a"), entry("a")))
	refusedAs[*types.InvalidBatchEntryId](t, "bad id", batch(entry("a.b")))
	many := make([]types.SendMessageBatchRequestEntry, 11)
	for i := range many {
		many[i] = entry(fmt.Sprint(i))
	}
	refusedAs[*types.TooManyEntriesInBatchRequest](t, "11 entries", batch(many...))
	large, larger := entry("a"), entry("b")
	large.MessageBody, larger.MessageBody = aws.String(strings.Repeat("x", 1<<19)), aws.String(strings.Repeat("x", 1<<19+1))
	refusedAs[*types.BatchRequestTooLong](t, "over 1 MiB", batch(large, larger))
	_, err = c.DeleteQueue(ctx, &awssqs.DeleteQueueInput{QueueUrl: &q})
	if err != nil {
		t.Error(err)
	}
	_, err = c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("q.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
	refusedAs[*types.QueueDeletedRecently](t, "CreateQueue", err)
}

func TestUnknownOperation(t *testing.T) {
	r := newRig(t)
	e := r.call(t.Context(), "AddPermission", object{}, nil)
	if e == nil || e.Status != http.StatusNotImplemented || !strings.Contains(e.Message, "AddPermission") {
		t.Errorf("answered %+v", e)
	}
	if got := r.code("SendMessage", []int{1}); got != "SerializationException" {
		t.Errorf("a request that is a list: %s", got)
	}
}

func TestLimitsOfSend(t *testing.T) {
	r := newRig(t)
	fifo, standard := r.queue("q.fifo", nil), r.queue("q", nil)
	small := r.queue("small", map[string]string{"MaximumMessageSize": "1024"})
	text := func(s string) object { return object{"DataType": "String", "StringValue": s} }
	attributes := func(n int) object {
		all := object{}
		for i := range n {
			all[fmt.Sprint("a", i)] = text("v")
		}
		return all
	}
	for _, c := range []struct {
		what, queue string
		more        object
		want        string
	}{
		{"all is well", fifo, nil, "accepted"},
		{"1 MiB", standard, object{"MessageBody": strings.Repeat("x", 1<<20)}, "accepted"},
		{"more than 1 MiB", standard, object{"MessageBody": strings.Repeat("x", 1<<20+1)}, "InvalidParameterValue"},
		{"attributes count", small, object{"MessageBody": strings.Repeat("x", 1024-8), "MessageAttributes": object{"a": text("v")}}, "accepted"},
		{"attributes count too much", small, object{"MessageBody": strings.Repeat("x", 1024-7), "MessageAttributes": object{"a": text("v")}}, "InvalidParameterValue"},
		{"empty body", fifo, object{"MessageBody": ""}, "MissingParameter"},
		{"characters of XML", fifo, object{"MessageBody": "\t\n\r é \U0001F4E7 \uFFFD"}, "accepted"},
		{"control character", fifo, object{"MessageBody": "a\x0bb"}, "InvalidMessageContents"},
		{"U+FFFE", fifo, object{"MessageBody": "a\uFFFEb"}, "InvalidMessageContents"},
		{"no group", fifo, object{"MessageGroupId": nil}, "MissingParameter"},
		{"no deduplication id", fifo, object{"MessageDeduplicationId": nil}, "InvalidParameterValue"},
		{"group with a space", fifo, object{"MessageGroupId": "a b"}, "InvalidParameterValue"},
		{"group of 128", fifo, object{"MessageGroupId": strings.Repeat("~", 128)}, "accepted"},
		{"group of 129", fifo, object{"MessageGroupId": strings.Repeat("~", 129)}, "InvalidParameterValue"},
		{"deduplication id with an accent", fifo, object{"MessageDeduplicationId": "é"}, "InvalidParameterValue"},
		{"deduplication id on a standard queue", standard, object{"MessageDeduplicationId": "d"}, "InvalidParameterValue"},
		{"delay on a FIFO queue", fifo, object{"DelaySeconds": 1}, "InvalidParameterValue"},
		{"delay of 900 s", standard, object{"DelaySeconds": 900}, "accepted"},
		{"delay of 901 s", standard, object{"DelaySeconds": 901}, "InvalidParameterValue"},
		{"10 attributes", fifo, object{"MessageAttributes": attributes(10)}, "accepted"},
		{"11 attributes", fifo, object{"MessageAttributes": attributes(11)}, "InvalidParameterValue"},
		{"reserved attribute", fifo, object{"MessageAttributes": object{"AWS.x": text("v")}}, "InvalidParameterValue"},
		{"attribute with a space", fifo, object{"MessageAttributes": object{"a b": text("v")}}, "InvalidParameterValue"},
		{"attribute with two dots", fifo, object{"MessageAttributes": object{"a..b": text("v")}}, "InvalidParameterValue"},
		{"empty attribute", fifo, object{"MessageAttributes": object{"a": text("")}}, "InvalidParameterValue"},
		{"attribute without type", fifo, object{"MessageAttributes": object{"a": object{"StringValue": "v"}}}, "InvalidParameterValue"},
		{"attribute of another type", fifo, object{"MessageAttributes": object{"a": object{"DataType": "Date", "StringValue": "v"}}}, "InvalidParameterValue"},
		{"labelled type", fifo, object{"MessageAttributes": object{"a": object{"DataType": "Number.int", "StringValue": "1"}}}, "accepted"},
		{"number that is none", fifo, object{"MessageAttributes": object{"a": object{"DataType": "Number", "StringValue": "one"}}}, "InvalidParameterValue"},
		{"binary without value", fifo, object{"MessageAttributes": object{"a": object{"DataType": "Binary", "StringValue": "v"}}}, "InvalidParameterValue"},
		{"trace", fifo, object{"MessageSystemAttributes": object{"AWSTraceHeader": text("Root=1")}}, "accepted"},
		{"other system attribute", fifo, object{"MessageSystemAttributes": object{"SenderId": text("me")}}, "InvalidParameterValue"},
		{"no such queue", "http://127.0.0.1/000000000000/missing", nil, "AWS.SimpleQueueService.NonExistentQueue"},
		{"no queue", "", nil, "MissingParameter"},
		{"no URL", "q.fifo", nil, "InvalidAddress"},
	} {
		in := object{"QueueUrl": c.queue, "MessageBody": "x"}
		if c.queue == fifo {
			in["MessageGroupId"], in["MessageDeduplicationId"] = "g", "d"
		}
		maps.Copy(in, c.more)
		if got := r.code("SendMessage", in); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestLimitsOfReceive(t *testing.T) {
	r := newRig(t)
	q := r.queue("q.fifo", nil)
	for _, c := range []struct {
		more object
		want string
	}{
		{object{"MaxNumberOfMessages": 0}, "InvalidParameterValue"},
		{object{"MaxNumberOfMessages": 11}, "InvalidParameterValue"},
		{object{"WaitTimeSeconds": -1}, "InvalidParameterValue"},
		{object{"WaitTimeSeconds": 21}, "InvalidParameterValue"},
		{object{"VisibilityTimeout": 43200}, "accepted"},
		{object{"VisibilityTimeout": 43201}, "InvalidParameterValue"},
		{object{"ReceiveRequestAttemptId": strings.Repeat("x", 129)}, "InvalidParameterValue"},
		{object{"MessageSystemAttributeNames": []string{"Colour"}}, "InvalidAttributeName"},
	} {
		if got := r.code("ReceiveMessage", receiveRequest(q, c.more)); got != c.want {
			t.Errorf("%v: %s, want %s", c.more, got, c.want)
		}
	}
}

func TestQueueNames(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name, fifo, want string
	}{
		{strings.Repeat("a", 80), "", "accepted"},
		{strings.Repeat("a", 81), "", "InvalidParameterValue"},
		{strings.Repeat("a", 75) + ".fifo", "true", "accepted"},
		{strings.Repeat("a", 76) + ".fifo", "true", "InvalidParameterValue"},
		{"a.fifo", "", "InvalidParameterValue"},
		{"a", "true", "InvalidParameterValue"},
		{"a", "false", "InvalidAttributeName"},
		{"a.b", "", "InvalidParameterValue"},
		{"ü", "", "InvalidParameterValue"},
		{"", "", "InvalidParameterValue"},
		{".fifo", "true", "InvalidParameterValue"},
		{"TRUE.fifo", "True", "accepted"},
	} {
		attributes := map[string]string{}
		if c.fifo != "" {
			attributes["FifoQueue"] = c.fifo
		}
		if got := r.code("CreateQueue", object{"QueueName": c.name, "Attributes": attributes}); got != c.want {
			t.Errorf("%q, FifoQueue %q: %s, want %s", c.name, c.fifo, got, c.want)
		}
	}
}

func TestAttributesOfAQueue(t *testing.T) {
	r := newRig(t)
	q := r.queue("q.fifo", map[string]string{"ContentBasedDeduplication": "TRUE"})
	var out getAttributesOutput
	r.must("GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": []string{"All"}}, &out)
	delete(out.Attributes, "CreatedTimestamp")
	delete(out.Attributes, "LastModifiedTimestamp")
	want := map[string]string{
		"QueueArn":                              "arn:aws:sqs:us-east-1:000000000000:q.fifo",
		"ApproximateNumberOfMessages":           "0",
		"ApproximateNumberOfMessagesNotVisible": "0",
		"ApproximateNumberOfMessagesDelayed":    "0",
		"DelaySeconds":                          "0",
		"MaximumMessageSize":                    "1048576",
		"MessageRetentionPeriod":                "345600",
		"ReceiveMessageWaitTimeSeconds":         "0",
		"VisibilityTimeout":                     "30",
		"SqsManagedSseEnabled":                  "true",
		"FifoQueue":                             "true",
		"ContentBasedDeduplication":             "true",
		"DeduplicationScope":                    "queue",
		"FifoThroughputLimit":                   "perQueue",
	}
	if diff := cmp.Diff(want, out.Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	for _, c := range []struct{ name, value, want string }{
		{"FifoQueue", "false", "InvalidAttributeValue"},
		{"FifoThroughputLimit", "perMessageGroupId", "InvalidAttributeValue"}, // Needs the scope, too.
		{"DeduplicationScope", "group", "InvalidAttributeValue"},
		{"ContentBasedDeduplication", "yes", "InvalidAttributeValue"},
		{"MaximumMessageSize", "1023", "InvalidAttributeValue"},
		{"MessageRetentionPeriod", "59", "InvalidAttributeValue"},
		{"ReceiveMessageWaitTimeSeconds", "21", "InvalidAttributeValue"},
		{"DelaySeconds", "ten", "InvalidAttributeValue"},
		{"RedriveAllowPolicy", `{"redrivePermission":"byQueue"}`, "InvalidParameterValue"},
		{"KmsDataKeyReusePeriodSeconds", "1", "InvalidAttributeValue"},
		{"Policy", `{"Version":"2012-10-17"}`, "accepted"},
	} {
		if got := r.code("SetQueueAttributes", object{"QueueUrl": q, "Attributes": map[string]string{c.name: c.value}}); got != c.want {
			t.Errorf("%s=%s: %s, want %s", c.name, c.value, got, c.want)
		}
	}
	if got := r.code("GetQueueAttributes", object{"QueueUrl": q, "AttributeNames": []string{"Colour"}}); got != "InvalidAttributeName" {
		t.Errorf("unknown attribute: %s", got)
	}
	standard := object{"QueueName": "q", "Attributes": map[string]string{"DeduplicationScope": "queue"}}
	if got := r.code("CreateQueue", standard); got != "InvalidAttributeName" {
		t.Errorf("DeduplicationScope on a standard queue: %s", got)
	}
}

func TestCounts(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q", nil)
		for i := range 5 {
			r.must("SendMessage", object{"QueueUrl": q, "MessageBody": "x", "DelaySeconds": i / 4}, nil)
		}
		r.receiveAs(q, object{"MaxNumberOfMessages": 1})
		counts := func() string {
			return r.attribute(q, "ApproximateNumberOfMessages") + " " +
				r.attribute(q, "ApproximateNumberOfMessagesNotVisible") + " " +
				r.attribute(q, "ApproximateNumberOfMessagesDelayed")
		}
		if got := counts(); got != "3 1 1" {
			t.Errorf("visible, in flight, delayed: %s", got)
		}
		time.Sleep(time.Second)
		if got := counts(); got != "4 1 0" {
			t.Errorf("a second later: %s", got)
		}
	})
}

// The checksum over attributes, by the layout that the developer guide gives.
func TestChecksums(t *testing.T) {
	r := newRig(t)
	q := r.queue("q.fifo", nil)
	request := object{
		"QueueUrl": q, "MessageBody": "hé", "MessageGroupId": "g", "MessageDeduplicationId": "d",
		"MessageAttributes": object{
			"n": object{"DataType": "Number", "StringValue": "42"},
			"b": object{"DataType": "Binary", "BinaryValue": []byte{0, 255}},
		},
		"MessageSystemAttributes": object{"AWSTraceHeader": object{"DataType": "String", "StringValue": "Root=1"}},
	}
	b := "\x00\x00\x00\x01b" + "\x00\x00\x00\x06Binary" + "\x02" + "\x00\x00\x00\x02\x00\xff"
	n := "\x00\x00\x00\x01n" + "\x00\x00\x00\x06Number" + "\x01" + "\x00\x00\x00\x0242"
	trace := "\x00\x00\x00\x0eAWSTraceHeader" + "\x00\x00\x00\x06String" + "\x01" + "\x00\x00\x00\x06Root=1"
	var sent sendOutput
	r.must("SendMessage", request, &sent)
	want := sendOutput{
		MessageId: sent.MessageId, SequenceNumber: sent.SequenceNumber,
		MD5OfMessageBody: textMD5("hé"), MD5OfMessageAttributes: textMD5(b + n), MD5OfMessageSystemAttributes: textMD5(trace),
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("sent (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"All"}, b + n},
		{[]string{".*"}, b + n},
		{[]string{"n"}, n},
		{[]string{"b.*", "x"}, b},
		{nil, ""},
	} {
		got := r.receiveAs(q, object{"MessageAttributeNames": c.names, "VisibilityTimeout": 0})[0]
		sum := ""
		if c.want != "" {
			sum = textMD5(c.want)
		}
		if got.MD5OfMessageAttributes != sum || got.Attributes["AWSTraceHeader"] != "Root=1" {
			t.Errorf("%v: %+v", c.names, got)
		}
	}
	got := r.receiveAs(q, object{"MessageSystemAttributeNames": []string{"MessageGroupId"}})[0]
	if diff := cmp.Diff(map[string]string{"MessageGroupId": "g"}, got.Attributes); diff != "" {
		t.Errorf("one system attribute (-want +got):\n%s", diff)
	}
}

func TestBatchesAnswerEntryByEntry(t *testing.T) {
	r := newRig(t)
	q := r.queue("q.fifo", nil)
	var sent batchOutput[sendOutput]
	r.must("SendMessageBatch", object{"QueueUrl": q, "Entries": []object{
		{"Id": "1", "MessageBody": "one", "MessageGroupId": "a", "MessageDeduplicationId": "1"},
		{"Id": "2", "MessageBody": "\x00", "MessageGroupId": "a", "MessageDeduplicationId": "2"},
		{"Id": "3", "MessageBody": "three", "MessageGroupId": "b", "MessageDeduplicationId": "3"},
	}}, &sent)
	if len(sent.Successful) != 2 || len(sent.Failed) != 1 || sent.Failed[0].Id != "2" || !sent.Failed[0].SenderFault {
		t.Fatalf("sent %+v", sent)
	}
	got := r.receive(q, 0, 30)
	r.want("receive", got, "one three")
	entries := []object{
		{"Id": "x", "ReceiptHandle": got[0].ReceiptHandle, "VisibilityTimeout": 0},
		{"Id": "y", "ReceiptHandle": "garbage", "VisibilityTimeout": 0},
		{"Id": "z", "ReceiptHandle": got[1].ReceiptHandle, "VisibilityTimeout": 43201},
	}
	var changed batchOutput[leaseBatchEntry]
	r.must("ChangeMessageVisibilityBatch", object{"QueueUrl": q, "Entries": entries}, &changed)
	if len(changed.Successful) != 1 || len(changed.Failed) != 2 || changed.Failed[0].Code != "ReceiptHandleIsInvalid" {
		t.Errorf("changed %+v", changed)
	}
	got = append(r.receive(q, 0, 30), got[1])
	entries[0]["ReceiptHandle"] = got[0].ReceiptHandle
	var deleted batchOutput[leaseBatchEntry]
	r.must("DeleteMessageBatch", object{"QueueUrl": q, "Entries": entries}, &deleted)
	if len(deleted.Successful) != 2 || len(deleted.Failed) != 1 || deleted.Failed[0].Id != "y" {
		t.Errorf("deleted %+v", deleted)
	}
	whole := object{"QueueUrl": q, "Entries": []object{
		{"Id": "1", "MessageBody": "one", "MessageGroupId": "c", "MessageDeduplicationId": "4"},
		{"Id": "2", "MessageBody": "two", "MessageDeduplicationId": "5"},
	}}
	if got := r.code("SendMessageBatch", whole); got != "MissingParameter" {
		t.Errorf("an entry without its group: %s", got)
	}
	r.want("refused as a whole", r.receive(q, 0, 30), "")
}

func TestListQueues(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"b2", "a", "b1", "b3"} {
		r.queue(name, nil)
	}
	var all []string
	in := object{"QueueNamePrefix": "b", "MaxResults": 2}
	for {
		var page listQueuesOutput
		r.must("ListQueues", in, &page)
		all = append(all, page.QueueUrls...)
		if page.NextToken == "" {
			break
		}
		in["NextToken"] = page.NextToken
	}
	if diff := cmp.Diff([]string{r.s.URL("b1"), r.s.URL("b2"), r.s.URL("b3")}, all); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	if got := r.code("ListQueues", object{"MaxResults": 1001}); got != "InvalidParameterValue" {
		t.Errorf("1001 results: %s", got)
	}
}

func TestTags(t *testing.T) {
	r := newRig(t)
	r.must("CreateQueue", object{"QueueName": "q", "tags": object{"a": "1", "b": "2"}}, nil)
	q := r.s.URL("q")
	r.must("TagQueue", object{"QueueUrl": q, "Tags": object{"b": "3", "c": "4"}}, nil)
	r.must("UntagQueue", object{"QueueUrl": q, "TagKeys": []string{"a"}}, nil)
	var out listTagsOutput
	r.must("ListQueueTags", object{"QueueUrl": q}, &out)
	if diff := cmp.Diff(map[string]string{"b": "3", "c": "4"}, out.Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestDeliver(t *testing.T) {
	r := newRig(t)
	q := r.queue("q.fifo", nil)
	r.queue("q", nil)
	for _, c := range []struct {
		what string
		arn  string
		d    Delivery
		want string
	}{
		{"to a FIFO queue", r.s.ARN("q.fifo"), Delivery{Body: "x", GroupID: "g", DeduplicationID: "d", Attributes: map[string]Attribute{"k": {DataType: "String", StringValue: "v"}}}, ""},
		{"to a standard queue", r.s.ARN("q"), Delivery{Body: "x"}, ""},
		{"without a group", r.s.ARN("q.fifo"), Delivery{Body: "x"}, "MissingParameter"},
		{"to nowhere", r.s.ARN("missing"), Delivery{Body: "x"}, "AWS.SimpleQueueService.NonExistentQueue"},
		{"to another account", "arn:aws:sqs:us-east-1:999999999999:q", Delivery{Body: "x"}, "AWS.SimpleQueueService.NonExistentQueue"},
	} {
		err := r.s.Deliver(c.arn, c.d)
		var e *Error
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &e) || e.Code != c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
	}
	got := r.receive(q, 0, 30)
	if len(got) != 1 || got[0].MessageAttributes["k"].StringValue != "v" || got[0].Attributes["MessageGroupId"] != "g" {
		t.Errorf("received %+v", got)
	}
	for arn, want := range map[string][2]bool{r.s.ARN("q.fifo"): {true, true}, r.s.ARN("q"): {false, true}, r.s.ARN("missing"): {}} {
		if fifo, exists := r.s.Fifo(arn); fifo != want[0] || exists != want[1] {
			t.Errorf("%s: fifo %v, exists %v", arn, fifo, exists)
		}
	}
}

// Two servers with the same source of chance answer the same calls alike.
func TestSameCallsSameAnswers(t *testing.T) {
	run := func() string {
		s := New(Config{Rand: rand.NewChaCha8([32]byte{1})})
		defer s.Close()
		c := rig{t, s}.client()
		ctx := context.Background()
		url, err := c.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: aws.String("q.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			_, err := c.SendMessage(ctx, &awssqs.SendMessageInput{
				QueueUrl: url.QueueUrl, MessageBody: aws.String(fmt.Sprint(i)),
				MessageGroupId: aws.String(fmt.Sprint(i % 17)), MessageDeduplicationId: aws.String(fmt.Sprint(i)),
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var all strings.Builder
		for range 15 {
			out, err := c.ReceiveMessage(ctx, &awssqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 7})
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.Messages {
				fmt.Fprintln(&all, *m.Body, *m.MessageId, *m.ReceiptHandle)
			}
		}
		return all.String()
	}
	if diff := cmp.Diff(run(), run()); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}
