package simulation

import (
	"encoding/json"
	"strings"

	"inreply/consumer"
)

// buried notes dead letters.
func (c *checker) buried(x call) {
	if !strings.HasSuffix(queueOf(x.body), deadQueue) {
		return
	}
	var batch struct {
		Entries []struct {
			MessageAttributes map[string]struct{ StringValue string }
		}
	}
	_ = json.Unmarshal(x.body, &batch)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range batch.Entries {
		var l consumer.DeadLetter
		_ = json.Unmarshal([]byte(e.MessageAttributes[consumer.DeadLetterAttribute].StringValue), &l)
		f := c.byKey[l.Key]
		if f == nil {
			c.breaksLocked("11: a dead letter does not say which mail it is: %+v", l)
			continue
		}
		f.dead = append(f.dead, l)
		f.settled = true
		// What the application did, and what a dying process may have: outages and
		// the tries of those before it in the group are none of a mail's own.
		// One whose lease was ended early may have been tried in two places at once,
		// of which one found its lease gone before it asked the application.
		if most := f.failed + f.good + f.cut + c.deaths; f.mail.nature != permanent && !f.expired && most < attempts {
			c.breaksLocked("5: mail %d was dead-lettered after %d tries of its own: %s", f.mail.number, most, l.Reason)
		}
	}
}

// moved is called when a dead letter went back into the queue.
func (c *checker) moved(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.byKey[key]; f != nil {
		f.redriven = true
		f.diedBefore = len(f.dead)
	}
}
