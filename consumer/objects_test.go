package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/consumer"
	"inreply/email"
	"inreply/event"
	"inreply/queue"
	"inreply/store"
)

// shelf is S3 as a Reader sees it: objects that have a size and no octets until
// they are opened.
type shelf struct {
	calls []string
	size  int64
	err   error
}

func (s *shelf) object(verb, bucket, key string) (*store.Object, error) {
	s.calls = append(s.calls, verb+" "+key)
	if s.err != nil {
		return nil, s.err
	}
	return &store.Object{Bucket: bucket, Key: key, ETag: "e", ContentType: "application/pdf", Size: s.size}, nil
}

func (s *shelf) Head(_ context.Context, bucket, key, _ string) (*store.Object, error) {
	return s.object("head", bucket, key)
}

func (s *shelf) Open(_ context.Context, bucket, key, _ string) (*store.Object, error) {
	o, err := s.object("open", bucket, key)
	if err == nil {
		o.Body = io.NopCloser(strings.NewReader(strings.Repeat("x", int(s.size))))
	}
	return o, err
}

// sorting is a handler to whom what begins with "mail/" is a mail, and with "drop/"
// an object if it has at least ten octets; what it was handed is kept.
type sorting struct{ took []email.Raw }

func (h *sorting) Takes(o email.Object) (mail, object bool) {
	small := o.Size >= 0 && o.Size < 10
	dropped := strings.HasPrefix(o.Key, "drop/")
	return strings.HasPrefix(o.Key, "mail/") || dropped && small, dropped && !small
}

func (h *sorting) Handle(_ context.Context, raw email.Raw) (email.Outcome, error) {
	h.took = append(h.took, raw)
	return email.Outcome{Kind: email.Processed}, nil
}

// announces is a notice of S3, of an object of this size.
func announces(key string, size int64) queue.Message {
	return queue.Message{ID: "m", Body: fmt.Sprintf(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-10-01T07:12:50Z",`+
		`"s3":{"bucket":{"name":"b"},"object":{"key":%q,"size":%d,"eTag":"e"}}}]}`, key, size), ReceiveCount: 1}
}

func TestOnlyMailsAreRead(t *testing.T) {
	for name, e := range map[string]struct {
		key             string
		announced, size int64
		calls           string
		octets          int
	}{
		"a mail":                          {"mail/1", 5, 5, "[open mail/1]", 5},
		"an object":                       {"drop/1", 5 << 30, 5 << 30, "[head drop/1]", 0},
		"an object that has shrunk since": {"drop/1", 5 << 30, 5, "[head drop/1 open drop/1]", 5},
		"a mail that has grown since":     {"drop/1", 5, 5 << 10, "[open drop/1]", 0},
		"nobody's":                        {"else/1", 5, 5, "[]", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, h := &shelf{size: e.size}, &sorting{}
			// Neither the limit of a mail nor the budget is about what is not read.
			r := consumer.NewReader(s, nil, h, consumer.Limits{Memory: 100, Largest: 1000, Attempts: 5}, zap.NewNop())
			result, err := r.Work(t.Context(), announces(e.key, e.announced), 1)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(s.calls); got != e.calls {
				t.Errorf("S3 was asked %s, want %s", got, e.calls)
			}
			if len(h.took) != 1 || len(h.took[0].Bytes) != e.octets || h.took[0].Object.ID() != result.Mail {
				t.Fatalf("handed on: %+v", h.took)
			}
			raw := h.took[0]
			if raw.Try != 1 || !raw.Announced.Equal(time.Date(2026, time.October, 1, 7, 12, 50, 0, time.UTC)) || raw.Object.ETag != "e" {
				t.Errorf("handed on: %+v", raw)
			}
			if e.calls != "[]" && (raw.Object.ContentType != "application/pdf" || raw.Object.Size != e.size) {
				t.Errorf("handed on: %+v", raw.Object)
			}
		})
	}
}

// gone is the error of an object that does not come back.
type gone struct{}

func (gone) Error() string   { return "there is no such object" }
func (gone) Permanent() bool { return true }

func TestAnObjectThatIsGone(t *testing.T) {
	s, h := &shelf{err: gone{}}, &sorting{}
	r := consumer.NewReader(s, nil, h, consumer.Limits{Memory: 100, Largest: 1000, Attempts: 5}, zap.NewNop())
	if _, err := r.Work(t.Context(), announces("drop/1", 100), 1); !errors.Is(err, gone{}) || len(h.took) != 0 {
		t.Errorf("%v, handed on %v", err, h.took)
	}
}

// What an operator asks for in a rerun reaches whoever handles the mail, and the log.
func TestARerunIsHandedOn(t *testing.T) {
	ids := map[string]bool{}
	for _, mark := range []event.Rerun{{}, {ID: "r1"}, {ID: "r1", Again: true}, {ID: "r2", Again: true, Uncapped: true}} {
		h := &sorting{}
		r := consumer.NewReader(&shelf{size: 5}, nil, h, consumer.Limits{Memory: 100, Largest: 1000, Attempts: 5}, zap.NewNop())
		body := event.Announce(event.Object{Bucket: "b", Key: "mail/1", ETag: "e", Size: 5, Rerun: mark})
		result, err := r.Work(t.Context(), queue.Message{ID: "m", Body: string(body), ReceiveCount: 1}, 1)
		if err != nil || len(h.took) != 1 {
			t.Fatalf("%v: %v", mark, err)
		}
		raw := h.took[0]
		if (raw.Object.Again == mark.ID) != (mark.Again || mark.ID == "") || raw.Uncapped != mark.Uncapped || result.Rerun != mark.ID || result.Mail != raw.Object.ID() {
			t.Errorf("%+v: handed on %+v, uncapped %t; %+v", mark, raw.Object, raw.Uncapped, result)
		}
		ids[result.Mail] = true
	}
	// The mail itself, and once more for each rerun that asks for it.
	if len(ids) != 3 {
		t.Errorf("%d mails", len(ids))
	}
}
