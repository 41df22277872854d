package consumer

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"inreply/queue"
)

// outage is something that every mail needs and that does not answer. While
// there is one, nothing is received and no head is started, but for one probe
// at a time; what was received keeps its leases, and no try is counted.
type outage struct {
	name    string
	since   time.Time
	pause   time.Duration
	waiting []*group // whose heads failed for it
	probed  int      // of them, since one that was not tried before
	timer   *time.Timer
}

// hold keeps the run of l, and gives its slot back until the dependency is back. The
// first error by which that was seen is logged: it says what to mend.
func (c *Consumer) hold(l *lease, name string, err error) (slot bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ended || c.stopping {
		return true
	}
	o := c.outages[name]
	if o == nil {
		o = &outage{name: name, since: time.Now(), pause: c.config.Probe.Min}
		c.outages[name] = o
		c.log.Error("outage: receiving is paused", zap.String("outage", name), zap.Error(err))
		c.meters.outages.Add(context.Background(), 1, metric.WithAttributes(attribute.String("dependency", name)))
		c.probeLater(o)
	}
	l.group.state = out
	o.waiting = append(o.waiting, l.group)
	c.running--
	c.schedule()
	return false
}

// probeLater tries the dependency again after its pause. c.mu is held.
func (c *Consumer) probeLater(o *outage) {
	if o.timer != nil {
		o.timer.Stop()
	}
	o.timer = time.AfterFunc(c.jittered(o.pause), func() { c.probe(o) })
}

// probe lets one mail through: those that failed in turn, and then one that was
// not tried yet, or else a single object that can never be read would look like
// an outage for ever.
func (c *Consumer) probe(o *outage) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping || c.outages[o.name] != o {
		return
	}
	g := o.next()
	if g == nil {
		o.probed = 0
		g = c.nextReady()
	}
	if g != nil {
		g.probe = true
		c.start(g)
		return
	}
	if len(c.intake.opened) > 0 || !c.open(true) {
		c.probeLater(o)
	}
}

// next returns the next group of those that failed, or nil when each had its
// turn.
func (o *outage) next() *group {
	for len(o.waiting) > o.probed {
		g := o.waiting[0]
		o.waiting = o.waiting[1:]
		if g.state == out && len(g.run) > 0 {
			o.probed++
			return g
		}
	}
	return nil
}

// probed starts what a receive for a probe has brought. c.mu is held.
func (c *Consumer) probed(messages []queue.Message) {
	for _, m := range messages {
		g := c.groups[m.Group]
		if g != nil && g.state == ready && len(g.run) > 0 {
			g.probe = true
			c.start(g)
			return
		}
	}
	c.probeAllLater()
}

// probeAllLater goes on probing after a probe that has shown nothing. c.mu is
// held.
func (c *Consumer) probeAllLater() {
	for _, name := range sortedKeys(c.outages) {
		c.probeLater(c.outages[name])
	}
}

// endProbe takes the verdict on a probe: the dependency is still out, or else
// it is back and everything goes on.
func (c *Consumer) endProbe(v verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return
	}
	for _, name := range sortedKeys(c.outages) {
		o := c.outages[name]
		if v.disposition == hold && v.outage == name {
			o.pause = min(2*o.pause, c.config.Probe.Max)
			c.probeLater(o)
			continue
		}
		if v.disposition == drop {
			c.probeLater(o)
			continue
		}
		c.endOutage(o)
	}
	c.schedule()
}

// endOutage lets everything go on. c.mu is held.
func (c *Consumer) endOutage(o *outage) {
	o.timer.Stop()
	delete(c.outages, o.name)
	c.log.Info("outage is over: receiving goes on", zap.String("outage", o.name), zap.Duration("lasted", time.Since(o.since)), zap.Int("waiting", len(o.waiting)))
	for _, g := range o.waiting {
		if g.state != out || len(g.run) == 0 {
			continue
		}
		g.run[0].held++
		c.makeReady(g)
	}
}

// endBurialProbe goes on probing after a probe that only sent a dead letter.
func (c *Consumer) endBurialProbe(g *group) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.probe && !c.stopping {
		g.probe = false
		c.probeAllLater()
	}
}
