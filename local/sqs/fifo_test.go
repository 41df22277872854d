package sqs

import (
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestLockByPosition(t *testing.T) {
	for kept, want := range []string{"", "a1", "a1 a2"} {
		inBubble(t, func(r rig) {
			q := r.queue("q.fifo", nil)
			r.send(q, "a", "a1", "a2", "a3")
			got := r.receive(q, 0, 10)
			r.want("first receive", got, "a1 a2 a3")
			r.hide(q, got[kept], 60)
			time.Sleep(11 * time.Second)
			r.want("others expired", r.receive(q, 0, 10), want)
		})
	}
}

func TestLockEndsWithTheMessageInFront(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1", "a2", "a3", "a4")
		got := r.receiveAs(q, object{"MaxNumberOfMessages": 3})
		r.delete(q, got[1])
		r.hide(q, got[2], 0)
		r.want("a1 in flight", r.receive(q, 0, 30), "")
		r.delete(q, got[0])
		r.want("a1 deleted", r.receive(q, 0, 30), "a3 a4")
	})
}

func TestGroupsTakeTurns(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "g1", "g1m1", "g1m2")
		got := r.receive(q, 0, 30)
		r.send(q, "g2", "g2m1")
		r.send(q, "g3", "g3m1")
		r.hide(q, got[1], 0)
		r.hide(q, got[0], 0)
		r.want("g1 came back behind g2 and g3", r.receive(q, 0, 30), "g2m1 g3m1 g1m1 g1m2")
	})
}

func TestOneReceiveGivesAllOfAGroupThenTheNext(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "g1", "g1m1", "g1m2", "g1m3", "g1m4")
		first := r.receiveAs(q, object{"MaxNumberOfMessages": 2})
		r.send(q, "g2", "g2m1", "g2m2")
		for _, m := range first {
			r.delete(q, m)
		}
		r.send(q, "g3", "g3m1")
		r.want("receive", r.receive(q, 0, 30), "g2m1 g2m2 g1m3 g1m4 g3m1")
	})
}

func TestReleasedMessagesKeepTheirOrderAndAreCounted(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1", "a2")
		first := r.receive(q, 0, 30)
		started := strconv.FormatInt(time.Now().UnixMilli(), 10)
		time.Sleep(time.Second)
		r.hide(q, first[1], 0)
		r.hide(q, first[0], 0)
		again := r.receive(q, 0, 30)
		r.want("again", again, "a1 a2")
		for _, m := range again {
			if got := m.Attributes["ApproximateReceiveCount"]; got != "2" {
				t.Errorf("%s: receive count %s, want 2", m.Body, got)
			}
			if got := m.Attributes["ApproximateFirstReceiveTimestamp"]; got != started {
				t.Errorf("%s: first received %s, want %s", m.Body, got, started)
			}
		}
		if first[0].ReceiptHandle == again[0].ReceiptHandle {
			t.Error("the same receipt handle twice")
		}
	})
}

func TestExpiredHandleOnFifo(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1")
		old := r.receive(q, 0, 10)[0]
		request := object{"QueueUrl": q, "ReceiptHandle": old.ReceiptHandle, "VisibilityTimeout": 5}
		time.Sleep(9999 * time.Millisecond)
		r.want("not yet expired", r.receive(q, 0, 10), "")
		time.Sleep(time.Millisecond)
		if got := r.code("DeleteMessage", request); got != "InvalidParameterValue" {
			t.Errorf("delete after expiry: %s", got)
		}
		if got := r.code("ChangeMessageVisibility", request); got != "AWS.SimpleQueueService.MessageNotInflight" {
			t.Errorf("change visibility after expiry: %s", got)
		}
		fresh := r.receive(q, 0, 10)[0]
		if got := r.code("DeleteMessage", request); got != "InvalidParameterValue" {
			t.Errorf("delete after another receive: %s", got)
		}
		if got := r.code("ChangeMessageVisibility", request); got != "InvalidParameterValue" {
			t.Errorf("change visibility after another receive: %s", got)
		}
		r.hide(q, fresh, 60)
		time.Sleep(30 * time.Second)
		r.delete(q, fresh) // Extended, so still good.
		r.delete(q, fresh) // Deleting twice is no error.
		if got := r.code("ChangeMessageVisibility", object{"QueueUrl": q, "ReceiptHandle": fresh.ReceiptHandle, "VisibilityTimeout": 5}); got != "InvalidParameterValue" {
			t.Errorf("change visibility of a deleted message: %s", got)
		}
	})
}

