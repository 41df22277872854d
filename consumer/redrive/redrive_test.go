package redrive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply/consumer"
	"inreply/consumer/redrive"
	"inreply/local"
	"inreply/queue"
)

// rig is a FIFO queue and its dead-letter queue, in virtual time.
type rig struct {
	t            *testing.T
	source, dead *queue.Queue
	moved        []string
	refused      []string
}

func inBubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		world := local.New(local.Config{})
		defer world.Close()
		for _, name := range []string{"mail.fifo", "dead.fifo"} {
			if _, err := world.SQS.CreateQueue(name, map[string]string{"FifoQueue": "true", "VisibilityTimeout": "30"}); err != nil {
				t.Fatal(err)
			}
		}
		client := sqs.NewFromConfig(aws.Config{
			Region: "us-east-1", HTTPClient: world.Client(), BaseEndpoint: aws.String("http://local"),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		})
		test(&rig{t: t, source: queue.New(client, world.SQS.URL("mail.fifo")), dead: queue.New(client, world.SQS.URL("dead.fifo"))})
	})
}

// bury puts dead letters into the queue as the consumer does.
func (r *rig) bury(letters ...consumer.DeadLetter) {
	r.t.Helper()
	var out []queue.Outgoing
	for _, l := range letters {
		described, err := json.Marshal(l)
		if err != nil {
			r.t.Fatal(err)
		}
		out = append(out, queue.Outgoing{
			Body: l.Key, Group: l.Message, DeduplicationID: l.Message,
			Attributes: map[string]string{consumer.DeadLetterAttribute: string(described), "kept": "yes"},
		})
	}
	for _, result := range r.dead.Send(context.Background(), out) {
		if result.Err != nil {
			r.t.Fatal(result.Err)
		}
	}
}

// letter is the n-th message of a group.
func letter(group string, n int, reason string) consumer.DeadLetter {
	return consumer.DeadLetter{
		Message: fmt.Sprintf("%s-%d", group, n), Group: group, Sequence: fmt.Sprintf("%020d", n),
		Key: fmt.Sprintf("%s%d", group, n), Reason: reason, At: time.Now(),
	}
}

