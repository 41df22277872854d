package consumer

import (
	"context"
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

// Handler does what is to be done with one object. Takes says what it is to the
// handler: a mail, which is handled with its octets; another object, which is
// handled unread; or, if neither, nothing that S3 need be asked about. Where the
// size is not known (-1) it may be both. The Outcome is filled as far as it is
// known, beside an error too.
type Handler interface {
	Takes(o email.Object) (mail, object bool)
	Handle(ctx context.Context, raw email.Raw) (email.Outcome, error)
}

// Objects opens what a notice announces, or asks what S3 knows of it. [store.Store]
// is one.
type Objects interface {
	Open(ctx context.Context, bucket, key, versionID string) (*store.Object, error)
	Head(ctx context.Context, bucket, key, versionID string) (*store.Object, error)
}

// Records keeps the tries of a mail over processes. [store.Records] is one.
type Records interface {
	Mail(ctx context.Context, id string) (store.MailRecord, string, error)
	CreateMail(ctx context.Context, id string, record store.MailRecord) (string, error)
	ReplaceMail(ctx context.Context, id, etag string, record store.MailRecord) (string, error)
}

// Reader is the [Worker] that reads the announced object and hands it to a
// [Handler]. It keeps the octets of all mails in work within a budget, which is
// charged before an object is read, and the tries of a mail where a process's
// end does not lose them.
type Reader struct {
	objects Objects
	records Records
	handler Handler
	log     *zap.Logger
	budget  *semaphore.Weighted
	limits  Limits
}

// Limits bound what a [Reader] does.
type Limits struct {
	Memory   int64         // octets of all mails in work at once
	Largest  int64         // object that is read at all, in octets
	Attempts int           // tries of a mail before it is given up
	Deadline time.Duration // of one try
}

// NewReader returns a Reader.
func NewReader(objects Objects, records Records, handler Handler, limits Limits, log *zap.Logger) *Reader {
	return &Reader{
		objects: objects, records: records, handler: handler, log: log,
		budget: semaphore.NewWeighted(limits.Memory), limits: limits,
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
		result, err = r.one(ctx, object, tries{message: m.ID, try: try, receives: m.ReceiveCount})
		if err != nil {
			return result, err
		}
	}
	return result, nil
}

// one has one object handled.
func (r *Reader) one(ctx context.Context, announced event.Object, t tries) (Result, error) {
	result := Result{Bucket: announced.Bucket, Key: announced.Key, Announced: announced.Time, Rerun: announced.Rerun.ID}
	object, err := r.open(ctx, announced)
	if err != nil {
		return result, fmt.Errorf("open %s/%s: %w", announced.Bucket, announced.Key, err)
	}
	if object.Body != nil {
		defer object.Body.Close()
	}
	raw := raw(announced, object)
	raw.Notice = t.message
	result.Mail = raw.Object.ID()
	mail, _ := r.handler.Takes(raw.Object)
	if mail && object.Size > r.limits.Largest {
		return result, &hopeless{fmt.Sprintf("the object has %d octets, more than the limit of %d", object.Size, r.limits.Largest)}
	}
	raw.Try, err = r.begin(ctx, result.Mail, t)
	switch {
	case err != nil:
	case mail:
		result.Outcome, err = r.handle(ctx, object, raw)
	default:
		result.Outcome, err = r.handler.Handle(ctx, raw)
	}
	// Also if it could not be begun: that may have been written all the same.
	result.Try = r.end(ctx, result.Mail, raw.Try, t, err)
	return result, err
}

// open asks S3 about an object, as far as somebody takes it: a mail is opened, of
// another object S3 says what it knows, and of what nobody takes nothing is asked.
func (r *Reader) open(ctx context.Context, announced event.Object) (*store.Object, error) {
	known := &store.Object{Bucket: announced.Bucket, Key: announced.Key, VersionID: announced.VersionID, ETag: announced.ETag, Size: announced.Size}
	mail, object := r.handler.Takes(facts(known))
	if !mail && !object {
		return known, nil
	}
	if !mail {
		head, err := r.objects.Head(ctx, announced.Bucket, announced.Key, announced.VersionID)
		if err != nil {
			return nil, err
		}
		// It may have another size by now, and so be another one's.
		if mail, _ = r.handler.Takes(facts(head)); !mail {
			return head, nil
		}
	}
	return r.objects.Open(ctx, announced.Bucket, announced.Key, announced.VersionID)
}

// facts are what S3 knows of an object.
func facts(o *store.Object) email.Object {
	return email.Object{
		Bucket: o.Bucket, Key: o.Key, VersionID: o.VersionID,
		ETag: o.ETag, ContentType: o.ContentType, Size: o.Size,
	}
}

// handle reads the object when there is memory for it, and has it handled.
func (r *Reader) handle(ctx context.Context, object *store.Object, raw email.Raw) (email.Outcome, error) {
	// One that is larger than the whole budget runs alone.
	cost := min(object.Size, r.limits.Memory)
	if err := r.budget.Acquire(ctx, cost); err != nil {
		return email.Outcome{}, fmt.Errorf("wait for memory: %w", err)
	}
	defer r.budget.Release(cost)
	raw.Bytes = make([]byte, object.Size)
	if _, err := io.ReadFull(object.Body, raw.Bytes); err != nil {
		return email.Outcome{}, fmt.Errorf("read %s/%s: %w", object.Bucket, object.Key, err)
	}
	r.log.Debug("read", zap.String("bucket", object.Bucket), zap.String("key", object.Key), zap.String("mail", raw.Object.ID()))
	return r.handler.Handle(ctx, raw)
}

// raw puts together what the notice and what S3 knows of a mail.
func raw(announced event.Object, object *store.Object) email.Raw {
	raw := email.Raw{
		Object:    facts(object),
		Announced: announced.Time,
		Uncapped:  announced.Rerun.Uncapped,
	}
	if announced.Rerun.Again {
		raw.Object.Again = announced.Rerun.ID
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

// hopeless is the error of a mail that is not even read.
type hopeless struct{ why string }

func (e *hopeless) Error() string   { return e.why }
func (e *hopeless) Permanent() bool { return true }
