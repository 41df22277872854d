package consumer

import (
	"fmt"
	"time"
)

// stuckAfter is how long no receive may come back while there is room for what
// it would bring: nine long polls.
const stuckAfter = 3 * time.Minute

// overtime is how long a handler may go on after its deadline.
const overtime = time.Minute

// health is what the consumer knows of its own life. Consumer.mu guards it.
type health struct {
	turned time.Time // when a receive last came back, or the consumer started
}

func (h *health) start(now time.Time) { h.turned = now }
func (h *health) turn(now time.Time)  { h.turned = now }

// Alive returns nil as long as the process should go on. It is red only when the
// loop has not turned for three minutes although it was not paused, or when a
// handler has outlived its deadline by a minute: an outage is no reason to be
// restarted.
func (c *Consumer) Alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, id := range sortedKeys(c.groups) {
		g := c.groups[id]
		if g.state != running || len(g.run) == 0 || g.run[0].cancel == nil {
			continue
		}
		if late := now.Sub(g.run[0].started) - c.config.Deadline; late > overtime {
			return fmt.Errorf("a handler is %s over its deadline: message %s of group %s", late.Round(time.Second), g.run[0].message.ID, id)
		}
	}
	if c.stopping || len(c.outages) > 0 || c.intake.open == 0 {
		return nil
	}
	if still := now.Sub(c.health.turned); still > stuckAfter {
		return fmt.Errorf("no receive has come back for %s", still.Round(time.Second))
	}
	return nil
}

// State is what the consumer is doing.
type State struct {
	Running  int      `json:"running"`  // groups worked on
	Leased   int      `json:"leased"`   // messages held
	Polls    int      `json:"polls"`    // receives under way
	Outages  []string `json:"outages"`  // what receiving is paused for
	Failing  bool     `json:"failing"`  // the queue does not answer
	Stopping bool     `json:"stopping"` // the process is about to end
}

// State returns what the consumer is doing now.
func (c *Consumer) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{
		Running: c.running, Leased: c.leased, Polls: c.intake.open,
		Outages: sortedKeys(c.outages), Failing: c.intake.failing, Stopping: c.stopping,
	}
}

// Ready returns nil when mails are being taken, and else why they are not.
func (c *Consumer) Ready() error {
	s := c.State()
	if s.Stopping {
		return fmt.Errorf("the process is stopping")
	}
	if len(s.Outages) > 0 {
		return fmt.Errorf("paused: %v is out", s.Outages)
	}
	if s.Failing {
		return fmt.Errorf("the queue does not answer")
	}
	return nil
}
