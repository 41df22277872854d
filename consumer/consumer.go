// Package consumer takes messages off an SQS FIFO queue and sees each of them
// through to one of four ends: deleted, dead-lettered, given back, or taken
// away. Nothing here knows what a mail is but the [Reader], which turns a
// message into one.
//
// # How the queue behaves, and what follows from it
//
// SQS locks a group by position: a receive gives out a group's visible messages
// up to the first one in flight, and those behind wait. So what one receive
// brings of a group is a run: a head, and followers that nobody else can get as
// long as the head is in flight. Everything here is built round that.
//
//   - A group is a run of leases in order, of which the first is worked on.
//     Concurrency counts groups, not messages. A message that waits for its turn
//     costs a lease and no goroutine. (group.go)
//   - Every lease of a run is extended, the followers' too, or a follower would
//     come to somebody else the moment its head is deleted. Whoever loses the
//     head's lease has lost the run. (lease.go)
//   - A receive counts every message that it returns, tried or not. So tries are
//     counted here, and the queue's maxReceiveCount is only a net beneath.
//   - Only deleting a run's last message lets SQS give out what stands behind it,
//     so deletes are batched, but never held up for long. (delete.go)
//   - A receive whose answer got lost has leased its messages all the same. It is
//     asked again under the same ReceiveRequestAttemptId, which returns the same
//     messages. (receive.go)
//
// What becomes of a message whose work failed is decided in one place, from how
// its error behaves. (disposition.go)
//
// # Stopping
//
// The context of [Consumer.Run] ends receiving, not work. What runs may finish
// within the stop budget; what only waits is given back at once; deletes and
// extensions go on to the end.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/queue"
)

// Queue is the FIFO queue. Delete and Extend answer entry by entry, in the order
// of what they were given; an extension by zero gives the message back.
// [queue.Queue] is one.
type Queue interface {
	Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error)
	Delete(ctx context.Context, handles []string) []error
	Extend(ctx context.Context, extensions []queue.Extension) []error
}

// DeadLetters is where messages go that cannot be worked on. [queue.Queue] is
// one.
type DeadLetters interface {
	Send(ctx context.Context, messages []queue.Outgoing) []queue.Result
}

// Worker does the work of one message. try is 1 for the first; a Worker that
// knows of more tries than the consumer does says so in Result.Try. The Result
// is filled as far as it is known, beside an error too.
type Worker interface {
	Work(ctx context.Context, m queue.Message, try int) (Result, error)
}

// Result is what a Worker knows of a message at the end of a try.
type Result struct {
	email.Outcome
	Bucket string
	Key    string
	Mail   string // email.Object.ID of the mail; empty before it was read
	Try    int    // which try this was; zero: as many as the consumer counted

	Announced time.Time // when the object was created, as the notice says; zero if it does not
	Rerun     string    // the operator's rerun that announced it; empty: none
}

// Parts are what a Consumer is put together from.
type Parts struct {
	Queue       Queue
	DeadLetters DeadLetters
	Worker      Worker
	Claims      Claims // nil if nothing is ever answered
	Logger      *zap.Logger
	Meter       metric.Meter
	Tracer      trace.Tracer   // nil: nothing is traced
	Random      func() float64 // in [0, 1), for jitter
	NewID       func() string  // a new id for each logical receive, at most 128 characters
}

// Consumer works off one queue. Make one with [New]; a Consumer runs once.
type Consumer struct {
	config     Config
	parts      Parts
	log        *zap.Logger
	meters     meters
	traces     traces
	visibility time.Duration

	// work outlives the context of Run: its cancellation, with a cause, is what
	// tells a handler that it must end.
	work       context.Context
	cancelWork context.CancelCauseFunc
	// polls ends the receives that are still open when their grace is over.
	polls       context.Context
	cancelPolls context.CancelFunc
	background  sync.WaitGroup // receives and releases: what Run waits for

	crew    crew
	keeper  *keeper
	deleter *deleter
	done    *memory[struct{}] // handled, but the delete never came through
	tries   *memory[int]      // of messages that failed, or went back

	mu       sync.Mutex
	groups   map[string]*group
	ready    []*group // with a head to work on, in the order in which they became so
	running  int      // groups that hold a slot
	leased   int      // messages held, ended ones left out
	intake   intake
	outages  map[string]*outage
	stopping bool
	idle     chan struct{} // closed when stopping and nothing runs any more
	health   health
}

