package mailer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/email"
	"inreply/store"
)

// send sends a reply and fails the test if it cannot be sent.
func send(t *testing.T, m *Mailer, r *email.Reply) email.Sent {
	t.Helper()
	sent, err := m.Send(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return sent
}

func TestTheCommonWayIsTwoWritesAndNoRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m, _ := w.newProcess(t, config())
		sent := send(t, m, reply("mail-1"))
		want := email.Sent{ID: "ses-1", To: "ana@example.com", At: time.Now().UTC()}
		if diff := cmp.Diff(want, sent); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(map[string]int{"quota": 1, "create mail": 1, "send": 1, "replace mail": 1}, w.calls); diff != "" {
			t.Error(diff)
		}
		record := w.mails["mail-1"].record
		if record.SES != "ses-1" || record.To != "ana@example.com" || record.Unknown {
			t.Errorf("record %+v", record)
		}
		send(t, m, reply("mail-2"))
		if w.calls["quota"] != 1 {
			t.Error("the quota is asked for with every reply")
		}
	})
}

func TestWhatSESIsAsked(t *testing.T) {
	w := newWorld()
	c := config()
	c.ConfigurationSet, c.FeedbackID, c.Unsubscribe, c.MarkKey = "replies", "a:b:c", "https://example.com/stop", "secret"
	c.Identities = []Identity{{From: "ask@bücher.example", Name: "Ask", ConfigurationSet: "questions"}}
	m, _ := w.newProcess(t, c)
	send(t, m, reply("mail-1"))
	other := reply("mail-2")
	other.From.Mailbox = "ask@xn--bcher-kva.example" // as a route may write it
	other.To.Mailbox = "ana@münchen.example"
	send(t, m, other)
	for i, want := range []struct{ source, to, set, from string }{
		{"data@inreply.example", "ana@example.com", "replies", "From: Data desk <data@inreply.example>\r\n"},
		{"ask@xn--bcher-kva.example", "ana@xn--mnchen-3ya.example", "questions", "From: Ask <ask@xn--bcher-kva.example>\r\n"},
	} {
		in := w.sent[i]
		if *in.Source != want.source || len(in.Destinations) != 1 || in.Destinations[0] != want.to || *in.ConfigurationSetName != want.set {
			t.Errorf("%d: source %s, to %v, set %s", i, *in.Source, in.Destinations, *in.ConfigurationSetName)
		}
		if len(in.Tags) != 1 || *in.Tags[0].Name != Tag || !strings.HasPrefix(*in.Tags[0].Value, "mail-") {
			t.Errorf("%d: tags %v", i, in.Tags)
		}
		for _, line := range []string{want.from, "Feedback-ID: a:b:c\r\n", "List-Unsubscribe: <https://example.com/stop>\r\n", "X-Inreply-Mark: " + email.Mark([]byte("secret"), fmt.Sprintf("mail-%d", i+1)), "Auto-Submitted: auto-replied\r\n"} {
			if !strings.Contains(string(in.RawMessage.Data), line) {
				t.Errorf("%d: without %q:\n%s", i, line, in.RawMessage.Data)
			}
		}
	}
}

func TestASecondSendOnlyFindsThatItWasSent(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	first := send(t, m, reply("mail-1"))
	other, _ := w.newProcess(t, config())
	for _, m := range []*Mailer{m, other} {
		again := send(t, m, reply("mail-1"))
		if !again.Repeated || again.ID != first.ID || again.To != first.To || !again.At.Equal(first.At) {
			t.Errorf("%+v, want a repetition of %+v", again, first)
		}
	}
	if len(w.sent) != 1 {
		t.Errorf("SES was asked %d times", len(w.sent))
	}
}

// once has the first call of an operation go wrong.
func once(operation string, before, after error) func(string) (error, error) {
	done := false
	return func(called string) (error, error) {
		if called != operation || done {
			return nil, nil
		}
		done = true
		return before, after
	}
}

