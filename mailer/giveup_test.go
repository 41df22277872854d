package mailer

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/email"
	"inreply/store"
)

// by is the reply to a mail that was announced by this notice.
func by(notice, mail string) *email.Reply {
	r := reply(mail)
	r.Notice = notice
	return r
}

// giveUp has a mail given up, and asserts that it is.
func giveUp(t *testing.T, m *Mailer) {
	t.Helper()
	if sent, err := m.GiveUp(t.Context(), "mail-1", "notice-1", "failed 5 times, last: broken"); err != nil || sent.ID != "" {
		t.Fatalf("given up: %+v, %v", sent, err)
	}
}

func TestWhatWasGivenUpIsNotAnswered(t *testing.T) {
	w := newWorld()
	burying, p := w.newProcess(t, config())
	giveUp(t, burying)
	if len(p.calls) != 1 || p.calls["create mail"] != 1 {
		t.Errorf("on the common way it costs one write, and took %v", p.calls)
	}
	giveUp(t, burying)
	m, _ := w.newProcess(t, config())
	giveUp(t, m)
	_, err := m.Send(t.Context(), by("notice-1", "mail-1"))
	if r, ok := errors.AsType[*refusal](err); !ok || !r.Permanent() || !strings.Contains(err.Error(), "failed 5 times, last: broken") {
		t.Errorf("error %v", err)
	}
	if len(w.sent) != 0 {
		t.Error("it was answered")
	}
	// Redriven, it is.
	if sent := send(t, m, by("notice-2", "mail-1")); sent.Unknown || sent.Repeated || len(w.sent) != 1 {
		t.Errorf("%+v, %d sent", sent, len(w.sent))
	}
	// And then not dead-lettered any more, by whichever notice.
	for _, notice := range []string{"notice-1", "notice-2"} {
		if sent, err := burying.GiveUp(t.Context(), "mail-1", notice, "late"); err != nil || sent.ID != "ses-1" || !sent.Repeated {
			t.Errorf("given up by %s after all: %+v, %v", notice, sent, err)
		}
	}
}

func TestGivingUpKeepsTheTries(t *testing.T) {
	w := newWorld()
	w.mails["mail-1"] = written[store.MailRecord]{store.MailRecord{Tries: 3, Begun: map[int]time.Time{5: {}}, TriesOf: "notice-1"}, "e"}
	m, _ := w.newProcess(t, config())
	giveUp(t, m)
	want := store.MailRecord{Tries: 3, Begun: map[int]time.Time{5: {}}, TriesOf: "notice-1", GivenUp: "notice-1", LastError: "failed 5 times, last: broken"}
	if diff := cmp.Diff(want, w.mails["mail-1"].record); diff != "" {
		t.Error(diff)
	}
}

// The answer to the write gets lost, or the SDK asks again and meets its own write.
func TestGivingUpTwiceIsGivingUp(t *testing.T) {
	for name, fate := range map[string]func(string) (error, error){
		"request lost":  once("create mail", errCut, nil),
		"response lost": once("create mail", nil, errCut),
		"met itself":    once("create mail", nil, store.ErrExists),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m, _ := w.newProcess(t, config())
			w.fate = fate
			if _, err := m.GiveUp(t.Context(), "mail-1", "notice-1", "why"); err != nil && name == "met itself" {
				t.Fatal(err)
			}
			giveUp(t, m)
			if got := w.mails["mail-1"].record.GivenUp; got != "notice-1" {
				t.Errorf("given up: %q", got)
			}
		})
	}
}

// Another process is asking SES. Who wants to dead-letter the mail waits for it, and
// learns that it was answered.
func TestAMailThatIsBeingAnsweredIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		answering, _ := w.newProcess(t, config())
		m, _ := w.newProcess(t, config())
		w.refuse = func() error {
			w.mu.Unlock()
			defer w.mu.Lock()
			if sent, err := m.GiveUp(context.Background(), "mail-1", "notice-1", "why"); after(err) != 40*time.Second { // until, and SES's timeout
				t.Errorf("%+v, again after %s: %v", sent, after(err), err)
			}
			return nil
		}
		send(t, answering, by("notice-1", "mail-1"))
		if sent, err := m.GiveUp(t.Context(), "mail-1", "notice-1", "why"); err != nil || sent.ID != "ses-1" || sent.To != "ana@example.com" || !sent.Repeated {
			t.Errorf("%+v, %v", sent, err)
		}
	})
}