// New returns a Consumer. visibility is the queue's own timeout, which SQS does
// not tell with a message.
func New(config Config, visibility time.Duration, parts Parts) (*Consumer, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the consumer's settings: %w", err)
	}
	if config.Visibility > 0 {
		visibility = config.Visibility
	}
	if visibility < time.Second {
		return nil, fmt.Errorf("visibility timeout is %s: a lease needs at least 1s", visibility)
	}
	meters, err := newMeters(parts.Meter, config.Queue)
	if err != nil {
		return nil, fmt.Errorf("make the consumer's instruments: %w", err)
	}
	c := &Consumer{
		config:     config,
		parts:      parts,
		log:        parts.Logger,
		meters:     meters,
		traces:     newTraces(parts.Tracer, config.Queue),
		visibility: visibility,
		done:       newMemory[struct{}](remembered),
		tries:      newMemory[int](remembered),
		groups:     map[string]*group{},
		intake:     newIntake(),
		outages:    map[string]*outage{},
		idle:       make(chan struct{}),
	}
	c.work, c.cancelWork = context.WithCancelCause(context.Background())
	c.polls, c.cancelPolls = context.WithCancel(context.Background())
	c.keeper = newKeeper(c)
	c.deleter = newDeleter(c)
	if err := c.observe(parts.Meter); err != nil {
		return nil, fmt.Errorf("make the consumer's instruments: %w", err)
	}
	return c, nil
}

// remembered is how many messages the tries and the undeleted are remembered
// of. SQS itself looks at no more than 120,000 in flight.
const remembered = 120_000

// Causes with which work is cancelled. Neither counts as a try.
var (
	errStopped = errors.New("the process is stopping")
	errLost    = errors.New("the lease was lost")
)

// Run works until ctx ends, and then stops: it returns when every message is
// deleted or given back. The error is nil then; it is not nil when the queue is
// gone.
func (c *Consumer) Run(ctx context.Context) error {
	fatal := make(chan error, 1)
	c.keeper.start()
	c.mu.Lock()
	c.health.turn(time.Now())
	c.intake.fatal = fatal
	c.schedule()
	c.mu.Unlock()

	var err error
	select {
	case <-ctx.Done():
	case err = <-fatal:
	}
	c.stop()
	return err
}

// stop ends in the order in which nothing can be left behind: no new messages,
// then those that only wait, then those that are being worked on, then their
// deletes.
func (c *Consumer) stop() {
	started := time.Now()
	c.mu.Lock()
	c.stopping = true
	waiting := c.takeWaiting()
	open := len(c.intake.opened)
	running := c.running
	c.checkIdle()
	c.mu.Unlock()
	c.log.Info("stopping", zap.Int("running", running), zap.Int("waiting", len(waiting)), zap.Int("open_polls", open))

	c.giveBack(waiting)
	// A poll that is cut off may take messages with it: SQS has handed them out,
	// and their answer finds nobody. So it may come back by itself first.
	grace := time.AfterFunc(c.config.Stop.PollGrace, c.cancelPolls)
	budget := time.AfterFunc(c.config.Stop.Budget, func() { c.cancelWork(errStopped) })
	last := time.NewTimer(c.config.Stop.Budget + c.config.Stop.Abandon)
	select {
	case <-c.idle:
	case <-last.C:
		c.abandon()
	}
	last.Stop()
	budget.Stop()
	grace.Stop()
	c.deleter.close()
	c.background.Wait()
	c.keeper.close()
	c.crew.dismiss()
	c.cancelWork(errStopped)
	c.cancelPolls()
	c.log.Info("stopped", zap.Duration("took", time.Since(started)))
}

// checkIdle closes idle when a stop has nothing left to wait for. c.mu is held.
func (c *Consumer) checkIdle() {
	if !c.stopping || c.running > 0 || len(c.intake.opened) > 0 {
		return
	}
	select {
	case <-c.idle:
	default:
		close(c.idle)
	}
}

// abandon gives back what handlers still hold that did not end when they were
// told to. Their late result finds a lost lease and changes nothing.
func (c *Consumer) abandon() {
	c.mu.Lock()
	var runs [][]*lease
	for _, g := range c.groups {
		if g.run == nil {
			continue
		}
		for _, l := range g.run {
			c.end(l)
		}
		runs = append(runs, g.run)
		g.run = nil
	}
	c.mu.Unlock()
	c.log.Error("handlers did not end when they were cancelled; their messages are given back", zap.Int("groups", len(runs)))
	c.giveBack(runs)
}

// jittered spreads d over [d/2, d), so that what failed together does not come
// back together.
func (c *Consumer) jittered(d time.Duration) time.Duration {
	return d/2 + time.Duration(c.parts.Random()*float64(d/2))
}
