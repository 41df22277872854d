package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/event"
	"inreply/queue"
	"inreply/relay"
)

// callable is the relay of a rig, without an intake.
func (r *rig) callable() *relay.Relay {
	r.t.Helper()
	r.config.Queue, r.config.DeadLetters = "", "dead"
	r.config.Push.Listen, r.config.Push.Topics = "127.0.0.1:0", []string{"arn:aws:sns:us-east-1:000000000000:events"}
	relayed, err := relay.New(r.config, relay.Parts{
		Topic: r.topic, DeadLetters: r.dead, Tops: r.tops, Logger: zap.NewNop(), Random: func() float64 { return 0.5 },
		Own: func(_, key string) bool { return strings.HasPrefix(key, "inreply/records/") },
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return relayed
}

func TestCalledIn(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		relayed := r.callable()
		for _, text := range []string{notice("inbound/a"), notice("inbound/b", "inbound/c"), `{"Event":"s3:TestEvent"}`, notice("inreply/records/mail/ab/x")} {
			if err := relayed.Take(t.Context(), "id", text); err != nil {
				t.Errorf("%s: %v", text, err)
			}
		}
		checkRelayed(t, r, "inbound/a", "inbound/b", "inbound/c")
	})
}

// What is no notice never will be one: SNS is not to try again, and somebody is to
// see it.
func TestNoNoticeIsCalledIn(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		relayed := r.callable()
		if err := relayed.Take(t.Context(), "id-1", "hello"); err != nil {
			t.Error(err)
		}
		letters := r.dead.all()
		if len(letters) != 1 || letters[0].Body != "hello" {
			t.Fatalf("dead letters %v", letters)
		}
		var why struct{ Message, Reason string }
		if err := json.Unmarshal([]byte(letters[0].Attributes["inreply"]), &why); err != nil || why.Message != "id-1" || !strings.Contains(why.Reason, "not an event") {
			t.Errorf("%+v, %v", why, err)
		}
		r.dead.fault = func(queue.Outgoing) error { return errConnection }
		if err := relayed.Take(t.Context(), "id-2", "hello"); err == nil {
			t.Error("taken, although it lies nowhere")
		}
	})
}

// SNS has its answer in time, and it is no 200, as long as nothing was published.
func TestCalledInDuringAnOutage(t *testing.T) {
	for name, out := range map[string]func(*rig){
		"of SNS": func(r *rig) { r.topic.whole = func(int) error { return errConnection } },
		"of S3": func(r *rig) {
			r.tops.top = func(context.Context, string) ([]byte, error) { return nil, storeError{out: "s3"} }
		},
		"that takes its time": func(r *rig) {
			r.tops.top = func(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() }
		},
		"of one entry": func(r *rig) {
			r.topic.entry = func(queue.Outgoing) error { return &queue.EntryError{Code: "InternalError"} }
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				relayed := r.callable()
				out(r)
				began := time.Now()
				if err := relayed.Take(t.Context(), "id", notice("inbound/a")); err == nil {
					t.Error("taken")
				}
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("took %s; SNS waits 15 s", took)
				}
				if len(r.topic.all())+len(r.dead.all()) != 0 {
					t.Error("published or dead-lettered")
				}
			})
		})
	}
}

// Calls that come together are published together, each is answered for itself, and
// none for another.
func TestCallsArePublishedByTen(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		relayed := r.callable()
		r.tops.top = func(_ context.Context, key string) ([]byte, error) {
			time.Sleep(time.Second)
			if strings.HasSuffix(key, "7") {
				return nil, storeError{}
			}
			return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
		}
		const calls = 200
		failed := make([]error, calls)
		var all sync.WaitGroup
		for n := range calls {
			all.Go(func() { failed[n] = relayed.Take(t.Context(), fmt.Sprint(n), notice(fmt.Sprintf("inbound/%03d", n))) })
		}
		all.Wait()
		var published []string
		for n, err := range failed {
			if fails := n%10 == 7; fails != (err != nil) {
				t.Errorf("call %d: %v", n, err)
			}
		}
		for _, o := range r.topic.all() {
			published = append(published, o.Body)
		}
		if len(published) != calls-calls/10 || r.topic.calls > 8+20 {
			t.Errorf("%d published in %d calls", len(published), r.topic.calls)
		}
	})
}

// A caller who goes away ends nothing.
func TestACallerGoesAway(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.callable().Take(ctx, "id", notice("inbound/a")); err != nil {
			t.Error(err)
		}
		checkRelayed(t, r, "inbound/a")
	})
}

// Without an intake, Run waits for its end.
func TestNoIntake(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		relayed := r.callable()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- relayed.Run(ctx) }()
		after(time.Hour)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Objects that are no mails have no author; their group is by where they lie, and the
// filters are not for them.
func TestObjects(t *testing.T) {
	for by, groups := range map[string]int{relay.GroupKey: 3, relay.GroupPrefix: 2} {
		t.Run(by, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				r.config.ObjectGroup, r.config.Prefix, r.config.Suffix = by, "inbound/", ".eml"
				r.takes = func(o event.Object) (mail, object bool) {
					object = strings.HasPrefix(o.Key, "exports/")
					return !object, object
				}
				r.tops.top = func(_ context.Context, key string) ([]byte, error) {
					if strings.HasPrefix(key, "exports/") {
						t.Errorf("%s was read", key)
					}
					return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
				}
				r.intake.put(notice("exports/a.csv", "exports/b.csv", "inbound/a.eml", "inbound/a.csv"))
				r.run()
				after(0)
				checkRelayed(t, r, "exports/a.csv", "exports/b.csv", "inbound/a.eml")
				seen := map[string]bool{}
				for _, o := range r.topic.all() {
					seen[o.Group] = true
				}
				if len(seen) != groups {
					t.Errorf("groups %v", seen)
				}
			})
		})
	}
}
