package local_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	sestypes "github.com/aws/aws-sdk-go-v2/service/ses/types"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"inreply/local"
)

// calls makes one call of each service and returns what came of them.
func (c clients) calls(ctx context.Context, a local.Addresses) map[string]error {
	errs := map[string]error{}
	_, errs["sqs.SendMessage"] = c.sqs.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: &a.IntakeURL, MessageBody: aws.String("x")})
	_, errs["sns.Publish"] = c.sns.Publish(ctx, &awssns.PublishInput{TopicArn: &a.TopicARN, Message: aws.String("x")})
	_, errs["s3.PutObject"] = c.s3.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("mail-bucket"), Key: aws.String("other/x"), Body: strings.NewReader("x")})
	_, errs["ses.SendRawEmail"] = c.ses.SendRawEmail(ctx, &awsses.SendRawEmailInput{RawMessage: &sestypes.RawMessage{
		Data: []byte("From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\n\r\nx\r\n"),
	}})
	return errs
}

// effects counts what the calls did.
func (c clients) effects(ctx context.Context, t *testing.T, w *local.World, a local.Addresses) int {
	t.Helper()
	n := len(c.receive(ctx, t, a.IntakeURL)) + len(w.SES.Sent())
	objects, err := c.s3.ListObjectsV2(ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("mail-bucket")})
	if err != nil {
		t.Fatal(err)
	}
	return n + len(objects.Contents)
}

func codes(errs map[string]error) map[string]string {
	out := map[string]string{}
	for name, err := range errs {
		var api smithy.APIError
		switch {
		case err == nil:
			out[name] = ""
		case errors.As(err, &api):
			out[name] = api.ErrorCode()
		case errors.Is(err, io.ErrUnexpectedEOF):
			out[name] = "connection died"
		default:
			out[name] = err.Error()
		}
	}
	return out
}

func all(code string) map[string]string {
	return map[string]string{"sqs.SendMessage": code, "sns.Publish": code, "s3.PutObject": code, "ses.SendRawEmail": code}
}

func TestFaultsOfEachKind(t *testing.T) {
	for _, c := range []struct {
		what    string
		fault   local.Fault
		want    map[string]string
		effects int
	}{
		{"none", local.Fault{}, all(""), 4},
		{"throttled", local.Fault{Throttled: 1}, map[string]string{
			"sqs.SendMessage": "RequestThrottled", "sns.Publish": "Throttled", "s3.PutObject": "SlowDown", "ses.SendRawEmail": "Throttling",
		}, 0},
		{"failed", local.Fault{Failed: 1}, map[string]string{
			"sqs.SendMessage": "InternalFailure", "sns.Publish": "InternalFailure", "s3.PutObject": "InternalError", "ses.SendRawEmail": "InternalFailure",
		}, 0},
		{"lost request", local.Fault{LostRequest: 1}, all("connection died"), 0},
		{"lost response", local.Fault{LostResponse: 1}, all("connection died"), 4},
	} {
		w, a, clients := newWorld(t)
		clients.receive(t.Context(), t, a.IntakeURL) // The test event.
		w.Inject(local.Faults{Operations: map[string]local.Fault{"*": c.fault}})
		got := codes(clients.calls(t.Context(), a))
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.what, diff)
		}
		w.Inject(local.Faults{})
		if n := clients.effects(t.Context(), t, w, a); n != c.effects {
			t.Errorf("%s: %d calls took effect, want %d", c.what, n, c.effects)
		}
	}
}

func TestFaultsByName(t *testing.T) {
	w, a, clients := newWorld(t)
	w.Inject(local.Faults{Operations: map[string]local.Fault{
		"*":               {Failed: 1},
		"s3.*":            {},
		"sqs.SendMessage": {Throttled: 1},
	}})
	got := codes(clients.calls(t.Context(), a))
	want := map[string]string{
		"sqs.SendMessage": "RequestThrottled", "sns.Publish": "InternalFailure", "s3.PutObject": "", "ses.SendRawEmail": "InternalFailure",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultsSkipAndLimit(t *testing.T) {
	w, a, clients := newWorld(t)
	w.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.SendMessage": {Failed: 1, Skip: 2, Limit: 1}}})
	var failed []int
	for i := range 5 {
		_, err := clients.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &a.IntakeURL, MessageBody: aws.String("x")})
		if err != nil {
			failed = append(failed, i)
		}
	}
	if diff := cmp.Diff([]int{2}, failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}
	if n := w.CallCounts()["sqs.SendMessage"]; n != 5 {
		t.Errorf("%d calls counted", n)
	}
}

