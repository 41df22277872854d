package feedback_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"inreply/mailer/feedback"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	bounce = `{"eventType":"Bounce","bounce":{"bounceType":"%s","bounceSubType":"General","bouncedRecipients":[` +
		`{"emailAddress":"Gone@example.com","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 user unknown"}],` +
		`"timestamp":"2026-10-01T09:12:44.000Z","feedbackId":"f"},"mail":{"messageId":"0100","tags":{"inreply-mail":["abc"],"ses:operation":["SendRawEmail"]}}}`
	complaint = `{"notificationType":"Complaint","complaint":{"complaintFeedbackType":"%s","complainedRecipients":[{"emailAddress":"angry@example.com"}]},"mail":{"messageId":"0200"}}`
)

func enveloped(message string) string {
	b, err := json.Marshal(map[string]string{"Type": "Notification", "Message": message, "TopicArn": "arn:aws:sns:us-east-1:000000000000:ses-events"})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestDecode(t *testing.T) {
	permanent := feedback.Event{
		Kind: feedback.Bounce, Permanent: true, Addresses: []string{"gone@example.com"}, SES: "0100", Mail: "abc",
		Why: "Permanent General: smtp; 550 5.1.1 user unknown",
	}
	transient := permanent
	transient.Permanent, transient.Why = false, "Transient General: smtp; 550 5.1.1 user unknown"
	complained := feedback.Event{Kind: feedback.Complaint, Addresses: []string{"angry@example.com"}, SES: "0200", Why: "abuse"}
	mistaken := complained
	mistaken.Mistaken, mistaken.Why = true, "not-spam"
	for _, c := range []struct {
		body string
		want feedback.Event
	}{
		{fmt.Sprintf(bounce, "Permanent"), permanent},
		{enveloped(fmt.Sprintf(bounce, "Permanent")), permanent},
		{fmt.Sprintf(bounce, "Transient"), transient},
		{enveloped(fmt.Sprintf(complaint, "abuse")), complained},
		{fmt.Sprintf(complaint, "not-spam"), mistaken},
		{`{"eventType":"Delivery","mail":{"messageId":"0300"}}`, feedback.Event{Kind: feedback.Other, SES: "0300"}},
		{enveloped("Successfully validated SNS topic for Amazon SES event publishing."), feedback.Event{Kind: feedback.Other}},
	} {
		got, err := feedback.Decode([]byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", c.body, diff)
		}
	}
	for _, body := range []string{"", "hello", "[]", "{}", `{"Records":[]}`, enveloped("{}"), enveloped("{"), `{"eventType":7}`} {
		if e, err := feedback.Decode([]byte(body)); err == nil {
			t.Errorf("%s: %+v", body, e)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{fmt.Sprintf(bounce, "Permanent"), enveloped(fmt.Sprintf(complaint, "abuse")), "{}", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := feedback.Decode(body)
		if err != nil && e.Kind != "" {
			t.Errorf("both %+v and %v", e, err)
		}
		if err == nil && e.Kind == "" {
			t.Error("neither an event nor an error")
		}
	})
}

// queue is a queue of events, whose calls may fail.
type queue struct {
	mu      sync.Mutex
	notices []feedback.Notice
	failing int // receives that fail first
	deleted []string
}

func (q *queue) Receive(ctx context.Context) ([]feedback.Notice, error) {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failing > 0 {
		q.failing--
		return nil, errors.New("SQS is out")
	}
	n := q.notices
	q.notices = nil
	return n, nil
}

func (q *queue) Delete(_ context.Context, handles []string) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deleted = append(q.deleted, handles...)
	return make([]error, len(handles))
}

// suppressions notes who is suppressed.
type suppressions struct {
	took map[string]string
	err  error
}

func (s *suppressions) Suppress(_ context.Context, address, reason string) error {
	if s.err != nil {
		return s.err
	}
	s.took[address] = reason
	return nil
}

// meter counts events by their attributes.
type meter struct {
	noop.Meter
	counts map[string]int64
}

type counter struct {
	noop.Int64Counter
	meter *meter
	name  string
}

func (m *meter) Int64Counter(name string, _ ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return counter{meter: m, name: name}, nil
}

func (c counter) Add(_ context.Context, n int64, options ...metric.AddOption) {
	attributes := metric.NewAddConfig(options).Attributes()
	c.meter.counts[c.name+" "+attributes.Encoded(attribute.DefaultEncoder())] += n
}

func run(t *testing.T, q *queue, s *suppressions, lasts time.Duration) (*feedback.Reader, map[string]int64) {
	t.Helper()
	m := &meter{counts: map[string]int64{}}
	r, err := feedback.New(q, s, m, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	return r, m.counts
}

func TestWhoBouncedOrComplainedIsSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{failing: 3, notices: []feedback.Notice{
			{"1", fmt.Sprintf(bounce, "Permanent")},
			{"2", "no event"},
			{"3", enveloped(fmt.Sprintf(complaint, "abuse"))},
			{"4", `{"eventType":"Delivery","mail":{}}`},
		}}
		s := &suppressions{took: map[string]string{}}
		r, counts := run(t, q, s, time.Minute)
		if diff := cmp.Diff(map[string]int64{
			"inreply.mailer.feedback kind=bounce,suppressed=true": 1, "inreply.mailer.feedback kind=complaint,suppressed=true": 1,
			"inreply.mailer.feedback kind=other,suppressed=false": 1,
		}, counts); diff != "" {
			t.Error(diff)
		}
		if got := r.State(); got.Bounces != 1 || got.Complaints != 1 || got.Suppressed != 2 || got.Failing {
			t.Errorf("%+v", got)
		}
		if diff := cmp.Diff(map[string]string{"gone@example.com": "bounced", "angry@example.com": "complained"}, s.took); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"1", "3", "4"}, q.deleted); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatMayStillArriveIsNotSuppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{notices: []feedback.Notice{{"1", fmt.Sprintf(bounce, "Transient")}, {"2", fmt.Sprintf(complaint, "not-spam")}}}
		s := &suppressions{took: map[string]string{}}
		_, counts := run(t, q, s, time.Minute)
		if n := counts["inreply.mailer.feedback kind=bounce,suppressed=false"]; n != 1 {
			t.Errorf("counted %v", counts)
		}
		if len(s.took) != 0 || len(q.deleted) != 2 {
			t.Errorf("suppressed %v, deleted %v", s.took, q.deleted)
		}
	})
}

