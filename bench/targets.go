package main

import (
	"fmt"
	"slices"
	"time"
)

// target is a figure that is wanted of ours.
type target struct {
	what   string
	format string // of the figure
	bound  float64
	least  bool // the bound is the least that is wanted, else the most
	plain  bool // it is beside the plain loop
	of     func(ours, plain measured) float64
}

func atLeast(what, format string, bound float64, of func(measured) float64) target {
	return target{what: what, format: format, bound: bound, least: true, of: func(ours, _ measured) float64 { return of(ours) }}
}

func atMost(what, format string, bound float64, of func(measured) float64) target {
	return target{what: what, format: format, bound: bound, of: func(ours, _ measured) float64 { return of(ours) }}
}

// met reports whether a figure is as it is wanted.
func (t target) met(figure float64) bool {
	if t.least {
		return figure >= t.bound
	}
	return figure <= t.bound
}

// wanted says what is wanted.
func (t target) wanted() string {
	if t.least {
		return "at least " + fmt.Sprintf(t.format, t.bound)
	}
	return "at most " + fmt.Sprintf(t.format, t.bound)
}

// sound is the target of every workload.
func sound() []target {
	return []target{atMost("lost, repeated or out of order", "%.0f", 0, func(m measured) float64 {
		return float64(m.lost() + m.verdict.duplicates + m.verdict.violations)
	})}
}

func drainTargets(takes int, limit float64) []target {
	targets := append(sound(), atMost("calls a message", "%.3f", 0.25, measured.callsPerMessage))
	share := func(bound float64) target {
		return atLeast("of the limit", "%.2f", bound, func(m measured) float64 { return m.rate() / limit })
	}
	ratio := func(bound float64) target {
		return target{what: "times plain's messages/s", format: "%.2f", bound: bound, least: true, plain: true, of: func(ours, plain measured) float64 {
			return ours.rate() / plain.rate()
		}}
	}
	switch takes {
	case 20:
		return append(targets, share(0.95))
	case 5:
		return append(targets, share(0.8), ratio(1.6))
	case 100:
		return append(targets, share(0.97))
	}
	processor := target{what: "times plain's CPU", format: "%.2f", bound: 1.5, plain: true, of: func(ours, plain measured) float64 {
		return ours.cpu.Seconds() / plain.cpu.Seconds()
	}}
	return append(targets, ratio(1), processor)
}

func hotTargets() []target {
	return append(sound(),
		atMost("cold groups' p99", "%.0f ms", 750, func(m measured) float64 { return milliseconds(m.waits(cold), 0.99) }),
		atMost("hot group done", "%.2f s", 11.6, func(m measured) float64 { return m.lastEnd(hot).Seconds() }),
	)
}

func poisonTargets() []target {
	return append(sound(),
		atMost("followers untried", "%.0f", 0, func(m measured) float64 { return float64(m.untried(behindPoison)) }),
		atMost("healthy groups' p99", "%.0f ms", 1100, func(m measured) float64 { return milliseconds(m.waits(healthy), 0.99) }),
		atMost("calls a message", "%.3f", 0.3, measured.callsPerMessage),
	)
}

func leftTargets() []target {
	return append(sound(), atMost("left in the queue", "%.0f", 0, func(m measured) float64 { return float64(m.visible + m.inFlight) }))
}

func stopTargets(takes int) []target {
	targets := append(sound(),
		atMost("in flight after", "%.0f", 0, func(m measured) float64 { return float64(m.inFlight) }),
		atMost("handled, not deleted", "%.0f", 0, func(m measured) float64 { return float64(m.undeleted()) }),
		atMost("cut off", "%.0f", 0, func(m measured) float64 { return float64(m.unended()) }),
	)
	if takes < 1000 {
		return targets
	}
	return append(targets, atMost("exit", "%.2f s", 1.3, func(m measured) float64 { return m.exit.Seconds() }))
}

func idleTargets() []target {
	return []target{atMost("calls a minute", "%.0f", 4, func(m measured) float64 { return float64(m.calls["sqs.ReceiveMessage"]) })}
}

func stragglerTargets(fast func(message) bool) []target {
	return append(sound(), atMost("healthy groups' p99", "%.0f ms", 100, func(m measured) float64 { return milliseconds(m.waits(fast), 0.99) }))
}

// bestRate is the most messages a second that a drain allows: rounds in which every
// slot handles a message, and two calls. A group is no work for two slots at once, but
// its messages need not be handled one right after the other.
func bestRate(messages int, takes, latency time.Duration) float64 {
	rounds := (messages + slots - 1) / slots
	return float64(messages) / (time.Duration(rounds)*takes + 2*latency).Seconds()
}

func milliseconds(all []time.Duration, q float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))].Seconds() * 1000
}
