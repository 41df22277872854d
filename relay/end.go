package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// bury sends what never can be relayed to the intake's dead-letter queue.
func (r *Relay) bury(ctx context.Context, notices []*notice) {
	var wrong []*notice
	var letters []queue.Outgoing
	for _, n := range notices {
		if n.wrong == nil || n.later != nil {
			continue
		}
		wrong = append(wrong, n)
		letters = append(letters, letter(n))
	}
	if len(wrong) == 0 {
		return
	}
	for i, result := range r.parts.DeadLetters.Send(ctx, letters) {
		if result.Err != nil {
			wrong[i].later = unanswered("sqs", fmt.Errorf("send a dead letter: %w", result.Err))
			continue
		}
		r.log.Warn("dead-lettered", zap.String("outcome", "dead-lettered"), zap.String("message", wrong[i].message.ID), zap.String("reason", wrong[i].wrong.Error()))
	}
}

// letterAttribute holds why a dead letter is one, as JSON, in the words of the
// consumer's dead letters: a redrive reads both.
const letterAttribute = "inreply"

// letter is a message that is no notice, with the reason.
func letter(n *notice) queue.Outgoing {
	described, err := json.Marshal(map[string]any{
		"message": n.message.ID, "reason": n.wrong.Error(), "tries": 1,
		"receives": n.message.ReceiveCount, "at": time.Now().UTC(),
	})
	if err != nil {
		panic(err) // Strings, numbers and a time always marshal.
	}
	return queue.Outgoing{Body: n.message.Body, Attributes: map[string]string{letterAttribute: string(described)}}
}

// end deletes what was seen through, sends back what was not, and returns what
// waits for the end of an outage.
func (r *Relay) end(ctx context.Context, notices []*notice) (held []*notice) {
	var done []string
	var back []queue.Extension
	for _, n := range notices {
		r.attempted(n)
		switch {
		case n.later == nil:
			done = append(done, n.message.Handle)
		case outage(n.later) != "":
			held = append(held, n)
		default:
			after := r.comesAfter(n.message.ReceiveCount)
			r.log.Warn("a notice cannot be relayed now", zap.String("message", n.message.ID), zap.Duration("after", after), zap.Error(n.later))
			back = append(back, queue.Extension{Handle: n.message.Handle, For: after})
		}
	}
	if len(back) > 0 {
		// What cannot be sent back comes back when its lease is over.
		r.parts.Intake.Extend(ctx, back)
	}
	r.delete(ctx, done)
	return held
}

// deletes is how often a delete is tried.
const deletes = 4

// delete deletes with a few tries. What stays is relayed again, and dropped by
// its deduplication id.
func (r *Relay) delete(ctx context.Context, handles []string) {
	for try := 1; len(handles) > 0; try++ {
		var left []string
		var why error
		for i, err := range r.parts.Intake.Delete(ctx, handles) {
			if err != nil && !queue.Lost(err) {
				left, why = append(left, handles[i]), err
			}
		}
		handles = left
		if len(left) == 0 {
			return
		}
		if try == deletes || ctx.Err() != nil {
			r.log.Warn("notices were relayed and could not be deleted; they will be relayed again", zap.Int("notices", len(left)), zap.Error(why))
			return
		}
		r.wait(ctx, r.jittered(backoff(try, time.Second)))
	}
}

// comesAfter is how long a notice stays invisible that cannot be relayed now. It
// grows with how often the notice was received, up to five minutes.
func (r *Relay) comesAfter(receives int) time.Duration {
	bound := min(5*time.Minute, time.Second<<min(max(receives, 1), 9))
	return time.Second + time.Duration(r.parts.Random()*float64(bound)).Round(time.Second)
}

// longestPause is the longest time between two tries in an outage.
const longestPause = 30 * time.Second

// hold keeps notices leased until after the next try, and returns the messages of
// those that still are ours. SQS takes a message from whoever has held it for
// twelve hours (ChangeMessageVisibility in the SQS API reference); it comes again.
func (r *Relay) hold(ctx context.Context, held []*notice, pause time.Duration) []queue.Message {
	r.log.Warn("notices wait for the end of an outage", zap.String("outage", outage(held[0].later)), zap.Int("notices", len(held)), zap.Duration("next", pause), zap.Error(held[0].later))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishing)
	defer cancel()
	extensions := make([]queue.Extension, len(held))
	for i, n := range held {
		extensions[i] = queue.Extension{Handle: n.message.Handle, For: pause + r.lease()}
	}
	var ours []queue.Message
	for i, err := range r.parts.Intake.Extend(ctx, extensions) {
		if _, refused := errors.AsType[*queue.EntryError](err); refused {
			r.log.Warn("a notice that waited is given up; it comes again", zap.String("message", held[i].message.ID), zap.Error(err))
			continue
		}
		ours = append(ours, held[i].message)
	}
	return ours
}

// giveBack makes messages visible again that are not relayed any more.
func (r *Relay) giveBack(messages []queue.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), finishing)
	defer cancel()
	extensions := make([]queue.Extension, len(messages))
	for i, m := range messages {
		extensions[i] = queue.Extension{Handle: m.Handle}
	}
	// What cannot be given back comes back when its lease is over.
	r.parts.Intake.Extend(ctx, extensions)
}
