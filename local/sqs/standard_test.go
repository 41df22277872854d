package sqs

import (
	"strconv"
	"testing"
	"time"
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
	inBubble(t, func(r rig) {
		for _, name := range []string{"q", "q.fifo"} {
			q := r.queue(name, nil)
			r.s.mu.Lock()
			queue, err := r.s.byURL(q)
			if err != nil {
				t.Fatal(err)
			}
			queue.inFlight = maxInFlight - 1 // As if so many were.
			r.s.mu.Unlock()
			for _, body := range []string{"1", "2"} {
				in := object{"QueueUrl": q, "MessageBody": body}
				if queue.settings.fifo {
					in["MessageGroupId"], in["MessageDeduplicationId"] = body, body
				}
				r.must("SendMessage", in, nil)
			}
			r.want(name, r.receive(q, 0, 30), "1")
			want := map[string]string{"q": "OverLimit", "q.fifo": "accepted"}[name]
			if got := r.code("ReceiveMessage", receiveRequest(q, nil)); got != want {
				t.Errorf("%s: at the limit: %s, want %s", name, got, want)
			}
		}
	})
}
