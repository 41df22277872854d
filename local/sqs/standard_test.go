package sqs

import (
	"strconv"
	"testing"
	"time"

	"inreply/local/sqs/groups"
)

func TestStandardQueue(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q", nil)
		for i := range 3 {
			r.must("SendMessage", object{"QueueUrl": q, "MessageBody": strconv.Itoa(i), "MessageGroupId": "tenant"}, nil)
		}
		first := r.receiveAs(q, object{"MaxNumberOfMessages": 1})
		r.want("no locks between messages", r.receive(q, 0, 30), "1 2")
		if _, ok := first[0].Attributes["SequenceNumber"]; ok || first[0].Attributes["MessageGroupId"] != "tenant" {
			t.Errorf("attributes %v", first[0].Attributes)
		}
		time.Sleep(30 * time.Second)
		r.delete(q, first[0]) // Expired, but nobody received it since.
		again := r.receive(q, 0, 30)
		r.want("expired", again, "1 2")
		time.Sleep(30 * time.Second)
		r.receive(q, 0, 30)
		r.delete(q, again[0]) // Received since: succeeds without effect.
		time.Sleep(30 * time.Second)
		r.want("the old handle deleted nothing", r.receive(q, 0, 30), "1 2")
	})
}

func TestDelayPerMessage(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q", map[string]string{"DelaySeconds": "5"})
		r.must("SendMessage", object{"QueueUrl": q, "MessageBody": "queue's"}, nil)
		r.must("SendMessage", object{"QueueUrl": q, "MessageBody": "own", "DelaySeconds": 3}, nil)
		r.must("SendMessage", object{"QueueUrl": q, "MessageBody": "none", "DelaySeconds": 0}, nil)
		for _, want := range []struct {
			body  string
			after time.Duration
		}{{"none", 0}, {"own", 3 * time.Second}, {"queue's", 2 * time.Second}} {
			got := <-r.poll(r.t.Context(), q, nil)
			if bodies(got.messages) != want.body || got.after != want.after {
				t.Errorf("got %q after %v, want %q after %v", bodies(got.messages), got.after, want.body, want.after)
			}
		}
	})
}

func TestStandardDeadLetterKeepsItsAge(t *testing.T) {
	inBubble(t, func(r rig) {
		grave := r.queue("grave", map[string]string{"MessageRetentionPeriod": "100"})
		q := r.queue("q", r.withGrave("grave", "1"))
		r.must("SendMessage", object{"QueueUrl": q, "MessageBody": "x"}, nil)
		sent := strconv.FormatInt(time.Now().UnixMilli(), 10)
		r.receive(q, 0, 60)
		time.Sleep(60 * time.Second)
		r.want("moved", r.receive(q, 0, 30), "")
		dead := r.receive(grave, 0, 0)
		r.want("grave", dead, "x")
		if got := dead[0].Attributes["SentTimestamp"]; got != sent {
			t.Errorf("sent %s, want %s", got, sent)
		}
		time.Sleep(40 * time.Second)
		r.want("too old", r.receive(grave, 0, 0), "")
	})
}

func TestInFlightLimit(t *testing.T) {
	for name, want := range map[string]string{"q": "OverLimit", "q.fifo": "accepted"} {
		r := newRig(t)
		q := r.queue(name, nil)
		now := time.Now()
		messages := r.s.queues[name].messages
		for i := range groups.MaxInFlight + 1 {
			messages.Add(&message{Group: strconv.Itoa(i), Sent: now, Content: content{body: "x"}}, 0)
		}
		never := func(*message) bool { return false }
		messages.Take(groups.MaxInFlight-1, now, now.Add(time.Hour), never)
		if got := r.receive(q, 0, 3600); len(got) != 1 {
			t.Errorf("%s: %d messages just below the limit", name, len(got))
		}
		if got := r.code("ReceiveMessage", receiveRequest(q, nil)); got != want {
			t.Errorf("%s: at the limit: %s, want %s", name, got, want)
		}
	}
}
