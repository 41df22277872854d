package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Names of what the processes share.
const (
	region      = "us-east-1"
	bucket      = "mail"
	intakeQueue = "intake"
	intakeDead  = "intake-dead"
	mailTopic   = "mail.fifo"
	mailQueue   = "mail.fifo"
	deadQueue   = "dead.fifo"
	ours        = "data@inreply.example"
	visibility  = 15 * time.Second
	attempts    = 3
)

// nature is how the application takes a mail.
type nature string

const (
	plain     nature = "plain"     // answered at once
	slow      nature = "slow"      // answered after longer than a lease
	flaky     nature = "flaky"     // fails once or twice, then answered
	silent    nature = "silent"    // taken without an answer
	poison    nature = "poison"    // fails every time, until its cause is mended
	permanent nature = "permanent" // refused for good
	automatic nature = "automatic" // never reaches the application
)

// mail is one planned mail.
type mail struct {
	number int
	from   string
	nature nature
	fails  int           // tries that fail, of a flaky one
	takes  time.Duration // time of a try
}

// raw is the mail as its sender wrote it.
func (m *mail) raw() []byte {
	auto := ""
	if m.nature == automatic {
		auto = "Auto-Submitted: auto-replied\r\n"
	}
	return fmt.Appendf(nil, "From: <%s>\r\nTo: <%s>\r\nSubject: %d %s\r\nMessage-ID: <%d@mails.example>\r\n%s"+
		"Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello, this is mail %d.\r\n",
		m.from, ours, m.number, m.nature, m.number, auto, m.number)
}

// event is something that happens at its time.
type event struct {
	at      time.Duration
	happens func(r *Run) error
}

// plan is what a seed has in store.
type plan struct {
	calm      bool // nothing goes wrong but stops
	quiet     bool // not even that
	mails     []*mail
	processes int
	faults    Faults
	events    []event
	outFrom   time.Duration // the application is out from here
	outUntil  time.Duration
	perHour   int // replies to one sender; 0: any number
}

// newPlan draws a plan. What an operator does beside it is drawn from others.
func newPlan(random, operator *rand.Rand) plan {
	p := plan{quiet: random.IntN(6) == 0, processes: 1 + random.IntN(3)}
	p.calm = p.quiet || random.IntN(4) == 0
	if !p.calm {
		share := func(most float64) float64 { return most * random.Float64() * float64(random.IntN(3)) / 2 }
		p.faults = Faults{
			Lost: share(0.08), Throttled: share(0.05), Failed: share(0.08), Partial: share(0.1),
			Ended: share(0.01), Slow: share(0.04), SlowFor: 3 * visibility, SlowSES: share(0.6),
		}
	}
	length := time.Duration(1+random.IntN(8)) * time.Minute
	at := func() time.Duration { return time.Duration(random.Int64N(int64(length))) }
	for n := range 10 + random.IntN(40) {
		m := newMail(random, n, p.calm)
		p.mails = append(p.mails, m)
		p.events = append(p.events, event{at(), func(r *Run) error { return r.receive(m) }})
	}
	stops := random.IntN(4)
	switch {
	case p.quiet:
		stops = 0
	case p.calm:
		stops *= 2
	}
	for range stops {
		p.events = append(p.events, event{at(), (*Run).terminate})
	}
	if random.IntN(3) == 0 && !p.quiet {
		p.outFrom = at()
		p.outUntil = p.outFrom + time.Duration(random.IntN(240))*time.Second
	}
	if !p.calm {
		p.events = append(p.events, event{length / 2, (*Run).redrive})
		early := random.IntN(3) * random.IntN(60)
		if random.IntN(4) == 0 {
			early *= 10 // so many that two in a row are at the same try of a mail
		}
		for range early {
			p.events = append(p.events, event{at(), (*Run).expire})
		}
		for range random.IntN(3) * random.IntN(40) {
			p.events = append(p.events, event{at(), (*Run).expireInWork})
		}
		if random.IntN(3) == 0 {
			p.perHour = 1 + random.IntN(4)
		}
		if operator.IntN(2) == 0 {
			p.events = append(p.events, reruns(operator, length)...)
		}
	}
	slices.SortStableFunc(p.events, func(a, b event) int { return int(a.at - b.at) })
	return p
}

// reruns have all mails answered once more. The first is run again when the FIFO topic
// has forgotten it, as somebody does who goes on with one that he has stopped; the
// second is another decision.
func reruns(random *rand.Rand, length time.Duration) (all []event) {
	first := length/2 + time.Duration(random.Int64N(int64(length/2)))
	for _, e := range []struct {
		id string
		at time.Duration
	}{{"r1", first}, {"r1", first + time.Second}, {"r1", first + 6*time.Minute}, {"r2", first + 7*time.Minute}} {
		if e.id == "r1" || random.IntN(2) == 0 {
			all = append(all, event{e.at, func(r *Run) error { return r.rerun(e.id) }})
		}
	}
	return all
}

// newMail plans one mail. Every third is of one sender, whose group is hot.
func newMail(random *rand.Rand, number int, calm bool) *mail {
	m := &mail{number: number, from: "hot@senders.example", nature: plain}
	if random.IntN(3) > 0 {
		m.from = fmt.Sprintf("s%d@senders.example", random.IntN(6))
	}
	m.takes = time.Duration(random.IntN(2000)) * time.Millisecond
	switch dice := random.IntN(20); {
	case dice < 2:
		m.nature = flaky
		m.fails = 1 + random.IntN(attempts-1)
	case dice < 4:
		m.nature = slow
		m.takes = visibility + time.Duration(random.IntN(20))*time.Second
	case dice < 5:
		m.nature = silent
	case dice < 6:
		m.nature = automatic
	case dice < 7 && !calm:
		m.nature = poison
	case dice < 8 && !calm:
		m.nature = permanent
	}
	return m
}

// numberOf reads a mail's number from its subject.
func numberOf(subject string) (n int, ok bool) {
	_, err := fmt.Sscanf(strings.TrimPrefix(subject, "Re: "), "%d ", &n)
	return n, err == nil
}
