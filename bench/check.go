package main

import (
	"fmt"
	"slices"
	"time"
)

// report is one start or end of a handler.
type report struct {
	number int
	start  bool
	failed bool // of an end
	at     time.Time
}

// verdict is what the reports say of order and repetition.
type verdict struct {
	violations int // a handler that started before the one before it in its group had ended well, or beside another of its group
	duplicates int // messages that were handled well more than once
}

// judge goes through the reports in the order of time. Messages of one group are
// in order when their numbers are. A message that always fails may be given up,
// and those behind it go on.
func judge(messages []message, reports []report) verdict {
	slices.SortStableFunc(reports, func(a, b report) int { return a.at.Compare(b.at) })
	before := map[int][]int{} // numbers by group, in order
	for _, m := range messages {
		before[m.group] = append(before[m.group], m.number)
	}
	var v verdict
	running := map[int]int{} // by group
	good := map[int]int{}    // by number
	for _, r := range reports {
		m := messages[r.number]
		if !r.start {
			running[m.group]--
			if !r.failed {
				good[r.number]++
			}
			continue
		}
		if running[m.group] > 0 || !ended(before[m.group], r.number, good, messages) {
			v.violations++
		}
		running[m.group]++
	}
	for _, n := range good {
		if n > 1 {
			v.duplicates++
		}
	}
	return v
}

// ended reports whether all before number in its group were handled well, those
// left out that never can be.
func ended(group []int, number int, good map[int]int, messages []message) bool {
	for _, n := range group {
		if n == number {
			return true
		}
		if good[n] == 0 && !messages[n].poison {
			return false
		}
	}
	return true
}

// measured is what one run has shown.
type measured struct {
	messages          []message
	reports           []report
	verdict           verdict
	calls             map[string]int
	began             time.Time
	sent              map[int]time.Time
	cpu               time.Duration
	memory            int64 // MB
	exit              time.Duration
	visible, inFlight int
	dead              int
}

// handled is how many messages were handled well at least once.
func (m measured) handled() int {
	good := map[int]bool{}
	for _, r := range m.reports {
		if !r.start && !r.failed {
			good[r.number] = true
		}
	}
	return len(good)
}

// lost is how many messages are neither handled nor anywhere.
func (m measured) lost() int {
	return max(0, len(m.messages)-m.handled()-m.visible-m.inFlight-m.dead)
}

// untried is how many of those that are chosen never started.
func (m measured) untried(choose func(message) bool) (n int) {
	started := map[int]bool{}
	for _, r := range m.reports {
		started[r.number] = started[r.number] || r.start
	}
	for _, x := range m.messages {
		if choose(x) && !started[x.number] {
			n++
		}
	}
	return n
}

// firstStart is when the first handler started.
func (m measured) firstStart() time.Time {
	var first time.Time
	for _, r := range m.reports {
		if r.start && (first.IsZero() || r.at.Before(first)) {
			first = r.at
		}
	}
	return first
}

// rate is how many messages a second were handled, from the first start to the
// last end.
func (m measured) rate() float64 {
	took := m.lastEnd(func(message) bool { return true })
	if took <= 0 {
		return 0
	}
	return float64(m.handled()) / took.Seconds()
}

// lastEnd is when the last of those that are chosen ended well, after the first
// start of all.
func (m measured) lastEnd(choose func(message) bool) time.Duration {
	first := m.firstStart()
	var last time.Duration
	for _, r := range m.reports {
		if !r.start && !r.failed && choose(m.messages[r.number]) {
			last = max(last, r.at.Sub(first))
		}
	}
	return last
}

// waits are the times from send, or from the first start of all if it was sent
// before, to the first start of each that is chosen.
func (m measured) waits(choose func(message) bool) []time.Duration {
	first := m.firstStart()
	seen := map[int]bool{}
	var waits []time.Duration
	for _, r := range m.reports {
		if !r.start || seen[r.number] || !choose(m.messages[r.number]) {
			continue
		}
		seen[r.number] = true
		from := first
		if at, ok := m.sent[r.number]; ok {
			from = at
		}
		waits = append(waits, r.at.Sub(from))
	}
	return waits
}

func quantile(all []time.Duration, q float64) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d ms", all[int(q*float64(len(all)-1))].Milliseconds())
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
