package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"inreply/event"
	"inreply/queue"
	"inreply/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a relay between fakes.
type rig struct {
	t      *testing.T // of the bubble
	intake *intake
	topic  *topic
	dead   *dead
	tops   *tops
	logs   *observer.ObservedLogs
	config relay.Config
	tracer trace.Tracer
	relay  *relay.Relay                           // while it runs
	takes  func(event.Object) (mail, object bool) // nil: everything is mail
}

// inBubble runs a test with time of its own.
func inBubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := relay.Defaults()
		c.Queue, c.Topic = "intake", "arn:aws:sns:us-east-1:000000000000:mail.fifo"
		test(&rig{t: t, intake: newIntake(), topic: &topic{seen: map[string]time.Time{}}, dead: &dead{}, tops: &tops{}, config: c})
	})
}

// run starts the relay. What it returns stops it and returns Run's error.
func (r *rig) run() (stop func() error) {
	t := r.t
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	r.logs = logs
	relayed, err := relay.New(r.config, relay.Parts{
		Intake: r.intake, Topic: r.topic, DeadLetters: r.dead, Tops: r.tops, Logger: zap.New(core),
		Own:    func(_, key string) bool { return strings.HasPrefix(key, "inreply/records/") },
		Takes:  r.takes,
		Tracer: r.tracer,
		Random: func() float64 { return 0.5 },
	})
	if err != nil {
		t.Fatal(err)
	}
	r.relay = relayed
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- relayed.Run(ctx) }()
	var once sync.Once
	var result error
	stop = func() error {
		once.Do(func() {
			cancel()
			result = <-ended
		})
		return result
	}
	t.Cleanup(func() {
		if err := stop(); err != nil && !queue.Missing(err) {
			t.Errorf("run: %v", err)
		}
	})
	return stop
}

// logged are the lines with a message.
func (r *rig) logged(message string) []observer.LoggedEntry {
	return r.logs.FilterMessage(message).All()
}

// intake is a standard queue.
type intake struct {
	mu       sync.Mutex
	messages []*message
	changed  chan struct{} // closed when a message has come or became visible
	handles  int
	polls    int // begun
	polling  int // under way
	mostPoll int // under way at once
	latency  time.Duration

	// What goes wrong; nil: nothing.
	receiving func(poll int) error
	deleting  func(m *message) error
	extending func(m *message) error
}

// message is one message in the intake, and what became of it.
type message struct {
	queue.Message
	visible time.Time
	deleted int // how often
	given   []time.Duration
}

func newIntake() *intake { return &intake{changed: make(chan struct{})} }

// put puts messages in.
func (q *intake) put(bodies ...string) []*message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []*message
	for _, body := range bodies {
		m := &message{Message: queue.Message{ID: fmt.Sprintf("m%d", len(q.messages)), Body: body, Sent: time.Now()}}
		q.messages, all = append(q.messages, m), append(all, m)
	}
	q.wake()
	return all
}

func (q *intake) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *intake) Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error) {
	q.mu.Lock()
	q.polls++
	poll := q.polls
	q.polling++
	q.mostPoll = max(q.mostPoll, q.polling)
	q.mu.Unlock()
	defer func() { q.mu.Lock(); q.polling--; q.mu.Unlock() }()
	if q.receiving != nil {
		if err := q.receiving(poll); err != nil {
			return nil, err
		}
	}
	over := time.After(r.Wait)
	time.Sleep(q.latency)
	for {
		got, changed, next := q.take(r)
		if len(got) > 0 {
			return got, nil
		}
		select {
		case <-changed:
		case <-next:
		case <-over:
			return nil, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take leases what is visible, and says when to look again.
func (q *intake) take(r queue.Receive) (got []queue.Message, changed chan struct{}, next <-chan time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var soonest time.Duration
	for _, m := range q.messages {
		if m.deleted > 0 || len(got) == r.Max {
			continue
		}
		if wait := m.visible.Sub(now); wait > 0 {
			if soonest == 0 || wait < soonest {
				soonest = wait
			}
			continue
		}
		q.handles++
		m.Handle, m.visible = fmt.Sprintf("h%d", q.handles), now.Add(r.Visibility)
		m.ReceiveCount++
		got = append(got, m.Message)
	}
	if soonest > 0 {
		next = time.After(soonest)
	}
	return got, q.changed, next
}

// by finds a message by its handle, as long as that is good.
func (q *intake) by(handle string) *message {
	for _, m := range q.messages {
		if m.Handle == handle && m.deleted == 0 && m.visible.After(time.Now()) {
			return m
		}
	}
	return nil
}

func lost() error {
	return &queue.EntryError{Code: "ReceiptHandleIsInvalid", Message: "expired", SenderFault: true}
}

func (q *intake) Delete(_ context.Context, handles []string) []error {
	time.Sleep(q.latency)
	return q.each(handles, q.deleting, func(_ int, m *message) { m.deleted++ })
}

func (q *intake) Extend(_ context.Context, extensions []queue.Extension) []error {
	time.Sleep(q.latency)
	handles := make([]string, len(extensions))
	for i, e := range extensions {
		handles[i] = e.Handle
	}
	return q.each(handles, q.extending, func(i int, m *message) {
		m.visible = time.Now().Add(extensions[i].For)
		m.given = append(m.given, extensions[i].For)
		q.wake()
	})
}

func (q *intake) each(handles []string, fault func(*message) error, do func(int, *message)) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	errs := make([]error, len(handles))
	for i, h := range handles {
		m := q.by(h)
		if m == nil {
			errs[i] = lost()
			continue
		}
		if fault != nil {
			errs[i] = fault(m)
		}
		if errs[i] == nil {
			do(i, m)
		}
	}
	return errs
}

// is what has become of a message by now.
func (q *intake) is(m *message) message {
	q.mu.Lock()
	defer q.mu.Unlock()
	return *m
}

// deletions are how often each message was deleted by now.
func (q *intake) deletions(messages []*message) []int {
	all := make([]int, len(messages))
	for i, m := range messages {
		all[i] = q.is(m).deleted
	}
	return all
}

// asked is how many polls there were by now, and how many at once.
func (q *intake) asked() (polls, most int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.polls, q.mostPoll
}

// left are the messages that were not deleted.
func (q *intake) left() []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []message
	for _, m := range q.messages {
		if m.deleted == 0 {
			all = append(all, *m)
		}
	}
	return all
}

// topic is a FIFO topic that knows a deduplication id for five minutes.
type topic struct {
	mu        sync.Mutex
	published []queue.Outgoing // duplicates not among them
	calls     int
	asked     int // entries, duplicates among them
	seen      map[string]time.Time

	// What goes wrong; nil: nothing.
	whole func(call int) error
	entry func(o queue.Outgoing) error
}

func (p *topic) Publish(_ context.Context, messages []queue.Outgoing) []queue.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	results := make([]queue.Result, len(messages))
	var whole error
	if p.whole != nil {
		whole = p.whole(p.calls)
	}
	for i, o := range messages {
		results[i].Err = whole
		if whole == nil && p.entry != nil {
			results[i].Err = p.entry(o)
		}
		if results[i].Err != nil {
			continue
		}
		p.asked++
		results[i].ID = "p"
		if at, known := p.seen[o.DeduplicationID]; known && time.Since(at) < 5*time.Minute {
			continue
		}
		p.seen[o.DeduplicationID] = time.Now()
		p.published = append(p.published, o)
	}
	return results
}

