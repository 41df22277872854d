// Package redrive moves dead letters back to the queue that they failed in.
//
// SQS can do that itself (StartMessageMoveTask), but it cannot choose, cannot
// show what it would do, and mixes up the order of a group. Here every message
// goes back into its own group, in the order in which the group once had it, and
// is deleted from the dead-letter queue only after its send was confirmed, entry
// by entry.
//
// Its new deduplication id is the dead letter's own message id. The old one may
// still be remembered by the queue, which would swallow the message (the window
// is five minutes, SendMessage in the SQS API reference); a new one each time
// would double it when a redrive died between send and delete.
//
// Dead letters that inreply sent stand in a group each, so all of them can be
// seen at once. Those that SQS moved by itself have kept their group, so of each
// group at most ten show until they are gone; they take several rounds.
package redrive

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"inreply/consumer"
	"inreply/queue"
)

// Source is the dead-letter queue. [queue.Queue] is one.
type Source interface {
	Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error)
	Delete(ctx context.Context, handles []string) []error
	Extend(ctx context.Context, extensions []queue.Extension) []error
}

// Target is the queue that the messages go back to. [queue.Queue] is one.
type Target interface {
	Send(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// Options say what to move, and how.
type Options struct {
	DryRun bool    // only report
	Match  Match   // which dead letters; zero: all
	Max    int     // how many at most, the first of each group first; 0: all
	Rate   float64 // messages a second; 0: as fast as it goes
	Fifo   bool    // the queues have groups: a dead-letter queue is always of the kind of its queue
}

// Summary is how a redrive ended.
type Summary struct {
	Seen    int // dead letters looked at
	Matched int
	Moved   int // sent and deleted
	Kept    int // did not match
	Left    int // matched and not moved: stopped, over the maximum, or refused
	Doubled int // sent, but not deleted: still in the dead-letter queue
	Again   int // moved by this run, and dead once more: its cause is not mended, so they stay
}

// Report is told how it goes. Letter gets each letter that was sent, with the
// error of a send that was refused, and in a dry run each that would be. Progress
// gets the summary as it is by now, after every call. Either may be nil.
type Report struct {
	Letter   func(l Letter, err error)
	Progress func(s Summary)
}

func (r Report) letter(l Letter, err error) {
	if r.Letter != nil {
		r.Letter(l, err)
	}
}

func (r Report) progress(s Summary) {
	if r.Progress != nil {
		r.Progress(s)
	}
}

// inHand is how many dead letters are held at a time.
const inHand = 5000

// Redrive is one run. Make it with [New].
type Redrive struct {
	source     Source
	target     Target
	options    Options
	visibility time.Duration
	report     Report
	limit      *rate.Limiter
	name       string // begins the attempt ids of this run
	asked      int
	summary    Summary
	kept       []*held         // looked at and not moved; given back at the end
	stuck      map[string]bool // groups with a letter that was refused: what follows it stays too
	chosen     int             // of those that matched, for Options.Max
	sent       map[string]bool // ids of the messages that letters went back as
}

// held is a dead letter that was received.
type held struct {
	letter Letter
	until  time.Time
}

// New returns a Redrive. visibility is the dead-letter queue's timeout.
func New(source Source, target Target, visibility time.Duration, options Options, report Report) *Redrive {
	limit := rate.NewLimiter(rate.Inf, 0)
	if options.Rate > 0 {
		limit = rate.NewLimiter(rate.Limit(options.Rate), mostAtOnce)
	}
	return &Redrive{source: source, target: target, options: options, visibility: max(visibility, 30*time.Second), report: report, limit: limit, stuck: map[string]bool{}, sent: map[string]bool{}, name: rand.Text()}
}

// nextAttempt is the id of one logical receive: the same id twice would bring the
// same messages twice.
func (r *Redrive) nextAttempt() string {
	r.asked++
	return fmt.Sprintf("%s-%d", r.name, r.asked)
}

// Run moves until nothing is left to move, or ctx ends. It stops between
// entries: what was not sent is given back, and the summary says how much.
func (r *Redrive) Run(ctx context.Context) (Summary, error) {
	err := r.rounds(ctx)
	r.giveBack(r.kept)
	return r.summary, err
}

func (r *Redrive) rounds(ctx context.Context) error {
	for ctx.Err() == nil && !r.full() {
		round, err := r.collect(ctx)
		if err != nil {
			return err
		}
		if len(round) == 0 {
			return nil
		}
		r.move(ctx, r.choose(round))
		if r.options.DryRun && len(round) < inHand {
			return nil
		}
	}
	return nil
}

// full reports whether the maximum is reached.
func (r *Redrive) full() bool {
	return r.options.Max > 0 && r.chosen >= r.options.Max
}

// choose takes the first of a round, which is in order, up to the maximum. Had
// collect stopped there, a letter might go before one that belongs before it.
func (r *Redrive) choose(round []*held) []*held {
	if most := r.options.Max - r.chosen; r.options.Max > 0 && len(round) > most {
		for _, h := range round[most:] {
			r.leave(h)
		}
		round = round[:most]
	}
	r.chosen += len(round)
	return round
}

// collect receives what can be seen now, and returns what matches.
func (r *Redrive) collect(ctx context.Context) ([]*held, error) {
	var round []*held
	for len(round) < inHand && ctx.Err() == nil {
		r.keep(ctx, round)
		asked := time.Now()
		messages, err := r.receive(ctx)
		if err != nil {
			r.giveBack(round)
			return nil, fmt.Errorf("receive dead letters: %w", err)
		}
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			h := &held{letter: letter(m), until: asked.Add(r.visibility)}
			r.summary.Seen++
			// What is moved and dies at once would be moved for ever.
			if r.sent[h.letter.DeadLetter.Message] || r.sent[m.ID] {
				r.summary.Again++
				r.kept = append(r.kept, h)
				continue
			}
			if !r.options.Match.matches(h.letter, asked) {
				r.summary.Kept++
				r.kept = append(r.kept, h)
				continue
			}
			r.summary.Matched++
			if r.stuck[h.letter.Group] {
				r.leave(h)
				continue
			}
			round = append(round, h)
		}
		r.report.progress(r.summary)
	}
	slices.SortStableFunc(round, inOrder)
	return round, nil
}

// receive asks once. A stop does not cut it off: what SQS has given out by then
// would stay invisible, and nobody would know of it.
func (r *Redrive) receive(ctx context.Context) ([]queue.Message, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.visibility)
	defer cancel()
	ask := queue.Receive{Max: 10, Wait: time.Second, Visibility: r.visibility}
	if r.options.Fifo {
		ask.Attempt = r.nextAttempt()
	}
	return r.source.Receive(ctx, ask) //nolint:wrapcheck // the caller says what was done
}

