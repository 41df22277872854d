package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"inreply/consumer"
	"inreply/email"
	"inreply/queue"
	"inreply/store"
)

// book is the mail records of several processes.
type book struct {
	mu      sync.Mutex
	records map[string]store.MailRecord
	etags   map[string]int
	writes  int
	err     error // of every call, while it is set
	twice   bool  // answers get lost: whoever writes asks again, and meets his own write
}

func newBook() *book {
	return &book{records: map[string]store.MailRecord{}, etags: map[string]int{}}
}

func (b *book) Mail(_ context.Context, id string) (store.MailRecord, string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return store.MailRecord{}, "", b.err
	}
	r, ok := b.records[id]
	if !ok {
		return r, "", store.ErrMissing
	}
	return r, fmt.Sprint(b.etags[id]), nil
}

func (b *book) CreateMail(_ context.Context, id string, r store.MailRecord) (string, error) {
	return b.write(id, r, func(_ int, there bool) error {
		if there {
			return store.ErrExists
		}
		return nil
	})
}

func (b *book) ReplaceMail(_ context.Context, id, etag string, r store.MailRecord) (string, error) {
	return b.write(id, r, func(now int, there bool) error {
		if !there || etag != fmt.Sprint(now) {
			return store.ErrChanged
		}
		return nil
	})
}

func (b *book) write(id string, r store.MailRecord, refuse func(now int, there bool) error) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, there := b.records[id]
	if err := errors.Join(b.err, refuse(b.etags[id], there)); err != nil {
		return "", err
	}
	b.writes++
	b.records[id] = r
	b.etags[id]++
	if b.twice {
		return "", refuse(b.etags[id], true)
	}
	return fmt.Sprint(b.etags[id]), nil
}

// only is the one record there is.
func (b *book) only(t *testing.T) store.MailRecord {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for r := range maps.Values(b.records) {
		if len(b.records) == 1 {
			return r
		}
	}
	t.Fatalf("%d records", len(b.records))
	return store.MailRecord{}
}

// does is a handler that is a function, and takes everything for mails.
type does func(ctx context.Context) error

func (does) Takes(email.Object) (mail, object bool) { return true, false }

func (d does) Handle(ctx context.Context, _ email.Raw) (email.Outcome, error) {
	return email.Outcome{}, d(ctx)
}

// process is a Reader with records that others have too, three tries to a mail.
func process(b *book, d does) *consumer.Reader {
	return consumer.NewReader(&shelf{size: 1}, b, d, consumer.Limits{Memory: 100, Largest: 1000, Attempts: 3, Deadline: 2 * time.Minute}, zap.NewNop())
}

// given is the message of a mail, given out for the nth time.
func given(nth int) queue.Message {
	m := announces("mail/1", 1)
	m.ReceiveCount = nth
	return m
}

var (
	errBroken = errors.New("broken")
	broken    = does(func(context.Context) error { return errBroken })
	stuck     = does(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
)

// try has a process try the mail, and returns which of its own tries that was.
func try(t *testing.T, r *consumer.Reader, nth, known int, want error) int {
	t.Helper()
	result, err := r.Work(t.Context(), given(nth), known)
	if !errors.Is(err, want) {
		t.Errorf("received %d times: %v, want %v", nth, err, want)
	}
	return result.Try
}

// SQS ends a lease, and its holder does not know yet: it has written down that it
// tries, and will take that back. What fails elsewhere meanwhile is not the third
// failure, though the third try has begun.
func TestATryThatLostItsLeaseIsNotChargedToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		if n := try(t, process(b, broken), 2, 1, errBroken); n != 1 {
			t.Errorf("the first failure was try %d", n)
		}
		ctx, lose := context.WithCancel(t.Context())
		var lost sync.WaitGroup
		lost.Go(func() { _, _ = process(b, stuck).Work(ctx, given(3), 1) })
		synctest.Wait()
		if n := try(t, process(b, broken), 4, 1, errBroken); n != 2 {
			t.Errorf("the second failure was try %d", n)
		}
		lose()
		lost.Wait()
		if n := try(t, process(b, broken), 5, 1, errBroken); n != 3 {
			t.Errorf("the third failure was try %d", n)
		}
	})
}

