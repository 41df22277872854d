package consumer

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// group is what is held of one message group: a run of leases in the order of
// the queue. The first is the head, the only one that is ever worked on; the
// others follow it.
type group struct {
	id     string
	run    []*lease
	state  state
	timer  *time.Timer // while waiting
	probe  bool        // it may run although something is out
	served int         // runs that were worked off; a group that came again is likely to have more
	more   bool        // what was received of it last filled the answer up, so that the queue may have more
	work   work        // what its handler is at
}

// work is what a handler is at, whether or not its lease is still held. The zero
// value is nothing.
type work struct {
	message string
	since   time.Time
}

// state says where a group stands. Lists of groups are not searched when a
// group's state changes: whoever takes one from a list looks at its state.
type state int

const (
	idle    state = iota // nothing to do, or nothing held
	ready                // in Consumer.ready
	running              // holds a slot
	waiting              // its head is tried again when its timer fires
	out                  // in the waiting list of an outage
)

// rested is how many groups are remembered after their run has ended.
const rested = 4096

// schedule gives free slots to groups, and asks for more when there is room. It
// is called whenever something has changed that either depends on. c.mu is held.
func (c *Consumer) schedule() {
	for !c.stopping && len(c.outages) == 0 && c.running < c.config.Concurrency {
		g := c.nextReady()
		if g == nil {
			break
		}
		c.start(g)
	}
	c.poll()
	c.checkIdle()
}

// nextReady takes the group that has been ready the longest, or nil. When the queue
// has nothing more to give it takes the one with the longest run: a group is work
// for one slot, and who is left at the end leaves the others idle. c.mu is held.
func (c *Consumer) nextReady() *group {
	if len(c.ready) > 1 && c.intake.dry(time.Now()) {
		c.longestFirst()
	}
	for len(c.ready) > 0 {
		g := c.ready[0]
		c.ready[0] = nil
		c.ready = c.ready[1:]
		if g.state != ready {
			continue
		}
		if len(g.run) > 0 {
			return g
		}
		c.rest(g)
	}
	return nil
}

// longestFirst moves the ready group with the longest run to the front. c.mu is held.
func (c *Consumer) longestFirst() {
	longest, length := 0, 0
	for i, g := range c.ready {
		if g.state == ready && len(g.run) > length {
			longest, length = i, len(g.run)
		}
	}
	g := c.ready[longest]
	copy(c.ready[1:longest+1], c.ready[:longest])
	c.ready[0] = g
}

// passOn returns the group that is to have the slot of g: one with a longer run, when
// the queue has nothing more to give. c.mu is held.
func (c *Consumer) passOn(g *group) *group {
	if len(c.ready) == 0 || len(g.run) == 0 || g.probe || c.stopping || len(c.outages) > 0 || !c.intake.dry(time.Now()) {
		return g
	}
	c.longestFirst()
	longest := c.ready[0]
	if longest.state != ready || len(longest.run) <= len(g.run) {
		return g
	}
	c.ready[0] = nil
	c.ready = c.ready[1:]
	longest.state = running
	c.makeReady(g)
	return longest
}

// start gives g a slot. c.mu is held.
func (c *Consumer) start(g *group) {
	g.state = running
	c.running++
	// Not one of those that Run waits for: a handler may never return.
	c.crew.do(func() { c.workOff(g) })
}

// workOff works off the run of one group, head after head, for as long as the
// group holds its slot, or that of the group to which it passes it on.
func (c *Consumer) workOff(g *group) {
	for g != nil {
		g = c.workUntilCancelled(g)
	}
}

// workUntilCancelled does so until a head is cancelled, for all heads have one context:
// it returns the group whose slot it is then, or nil when it is given back.
func (c *Consumer) workUntilCancelled(g *group) *group {
	ctx, cancel := context.WithCancelCause(c.work)
	defer cancel(nil)
	for {
		l := c.begin(g, cancel)
		if l == nil {
			return nil
		}
		traced := c.traces.begin(ctx, l)
		result, err := c.try(traced, l)
		if slot := c.settle(traced, l, result, err); !slot {
			return nil
		}
		g = l.group
		if ctx.Err() != nil {
			return g
		}
	}
}

// begin returns the head to work on now: of g, or of another group that is to have the
// slot before. When there is none, or none may be worked on, it gives the slot back and
// returns nil. cancel ends the work.
func (c *Consumer) begin(g *group, cancel context.CancelCauseFunc) *lease {
	c.mu.Lock()
	defer c.mu.Unlock()
	g = c.passOn(g)
	for len(g.run) > 0 && !c.stopping && (len(c.outages) == 0 || g.probe) {
		l := g.run[0]
		if !time.Now().Before(l.deadline) {
			c.lose(l, "it ran out before its turn")
			continue
		}
		tries, _ := c.tries.get(l.message.ID)
		l.try = tries + 1
		l.started = time.Now()
		if l.buried == nil {
			g.work = work{message: l.message.ID, since: l.started}
		}
		l.cancel = cancel
		return l
	}
	c.leave(g)
	return nil
}