func (r *rig) run(ctx context.Context, target redrive.Target, options redrive.Options) redrive.Summary {
	r.t.Helper()
	options.Fifo = true
	report := func(l redrive.Letter, err error) {
		if err != nil {
			r.refused = append(r.refused, l.Key)
			return
		}
		r.moved = append(r.moved, l.Key)
	}
	summary, err := redrive.New(r.dead, target, 30*time.Second, options, redrive.Report{Letter: report}).Run(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	return summary
}

// drain receives and deletes everything.
func (r *rig) drain(q *queue.Queue) (all []queue.Message) {
	r.t.Helper()
	for {
		messages, err := q.Receive(context.Background(), queue.Receive{Max: 10, Wait: time.Second})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(messages) == 0 {
			return all
		}
		for _, m := range messages {
			q.Delete(context.Background(), []string{m.Handle})
		}
		all = append(all, messages...)
	}
}

func bodies(messages []queue.Message) (bodies []string) {
	for _, m := range messages {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

func TestMovesInTheOrderThatTheGroupHad(t *testing.T) {
	inBubble(t, func(r *rig) {
		// They died in another order than they were sent in.
		r.bury(letter("a", 3, ""), letter("b", 2, ""), letter("a", 1, ""), letter("a", 12, ""), letter("b", 5, ""))
		summary := r.run(context.Background(), r.source, redrive.Options{})
		if summary.Moved != 5 || summary.Left != 0 || summary.Seen != 5 {
			t.Errorf("%+v", summary)
		}
		of := map[string][]string{}
		for _, m := range r.drain(r.source) {
			of[m.Group] = append(of[m.Group], m.Body)
			if m.Attributes["kept"] != "yes" || m.Attributes[consumer.DeadLetterAttribute] != "" {
				t.Errorf("%s has attributes %v", m.Body, m.Attributes)
			}
		}
		if !slices.Equal(of["a"], []string{"a1", "a3", "a12"}) || !slices.Equal(of["b"], []string{"b2", "b5"}) {
			t.Errorf("order by group %v", of)
		}
		if left := r.drain(r.dead); len(left) > 0 {
			t.Errorf("still dead: %v", bodies(left))
		}
	})
}

// failing refuses a message by its body.
type failing struct {
	redrive.Target
	body string
}

func (f failing) Send(ctx context.Context, messages []queue.Outgoing) []queue.Result {
	results := make([]queue.Result, len(messages))
	for i, m := range messages {
		if m.Body == f.body {
			results[i].Err = errors.New("refused")
			continue
		}
		results[i] = f.Target.Send(ctx, messages[i:i+1])[0]
	}
	return results
}

func TestARefusedLetterHoldsUpItsGroupOnly(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n <= 4; n++ {
			r.bury(letter("a", n, ""), letter("b", n, ""))
		}
		summary := r.run(context.Background(), failing{r.source, "a2"}, redrive.Options{})
		if summary.Moved != 5 || summary.Left != 3 || !slices.Equal(r.refused, []string{"a2"}) {
			t.Errorf("%+v, refused %v", summary, r.refused)
		}
		dead := bodies(r.drain(r.dead))
		slices.Sort(dead)
		if !slices.Equal(dead, []string{"a2", "a3", "a4"}) {
			t.Errorf("still dead: %v, want a2 and what is behind it", dead)
		}
	})
}

func TestADryRunMovesNothing(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.bury(letter("a", 1, ""), letter("a", 2, ""))
		summary := r.run(context.Background(), r.source, redrive.Options{DryRun: true})
		if summary.Moved != 0 || summary.Matched != 2 || !slices.Equal(r.moved, []string{"a1", "a2"}) {
			t.Errorf("%+v, listed %v", summary, r.moved)
		}
		if left := r.drain(r.dead); len(left) != 2 {
			t.Errorf("%d dead letters can be seen at once after a dry run, want 2", len(left))
		}
	})
}

func TestMovesOnlyWhatMatches(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.bury(letter("a", 1, "timeout of the application"), letter("a", 2, "no mail"), letter("b", 1, "timeout"))
		summary := r.run(context.Background(), r.source, redrive.Options{Match: redrive.Match{Reason: regexp.MustCompile("timeout")}, Max: 1})
		if summary.Moved != 1 || summary.Matched != 2 || summary.Left != 1 || summary.Kept != 1 {
			t.Errorf("%+v, want one of the two that match", summary)
		}
		if left := r.drain(r.dead); len(left) != 2 {
			t.Errorf("still dead: %v, want two", bodies(left))
		}
	})
}

func TestMatchesByReasonSenderRouteAndAge(t *testing.T) {
	for name, c := range map[string]struct {
		match redrive.Match
		want  []string
	}{
		"all":    {redrive.Match{}, []string{"a1", "a2", "b1", "c1"}},
		"reason": {redrive.Match{Reason: regexp.MustCompile("time ?out")}, []string{"a1", "b1"}},
		"sender": {redrive.Match{From: regexp.MustCompile(`@ana\.`)}, []string{"a1", "a2"}},
		"route":  {redrive.Match{Route: regexp.MustCompile("^orders$")}, []string{"c1"}},
		"older":  {redrive.Match{Older: 24 * time.Hour}, []string{"a1", "c1"}},
		"newer":  {redrive.Match{Newer: 24 * time.Hour}, []string{"a2", "b1"}},
		"both":   {redrive.Match{Reason: regexp.MustCompile("timeout"), Older: 24 * time.Hour}, []string{"a1"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				for _, x := range []struct {
					group, from, route, reason string
					n                          int
					ago                        time.Duration
				}{
					{"a", "x@ana.example", "digest", "timeout of the application", 1, 48 * time.Hour},
					{"a", "x@ana.example", "digest", "no mail", 2, time.Hour},
					{"b", "x@ben.example", "digest", "timeout", 1, time.Hour},
					{"c", "x@cem.example", "orders", "403", 1, 48 * time.Hour},
				} {
					l := letter(x.group, x.n, x.reason)
					l.From, l.Route, l.At = x.from, x.route, time.Now().Add(-x.ago)
					r.bury(l)
				}
				r.run(context.Background(), r.source, redrive.Options{Match: c.match})
				slices.Sort(r.moved)
				if !slices.Equal(r.moved, c.want) {
					t.Errorf("moved %v, want %v", r.moved, c.want)
				}
			})
		})
	}
}

