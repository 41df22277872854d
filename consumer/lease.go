package consumer

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"inreply/queue"
)

// longestLease is how long SQS lets one receive hold a message, extensions
// included (ChangeMessageVisibility in the SQS API reference). A lease is ended
// leaseMargin before that, while it still can be ended in good order.
const (
	longestLease = 12 * time.Hour
	leaseMargin  = 10 * time.Minute
)

// lease is one message that is held. Fields are guarded by Consumer.mu.
type lease struct {
	message  queue.Message
	group    *group
	received time.Time // from here SQS counts its twelve hours
	arrived  time.Time // when the answer with it was here
	deadline time.Time // until here nobody else gets the message
	due      time.Time // when it is extended next
	index    int       // in the keeper's heap, -1 when it is not in it
	ended    bool      // no longer held: deleted, given back or lost
	held     int       // outages that it was held through

	// extending is not nil while an extension is under way, and closed when it
	// was answered. A visibility change that overtook it would be undone by it.
	extending chan struct{}

	try     int
	started time.Time
	cancel  context.CancelCauseFunc // while it is worked on
	buried  *burial                 // it goes to the dead-letter queue, as soon as that takes it
	traced  trace.SpanContext       // of its receive; only who works on it looks

	// Of one that is done and waits to be deleted; they are the deleter's.
	final     final
	done      time.Time // when it was
	undeleted int       // deletes that failed
}

// perCall is how many entries SQS takes in one call, and how many messages it gives.
const perCall = 10

// lose takes l and everything behind it out of its run: whoever has l now will
// get the others next. What is behind it is given back untried. c.mu is held.
func (c *Consumer) lose(l *lease, why string) {
	if l.ended {
		return
	}
	g := l.group
	at := slices.Index(g.run, l)
	if at < 0 {
		return
	}
	gone := g.run[at:]
	g.run = g.run[:at:at]
	for _, x := range gone {
		c.end(x)
	}
	if l.cancel != nil {
		l.cancel(errLost)
	}
	if at == 0 {
		g.run = nil
		c.interruptWait(g)
	}
	c.meters.lost.Add(context.Background(), 1)
	c.health.lost.add()
	c.log.Warn("lost a lease", zap.String("message", l.message.ID), zap.String("group", g.id), zap.String("why", why), zap.Int("followers", len(gone)-1))
	if followers := gone[1:]; len(followers) > 0 {
		c.background.Go(func() { c.giveBack([][]*lease{followers}) })
	}
}

// interruptWait ends the wait of a group whose head is gone. c.mu is held.
func (c *Consumer) interruptWait(g *group) {
	if g.state != waiting && g.state != out {
		return
	}
	if g.timer != nil {
		g.timer.Stop()
	}
	g.state = idle
}

// overdue ends a lease that nears the twelve hours: its run is given back, to be
// received anew. c.mu is held.
func (c *Consumer) overdue(l *lease) {
	g := l.group
	if head := g.run[0]; head.cancel != nil {
		head.cancel(errLost)
	}
	run := c.take(g)
	c.interruptWait(g)
	c.log.Warn("a lease nears twelve hours and is given back", zap.String("message", l.message.ID), zap.String("group", g.id))
	c.background.Go(func() { c.giveBack([][]*lease{run}) })
}

// keeper extends leases before they run out: one list in the order in which
// they are due, and one goroutine. Its heap is guarded by Consumer.mu.
type keeper struct {
	c       *Consumer
	leases  leases
	wake    chan struct{}
	stopped chan struct{}
	ended   sync.WaitGroup
}

