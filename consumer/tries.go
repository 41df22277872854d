package consumer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"inreply/store"
)

// tries is what the consumer knows of the tries of a message.
type tries struct {
	message  string
	try      int // which this is, as far as this process knows
	receives int
}

// of is the record without what another message's tries have left in it.
func (t tries) of(record store.MailRecord) store.MailRecord {
	if record.TriesOf != t.message {
		record.Tries, record.Begun, record.TriesOf = 0, nil, t.message
	}
	return record
}

// begin returns which try of a mail begins. Tries are held in memory, which is
// enough for as long as a process lives, so that on the common way nothing is
// asked and nothing written. A message that is received again may have ended its
// process. From then on it is written down that a try has begun, for one that ends
// its process too, and that it has failed, for whoever tries next.
//
// The two are counted apart. A try that has begun and not ended is one of a process
// that is no more, or of one whose lease SQS has ended early and that does not know
// it yet: that one does not count, and will be taken back.
func (r *Reader) begin(ctx context.Context, mail string, t tries) (int, error) {
	if t.receives <= 1 {
		return t.try, nil
	}
	for {
		record, etag, err := r.records.Mail(ctx, mail)
		missing := errors.Is(err, store.ErrMissing)
		if err != nil && !missing {
			return t.try, fmt.Errorf("count the try: %w", err)
		}
		if record.SES != "" {
			return t.try, nil // answered: this try only finds that out
		}
		record = t.of(record)
		n := max(t.try, record.Tries+1)
		// The SDK asks again when an answer is lost, and then meets its own write.
		if _, begun := record.Begun[t.receives]; begun {
			return n, nil
		}
		if err := r.futile(record, n); err != nil {
			return n, err
		}
		record.Begun = cloned(record.Begun)
		record.Begun[t.receives] = time.Now().UTC().Round(0)
		if missing {
			_, err = r.records.CreateMail(ctx, mail, record)
		} else {
			_, err = r.records.ReplaceMail(ctx, mail, etag, record)
		}
		if err != nil && !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrChanged) {
			return n, fmt.Errorf("count the try: %w", err)
		}
		if err == nil {
			return n, nil
		}
	}
}

// futile says why there is no use in another try, which would be the nth.
func (r *Reader) futile(record store.MailRecord, n int) error {
	most := r.limits.Attempts
	switch {
	case record.GivenUp == record.TriesOf:
		return &hopeless{record.LastError}
	case n > most:
		return &hopeless{fmt.Sprintf("failed %d times, and a process ended before it had dead-lettered it", n-1)}
	case len(record.Begun) < most:
		return nil
	}
	// So many have begun and not ended. As long as one of them may still go on, in a
	// process that does not know that it has lost the lease, it may be taken back.
	since := slices.SortedFunc(maps.Values(record.Begun), time.Time.Compare)[most-1]
	if wait := time.Until(since.Add(r.limits.Deadline + patience)); wait > 0 {
		return &unsettled{wait}
	}
	return &hopeless{fmt.Sprintf("failed %d times: each time its process ended", len(record.Begun))}
}

// unsettled is the error of a mail that may be tried elsewhere.
type unsettled struct{ after time.Duration }

func (*unsettled) Error() string               { return "other processes may be at this mail" }
func (u *unsettled) RetryAfter() time.Duration { return u.after }

func cloned(begun map[int]time.Time) map[int]time.Time {
	c := maps.Clone(begun)
	if c == nil {
		c = map[int]time.Time{}
	}
	return c
}

// end writes down that the nth try has ended, if it was written down that it has
// begun, and returns how many have failed by now. One that was interrupted, or met
// an outage, is as if it had not been.
func (r *Reader) end(ctx context.Context, mail string, n int, t tries, err error) int {
	if err == nil || t.receives <= 1 {
		return n
	}
	cause := context.Cause(ctx)
	own := counts(err) && !errors.Is(cause, errLost) && !errors.Is(cause, errStopped)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for {
		failed, err := r.ended(ctx, mail, t, own)
		if err == nil {
			return max(n, failed)
		}
		if ctx.Err() != nil {
			// It must not hide why the try failed.
			r.log.Warn("the end of a try could not be written down", zap.String("mail", mail), zap.Bool("counted", own), zap.Error(err))
			return n
		}
		if errors.Is(err, store.ErrChanged) {
			continue
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// patience is how long it is tried to write down the end of a try.
const patience = time.Minute

// ended strikes a try off those that have begun, and returns how many have failed.
func (r *Reader) ended(ctx context.Context, mail string, t tries, own bool) (failed int, err error) {
	// A call that hangs must not use up the time for the next.
	ctx, cancel := context.WithTimeout(ctx, patience/6)
	defer cancel()
	record, etag, err := r.records.Mail(ctx, mail)
	if errors.Is(err, store.ErrMissing) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if _, begun := record.Begun[t.receives]; !begun || record.TriesOf != t.message {
		return 0, nil // it never began, or its end is written down already
	}
	record.Begun = cloned(record.Begun)
	delete(record.Begun, t.receives)
	if own {
		record.Tries = max(record.Tries+1, t.try)
	}
	_, err = r.records.ReplaceMail(ctx, mail, etag, record)
	return record.Tries, err
}
