package groups

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is a FIFO queue in the plainest form: a list of messages in the order
// in which they were sent, and the row of groups, looked through from the start
// for everything.
type model struct {
	messages []*modelMessage
	turns    []string
	max      int // receives until a message dies
}

type modelMessage struct {
	name, group string
	hidden      bool
	until, sent time.Time
	receives    int
}

// settle puts every group into the row that has a visible head and is not in
// it, and takes out those that have none.
func (m *model) settle() {
	heads := map[string]bool{}
	for _, msg := range slices.Backward(m.messages) {
		heads[msg.group] = !msg.hidden
	}
	m.turns = slices.DeleteFunc(m.turns, func(group string) bool { return !heads[group] })
	for _, msg := range m.messages {
		if heads[msg.group] && !slices.Contains(m.turns, msg.group) {
			m.turns = append(m.turns, msg.group)
		}
	}
}

func (m *model) tick(now time.Time, retention time.Duration) {
	for {
		var next *modelMessage
		for _, msg := range m.messages {
			if msg.hidden && !msg.until.After(now) && (next == nil || msg.until.Before(next.until)) {
				next = msg
			}
		}
		if next == nil {
			break
		}
		next.hidden = false
		m.settle()
	}
	for len(m.messages) > 0 && !m.messages[0].sent.Add(retention).After(now) {
		m.messages = m.messages[1:]
		m.settle()
	}
}

func (m *model) take(limit int, due time.Time) (taken, dead []string) {
	for len(taken) < limit && len(m.turns) > 0 {
		group := m.turns[0]
		for _, msg := range slices.Clone(m.messages) {
			if msg.group != group {
				continue
			}
			if msg.hidden || len(taken) == limit {
				break
			}
			if msg.receives >= m.max {
				m.remove(msg)
				dead = append(dead, msg.name)
				continue
			}
			msg.receives++
			msg.hidden, msg.until = true, due
			taken = append(taken, msg.name)
		}
		m.settle()
	}
	return taken, dead
}

func (m *model) remove(gone *modelMessage) {
	m.messages = slices.DeleteFunc(m.messages, func(msg *modelMessage) bool { return msg == gone })
}

func leased(leases []Lease[string]) string {
	var all []string
	for _, l := range leases {
		all = append(all, l.Content)
	}
	return strings.Join(all, " ")
}

func names(messages []*Message[string]) string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Content)
	}
	return strings.Join(all, " ")
}

// Whatever is done to a queue, it does what the model does.
func TestQueueAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		q := New[string](true, [8]byte{}, time.Minute)
		m := &model{max: 3}
		n := 0
		flying := func(t *rapid.T) (*Message[string], *modelMessage) {
			var all []*modelMessage
			for _, msg := range m.messages {
				if msg.hidden && msg.receives > 0 {
					all = append(all, msg)
				}
			}
			if len(all) == 0 {
				t.Skip("nothing is in flight")
			}
			chosen := rapid.SampledFrom(all).Draw(t, "message")
			for _, msg := range q.messages {
				if msg.Content == chosen.name {
					return msg, chosen
				}
			}
			t.Fatalf("%s is lost", chosen.name)
			return nil, nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				group := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "group")
				delay := time.Duration(rapid.IntRange(0, 1).Draw(t, "delay")) * 3 * time.Second
				n++
				name := fmt.Sprint(group, n)
				q.Add(&Message[string]{Content: name, Group: group, Sent: now}, delay)
				m.messages = append(m.messages, &modelMessage{name: name, group: group, sent: now, hidden: delay > 0, until: now.Add(delay)})
				m.settle()
			},
			"receive": func(t *rapid.T) {
				limit := rapid.IntRange(1, 4).Draw(t, "limit")
				due := now.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "visibility")) * time.Second)
				taken, dead := q.Take(limit, now, due, func(msg *Message[string]) bool { return msg.ReceivesHere() >= m.max })
				wantTaken, wantDead := m.take(limit, due)
				if leased(taken) != strings.Join(wantTaken, " ") || names(dead) != strings.Join(wantDead, " ") {
					t.Fatalf("took %q and buried %q, want %q and %q", leased(taken), names(dead), wantTaken, wantDead)
				}
				q.Tick(now)
				m.tick(now, time.Minute)
			},
			"delete": func(t *rapid.T) {
				msg, want := flying(t)
				q.Remove(msg)
				m.remove(want)
				m.settle()
			},
			"release": func(t *rapid.T) {
				msg, want := flying(t)
				q.Release(msg)
				want.hidden = false
				m.settle()
			},
			"extend": func(t *rapid.T) {
				msg, want := flying(t)
				due := now.Add(time.Duration(rapid.IntRange(1, 9).Draw(t, "visibility")) * time.Second)
				q.Extend(msg, due)
				want.until = due
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 20).Draw(t, "seconds")) * time.Second)
				q.Tick(now)
				m.tick(now, time.Minute)
			},
			"": func(t *rapid.T) {
				var row []string
				for e := q.turns.Front(); e != nil; e = e.Next() {
					row = append(row, e.Value.(*group[string]).name)
				}
				if !slices.Equal(row, m.turns) {
					t.Fatalf("row of groups %v, want %v", row, m.turns)
				}
				hidden := 0
				for _, msg := range m.messages {
					if msg.hidden {
						hidden++
					}
				}
				if visible, inFlight, delayed := q.Counts(); inFlight+delayed != hidden || visible != len(m.messages)-hidden {
					t.Fatalf("%d visible, %d in flight, %d delayed; want %d hidden of %d", visible, inFlight, delayed, hidden, len(m.messages))
				}
			},
		})
	})
}
