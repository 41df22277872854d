package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/event"
	"inreply/queue"
	"inreply/relay"
)

// checkRelayed holds that all messages left the intake, and each of the keys was
// published once.
func checkRelayed(t *testing.T, r *rig, keys ...string) {
	t.Helper()
	for _, m := range r.intake.left() {
		t.Errorf("%s is still in the intake after %d receives: %s", m.ID, m.ReceiveCount, m.Body)
	}
	count := map[string]int{}
	for _, o := range r.topic.all() {
		n, err := event.Decode([]byte(o.Body))
		if err != nil || len(n.Objects) != 1 {
			t.Fatalf("published %s: %v", o.Body, err)
		}
		count[n.Objects[0].Key]++
	}
	for _, key := range keys {
		if count[key] != 1 {
			t.Errorf("%s was published %d times", key, count[key])
		}
		delete(count, key)
	}
	for key := range count {
		t.Errorf("%s was published", key)
	}
}

func TestRelay(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.put(notice("inbound/a"), notice("inbound/b", "inbound/c+d"))
		r.run()
		after(0)
		checkRelayed(t, r, "inbound/a", "inbound/b", "inbound/c d")
		if n := len(r.logged("announced")); n != 3 {
			t.Errorf("%d lines of what was announced", n)
		}
		lines := r.logged("relayed")
		if len(lines) != 3 || lines[2].ContextMap()["bucket"] != "example-mail" || lines[2].ContextMap()["key"] != "inbound/c d" {
			t.Errorf("logged %+v", lines)
		}
	})
}

// TestNotANotice: what never can be relayed is a dead letter, with the reason.
func TestNotANotice(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.put("hello", notice("inbound/a"), "[]")
		r.run()
		after(0)
		checkRelayed(t, r, "inbound/a")
		if len(r.dead.all()) != 2 {
			t.Fatalf("%d dead letters", len(r.dead.all()))
		}
		letter := r.dead.all()[0]
		var why struct {
			Message, Reason string
			Tries, Receives int
			At              time.Time
		}
		if err := json.Unmarshal([]byte(letter.Attributes["inreply"]), &why); err != nil {
			t.Fatal(err)
		}
		if letter.Body != "hello" || why.Message != "m0" || why.Reason != `not an event: it is no JSON object: "hello"` || why.Tries != 1 || why.Receives != 1 || !why.At.Equal(time.Now()) {
			t.Errorf("dead letter %+v says %+v", letter, why)
		}
		if lines := r.logged("dead-lettered"); len(lines) != 2 || lines[0].ContextMap()["message"] != "m0" {
			t.Errorf("logged %+v", lines)
		}
	})
}

// TestNoObject: notices that announce nothing are dropped, and it is said.
func TestNoObject(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.put(
			`{"Event":"s3:TestEvent"}`, notice("inbound/AMAZON_SES_SETUP_NOTIFICATION"), `{"Type":"SubscriptionConfirmation"}`,
			strings.ReplaceAll(notice("inbound/a"), "ObjectCreated:Put", "ObjectRemoved:Delete"),
		)
		r.run()
		after(0)
		checkRelayed(t, r)
		var kinds []string
		for _, line := range r.logged("notice without an object dropped") {
			kinds = append(kinds, line.ContextMap()["kind"].(string))
		}
		if len(kinds) != 4 || len(r.dead.all()) != 0 {
			t.Errorf("logged %v; %d dead letters", kinds, len(r.dead.all()))
		}
	})
}

func TestFilters(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.Prefix, r.config.Suffix = "in", ".eml"
		r.intake.put(notice("inbound/a.eml", "inreply/records/mail/ab/x.eml", "out/a.eml", "inbound/a.txt"))
		r.run()
		after(0)
		checkRelayed(t, r, "inbound/a.eml")
		why := map[string]string{}
		for _, line := range r.logged("object passed over") {
			why[line.ContextMap()["key"].(string)] = line.ContextMap()["reason"].(string)
		}
		if len(why) != 3 || !strings.Contains(why["inreply/records/mail/ab/x.eml"], "our own records") ||
			!strings.Contains(why["out/a.eml"], "relay.prefix") || !strings.Contains(why["inbound/a.txt"], "relay.suffix") {
			t.Errorf("passed over: %v", why)
		}
	})
}

