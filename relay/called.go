package relay

import (
	"context"
	"sync"
	"time"

	"inreply/queue"
)

// gathering brings together what is called in at the same time. Each call brings
// one notice, and a publish takes ten: while as many batches are under way as may
// be, what comes waits, and the next batch takes all of it.
type gathering struct {
	mu      sync.Mutex
	waiting []*calledIn
	running int // batches
}

type calledIn struct {
	notice
	ended chan struct{}
}

const (
	// batchesAtOnce is how many batches of called notices are under way at once.
	batchesAtOnce = 8
	// callTime is how long a called notice may take to be read and published: SNS
	// waits 15 s for the answer, and needs some of that for itself.
	callTime = 9 * time.Second
)

// Take relays a notice that was called in under an id. It returns nil when what the
// notice announces was published, or there was nothing to publish, or the text was no
// notice and is a dead letter now. The error is that of something that may be
// tried again. A caller who does not wait any longer ends nothing.
func (r *Relay) Take(ctx context.Context, id, text string) error {
	n := &calledIn{notice: notice{message: queue.Message{ID: id, Body: text, ReceiveCount: 1}}, ended: make(chan struct{})}
	g := &r.called
	g.mu.Lock()
	g.waiting = append(g.waiting, n)
	if g.running < batchesAtOnce {
		g.running++
		go r.takeBatches(context.WithoutCancel(ctx))
	}
	g.mu.Unlock()
	<-n.ended
	return n.later
}

// takeBatches relays what waits until nothing does.
func (r *Relay) takeBatches(ctx context.Context) {
	for batch := r.called.next(); len(batch) > 0; batch = r.called.next() {
		notices := make([]*notice, len(batch))
		for i, n := range batch {
			notices[i] = &n.notice
		}
		attempt := r.health.begin()
		r.seeThrough(ctx, notices, callTime)
		ending, cancel := context.WithTimeout(ctx, finishing)
		r.bury(ending, notices)
		cancel()
		r.health.end(attempt)
		for _, n := range batch {
			r.attempted(&n.notice)
			close(n.ended)
		}
	}
}

// next takes a batch of what waits. Who gets none has ended.
func (g *gathering) next() []*calledIn {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(most, len(g.waiting))
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	if n == 0 {
		g.running--
		g.waiting = nil
	}
	return batch
}
