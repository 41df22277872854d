package sqs

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLongPollWakesAtOnce(t *testing.T) {
	for _, c := range []struct {
		what  string
		after time.Duration // since the poll began
		want  string
		do    func(r rig, q string, first receivedMessage)
	}{
		{"a message for another group", 3 * time.Second, "b1", func(r rig, q string, _ receivedMessage) {
			time.Sleep(3 * time.Second)
			r.send(q, "b", "b1")
		}},
		{"the group's first message is deleted", 3 * time.Second, "a2", func(r rig, q string, first receivedMessage) {
			time.Sleep(3 * time.Second)
			r.delete(q, first)
		}},
		{"it is released", 3 * time.Second, "a1 a2", func(r rig, q string, first receivedMessage) {
			time.Sleep(3 * time.Second)
			r.hide(q, first, 0)
		}},
		{"it expires", 10 * time.Second, "a1 a2", func(rig, string, receivedMessage) {}},
		{"it expires earlier than before", 4 * time.Second, "a1 a2", func(r rig, q string, first receivedMessage) {
			time.Sleep(2 * time.Second)
			r.hide(q, first, 2)
		}},
		{"it expires later than before", 15 * time.Second, "a1 a2", func(r rig, q string, first receivedMessage) {
			time.Sleep(5 * time.Second)
			r.hide(q, first, 10)
		}},
		{"nothing happens in time", 20 * time.Second, "", func(r rig, q string, first receivedMessage) {
			r.hide(q, first, 25)
		}},
		{"another message of the locked group", 20 * time.Second, "", func(r rig, q string, first receivedMessage) {
			r.hide(q, first, 25)
			r.send(q, "a", "a3")
		}},
	} {
		inBubble(t, func(r rig) {
			q := r.queue("q.fifo", nil)
			r.send(q, "a", "a1", "a2")
			first := r.receiveAs(q, object{"MaxNumberOfMessages": 1, "VisibilityTimeout": 10})[0]
			waiting := r.poll(r.t.Context(), q, nil)
			c.do(r, q, first)
			got := <-waiting
			r.want(c.what, got.messages, c.want)
			if got.after != c.after {
				t.Errorf("%s: answered after %v, want %v", c.what, got.after, c.after)
			}
		})
	}
}

func TestPollsAreServedInTheOrderInWhichTheyCame(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		first := r.poll(r.t.Context(), q, nil)
		second := r.poll(r.t.Context(), q, nil)
		r.send(q, "a", "a1")
		r.send(q, "b", "b1")
		r.want("first", (<-first).messages, "a1")
		r.want("second", (<-second).messages, "b1")
	})
}

func TestQueuesOwnWaitTime(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", map[string]string{"ReceiveMessageWaitTimeSeconds": "7"})
		start := time.Now()
		r.receiveAs(q, nil)
		if d := time.Since(start); d != 7*time.Second {
			t.Errorf("waited %v", d)
		}
		r.receive(q, 0, 30)
		if d := time.Since(start); d != 7*time.Second {
			t.Errorf("a short poll waited, %v in all", d)
		}
	})
}

func TestAbandonedPollTakesNothing(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		ctx, leave := context.WithCancel(r.t.Context())
		waiting := r.poll(ctx, q, nil)
		leave()
		if got := <-waiting; got.refusal == nil {
			t.Error("the poll was answered")
		}
		r.send(q, "a", "a1")
		got := r.receive(q, 0, 30)
		r.want("receive", got, "a1")
		if n := got[0].Attributes["ApproximateReceiveCount"]; n != "1" {
			t.Errorf("receive count %s", n)
		}
	})
}

func TestPollWhoseCallerHasGoneBefore(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1")
		ctx, leave := context.WithCancel(r.t.Context())
		leave()
		if got := <-r.poll(ctx, q, nil); got.refusal == nil || got.after != 0 {
			t.Errorf("answered %+v", got)
		}
		r.want("receive", r.receive(q, 0, 30), "a1")
	})
}

// A poll may be given messages in the very moment in which its caller goes.
// They go back as if nothing had been, to the front of their groups and their
// groups to the front of the row.
func TestPollAbandonedWhileServed(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		ctx, leave := context.WithCancel(r.t.Context())
		waiting := r.poll(ctx, q, nil)
		r.s.mu.Lock() // The poll cannot see that it is left before it is served.
		leave()
		queue, err := r.s.byURL(q)
		if err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{"a1", "b1", "a2"} {
			d, err := sendEntry{MessageBody: body, MessageGroupId: body[:1], MessageDeduplicationId: body}.draft()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.s.accept(queue, d); err != nil {
				t.Fatal(err)
			}
		}
		r.s.unlock()
		if got := <-waiting; got.refusal == nil {
			t.Error("the poll was answered")
		}
		r.send(q, "c", "c1")
		got := r.receive(q, 0, 30)
		r.want("receive", got, "a1 a2 b1 c1")
		for _, m := range got {
			if n := m.Attributes["ApproximateReceiveCount"]; n != "1" {
				t.Errorf("%s: receive count %s", m.Body, n)
			}
		}
	})
}

func TestPollsEndWithTheirQueueAndServer(t *testing.T) {
	inBubble(t, func(r rig) {
		q, other := r.queue("q.fifo", nil), r.queue("other.fifo", nil)
		waiting, staying := r.poll(r.t.Context(), q, nil), r.poll(r.t.Context(), other, nil)
		r.must("DeleteQueue", object{"QueueUrl": q}, nil)
		if got := <-waiting; got.refusal == nil || got.refusal.Type != "com.amazonaws.sqs#QueueDoesNotExist" || got.after != 0 {
			t.Errorf("poll at a deleted queue: %+v", got)
		}
		r.s.Close()
		if got := <-staying; got.refusal != nil || len(got.messages) != 0 || got.after != 0 {
			t.Errorf("poll at a closed server: %+v", got)
		}
		r.send(other, "a", "a1")
		r.want("a closed server answers", r.receive(other, 20, 0), "a1")
	})
}

