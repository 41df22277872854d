package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

// way follows mails through the daemon by what the daemon logs: each package
// logs its step at debug level, and the consumer one line at the end of every
// message. It is a zapcore.Core, so the daemon does not know that it is watched.
type way struct {
	zapcore.LevelEnabler
	with map[string]any

	shared *wayState
}

// wayState is what all loggers that stem from one way share.
type wayState struct {
	mu    sync.Mutex
	keys  map[string]string // mail id -> S3 key
	steps map[string][]step // by S3 key
	ended chan ending
}

// step is one line of the way of a mail.
type step struct {
	at   time.Time
	name string
	what map[string]any
}

// ending is the last line of a message.
type ending struct {
	key     string
	outcome string
	reason  string
	ses     string
}

// newWay returns a way that has room for n endings that nobody reads.
func newWay(n int) *way {
	return &way{LevelEnabler: zapcore.DebugLevel, shared: &wayState{keys: map[string]string{}, steps: map[string][]step{}, ended: make(chan ending, n)}}
}

// With, Check, Write and Sync make a way a zapcore.Core.
func (w *way) With(fields []zapcore.Field) zapcore.Core {
	with := maps.Clone(w.with)
	if with == nil {
		with = map[string]any{}
	}
	maps.Copy(with, values(fields))
	return &way{LevelEnabler: w.LevelEnabler, with: with, shared: w.shared}
}

func (w *way) Check(e zapcore.Entry, c *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return c.AddCore(e, w)
}

func (w *way) Sync() error { return nil }

func (w *way) Write(e zapcore.Entry, fields []zapcore.Field) error {
	what := values(fields)
	maps.Copy(what, w.with)
	w.shared.add(step{at: e.Time, name: e.Message, what: what})
	return nil
}

func values(fields []zapcore.Field) map[string]any {
	encoder := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(encoder)
	}
	return encoder.Fields
}

// add keeps a step of a mail. Steps after reading know the mail by its id only.
func (s *wayState) add(x step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, _ := x.what["key"].(string)
	mail, _ := x.what["mail"].(string)
	if key != "" && mail != "" {
		s.keys[mail] = key
	}
	if key == "" {
		key = s.keys[mail]
	}
	if key == "" {
		return
	}
	outcome, ends := x.what["outcome"].(string)
	if ends {
		x.name = "deleted"
	}
	s.steps[key] = append(s.steps[key], x)
	if !ends {
		return
	}
	reason, _ := x.what["reason"].(string)
	ses, _ := x.what["ses"].(string)
	s.ended <- ending{key: key, outcome: outcome, reason: reason, ses: ses}
}

// begin puts the first step before all that the daemon has logged of a mail,
// which may have been quicker.
func (s *wayState) begin(key string, x step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps[key] = append([]step{x}, s.steps[key]...)
}

// of returns the steps of the mail stored under key, in the order of its way.
func (s *wayState) of(key string) []step {
	s.mu.Lock()
	defer s.mu.Unlock()
	return inOrder(slices.Clone(s.steps[key]))
}

// inOrder puts what happens to a mail before it is received first: the relay may log
// what it published only after the consumer has got it. Nothing happens later than
// what comes of it.
func inOrder(steps []step) []step {
	before := map[string]int{"stored": -3, "announced": -2, "relayed": -1}
	slices.SortStableFunc(steps, func(a, b step) int { return before[a.name] - before[b.name] })
	for i := len(steps) - 2; i >= 0; i-- {
		if next := steps[i+1].at; steps[i].at.After(next) {
			steps[i].at = next
		}
	}
	return steps
}

// words says what is worth knowing of a step.
func (x step) words() string {
	say := func(name string) string { return fmt.Sprint(x.what[name]) }
	switch x.name {
	case "stored":
		return "s3://" + say("bucket") + "/" + say("key")
	case "announced":
		return "S3 event -> SNS -> SQS"
	case "relayed":
		return "SNS FIFO -> SQS FIFO, group " + say("group")
	case "received":
		return "lease held"
	case "parsed":
		return fmt.Sprintf("from %s, %q, attachments: %s", say("from"), say("subject"), say("attachments"))
	case "processed":
		return "route " + say("route")
	case "sent":
		return fmt.Sprintf("to %s, SES id %s", say("to"), say("ses"))
	}
	return ""
}

// printWay prints the way of one mail, with the time since it was stored.
func printWay(w io.Writer, steps []step) {
	for _, x := range steps {
		switch x.name {
		case "stored", "announced", "relayed", "received", "parsed", "processed", "sent", "deleted":
			fmt.Fprintf(w, "  %6.0f ms  %-10s %s\n", float64(x.at.Sub(steps[0].at).Microseconds())/1000, x.name, x.words())
		}
	}
}