// move sends a round in batches in which every group stands once: a refused
// entry then holds up nothing but its own group.
func (r *Redrive) move(ctx context.Context, round []*held) {
	if r.options.DryRun {
		for _, h := range round {
			r.report.letter(h.letter, nil)
		}
		r.summary.Left += len(round)
		r.kept = append(r.kept, round...)
		return
	}
	for len(round) > 0 && ctx.Err() == nil {
		r.keep(ctx, round)
		batch, rest := nextBatch(round, r.atOnce())
		if !r.wait(ctx, round, len(batch)) {
			break
		}
		r.send(ctx, batch)
		r.report.progress(r.summary)
		round = slices.DeleteFunc(rest, func(h *held) bool {
			if !r.stuck[h.letter.Group] {
				return false
			}
			r.leave(h)
			return true
		})
	}
	for _, h := range round {
		r.leave(h)
	}
}

// atOnce is how many letters are sent together: as many as a call takes, but no
// more than the rate lets go within a quarter of a lease.
func (r *Redrive) atOnce() int {
	if r.options.Rate <= 0 {
		return mostAtOnce
	}
	return min(mostAtOnce, max(1, int(r.options.Rate*r.visibility.Seconds()/4)))
}

// wait waits for the turn of n letters, and keeps the round meanwhile. It
// reports whether the turn came before ctx ended.
func (r *Redrive) wait(ctx context.Context, round []*held, n int) bool {
	for left := r.limit.ReserveN(time.Now(), n).Delay(); left > 0; {
		step := min(left, r.visibility/4)
		select {
		case <-time.After(step):
		case <-ctx.Done():
			return false
		}
		left -= step
		r.keep(ctx, round)
	}
	return ctx.Err() == nil
}

