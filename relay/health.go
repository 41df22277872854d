package relay

import (
	"fmt"
	"sync"
	"time"
)

const (
	// stuckAfter is how long an open poll may not come back: nine long polls.
	stuckAfter = 3 * time.Minute
	// overtime is how long a batch may go on after its deadline.
	overtime = time.Minute
)

// health is what a relay knows of its own life.
type health struct {
	mu       sync.Mutex
	polls    int       // open
	turned   time.Time // when one last came back, or the first of several went out
	failing  bool      // the last one failed
	attempts map[*attempt]struct{}
	holding  map[*attempt]string // what batches wait for the end of
}

// attempt is one batch on its way.
type attempt struct{ since time.Time }

func newHealth() *health {
	return &health{attempts: map[*attempt]struct{}{}, holding: map[*attempt]string{}}
}

func (h *health) polling() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.polls == 0 {
		h.turned = time.Now()
	}
	h.polls++
}

func (h *health) polled(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.polls--
	h.turned = time.Now()
	h.failing = err != nil
}

func (h *health) begin() *attempt {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := &attempt{since: time.Now()}
	h.attempts[a] = struct{}{}
	return a
}

func (h *health) end(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.attempts, a)
}

// holds notes that the batch of a waits for the end of an outage.
func (h *health) holds(a *attempt, outage string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.holding[a] = outage
}

func (h *health) goesOn(a *attempt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.holding, a)
}

// Alive returns nil as long as the process should go on. It is red only when a
// poll has not come back for three minutes, or a batch has outlived its deadline
// by one: an outage, which batches wait out, is no reason to be restarted.
func (r *Relay) Alive() error {
	h := r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	for a := range h.attempts {
		if late := time.Since(a.since) - r.config.Deadline; late > overtime {
			return fmt.Errorf("relay: a batch is %s over its deadline", late.Round(time.Second))
		}
	}
	if still := time.Since(h.turned); h.polls > 0 && still > stuckAfter {
		return fmt.Errorf("relay: no receive has come back for %s", still.Round(time.Second))
	}
	return nil
}

// State is what a relay is doing.
type State struct {
	Polls    int            `json:"polls"`    // receives under way
	Relaying int            `json:"relaying"` // batches on their way
	Holding  map[string]int `json:"holding"`  // batches that wait for the end of an outage, by its name
	Failing  bool           `json:"failing"`  // the intake does not answer
}

// State returns what the relay is doing now.
func (r *Relay) State() State {
	h := r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	s := State{Polls: h.polls, Relaying: len(h.attempts), Holding: map[string]int{}, Failing: h.failing}
	for _, outage := range h.holding {
		s.Holding[outage]++
	}
	return s
}

// Ready returns nil while notices are being relayed, and else why they are not.
func (r *Relay) Ready() error {
	s := r.State()
	for name := range s.Holding {
		if s.Polls == 0 {
			return fmt.Errorf("relay: paused: %s is out", name)
		}
	}
	if s.Failing {
		return fmt.Errorf("relay: the intake does not answer")
	}
	return nil
}
