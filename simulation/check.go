package simulation

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	cut        int // times its caller was cancelled
	settled    bool
	replies    int
	sends      []*send
	dead       []consumer.DeadLetter
	redriven   bool
	diedBefore int      // dead letters before the redrive
	expired    bool     // a lease of it was ended early
	given      int      // times that the mail queue gave it out
	ends       []string // outcomes in the log
	reruns     []string // ids under which an operator had it answered once more
}

// leased is one message that the mail queue gave out.
type leased struct {
	handle string
	fate   *fateOf
}

// send is one reply that SES took.
type send struct {
	process   *process
	mail      string // the id under which it was answered
	excused   bool   // its answer never came, or the commit behind it was hit
	committed bool
}

func newChecker(p plan) *checker {
	c := &checker{
		plan: p, byKey: map[string]*fateOf{}, byMail: map[string]*fateOf{}, groups: map[string][]*fateOf{},
		began: time.Now(), answeredTo: map[string]int{},
	}
	for _, m := range p.mails {
		c.fates = append(c.fates, &fateOf{mail: m})
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

// moved is called when a dead letter went back into the queue.
func (c *checker) moved(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.byKey[key]; f != nil {
		f.redriven = true
		f.diedBefore = len(f.dead)
	}
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

// died is called when a process ends at once. What it had sent and not committed
// nobody can know of any more.
func (c *checker) died(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths++
	for _, f := range c.fates {
		for _, s := range f.sends {
			if s.process == p && !s.committed {
				s.excused = true
			}
		}
	}
}

// asked is called when the application gets a mail. By then everything that was
// published before it in its group must have ended.
func (c *checker) asked(m *mail) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fates[m.number]
	f.asked++
	f.inWork++
	if f.redriven {
		return
	}
	for _, earlier := range c.groups[f.group] {
		if earlier == f {
			return
		}
		if !earlier.settled && !earlier.redriven && earlier.mail.nature != automatic && !c.capped(earlier) {
			c.breaksLocked("4: mail %d of group %s was handled before mail %d had ended", m.number, f.group, earlier.mail.number)
		}
	}
}

// capped reports whether a mail may have ended without anybody having seen that
// it did: its sender had got all replies of the hour. c.mu is held.
func (c *checker) capped(f *fateOf) bool {
	return c.plan.perHour > 0 && (f.asked == 0 || slices.Contains(f.ends, "silent"))
}

func (c *checker) failures(m *mail) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fates[m.number].failed
}

func (c *checker) refused(m *mail) { c.note(m, func(f *fateOf) { f.failed++ }) }

func (c *checker) answered(m *mail) { c.note(m, func(f *fateOf) { f.good++ }) }

func (c *checker) silenced(m *mail) { c.note(m, func(f *fateOf) { f.good++; f.settled = true }) }

// left is called when a handler has left the application, however it ended.
func (c *checker) left(m *mail) { c.note(m, func(f *fateOf) { f.inWork-- }) }

// cut notes a call of the application that was cut off, and returns its error.
func (c *checker) cut(m *mail, h hit) error {
	c.note(m, func(f *fateOf) { f.cut++ })
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

// received notes what the mail queue gave out.
func (c *checker) received(x call) {
	if !strings.HasSuffix(queueOf(x.body), mailQueue) {
		return
	}
	var answer struct {
		Messages []struct{ Body, ReceiptHandle string }
	}
	_ = json.Unmarshal(x.answer, &answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range answer.Messages {
		if f := c.mentioned(m.Body); f != nil {
			f.given++
			c.leases = append(c.leases, leased{m.ReceiptHandle, f})
		}
	}
}

// expire picks one of the last leases, which is ended early. Two processes may
// then be at the same try of a mail: its last one may dead-letter it in one and
// answer it in the other.
func (c *checker) expire(back int) (handle string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if back >= len(c.leases) {
		return ""
	}
	l := c.leases[len(c.leases)-1-back]
	l.fate.expired = true
	return l.handle
}

// expireInWork picks the lease of a mail that is being answered.
func (c *checker) expireInWork(which int) (handle string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var inWork []*fateOf
	for _, f := range c.fates {
		if f.inWork > 0 || f.good > 0 && !f.settled {
			inWork = append(inWork, f)
		}
	}
	if len(inWork) == 0 {
		return ""
	}
	f := inWork[which%len(inWork)]
	for _, l := range slices.Backward(c.leases) {
		if l.fate == f {
			f.expired = true
			return l.handle
		}
	}
	return ""
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

// published notes the order of each group.
func (c *checker) published(x call) {
	form, _ := url.ParseQuery(string(x.body))
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 1; ; n++ {
		entry := "PublishBatchRequestEntries.member." + strconv.Itoa(n) + "."
		body, ok := form[entry+"Message"]
		if !ok {
			return
		}
		f := c.mentioned(body[0])
		if f == nil || f.published {
			continue
		}
		f.published = true
		f.group = form.Get(entry + "MessageGroupId")
		c.groups[f.group] = append(c.groups[f.group], f)
	}
}

// mentioned is the mail whose key stands in a notice. c.mu is held.
func (c *checker) mentioned(notice string) *fateOf {
	for key, f := range c.byKey {
		if strings.Contains(notice, key) {
			return f
		}
	}
	return nil
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

// buried notes dead letters.
func (c *checker) buried(x call) {
	if !strings.HasSuffix(queueOf(x.body), deadQueue) {
		return
	}
	var batch struct {
		Entries []struct {
			MessageAttributes map[string]struct{ StringValue string }
		}
	}
	_ = json.Unmarshal(x.body, &batch)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range batch.Entries {
		var l consumer.DeadLetter
		_ = json.Unmarshal([]byte(e.MessageAttributes[consumer.DeadLetterAttribute].StringValue), &l)
		f := c.byKey[l.Key]
		if f == nil {
			c.breaksLocked("11: a dead letter does not say which mail it is: %+v", l)
			continue
		}
		f.dead = append(f.dead, l)
		f.settled = true
		// What the application did, and what a dying process may have: outages and
		// the tries of those before it in the group are none of a mail's own.
		// One whose lease was ended early may have been tried in two places at once,
		// of which one found its lease gone before it asked the application.
		if most := f.failed + f.good + f.cut + c.deaths; f.mail.nature != permanent && !f.expired && most < attempts {
			c.breaksLocked("5: mail %d was dead-lettered after %d tries of its own: %s", f.mail.number, most, l.Reason)
		}
	}
}

func queueOf(body []byte) string {
	var in struct{ QueueUrl string }
	_ = json.Unmarshal(body, &in)
	return in.QueueUrl
}

// final checks what can only be known at the end.
func (c *checker) final() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.fates {
		c.ended(f)
	}
}

func (c *checker) ended(f *fateOf) {
	n, kind := f.mail.number, f.mail.nature
	excused := c.once(f)
	if f.replies > 0 && len(f.dead) > 0 && !f.redriven && !f.expired && excused == 0 && len(f.reruns) == 0 {
		c.breaksLocked("1: mail %d was answered and dead-lettered", n)
	}
	if c.capped(f) && slices.Contains(f.ends, "silent") {
		return
	}
	was := slices.Sorted(slices.Values(slices.Compact(f.ends)))
	switch kind {
	case automatic:
		if !slices.Contains(was, "silent") {
			c.breaksLocked("11: mail %d is automatic and no log line says that it ended silent: %v", n, was)
		}
	case silent:
		if f.good == 0 && len(f.dead) == 0 {
			c.breaksLocked("1: mail %d is lost: the application never had it", n)
		}
	case permanent:
		if len(f.dead) == 0 {
			c.breaksLocked("1: mail %d is lost: it should be dead-lettered", n)
		}
	case plain, slow, flaky, poison:
		if f.replies == 0 && len(f.dead) == 0 {
			c.breaksLocked("1: mail %d (%s) is lost: no reply, no dead letter; asked %d times", n, kind, f.asked)
		}
		if f.redriven && f.replies == 0 && len(f.dead) == f.diedBefore {
			c.breaksLocked("12: mail %d was redriven after its cause was mended, and neither answered nor dead-lettered anew", n)
		}
	}
	if c.plan.calm {
		c.calm(f)
	}
}

// once checks that a mail was answered once, and once more for each rerun, and
// returns how many replies are excused. c.mu is held.
func (c *checker) once(f *fateOf) (all int) {
	got, excused := map[string]int{}, map[string]int{}
	for _, s := range f.sends {
		got[s.mail]++
		if s.excused {
			excused[s.mail]++
			all++
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
	return all
}

// calm checks a mail of a run in which nothing went wrong: then nothing is done
// twice either, whenever processes are stopped.
func (c *checker) calm(f *fateOf) {
	want := map[nature]int{plain: 1, slow: 1, silent: 1, flaky: f.mail.fails + 1, automatic: 0}[f.mail.nature]
	out := c.plan.outUntil > c.plan.outFrom
	if f.asked != want && !out {
		c.breaksLocked("10: the application was asked %d times about mail %d (%s) although nothing went wrong, want %d", f.asked, f.mail.number, f.mail.nature, want)
	}
	if c.plan.quiet && f.given != 1 {
		c.breaksLocked("6: the queue gave mail %d (%s) out %d times although nothing went wrong and nothing was stopped", f.mail.number, f.mail.nature, f.given)
	}
	if len(f.dead) > 0 {
		c.breaksLocked("9: mail %d (%s) was dead-lettered although nothing went wrong: %s", f.mail.number, f.mail.nature, f.dead[0].Reason)
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