// leave gives the slot of g back. c.mu is held.
func (c *Consumer) leave(g *group) {
	c.running--
	// A probe that lost its lease before its turn has shown nothing.
	if g.probe && !c.stopping {
		c.probeAllLater()
	}
	c.rest(g)
	switch {
	case len(g.run) == 0:
	case c.stopping:
		run := c.take(g)
		c.background.Go(func() { c.giveBack([][]*lease{run}) })
	default:
		c.makeReady(g)
	}
	c.schedule()
}

// rest puts g down: forgotten, or remembered for a while when its run is done.
// c.mu is held.
func (c *Consumer) rest(g *group) {
	g.state = idle
	g.probe = false
	if len(g.run) == 0 && len(c.groups) > rested+c.config.capacity() {
		delete(c.groups, g.id)
	}
}

// makeReady queues g for a slot. c.mu is held.
func (c *Consumer) makeReady(g *group) {
	g.state = ready
	c.ready = append(c.ready, g)
}

// admit takes what one receive brought into the groups' runs. received is the
// moment from which SQS counts its twelve hours, deadline the end of the leases; full
// says that there were as many messages as were asked for.
func (c *Consumer) admit(messages []queue.Message, full bool, received, deadline time.Time) {
	var again []*lease
	arrived := time.Now()
	for i, m := range messages {
		l := &lease{message: m, received: received, arrived: arrived, deadline: deadline, index: -1}
		if _, handled := c.done.get(m.ID); handled {
			again = append(again, l)
			continue
		}
		c.add(l)
		l.group.more = full && i == len(messages)-1
	}
	// It was handled, and its delete did not come through: once is enough.
	for _, l := range again {
		c.log.Info("handled before, deleted now", zap.String("message", l.message.ID), zap.String("group", l.message.Group))
		c.deleter.add(l, final{}, hurried)
	}
}

// add puts one lease at its place in its group's run. c.mu is held.
func (c *Consumer) add(l *lease) {
	g := c.groups[l.message.Group]
	if g == nil {
		g = &group{id: l.message.Group}
		c.groups[g.id] = g
	}
	l.group = g
	// SQS gives a message out again only when its lease is over, whatever our
	// clock says.
	if i := slices.IndexFunc(g.run, func(held *lease) bool { return held.message.ID == l.message.ID }); i >= 0 {
		c.lose(g.run[i], "the queue gave it out again")
	}
	at := len(g.run)
	for at > 0 && before(l.message.Sequence, g.run[at-1].message.Sequence) && g.run[at-1].cancel == nil {
		at--
	}
	g.run = slices.Insert(g.run, at, l)
	c.leased++
	c.keeper.add(l)
	if g.state == idle {
		c.makeReady(g)
	}
}

// before compares sequence numbers: decimal, 20 digits on AWS, fewer elsewhere.
func before(a, b string) bool {
	if len(a) != len(b) {
		return len(a) < len(b)
	}
	return a < b
}

// pop takes the head l off its run, if it still is the head. c.mu is held.
func (c *Consumer) pop(l *lease) bool {
	g := l.group
	if l.ended || len(g.run) == 0 || g.run[0] != l {
		return false
	}
	c.end(l)
	g.run[0] = nil
	g.run = g.run[1:]
	if len(g.run) == 0 {
		g.run = nil
		g.served++
	}
	return true
}

// take takes the whole run off g. c.mu is held.
func (c *Consumer) take(g *group) []*lease {
	run := g.run
	g.run = nil
	for _, l := range run {
		c.end(l)
	}
	return run
}

// end strikes l off everything that holds it. c.mu is held.
func (c *Consumer) end(l *lease) {
	if l.ended {
		return
	}
	l.ended = true
	c.leased--
	c.keeper.remove(l)
}

// takeWaiting takes the runs of all groups that do not run, and the followers
// of those that do. c.mu is held.
func (c *Consumer) takeWaiting() [][]*lease {
	var runs [][]*lease
	for _, id := range sortedKeys(c.groups) {
		g := c.groups[id]
		if len(g.run) == 0 {
			continue
		}
		if g.state != running {
			if g.timer != nil {
				g.timer.Stop()
			}
			g.state = idle
			runs = append(runs, c.take(g))
			continue
		}
		followers := g.run[1:]
		if len(followers) == 0 {
			continue
		}
		g.run = g.run[:1:1]
		for _, l := range followers {
			c.end(l)
		}
		runs = append(runs, followers)
	}
	for _, o := range c.outages {
		o.timer.Stop()
	}
	return runs
}

// sortedKeys gives a map's keys an order, so that the same events lead to the
// same calls.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
