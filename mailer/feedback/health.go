package feedback

import (
	"fmt"
	"sync"
	"time"
)

// stuckAfter is how long the loop may not turn: nine long polls.
const stuckAfter = 3 * time.Minute

// health is what a Reader knows of its own life.
type health struct {
	mu    sync.Mutex
	state State
	// turned is when the loop last turned; zero while it does not run.
	turned time.Time
}

// State is what a Reader is doing.
type State struct {
	Failing    bool      `json:"failing"`       // the queue does not answer
	Bounces    int       `json:"bounces"`       // that were taken in
	Complaints int       `json:"complaints"`    // that were taken in
	Suppressed int       `json:"suppressed"`    // addresses that nobody writes to because of them
	Last       time.Time `json:"last,omitzero"` // when the last of them was
}

// turn notes that the loop has turned, and whether the queue answers.
func (h *health) turn(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turned = time.Now()
	h.state.Failing = err != nil
}

// rest notes that the loop has ended.
func (h *health) rest() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.turned = time.Time{}
}

// took notes an event that was taken in.
func (h *health) took(e Event, suppressed int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e.Kind {
	case Bounce:
		h.state.Bounces++
	case Complaint:
		h.state.Complaints++
	case Other:
		return
	}
	h.state.Suppressed += suppressed
	h.state.Last = time.Now().UTC()
}

// Alive returns nil as long as the process should go on. A queue that does not
// answer is no reason to be restarted; a loop that does not turn is.
func (r *Reader) Alive() error {
	r.health.mu.Lock()
	defer r.health.mu.Unlock()
	if r.health.turned.IsZero() {
		return nil
	}
	if still := time.Since(r.health.turned); still > stuckAfter {
		return fmt.Errorf("feedback: the loop has not turned for %s", still.Round(time.Second))
	}
	return nil
}

// State returns what the Reader is doing now.
func (r *Reader) State() State {
	r.health.mu.Lock()
	defer r.health.mu.Unlock()
	return r.health.state
}