// What could not be written down stays in the queue.
func TestAnEventIsDeletedLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{notices: []feedback.Notice{{"1", fmt.Sprintf(bounce, "Permanent")}}}
		run(t, q, &suppressions{err: errors.New("S3 is out")}, time.Minute)
		if len(q.deleted) != 0 {
			t.Errorf("deleted %v", q.deleted)
		}
	})
}

// A queue that does not answer is no reason to be restarted; a loop that does not
// turn is.
func TestAliveTurnsRedWhenTheLoopIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stuck := &stuckQueue{release: release}
		failing := &queue{failing: 1 << 20}
		for _, e := range []struct {
			queue feedback.Queue
			alive bool
		}{{failing, true}, {stuck, false}} {
			r, err := feedback.New(e.queue, &suppressions{}, noop.NewMeterProvider().Meter(""), zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Alive(); err != nil {
				t.Errorf("before it runs: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { defer close(done); _ = r.Run(ctx) }()
			time.Sleep(10 * time.Minute)
			if err := r.Alive(); (err == nil) != e.alive {
				t.Errorf("%T: %v", e.queue, err)
			}
			if e.alive && !r.State().Failing {
				t.Error("a queue that does not answer is not shown")
			}
			cancel()
			if !e.alive {
				close(release)
			}
			<-done
			if err := r.Alive(); err != nil {
				t.Errorf("after it ran: %v", err)
			}
		}
	})
}

// stuckQueue does not listen when it is told to come back.
type stuckQueue struct{ release chan struct{} }

func (q *stuckQueue) Receive(context.Context) ([]feedback.Notice, error) {
	<-q.release
	return nil, nil
}

func (q *stuckQueue) Delete(context.Context, []string) []error { return nil }
