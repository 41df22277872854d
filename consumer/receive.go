package consumer

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// intake decides how many receives are open at once. One is, when there is
// nothing to do. While receives come back full there are more of them, as many
// as are needed to fill the free slots, and those that will be free soon.
// Consumer.mu guards it.
type intake struct {
	opened  []time.Time   // when each of the receives under way was, the oldest first
	asked   int           // messages they may bring
	allowed int           // grows while receives come back full, falls when they do not, and is one again after an empty one
	groups  float64       // that a full receive brings, on average
	call    time.Duration // that a delete takes, on average, and so a receive that has something to bring
	work    time.Duration // that a handler takes, on average
	failing bool
	fatal   chan<- error
}

func newIntake() intake {
	return intake{allowed: 1, groups: 5, call: 50 * time.Millisecond, work: time.Second}
}

// dry reports whether the queue has nothing more to give just now: a receive has
// been open for longer than it takes to bring what is there.
func (i *intake) dry(now time.Time) bool {
	return len(i.opened) > 0 && now.Sub(i.opened[0]) > 3*i.call
}

// poll opens as many receives as there is room for. c.mu is held.
func (c *Consumer) poll() {
	for !c.stopping && len(c.outages) == 0 && len(c.intake.opened) < c.wanted() {
		c.open(false)
	}
	if len(c.intake.opened) == 0 {
		c.health.turn(time.Now())
	}
}

// open starts one receive if there is room for what it brings: a single message
// for a probe, without a long wait. c.mu is held.
func (c *Consumer) open(probe bool) bool {
	ask, wait := min(perCall, c.config.capacity()-c.leased-c.intake.asked), c.config.Poll
	if ask < 1 {
		return false
	}
	if probe {
		ask, wait = 1, time.Second
	}
	if len(c.intake.opened) == 0 {
		c.health.turn(time.Now())
	}
	c.intake.asked += ask
	opened := time.Now()
	c.intake.opened = append(c.intake.opened, opened)
	c.background.Add(1)
	c.crew.do(func() {
		defer c.background.Done()
		c.receive(ask, wait, opened, probe)
	})
	return true
}

// wanted is how many receives should be open. c.mu is held.
func (c *Consumer) wanted() int {
	if c.config.capacity()-c.leased-c.intake.asked < 1 {
		return 0
	}
	free := c.config.Concurrency + c.ahead() - c.running - len(c.ready)
	if free <= 0 {
		return 0
	}
	return min(c.intake.allowed, int(math.Ceil(float64(free)/c.intake.groups)))
}

// ahead is how many groups are held beyond those that have a slot: as many as are
// begun within about a second, so that no slot waits for a receive, and no message
// waits for long here that another process could have taken. c.mu is held.
func (c *Consumer) ahead() int {
	handled := float64(c.config.Concurrency) * float64(time.Second) / float64(max(c.intake.work, time.Microsecond))
	return int(min(1+handled*c.intake.groups/perCall, float64(c.config.Concurrency)))
}

// receive is one logical receive: it is asked until it is answered.
func (c *Consumer) receive(ask int, wait time.Duration, opened time.Time, probe bool) {
	messages, received, err := c.ask(ask, wait)
	now := time.Now()
	// The leases began when SQS chose the messages, and that was not after now.
	// How much before, nobody says: as long as the receive took, or as an answer
	// may reasonably take on its way.
	deadline := now.Add(-min(now.Sub(received), c.visibility/4)).Add(c.visibility)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.intake.asked -= ask
	i := slices.Index(c.intake.opened, opened)
	c.intake.opened = slices.Delete(c.intake.opened, i, i+1)
	if err != nil {
		c.checkIdle()
		return
	}
	c.health.turn(now)
	if c.stopping {
		c.checkIdle()
		c.refuse(messages, received, deadline)
		return
	}
	c.learn(messages, ask)
	c.admit(messages, len(messages) >= ask, received, deadline)
	if probe {
		c.probed(messages)
	}
	c.schedule()
}

// ask asks until there is an answer. It asks under the same attempt id, because
// an answer that was lost on its way has leased messages, which the same id
// brings again with their visibility timeout reset (ReceiveMessage in the SQS
// API reference). Nothing can have changed their visibility meanwhile: nobody
// has seen their handles. The id is good for five minutes.
func (c *Consumer) ask(most int, wait time.Duration) (_ []queue.Message, received time.Time, _ error) {
	const idLasts = 5*time.Minute - 30*time.Second
	pause := 50 * time.Millisecond
	id, since := c.parts.NewID(), time.Now()
	for {
		asked := time.Now()
		messages, err := c.parts.Queue.Receive(c.polls, queue.Receive{Max: most, Wait: wait, Visibility: c.config.Visibility, Attempt: id})
		if err == nil {
			c.receives(nil)
			return messages, asked, nil
		}
		if c.polls.Err() != nil {
			return nil, asked, err
		}
		if queue.Missing(err) {
			c.giveUp(fmt.Errorf("receive from the queue: %w", err))
			return nil, asked, err
		}
		c.receives(err)
		select {
		case <-time.After(c.jittered(pause)):
		case <-c.polls.Done():
			return nil, asked, err
		}
		pause = min(2*pause, 10*time.Second)
		if time.Since(since) > idLasts {
			id, since = c.parts.NewID(), time.Now()
		}
	}
}

// receives notes how a call to receive went. One failing after the other is one
// line in the log, not one each.
func (c *Consumer) receives(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.health.turn(time.Now())
	failed := c.intake.failing
	c.intake.failing = err != nil
	if err == nil {
		c.meters.polls.Add(context.Background(), 1)
	}
	if err != nil {
		c.intake.allowed = 1
		c.meters.receiveFailures.Add(context.Background(), 1)
	}
	if err != nil && !failed {
		c.log.Warn("receiving fails; asking on", zap.Error(err))
	}
	if err == nil && failed {
		c.log.Info("receiving works again")
	}
}

// giveUp ends Run: the queue is gone.
func (c *Consumer) giveUp(err error) {
	select {
	case c.intake.fatal <- err:
	default:
	}
}

// learn takes from an answer how many receives are worth having. c.mu is held.
func (c *Consumer) learn(messages []queue.Message, ask int) {
	const weight = 0.2
	i := &c.intake
	c.meters.received.Add(context.Background(), int64(len(messages)), c.meters.receiving)
	if len(messages) == 0 {
		i.allowed = 1
		return
	}
	if len(messages) < ask {
		i.allowed = max(1, i.allowed/2)
		return
	}
	i.allowed = min(8*i.allowed, c.config.Concurrency)
	distinct := 1
	for n := 1; n < len(messages); n++ {
		if messages[n].Group != messages[n-1].Group {
			distinct++
		}
	}
	i.groups += weight * (float64(distinct) - i.groups)
}

// average moves an average towards one more value.
func average(so, one time.Duration, weight float64) time.Duration {
	return so + time.Duration(weight*float64(one-so))
}

// refuse gives back what a poll brought after the stop began. c.mu is held.
func (c *Consumer) refuse(messages []queue.Message, received, deadline time.Time) {
	if len(messages) == 0 {
		return
	}
	var runs [][]*lease
	at := map[string]int{}
	for _, m := range messages {
		l := &lease{message: m, received: received, deadline: deadline, index: -1, ended: true}
		if n, seen := at[m.Group]; seen {
			runs[n] = append(runs[n], l)
			continue
		}
		at[m.Group] = len(runs)
		runs = append(runs, []*lease{l})
	}
	c.background.Go(func() { c.giveBack(runs) })
}