// entries is how many entries were published by now, duplicates among them.
func (p *topic) entries() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func (p *topic) all() []queue.Outgoing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.published)
}

// dead is the intake's dead-letter queue.
type dead struct {
	mu      sync.Mutex
	letters []queue.Outgoing
	fault   func(o queue.Outgoing) error
}

func (d *dead) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	results := make([]queue.Result, len(messages))
	for i, o := range messages {
		if d.fault != nil {
			results[i].Err = d.fault(o)
		}
		if results[i].Err == nil {
			d.letters = append(d.letters, o)
		}
	}
	return results
}

// tops gives the same mail for every key, unless the test says otherwise.
type tops struct {
	top func(ctx context.Context, key string) ([]byte, error)
}

func (s *tops) Top(ctx context.Context, _, key, _ string, n int64) ([]byte, error) {
	if s.top == nil {
		return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
	}
	top, err := s.top(ctx, key)
	return top[:min(n, int64(len(top)))], err
}

// all are the dead letters by now.
func (d *dead) all() []queue.Outgoing {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.letters)
}

// storeError is an error as the store makes them.
type storeError struct {
	permanent bool
	out       string
}

func (e storeError) Error() string   { return "get the top of object: no" }
func (e storeError) Permanent() bool { return e.permanent }
func (e storeError) Outage() string  { return e.out }

// mail is a stored mail with what SES put on top of it.
func mail(from, results string) string {
	return "Return-Path: <bounce@list.example>\r\n" +
		"Received: from mx.example.com (mx.example.com [192.0.2.1])\r\n by inbound-smtp.us-east-1.amazonaws.com with SMTP id 4b1f0c\r\n for Sales@our.example;\r\n Mon, 02 Nov 2026 09:15:00 +0000 (UTC)\r\n" +
		"X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n" +
		"Received-SPF: pass (spfCheck: domain of list.example designates 192.0.2.1 as permitted sender)\r\n" +
		"Authentication-Results: amazonses.com;\r\n spf=none;\r\n " + results + ";\r\n" +
		"X-SES-RECEIPT: AEFBQUFB\r\n" +
		"From: " + from + "\r\nTo: sales@our.example\r\nSubject: Q3\r\n\r\nHello\r\n"
}

// notice is a notice of S3 about objects.
func notice(keys ...string) string {
	var records []string
	for _, key := range keys {
		records = append(records, record(key, "e-"+key, ""))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

func record(key, etag, version string) string {
	return fmt.Sprintf(`{"eventSource":"aws:s3","awsRegion":"us-east-1","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"example-mail"},"object":{"key":%q,"size":5,"eTag":%q,"versionId":%q}}}`, key, etag, version)
}

// rerun is a record as an operator's rerun announces it.
func rerun(key, id string) string {
	return strings.TrimSuffix(record(key, "e1", ""), "}") + fmt.Sprintf(`,"inreply":{"rerun":%q}}`, id)
}

func notices(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = notice(fmt.Sprintf("inbound/%04d", i))
	}
	return all
}

// after waits until everything has come to rest a while later.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var errConnection = errors.New("connection reset")
