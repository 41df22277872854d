package processing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"inreply/email"
	"inreply/store"
)

// mostRemembered is how many replies to one sender are remembered at most, and so
// the highest cap. They are forgotten after a day.
const mostRemembered = 500

const (
	short = time.Hour
	long  = 24 * time.Hour
)

// history is what is remembered of a mail's sender. It is read before anything
// runs, and the reply is written into it before it is sent, by If-Match: so the
// caps hold over any number of processes, and a reply that then fails to go out
// has used its place, but only once.
type history struct {
	book    Book
	policy  Policy
	address string // whose record it is
	to      string // who gets the reply, if it is somebody else
	entry   store.Sent
	free    bool // an operator has it answered, whatever was
	record  store.SenderRecord
	etag    string
}

// recall reads what is remembered of the sender.
func (p *Processing) recall(ctx context.Context, r *route, m *email.Message) (*history, error) {
	h := &history{
		book: p.mailer, policy: r.policy, address: m.From.Mailbox, to: p.recipient(r.policy, m).Mailbox, free: m.Uncapped,
		entry: store.Sent{Thread: thread(m) + "/" + digest(m.ID), Subject: digest(strings.ToLower(m.Answer().Subject))},
	}
	return h, h.read(ctx)
}

func (h *history) read(ctx context.Context) (err error) {
	h.record, h.etag, err = h.book.Recall(ctx, h.address)
	if err != nil {
		return fmt.Errorf("recall the sender: %w", err)
	}
	return nil
}

// forbids says why the sender must not be answered now. A reply to this very mail
// that is remembered is no reason: it is the one that this try is about.
func (h *history) forbids(ctx context.Context, now time.Time) (silence, error) {
	if s := suppressed(h.record, now); s != (silence{}) {
		return s, nil
	}
	if !strings.EqualFold(h.to, h.address) {
		other, _, err := h.book.Recall(ctx, h.to)
		if err != nil {
			return silence{}, fmt.Errorf("recall the one to answer: %w", err)
		}
		if s := suppressed(other, now); s != (silence{}) {
			return s, nil
		}
	}
	if h.free || h.remembered() {
		return silence{}, nil
	}
	return h.caps(now), nil
}

func suppressed(r store.SenderRecord, now time.Time) silence {
	if !r.SuppressedUntil.After(now) {
		return silence{}
	}
	return silence{Suppressed, fmt.Sprintf("replies to the address %s; nobody writes to it before %s", r.Reason, r.SuppressedUntil.UTC().Format(time.RFC3339))}
}

// caps says which cap is reached.
func (h *history) caps(now time.Time) silence {
	ownThread, _, _ := strings.Cut(h.entry.Thread, "/")
	var hour, inThread, underSubject int
	for _, r := range h.record.Replies {
		age := now.Sub(r.At)
		if age < short {
			hour++
			if r.Subject == h.entry.Subject {
				underSubject++
			}
		}
		if of, _, _ := strings.Cut(r.Thread, "/"); age < long && of == ownThread {
			inThread++
		}
	}
	switch p := h.policy; {
	case p.PerHour > 0 && hour >= p.PerHour:
		return silence{PerHour, fmt.Sprintf("the sender got %d replies within an hour", hour)}
	case p.PerThread > 0 && inThread >= p.PerThread:
		return silence{PerThread, fmt.Sprintf("the thread got %d replies within a day", inThread)}
	case p.SameSubject > 0 && underSubject >= p.SameSubject:
		return silence{SameSubject, fmt.Sprintf("the sender got %d replies under this subject within an hour", underSubject)}
	}
	return silence{}
}

// remembered reports whether the reply to this mail is in the record.
func (h *history) remembered() bool {
	return slices.ContainsFunc(h.record.Replies, func(r store.Sent) bool { return r.Thread == h.entry.Thread })
}

// Capped reports whether there is a cap at all. Without one nothing is written.
func (p Policy) Capped() bool { return p.PerHour > 0 || p.PerThread > 0 || p.SameSubject > 0 }

// crowd is how often a record is written that others write too.
const crowd = 20

// reserve writes the reply into the record, unless a cap was reached meanwhile. What
// the caps do not hold for takes no place from the mails that they do hold for.
func (h *history) reserve(ctx context.Context) (silence, error) {
	if h.free || !h.policy.Capped() {
		return silence{}, nil
	}
	for range crowd {
		now := time.Now().UTC()
		if s, err := h.forbids(ctx, now); err != nil || s != (silence{}) {
			return s, err
		}
		if h.remembered() {
			return silence{}, nil
		}
		err := h.book.Remember(ctx, h.address, h.etag, h.with(now))
		if err == nil {
			return silence{}, nil
		}
		if !errors.Is(err, store.ErrChanged) {
			return silence{}, fmt.Errorf("remember the reply: %w", err)
		}
		// Another process answers the same sender, or the SDK met its own write.
		if err := h.read(ctx); err != nil {
			return silence{}, err
		}
	}
	return silence{}, &crowded{}
}

// with is the record with this reply, without what is too old to matter.
func (h *history) with(now time.Time) store.SenderRecord {
	r := h.record
	r.Replies = slices.DeleteFunc(slices.Clone(r.Replies), func(s store.Sent) bool { return now.Sub(s.At) >= long })
	h.entry.At = now
	r.Replies = append(r.Replies, h.entry)
	if extra := len(r.Replies) - mostRemembered; extra > 0 {
		r.Replies = r.Replies[extra:]
	}
	return r
}

// crowded is the error of a record that others always write first.
type crowded struct{}

func (*crowded) Error() string             { return "others keep changing the sender's record" }
func (*crowded) RetryAfter() time.Duration { return time.Second }

// thread names the thread of a mail by its first message.
func thread(m *email.Message) string {
	switch {
	case len(m.References) > 0:
		return digest(m.References[0])
	case len(m.InReplyTo) > 0:
		return digest(m.InReplyTo[0])
	case m.MessageID != "":
		return digest(m.MessageID)
	}
	return digest(m.ID)
}

// digest is a text that can be compared and not read.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}
