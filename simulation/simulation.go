// Package simulation proves the promises of inreply's design under fault.
//
// The real relay, consumer, processing and mailer run, several processes of
// them, against a simulated AWS (package local, without sockets) in a bubble of
// virtual time. Every call that a process makes to the outside, to AWS and to
// the application, waits at a gate (scheduler.go), and a seed decides which goes
// on next and what goes wrong with it: the request or the answer is lost, the
// call is throttled, fails, does half of what it was asked, takes longer than a
// lease lasts, or the process ends there and then. A process that ended makes no
// call that reaches the world any more.
//
// Then all faults cease, and when the queues have run empty the promises are
// checked from the outside (check.go): by what SES sent (replies.go), what lies in
// the dead-letter queue (letters.go), what the application was asked in which order
// (order.go), and how each mail ended (ends.go).
//
// A seed replays: run one with
//
//	go test ./simulation -run TestSeeds -sim.seed 42 -v
//
// and many with
//
//	go test ./simulation -run TestOn -sim.for 10m
package simulation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"

	"inreply"
	"inreply/configs"
	"inreply/local"
	"inreply/processing"
)

// Run is one simulation, from a seed to a verdict. It must be run in a
// testing/synctest bubble.
type Run struct {
	seed      uint64
	random    *rand.Rand
	plan      plan
	config    configs.Config
	world     *local.World
	scheduler *scheduler
	checker   *checker
	processes sync.WaitGroup
	started   time.Time

	mu    sync.Mutex
	alive []*process
	count int
}

// process is one daemon, from its start to its end.
type process struct {
	name   string
	cancel context.CancelFunc // as SIGTERM does
	dead   bool               // guarded by scheduler.mu
	done   chan struct{}
}

// Report is what a run went through.
type Report struct {
	Seed      uint64
	Mails     int
	Processes int
	Calls     int
	Faults    map[string]int
	Lasted    time.Duration // virtual
	Deaths    int           // processes that ended at once, at any call
	Broken    []string      // promises that were broken, each with what shows it
	Log       []string      // of all processes
	Course    uint64        // a digest of all calls, in their order, with their times and fates
}

// Simulate runs one seed.
func Simulate(seed uint64) (Report, error) {
	random := rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))
	r := &Run{seed: seed, random: random, plan: newPlan(random, rand.New(rand.NewPCG(seed, 4))), started: time.Now()}
	var err error
	if r.config, err = r.configure(); err != nil {
		return Report{}, err
	}
	r.checker = newChecker(r.plan)
	r.world = local.New(local.Config{Region: region, Rand: seeded{rand.New(rand.NewPCG(seed, 1))}})
	defer r.world.Close()
	if err := r.provision(); err != nil {
		return Report{}, err
	}
	r.scheduler = newScheduler(rand.New(rand.NewPCG(seed, 2)), r.plan.faults)
	r.scheduler.onEnd = r.ended

	stop := make(chan struct{})
	scheduling := make(chan struct{})
	go func() {
		defer close(scheduling)
		r.scheduler.run(stop)
	}()
	err = r.drive()
	r.stopAll()
	r.processes.Wait()
	close(stop)
	<-scheduling
	if err != nil {
		return Report{}, err
	}
	r.checker.final()
	return Report{
		Seed: seed, Mails: len(r.plan.mails), Processes: r.count, Calls: r.scheduler.steps,
		Faults: r.scheduler.tally, Lasted: time.Since(r.started), Deaths: r.checker.deaths,
		Broken: r.checker.broken, Log: r.checker.lines, Course: r.scheduler.course.Sum64(),
	}, nil
}

// drive lets things happen as planned, then heals the world and waits until the
// queues are empty.
func (r *Run) drive() error {
	for range r.plan.processes {
		if err := r.start(); err != nil {
			return err
		}
	}
	for _, e := range r.plan.events {
		// Those that an earlier one has held up come one by one too, each when all is quiet.
		time.Sleep(max(time.Microsecond, time.Until(r.started.Add(e.at))))
		if err := e.happens(r); err != nil {
			return err
		}
	}
	r.scheduler.heal()
	r.checker.heal()
	for range 12 * 60 {
		time.Sleep(10 * time.Second)
		if r.settled() {
			return nil
		}
		r.mu.Lock()
		alive := len(r.alive)
		r.mu.Unlock()
		if alive == 0 {
			if err := r.start(); err != nil {
				return err
			}
		}
	}
	r.checker.breaks("1: two hours after all faults ceased the queues are not empty: %s", r.depth())
	return nil
}

