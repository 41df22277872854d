package consumer

import (
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"inreply/queue"
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
	Trace    string    `json:"trace,omitempty"`
}

// longestReason bounds the reason, in octets.
const longestReason = 1024

// burial is a message on its way to the dead-letter queue.
type burial struct {
	final
	failed int // sends that failed
}

// bury sends the head l to the dead-letter queue, and deletes it when it is
// there. A dead letter that cannot be sent keeps its place and its lease.
func (c *Consumer) bury(l *lease) (slot bool) {
	b := l.buried
	ctx, cancel := context.WithTimeout(context.Background(), c.visibility)
	defer cancel()
	results := c.parts.DeadLetters.Send(ctx, []queue.Outgoing{c.deadLetter(l)})
	if err := results[0].Err; err != nil {
		b.failed++
		c.log.Error("a dead letter could not be sent; it will be tried again",
			zap.String("message", l.message.ID), zap.String("group", l.message.Group), zap.String("reason", b.deadLetter), zap.Error(err))
		return c.waitHere(l, min(c.config.Backoff.Here, c.backoff(b.failed)))
	}
	c.acknowledge(l, b.final)
	return true
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
		From: clean(b.result.From), Route: b.result.Route, Trace: l.message.Attributes[traceAttribute],
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

// traceAttribute is the message attribute that carries the trace (W3C Trace
// Context), as the relay sets it.
const traceAttribute = "traceparent"

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
