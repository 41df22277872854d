package mailer

import (
	"testing"
	"testing/synctest"
	"time"

	"inreply/email"
)

// rerun is the id of a mail, or of the mail as a rerun has it answered once more.
func rerun(id string) string {
	return email.Object{Bucket: "example-mail", Key: "inbound/1", ETag: "e", Again: id}.ID()
}

// Once more is once, whichever process a rerun reaches, however often, and whatever
// goes wrong on the way; the next rerun is once more again.
func TestAnsweredOnceMoreByEachRerun(t *testing.T) {
	for name, mishap := range map[string]func(string) (error, error){
		"nothing goes wrong":             func(string) (error, error) { return nil, nil },
		"the claim never arrives":        once("create mail", errCut, nil),
		"the claim's answer is lost":     once("create mail", nil, errCut),
		"SES is never reached":           once("send", errCut, nil),
		"the commit never arrives":       once("replace mail", errCut, nil),
		"the commit's answer is lost":    once("replace mail", nil, errCut),
		"the record cannot be read once": once("get mail", errCut, nil),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				one, _ := w.newProcess(t, config())
				two, _ := w.newProcess(t, config())
				send(t, one, reply(rerun("")))
				w.fate = mishap
				// A message that comes twice reaches two processes, and both orders.
				for n, id := range []string{"r1", "r1", "r2", "r1", "", "r2"} {
					for _, m := range []*Mailer{one, two, one} {
						persist(t, m, rerun(id))
					}
					if want := []int{2, 2, 3, 3, 3, 3}[n]; len(w.sent) != want {
						t.Fatalf("after %d, %q, SES took %d, want %d", n, id, len(w.sent), want)
					}
				}
			})
		})
	}
}

// persist sends until it is sent, as the consumer does.
func persist(t *testing.T, m *Mailer, mail string) {
	t.Helper()
	for range 20 {
		_, err := m.Send(t.Context(), reply(mail))
		if err == nil {
			return
		}
		time.Sleep(max(after(err), time.Second))
	}
	t.Fatalf("%s was never sent", mail)
}

// A process dies between its claim and SES: the other one waits until nobody can be
// asking any more, and then answers.
func TestAProcessDiesWithinARerun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		one, process := w.newProcess(t, config())
		two, _ := w.newProcess(t, config())
		send(t, two, reply(rerun("")))
		w.fate = func(operation string) (error, error) {
			process.dead = process.dead || operation == "send"
			if process.dead {
				w.fate = func(string) (error, error) { return nil, nil }
				return errCut, nil
			}
			return nil, nil
		}
		if _, err := one.Send(t.Context(), reply(rerun("r1"))); err == nil {
			t.Fatal("it was sent")
		}
		began := time.Now()
		persist(t, two, rerun("r1"))
		persist(t, two, rerun("r1"))
		if waited := time.Since(began); waited < config().Claim || len(w.sent) != 2 {
			t.Errorf("SES took %d, after %s", len(w.sent), waited)
		}
		if r := w.mails[rerun("r1")].record; !r.Unknown {
			t.Errorf("the record does not say that it may have gone out twice: %+v", r)
		}
	})
}