// The SDK asks again when an answer is lost, and is told that the record exists:
// it is its own.
func TestARecordWithOurTokenIsOurs(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	w.fate = once("create mail", nil, store.ErrExists)
	if sent := send(t, m, reply("mail-1")); sent.ID != "ses-1" || sent.Repeated || sent.Unknown {
		t.Errorf("%+v", sent)
	}
	if w.calls["get mail"] != 1 {
		t.Errorf("calls %v", w.calls)
	}
}

// A commit that is told that the record has changed reads it, and finds itself.
func TestACommitThatMeetsItselfIsDone(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	w.fate = once("replace mail", nil, store.ErrChanged)
	if sent := send(t, m, reply("mail-1")); sent.ID != "ses-1" || sent.Unknown {
		t.Errorf("%+v", sent)
	}
}

func TestAClaimThatWasNeverUsedIsTakenUpAtOnce(t *testing.T) {
	for name, fate := range map[string]func(string) (error, error){
		"request lost":  once("create mail", errCut, nil),
		"response lost": once("create mail", nil, errCut),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m, _ := w.newProcess(t, config())
			w.fate = fate
			if _, err := m.Send(t.Context(), reply("mail-1")); err == nil {
				t.Fatal("no error")
			}
			if sent := send(t, m, reply("mail-1")); sent.Unknown || sent.Repeated {
				t.Errorf("%+v", sent)
			}
			if len(w.sent) != 1 {
				t.Errorf("%d sent", len(w.sent))
			}
		})
	}
}

func TestAForeignOpenClaimIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		dying, p := w.newProcess(t, config())
		w.fate = func(operation string) (error, error) {
			if operation == "send" {
				p.dead = true // SES took it, and nobody hears of it.
				return nil, errCut
			}
			return nil, nil
		}
		_, err := dying.Send(t.Context(), reply("mail-1"))
		if err == nil || len(w.sent) != 1 {
			t.Fatalf("%v, %d sent", err, len(w.sent))
		}
		w.fate = func(string) (error, error) { return nil, nil }
		m, _ := w.newProcess(t, config())
		_, err = m.Send(t.Context(), reply("mail-1"))
		if after(err) != 40*time.Second { // until, and SES's timeout
			t.Fatalf("again after %s: %v", after(err), err)
		}
		time.Sleep(39 * time.Second)
		if _, err = m.Send(t.Context(), reply("mail-1")); after(err) != time.Second {
			t.Fatalf("again after %s: %v", after(err), err)
		}
		if len(w.sent) != 1 {
			t.Fatal("SES was asked under a foreign claim")
		}
		time.Sleep(time.Second)
		if sent := send(t, m, reply("mail-1")); !sent.Unknown || len(w.sent) != 2 {
			t.Errorf("%+v, %d sent", sent, len(w.sent))
		}
		if !w.mails["mail-1"].record.Unknown {
			t.Error("the record does not say that it may have gone out twice")
		}
	})
}

func TestAnUnknownEndMayBeDeadLettered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := config()
		c.Unknown = DeadLetter
		m, _ := w.newProcess(t, c)
		w.fate = once("send", nil, errCut)
		_, err := m.Send(t.Context(), reply("mail-1"))
		if after(err) != 40*time.Second {
			t.Fatalf("again after %s: %v", after(err), err)
		}
		time.Sleep(40 * time.Second)
		_, err = m.Send(t.Context(), reply("mail-1"))
		if r, ok := errors.AsType[*refusal](err); !ok || !r.Permanent() {
			t.Errorf("error %v", err)
		}
		if len(w.sent) != 1 {
			t.Errorf("%d sent", len(w.sent))
		}
	})
}

