package simulation

import (
	"encoding/json"
	"slices"
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
		if f.isDead(l.Message) {
			continue // It is the same dead letter, sent again.
		}
		f.dead = append(f.dead, l)
		f.settled = true
		// What the application knows of, and what a process may have that died with it.
		// Outages, tries of those before it in the group, and those whose lease was gone
		// before the application was asked, are none of its own.
		if tries := f.tried[l.Mail]; f.mail.nature != permanent && tries < attempts {
			c.breaksLocked("5: mail %d was dead-lettered after %d tries of its own: %s", f.mail.number, tries, l.Reason)
		}
		if slices.ContainsFunc(f.sends, func(s *send) bool { return s.mail == l.Mail && !s.excused }) {
			c.breaksLocked("1: mail %d was dead-lettered after it had been answered: %s", f.mail.number, l.Reason)
		}
	}
}

// isDead reports whether the message of this id was dead-lettered.
func (f *fateOf) isDead(message string) bool {
	return slices.ContainsFunc(f.dead, func(l consumer.DeadLetter) bool { return l.Message == message })
}

// allDead reports whether all messages that announced the mail under this id were
// dead-lettered. A redriven mail is another message.
func (f *fateOf) allDead(id string) bool {
	dead := false
	for message, under := range f.messages {
		if under != id {
			continue
		}
		if !f.isDead(message) {
			return false
		}
		dead = true
	}
	return dead
}

// moved is called when a dead letter went back into the queue.
func (c *checker) moved(l consumer.DeadLetter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.byKey[l.Key]; f != nil {
		f.redriven = true
		f.diedBefore = len(f.dead)
		f.moved[l.Message] = l.Mail
		delete(f.tried, l.Mail)
	}
}

// reached checks that each letter that went back into the queue came out of it again,
// as a message of its own. c.mu is held.
func (c *checker) reached(f *fateOf) {
	count := func(messages map[string]string, id string) (n int) {
		for _, under := range messages {
			if under == id {
				n++
			}
		}
		return n
	}
	for _, id := range f.moved {
		if given, moved := count(f.messages, id), count(f.moved, id); id != "" && given <= moved {
			c.breaksLocked("12: mail %d is lost to a redrive: it was redriven %d times, and the queue gave out %d messages", f.mail.number, moved, given)
		}
	}
}
