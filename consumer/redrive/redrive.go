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
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
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
	Max    int     // how many at most; 0: all
	Rate   float64 // messages a second; 0: as fast as it goes
	Fifo   bool    // the target has groups
}

// Match chooses dead letters. What is zero matches everything.
type Match struct {
	Reason *regexp.Regexp
	From   *regexp.Regexp
	Route  *regexp.Regexp
	Older  time.Duration // dead for longer than this
	Newer  time.Duration // dead for less than this
}

// Letter is one dead letter.
type Letter struct {
	consumer.DeadLetter
	Message queue.Message
}

// Summary is how a redrive ended.
type Summary struct {
	Seen    int // dead letters looked at
	Matched int
	Moved   int // sent and deleted
	Kept    int // did not match
	Left    int // matched and not moved: stopped, over the maximum, or refused
	Doubled int // sent, but not deleted: still in the dead-letter queue
}

// Report is told of each letter that matches, with the error of a send that was
// refused, and in a dry run of each that would move.
type Report func(l Letter, err error)

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
		limit = rate.NewLimiter(rate.Limit(options.Rate), 10)
	}
	return &Redrive{source: source, target: target, options: options, visibility: max(visibility, 30*time.Second), report: report, limit: limit, stuck: map[string]bool{}, name: rand.Text()}
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
		r.move(ctx, round)
	}
	return nil
}

// full reports whether the maximum is reached.
func (r *Redrive) full() bool {
	return r.options.Max > 0 && r.summary.Matched >= r.options.Max
}

// collect receives what can be seen now, and returns what matches.
func (r *Redrive) collect(ctx context.Context) ([]*held, error) {
	var round []*held
	for len(round) < inHand && ctx.Err() == nil && !r.full() {
		r.keep(ctx, round)
		asked := time.Now()
		messages, err := r.source.Receive(ctx, queue.Receive{Max: 10, Wait: time.Second, Visibility: r.visibility, Attempt: r.nextAttempt()})
		if err != nil && ctx.Err() == nil {
			r.giveBack(round)
			return nil, fmt.Errorf("receive dead letters: %w", err)
		}
		if len(messages) == 0 {
			break
		}
		for _, m := range messages {
			h := &held{letter: letter(m), until: asked.Add(r.visibility)}
			r.summary.Seen++
			if r.full() || !r.options.Match.matches(h.letter, asked) {
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
	}
	slices.SortStableFunc(round, inOrder)
	return round, nil
}

// letter reads what is known of a dead letter. SQS itself writes nothing about
// those that it moves, so their own group and sequence number have to do.
func letter(m queue.Message) Letter {
	l := Letter{Message: m}
	if err := json.Unmarshal([]byte(m.Attributes[consumer.DeadLetterAttribute]), &l.DeadLetter); err != nil {
		l.DeadLetter = consumer.DeadLetter{Reason: "moved by SQS after too many receives", At: m.Sent, Receives: m.ReceiveCount}
	}
	l.Group = cmp.Or(l.Group, m.Group)
	l.Sequence = cmp.Or(l.Sequence, m.Sequence)
	return l
}

// inOrder is the order in which the groups had their messages: sequence numbers
// only grow, in a whole queue.
func inOrder(a, b *held) int {
	return cmp.Or(cmp.Compare(len(a.letter.Sequence), len(b.letter.Sequence)), cmp.Compare(a.letter.Sequence, b.letter.Sequence))
}

func (m Match) matches(l Letter, now time.Time) bool {
	says := func(re *regexp.Regexp, s string) bool { return re == nil || re.MatchString(s) }
	age := now.Sub(l.At)
	return says(m.Reason, l.Reason) && says(m.From, l.From) && says(m.Route, l.Route) &&
		(m.Older == 0 || age > m.Older) && (m.Newer == 0 || age < m.Newer)
}

// move sends a round in batches in which every group stands once: a refused
// entry then holds up nothing but its own group.
func (r *Redrive) move(ctx context.Context, round []*held) {
	if r.options.DryRun {
		for _, h := range round {
			r.report(h.letter, nil)
		}
		r.summary.Left += len(round)
		r.kept = append(r.kept, round...)
		return
	}
	for len(round) > 0 && ctx.Err() == nil {
		r.keep(ctx, round)
		batch, rest := nextBatch(round)
		if err := r.limit.WaitN(ctx, len(batch)); err != nil {
			break
		}
		r.send(ctx, batch)
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

// leave notes a letter that matched and stays.
func (r *Redrive) leave(h *held) {
	r.summary.Left++
	r.kept = append(r.kept, h)
}

// nextBatch takes up to ten letters off the front, one of each group.
func nextBatch(round []*held) (batch, rest []*held) {
	taken := map[string]bool{}
	for _, h := range round {
		if len(batch) < 10 && !taken[h.letter.Group] {
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
		r.report(batch[i].letter, result.Err)
		if result.Err != nil {
			r.stuck[batch[i].letter.Group] = true
			r.leave(batch[i])
			continue
		}
		sent = append(sent, batch[i])
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

// giveBack makes visible again what stays.
func (r *Redrive) giveBack(stay []*held) {
	extensions := make([]queue.Extension, len(stay))
	for i, h := range stay {
		extensions[i] = queue.Extension{Handle: h.letter.Message.Handle}
	}
	if len(extensions) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		r.source.Extend(ctx, extensions)
	}
}