func TestTwelveHoursPerReceive(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1")
		m := r.receive(q, 0, 43200)[0]
		time.Sleep(time.Hour)
		request := object{"QueueUrl": q, "ReceiptHandle": m.ReceiptHandle, "VisibilityTimeout": 11*3600 + 1}
		if got := r.code("ChangeMessageVisibility", request); got != "InvalidParameterValue" {
			t.Errorf("more than 12 hours in all: %s", got)
		}
		r.hide(q, m, 11*3600)
		r.hide(q, m, 0)
		m = r.receive(q, 0, 10)[0] // A new receive has 12 hours of its own.
		r.hide(q, m, 43200)
	})
}

func TestVisibilityIsNotRemembered(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"VisibilityTimeout": "5"})
		r.send(q, "a", "a1")
		m := r.receiveAs(q, nil)[0]
		r.hide(q, m, 100)
		r.hide(q, m, 0)
		r.receiveAs(q, nil)
		time.Sleep(5 * time.Second)
		r.want("the queue's own timeout holds again", r.receiveAs(q, nil), "a1")
	})
}

func TestReceiveThatHidesNothing(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1", "a2")
		r.want("first", r.receive(q, 0, 0), "a1 a2")
		r.want("second", r.receive(q, 0, 0), "a1 a2")
	})
}

func TestDeduplicationWindow(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		send := func(body string) sendOutput {
			var out sendOutput
			r.must("SendMessage", object{"QueueUrl": q, "MessageBody": body, "MessageGroupId": "g", "MessageDeduplicationId": "same"}, &out)
			return out
		}
		first := send("one")
		r.delete(q, r.receive(q, 0, 30)[0])
		time.Sleep(5*time.Minute - time.Nanosecond)
		second := send("two")
		r.want("within five minutes", r.receive(q, 0, 30), "")
		if second.MessageId != first.MessageId || second.SequenceNumber != first.SequenceNumber {
			t.Errorf("duplicate answered %+v, first %+v", second, first)
		}
		if second.MD5OfMessageBody != textMD5("two") {
			t.Error("the duplicate's checksum is not of what was sent")
		}
		time.Sleep(time.Nanosecond)
		if third := send("three"); third.MessageId == first.MessageId {
			t.Error("duplicate after five minutes")
		}
		r.want("after five minutes", r.receive(q, 0, 30), "three")
	})
}

func TestDeduplicationByContent(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"ContentBasedDeduplication": "True"})
		for _, id := range []string{"", "", "explicit"} {
			in := object{"QueueUrl": q, "MessageBody": "x", "MessageGroupId": "g"}
			if id != "" {
				in["MessageDeduplicationId"] = id
			}
			r.must("SendMessage", in, nil)
		}
		got := r.receive(q, 0, 30)
		r.want("receive", got, "x x")
		const hash = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // SHA-256 of "x"
		if id := got[0].Attributes["MessageDeduplicationId"]; id != hash {
			t.Errorf("deduplication id %s", id)
		}
	})
}

func TestDeduplicationScope(t *testing.T) {
	inBubble(t, func(r rig) {
		for scope, want := range map[string]string{"queue": "one", "messageGroup": "one two"} {
			q := r.queue(scope+".fifo", map[string]string{"DeduplicationScope": scope})
			for _, in := range []object{
				{"MessageBody": "one", "MessageGroupId": "g1"},
				{"MessageBody": "two", "MessageGroupId": "g2"},
				{"MessageBody": "three", "MessageGroupId": "g1"},
			} {
				in["QueueUrl"], in["MessageDeduplicationId"] = q, "same"
				r.must("SendMessage", in, nil)
			}
			r.want(scope, r.receive(q, 0, 30), want)
		}
	})
}

