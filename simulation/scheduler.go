package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// errEnded is what every call of a process gets that has ended: it never
// reaches the world.
var errEnded = errors.New("the process has ended")

// scheduler lets one outside call at a time go on. Whoever makes a call waits
// at a gate; when everything in the bubble waits for something, the seed picks
// one of those at the gate, by an order that does not depend on how goroutines
// happened to run. So a seed replays.
type scheduler struct {
	random *rand.Rand
	faults Faults
	woken  chan struct{}

	mu      sync.Mutex
	waiting []*gate
	healed  bool
	steps   int
	tally   map[string]int     // faults that happened, by name
	ends    map[time.Time]bool // of the calls' delays
	course  hash.Hash64        // of everything that went on, in order
	onEnd   func(*process)
}

// gate is one call that waits to go on.
type gate struct {
	process *process
	key     string // stable: process, operation, object
	fate    chan fate
	returns bool // the call took effect, and its answer is on its way
	sends   bool // the call sends a reply
}

// fate is what the seed has in store for a call.
type fate struct {
	delay time.Duration
	hit   hit
}

// hit is what goes wrong with a call.
type hit int

const (
	spared hit = iota
	lost       // the request, or the answer
	throttled
	failed
	partial   // some entries of a batch fail
	impatient // the caller did not wait for it
	ended     // the process ends here
)

// Faults are how often things go wrong, as shares of calls.
type Faults struct {
	Lost      float64 // requests and answers
	Throttled float64
	Failed    float64
	Partial   float64
	Ended     float64       // the process ends at this call
	Slow      float64       // the call takes up to SlowFor
	SlowFor   time.Duration // longer than a lease, so that leases are lost
	SlowSES   float64       // a reply takes its time until SES has it, as long as its sender just waits for
}

// sendPatience is how long a process waits for SES.
const sendPatience = 10 * time.Second

func newScheduler(random *rand.Rand, faults Faults) *scheduler {
	return &scheduler{random: random, faults: faults, woken: make(chan struct{}, 1), tally: map[string]int{}, ends: map[time.Time]bool{}, course: fnv.New64a()}
}

// pass waits until the scheduler lets the call go on, and returns its fate. The
// caller may not have the patience for a slow one.
func (s *scheduler) pass(ctx context.Context, g *gate) fate {
	g.fate = make(chan fate, 1)
	s.mu.Lock()
	if g.process.dead {
		s.mu.Unlock()
		return fate{hit: ended}
	}
	s.waiting = append(s.waiting, g)
	s.mu.Unlock()
	select {
	case s.woken <- struct{}{}:
	default:
	}
	f := <-g.fate
	if !sleep(ctx, f.delay) {
		f.hit = impatient
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.process.dead {
		return fate{hit: ended}
	}
	return f
}

// sleep waits for d, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// run picks until stop is closed.
func (s *scheduler) run(stop <-chan struct{}) {
	for {
		select {
		case <-s.woken:
		case <-stop:
			return
		}
		for s.step() {
			continue
		}
	}
}

// step lets one call go on. It reports whether there was one.
func (s *scheduler) step() bool {
	synctest.Wait()
	s.mu.Lock()
	if len(s.waiting) == 0 {
		s.mu.Unlock()
		return false
	}
	slices.SortStableFunc(s.waiting, func(a, b *gate) int { return cmp.Compare(a.key, b.key) })
	at := s.random.IntN(len(s.waiting))
	g := s.waiting[at]
	s.waiting = slices.Delete(s.waiting, at, at+1)
	f := s.draw(g)
	f.delay = s.alone(f.delay)
	fmt.Fprintln(s.course, time.Now().UnixNano(), g.key, f.delay, f.hit)
	s.steps++
	if f.hit == ended {
		s.endLocked(g.process)
	}
	s.mu.Unlock()
	g.fate <- f
	return true
}

// alone is a delay of about d that ends when no other does: of two calls that go on
// at the same moment nobody could say which takes effect first. s.mu is held.
func (s *scheduler) alone(d time.Duration) time.Duration {
	now := time.Now()
	end := now.Add(d)
	for ; s.ends[end]; end = end.Add(time.Nanosecond) {
		continue
	}
	s.ends[end] = true
	return end.Sub(now)
}

// draw decides the fate of a call. s.mu is held.
func (s *scheduler) draw(g *gate) fate {
	if g.process.dead {
		return fate{hit: ended}
	}
	f := fate{delay: time.Duration(1+s.random.IntN(20)) * time.Millisecond}
	slow, dice := s.random.Float64(), s.random.Float64()
	long := time.Duration(s.random.Int64N(int64(max(1, s.faults.SlowFor))))
	if s.healed {
		return f
	}
	switch {
	case slow < s.faults.Slow:
		f.delay = long
		s.tally["slow"]++
	case slow < s.faults.SlowSES && g.sends:
		f.delay = min(long, sendPatience-time.Second)
		s.tally["slow"]++
	}
	for _, x := range []struct {
		hit   hit
		share float64
		name  string
		able  bool
	}{
		{lost, s.faults.Lost, "lost", true},
		{throttled, s.faults.Throttled, "throttled", !g.returns},
		{failed, s.faults.Failed, "failed", !g.returns},
		{partial, s.faults.Partial, "partial", !g.returns},
		{ended, s.faults.Ended, "ended", true},
	} {
		if dice -= x.share; dice < 0 {
			if !x.able {
				return f
			}
			f.hit = x.hit
			s.tally[x.name]++
			return f
		}
	}
	return f
}

// endLocked ends a process at one of its calls. s.mu is held.
func (s *scheduler) endLocked(p *process) {
	if p.dead {
		return
	}
	p.dead = true
	var others []*gate
	for _, g := range s.waiting {
		if g.process == p {
			g.fate <- fate{hit: ended}
			continue
		}
		others = append(others, g)
	}
	s.waiting = others
	p.cancel()
	s.onEnd(p)
}

// heal ends all faults.
func (s *scheduler) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healed = true
}