// TestTopUnreadable: an object that cannot be read now stays in the intake, and is
// never published under another group.
func TestTopUnreadable(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		var denied atomic.Bool
		denied.Store(true)
		r.tops.top = func(_ context.Context, key string) ([]byte, error) {
			if denied.Load() && key == "inbound/b" {
				return nil, storeError{}
			}
			return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
		}
		waiting := r.intake.put(notice("inbound/a"), notice("inbound/b"), notice("inbound/c", "inbound/b"))
		r.run()
		after(20 * time.Minute)
		if got := r.topic.all(); len(got) != 1 {
			t.Errorf("published %d", len(got))
		}
		for _, m := range waiting[1:] {
			m := r.intake.is(m)
			if m.deleted > 0 || m.ReceiveCount < 3 || m.ReceiveCount > 20 {
				t.Errorf("%s: deleted %d times after %d receives", m.ID, m.deleted, m.ReceiveCount)
			}
			for i := 1; i < len(m.given); i++ {
				if m.given[i] < m.given[i-1] || m.given[i] > 5*time.Minute+time.Second {
					t.Errorf("%s came again after %v", m.ID, m.given)
				}
			}
		}
		denied.Store(false)
		after(6 * time.Minute)
		checkRelayed(t, r, "inbound/a", "inbound/b", "inbound/c")
		groups := map[string]bool{}
		for _, o := range r.topic.all() {
			groups[o.Group] = true
		}
		if len(groups) != 1 {
			t.Errorf("one author's mails in groups %v", groups)
		}
	})
}

// TestOutageOfS3: what an outage keeps from its way is held. Nothing is counted up,
// nothing is received that would only wait, and nothing is lost.
func TestOutageOfS3(t *testing.T) {
	const loops, mails, hours = 2, 30, 2
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.Concurrency = loops
		back := time.Now().Add(hours * time.Hour)
		var reads atomic.Int64
		r.tops.top = func(context.Context, string) ([]byte, error) {
			if reads.Add(1); time.Now().Before(back) {
				return nil, storeError{out: "s3"}
			}
			return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
		}
		all := r.intake.put(notices(mails)...)
		r.run()
		after((hours - 1) * time.Hour)
		received := 0
		for _, m := range all {
			m := r.intake.is(m)
			if m.ReceiveCount > 1 {
				t.Fatalf("%s was received %d times", m.ID, m.ReceiveCount)
			}
			received += m.ReceiveCount
		}
		if received > loops*10 || received == 0 || len(r.topic.all()) > 0 {
			t.Errorf("%d received by %d loops, %d published", received, loops, len(r.topic.all()))
		}
		if most := int64((hours - 1) * 3600 / 15 * loops * 10); reads.Load() > most {
			t.Errorf("S3 was asked %d times", reads.Load())
		}
		after(time.Hour + time.Minute)
		checkRelayed(t, r, keysOf(mails)...)
		if len(r.dead.all()) > 0 {
			t.Errorf("%d dead letters", len(r.dead.all()))
		}
	})
}

func keysOf(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("inbound/%04d", i)
	}
	return keys
}

// TestOutageOfOne: a batch goes on without the one whose object does not answer.
func TestOutageOfOne(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		var hangs atomic.Bool
		hangs.Store(true)
		r.tops.top = func(ctx context.Context, key string) ([]byte, error) {
			if hangs.Load() && key == "inbound/0001" {
				<-ctx.Done()
				return nil, fmt.Errorf("get the top of object: %w", ctx.Err())
			}
			return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
		}
		all := r.intake.put(notices(3)...)
		r.run()
		after(25 * time.Second)
		if got := r.intake.deletions(all); len(r.topic.all()) != 2 || !slices.Equal(got, []int{1, 0, 1}) {
			t.Errorf("published %d; deleted %v", len(r.topic.all()), got)
		}
		after(5 * time.Minute)
		if got := r.intake.is(all[1]).ReceiveCount; got != 1 {
			t.Errorf("received %d times", got)
		}
		hangs.Store(false)
		after(2 * time.Minute)
		checkRelayed(t, r, keysOf(3)...)
	})
}