func TestReceiveAttempt(t *testing.T) {
	for _, c := range []struct {
		what, want string
		do         func(r rig, q string, got []receivedMessage)
	}{
		{"repeated at once", "a1 a2", func(rig, string, []receivedMessage) {}},
		{"repeated twice", "a1 a2", func(r rig, q string, _ []receivedMessage) {
			r.receiveAs(q, object{"ReceiveRequestAttemptId": "try-1"})
		}},
		{"a message was deleted", "", func(r rig, q string, got []receivedMessage) { r.delete(q, got[1]) }},
		{"a visibility was changed", "", func(r rig, q string, got []receivedMessage) { r.hide(q, got[1], 60) }},
		{"more messages came", "a1 a2", func(r rig, q string, _ []receivedMessage) { r.send(q, "b", "b1") }},
		{"another receive between", "a1 a2", func(r rig, q string, _ []receivedMessage) {
			r.send(q, "b", "b1")
			r.receiveAs(q, object{"ReceiveRequestAttemptId": "try-2"})
		}},
	} {
		inBubble(t, func(r rig) {
			q := r.queue("q.fifo", nil)
			r.send(q, "a", "a1", "a2")
			first := r.receiveAs(q, object{"ReceiveRequestAttemptId": "try-1"})
			c.do(r, q, first)
			again := r.receiveAs(q, object{"ReceiveRequestAttemptId": "try-1"})
			r.want(c.what, again, c.want)
			for i, m := range again {
				if m.ReceiptHandle != first[i].ReceiptHandle || m.Attributes["ApproximateReceiveCount"] != "1" {
					t.Errorf("%s: %+v, first %+v", c.what, m, first[i])
				}
			}
		})
	}
}

func TestReceiveAttemptResetsTheVisibilityTimeout(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1")
		attempt := object{"ReceiveRequestAttemptId": "try-1", "VisibilityTimeout": 20}
		m := r.receiveAs(q, attempt)[0]
		time.Sleep(15 * time.Second)
		r.want("again", r.receiveAs(q, attempt), "a1")
		time.Sleep(15 * time.Second)
		r.want("still hidden", r.receive(q, 0, 30), "")
		r.delete(q, m)
	})
}

func TestReceiveAttemptEnds(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		r.send(q, "a", "a1")
		attempt := object{"ReceiveRequestAttemptId": "try-1", "VisibilityTimeout": 600}
		r.receiveAs(q, attempt)
		time.Sleep(5 * time.Minute)
		r.want("after five minutes", r.receiveAs(q, attempt), "")
		time.Sleep(5 * time.Minute)
		got := r.receiveAs(q, attempt)
		r.want("after expiry", got, "a1")
		if n := got[0].Attributes["ApproximateReceiveCount"]; n != "2" {
			t.Errorf("receive count %s", n)
		}
	})
}

// The retry of a receive can be there before the server notices that the first
// one's caller has gone. Both wait, and both get the same.
func TestReceiveAttemptWaitsTwice(t *testing.T) {
	inBubble(t, func(r rig) {
		q := r.queue("q.fifo", nil)
		ctx, leave := context.WithCancel(r.t.Context())
		defer leave()
		first := r.poll(ctx, q, object{"ReceiveRequestAttemptId": "try-1"})
		second := r.poll(r.t.Context(), q, object{"ReceiveRequestAttemptId": "try-1"})
		r.send(q, "a", "a1")
		r.want("first", (<-first).messages, "a1")
		r.want("second", (<-second).messages, "a1")
		synctest.Wait()
		r.want("and nobody else", r.receive(q, 0, 30), "")
	})
}

// Many workers at once, that release, let expire, and leave their polls:
// nothing is lost, and every group is deleted in its order.
func TestManyWorkers(t *testing.T) {
	inBubble(t, func(r rig) {
		const groups, each, workers = 7, 30, 6
		q := r.queue("q.fifo", nil)
		var mu sync.Mutex
		deleted := map[string][]int{}
		left := groups * each
		var all sync.WaitGroup
		for worker := range workers {
			chance := rand.New(rand.NewPCG(1, uint64(worker)))
			all.Go(func() {
				for {
					mu.Lock()
					done := left == 0
					mu.Unlock()
					if done {
						return
					}
					ctx, leave := context.WithTimeout(r.t.Context(), time.Duration(chance.IntN(3000))*time.Millisecond)
					var out receiveOutput
					_ = r.call(ctx, "ReceiveMessage", receiveRequest(q, object{"WaitTimeSeconds": 2, "MaxNumberOfMessages": 1 + chance.IntN(10), "VisibilityTimeout": 5}), &out)
					leave()
					if chance.IntN(4) == 0 {
						time.Sleep(6 * time.Second) // All of it expires.
						continue
					}
					keep := chance.IntN(len(out.Messages) + 1)
					for i, m := range slices.Backward(out.Messages) {
						if i >= keep {
							r.hide(q, m, 0)
						}
					}
					for _, m := range out.Messages[:keep] {
						r.delete(q, m)
						n, err := strconv.Atoi(m.Body)
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						group := m.Attributes["MessageGroupId"]
						deleted[group] = append(deleted[group], n)
						left--
						mu.Unlock()
					}
				}
			})
		}
		for i := range each {
			for g := range groups {
				r.send(q, "g"+strconv.Itoa(g), strconv.Itoa(i))
			}
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
		for group, order := range deleted {
			if len(order) != each || !slices.IsSorted(order) {
				t.Errorf("%s: deleted %v", group, order)
			}
		}
	})
}