// A second redrive of what the first one sent and could not delete sends nothing
// twice: the queue knows the dead letter's id.
func TestARepeatedRedriveSendsNothingTwice(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.bury(letter("a", 1, ""))
		stubborn := undeletable{r.dead}
		summary, err := redrive.New(stubborn, r.source, 30*time.Second, redrive.Options{Fifo: true}, redrive.Report{}).Run(context.Background())
		if err != nil || summary.Doubled != 1 {
			t.Fatalf("%+v, %v", summary, err)
		}
		time.Sleep(time.Minute)
		if again := r.run(context.Background(), r.source, redrive.Options{}); again.Moved != 1 {
			t.Errorf("%+v", again)
		}
		if got := r.drain(r.source); len(got) != 1 {
			t.Errorf("%d messages went back, want 1", len(got))
		}
	})
}

// undeletable is a dead-letter queue that deletes nothing.
type undeletable struct{ *queue.Queue }

func (undeletable) Delete(_ context.Context, handles []string) []error {
	errs := make([]error, len(handles))
	for i := range errs {
		errs[i] = errors.New("refused")
	}
	return errs
}

func TestStopsBetweenEntriesAndSaysWhatIsLeft(t *testing.T) {
	inBubble(t, func(r *rig) {
		for n := 1; n <= 6; n++ {
			r.bury(letter("a", n, ""))
		}
		ctx, stop := context.WithCancel(context.Background())
		summary := r.run(ctx, stopping{r.source, stop, "a3"}, redrive.Options{})
		if summary.Moved != 3 || summary.Left != 3 {
			t.Errorf("%+v, want three moved and three left", summary)
		}
		if got := bodies(r.drain(r.source)); !slices.Equal(got, []string{"a1", "a2", "a3"}) {
			t.Errorf("moved %v", got)
		}
		if left := r.drain(r.dead); len(left) != 3 {
			t.Errorf("%d dead letters can be seen at once after a stop, want 3", len(left))
		}
	})
}

// stopping stops the redrive after a message.
type stopping struct {
	redrive.Target
	stop  func()
	after string
}

func (s stopping) Send(ctx context.Context, messages []queue.Outgoing) []queue.Result {
	if slices.ContainsFunc(messages, func(m queue.Outgoing) bool { return m.Body == s.after }) {
		s.stop()
	}
	return s.Target.Send(ctx, messages)
}

// Dead letters that SQS moved by itself say nothing of themselves, and keep
// their group.
func TestMovesWhatSQSMovedByItself(t *testing.T) {
	inBubble(t, func(r *rig) {
		var out []queue.Outgoing
		for n := range 25 {
			out = append(out, queue.Outgoing{Body: fmt.Sprintf("%02d", n), Group: "g", DeduplicationID: fmt.Sprint(n)})
		}
		for _, result := range r.dead.Send(context.Background(), out) {
			if result.Err != nil {
				t.Fatal(result.Err)
			}
		}
		if summary := r.run(context.Background(), r.source, redrive.Options{}); summary.Moved != 25 {
			t.Errorf("%+v", summary)
		}
		if got := bodies(r.drain(r.source)); !slices.IsSorted(got) || len(got) != 25 {
			t.Errorf("went back as %v", got)
		}
	})
}