// The tries that the consumer wrote down stay, through claim, commit and a claim
// that was given up.
func TestTheTriesInTheRecordStay(t *testing.T) {
	w := newWorld()
	w.mails["mail-1"] = written[store.MailRecord]{store.MailRecord{Tries: 3, Begun: map[int]time.Time{5: {}}, TriesOf: "message", LastError: "what was"}, "e"}
	m, p := w.newProcess(t, config())
	w.refuse = func() error { return apiError("Throttling", "Maximum sending rate exceeded.", 400) }
	if _, err := m.Send(t.Context(), reply("mail-1")); err == nil {
		t.Fatal("no error")
	}
	want := store.MailRecord{Tries: 3, Begun: map[int]time.Time{5: {}}, TriesOf: "message", LastError: "what was"}
	if diff := cmp.Diff(want, w.mails["mail-1"].record); diff != "" {
		t.Error(diff)
	}
	// Another try is counted while SES is asked.
	w.refuse = func() error {
		r := p.mails["mail-1"]
		r.record.Tries, r.record.Begun, r.etag = 4, map[int]time.Time{7: {}}, "counted"
		p.mails["mail-1"] = r
		return nil
	}
	send(t, m, reply("mail-1"))
	got := w.mails["mail-1"].record
	if got.Tries != 4 || !slices.Equal(slices.Collect(maps.Keys(got.Begun)), []int{7}) || got.TriesOf != "message" || got.SES == "" {
		t.Errorf("%+v", got)
	}
}

func TestAReplyThatIsOutIsOnlyCommitted(t *testing.T) {
	for name, fate := range map[string]func(string) (error, error){
		"request lost":  once("replace mail", errCut, nil),
		"response lost": once("replace mail", nil, errCut),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			m, _ := w.newProcess(t, config())
			w.fate = fate
			sent, err := m.Send(t.Context(), reply("mail-1"))
			if err == nil || sent.ID != "ses-1" || after(err) == 0 {
				t.Fatalf("%+v, %v", sent, err)
			}
			if sent := send(t, m, reply("mail-1")); sent.ID != "ses-1" || sent.Unknown {
				t.Errorf("%+v", sent)
			}
			if len(w.sent) != 1 || w.mails["mail-1"].record.SES != "ses-1" {
				t.Errorf("%d sent, record %+v", len(w.sent), w.mails["mail-1"].record)
			}
		})
	}
}

// A commit goes on when the mail's own time is over.
func TestACommitOutlivesItsMail(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	ctx, cancel := context.WithCancel(t.Context())
	w.refuse = func() error {
		cancel()
		return nil
	}
	if _, err := m.Send(ctx, reply("mail-1")); err != nil || w.mails["mail-1"].record.SES != "ses-1" {
		t.Errorf("%v, %+v", err, w.mails["mail-1"].record)
	}
}

// A process that was asleep while its claim ran out does not ask SES.
func TestNobodyAsksAfterHisOwnUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m, _ := w.newProcess(t, config())
		w.fate = func(operation string) (error, error) {
			if operation == "create mail" {
				time.Sleep(31 * time.Second)
			}
			return nil, nil
		}
		_, err := m.Send(t.Context(), reply("mail-1"))
		if !errors.Is(err, errLate) || len(w.sent) != 0 {
			t.Fatalf("%v, %d sent", err, len(w.sent))
		}
		w.fate = func(string) (error, error) { return nil, nil }
		other, _ := w.newProcess(t, config())
		if sent := send(t, other, reply("mail-1")); sent.Unknown {
			t.Error("a claim that was given up left its end unknown")
		}
	})
}

// A call of SES that hangs ends with the claim.
func TestACallEndsWithItsClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config()
		c.Timeout = time.Minute
		w := newWorld()
		m, _ := w.newProcess(t, c)
		hanging := &hangs{SES: m.client}
		m.client = hanging
		began := time.Now()
		_, err := m.Send(t.Context(), reply("mail-1"))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != c.Claim {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestALateCommitLeavesAForeignClaimNothingToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		slow, _ := w.newProcess(t, config())
		w.fate = once("replace mail", errCut, nil)
		if _, err := slow.Send(t.Context(), reply("mail-1")); err == nil {
			t.Fatal("no error")
		}
		time.Sleep(time.Minute)
		// Another process takes the claim over; meanwhile the first one commits.
		other, _ := w.newProcess(t, config())
		w.refuse = func() error {
			w.mu.Unlock()
			defer w.mu.Lock()
			sent, err := slow.Send(context.Background(), reply("mail-1"))
			if err != nil || sent.ID != "ses-1" {
				t.Errorf("%+v, %v", sent, err)
			}
			return nil
		}
		if sent := send(t, other, reply("mail-1")); !sent.Unknown {
			t.Errorf("%+v", sent)
		}
		if record := w.mails["mail-1"].record; record.SES != "ses-1" {
			t.Errorf("%+v", record)
		}
	})
}