func newKeeper(c *Consumer) *keeper {
	return &keeper{c: c, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
}

// start begins to extend.
func (k *keeper) start() { k.ended.Go(k.keep) }

// add lets l be extended half a visibility timeout before it ends. c.mu is held.
func (k *keeper) add(l *lease) {
	l.due = l.deadline.Add(-k.c.visibility / 2)
	k.push(l)
}

func (k *keeper) push(l *lease) {
	heap.Push(&k.leases, l)
	if l.index != 0 {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// remove lets l run out. An extension that is under way goes on: who changes
// the visibility next waits for it. c.mu is held.
func (k *keeper) remove(l *lease) {
	if l.index >= 0 {
		heap.Remove(&k.leases, l.index)
	}
}

func (k *keeper) close() {
	close(k.stopped)
	k.ended.Wait()
}

func (k *keeper) keep() {
	timer := time.NewTimer(longestLease)
	defer timer.Stop()
	for {
		due, next := k.due()
		k.extend(due)
		if len(due) > 0 {
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-k.wake:
		case <-k.stopped:
			return
		}
	}
}

// atOnce is how many extensions are asked for side by side, in calls of ten.
const atOnce = 8

// due takes what must be extended now off the heap, and fills the last call up
// with what is due next. Otherwise it says how long there is nothing to do.
func (k *keeper) due() ([]*lease, time.Duration) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	now := time.Now()
	soon := now.Add(k.c.visibility / 8)
	var due []*lease
	for len(k.leases) > 0 && len(due) < perCall*atOnce {
		l := k.leases[0]
		if l.due.After(now) && (len(due)%perCall == 0 || l.due.After(soon)) {
			break
		}
		heap.Pop(&k.leases)
		if !now.Before(l.deadline) {
			k.c.lose(l, "it could not be extended in time")
			continue
		}
		if now.Sub(l.received) >= longestLease-leaseMargin {
			k.c.overdue(l)
			continue
		}
		l.extending = make(chan struct{})
		due = append(due, l)
	}
	if len(k.leases) == 0 {
		return due, longestLease
	}
	return due, max(0, k.leases[0].due.Sub(now))
}

// extend asks for one more visibility timeout for each lease.
func (k *keeper) extend(due []*lease) {
	var calls sync.WaitGroup
	for batch := range slices.Chunk(due, perCall) {
		calls.Go(func() { k.extendBatch(batch) })
	}
	calls.Wait()
}

func (k *keeper) extendBatch(batch []*lease) {
	extensions := make([]queue.Extension, len(batch))
	for i, l := range batch {
		extensions[i] = queue.Extension{Handle: l.message.Handle, For: k.c.visibility}
	}
	asked := time.Now()
	// Extensions go on while the process stops, and while their handlers are
	// cancelled: a call that takes longer than the lease is of no use, though.
	ctx, cancel := context.WithTimeout(context.Background(), k.c.visibility/2)
	defer cancel()
	errs := k.c.parts.Queue.Extend(ctx, extensions)

	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	for i, l := range batch {
		k.extended(l, asked, errs[i])
	}
	k.c.schedule()
}

// extended takes the answer for one lease. c.mu is held.
func (k *keeper) extended(l *lease, asked time.Time, err error) {
	close(l.extending)
	l.extending = nil
	if l.ended {
		return
	}
	if err == nil {
		l.deadline = asked.Add(k.c.visibility)
		l.due = asked.Add(k.c.visibility / 2)
		k.push(l)
		return
	}
	if queue.Lost(err) {
		k.c.lose(l, err.Error())
		return
	}
	k.c.log.Warn("extending a lease failed", zap.String("message", l.message.ID), zap.Time("until", l.deadline), zap.Error(err))
	l.due = time.Now().Add(k.c.visibility / 16)
	if l.due.After(l.deadline) {
		l.due = l.deadline
	}
	k.push(l)
}

// settled waits until no extension of the leases is under way.
func (c *Consumer) settled(leases []*lease) {
	var under []chan struct{}
	c.mu.Lock()
	for _, l := range leases {
		if l.extending != nil {
			under = append(under, l.extending)
		}
	}
	c.mu.Unlock()
	for _, extending := range under {
		<-extending
	}
}

// giveBack makes messages visible again: the followers first, then, in a call
// of their own, the heads. The other way round a head could be received while
// its followers are still in flight here.
func (c *Consumer) giveBack(runs [][]*lease) {
	var heads, followers []*lease
	for _, run := range runs {
		heads = append(heads, run[0])
		followers = append(followers, run[1:]...)
	}
	c.release(followers, 0)
	c.release(heads, 0)
}

// release sets the visibility of leases that are no longer held, and tries
// until it is done or they have run out by themselves.
func (c *Consumer) release(leases []*lease, after time.Duration) {
	for pause := 50 * time.Millisecond; len(leases) > 0; pause = min(2*pause, 5*time.Second) {
		c.settled(leases)
		extensions := make([]queue.Extension, len(leases))
		for i, l := range leases {
			extensions[i] = queue.Extension{Handle: l.message.Handle, For: after}
		}
		var left []*lease
		for i, err := range c.extendAll(extensions) {
			if err != nil && !queue.Lost(err) && time.Now().Before(leases[i].deadline) {
				left = append(left, leases[i])
			}
		}
		leases = left
		if len(leases) > 0 {
			<-time.After(c.jittered(pause))
		}
	}
}

// extendAll asks for any number of extensions, in calls of ten side by side.
func (c *Consumer) extendAll(extensions []queue.Extension) []error {
	ctx, cancel := context.WithTimeout(context.Background(), c.visibility)
	defer cancel()
	errs := make([]error, len(extensions))
	var calls errgroup.Group
	calls.SetLimit(atOnce)
	for at := 0; at < len(extensions); at += perCall {
		calls.Go(func() error {
			end := min(at+perCall, len(extensions))
			copy(errs[at:end], c.parts.Queue.Extend(ctx, extensions[at:end]))
			return nil
		})
	}
	_ = calls.Wait() // The answers are entry by entry.
	return errs
}

// leases is a heap in the order in which they are due.
type leases []*lease

func (h leases) Len() int           { return len(h) }
func (h leases) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h leases) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *leases) Push(x any) {
	l := x.(*lease)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *leases) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	l.index = -1
	return l
}