// A process that ends while it tries takes nothing back, and the mail may be why
// it ended: it is not begun more often than it may fail. But first those that have
// begun must surely have ended.
func TestAMailThatEndsItsProcessesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var ended sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for n := range 3 {
			ended.Go(func() { _, _ = process(b, stuck).Work(ctx, given(2+n), 1) })
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		next := process(b, func(context.Context) error { t.Error("it was tried"); return nil })
		_, err := next.Work(t.Context(), given(5), 1)
		var later interface{ RetryAfter() time.Duration }
		if !errors.As(err, &later) || later.RetryAfter() != 2*time.Minute { // the last began a minute ago, may go on for two, and has one to take it back
			t.Fatalf("%v", err)
		}
		time.Sleep(later.RetryAfter())
		result, err := next.Work(t.Context(), given(6), 1)
		var permanent interface{ Permanent() bool }
		if !errors.As(err, &permanent) || !permanent.Permanent() || !strings.Contains(err.Error(), "3 times") || result.Mail == "" {
			t.Errorf("%+v, %v", result, err)
		}
		cancel()
		ended.Wait()
	})
}

// What is written down twice, because an answer got lost, counts once.
func TestATryIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		b.twice = true
		r := process(b, broken)
		for want := 1; want <= 3; want++ {
			if n := try(t, r, 2, want, errBroken); n != want {
				t.Errorf("try %d was counted as %d", want, n)
			}
		}
		if got := b.only(t); got.Tries != 3 || len(got.Begun) != 0 || got.TriesOf != "m" {
			t.Errorf("written down: %+v", got)
		}
	})
}

// On the common way nothing is written, also for a try that fails.
func TestTheFirstReceiveWritesNothing(t *testing.T) {
	b := newBook()
	for n := 1; n <= 3; n++ {
		if got := try(t, process(b, broken), 1, n, errBroken); got != n {
			t.Errorf("try %d was counted as %d", n, got)
		}
	}
	if b.writes != 0 {
		t.Errorf("%d writes", b.writes)
	}
}

// A redriven mail is another message, and has all its tries again.
func TestARedrivenMailHasNewTries(t *testing.T) {
	b := newBook()
	r := process(b, broken)
	try(t, r, 2, 1, errBroken)
	again := given(2)
	again.ID = "redriven"
	if result, _ := r.Work(t.Context(), again, 1); result.Try != 1 {
		t.Errorf("its first try was counted as %d", result.Try)
	}
}

// One that was given up by a process that then ended is not tried once more, and
// keeps its reason.
func TestWhatWasGivenUpIsNotTriedAgain(t *testing.T) {
	b := newBook()
	try(t, process(b, broken), 2, 1, errBroken)
	for id, r := range b.records {
		r.GivenUp, r.LastError = "m", "failed 3 times, last: broken"
		b.records[id] = r
	}
	_, err := process(b, func(context.Context) error { t.Error("it was tried"); return nil }).Work(t.Context(), given(3), 1)
	var permanent interface{ Permanent() bool }
	if !errors.As(err, &permanent) || !permanent.Permanent() || !strings.Contains(err.Error(), "failed 3 times, last: broken") {
		t.Errorf("%v", err)
	}
	// Redriven, it is.
	again := given(2)
	again.ID = "redriven"
	if _, err := process(b, broken).Work(t.Context(), again, 1); !errors.Is(err, errBroken) {
		t.Errorf("redriven: %v", err)
	}
}

// A failure that cannot be written down does not hold the mail up for ever.
func TestAFailureThatCannotBeWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		began := time.Now()
		n := try(t, process(b, func(context.Context) error { b.err = errors.New("S3 is out"); return errBroken }), 2, 1, errBroken)
		if n != 1 || time.Since(began) > 2*time.Minute {
			t.Errorf("try %d, after %s", n, time.Since(began))
		}
	})
}