// TestHeldTooLong: SQS takes a message back from whoever holds it too long. It is
// not deleted by whoever does not hold it any more.
func TestHeldTooLong(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		taken := false
		var out atomic.Bool
		out.Store(true)
		r.tops.top = func(context.Context, string) ([]byte, error) {
			if out.Load() {
				return nil, storeError{out: "s3"}
			}
			return nil, storeError{permanent: true}
		}
		r.intake.extending = func(m *message) error {
			if taken || m.ID != "m0" {
				return nil
			}
			taken = true
			return &queue.EntryError{Code: "InvalidParameterValue", Message: "Total VisibilityTimeout for the message is beyond the limit", SenderFault: true}
		}
		all := r.intake.put(notices(2)...)
		r.run()
		after(10 * time.Second)
		if len(r.logged("a notice that waited is given up; it comes again")) != 1 {
			t.Error("nothing was said of the notice that was taken")
		}
		after(2 * time.Minute)
		if first, second := r.intake.is(all[0]), r.intake.is(all[1]); first.ReceiveCount != 2 || second.ReceiveCount != 1 {
			t.Errorf("received %d and %d times", first.ReceiveCount, second.ReceiveCount)
		}
		out.Store(false)
		after(time.Minute)
		checkRelayed(t, r, keysOf(2)...)
	})
}

// TestHeldThoughExtendFails: a call that fails as a whole takes nothing away.
func TestHeldThoughExtendFails(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		back := time.Now().Add(10 * time.Second)
		r.tops.top = func(context.Context, string) ([]byte, error) {
			if time.Now().Before(back) {
				return nil, storeError{out: "s3"}
			}
			return nil, storeError{permanent: true}
		}
		r.intake.extending = func(*message) error { return errConnection }
		all := r.intake.put(notices(2)...)
		r.run()
		after(30 * time.Second)
		checkRelayed(t, r, keysOf(2)...)
		if got := r.intake.is(all[0]).ReceiveCount; got != 1 {
			t.Errorf("received %d times", got)
		}
	})
}

// TestPublishRefuses: each entry's answer decides on its own notice.
func TestPublishRefuses(t *testing.T) {
	const throttled, tooLong = "Throttled", "MessageTooLong"
	inBubble(t, func(r *rig) {
		t := r.t
		began := time.Now()
		r.topic.entry = func(o queue.Outgoing) error {
			n, err := event.Decode([]byte(o.Body))
			switch {
			case err != nil:
				return err
			case n.Objects[0].Key == "inbound/later" && time.Since(began) < time.Minute:
				return fmt.Errorf("refused: %w", &queue.EntryError{Code: throttled})
			case n.Objects[0].Key == "inbound/never":
				return fmt.Errorf("refused: %w", &queue.EntryError{Code: tooLong, SenderFault: true})
			}
			return nil
		}
		all := r.intake.put(notice("inbound/a"), notice("inbound/later"), notice("inbound/never"), notice("inbound/b", "inbound/later", "inbound/c"), notice("inbound/d"), notice("inbound/later", "inbound/never"))
		r.run()
		after(0)
		if got := r.intake.deletions(all); !slices.Equal(got, []int{1, 0, 1, 0, 1, 0}) {
			t.Errorf("deleted %v", got)
		}
		after(3 * time.Minute)
		checkRelayed(t, r, "inbound/a", "inbound/later", "inbound/b", "inbound/c", "inbound/d")
		// A notice of which one object waits and another is refused for good ends once.
		if len(r.dead.all()) != 2 || !strings.Contains(r.dead.all()[0].Attributes["inreply"], "publish: refused: MessageTooLong") {
			t.Errorf("dead letters: %+v", r.dead.all())
		}
	})
}

// TestPublishFails: a call that fails as a whole is an outage, also a call that
// took effect and whose answer was lost.
func TestPublishFails(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.topic.whole = func(call int) error {
			if call <= 20 {
				return errConnection
			}
			return nil
		}
		all := r.intake.put(notices(25)...)
		r.run()
		after(10 * time.Minute)
		checkRelayed(t, r, keysOf(25)...)
		for _, m := range all {
			if m := r.intake.is(m); m.ReceiveCount != 1 {
				t.Errorf("%s was received %d times", m.ID, m.ReceiveCount)
			}
		}
	})
}

