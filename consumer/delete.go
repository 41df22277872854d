package consumer

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// How long a delete waits for company that shares its call. While followers wait
// here nobody waits for the delete of their head: the queue gives out what stands
// behind them when all of them are deleted.
const (
	hurried   = time.Duration(0)       // the run is done, and the queue is likely to have more of its group
	unhurried = 5 * time.Millisecond   // the run is done
	followed  = 100 * time.Millisecond // followers wait here
)

// deleter deletes messages in batches that cost neither calls nor time: a batch
// leaves when it is full, or when one in it need not wait any longer.
type deleter struct {
	c *Consumer

	mu      sync.Mutex
	pending []*lease
	leaves  time.Time   // when what is pending leaves at the latest; zero: nothing is
	timer   *time.Timer // fires then, or too early
	closing bool
	landed  sync.WaitGroup // every deletion that was added
}

func newDeleter(c *Consumer) *deleter {
	return &deleter{c: c}
}

// add deletes the message of l, which is no longer held.
func (d *deleter) add(l *lease, f final, within time.Duration) {
	d.c.done.put(l.message.ID, struct{}{})
	d.landed.Add(1)
	l.final, l.done = f, time.Now()
	d.enqueue(l, within)
}

func (d *deleter) enqueue(l *lease, within time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.pending == nil {
		d.pending = make([]*lease, 0, perCall)
	}
	d.pending = append(d.pending, l)
	if len(d.pending) >= perCall || within == hurried || d.closing {
		d.depart()
		return
	}
	at := time.Now().Add(within)
	if !d.leaves.IsZero() && !at.Before(d.leaves) {
		return
	}
	d.leaves = at
	if d.timer == nil {
		d.timer = time.AfterFunc(within, d.waited)
		return
	}
	d.timer.Reset(within)
}

// waited sends off what is pending when it has waited long enough. The timer may
// have been set for what has left since.
func (d *deleter) waited() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.leaves.IsZero() && !time.Now().Before(d.leaves) {
		d.depart()
	}
}

// depart sends off what is pending. d.mu is held.
func (d *deleter) depart() {
	for len(d.pending) > 0 {
		n := min(len(d.pending), perCall)
		batch := d.pending[:n:n]
		d.pending = d.pending[n:]
		d.c.crew.do(func() { d.fly(batch) })
	}
	d.pending, d.leaves = nil, time.Time{}
}

// fly makes one call and takes its answers, entry by entry.
func (d *deleter) fly(batch []*lease) {
	d.c.settled(batch)
	handles := make([]string, len(batch))
	for i, l := range batch {
		handles[i] = l.message.Handle
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.c.visibility)
	began := time.Now()
	errs := d.c.parts.Queue.Delete(ctx, handles)
	cancel()
	d.c.mu.Lock()
	d.c.intake.call = average(d.c.intake.call, time.Since(began), 0.2)
	d.c.mu.Unlock()

	for i, l := range batch {
		d.land(l, errs[i])
	}
}

// land takes the answer for one message. A delete that failed is tried again
// until the lease has ended; after that the message comes back, and is deleted
// then, for it is remembered as done.
func (d *deleter) land(l *lease, err error) {
	if err == nil {
		d.c.done.forget(l.message.ID)
		d.c.tries.forget(l.message.ID)
		d.c.traces.settled(l, nil)
		l.final.log(d.c, l, time.Now())
		d.landed.Done()
		return
	}
	l.undeleted++
	pause := d.c.jittered(min(5*time.Second, 50*time.Millisecond<<min(l.undeleted, 7)))
	if queue.Lost(err) || !time.Now().Add(pause).Before(l.deadline) {
		d.c.meters.undeleted.Add(context.Background(), 1)
		d.c.log.Warn("handled, but not deleted: it will be deleted when it comes back",
			zap.String("message", l.message.ID), zap.String("group", l.message.Group), zap.Error(err))
		d.c.traces.settled(l, err)
		l.final.log(d.c, l, time.Now())
		d.landed.Done()
		return
	}
	time.AfterFunc(pause, func() { d.enqueue(l, unhurried) })
}

// close sends off everything, and returns when every delete was answered.
func (d *deleter) close() {
	d.mu.Lock()
	d.closing = true
	if d.timer != nil {
		d.timer.Stop()
	}
	d.depart()
	d.mu.Unlock()
	d.landed.Wait()
}
