package consumer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/semaphore"

	"inreply/email"
	"inreply/event"
	"inreply/queue"
	"inreply/store"
)

// Handler does what is to be done with one mail. The Outcome is filled as far
// as it is known, beside an error too.
type Handler interface {
	Handle(ctx context.Context, raw email.Raw) (email.Outcome, error)
}

// Objects opens what a notice announces. [store.Store] is one.
type Objects interface {
	Open(ctx context.Context, bucket, key, versionID string) (*store.Object, error)
}

// Records keeps the tries of a mail over processes. [store.Records] is one.
type Records interface {
	Mail(ctx context.Context, id string) (store.MailRecord, string, error)
	CreateMail(ctx context.Context, id string, record store.MailRecord) (string, error)
	ReplaceMail(ctx context.Context, id, etag string, record store.MailRecord) (string, error)
}

// Reader is the [Worker] that reads the announced object and hands it to a
// [Handler]. It keeps the octets of all mails in work within a budget, which is
// charged before an object is read: one that is larger than the whole budget
// runs alone.
type Reader struct {
	objects Objects
	records Records
	handler Handler
	log     *zap.Logger
	budget  *semaphore.Weighted
	size    int64 // of the budget
	largest int64 // object that is read at all
}

// NewReader returns a Reader with a budget of memory octets. An object of more
// than largest octets is refused for good, unread.
func NewReader(objects Objects, records Records, handler Handler, memory, largest int64, log *zap.Logger) *Reader {
	return &Reader{
		objects: objects, records: records, handler: handler, log: log,
		budget: semaphore.NewWeighted(memory), size: memory, largest: largest,
	}
}

// Work reads what m announces and has it handled. A message may announce
// several objects; it is done when all of them are, and those that were
// answered before a later one failed are known by their mail record.
func (r *Reader) Work(ctx context.Context, m queue.Message, try int) (Result, error) {
	notice, err := event.Decode([]byte(m.Body))
	if err != nil {
		return Result{}, fmt.Errorf("decode the notice: %w", err)
	}
	if notice.Kind != event.Created {
		return Result{Outcome: email.Outcome{Kind: email.Silent, Reason: string(notice.Kind) + " notice"}}, nil
	}
	var result Result
	for _, object := range notice.Objects {
		r.log.Debug("received", zap.String("bucket", object.Bucket), zap.String("key", object.Key))
		result, err = r.one(ctx, object, try, m.ReceiveCount)
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// one has one object handled.
func (r *Reader) one(ctx context.Context, announced event.Object, try, receives int) (Result, error) {
	result := Result{Bucket: announced.Bucket, Key: announced.Key}
	object, err := r.objects.Open(ctx, announced.Bucket, announced.Key, announced.VersionID)
	if err != nil {
		return result, fmt.Errorf("open %s/%s: %w", announced.Bucket, announced.Key, err)
	}
	defer object.Body.Close()
	raw := raw(announced, object)
	result.Mail = raw.Object.ID()
	if object.Size > r.largest {
		return result, &tooLarge{size: object.Size, limit: r.largest}
	}
	if raw.Try, err = r.count(ctx, result.Mail, try, receives); err != nil {
		return result, fmt.Errorf("count the try: %w", err)
	}
	result.Try = raw.Try

	cost := min(object.Size, r.size)
	if err := r.budget.Acquire(ctx, cost); err != nil {
		return result, fmt.Errorf("wait for memory: %w", err)
	}
	defer r.budget.Release(cost)
	raw.Bytes = make([]byte, object.Size)
	if _, err := io.ReadFull(object.Body, raw.Bytes); err != nil {
		return result, fmt.Errorf("read %s/%s: %w", announced.Bucket, announced.Key, err)
	}
	r.log.Debug("read", zap.String("bucket", object.Bucket), zap.String("key", object.Key), zap.String("mail", result.Mail))
	result.Outcome, err = r.handler.Handle(ctx, raw)
	if err != nil && receives > 1 && !counts(err) {
		r.discount(ctx, result.Mail, raw.Try)
	}
	return result, err
}

// raw puts together what the notice and what S3 knows of a mail.
func raw(announced event.Object, object *store.Object) email.Raw {
	raw := email.Raw{
		Object: email.Object{
			Bucket: object.Bucket, Key: object.Key, VersionID: object.VersionID,
			ETag: object.ETag, ContentType: object.ContentType, Size: object.Size,
		},
		Announced: announced.Time,
	}
	if r := announced.Receipt; r != nil {
		raw.Receipt = &email.Receipt{
			MailFrom: r.MailFrom, Recipients: r.Recipients,
			Verdicts: email.Verdicts{
				Spam: email.Verdict(r.Spam), Virus: email.Verdict(r.Virus),
				SPF: email.Verdict(r.SPF), DKIM: email.Verdict(r.DKIM), DMARC: email.Verdict(r.DMARC),
			},
		}
	}
	return raw
}

// count returns which try this is. Tries are held in memory, which is enough
// for as long as a process lives. A message that is received again may have
// ended its process, so from then on its tries are written down before they
// start. On the common way nothing is asked and nothing written.
func (r *Reader) count(ctx context.Context, mail string, try, receives int) (int, error) {
	if receives <= 1 {
		return try, nil
	}
	for want := 0; ; {
		record, etag, err := r.records.Mail(ctx, mail)
		missing := errors.Is(err, store.ErrMissing)
		if err != nil && !missing {
			return try, err
		}
		if record.SES != "" {
			return try, nil // answered: this try only finds that out
		}
		// The SDK asks again when an answer is lost, and then meets its own write:
		// what this try is to be is settled by the first look.
		if want == 0 {
			want = max(try, record.Tries+1)
		}
		if record.Tries >= want {
			return want, nil
		}
		record.Tries = want
		if missing {
			_, err = r.records.CreateMail(ctx, mail, record)
		} else {
			_, err = r.records.ReplaceMail(ctx, mail, etag, record)
		}
		if !errors.Is(err, store.ErrExists) && !errors.Is(err, store.ErrChanged) {
			return want, err
		}
	}
}

// patience is how long a try that does not count is tried to be taken back.
const patience = time.Minute

// discount takes a try back that does not count. That it could not be taken
// back must not hide why the try failed.
func (r *Reader) discount(ctx context.Context, mail string, counted int) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	for {
		err := r.takeBack(ctx, mail, counted)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.log.Warn("a try that does not count could not be taken back", zap.String("mail", mail), zap.Error(err))
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

// takeBack takes back the try of this number, if it is still the last.
func (r *Reader) takeBack(ctx context.Context, mail string, counted int) error {
	// A call that hangs must not use up the time for the next.
	ctx, cancel := context.WithTimeout(ctx, patience/6)
	defer cancel()
	record, etag, err := r.records.Mail(ctx, mail)
	if err != nil || record.Tries != counted {
		return err
	}
	record.Tries--
	_, err = r.records.ReplaceMail(ctx, mail, etag, record)
	return err
}

// tooLarge is the error of an object that is not even read.
type tooLarge struct{ size, limit int64 }

func (e *tooLarge) Error() string {
	return fmt.Sprintf("the object has %d octets, more than the limit of %d", e.size, e.limit)
}

func (e *tooLarge) Permanent() bool { return true }
