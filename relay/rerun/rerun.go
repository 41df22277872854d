// Package rerun announces stored objects again, as S3 did when they were put.
//
// The notices go into the relay's intake, like S3's own. So the relay chooses
// group as ever, and the mail record keeps a mail that was answered from being
// answered again.
//
// Each notice says that it is of a rerun, and of which. With Again, a mail that was
// answered is answered once more: by the id of the rerun it is another mail to its
// record, which sees to it that once more is once, whatever is delivered twice or
// dies on the way. So the same id may be announced again, where a run ended before
// its time, and nobody is answered a third time; another id is another decision.
//
// S3 lists in the order of the keys, and so do objects go out: whoever knows the
// key at which a run ended can go on behind it.
package rerun

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"time"

	"golang.org/x/time/rate"

	"inreply/event"
	"inreply/queue"
	"inreply/store"
)

// Lister lists objects. [store.Store] is one.
type Lister interface {
	List(ctx context.Context, bucket, prefix, after string) iter.Seq2[store.Object, error]
}

// Intake is the queue that the notices go to. [queue.Queue] is one.
type Intake interface {
	Send(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// Options say what to announce, and how. What is zero leaves nothing out.
type Options struct {
	Bucket string
	Prefix string
	After  string         // only keys behind this one
	Since  time.Time      // only what was stored then or later
	Until  time.Time      // only what was stored before
	Key    *regexp.Regexp // only keys that it matches
	DryRun bool           // only report
	Max    int            // how many at most; 0: all
	Rate   float64        // objects a second; 0: as fast as it goes
	Mark   event.Rerun    // goes with every notice, into the log of whoever handles it
}

// Summary is how a run goes, or went.
type Summary struct {
	Seen       int    // objects listed
	Announced  int    // in a dry run: would be
	Kept       int    // not chosen by the options
	PassedOver int    // what the relay would pass over
	Refused    int    // the intake took no notice of them
	Last       string // everything up to this key is done with
	More       bool   // it ended at Options.Max, and there is more
}

// Report is told how it goes. Object gets each object that was announced, with
// the error of one that was refused, and in a dry run each that would be.
// Progress gets the summary as it is by now. Either may be nil.
type Report struct {
	Object   func(o store.Object, err error)
	Progress func(s Summary)
}

// Rerun is one run. Make it with [New].
type Rerun struct {
	objects  Lister
	intake   Intake
	passOver func(o store.Object) bool
	options  Options
	report   Report
	limit    *rate.Limiter
	atOnce   int
	batch    []store.Object
	behind   string // the last key that was listed
	summary  Summary
}

// mostAtOnce is how many messages SQS takes in one call.
const mostAtOnce = 10

// New returns a Rerun. passOver reports what the relay would pass over.
func New(objects Lister, intake Intake, passOver func(o store.Object) bool, options Options, report Report) *Rerun {
	atOnce, limit := mostAtOnce, rate.NewLimiter(rate.Inf, mostAtOnce)
	if options.Rate > 0 {
		atOnce = min(mostAtOnce, max(1, int(options.Rate)))
		limit = rate.NewLimiter(rate.Limit(options.Rate), atOnce)
	}
	return &Rerun{objects: objects, intake: intake, passOver: passOver, options: options, report: report, limit: limit, atOnce: atOnce, summary: Summary{Last: options.After}}
}

// Run announces what was chosen, until there is no more or ctx ends. It stops
// between two calls: the summary says behind which key to go on. Its error is why
// it ended before that, and nil if it was stopped.
func (r *Rerun) Run(ctx context.Context) (Summary, error) {
	err := r.all(ctx)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return r.summary, err
}

func (r *Rerun) all(ctx context.Context) error {
	for o, err := range r.objects.List(ctx, r.options.Bucket, r.options.Prefix, r.options.After) {
		if err != nil {
			// What stands before it was listed, and can go.
			return errors.Join(r.flush(ctx), err)
		}
		if !r.chosen(o) {
			r.pass(o)
			continue
		}
		if r.full() {
			r.summary.More = true
			break
		}
		r.summary.Seen++
		r.batch, r.behind = append(r.batch, o), o.Key
		if len(r.batch) < r.atOnce {
			continue
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// full reports whether the maximum is reached.
func (r *Rerun) full() bool {
	return r.options.Max > 0 && r.summary.Announced+r.summary.Refused+len(r.batch) >= r.options.Max
}

// chosen reports whether an object is to be announced.
func (r *Rerun) chosen(o store.Object) bool {
	return r.options.wants(o) && !r.passOver(o)
}

func (o Options) wants(object store.Object) bool {
	return !object.LastModified.Before(o.Since) &&
		(o.Until.IsZero() || object.LastModified.Before(o.Until)) &&
		(o.Key == nil || o.Key.MatchString(object.Key))
}

// pass counts an object that is not announced.
func (r *Rerun) pass(o store.Object) {
	r.summary.Seen++
	if r.options.wants(o) {
		r.summary.PassedOver++
	} else {
		r.summary.Kept++
	}
	r.behind = o.Key
	if len(r.batch) == 0 {
		r.summary.Last = o.Key
	}
	r.progress()
}

// flush announces the batch. All of it is done with when it returns nil, and all
// that was listed before.
func (r *Rerun) flush(ctx context.Context) error {
	if len(r.batch) > 0 && !r.options.DryRun {
		if err := r.announce(ctx, r.batch); err != nil {
			return err
		}
	}
	if r.options.DryRun {
		for _, o := range r.batch {
			r.done(o, nil)
		}
	}
	r.batch = r.batch[:0]
	if r.behind != "" {
		r.summary.Last = r.behind
	}
	r.progress()
	return nil
}

// tries is how often a notice is sent before it counts as refused. The SDK itself
// tries a call several times; these are for entries of calls that succeeded.
const tries = 5

// announce sends a batch, and again what was refused of it. A call that fails as a
// whole ends the run: the next would fail too.
func (r *Rerun) announce(ctx context.Context, batch []store.Object) error {
	if err := r.limit.WaitN(ctx, len(batch)); err != nil {
		return fmt.Errorf("wait for the rate: %w", err)
	}
	for try := 1; len(batch) > 0; try++ {
		left, err := r.send(ctx, batch, try == tries)
		if err != nil {
			return err
		}
		batch = left
		if len(batch) > 0 {
			if err := pause(ctx, 100*time.Millisecond<<try); err != nil {
				return err
			}
		}
	}
	return nil
}

// send makes one call and returns what is worth another try.
func (r *Rerun) send(ctx context.Context, batch []store.Object, last bool) (left []store.Object, err error) {
	out := make([]queue.Outgoing, len(batch))
	for i, o := range batch {
		out[i].Body = string(event.Announce(event.Object{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, Size: o.Size, Time: o.LastModified, Rerun: r.options.Mark}))
	}
	// What was begun is finished, or nobody would know what was announced.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for i, result := range r.intake.Send(ctx, out) {
		entry, refused := errors.AsType[*queue.EntryError](result.Err)
		switch {
		case result.Err == nil:
			r.done(batch[i], nil)
		case refused && (last || entry.Permanent()):
			r.done(batch[i], result.Err)
		case refused:
			left = append(left, batch[i])
		default:
			err = fmt.Errorf("announce %s/%s: %w", batch[i].Bucket, batch[i].Key, result.Err)
		}
	}
	return left, err
}

// done counts and reports an object that is done with.
func (r *Rerun) done(o store.Object, err error) {
	if err == nil {
		r.summary.Announced++
	} else {
		r.summary.Refused++
	}
	if r.report.Object != nil {
		r.report.Object(o, err)
	}
}

func (r *Rerun) progress() {
	if r.report.Progress != nil {
		r.report.Progress(r.summary)
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("try again: %w", ctx.Err())
	}
}