func TestPurgeForgetsDeduplicationIDs(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		in := object{"QueueUrl": q, "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": "same"}
		r.must("SendMessage", in, nil)
		old := r.receive(q, 0, 30)[0]
		r.must("PurgeQueue", object{"QueueUrl": q}, nil)
		r.delete(q, old)
		r.must("SendMessage", in, nil)
		r.want("sent again after the purge", r.receive(q, 0, 30), "x")
		if got := r.code("PurgeQueue", object{"QueueUrl": q}); got != "AWS.SimpleQueueService.PurgeQueueInProgress" {
			t.Errorf("purge again at once: %s", got)
		}
		time.Sleep(time.Minute)
		r.must("PurgeQueue", object{"QueueUrl": q}, nil)
	})
}

func TestDeadLetter(t *testing.T) {
	inBubble(t, func(r rig) {
		grave := r.queue("grave.fifo", nil)
		q := r.queue("q.fifo", r.withGrave("grave.fifo", `"2"`))
		var sent sendOutput
		r.must("SendMessage", object{
			"QueueUrl": q, "MessageBody": "poison", "MessageGroupId": "g", "MessageDeduplicationId": "mine",
			"MessageAttributes": object{"k": object{"DataType": "String", "StringValue": "v"}},
		}, &sent)
		r.send(q, "g", "next")
		for range 2 {
			got := r.receiveAs(q, object{"MaxNumberOfMessages": 1})
			r.want("receive", got, "poison")
			time.Sleep(30 * time.Second)
		}
		r.want("third receive", r.receive(q, 0, 30), "next")
		dead := r.receive(grave, 0, 30)
		r.want("grave", dead, "poison")
		got := dead[0].Attributes
		for name, want := range map[string]string{
			"MessageGroupId":           "g",
			"MessageDeduplicationId":   sent.MessageId,
			"DeadLetterQueueSourceArn": r.s.ARN("q.fifo"),
			"ApproximateReceiveCount":  "3", // Over all queues.
			"SentTimestamp":            strconv.FormatInt(time.Now().UnixMilli(), 10),
		} {
			if got[name] != want {
				t.Errorf("%s = %q, want %q", name, got[name], want)
			}
		}
		if dead[0].MessageId != sent.MessageId || dead[0].MessageAttributes["k"].StringValue != "v" {
			t.Errorf("dead letter %+v, sent %+v", dead[0], sent)
		}
	})
}

// A group whose messages all died is no trouble to the others, nor is a
// dead-letter queue that has one of its own.
func TestDeadLettersOfDeadLetters(t *testing.T) {
	inBubble(t, func(r rig) {
		last := r.queue("last.fifo", nil)
		middle := r.queue("middle.fifo", r.withGrave("last.fifo", "1"))
		q := r.queue("q.fifo", r.withGrave("middle.fifo", "1"))
		r.send(q, "a", "a1", "a2")
		r.send(q, "b", "b1")
		r.receive(q, 0, 0)
		waiting := r.poll(r.t.Context(), middle, object{"VisibilityTimeout": 0})
		r.want("all died", r.receive(q, 0, 30), "")
		if got := <-waiting; bodies(got.messages) != "a1 a2 b1" || got.after != 0 {
			t.Errorf("a poll at the dead-letter queue got %q after %v", bodies(got.messages), got.after)
		}
		r.want("middle again", r.receive(middle, 0, 30), "")
		r.want("last", r.receive(last, 0, 30), "a1 a2 b1")
	})
}

