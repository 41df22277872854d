package simulation

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"

	"inreply/consumer"
	"inreply/email"
)

// checker watches from the outside: what took effect at AWS, and what the
// application was asked. It knows nothing of what the processes believe.
type checker struct {
	plan plan

	mu     sync.Mutex
	broken []string
	fixed  bool
	deaths int
	fates  []*fateOf
	byKey  map[string]*fateOf
	byMail map[string]*fateOf // by the id of the mail record
	groups map[string][]*fateOf
	leases []leased // of the mail queue, in the order in which they were given out
	lines  []string // the log of the run, for a seed that failed

	began      time.Time
	answeredTo map[string]int // mails answered in the first hour, by sender
}

// fateOf is what became of one mail.
type fateOf struct {
	mail       *mail
	key        string
	group      string
	published  bool
	asked      int // times the application was
	inWork     int // handlers that have asked the application and not been answered
	failed     int // times it refused, outages left out
	good       int // times it answered, or was silent
	settled    bool
	replies    int
	sends      []*send
	dead       []consumer.DeadLetter
	redriven   bool
	diedBefore int               // dead letters before the redrive
	tried      map[string]int    // tries since then, by the id under which it is answered
	messages   map[string]string // that announced it, and under which id
	moved      map[string]string // those of them that were redriven
	given      int               // times that the mail queue gave it out
	ends       []string          // outcomes in the log
	reruns     []string          // ids under which an operator had it answered once more
}

func newChecker(p plan) *checker {
	c := &checker{
		plan: p, byKey: map[string]*fateOf{}, byMail: map[string]*fateOf{}, groups: map[string][]*fateOf{},
		began: time.Now(), answeredTo: map[string]int{},
	}
	for _, m := range p.mails {
		c.fates = append(c.fates, &fateOf{mail: m, tried: map[string]int{}, messages: map[string]string{}, moved: map[string]string{}})
	}
	return c
}

// breaks notes that a promise, named by its number, was broken.
func (c *checker) breaks(format string, a ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, "promise "+fmt.Sprintf(format, a...))
}

func (c *checker) breaksLocked(format string, a ...any) {
	c.broken = append(c.broken, "promise "+fmt.Sprintf(format, a...))
}

// stored is called when SES has stored a mail. Its notice may be under way by
// then, and is: nothing of it is looked at before the next call is let go on.
func (c *checker) stored(m *mail, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fates[m.number]
	f.key = key
	c.byKey[key] = f
}

// reran is called when an operator has announced a mail, to be answered once more.
func (c *checker) reran(o email.Object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.byKey[o.Key]; f != nil && !slices.Contains(f.reruns, o.ID()) {
		f.reruns = append(f.reruns, o.ID())
	}
}

// heal mends the cause of the poison mails.
func (c *checker) heal() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fixed = true
}

func (c *checker) mended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fixed
}

func (c *checker) failures(m *mail) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fates[m.number].failed
}

func (c *checker) refused(m *mail, id string) {
	c.note(m, func(f *fateOf) { f.failed++; f.tried[id]++ })
}

func (c *checker) answered(m *mail, id string) {
	c.note(m, func(f *fateOf) { f.good++; f.tried[id]++ })
}

func (c *checker) silenced(m *mail, id string) {
	c.note(m, func(f *fateOf) { f.good++; f.tried[id]++; f.settled = true })
}

// left is called when a handler has left the application, however it ended.
func (c *checker) left(m *mail) { c.note(m, func(f *fateOf) { f.inWork-- }) }

// cut notes a call of the application that was cut off, and returns its error.
func (c *checker) cut(m *mail, id string, h hit) error {
	c.note(m, func(f *fateOf) { f.tried[id]++ })
	if h == ended {
		return errEnded
	}
	return &fault{why: "the connection to the application was lost"}
}

func (c *checker) note(m *mail, change func(*fateOf)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(c.fates[m.number])
}

// saw is called with every call that took effect, in the order of the effects.
func (c *checker) saw(x call) {
	if x.status != 200 {
		return
	}
	switch x.operation {
	case "query.PublishBatch":
		c.published(x)
	case "query.SendRawEmail":
		c.sent(x)
	case "sqs.SendMessageBatch":
		c.buried(x)
	case "sqs.ReceiveMessage":
		c.received(x)
	case "s3.PUT":
		c.sendsOf(x, func(s *send) { s.committed = true })
	}
}

// core is where a process logs to.
func (c *checker) core(p *process) zapcore.Core {
	return &logged{checker: c, process: p}
}

// logged keeps the log of a run, and notes how messages ended.
type logged struct {
	checker *checker
	process *process
	fields  []zapcore.Field
}

func (l *logged) Enabled(zapcore.Level) bool { return true }

func (l *logged) With(fields []zapcore.Field) zapcore.Core {
	return &logged{l.checker, l.process, slices.Concat(l.fields, fields)}
}

func (l *logged) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return ce.AddCore(e, l)
	}
	return ce
}

func (l *logged) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range slices.Concat(l.fields, fields) {
		f.AddTo(values)
	}
	c := l.checker
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, fmt.Sprintf("%s %s %s %v", e.Time.Format("15:04:05.000"), l.process.name, e.Message, values.Fields))
	outcome, ok := values.Fields["outcome"].(string)
	key, _ := values.Fields["key"].(string)
	if id, _ := values.Fields["mail"].(string); id != "" && c.byKey[key] != nil {
		c.byMail[id] = c.byKey[key]
	}
	if f := c.byKey[key]; ok && f != nil {
		f.ends = append(f.ends, outcome)
	}
	return nil
}

func (l *logged) Sync() error { return nil }
