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
	turned    time.Time // when the loop last turned: see turn
	parked    Tally
	throttled Tally
	lost      Tally
}

// Tally is how often something happened, and when last.
type Tally struct {
	Count int       `json:"count"`
	Last  time.Time `json:"last,omitzero"`
}

func (t *Tally) add() {
	t.Count++
	t.Last = time.Now().UTC()
}

// turn notes that the loop has turned: a receive came back, or the first of
// several went out, or there was no room for one.
func (h *health) turn(now time.Time) { h.turned = now }

// Alive returns nil as long as the process should go on. It is red only when the
// loop has not turned for three minutes although it was not paused, or when a
// handler has outlived its deadline by a minute: an outage is no reason to be
// restarted.
func (c *Consumer) Alive() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for _, id := range sortedKeys(c.groups) {
		at := c.groups[id].work
		if at.message == "" {
			continue
		}
		if late := now.Sub(at.since) - c.config.Deadline; late > overtime {
			return fmt.Errorf("a handler is %s over its deadline: message %s of group %s", late.Round(time.Second), at.message, id)
		}
	}
	// Before Run there is nothing to turn.
	if c.health.turned.IsZero() || c.stopping || len(c.outages) > 0 || len(c.intake.opened) == 0 && c.wanted() == 0 {
		return nil
	}
	if still := now.Sub(c.health.turned); still > stuckAfter {
		return fmt.Errorf("no receive has come back for %s", still.Round(time.Second))
	}
	return nil
}

// State is what the consumer is doing.
type State struct {
	Running   int      `json:"running"`   // groups worked on
	Leased    int      `json:"leased"`    // messages held
	Polls     int      `json:"polls"`     // receives under way
	Outages   []string `json:"outages"`   // what receiving is paused for
	Failing   bool     `json:"failing"`   // the queue does not answer
	Stopping  bool     `json:"stopping"`  // the process is about to end
	Parked    Tally    `json:"parked"`    // mails given back because an application service is out
	Throttled Tally    `json:"throttled"` // tries that were told to come later
	Lost      Tally    `json:"lost"`      // leases that somebody else may have now
}

// State returns what the consumer is doing now.
func (c *Consumer) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return State{
		Running: c.running, Leased: c.leased, Polls: len(c.intake.opened),
		Outages: sortedKeys(c.outages), Failing: c.intake.failing, Stopping: c.stopping,
		Parked: c.health.parked, Throttled: c.health.throttled, Lost: c.health.lost,
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