// TestDeadLetterRefused: a dead letter that was not confirmed is not deleted.
func TestDeadLetterRefused(t *testing.T) {
	for name, fault := range map[string]error{
		"by entry": fmt.Errorf("refused: %w", &queue.EntryError{Code: "InternalError"}), "as a whole": errConnection,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				var fails atomic.Bool
				fails.Store(true)
				r.dead.fault = func(o queue.Outgoing) error {
					if fails.Load() && o.Body == "hello" {
						return fault
					}
					return nil
				}
				all := r.intake.put("hello", "world", notice("inbound/a"))
				r.run()
				after(time.Minute)
				if got := r.intake.deletions(all); !slices.Equal(got, []int{0, 1, 1}) {
					t.Errorf("deleted %v", got)
				}
				fails.Store(false)
				after(5 * time.Minute)
				checkRelayed(t, r, "inbound/a")
				if len(r.dead.all()) != 2 {
					t.Errorf("%d dead letters", len(r.dead.all()))
				}
			})
		})
	}
}

// TestDeleteFails: what stays in the intake is relayed again, and dropped by its
// deduplication id.
func TestDeleteFails(t *testing.T) {
	tests := map[string]struct {
		fails  int
		with   error
		asked  int // publishes
		logged int
	}{
		"once":        {1, errConnection, 2, 0},
		"three times": {3, &queue.EntryError{Code: "InternalError"}, 2, 0},
		"all times":   {4, errConnection, 3, 1},
		"lost":        {1, lost(), 3, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				left := test.fails
				r.intake.deleting = func(m *message) error {
					if m.ID != "m1" || left == 0 {
						return nil
					}
					left--
					return test.with
				}
				r.intake.put(notices(2)...)
				r.run()
				after(2 * time.Minute)
				checkRelayed(t, r, keysOf(2)...)
				if r.topic.entries() != test.asked {
					t.Errorf("%d entries were published, want %d", r.topic.entries(), test.asked)
				}
				if n := len(r.logged("notices were relayed and could not be deleted; they will be relayed again")); n != test.logged {
					t.Errorf("%d log lines", n)
				}
			})
		})
	}
}

// TestPanic: a fault in reading costs one notice a try, and nobody else anything.
func TestPanic(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		left := 1
		r.tops.top = func(_ context.Context, key string) ([]byte, error) {
			if key == "inbound/0001" && left > 0 {
				left--
				panic("index out of range")
			}
			return nil, nil
		}
		all := r.intake.put(notices(3)...)
		r.run()
		after(0)
		if got := r.intake.deletions(all); !slices.Equal(got, []int{1, 0, 1}) {
			t.Errorf("deleted %v", got)
		}
		lines := r.logged("a notice cannot be relayed now")
		if len(lines) != 1 || !strings.Contains(fmt.Sprint(lines[0].ContextMap()["error"]), "relay_test.go") {
			t.Errorf("logged %+v", lines)
		}
		after(time.Minute)
		checkRelayed(t, r, keysOf(3)...)
	})
}

func TestConfig(t *testing.T) {
	good := relay.Defaults()
	good.Queue, good.Topic = "intake", "arn:aws:sns:us-east-1:000000000000:mail.fifo"
	tests := map[string]struct {
		change func(*relay.Config)
		fault  string
	}{
		"good":                 {func(*relay.Config) {}, ""},
		"off":                  {func(c *relay.Config) { *c = relay.Config{} }, ""},
		"standard topic":       {func(c *relay.Config) { c.Topic = "arn:aws:sns:us-east-1:000000000000:mail" }, "topic: "},
		"unknown group":        {func(c *relay.Config) { c.Group = "subject" }, "group: "},
		"no loops":             {func(c *relay.Config) { c.Concurrency = 0 }, "concurrency: "},
		"too many loops":       {func(c *relay.Config) { c.Concurrency = 1001 }, "concurrency: "},
		"short poll":           {func(c *relay.Config) { c.Poll = 0 }, "poll: "},
		"longer than SQS does": {func(c *relay.Config) { c.Poll = 21 * time.Second }, "poll: "},
		"grace below nothing":  {func(c *relay.Config) { c.PollGrace = -1 }, "poll_grace: "},
		"no time":              {func(c *relay.Config) { c.Deadline = 0 }, "deadline: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := good
			test.change(&c)
			err := c.Validate()
			if (err != nil) != (test.fault != "") || err != nil && !strings.HasPrefix(err.Error(), test.fault) {
				t.Errorf("%v, want one that begins with %q", err, test.fault)
			}
			_, made := relay.New(c, relay.Parts{Logger: zap.NewNop()})
			if (made != nil) != (err != nil) || made != nil && !errors.Is(made, errors.Unwrap(made)) {
				t.Errorf("new: %v", made)
			}
		})
	}
}
