package consumer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"inreply/consumer"
	"inreply/email"
	"inreply/queue"
)

// mails is a worker whose messages are mails, which fail or not.
type mails struct{ work }

func (m mails) Work(ctx context.Context, message queue.Message, try int) (consumer.Result, error) {
	result, err := m.work.Work(ctx, message, try)
	result.Mail, result.Route = "mail "+message.Body, "route"
	return result, err
}

// claims answer for whether a mail may be given up.
type claims func(n int) (email.Sent, error) // n: how often it was asked before

// asking counts what it is asked.
type asking struct {
	claims

	mu  sync.Mutex
	all []string
}

// asked is what it was asked so far.
func (a *asking) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

func (a *asking) GiveUp(_ context.Context, mail, notice, reason string) (email.Sent, error) {
	a.mu.Lock()
	n := len(a.all)
	a.all = append(a.all, mail+" "+reason)
	a.mu.Unlock()
	if notice == "" {
		return email.Sent{}, errors.New("by no notice")
	}
	return a.claims(n)
}

// giving runs test with a rig in which the mail "bad" is permanently so, and c says
// whether it may be dead-lettered.
func giving(t *testing.T, c claims, test func(r *rig, a *asking)) {
	t.Helper()
	inBubble(t, func(r *rig) {
		r.handle(func(_ context.Context, m queue.Message, _ int) error {
			if m.Body == "bad" {
				return failing{permanent: true}
			}
			return nil
		})
		work, ok := r.parts.Worker.(work)
		if !ok {
			t.Fatal("no work")
		}
		r.parts.Worker = mails{work}
		a := &asking{claims: c}
		r.parts.Claims = a
		r.send("a", "bad", "a2")
		test(r, a)
	})
}

func TestAMailIsGivenUpBeforeItIsDeadLettered(t *testing.T) {
	var r *rig
	giving(t, func(int) (email.Sent, error) {
		if n, _ := r.counts(r.dead); n > 0 {
			t.Error("it was dead-lettered before")
		}
		return email.Sent{}, nil
	}, func(now *rig, a *asking) {
		r = now
		// That it is sent again is no reason to ask again.
		r.parts.DeadLetters = &deadLetters{DeadLetters: r.dead, refuse: 3}
		r.run(time.Minute)
		r.handled("a2")
		if n := len(r.letters()); n != 1 || len(a.asked()) != 1 || a.asked()[0] != "mail bad fails: " {
			t.Errorf("%d dead letters, asked %q", n, a.asked())
		}
		r.empty()
	})
}

func TestAMailThatWasAnsweredAfterAllIsNotDeadLettered(t *testing.T) {
	giving(t, func(int) (email.Sent, error) { return email.Sent{ID: "ses-1", To: "ana@example.com"}, nil }, func(r *rig, _ *asking) {
		r.run(time.Minute)
		r.handled("a2")
		r.empty()
		if n := len(r.letters()); n != 0 {
			t.Errorf("%d dead letters", n)
		}
		lines := r.logs.FilterMessage("answered").All()
		if len(lines) != 1 || lines[0].ContextMap()["ses"] != "ses-1" || lines[0].ContextMap()["route"] != "route" {
			t.Errorf("logged: %+v", lines)
		}
	})
}

// Another process is answering it, by its own account for half a minute more. The
// lease is kept meanwhile, and the mail is not run again.
func TestAMailThatIsBeingAnsweredIsAskedAboutAgain(t *testing.T) {
	giving(t, func(n int) (email.Sent, error) {
		if n == 0 {
			return email.Sent{}, failing{after: 40 * time.Second}
		}
		return email.Sent{}, nil
	}, func(r *rig, a *asking) {
		_, stop := r.start()
		time.Sleep(39 * time.Second)
		if n, _ := r.counts(r.dead); n != 0 || len(a.asked()) != 1 {
			t.Errorf("%d dead letters, asked %q", n, a.asked())
		}
		r.handled()
		time.Sleep(10 * time.Second)
		stop()
		r.handled("a2")
		if n := len(r.letters()); n != 1 || len(a.asked()) != 2 || len(r.started()) != 2 {
			t.Errorf("%d dead letters, asked %q, started %v", n, a.asked(), r.started())
		}
		r.empty()
	})
}

// Its record cannot be read: then nobody can answer the mail either, and it must not
// hold up its group for ever. An outage of S3 is waited out.
func TestAMailThatCannotBeGivenUpIsDeadLetteredInTheEnd(t *testing.T) {
	for name, e := range map[string]struct {
		err   error
		asked int
	}{
		"unreadable": {errors.New("unreadable"), 5},
		"an outage":  {failing{outage: "s3"}, 21},
	} {
		t.Run(name, func(t *testing.T) {
			giving(t, func(n int) (email.Sent, error) {
				if n < 20 {
					return email.Sent{}, e.err
				}
				return email.Sent{}, nil
			}, func(r *rig, a *asking) {
				r.run(20 * time.Minute)
				r.handled("a2")
				if n := len(r.letters()); n != 1 || len(a.asked()) != e.asked || len(r.started()) != 2 {
					t.Errorf("%d dead letters, asked %d times, started %v", n, len(a.asked()), r.started())
				}
				r.empty()
			})
		})
	}
}

// The lease is gone by the time that the mail may be dead-lettered. Whoever has it now
// will do that.
func TestAMailWhoseLeaseIsLostIsLeftToOthers(t *testing.T) {
	var lost atomic.Bool
	var handle atomic.Value // the first that was lost
	giving(t, func(n int) (email.Sent, error) {
		if n == 0 {
			lost.Store(true)
			time.Sleep(20 * time.Second) // Its extension finds it lost meanwhile.
		}
		return email.Sent{}, nil
	}, func(r *rig, a *asking) {
		r.parts.Queue = stealing{r.queue, func(h string) bool {
			return lost.Load() && (handle.CompareAndSwap(nil, h) || handle.Load() == h)
		}}
		_, stop := r.start()
		time.Sleep(25 * time.Second)
		if n, _ := r.counts(r.dead); n != 0 || len(a.asked()) != 1 {
			t.Errorf("%d dead letters, asked %q", n, a.asked())
		}
		time.Sleep(2 * visibility)
		stop()
		r.handled("a2")
		if n := len(r.letters()); n != 1 || len(a.asked()) != 2 {
			t.Errorf("%d dead letters, asked %q", n, a.asked())
		}
		r.empty()
	})
}
