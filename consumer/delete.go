package consumer

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// linger is how long a delete waits for company when none is under way.
const linger = time.Millisecond

// deleter deletes messages in batches that cost neither calls nor time: a full
// batch leaves at once; a smaller one leaves when the last call has come back,
// or after a linger when none is under way; and one that unlocks a group leaves
// at once.
type deleter struct {
	c *Consumer

	mu      sync.Mutex
	pending []deletion
	flying  int
	timer   *time.Timer
	armed   bool
	closing bool
	landed  sync.WaitGroup // every deletion that was added
}

// deletion is one message whose work is done.
type deletion struct {
	lease *lease
	final final
	tried int
}

func newDeleter(c *Consumer) *deleter {
	return &deleter{c: c}
}

// add deletes the message of l, which is no longer held. unlocks says that its
// group is known to have more than what was received.
func (d *deleter) add(l *lease, f final, unlocks bool) {
	d.c.done.put(l.message.ID, struct{}{})
	d.landed.Add(1)
	d.enqueue(deletion{lease: l, final: f}, unlocks)
}

func (d *deleter) enqueue(x deletion, unlocks bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pending = append(d.pending, x)
	if len(d.pending) >= 10 || unlocks || d.closing {
		d.depart()
		return
	}
	if d.flying > 0 || d.armed {
		return
	}
	d.armed = true
	if d.timer == nil {
		d.timer = time.AfterFunc(linger, d.lingered)
		return
	}
	d.timer.Reset(linger)
}

func (d *deleter) lingered() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = false
	d.depart()
}

// depart sends off what is pending. d.mu is held.
func (d *deleter) depart() {
	for len(d.pending) > 0 {
		n := min(len(d.pending), 10)
		batch := d.pending[:n:n]
		d.pending = d.pending[n:]
		d.flying++
		go d.fly(batch)
	}
	d.pending = nil
}

// fly makes one call and takes its answers, entry by entry.
func (d *deleter) fly(batch []deletion) {
	handles := make([]string, len(batch))
	for i, x := range batch {
		d.c.settled(x.lease)
		handles[i] = x.lease.message.Handle
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.c.visibility)
	errs := d.c.parts.Queue.Delete(ctx, handles)
	cancel()

	d.mu.Lock()
	d.flying--
	if d.flying == 0 {
		d.depart()
	}
	d.mu.Unlock()
	for i, x := range batch {
		d.land(x, errs[i])
	}
}

// land takes the answer for one message. A delete that failed is tried again
// until the lease has ended; after that the message comes back, and is deleted
// then, for it is remembered as done.
func (d *deleter) land(x deletion, err error) {
	l := x.lease
	if err == nil {
		d.c.done.forget(l.message.ID)
		d.c.tries.forget(l.message.ID)
		x.final.log(d.c, l, time.Now())
		d.landed.Done()
		return
	}
	x.tried++
	pause := d.c.jittered(min(5*time.Second, 50*time.Millisecond<<min(x.tried, 7)))
	if queue.Lost(err) || !time.Now().Add(pause).Before(l.deadline) {
		d.c.meters.undeleted.Add(context.Background(), 1)
		d.c.log.Warn("handled, but not deleted: it will be deleted when it comes back",
			zap.String("message", l.message.ID), zap.String("group", l.message.Group), zap.Error(err))
		x.final.log(d.c, l, time.Now())
		d.landed.Done()
		return
	}
	time.AfterFunc(pause, func() { d.enqueue(x, false) })
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
