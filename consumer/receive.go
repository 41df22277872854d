package consumer

import (
	"context"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
)

// asked is the most that SQS returns in one receive.
const mostMessages = 10

// intake decides how many receives are open at once. One is, when there is
// nothing to do. While receives come back full there are more of them, as many
// as are needed to fill the free slots, and those that will be free by the time
// the answer is there. Consumer.mu guards it.
type intake struct {
	open     int     // receives under way
	asked    int     // messages they may bring
	allowed  int     // grows while receives come back full, and is one again after an empty one
	groups   float64 // that a full receive brings, on average
	ahead    float64 // groups that finish while a full receive is under way, on average
	finished int     // groups that were worked off, ever
	failing  bool
	fatal    chan<- error
}

func newIntake() intake {
	return intake{allowed: 1, groups: 5, ahead: 1}
}

// poll opens as many receives as there is room for. c.mu is held.
func (c *Consumer) poll() {
	for !c.stopping && len(c.outages) == 0 && c.intake.open < c.wanted() {
		c.open(false)
	}
	if c.intake.open == 0 {
		c.health.turn(time.Now())
	}
}

// open starts one receive if there is room for what it brings: a single message
// for a probe, without a long wait. c.mu is held.
func (c *Consumer) open(probe bool) bool {
	ask, wait := min(mostMessages, c.config.capacity()-c.leased-c.intake.asked), c.config.Poll
	if ask < 1 {
		return false
	}
	if probe {
		ask, wait = 1, time.Second
	}
	if c.intake.open == 0 {
		c.health.turn(time.Now())
	}
	c.intake.open++
	c.intake.asked += ask
	before := c.intake.finished
	c.background.Go(func() { c.receive(ask, wait, before, probe) })
	return true
}

// wanted is how many receives should be open. c.mu is held.
func (c *Consumer) wanted() int {
	if c.config.capacity()-c.leased-c.intake.asked < 1 {
		return 0
	}
	// Groups finish in waves, since those that started together do, so twice the
	// average is ready for the next.
	ahead := min(int(math.Ceil(2*c.intake.ahead)), c.config.Concurrency)
	free := c.config.Concurrency + ahead - c.running - len(c.ready)
	if free <= 0 {
		return 0
	}
	return min(c.intake.allowed, int(math.Ceil(float64(free)/c.intake.groups)))
}

// receive is one logical receive: it is asked until it is answered.
func (c *Consumer) receive(ask int, wait time.Duration, finishedBefore int, probe bool) {
	messages, received, err := c.ask(ask, wait)
	now := time.Now()
	// The leases began when SQS chose the messages, and that was not after now.
	// How much before, nobody says: as long as the receive took, or as an answer
	// may reasonably take on its way.
	deadline := now.Add(-min(now.Sub(received), c.visibility/4)).Add(c.visibility)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.intake.open--
	c.intake.asked -= ask
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
	c.learn(messages, ask, c.intake.finished-finishedBefore)
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
func (c *Consumer) learn(messages []queue.Message, ask, finished int) {
	const weight = 0.2
	i := &c.intake
	c.meters.received.Add(context.Background(), int64(len(messages)), c.meters.receiving)
	if len(messages) == 0 {
		i.allowed = 1
		return
	}
	if len(messages) < ask {
		return
	}
	i.allowed = min(4*i.allowed, c.config.Concurrency)
	distinct := 1
	for n := 1; n < len(messages); n++ {
		if messages[n].Group != messages[n-1].Group {
			distinct++
		}
	}
	i.groups += weight * (float64(distinct) - i.groups)
	i.ahead += weight * (float64(finished) - i.ahead)
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