func TestRedriveValidation(t *testing.T) {
	inBubble(t, func(r rig) {
		r.queue("standard", nil)
		r.queue("closed.fifo", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
		r.queue("picky.fifo", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"byQueue","sourceQueueArns":["` + r.s.ARN("q.fifo") + `"]}`})
		q := r.queue("q.fifo", nil)
		for _, c := range []struct{ grave, receives, want string }{
			{"picky.fifo", "3", "accepted"},
			{"picky.fifo", `"1000"`, "accepted"},
			{"missing.fifo", "3", "InvalidParameterValue"},
			{"standard", "3", "InvalidParameterValue"},
			{"closed.fifo", "3", "InvalidParameterValue"},
			{"q.fifo", "3", "InvalidParameterValue"},
			{"picky.fifo", "0", "InvalidParameterValue"},
			{"picky.fifo", "1001", "InvalidParameterValue"},
			{"picky.fifo", "2.5", "InvalidParameterValue"},
			{"picky.fifo", "null", "InvalidParameterValue"},
		} {
			got := r.code("SetQueueAttributes", object{"QueueUrl": q, "Attributes": r.withGrave(c.grave, c.receives)})
			if got != c.want {
				t.Errorf("%s, %s receives: %s, want %s", c.grave, c.receives, got, c.want)
			}
		}
		other := object{"QueueName": "other.fifo", "Attributes": r.withGrave("picky.fifo", "3")}
		other["Attributes"].(map[string]string)["FifoQueue"] = "true"
		if got := r.code("CreateQueue", other); got != "InvalidParameterValue" {
			t.Errorf("create with a dead-letter queue that names others: %s", got)
		}
		var out listSourcesOutput
		r.must("ListDeadLetterSourceQueues", object{"QueueUrl": r.s.URL("picky.fifo")}, &out)
		if len(out.QueueUrls) != 1 || out.QueueUrls[0] != q {
			t.Errorf("sources %v", out.QueueUrls)
		}
		r.must("SetQueueAttributes", object{"QueueUrl": q, "Attributes": map[string]string{"RedrivePolicy": ""}}, nil)
		if got := r.attribute(q, "RedrivePolicy"); got != "" {
			t.Errorf("policy taken away, still %s", got)
		}
	})
}

func TestRetention(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"MessageRetentionPeriod": "60"})
		r.send(q, "a", "a1")
		time.Sleep(30 * time.Second)
		r.send(q, "a", "a2")
		r.want("receive", r.receive(q, 0, 43200), "a1 a2")
		r.send(q, "a", "a3")
		waiting := r.poll(r.t.Context(), q, nil)
		time.Sleep(20 * time.Second) // The poll gives up: a2 is still in flight.
		r.want("poll", (<-waiting).messages, "")
		time.Sleep(20 * time.Second)
		waiting = r.poll(r.t.Context(), q, nil)
		got := <-waiting
		r.want("poll over the end of a2", got.messages, "")
		waiting = r.poll(r.t.Context(), q, nil)
		got = <-waiting
		if len(got.messages) != 0 || r.attribute(q, "ApproximateNumberOfMessages") != "0" {
			t.Errorf("kept %q", bodies(got.messages))
		}
	})
}

func TestOldAgeOfAHeadUnlocksItsGroup(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"MessageRetentionPeriod": "60"})
		r.send(q, "a", "a1")
		r.receive(q, 0, 43200)
		time.Sleep(50 * time.Second)
		r.send(q, "a", "a2")
		got := <-r.poll(r.t.Context(), q, nil)
		if bodies(got.messages) != "a2" || got.after != 10*time.Second {
			t.Errorf("got %q after %v, want a2 after 10 s", bodies(got.messages), got.after)
		}
	})
}

func TestSequenceNumbers(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		last := ""
		for i := range 12 {
			var out sendOutput
			r.must("SendMessage", object{
				"QueueUrl": q, "MessageBody": "x", "MessageGroupId": strconv.Itoa(i % 3), "MessageDeduplicationId": strconv.Itoa(i),
			}, &out)
			if len(out.SequenceNumber) != 20 || strings.Trim(out.SequenceNumber, "0123456789") != "" || out.SequenceNumber <= last {
				t.Errorf("%q after %q", out.SequenceNumber, last)
			}
			last = out.SequenceNumber
		}
	})
}

func TestQueueDelayOnFifo(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"DelaySeconds": "10"})
		r.send(q, "a", "a1")
		if got := r.attribute(q, "ApproximateNumberOfMessagesDelayed"); got != "1" {
			t.Errorf("delayed: %s", got)
		}
		got := <-r.poll(r.t.Context(), q, nil)
		if bodies(got.messages) != "a1" || got.after != 10*time.Second {
			t.Errorf("got %q after %v", bodies(got.messages), got.after)
		}
		r.send(q, "b", "b1")
		waiting := r.poll(r.t.Context(), q, nil)
		time.Sleep(2 * time.Second)
		r.must("SetQueueAttributes", object{"QueueUrl": q, "Attributes": map[string]string{"DelaySeconds": "5"}}, nil)
		if got := <-waiting; bodies(got.messages) != "b1" || got.after != 5*time.Second {
			t.Errorf("shorter delay: got %q after %v", bodies(got.messages), got.after)
		}
	})
}
