// Package relay takes the notices of new objects from where AWS can deliver
// them, a standard queue, to where they must be worked off in order, a FIFO
// topic. AWS itself refuses to: an S3 event cannot go to a FIFO topic or queue,
// nor a standard topic to a FIFO queue.
//
// It is also the one place that can choose the message group. A group's mails
// are handled one after the other, and groups never wait for each other; so a
// mail is in the group of its author, when SES vouches for him. Whoever only
// claims to be somebody shares a group with nobody.
//
// A notice is deleted from the intake only after the publish of everything that
// it announces was confirmed, entry by entry. Published twice, which happens
// when a delete is lost, or announced twice, which S3 does, it has the same
// deduplication id, and the FIFO topic drops the second within five minutes;
// after that the mail record sees to it that a mail is answered once.
package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"inreply/email"
	"inreply/event"
	"inreply/queue"
)

// Intake is the queue of notices. [queue.Queue] is one.
type Intake interface {
	Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error)
	Delete(ctx context.Context, handles []string) []error
	Extend(ctx context.Context, extensions []queue.Extension) []error
}

// Topic is the FIFO topic. [queue.Topic] is one.
type Topic interface {
	Publish(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// DeadLetters take what is no notice. [queue.Queue] is one.
type DeadLetters interface {
	Send(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// Tops reads the first octets of an object. [store.Store] is one.
type Tops interface {
	Top(ctx context.Context, bucket, key, versionID string, n int64) ([]byte, error)
}

// Parts are what a Relay is put together from.
type Parts struct {
	Intake      Intake
	Topic       Topic
	DeadLetters DeadLetters
	Tops        Tops
	Own         func(bucket, key string) bool // reports our own records, which are never relayed
	Logger      *zap.Logger
	Random      func() float64
}

// Relay is one relay. Make it with [New]; it runs once.
type Relay struct {
	config Config
	parts  Parts
	log    *zap.Logger
}

// New returns a Relay.
func New(config Config, parts Parts) (*Relay, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the relay's settings: %w", err)
	}
	return &Relay{config: config, parts: parts, log: parts.Logger}, nil
}

// Run relays until ctx ends, and then finishes or gives back what it has.
func (r *Relay) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var loops sync.WaitGroup
	// Each loop polls and relays in turns: while one relays, others poll. When
	// there is nothing to do, all but the first wait for its word.
	busy := make(chan struct{}, r.config.Concurrency)
	for n := range r.config.Concurrency {
		loops.Go(func() { r.loop(ctx, n == 0, busy, stop) })
	}
	loops.Wait()
	if err := context.Cause(ctx); queue.Missing(err) {
		return fmt.Errorf("relay: %w", err)
	}
	return nil
}

// loop receives and relays. Only the first one polls when nothing comes; each
// full batch wakes another.
func (r *Relay) loop(ctx context.Context, first bool, busy chan struct{}, stop context.CancelCauseFunc) {
	failed := 0
	for ctx.Err() == nil {
		if !first {
			select {
			case <-busy:
			case <-ctx.Done():
				return
			}
		}
		messages, err := r.receive(ctx)
		if err != nil {
			if queue.Missing(err) {
				stop(err)
				return
			}
			failed++
			r.log.Warn("receiving from the intake fails; asking on", zap.Error(err))
			r.pause(ctx, failed)
			continue
		}
		failed = 0
		if len(messages) == most {
			select {
			case busy <- struct{}{}:
			default:
			}
			if !first {
				select {
				case busy <- struct{}{}:
				default:
				}
			}
		}
		r.relay(ctx, messages)
	}
}

// most is how many messages one receive brings.
const most = 10

// receive polls once. The poll is not cut off by a stop: what SQS had handed out
// would stay invisible.
func (r *Relay) receive(ctx context.Context) ([]queue.Message, error) {
	polling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	grace := context.AfterFunc(ctx, func() { time.AfterFunc(r.config.PollGrace, cancel) })
	defer grace()
	messages, err := r.parts.Intake.Receive(polling, queue.Receive{Max: most, Wait: r.config.Poll})
	if err != nil && ctx.Err() != nil {
		return nil, nil
	}
	return messages, err //nolint:wrapcheck // it says what it did
}

// pause waits a jittered while that grows with each failure.
func (r *Relay) pause(ctx context.Context, failed int) {
	bound := min(10*time.Second, 100*time.Millisecond<<min(failed, 10))
	timer := time.NewTimer(time.Duration(r.parts.Random() * float64(bound)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// notice is one message of the intake on its way.
type notice struct {
	message queue.Message
	out     []queue.Outgoing // what it announces
	later   error            // it cannot be relayed now
	wrong   error            // it never can
}

// relay sees a batch through: what it announces is published, what is none is
// dead-lettered, what cannot be said now goes back.
func (r *Relay) relay(ctx context.Context, messages []queue.Message) {
	if len(messages) == 0 {
		return
	}
	if ctx.Err() != nil {
		r.giveBack(messages)
		return
	}
	// From here a stop waits: it takes no longer than a few calls.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.Deadline)
	defer cancel()
	notices := make([]*notice, len(messages))
	var reading sync.WaitGroup
	for i, m := range messages {
		reading.Go(func() { notices[i] = r.read(ctx, m) })
	}
	reading.Wait()
	r.bury(ctx, notices)
	r.publish(ctx, notices)
	r.finish(ctx, notices)
}

// read decodes one message and chooses group and deduplication id of what it
// announces.
func (r *Relay) read(ctx context.Context, m queue.Message) *notice {
	n := &notice{message: m}
	decoded, err := event.Decode([]byte(m.Body))
	if err != nil {
		n.wrong = err
		return n
	}
	if decoded.Kind != event.Created {
		r.log.Info("notice without an object dropped", zap.String("kind", string(decoded.Kind)), zap.String("message", m.ID))
		return n
	}
	for _, o := range decoded.Objects {
		if why := r.passedOver(o); why != "" {
			r.log.Info("object passed over", zap.String("bucket", o.Bucket), zap.String("key", o.Key), zap.String("reason", why))
			continue
		}
		r.log.Debug("announced", zap.String("bucket", o.Bucket), zap.String("key", o.Key))
		group, err := r.group(ctx, o)
		if err != nil {
			n.later = err
			return n
		}
		n.out = append(n.out, queue.Outgoing{Body: string(o.Notice), Group: group, DeduplicationID: deduplication(o)})
	}
	return n
}

// passedOver says why an object is not relayed, or nothing.
func (r *Relay) passedOver(o event.Object) string {
	switch {
	case r.parts.Own(o.Bucket, o.Key):
		return "one of our own records: no notification should cover their prefix"
	case !strings.HasPrefix(o.Key, r.config.Prefix):
		return "its key does not begin with relay.prefix"
	case !strings.HasSuffix(o.Key, r.config.Suffix):
		return "its key does not end with relay.suffix"
	}
	return ""
}

// topSize is how much of an object is read to find its author: SES's block and
// the sender's header lie at its beginning.
const topSize = 64 << 10

// group chooses the message group of an object.
func (r *Relay) group(ctx context.Context, o event.Object) (string, error) {
	switch r.config.Group {
	case GroupKey:
		return byKey(o), nil
	case GroupPrefix:
		return "p-" + hash(o.Bucket, path.Dir(o.Key)), nil
	}
	if r.config.Group == GroupRecipient && o.Receipt != nil && len(o.Receipt.Recipients) > 0 {
		return "r-" + hash(strings.ToLower(o.Receipt.Recipients[0])), nil
	}
	head, err := r.parts.Tops.Top(ctx, o.Bucket, o.Key, o.VersionID, topSize)
	if permanent(err) {
		return byKey(o), nil // It is gone: the consumer says so, in a dead letter.
	}
	if err != nil {
		return "", fmt.Errorf("read the top: %w", err)
	}
	top, err := email.ReadTop(head)
	if err != nil {
		return "", fmt.Errorf("read the top: %w", err)
	}
	if r.config.Group == GroupRecipient {
		if len(top.Recipients) == 0 {
			return byKey(o), nil
		}
		return "r-" + hash(strings.ToLower(top.Recipients[0])), nil
	}
	if !top.Verdicts.Authenticated(top.From, email.Aligned) {
		return byKey(o), nil
	}
	return "s-" + hash(strings.ToLower(top.From.Mailbox)), nil
}

// byKey is a group that an object shares with nothing.
func byKey(o event.Object) string { return "k-" + hash(o.Bucket, o.Key) }

// deduplication is the same for every announcement of one version of an object.
func deduplication(o event.Object) string {
	return hash(o.Bucket, o.Key, cmp.Or(o.VersionID, o.ETag))
}

// hash makes an id of at most 128 of the characters that SQS allows. Each part is
// preceded by its length, so that no two lists of parts look alike.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// permanent reports whether an error says of itself that it lasts.
func permanent(err error) bool {
	var lasting interface{ Permanent() bool }
	return errors.As(err, &lasting) && lasting.Permanent()
}

// bury sends what is no notice to the intake's dead-letter queue.
func (r *Relay) bury(ctx context.Context, notices []*notice) {
	var wrong []*notice
	var letters []queue.Outgoing
	for _, n := range notices {
		if n.wrong == nil {
			continue
		}
		wrong = append(wrong, n)
		letters = append(letters, letter(n))
	}
	if len(wrong) == 0 {
		return
	}
	for i, result := range r.parts.DeadLetters.Send(ctx, letters) {
		if result.Err != nil {
			wrong[i].later = fmt.Errorf("send a dead letter: %w", result.Err)
			continue
		}
		r.log.Warn("dead-lettered", zap.String("outcome", "dead-lettered"), zap.String("message", wrong[i].message.ID), zap.String("reason", wrong[i].wrong.Error()))
	}
}

// publish publishes what all notices announce, in their order. A notice of which
// one entry failed goes back whole: what was published of it before is known by
// its deduplication id.
func (r *Relay) publish(ctx context.Context, notices []*notice) {
	var out []queue.Outgoing
	var of []*notice
	for _, n := range notices {
		if n.later != nil {
			continue
		}
		for _, o := range n.out {
			out, of = append(out, o), append(of, n)
		}
	}
	if len(out) == 0 {
		return
	}
	for i, result := range r.parts.Topic.Publish(ctx, out) {
		if result.Err != nil {
			of[i].later = fmt.Errorf("publish: %w", result.Err)
			continue
		}
		r.relayed(out[i])
	}
}

// relayed logs a publish.
func (r *Relay) relayed(o queue.Outgoing) {
	entry := r.log.Check(zap.DebugLevel, "relayed")
	if entry == nil {
		return
	}
	decoded, err := event.Decode([]byte(o.Body))
	if err != nil || len(decoded.Objects) == 0 {
		return
	}
	entry.Write(zap.String("bucket", decoded.Objects[0].Bucket), zap.String("key", decoded.Objects[0].Key), zap.String("group", o.Group))
}

// finish deletes what was seen through and sends back what was not.
func (r *Relay) finish(ctx context.Context, notices []*notice) {
	var done []string
	var back []queue.Extension
	for _, n := range notices {
		if n.later == nil {
			done = append(done, n.message.Handle)
			continue
		}
		after := r.backoff(n.message.ReceiveCount)
		r.log.Warn("a notice cannot be relayed now", zap.String("message", n.message.ID), zap.Duration("after", after), zap.Error(n.later))
		back = append(back, queue.Extension{Handle: n.message.Handle, For: after})
	}
	if len(done) > 0 {
		r.delete(ctx, done)
	}
	if len(back) > 0 {
		// What cannot be sent back comes back when its visibility timeout is over.
		r.parts.Intake.Extend(ctx, back)
	}
}

// delete deletes with a few tries. What stays is relayed again, and dropped by
// its deduplication id.
func (r *Relay) delete(ctx context.Context, handles []string) {
	for try := range 4 {
		var left []string
		for i, err := range r.parts.Intake.Delete(ctx, handles) {
			if err != nil && !queue.Lost(err) {
				left = append(left, handles[i])
			}
		}
		handles = left
		if len(handles) == 0 || ctx.Err() != nil {
			return
		}
		r.pause(ctx, try+1)
	}
	r.log.Warn("notices were relayed and could not be deleted; they will be relayed again", zap.Int("notices", len(handles)))
}

// giveBack makes messages visible again that came after the stop.
func (r *Relay) giveBack(messages []queue.Message) {
	ctx, cancel := context.WithTimeout(context.Background(), r.config.Deadline)
	defer cancel()
	extensions := make([]queue.Extension, len(messages))
	for i, m := range messages {
		extensions[i] = queue.Extension{Handle: m.Handle}
	}
	r.parts.Intake.Extend(ctx, extensions)
}

// backoff grows with how often the notice was received, up to five minutes.
func (r *Relay) backoff(receives int) time.Duration {
	bound := min(5*time.Minute, time.Second<<min(receives, 9))
	return time.Second + time.Duration(r.parts.Random()*float64(bound)).Round(time.Second)
}

// letterAttribute holds why a dead letter is one, as JSON, in the words of the
// consumer's dead letters: a redrive reads both.
const letterAttribute = "inreply"

// letter is a message that is no notice, with the reason.
func letter(n *notice) queue.Outgoing {
	described, err := json.Marshal(map[string]any{
		"message": n.message.ID, "reason": n.wrong.Error(), "tries": 1,
		"receives": n.message.ReceiveCount, "at": time.Now().UTC(),
	})
	if err != nil {
		panic(err) // Strings, numbers and a time always marshal.
	}
	return queue.Outgoing{Body: n.message.Body, Attributes: map[string]string{letterAttribute: string(described)}}
}
