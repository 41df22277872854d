package main

import (
	"fmt"
	"time"
)

// message is what is sent: how long its handler takes, and whether it fails.
type message struct {
	number int
	group  int
	takes  time.Duration
	poison bool
	at     time.Duration // when it is sent, after the start; 0: before the peer starts
}

// workload is one thing to measure.
type workload struct {
	name       string
	about      string
	latency    time.Duration
	visibility time.Duration
	receives   int           // maxReceiveCount
	patience   time.Duration // how long it may take; then what is left is counted
	stopAt     int           // SIGTERM after so many were handled; 0: when the queue is empty
	idle       time.Duration // nothing is sent, and calls are counted for so long
	sideBySide bool          // all peers at once: they hardly need the processor
	faults     faults
	messages   []message
	columns    []column
	targets    []target
}

// faults are what goes wrong. Shares are from 0 to 1.
type faults struct {
	lostReceives  float64 // of the answers to receives
	failedDeletes float64 // of the entries of deletes
	stalled       float64 // of all calls, which take stall longer
	stall         time.Duration
}

// getWorkload is the one that ours+get is measured in.
const getWorkload = "W1 h20 l20"

// leavesOut reports whether peer is not measured here.
func (w workload) leavesOut(peer string) bool {
	return peer == peerOursGet && w.name != getWorkload
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// drain is n messages in groups of ten.
func drain(n, takes int) []message {
	messages := make([]message, n)
	for i := range messages {
		messages[i] = message{number: i, group: i % (n / 10), takes: ms(takes)}
	}
	return messages
}

func workloads() []workload {
	var all []workload
	for _, x := range []struct{ h, l, n int }{{20, 20, 10_000}, {5, 20, 10_000}, {100, 20, 3_000}, {0, 0, 10_000}} {
		limit, rate := "what the processor allows", 0.0
		if x.h > 0 {
			rate = bestRate(x.n, ms(x.h), ms(x.l))
			limit = fmt.Sprintf("%.0f/s", rate)
		}
		all = append(all, workload{
			name:    fmt.Sprintf("W1 h%d l%d", x.h, x.l),
			about:   fmt.Sprintf("Drain %d messages in groups of ten. Limit: %s.", x.n, limit),
			latency: ms(x.l), visibility: 30 * time.Second, receives: 1000, patience: 2 * time.Minute,
			messages: drain(x.n, x.h), columns: drainColumns(rate), targets: drainTargets(x.h, rate),
		})
	}
	return append(all, hotGroup(), poisonHead(), longHandlers(), stopInTheMiddle(100, 900), stopInTheMiddle(1000, 360), idleQueue(), faultyCalls(), halfLoad())
}

func hotGroup() workload {
	var messages []message
	for i := range 500 {
		messages = append(messages, message{number: i, group: 0, takes: ms(20)})
	}
	for i := range 2000 {
		messages = append(messages, message{number: 500 + i, group: 1 + i%500, takes: ms(20)})
	}
	return workload{
		name:    "W2",
		about:   "A hot group: 500 messages of 20 ms in one group among 500 groups of 4, l20. Limit: cold p99 620 ms, hot done 11.0 s.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: 2 * time.Minute, messages: messages,
		columns: append([]column{
			{"cold p99", func(m measured) string { return quantile(m.waits(cold), 0.99) }},
			{"hot done", func(m measured) string { return seconds(m.lastEnd(hot)) }},
		}, commonColumns()...),
		targets: hotTargets(),
	}
}

func hot(x message) bool  { return x.group == 0 }
func cold(x message) bool { return x.group != 0 }

// In W3 the heads of the first three groups always fail.
func healthy(x message) bool      { return x.group > 2 }
func behindPoison(x message) bool { return x.group <= 2 && !x.poison }

func poisonHead() workload {
	messages := drain(3000, 20)
	for i := range 3 {
		messages[i].poison = true
	}
	return workload{
		name:    "W3",
		about:   "Poison: 300 groups of 10, the head of three always fails, maxReceiveCount 3 (ours: 3 attempts), visibility 3 s, l20. Limit: 0 of 27 followers dead-lettered untried, healthy p99 0.92 s.",
		latency: ms(20), visibility: 3 * time.Second, receives: 3, patience: 30 * time.Second, messages: messages,
		columns: append([]column{
			{"followers untried", func(m measured) string { return fmt.Sprint(m.untried(behindPoison)) }},
			{"healthy p99", func(m measured) string { return quantile(m.waits(healthy), 0.99) }},
			{"followers done", func(m measured) string { return seconds(m.lastEnd(behindPoison)) }},
		}, commonColumns()...),
		targets: poisonTargets(),
	}
}

func longHandlers() workload {
	messages := make([]message, 40)
	for i := range messages {
		messages[i] = message{number: i, group: i % 20, takes: 5 * time.Second}
	}
	return workload{
		name:    "W4",
		about:   "Handlers of 5 s with a visibility timeout of 2 s, 40 messages in 20 groups, l20, for 40 s.",
		latency: ms(20), visibility: 2 * time.Second, receives: 3, patience: 40 * time.Second, messages: messages, sideBySide: true,
		columns: append([]column{{"left", func(m measured) string { return fmt.Sprint(m.visible + m.inFlight) }}, exitColumn()}, commonColumns()...),
		targets: leftTargets(),
	}
}

func stopInTheMiddle(takes, after int) workload {
	return workload{
		name: fmt.Sprintf("W5 h%d", takes),
		about: fmt.Sprintf("SIGTERM after %d of 3000 messages in groups of ten, handlers of %d ms, l20. "+
			"Limit: what is left of the running handlers and one call, nothing left in flight, nothing handled and not deleted.", after, takes),
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: time.Minute, stopAt: after, messages: drain(3000, takes),
		columns: []column{
			exitColumn(),
			{"in flight after", func(m measured) string { return fmt.Sprint(m.inFlight) }},
			{"handled, not deleted", func(m measured) string { return fmt.Sprint(m.undeleted()) }},
			{"cut off", func(m measured) string { return fmt.Sprint(m.unended()) }},
			{"handled", func(m measured) string { return fmt.Sprint(m.handled()) }},
			{"order violations", func(m measured) string { return fmt.Sprint(m.verdict.violations) }},
			{"duplicates", func(m measured) string { return fmt.Sprint(m.verdict.duplicates) }},
		},
		targets: stopTargets(takes),
	}
}

func idleQueue() workload {
	return workload{
		name: "W6", about: "An empty queue for a minute, the peers side by side. Limit: 3 calls.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, idle: time.Minute, sideBySide: true,
		columns: []column{
			{"calls a minute", func(m measured) string { return fmt.Sprint(m.calls["sqs.ReceiveMessage"]) }},
			{"CPU", func(m measured) string { return seconds(m.cpu) }},
			{"peak memory", func(m measured) string { return fmt.Sprintf("%d MB", m.memory) }},
		},
		targets: idleTargets(),
	}
}

func faultyCalls() workload {
	return workload{
		name: "W7",
		about: "Faults: 3000 messages of 20 ms in groups of ten, l20, visibility 10 s; 5 % of the entries of deletes fail, 1 % of the answers to receives are lost, " +
			"1 % of all calls take 500 ms longer.",
		latency: ms(20), visibility: 10 * time.Second, receives: 1000, patience: 90 * time.Second, messages: drain(3000, 20),
		faults: faults{lostReceives: 0.01, failedDeletes: 0.05, stalled: 0.01, stall: 500 * time.Millisecond},
		columns: append([]column{
			{"done", func(m measured) string { return seconds(m.last.Sub(m.first)) }},
			{"waited p50", func(m measured) string { return quantile(m.waits(everything), 0.5) }},
			{"p99", func(m measured) string { return quantile(m.waits(everything), 0.99) }},
			{"left", func(m measured) string { return fmt.Sprint(m.visible + m.inFlight) }},
		}, commonColumns()...),
		targets: leftTargets(),
	}
}

func halfLoad() workload {
	messages := make([]message, 6400)
	slow := map[int]bool{}
	for i := range messages {
		messages[i] = message{number: i, group: (i * 7) % 500, takes: ms(32), at: ms(1) + time.Duration(i)*time.Second/800}
		if i%200 == 100 {
			messages[i].takes = ms(1500)
			slow[messages[i].group] = true
		}
	}
	fast := func(x message) bool { return !slow[x.group] }
	return workload{
		name:    "W8",
		about:   "Half load: 800 messages a second of 32 ms in 500 groups for 8 s, one in 200 takes 1.5 s, l20; wait from send to start, of groups without a slow message. Limit: p50 10 ms, p99 57 ms.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: time.Minute, messages: messages,
		columns: append([]column{
			{"healthy p50", func(m measured) string { return quantile(m.waits(fast), 0.5) }},
			{"healthy p99", func(m measured) string { return quantile(m.waits(fast), 0.99) }},
		}, commonColumns()...),
		targets: stragglerTargets(fast),
	}
}
