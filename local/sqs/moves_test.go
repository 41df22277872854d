package sqs

import (
	"fmt"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dead makes a FIFO queue, its dead-letter queue, and n messages that died:
// m0, m1, ... in groups g0 and g1.
func (r rig) dead(n int) (q, grave string) {
	r.t.Helper()
	grave = r.queue("grave.fifo", nil)
	q = r.queue("q.fifo", r.withGrave("grave.fifo", "1"))
	for i := range n {
		r.send(q, "g"+strconv.Itoa(i%2), "m"+strconv.Itoa(i))
	}
	for r.attribute(grave, "ApproximateNumberOfMessages") != strconv.Itoa(n) {
		r.receive(q, 0, 0)
	}
	return q, grave
}

func (r rig) lastMove() moveEntry {
	r.t.Helper()
	var out listMovesOutput
	r.must("ListMessageMoveTasks", object{"SourceArn": r.s.ARN("grave.fifo")}, &out)
	if len(out.Results) != 1 {
		r.t.Fatalf("moves %+v", out.Results)
	}
	return out.Results[0]
}

func TestMoveToSource(t *testing.T) {
	inBubble(t, func(r rig) {
		q, grave := r.dead(5)
		old := r.receive(grave, 0, 0)
		r.must("StartMessageMoveTask", object{"SourceArn": r.s.ARN("grave.fifo")}, nil)
		synctest.Wait()
		started := time.Now().UnixMilli()
		want := moveEntry{
			Status: "COMPLETED", SourceArn: r.s.ARN("grave.fifo"), StartedTimestamp: started,
			ApproximateNumberOfMessagesMoved: 5, ApproximateNumberOfMessagesToMove: 5,
		}
		if diff := cmp.Diff(want, r.lastMove()); diff != "" {
			t.Errorf("move (-want +got):\n%s", diff)
		}
		r.want("grave", r.receive(grave, 0, 30), "")
		got := r.receive(q, 0, 30)
		r.want("source", got, "m0 m2 m4 m1 m3")
		for i, m := range got {
			if m.MessageId == old[i].MessageId || m.Attributes["MessageDeduplicationId"] != m.MessageId ||
				m.Attributes["ApproximateReceiveCount"] != "1" || m.Attributes["DeadLetterQueueSourceArn"] != "" {
				t.Errorf("%s is no new message: %+v", m.Body, m)
			}
		}
	})
}

func TestMoveKeepsItsRateAndCanBeCancelled(t *testing.T) {
	inBubble(t, func(r rig) {
		_, grave := r.dead(20)
		other := r.queue("other.fifo", nil)
		start := object{"SourceArn": r.s.ARN("grave.fifo"), "DestinationArn": r.s.ARN("other.fifo"), "MaxNumberOfMessagesPerSecond": 2}
		var out startMoveOutput
		r.must("StartMessageMoveTask", start, &out)
		waiting := r.poll(r.t.Context(), other, object{"MaxNumberOfMessages": 1})
		r.want("a poll at the destination wakes", (<-waiting).messages, "m0")
		if got := r.code("StartMessageMoveTask", start); got != "InvalidParameterValue" {
			t.Errorf("a second move out of the same queue: %s", got)
		}
		time.Sleep(3*time.Second + time.Millisecond)
		if got := r.lastMove(); got.Status != "RUNNING" || got.TaskHandle != out.TaskHandle || got.ApproximateNumberOfMessagesMoved != 7 {
			t.Errorf("after 3 s at 2 a second: %+v", got)
		}
		var cancelled cancelMoveOutput
		r.must("CancelMessageMoveTask", object{"TaskHandle": out.TaskHandle}, &cancelled)
		time.Sleep(time.Minute)
		if got := r.lastMove(); got.Status != "CANCELLED" || got.ApproximateNumberOfMessagesMoved != 7 || cancelled.ApproximateNumberOfMessagesMoved != 7 {
			t.Errorf("cancelled: %+v, %+v", cancelled, got)
		}
		if got := r.attribute(grave, "ApproximateNumberOfMessages"); got != "13" {
			t.Errorf("%s left", got)
		}
		if got := r.code("CancelMessageMoveTask", object{"TaskHandle": out.TaskHandle}); got != "AWS.SimpleQueueService.UnsupportedOperation" {
			t.Errorf("cancel twice: %s", got)
		}
		if got := r.code("CancelMessageMoveTask", object{"TaskHandle": "x"}); got != "ResourceNotFoundException" {
			t.Errorf("cancel nothing: %s", got)
		}
	})
}

func TestMoveGoesAsFastAsItMay(t *testing.T) {
	inBubble(t, func(r rig) {
		r.dead(1100)
		r.must("StartMessageMoveTask", object{"SourceArn": r.s.ARN("grave.fifo")}, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.lastMove().ApproximateNumberOfMessagesMoved; got < 500 || got > 510 {
			t.Errorf("%d moved in a second", got)
		}
		time.Sleep(2 * time.Second)
		if got := r.lastMove(); got.Status != "COMPLETED" || got.ApproximateNumberOfMessagesMoved != 1100 {
			t.Errorf("%+v", got)
		}
	})
}

func TestMoveFails(t *testing.T) {
	inBubble(t, func(r rig) {
		_, grave := r.dead(1)
		r.receive(grave, 0, 30) // In flight, so not to be moved.
		r.send(grave, "g", "stray")
		r.must("StartMessageMoveTask", object{"SourceArn": r.s.ARN("grave.fifo")}, nil)
		synctest.Wait()
		if got := r.lastMove(); got.Status != "FAILED" || got.FailureReason != "CouldNotDetermineMessageSource" {
			t.Errorf("%+v", got)
		}
		r.want("it stays", r.receive(grave, 0, 0), "stray")
	})
}

func TestMoveRefused(t *testing.T) {
	inBubble(t, func(r rig) {
		r.dead(1)
		r.queue("standard", nil)
		grave := r.s.ARN("grave.fifo")
		for _, c := range []struct {
			in   object
			want string
		}{
			{object{}, "MissingParameter"},
			{object{"SourceArn": r.s.ARN("missing")}, "ResourceNotFoundException"},
			{object{"SourceArn": r.s.ARN("q.fifo")}, "InvalidParameterValue"},
			{object{"SourceArn": grave, "DestinationArn": r.s.ARN("missing")}, "ResourceNotFoundException"},
			{object{"SourceArn": grave, "DestinationArn": r.s.ARN("standard")}, "InvalidParameterValue"},
			{object{"SourceArn": grave, "DestinationArn": grave}, "InvalidParameterValue"},
			{object{"SourceArn": grave, "MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue"},
		} {
			if got := r.code("StartMessageMoveTask", c.in); got != c.want {
				t.Errorf("%v: %s, want %s", c.in, got, c.want)
			}
		}
		for i, want := range []int{1, 2, 3} {
			r.must("StartMessageMoveTask", object{"SourceArn": grave}, nil)
			synctest.Wait()
			var out listMovesOutput
			r.must("ListMessageMoveTasks", object{"SourceArn": grave, "MaxResults": 10}, &out)
			if len(out.Results) != want {
				t.Error(fmt.Sprint("start ", i+1, ": ", len(out.Results), " moves listed"))
			}
		}
	})
}