// leave notes a letter that matched and stays.
func (r *Redrive) leave(h *held) {
	r.summary.Left++
	r.kept = append(r.kept, h)
}

// mostAtOnce is how many messages SQS takes in one call.
const mostAtOnce = 10

// nextBatch takes up to most letters off the front, one of each group.
func nextBatch(round []*held, most int) (batch, rest []*held) {
	taken := map[string]bool{}
	for _, h := range round {
		if len(batch) < most && !taken[h.letter.Group] {
			batch = append(batch, h)
		} else {
			rest = append(rest, h)
		}
		taken[h.letter.Group] = true
	}
	return batch, rest
}

// send sends one batch and deletes what was confirmed.
func (r *Redrive) send(ctx context.Context, batch []*held) {
	out := make([]queue.Outgoing, len(batch))
	for i, h := range batch {
		out[i] = r.outgoing(h.letter)
	}
	// Between send and delete there is no stopping.
	ctx = context.WithoutCancel(ctx)
	var sent []*held
	for i, result := range r.target.Send(ctx, out) {
		r.report.letter(batch[i].letter, result.Err)
		if result.Err != nil {
			r.stuck[batch[i].letter.Group] = true
			r.leave(batch[i])
			continue
		}
		sent = append(sent, batch[i])
		r.sent[result.ID] = true
	}
	r.delete(ctx, sent)
}

// outgoing is a letter as it goes back: as it came, in its own group.
func (r *Redrive) outgoing(l Letter) queue.Outgoing {
	attributes := map[string]string{}
	for name, value := range l.Message.Attributes {
		if name != consumer.DeadLetterAttribute {
			attributes[name] = value
		}
	}
	o := queue.Outgoing{Body: l.Message.Body, Attributes: attributes}
	if r.options.Fifo {
		o.Group, o.DeduplicationID = l.Group, l.Message.ID
	}
	return o
}

// delete deletes what was sent, with a few tries: what stays would be sent a
// second time by the next redrive, and swallowed only within five minutes.
func (r *Redrive) delete(ctx context.Context, sent []*held) {
	for try := 0; len(sent) > 0 && try < 5; try++ {
		handles := make([]string, len(sent))
		for i, h := range sent {
			handles[i] = h.letter.Message.Handle
		}
		var left []*held
		for i, err := range r.source.Delete(ctx, handles) {
			if err == nil {
				r.summary.Moved++
				continue
			}
			left = append(left, sent[i])
		}
		sent = left
		if len(sent) > 0 {
			<-time.After(100 * time.Millisecond << try)
		}
	}
	r.summary.Doubled += len(sent)
}

// keep extends what is held and near its end, so that no letter shows twice.
func (r *Redrive) keep(ctx context.Context, round []*held) {
	var due []*held
	soon := time.Now().Add(r.visibility / 2)
	for _, h := range slices.Concat(round, r.kept) {
		if h.until.Before(soon) {
			due = append(due, h)
		}
	}
	if len(due) == 0 {
		return
	}
	extensions := make([]queue.Extension, len(due))
	for i, h := range due {
		extensions[i] = queue.Extension{Handle: h.letter.Message.Handle, For: r.visibility}
	}
	asked := time.Now()
	for i, err := range r.source.Extend(ctx, extensions) {
		if err == nil {
			due[i].until = asked.Add(r.visibility)
		}
	}
}

// giveBack makes visible again what stays, the last first: while the first of a
// group are invisible, nobody else gets those behind them. What cannot be given
// back comes back when its lease is over.
func (r *Redrive) giveBack(stay []*held) {
	slices.SortStableFunc(stay, func(a, b *held) int { return inOrder(b, a) })
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for try := 0; len(stay) > 0 && try < 3; try++ {
		extensions := make([]queue.Extension, len(stay))
		for i, h := range stay {
			extensions[i] = queue.Extension{Handle: h.letter.Message.Handle}
		}
		var left []*held
		for i, err := range r.source.Extend(ctx, extensions) {
			if err != nil && !queue.Lost(err) {
				left = append(left, stay[i])
			}
		}
		stay = left
	}
}