func TestFaultsRepeatFromTheirSeed(t *testing.T) {
	run := func(seed uint64) string {
		w, a, clients := newWorld(t)
		w.Inject(local.Faults{Seed: seed, Operations: map[string]local.Fault{"*": {Throttled: 0.2, Failed: 0.2, LostRequest: 0.2, LostResponse: 0.2}}})
		var all []string
		for range 20 {
			got := codes(clients.calls(t.Context(), a))
			for _, name := range slices.Sorted(maps.Keys(got)) {
				all = append(all, got[name])
			}
		}
		return strings.Join(all, ",")
	}
	first, again, other := run(1), run(1), run(2)
	if first != again {
		t.Error("two runs with one seed differ")
	}
	if first == other {
		t.Error("two seeds do the same")
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, clients := newWorld(t)
		w.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.SendMessage": {Latency: 100 * time.Millisecond}}})
		start := time.Now()
		arrived := make(chan time.Duration, 1)
		clients.receive(t.Context(), t, a.IntakeURL) // The test event.
		go func() {
			out, err := clients.sqs.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: &a.IntakeURL, WaitTimeSeconds: 5})
			if err != nil || len(out.Messages) != 1 {
				t.Error(err)
			}
			arrived <- time.Since(start)
		}()
		if _, err := clients.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{QueueUrl: &a.IntakeURL, MessageBody: aws.String("x")}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 100*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		if d := <-arrived; d != 50*time.Millisecond {
			t.Errorf("took effect after %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := clients.sqs.SendMessage(ctx, &awssqs.SendMessageInput{QueueUrl: &a.IntakeURL, MessageBody: aws.String("never")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("caller who does not wait: %v", err)
		}
		synctest.Wait()
		if got := clients.receive(t.Context(), t, a.IntakeURL); len(got) != 0 {
			t.Errorf("a call whose caller had gone took effect: %q", got)
		}
	})
}

func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, a, clients := newWorld(t)
		w.Inject(local.Faults{Operations: map[string]local.Fault{"*": {Latency: time.Second, Jitter: time.Second}}})
		seen := map[time.Duration]bool{}
		for range 10 {
			start := time.Now()
			clients.receive(t.Context(), t, a.QueueURL)
			d := time.Since(start)
			if d < time.Second || d > 2*time.Second {
				t.Errorf("answered after %v", d)
			}
			seen[d] = true
		}
		if len(seen) < 5 {
			t.Errorf("only %d different latencies", len(seen))
		}
	})
}

func TestDuplicatedEvents(t *testing.T) {
	w, a, clients := newWorld(t)
	clients.receive(t.Context(), t, a.IntakeURL) // The test event.
	w.Inject(local.Faults{Operations: map[string]local.Fault{local.EventOperation: {Duplicated: 1, Limit: 1}}})
	for i := range 2 {
		if err := w.S3.Put("mail-bucket", fmt.Sprint("mail/", i), "", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	got := clients.receive(t.Context(), t, a.IntakeURL)
	if len(got) != 3 || !strings.Contains(got[1], "mail/0") || !strings.Contains(got[2], "mail/1") {
		t.Errorf("%d events: %q", len(got), got)
	}
}

// Without its response, a receive can be repeated: the same messages come again
// under the same attempt id.
func TestLostReceiveIsRepeated(t *testing.T) {
	w, a, clients := newWorld(t)
	_, err := clients.sqs.SendMessage(t.Context(), &awssqs.SendMessageInput{
		QueueUrl: &a.QueueURL, MessageBody: aws.String("x"), MessageGroupId: aws.String("g"), MessageDeduplicationId: aws.String("d"),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Inject(local.Faults{Operations: map[string]local.Fault{"sqs.ReceiveMessage": {LostResponse: 1, Limit: 1}}})
	attempt := &awssqs.ReceiveMessageInput{QueueUrl: &a.QueueURL, ReceiveRequestAttemptId: aws.String("1")}
	if _, err := clients.sqs.ReceiveMessage(t.Context(), attempt); err == nil {
		t.Fatal("the response was not lost")
	}
	out, err := clients.sqs.ReceiveMessage(t.Context(), attempt)
	if err != nil || len(out.Messages) != 1 {
		t.Fatalf("%d messages, %v", len(out.Messages), err)
	}
}
