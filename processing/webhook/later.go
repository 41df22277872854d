package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"inreply/store"
)

// unsaid is when a service is asked again that said later and not when.
const unsaid = 30 * time.Second

// mostAsked is about how often a mail is asked about that is put off until the deadline:
// each time it may be received once more, and after 1,000 of those SQS dead-letters it
// by itself, in our template. Half a minute is waited out without that.
const mostAsked = 500

// retryAfter reads the field of that name (RFC 9110, section 10.2.3): seconds, or a
// date, which is held against the service's own clock. 0: there is none that can be
// read.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds >= 0 {
		return max(time.Second, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return max(time.Second, at.Sub(now))
}

// putOff is the error of a mail that the service put off, or has put off for too
// long. Since when is written into the mail's record: whichever process asks next
// knows it.
func (w *Webhook) putOff(ctx context.Context, mail string, a *answer) error {
	since, err := w.since(ctx, mail)
	if err != nil {
		return &failure{err: fmt.Errorf("write down that it is put off: %w", err), ours: true}
	}
	left := w.service.Deadline - time.Since(since)
	if left <= 0 {
		if err := w.forget(ctx, mail); err != nil {
			return &failure{err: fmt.Errorf("write down that it is put off no longer: %w", err), ours: true}
		}
		return &failure{err: fmt.Errorf("put off for longer than the deadline of %s, last: %w", w.service.Deadline, a.err), permanent: true, alive: a.alive}
	}
	after := a.after
	if after == 0 {
		after = w.jittered(unsaid)
	}
	after = max(after, time.Second)
	if least := w.service.Deadline / mostAsked; least > unsaid {
		after = max(after, least)
	}
	return &failure{err: a.err, after: min(after, max(left, time.Second)), alive: a.alive}
}

// since is when the service first put the mail off.
func (w *Webhook) since(ctx context.Context, mail string) (time.Time, error) {
	for {
		record, etag, err := w.parts.Records.Mail(ctx, mail)
		missing := errors.Is(err, store.ErrMissing)
		if err != nil && !missing {
			return time.Time{}, err
		}
		if !record.Asked.IsZero() {
			return record.Asked, nil
		}
		record.Asked = time.Now().UTC().Round(0)
		if missing {
			_, err = w.parts.Records.CreateMail(ctx, mail, record)
		} else {
			_, err = w.parts.Records.ReplaceMail(ctx, mail, etag, record)
		}
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrChanged) {
			return record.Asked, err
		}
	}
}

// forget takes back since when a mail was put off: should it be redriven, it has all
// of its time again.
func (w *Webhook) forget(ctx context.Context, mail string) error {
	for {
		record, etag, err := w.parts.Records.Mail(ctx, mail)
		if err != nil || record.Asked.IsZero() {
			return err
		}
		record.Asked = time.Time{}
		_, err = w.parts.Records.ReplaceMail(ctx, mail, etag, record)
		if !errors.Is(err, store.ErrChanged) {
			return err
		}
	}
}
