package main

import (
	"slices"
	"strings"
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
	violations int // a handler that started before those before it in its group had ended well, or beside another of its group
	duplicates int // handlings that ended well of what had been handled well before
}

// judge goes through the reports in the order of time. Messages of one group are
// in order when their numbers are. A message that always fails may be given up,
// and those behind it go on; but from then on it may not be tried again.
func judge(messages []message, reports []report) verdict {
	slices.SortStableFunc(reports, func(a, b report) int { return a.at.Compare(b.at) })
	before := map[int][]int{} // numbers by group, in order
	for _, m := range messages {
		before[m.group] = append(before[m.group], m.number)
	}
	var v verdict
	running := map[int]int{} // by group
	good := map[int]int{}    // by number
	latest := map[int]int{}  // of the numbers that started, by group
	for _, r := range reports {
		m := messages[r.number]
		if !r.start {
			running[m.group]--
			if !r.failed {
				good[r.number]++
			}
			continue
		}
		overtaken := m.poison && latest[m.group] > r.number
		if running[m.group] > 0 || overtaken || !ended(before[m.group], r.number, good, messages) {
			v.violations++
		}
		running[m.group]++
		latest[m.group] = max(latest[m.group], r.number)
	}
	for _, n := range good {
		v.duplicates += n - 1
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

// allocated is what a peer in Go has allocated.
type allocated struct{ objects, octets uint64 }

// measured is what one run has shown.
type measured struct {
	messages          []message
	reports           []report
	verdict           verdict
	calls             map[string]int
	began             time.Time // when the child was started
	first, last       time.Time // the peer's first call, and the answer to its last delete
	sent              map[int]time.Time
	cpu               time.Duration
	allocated         allocated
	memory            int64         // MB
	exit              time.Duration // after SIGTERM
	killed            bool          // it had not ended by itself by then
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

// unended is how many handlers started and never ended.
func (m measured) unended() (n int) {
	for _, r := range m.reports {
		if r.start {
			n++
		} else {
			n--
		}
	}
	return n
}

// undeleted is how many messages were handled well and not deleted.
func (m measured) undeleted() int {
	return m.handled() + m.visible + m.inFlight - len(m.messages)
}

// callsPerMessage counts all calls to SQS.
func (m measured) callsPerMessage() float64 {
	all := 0
	for operation, n := range m.calls {
		if strings.HasPrefix(operation, "sqs.") {
			all += n
		}
	}
	return float64(all) / float64(len(m.messages))
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

// rate is how many messages a second were handled, from the first call to the
// answer of the last delete.
func (m measured) rate() float64 {
	took := m.last.Sub(m.first)
	if took <= 0 {
		return 0
	}
	return float64(m.handled()) / took.Seconds()
}

// handlerTime is how long a handler took on average, by the reports.
func (m measured) handlerTime() time.Duration {
	started := map[int]time.Time{}
	var total time.Duration
	ends := 0
	for _, r := range m.reports {
		if r.start {
			started[r.number] = r.at
			continue
		}
		total += r.at.Sub(started[r.number])
		ends++
	}
	return total / time.Duration(max(ends, 1))
}

// lastEnd is when the last of those that are chosen ended well, after the first
// call.
func (m measured) lastEnd(choose func(message) bool) time.Duration {
	var last time.Duration
	for _, r := range m.reports {
		if !r.start && !r.failed && choose(m.messages[r.number]) {
			last = max(last, r.at.Sub(m.first))
		}
	}
	return last
}

// waits are the times from send, or from the first call if it was sent before, to
// the first start of each that is chosen.
func (m measured) waits(choose func(message) bool) []time.Duration {
	seen := map[int]bool{}
	var waits []time.Duration
	for _, r := range m.reports {
		if !r.start || seen[r.number] || !choose(m.messages[r.number]) {
			continue
		}
		seen[r.number] = true
		from := m.first
		if at, ok := m.sent[r.number]; ok {
			from = at
		}
		waits = append(waits, r.at.Sub(from))
	}
	return waits
}
