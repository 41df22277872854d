package main

import (
	"fmt"
	"strings"
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
	messages   []message
	columns    []column
}

// column is one figure of a row.
type column struct {
	head string
	of   func(measured) string
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
	for _, x := range []struct {
		h, l, n int
		limit   float64
		target  string
	}{
		{20, 20, 10_000, 3160, ">= 0.95 of the limit"},
		{5, 20, 10_000, 12_180, ">= 0.8 of the limit, 1.6 times plain"},
		{100, 20, 3_000, 635, ">= 0.97 of the limit"},
		{0, 0, 10_000, 0, ">= plain, at most 1.5 times its CPU"},
	} {
		limit := "CPU"
		if x.limit > 0 {
			limit = fmt.Sprintf("%.0f/s", x.limit)
		}
		all = append(all, workload{
			name:    fmt.Sprintf("W1 h%d l%d", x.h, x.l),
			about:   fmt.Sprintf("Drain %d messages in groups of ten. Limit %s, target %s, at most 0.25 calls a message.", x.n, limit, x.target),
			latency: ms(x.l), visibility: 30 * time.Second, receives: 1000, patience: 2 * time.Minute,
			messages: drain(x.n, x.h), columns: drainColumns(x.limit),
		})
	}
	return append(all, hotGroup(), poisonHead(), longHandlers(), stopInTheMiddle(), idleQueue(), halfLoad())
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
		about:   "A hot group: 500 messages of 20 ms in one group among 500 groups of 4, l20. Limit: cold p99 620 ms, hot done 11.0 s; target 750 ms, 11.6 s.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: 2 * time.Minute, messages: messages,
		columns: append([]column{
			{"cold p99", func(m measured) string {
				return quantile(m.waits(func(x message) bool { return x.group != 0 }), 0.99)
			}},
			{"hot done", func(m measured) string { return seconds(m.lastEnd(func(x message) bool { return x.group == 0 })) }},
		}, commonColumns()...),
	}
}

func poisonHead() workload {
	messages := drain(3000, 20)
	for i := range 3 {
		messages[i].poison = true
	}
	healthy := func(x message) bool { return x.group > 2 }
	return workload{
		name:    "W3",
		about:   "Poison: 300 groups of 10, the head of three always fails, maxReceiveCount 3 (ours: 3 attempts), visibility 3 s, l20. Limit: 0 of 27 followers dead-lettered untried, healthy p99 0.92 s; target 0, 1.1 s, 0.3 calls.",
		latency: ms(20), visibility: 3 * time.Second, receives: 3, patience: 30 * time.Second, messages: messages,
		columns: append([]column{
			{"followers untried", func(m measured) string {
				return fmt.Sprint(m.untried(func(x message) bool { return x.group <= 2 && !x.poison }))
			}},
			{"healthy p99", func(m measured) string { return quantile(m.waits(healthy), 0.99) }},
			{"followers done", func(m measured) string {
				return seconds(m.lastEnd(func(x message) bool { return x.group <= 2 && !x.poison }))
			}},
		}, commonColumns()...),
	}
}

func longHandlers() workload {
	messages := make([]message, 40)
	for i := range messages {
		messages[i] = message{number: i, group: i % 20, takes: 5 * time.Second}
	}
	return workload{
		name:    "W4",
		about:   "Handlers of 5 s with a visibility timeout of 2 s, 40 messages in 20 groups, l20. Target: no duplicate, order kept, emptied within 40 s.",
		latency: ms(20), visibility: 2 * time.Second, receives: 3, patience: 40 * time.Second, messages: messages,
		columns: append([]column{{"left", func(m measured) string { return fmt.Sprint(m.visible + m.inFlight) }}}, commonColumns()...),
	}
}

func stopInTheMiddle() workload {
	return workload{
		name:    "W5",
		about:   "SIGTERM in the middle of a drain with handlers of 1 s, l20. Limit: exit 1.0 s, nothing left in flight, nothing handled and not deleted; target 1.3 s, 0, 0.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: time.Minute, stopAt: 360, messages: drain(3000, 1000),
		columns: []column{
			{"exit", func(m measured) string { return seconds(m.exit) }},
			{"in flight after", func(m measured) string { return fmt.Sprint(m.inFlight) }},
			{"handled, not deleted", func(m measured) string { return fmt.Sprint(m.handled() + m.visible + m.inFlight - len(m.messages)) }},
			{"handled", func(m measured) string { return fmt.Sprint(m.handled()) }},
			{"order violations", func(m measured) string { return fmt.Sprint(m.verdict.violations) }},
		},
	}
}

func idleQueue() workload {
	return workload{
		name: "W6", about: "An empty queue for a minute. Limit 3 calls, target at most 4.",
		visibility: 30 * time.Second, receives: 1000, idle: time.Minute,
		columns: []column{
			{"receives a minute", func(m measured) string { return fmt.Sprint(m.calls["sqs.ReceiveMessage"]) }},
			{"CPU", func(m measured) string { return seconds(m.cpu) }},
			{"peak memory", func(m measured) string { return fmt.Sprintf("%d MB", m.memory) }},
		},
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
	return workload{
		name:    "W8",
		about:   "Half load: 800 messages a second of 32 ms in 500 groups for 8 s, one in 200 takes 1.5 s, l20; wait from send to start, of groups without a slow message. Limit: p50 10 ms, p99 57 ms; target p99 100 ms.",
		latency: ms(20), visibility: 30 * time.Second, receives: 1000, patience: time.Minute, messages: messages,
		columns: append([]column{
			{"healthy p50", func(m measured) string { return quantile(m.waits(func(x message) bool { return !slow[x.group] }), 0.5) }},
			{"healthy p99", func(m measured) string {
				return quantile(m.waits(func(x message) bool { return !slow[x.group] }), 0.99)
			}},
		}, commonColumns()...),
	}
}

func drainColumns(limit float64) []column {
	columns := []column{{"messages/s", func(m measured) string { return fmt.Sprintf("%.0f", m.rate()) }}}
	if limit > 0 {
		columns = append(columns, column{"of the limit", func(m measured) string { return fmt.Sprintf("%.2f", m.rate()/limit) }})
	}
	return append(columns, commonColumns()...)
}

func commonColumns() []column {
	perMessage := func(op string) column {
		return column{op, func(m measured) string {
			return fmt.Sprintf("%.3f", float64(m.calls["sqs."+map[string]string{"receives": "ReceiveMessage", "deletes": "DeleteMessageBatch", "extends": "ChangeMessageVisibilityBatch"}[op]])/float64(len(m.messages)))
		}}
	}
	return []column{
		perMessage("receives"), perMessage("deletes"), perMessage("extends"),
		{"order violations", func(m measured) string { return fmt.Sprint(m.verdict.violations) }},
		{"duplicates", func(m measured) string { return fmt.Sprint(m.verdict.duplicates) }},
		{"lost", func(m measured) string { return fmt.Sprint(m.lost()) }},
		{"CPU", func(m measured) string { return seconds(m.cpu) }},
		{"peak memory", func(m measured) string { return fmt.Sprintf("%d MB", m.memory) }},
	}
}

func (w workload) heading() string {
	heads := []string{"peer"}
	for _, c := range w.columns {
		heads = append(heads, c.head)
	}
	return "| " + strings.Join(heads, " | ") + " |\n|" + strings.Repeat(" --- |", len(heads)) + "\n"
}

func (w workload) row(peer string, m measured) string {
	cells := []string{peer}
	for _, c := range w.columns {
		cells = append(cells, c.of(m))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}
