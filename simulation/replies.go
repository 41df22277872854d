package simulation

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// send is one reply that SES took.
type send struct {
	process   *process
	mail      string // the id under which it was answered
	excused   bool   // its answer never came, or the commit behind it was hit
	committed bool
}

var answers = regexp.MustCompile(`(?m)^In-Reply-To: <(\d+)@mails\.example>`)

// replyTo is the mail that a call of SES answers, and the id that it is tagged with.
func (c *checker) replyTo(body []byte) (f *fateOf, id string) {
	form, _ := url.ParseQuery(string(body))
	id = form.Get("Tags.member.1.Value")
	raw, _ := base64.StdEncoding.DecodeString(form.Get("RawMessage.Data"))
	found := answers.FindSubmatch(raw)
	if found == nil {
		return nil, id
	}
	n, _ := strconv.Atoi(string(found[1]))
	return c.fates[n], id
}

func (c *checker) sent(x call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f, id := c.replyTo(x.body)
	if f == nil {
		c.breaksLocked("8: a mail was sent that answers none")
		return
	}
	if f.allDead(id) {
		c.breaksLocked("1: mail %d was answered after it had been dead-lettered", f.mail.number)
	}
	f.replies++
	f.settled = true
	if f.replies == 1 && time.Since(c.began) < time.Hour {
		c.answeredTo[f.mail.from]++
		if n, most := c.answeredTo[f.mail.from], c.plan.perHour; most > 0 && n > most {
			c.breaksLocked("8: %s got replies to %d mails within an hour, the cap is %d", f.mail.from, n, most)
		}
	}
	f.sends = append(f.sends, &send{process: x.process, mail: id})
	if f.mail.nature == automatic {
		c.breaksLocked("8: mail %d is automatic and was answered", f.mail.number)
	}
}

// hit is called when a call went wrong, before or after it took effect.
func (c *checker) hit(x call) {
	switch x.operation {
	case "query.SendRawEmail":
		c.mu.Lock()
		defer c.mu.Unlock()
		if f, _ := c.replyTo(x.body); f != nil && len(f.sends) > 0 {
			f.sends[len(f.sends)-1].excused = true
		}
	case "s3.PUT":
		c.sendsOf(x, func(s *send) { s.excused = s.excused || !s.committed })
	}
}

// sendsOf goes through the sends that a write of a mail record is about: those
// of the same process.
func (c *checker) sendsOf(x call, do func(*send)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, f := range c.byMail {
		if !strings.Contains(x.path, id) {
			continue
		}
		for _, s := range f.sends {
			if s.process == x.process {
				do(s)
			}
		}
	}
}

// died is called when a process ends at once. What it had sent and not committed
// nobody can know of any more; and what it was at, it may have tried.
func (c *checker) died(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths++
	held := map[string]bool{}
	for _, l := range c.leases {
		if l.process == p && !held[l.mail] {
			held[l.mail] = true
			l.fate.tried[l.mail]++
		}
	}
	for _, f := range c.fates {
		for _, s := range f.sends {
			if s.process == p && !s.committed {
				s.excused = true
			}
		}
	}
}

// capped reports whether a mail may have ended without anybody having seen that
// it did: its sender had got all replies of the hour. c.mu is held.
func (c *checker) capped(f *fateOf) bool {
	return c.plan.perHour > 0 && (f.asked == 0 || slices.Contains(f.ends, "silent"))
}

// once checks that a mail was answered once, and once more for each rerun. c.mu is
// held.
func (c *checker) once(f *fateOf) {
	got, excused := map[string]int{}, map[string]int{}
	for _, s := range f.sends {
		got[s.mail]++
		if s.excused {
			excused[s.mail]++
		}
	}
	for id, n := range got {
		if n-1 > excused[id] {
			c.breaksLocked("3: mail %d got %d replies under one id, %d of them excused", f.mail.number, n, excused[id])
		}
	}
	if len(got) > 1+len(f.reruns) {
		c.breaksLocked("3: mail %d was answered under %d ids, and rerun by %d", f.mail.number, len(got), len(f.reruns))
	}
	answerable := f.mail.nature == plain || f.mail.nature == slow || f.mail.nature == flaky
	for _, id := range f.reruns {
		if answerable && got[id] == 0 && len(f.dead) == 0 && !slices.Contains(f.ends, "silent") {
			c.breaksLocked("1: mail %d is lost to a rerun: no reply, no dead letter", f.mail.number)
		}
	}
}