func TestAReplyThatIsTooLarge(t *testing.T) {
	large := func() *email.Reply {
		r := reply("mail-1")
		r.HTML = "<html><body><p>Hello</p></body></html>"
		r.Attachments = []email.Part{{Name: "a.bin", Content: make([]byte, 8<<20)}, {Name: "b.csv", Content: []byte("x")}}
		return r
	}
	w := newWorld()
	m, _ := w.newProcess(t, config())
	send(t, m, large())
	raw := string(w.sent[0].RawMessage.Data)
	if len(raw) > 10_000 || strings.Count(raw, "a.bin, b.csv") != 2 || strings.Contains(raw, "multipart/mixed") {
		t.Errorf("it was sent as\n%.3000s", raw)
	}
	c := config()
	c.Oversize = DeadLetter
	strict, _ := newWorld().newProcess(t, c)
	_, err := strict.Send(t.Context(), large())
	if r, ok := errors.AsType[*refusal](err); !ok || !r.Permanent() || !strings.Contains(err.Error(), "10485760") {
		t.Errorf("error %v", err)
	}
	long := reply("mail-2")
	long.Text = strings.Repeat("long\n", 2300<<10)
	_, err = m.Send(t.Context(), long)
	if r, ok := errors.AsType[*refusal](err); !ok || !r.Permanent() {
		t.Errorf("error %v", err)
	}
}

// SES takes 10 MB to the octet, files and their encoding included.
func TestTheLargestReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that all have the same Date
		m, _ := newWorld().newProcess(t, config())
		compose := func(text string) []byte {
			t.Helper()
			r := reply("mail-1")
			r.Text, r.Attachments = text, []email.Part{{Name: "a.bin", Content: make([]byte, 7_660_000)}}
			raw, err := m.Compose(r)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}
		// Text fills what is missing: lines that stand on the wire as they are.
		missing := 10<<20 - len(compose("x"))
		line := "\r\n" + strings.Repeat("y", 60)
		text := strings.Repeat("x", 1+missing%len(line)) + strings.Repeat(line, missing/len(line))
		if got := compose(text); len(got) != 10<<20 || !strings.Contains(string(got), "a.bin") {
			t.Errorf("it has %d octets", len(got))
		}
		if got := compose("x" + text); len(got) > missing+2000 || !strings.Contains(string(got), "were left out, for they are larger") {
			t.Errorf("with one octet more it has %d octets, and its file", len(got))
		}
	})
}

// To whom SES cannot send, nothing is sent, at once and with the reason: neither the
// claim nor SES is asked.
func TestMailboxesThatSESCannotSendTo(t *testing.T) {
	for mailbox, want := range map[string]string{
		"jürgen@example.com":                         "has no SMTPUTF8",
		strings.Repeat("a", 65) + "@b.example":       "64 and 255 are allowed",
		"a@" + strings.Repeat("b.", 160) + "example": "320 are allowed",
		"ana@example.com, bo@example.com":            "is not allowed there",
		"ana":                                        "is no mailbox",
		"":                                           "there is no mailbox",
	} {
		w := newWorld()
		m, _ := w.newProcess(t, config())
		r := reply("mail-1")
		r.To.Mailbox = mailbox
		_, err := m.Send(t.Context(), r)
		if refused, ok := errors.AsType[*refusal](err); !ok || !refused.Permanent() || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", mailbox, err, want)
		}
		if len(w.calls) != 0 {
			t.Errorf("%s: calls %v", mailbox, w.calls)
		}
	}
}

func TestAReplyThatCannotBeComposedIsPermanent(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	r := reply("mail-1")
	r.Subject = "a\r\nBcc: everybody@example.com"
	_, err := m.Send(t.Context(), r)
	if refused, ok := errors.AsType[*refusal](err); !ok || !refused.Permanent() || !strings.Contains(err.Error(), "Subject") {
		t.Errorf("error %v", err)
	}
	if len(w.calls) != 0 {
		t.Errorf("calls %v", w.calls)
	}
}
