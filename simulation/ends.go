package simulation

import "slices"

// final checks what can only be known at the end.
func (c *checker) final() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.fates {
		c.ended(f)
	}
}

func (c *checker) ended(f *fateOf) {
	n, kind := f.mail.number, f.mail.nature
	c.once(f)
	c.reached(f)
	if c.capped(f) && slices.Contains(f.ends, "silent") {
		return
	}
	was := slices.Sorted(slices.Values(slices.Compact(f.ends)))
	switch kind {
	case automatic:
		if !slices.Contains(was, "silent") {
			c.breaksLocked("11: mail %d is automatic and no log line says that it ended silent: %v", n, was)
		}
	case silent:
		if f.good == 0 && len(f.dead) == 0 {
			c.breaksLocked("1: mail %d is lost: the application never had it", n)
		}
	case permanent:
		if len(f.dead) == 0 {
			c.breaksLocked("1: mail %d is lost: it should be dead-lettered", n)
		}
	case plain, slow, flaky, poison:
		if f.replies == 0 && len(f.dead) == 0 {
			c.breaksLocked("1: mail %d (%s) is lost: no reply, no dead letter; asked %d times", n, kind, f.asked)
		}
		if f.redriven && f.replies == 0 && len(f.dead) == f.diedBefore {
			c.breaksLocked("12: mail %d was redriven after its cause was mended, and neither answered nor dead-lettered anew", n)
		}
	}
	if c.plan.calm {
		c.calm(f)
	}
}

// calm checks a mail of a run in which nothing went wrong: then nothing is done
// twice either, whenever processes are stopped.
func (c *checker) calm(f *fateOf) {
	want := map[nature]int{plain: 1, slow: 1, silent: 1, flaky: f.mail.fails + 1, automatic: 0}[f.mail.nature]
	out := c.plan.outUntil > c.plan.outFrom
	if f.asked != want && !out {
		c.breaksLocked("10: the application was asked %d times about mail %d (%s) although nothing went wrong, want %d", f.asked, f.mail.number, f.mail.nature, want)
	}
	if c.plan.quiet && f.given != 1 {
		c.breaksLocked("6: the queue gave mail %d (%s) out %d times although nothing went wrong and nothing was stopped", f.mail.number, f.mail.nature, f.given)
	}
	if len(f.dead) > 0 {
		c.breaksLocked("9: mail %d (%s) was dead-lettered although nothing went wrong: %s", f.mail.number, f.mail.nature, f.dead[0].Reason)
	}
}
