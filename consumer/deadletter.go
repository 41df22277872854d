package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"inreply/email"
	"inreply/queue"
	"inreply/tracing"
)

// DeadLetterAttribute is the name of the message attribute that holds a
// [DeadLetter] as JSON. SQS allows ten attributes, so everything is in one.
const DeadLetterAttribute = "inreply"

// DeadLetter is why a message was dead-lettered, and what it needs to go back
// to where it came from.
type DeadLetter struct {
	Message  string    `json:"message"`  // its id in the queue that it failed in
	Group    string    `json:"group"`    // its message group there
	Sequence string    `json:"sequence"` // its sequence number there
	Reason   string    `json:"reason"`
	Tries    int       `json:"tries"`
	Receives int       `json:"receives"` // the queue's own count
	At       time.Time `json:"at"`
	Bucket   string    `json:"bucket,omitempty"`
	Key      string    `json:"key,omitempty"`
	Mail     string    `json:"mail,omitempty"`
	From     string    `json:"from,omitempty"`
	Route    string    `json:"route,omitempty"`
	Trace    string    `json:"trace,omitempty"` // its id
}

// longestReason bounds the reason, in octets.
const longestReason = 1024

// Claims decide between a reply and a dead letter. GiveUp has a mail go unanswered,
// as far as this notice of it is concerned, or returns the reply that went out after
// all. Its error may say when to ask again.
type Claims interface {
	GiveUp(ctx context.Context, mail, notice, reason string) (email.Sent, error)
}

// burial is a message on its way to the dead-letter queue.
type burial struct {
	final
	givenUp bool // nobody answers it any more
	refused int  // failures to have it given up
	failed  int  // sends that failed
}

// bury sends the head l to the dead-letter queue, and deletes it when it is
// there. A dead letter that cannot be sent keeps its place and its lease.
func (c *Consumer) bury(l *lease) (slot bool) {
	b := l.buried
	ctx, cancel := context.WithTimeout(context.Background(), c.visibility)
	defer cancel()
	if slot, ours := c.forgo(ctx, l); !ours {
		return slot
	}
	span := c.traces.bury(ctx, l)
	err := c.parts.DeadLetters.Send(ctx, []queue.Outgoing{c.deadLetter(l)})[0].Err
	tracing.End(span, err)
	if err != nil {
		b.failed++
		c.log.Error("a dead letter could not be sent; it will be tried again",
			zap.String("message", l.message.ID), zap.String("group", l.message.Group), zap.String("reason", b.deadLetter), zap.Error(err))
		return c.waitHere(l, min(c.config.Backoff.Here, c.backoff(b.failed)))
	}
	c.acknowledge(l, b.final)
	return true
}

// forgo makes sure that a mail which is to be dead-lettered is not answered: SQS may
// have ended its lease early, and another process be at it. It reports whether the
// dead letter may be sent now, or else whether the group still holds its slot.
func (c *Consumer) forgo(ctx context.Context, l *lease) (slot, ours bool) {
	b := l.buried
	if b.givenUp || b.result.Mail == "" || c.parts.Claims == nil {
		return true, true
	}
	sent, err := c.parts.Claims.GiveUp(ctx, b.result.Mail, l.message.ID, clean(b.deadLetter))
	if err != nil {
		return c.forgoLater(l, err)
	}
	if sent.ID != "" {
		c.log.Warn("it was to be dead-lettered, and was answered after all",
			zap.String("message", l.message.ID), zap.String("group", l.message.Group), zap.String("reason", b.deadLetter))
		b.result.Outcome = email.Outcome{Kind: email.Answered, Route: b.result.Route, From: b.result.From, Sent: sent}
		b.deadLetter = ""
		c.acknowledge(l, b.final)
		return true, false
	}
	b.givenUp = true
	c.mu.Lock()
	defer c.mu.Unlock()
	// Whoever has it now finds that it was given up, and why.
	return true, !l.ended
}

// forgoLater asks again later, and not for ever: a record that cannot be read does
// not let anybody answer the mail either.
func (c *Consumer) forgoLater(l *lease, err error) (slot, ours bool) {
	b := l.buried
	after := min(c.config.Backoff.Here, c.backoff(b.refused+1))
	if r, ok := errors.AsType[tryAgainAfter](err); ok && r.RetryAfter() > 0 {
		after = r.RetryAfter()
	} else if o, ok := errors.AsType[unavailable](err); !ok || o.Outage() == "" {
		b.refused++
	}
	c.log.Warn("a mail could not be given up", zap.String("message", l.message.ID), zap.String("group", l.message.Group),
		zap.String("reason", b.deadLetter), zap.Duration("after", after), zap.Error(err))
	if b.refused >= c.config.Attempts {
		b.givenUp = true
		return true, true
	}
	return c.waitHere(l, after), false
}

// deadLetter is the message as the dead-letter queue gets it. Its group is its
// own id, so that no dead letter ever locks another, and its deduplication id
// too, so that a process that died before the delete buries it only once.
func (c *Consumer) deadLetter(l *lease) queue.Outgoing {
	b := l.buried
	described, err := json.Marshal(DeadLetter{
		Message: l.message.ID, Group: l.message.Group, Sequence: l.message.Sequence,
		Reason: clean(b.deadLetter), Tries: b.try, Receives: l.message.ReceiveCount, At: time.Now().UTC(),
		Bucket: b.result.Bucket, Key: clean(b.result.Key), Mail: b.result.Mail,
		From: clean(b.result.From), Route: b.result.Route, Trace: b.traceID(),
	})
	if err != nil {
		// Strings, numbers and a time always marshal.
		panic(err)
	}
	attributes := map[string]string{}
	for _, name := range sortedKeys(l.message.Attributes) {
		if len(attributes) < 9 && name != DeadLetterAttribute {
			attributes[name] = l.message.Attributes[name]
		}
	}
	attributes[DeadLetterAttribute] = string(described)
	return queue.Outgoing{Body: l.message.Body, Group: l.message.ID, DeduplicationID: l.message.ID, Attributes: attributes}
}

// clean makes s fit for an SQS message: the characters that XML 1.0 allows
// (SendMessage in the SQS API reference), and not more than longestReason.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		allowed := r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
		if !allowed {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= longestReason {
		return s
	}
	s = s[:longestReason]
	for !utf8.ValidString(s) {
		s = s[:len(s)-1]
	}
	return s
}