// Its process died, and nobody knows whether the reply went out. It is given up, and
// who answers it when it was redriven knows that it may go out twice.
func TestAnUnknownEndIsGivenUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		dying, p := w.newProcess(t, config())
		w.fate = func(operation string) (error, error) {
			if operation == "send" {
				p.dead = true
				return nil, errCut
			}
			return nil, nil
		}
		if _, err := dying.Send(t.Context(), by("notice-1", "mail-1")); err == nil {
			t.Fatal("no error")
		}
		w.fate = func(string) (error, error) { return nil, nil }
		m, _ := w.newProcess(t, config())
		_, err := m.GiveUp(t.Context(), "mail-1", "notice-1", "why")
		time.Sleep(after(err))
		giveUp(t, m)
		if sent := send(t, m, by("notice-2", "mail-1")); !sent.Unknown {
			t.Errorf("%+v", sent)
		}
	})
}

// A claim of our own under which SES was never asked is nothing to wait for.
func TestAnUnusedClaimDoesNotKeepAMailFromBeingGivenUp(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	w.fate = once("create mail", nil, errCut)
	if _, err := m.Send(t.Context(), by("notice-1", "mail-1")); err == nil {
		t.Fatal("no error")
	}
	giveUp(t, m)
}

// The reply is out, and could not be committed. It is now.
func TestAReplyThatIsOutIsNotGivenUp(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	w.fate = once("replace mail", errCut, nil)
	if _, err := m.Send(t.Context(), by("notice-1", "mail-1")); err == nil {
		t.Fatal("no error")
	}
	if sent, err := m.GiveUp(t.Context(), "mail-1", "notice-1", "why"); err != nil || sent.ID != "ses-1" {
		t.Errorf("%+v, %v", sent, err)
	}
	if got := w.mails["mail-1"].record; got.SES != "ses-1" || got.GivenUp != "" {
		t.Errorf("%+v", got)
	}
}

// Many processes answer the same mails, and as many give them up, while calls get
// lost on either side, come late, and processes die. What was given up is never
// answered any more.
func TestAnsweringAndGivingUpExcludeEachOther(t *testing.T) {
	seeds := 60
	if testing.Short() {
		seeds = 10
	}
	var answered, buried int
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			a, b := duel(t, uint64(seed))
			answered += a
			buried += b
		})
	}
	t.Logf("%d mails were answered, %d given up", answered, buried)
	if answered == 0 || buried == 0 {
		t.Error("one side always wins: the races are too tame")
	}
}

// duel runs one seed, and returns how many mails ended which way.
func duel(t *testing.T, seed uint64) (answered, buried int) {
	t.Helper()
	r := &race{world: newWorld(), t: t, random: rand.New(rand.NewPCG(seed, 2)), config: config()}
	r.fate = r.mishaps
	const mails = 8
	taken := func(mail string) (n int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, in := range r.world.sent {
			if *in.Tags[0].Value == mail {
				n++
			}
		}
		return n
	}
	var mu sync.Mutex
	given := map[string]int{} // replies that SES had taken when the mail was first given up
	var wg sync.WaitGroup
	for n := range 6 * mails {
		wg.Go(func() {
			m, mail := r.newRacer(), fmt.Sprintf("mail-%d", n%mails)
			for {
				// An odd one wants to give it up.
				if n/mails%2 == 1 {
					sent, err := m.GiveUp(context.Background(), mail, "notice", "why")
					mu.Lock()
					if _, before := given[mail]; err == nil && sent.ID == "" && !before {
						given[mail] = taken(mail)
					}
					mu.Unlock()
					if err == nil {
						return
					}
					time.Sleep(after(err))
				} else {
					_, err := m.Send(context.Background(), by("notice", mail))
					refused, ok := errors.AsType[*refusal](err)
					if err == nil || ok && refused.Permanent() {
						return
					}
					time.Sleep(after(err))
				}
				time.Sleep(time.Second)
				if r.isDead(m) {
					m = r.newRacer()
				}
			}
		})
	}
	wg.Wait()
	for n := range mails {
		mail := fmt.Sprintf("mail-%d", n)
		before, up := given[mail]
		switch now := taken(mail); {
		case up && now > before:
			t.Errorf("seed %d: %s was answered after it had been given up", seed, mail)
		case up:
			buried++
		case now > 0:
			answered++
		default:
			t.Errorf("seed %d: %s was neither answered nor given up", seed, mail)
		}
	}
	return answered, buried
}