// settled reports whether the queues are empty.
func (r *Run) settled() bool {
	for _, name := range []string{intakeQueue, mailQueue} {
		visible, inFlight := r.counts(name)
		if visible+inFlight > 0 {
			return false
		}
	}
	return true
}

func (r *Run) depth() string {
	var s strings.Builder
	for _, name := range []string{intakeQueue, mailQueue} {
		visible, inFlight := r.counts(name)
		fmt.Fprintf(&s, "%s has %d visible and %d in flight; ", name, visible, inFlight)
	}
	return s.String()
}

// start starts one more process.
func (r *Run) start() error {
	r.mu.Lock()
	r.count++
	seed := r.random.Uint64()
	p := &process{name: fmt.Sprintf("p%02d", r.count), done: make(chan struct{})}
	r.alive = append(r.alive, p)
	r.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel

	w := &wire{scheduler: r.scheduler, process: p, world: r.world.Client(), saw: r.checker.saw, hit: r.checker.hit}
	clients := inreply.ClientsFrom(aws.Config{
		Region: region, BaseEndpoint: aws.String("http://local"),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     steadyRetries,
	}, w, configs.AWS{})
	// Drawn here and not where they are used, so that the order of goroutines
	// within a process cannot change what another process draws.
	random := &source{random: rand.New(rand.NewPCG(seed, 3))}
	parts := inreply.Parts{
		Logger: zap.New(r.checker.core(p)), Random: random.float, NewID: random.id,
		Processors: map[string]processing.Processor{"app": &application{run: r, process: p}},
	}
	r.processes.Go(func() {
		defer close(p.done)
		r.live(ctx, p, clients, parts)
	})
	return nil
}

// live is the life of a process. One that cannot start is started again by ECS,
// a little later.
func (r *Run) live(ctx context.Context, p *process, clients inreply.Clients, parts inreply.Parts) {
	defer r.gone(p)
	for {
		d, err := inreply.New(ctx, r.config, clients, parts)
		if err == nil {
			err = d.Run(ctx)
			if err != nil && !errors.Is(err, errEnded) {
				r.checker.breaks("9: a process ended by itself: %v", err)
			}
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		r.scheduler.mu.Lock()
		dead := p.dead
		r.scheduler.mu.Unlock()
		if dead {
			return
		}
	}
}

// gone takes a process off the list.
func (r *Run) gone(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, x := range r.alive {
		if x == p {
			r.alive = append(r.alive[:i:i], r.alive[i+1:]...)
			return
		}
	}
}

// ended is told by the scheduler that a process has died; another takes its
// place a little later.
func (r *Run) ended(p *process) {
	r.checker.died(p)
	go func() {
		r.gone(p)
		time.Sleep(2 * time.Second)
		_ = r.start()
	}()
}

// terminate stops one process as ECS does, and starts another.
func (r *Run) terminate() error {
	r.mu.Lock()
	if len(r.alive) == 0 {
		r.mu.Unlock()
		return nil
	}
	p := r.alive[0]
	r.mu.Unlock()
	p.cancel()
	return r.start()
}

func (r *Run) stopAll() {
	r.mu.Lock()
	alive := append([]*process(nil), r.alive...)
	r.mu.Unlock()
	for _, p := range alive {
		p.cancel()
	}
}

// steadyRetries is the SDK's retryer without the randomness of its own.
func steadyRetries() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return time.Duration(attempt) * 50 * time.Millisecond, nil
		})
	})
}

// source is the randomness of one process.
type source struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (s *source) float() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64()
}

func (s *source) id() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%016x%016x", s.random.Uint64(), s.random.Uint64())
}

// seeded reads random octets from a seed.
type seeded struct{ random *rand.Rand }

func (s seeded) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(s.random.Uint32N(256)) //nolint:gosec // it is below 256
	}
	return len(b), nil
}

var _ io.Reader = seeded{}
