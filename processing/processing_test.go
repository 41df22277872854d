package processing_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/processing"
	"inreply/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSettingsThatCannotWork(t *testing.T) {
	route := func(r processing.Route) processing.Config {
		c := processing.Defaults()
		r.Name, r.Processor = "one", "echo"
		c.Routes = []processing.Route{r}
		return c
	}
	routes := func(rs ...processing.Route) processing.Config {
		c := processing.Defaults()
		for i := range rs {
			rs[i].Name, rs[i].Processor = fmt.Sprintf("r%d", i), "echo"
		}
		c.Routes = rs
		return c
	}
	policy := func(p processing.Policy) processing.Config {
		c := processing.Defaults()
		c.Policy = p
		return c
	}
	for _, c := range []struct {
		config processing.Config
		want   string
	}{
		{processing.Config{Unrouted: "silent", Policy: processing.Policy{Trust: "dmarc"}}, "routes: there is none"},
		{processing.Config{Routes: []processing.Route{{}}, Unrouted: "silent", Policy: processing.Policy{Trust: "dmarc"}}, "routes[0].name: the route has none"},
		{processing.Config{Routes: []processing.Route{{}}, Unrouted: "silent", Policy: processing.Policy{Trust: "dmarc"}}, "routes[0].processor: the route has none"},
		{route(processing.Route{Kind: "maill"}), `routes[0].kind: "maill" is neither mail nor object`},
		{route(processing.Route{Subject: "("}), "routes[0].subject: "},
		{route(processing.Route{Recipient: "["}), `routes[0].recipient: "[" is no pattern`},
		{route(processing.Route{AttachmentType: "["}), `routes[0].attachment_type: "[" is no pattern`},
		{route(processing.Route{MaxKiB: -1}), "routes[0].max_kib: -1 is below 0"},
		{route(processing.Route{MinKiB: 10, MaxKiB: 5}), "routes[0].max_kib: 5 is below 10"},
		{route(processing.Route{Kind: "object", Sender: "*"}), "routes[0].sender: an object has none"},
		{route(processing.Route{Kind: "object", Subject: "x"}), "routes[0].subject: an object has none"},
		{route(processing.Route{Kind: "object", Unanswered: true}), "routes[0].policy: an object is never answered"},
		{route(processing.Route{Policy: &processing.Policy{Trust: "maybe"}}), `routes[0].policy.trust: "maybe" is none of`},
		{route(processing.Route{Policy: &processing.Policy{PerHour: -2}}), "routes[0].policy.per_hour: -2 is not between -1 and 500"},
		{policy(processing.Policy{}), `policy.trust: "" is none of`},
		{policy(processing.Policy{Trust: "dmarc", PerHour: -1}), "policy.per_hour: -1 is not between 0 and 500"},
		{policy(processing.Policy{Trust: "dmarc", SameSubject: 501}), "policy.same_subject: 501"},
		{policy(processing.Policy{Trust: "dmarc", Blocked: []string{"a@x.example", ""}}), `policy.blocked[1]: "" is no pattern`},
		{func() processing.Config {
			c := route(processing.Route{})
			c.Unrouted = "bounce"
			return c
		}(), `unrouted: "bounce" is none of`},
		{func() processing.Config {
			c := route(processing.Route{})
			c.Unrouted, c.Refusal = "refuse", " "
			return c
		}(), "refusal: it is empty"},
		{func() processing.Config {
			c := route(processing.Route{})
			c.Routes[0].Name = "unrouted"
			return c
		}(), `routes[0].name: "unrouted" stands for`},
		// Routes that no mail ever comes to.
		{routes(processing.Route{}, processing.Route{Sender: "a@x.example"}), `routes[1].name: no mail ever comes to "r1"`},
		{routes(processing.Route{Sender: "*@x.example"}, processing.Route{Sender: "a@X.example"}), `routes[1].name: no mail`},
		{routes(processing.Route{Sender: "*@x.example"}, processing.Route{Sender: "a*@x.example", Subject: "x"}), `routes[1].name: no mail`},
		{routes(processing.Route{Prefix: "in/"}, processing.Route{Prefix: "in/a/"}), `routes[1].name: no mail`},
		{routes(processing.Route{MaxKiB: 10}, processing.Route{MaxKiB: 5}), `routes[1].name: no mail`},
		{routes(processing.Route{MinKiB: 5}, processing.Route{MinKiB: 10, MaxKiB: 20}), `routes[1].name: no mail`},
		{routes(processing.Route{Prefix: "in/"}, processing.Route{Kind: "object"}), `routes[0].name: no mail`},
		{routes(processing.Route{Kind: "object", Prefix: "x/"}, processing.Route{Kind: "object", Prefix: "x/y/"}), `routes[1].name: no mail`},
	} {
		err := c.config.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v\nwant %s", err, c.want)
		}
	}
	for _, c := range []processing.Config{
		routes(processing.Route{Sender: "a@x.example"}, processing.Route{}),
		routes(processing.Route{Sender: "a*@x.example"}, processing.Route{Sender: "*@x.example"}),
		routes(processing.Route{Sender: "?@x.example"}, processing.Route{Sender: "*@x.example"}),
		routes(processing.Route{Prefix: "in/a"}, processing.Route{Prefix: "in/"}),
		routes(processing.Route{MaxKiB: 5}, processing.Route{MaxKiB: 10}),
		routes(processing.Route{MaxKiB: 5}, processing.Route{}),
		routes(processing.Route{Prefix: "in/"}, processing.Route{Kind: "object", Prefix: "drop/"}),
		routes(processing.Route{}, processing.Route{Kind: "object", Prefix: "drop/"}),
		routes(processing.Route{Subject: "a"}, processing.Route{Subject: "b"}),
		routes(processing.Route{Attachment: "*.csv"}, processing.Route{AttachmentType: "text/csv"}),
		processing.Defaults(),
	} {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c.Routes, err)
		}
	}
}

func TestRoutesWithoutTheirPart(t *testing.T) {
	c := processing.Defaults()
	c.Routes = []processing.Route{{Name: "a", Sender: "a", Processor: "nobody"}, {Name: "b", Processor: "nobody", From: "x@example.com"}}
	_, err := processing.New(c, nil, nil, newPost(), zap.NewNop())
	for _, want := range []string{`routes[0].processor: there is no processor "nobody"`, `routes[1].processor`, "routes[1].from: x@example.com is neither"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

func TestAMailThatCannotBeParsedIsPermanent(t *testing.T) {
	handle, _ := newProcessing(t, echoing(func(*processing.Config) {}), newPost())
	raw := mail(1, "")
	raw.Bytes = []byte{0, 1, 2, 3}
	_, err := handle.Handle(t.Context(), raw)
	if p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](err); !ok || !p.Permanent() {
		t.Errorf("%v", err)
	}
}

func TestAnObjectReachesItsProcessorUnread(t *testing.T) {
	c := echoing(func(c *processing.Config) {
		c.Routes = []processing.Route{{Name: "mails", Prefix: "inbound/", Processor: "echo"}, {Name: "files", Kind: "object", Prefix: "drop/", Processor: "quiet"}}
	})
	p := newPost()
	handle, quiet := newProcessing(t, c, p)
	o := email.Object{Bucket: "mail", Key: "drop/a.pdf", VersionID: "v", ETag: "e", ContentType: "application/pdf", Size: 1 << 30}
	outcome, err := handle.Handle(t.Context(), email.Raw{Object: o})
	if err != nil || outcome.Kind != email.Processed || outcome.Route != "files" {
		t.Errorf("%+v, %v", outcome, err)
	}
	if len(quiet.took) != 1 || quiet.took[0].Object != o || quiet.took[0].ID != o.ID() {
		t.Errorf("took %+v", quiet.took)
	}
	if len(p.sent) != 0 {
		t.Error("an object was answered")
	}
	// One that is not of the size that its route asks for is read no more than others.
	c.Routes[1].MaxKiB = 1
	handle, _ = newProcessing(t, c, p)
	if outcome, err := handle.Handle(t.Context(), email.Raw{Object: o}); err != nil || outcome.Kind != email.Silent {
		t.Errorf("%+v, %v", outcome, err)
	}
}

// What a route for objects takes is no mail, however large; where it asks for a
// size, what has another one may still be a mail.
func TestWhatIsReadAtAll(t *testing.T) {
	c := echoing(func(c *processing.Config) {
		c.Routes = []processing.Route{
			{Name: "mails", Prefix: "in/", Processor: "echo"},
			{Name: "files", Kind: "object", Prefix: "in/drop/", Processor: "quiet"},
			{Name: "large", Kind: "object", Prefix: "in/large/", MinKiB: 10, Processor: "quiet"},
			{Name: "small", Kind: "object", Prefix: "small/", MaxKiB: 1, Processor: "quiet"},
		}
	})
	handle, _ := newProcessing(t, c, newPost())
	for _, e := range []struct {
		key          string
		size         int64
		mail, object bool
	}{
		{"in/1", 100, true, false},
		{"in/1", -1, true, false},
		{"in/drop/1", 100, false, true},
		{"in/drop/1", -1, false, true},
		{"in/large/1", 100, true, false},
		{"in/large/1", 10 << 10, false, true},
		{"in/large/1", -1, true, true},
		{"small/1", 1, false, true},
		{"small/1", 2 << 10, false, false},
		{"small/1", -1, false, true},
		{"elsewhere", 1, false, false},
		{"elsewhere", -1, false, false},
	} {
		mail, object := handle.Takes(email.Object{Bucket: "mail", Key: e.key, Size: e.size})
		if mail != e.mail || object != e.object {
			t.Errorf("%s of %d octets: mail %v, object %v", e.key, e.size, mail, object)
		}
	}
}

// A processor knows before it answers whether anybody would hear it, who, and how
// much that one would be sent.
func TestAProcessorKnowsWhetherItMayAnswer(t *testing.T) {
	c := echoing(func(c *processing.Config) {
		c.Policy.ReplyTo = true
		c.Routes = []processing.Route{
			{Name: "files", Kind: "object", Prefix: "drop/", Processor: "quiet"},
			{Name: "all", Prefix: "inbound/", Unanswered: true, Processor: "quiet"},
		}
	})
	announced := time.Date(2026, time.October, 1, 7, 12, 50, 0, time.UTC)
	robot := mail(1, "Auto-Submitted: auto-generated\n")
	person := mail(2, "Reply-To: Desk <desk@example.com>\n")
	file := email.Raw{Object: email.Object{Bucket: "mail", Key: "drop/a.pdf", ETag: "e"}, Announced: announced, Try: 3}
	for name, e := range map[string]struct {
		raw  email.Raw
		want email.Permit
	}{
		"a robot":   {robot, email.Permit{Reason: "automatic: a program wrote it (auto-submitted)"}},
		"a person":  {person, email.Permit{Allowed: true, To: email.Address{Name: "Desk", Mailbox: "desk@example.com"}, Largest: 10 << 20}},
		"an object": {file, email.Permit{Reason: "object: nobody is to be answered"}},
	} {
		t.Run(name, func(t *testing.T) {
			handle, quiet := newProcessing(t, c, newPost())
			e.raw.Announced, e.raw.Try = announced, 3
			if _, err := handle.Handle(t.Context(), e.raw); err != nil || len(quiet.took) != 1 {
				t.Fatalf("%v, %d taken", err, len(quiet.took))
			}
			m := quiet.took[0]
			if m.Permit != e.want {
				t.Errorf("permit %+v, want %+v", m.Permit, e.want)
			}
			if m.Route.Name == "" || m.Try != 3 || !m.Announced.Equal(announced) {
				t.Errorf("route %+v, try %d, announced %s", m.Route, m.Try, m.Announced)
			}
			// What is explained is told too.
			handle, quiet = newProcessing(t, c, newPost())
			if _, err := handle.Explain(t.Context(), e.raw, nil); err != nil {
				t.Fatal(err)
			}
			if len(quiet.took) == 1 && quiet.took[0].Permit != e.want {
				t.Errorf("explained to the processor with permit %+v, want %+v", quiet.took[0].Permit, e.want)
			}
		})
	}
}

// A reply that could not be sent has used its place, but a second try of the same
// mail uses the same one.
func TestASecondTryUsesTheSamePlace(t *testing.T) {
	p := newPost()
	p.refuse = errors.New("SES is out")
	handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour, c.Policy.SameSubject = 1, 1 }), p)
	for range 5 {
		if _, err := handle.Handle(t.Context(), mail(1, "")); !errors.Is(err, p.refuse) {
			t.Fatal(err)
		}
	}
	p.refuse = nil
	outcome, err := handle.Handle(t.Context(), mail(1, ""))
	if err != nil || outcome.Kind != email.Answered {
		t.Errorf("%+v, %v", outcome, err)
	}
	if p.writes != 1 {
		t.Errorf("the record was written %d times", p.writes)
	}
}

// The SDK asks again when an answer is lost, and is told that the record has
// changed: it was changed by itself.
func TestARecordThatMeetsItself(t *testing.T) {
	p := newPost()
	p.lost = 1
	handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = 1 }), p)
	outcome, err := handle.Handle(t.Context(), mail(1, ""))
	if err != nil || outcome.Kind != email.Answered || len(p.records["ana@example.com"].Replies) != 1 {
		t.Errorf("%+v, %v, %+v", outcome, err, p.records)
	}
}

func TestWithoutCapsNothingIsWritten(t *testing.T) {
	p := newPost()
	handle, _ := newProcessing(t, echoing(func(*processing.Config) {}), p)
	if outcome, err := handle.Handle(t.Context(), mail(1, "")); err != nil || outcome.Kind != email.Answered || p.writes != 0 {
		t.Errorf("%+v, %v, %d writes", outcome, err, p.writes)
	}
}

// The cap holds over processes that answer the same sender at the same time, and
// over restarts: what is remembered is in the record and nowhere else.
func TestTheCapHoldsOverProcesses(t *testing.T) {
	for _, perHour := range []int{1, 7, 40} {
		synctest.Test(t, func(t *testing.T) {
			p := newPost()
			p.delay = func() { time.Sleep(10 * time.Millisecond) }
			var wg sync.WaitGroup
			answered := make(chan bool, 64)
			for n := range 64 {
				// Every mail meets a process that has just started.
				handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = perHour }), p)
				wg.Go(func() {
					for {
						outcome, err := handle.Handle(context.Background(), mail(n, ""))
						if err != nil { // Others were always first.
							time.Sleep(time.Second)
							continue
						}
						answered <- outcome.Kind == email.Answered
						return
					}
				})
			}
			wg.Wait()
			close(answered)
			n := 0
			for a := range answered {
				if a {
					n++
				}
			}
			if n != perHour || len(p.sent) != perHour {
				t.Errorf("%d answered, %d sent, want %d", n, len(p.sent), perHour)
			}
		})
	}
}

// A mail that is answered once more takes a place of its own, and the caps hold for it.
// Where they do not, it is answered and takes no place from those that come after.
func TestCapsAndARerun(t *testing.T) {
	p := newPost()
	handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = 2 }), p)
	again := func(rerun string, uncapped bool) email.Raw {
		raw := mail(1, "")
		raw.Object.Again, raw.Uncapped = rerun, uncapped
		return raw
	}
	for i, step := range []struct {
		raw  email.Raw
		want string
	}{
		{mail(1, ""), "answered"},
		{again("r1", true), "answered"},
		{again("r2", true), "answered"},
		{again("r3", false), "answered"}, // the second place
		{again("r3", false), "answered"}, // the same one: it is the same try
		{again("r4", false), "silent per-hour: the sender got 2 replies within an hour"},
		{mail(2, ""), "silent per-hour: the sender got 2 replies within an hour"},
		{again("r4", true), "answered"},
	} {
		outcome, err := handle.Handle(t.Context(), step.raw)
		if got := strings.TrimSpace(string(outcome.Kind) + " " + outcome.Reason); err != nil || got != step.want {
			t.Errorf("step %d: %s, %v, want %s", i, got, err, step.want)
		}
	}
	if n := len(p.records["ana@example.com"].Replies); n != 2 {
		t.Errorf("%d replies are remembered", n)
	}
}

// A bounce or a complaint holds for an operator too.
func TestASuppressionHoldsForARerun(t *testing.T) {
	p := newPost()
	p.records["ana@example.com"], p.etags["ana@example.com"] = store.SenderRecord{SuppressedUntil: time.Now().Add(time.Hour), Reason: "bounced"}, 1
	handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = 2 }), p)
	raw := mail(1, "")
	raw.Object.Again, raw.Uncapped = "r1", true
	if outcome, err := handle.Handle(t.Context(), raw); err != nil || outcome.Kind != email.Silent || !strings.HasPrefix(outcome.Reason, "suppressed: ") || len(p.sent) != 0 {
		t.Errorf("%+v, %v, %d sent", outcome, err, len(p.sent))
	}
}

// A record holds what the caps need, and no more.
func TestARecordDoesNotGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPost()
		handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = 500 }), p)
		for n := range 300 {
			if _, err := handle.Handle(context.Background(), mail(n, "")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
		if n := len(p.records["ana@example.com"].Replies); n != 24*6 {
			t.Errorf("%d replies are remembered", n)
		}
	})
}

func TestASuppressionSurvivesAReply(t *testing.T) {
	p := newPost()
	until := time.Now().Add(-time.Hour)
	p.records["ana@example.com"], p.etags["ana@example.com"] = store.SenderRecord{SuppressedUntil: until, Reason: "bounced"}, 1
	handle, _ := newProcessing(t, echoing(func(c *processing.Config) { c.Policy.PerHour = 1 }), p)
	if _, err := handle.Handle(t.Context(), mail(1, "")); err != nil {
		t.Fatal(err)
	}
	if got := p.records["ana@example.com"]; got.Reason != "bounced" || !got.SuppressedUntil.Equal(until) || len(got.Replies) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestExplain(t *testing.T) {
	c := processing.Defaults()
	c.Routes = []processing.Route{
		{Name: "boss", Sender: "boss@example.com", Processor: "echo"},
		{Name: "files", Kind: "object", Prefix: "drop/", Processor: "quiet"},
		{Name: "data", Recipient: "data@inreply.example", Prefix: "inbound/", Processor: "echo"},
	}
	p := newPost()
	handle, _ := newProcessing(t, c, p)
	file := mail(1, "Subject: Totals\n")
	file.Receipt, file.Object = nil, email.Object{} // as it lies on a disk
	tagged := mail(2, "Subject: Totals\n")
	tagged.Receipt.Recipients = []string{"data+q3@inreply.example"}
	robot := mail(3, "Auto-Submitted: auto-generated\n")
	elsewhere := mail(4, "")
	elsewhere.Receipt.Recipients = []string{"other@inreply.example"}
	object := email.Raw{Object: email.Object{Bucket: "mail", Key: "drop/a.pdf", Size: 12}}
	for name, e := range map[string]struct {
		raw  email.Raw
		want []string
	}{
		"a file": {file, []string{
			"from         Ana <ana@example.com>", "route        boss: no, the sender is not boss@example.com",
			"route        files: no, it takes objects that are no mails", "route        data: takes it",
			"policy       forbids an answer: unauthenticated: ", "end          answered, if SES vouches for the sender; silent otherwise",
			"To: Ana <ana@example.com>\nSubject: Re: Totals\n\nYou wrote: Hello\n",
		}},
		"a mail with a tag": {tagged, []string{"tag          q3", "policy       allows an answer", "end          answered\n", "You wrote: Hello"}},
		"a robot":           {robot, []string{"automatic    auto-submitted", "end          silent: automatic: a program wrote it (auto-submitted)"}},
		"no route":          {elsewhere, []string{"route        data: no, no recipient is data@inreply.example", "end          silent: no-route: no route takes it"}},
		"an object":         {object, []string{"object       mail/drop/a.pdf, 12 octets", "route        files: takes it", "route        data: no, its key does not begin with inbound/", "end          processed: an object"}},
	} {
		t.Run(name, func(t *testing.T) {
			explanation, err := handle.Explain(t.Context(), e.raw, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range e.want {
				if !strings.Contains(explanation.String(), want) {
					t.Errorf("without %q:\n%s", want, explanation)
				}
			}
			// It is what Handle does.
			if e.raw.Receipt == nil {
				return
			}
			outcome, err := handle.Handle(t.Context(), e.raw)
			if err != nil || !strings.HasPrefix(explanation.End, string(outcome.Kind)) {
				t.Errorf("it ended %s (%v), and %q was explained", outcome.Kind, err, explanation.End)
			}
		})
	}
	if len(p.sent) != 1 { // by Handle
		t.Errorf("%d were sent", len(p.sent))
	}
}

// What the case caps-by-default says is what the defaults are.
func TestTheCapsByDefault(t *testing.T) {
	if p := processing.Defaults().Policy; p.PerHour != 20 || p.PerThread != 20 || p.SameSubject != 5 {
		t.Errorf("%+v", p)
	}
}

// A processor that asks somebody outside is not run unless it may.
func TestExplainAsksNobodyOutside(t *testing.T) {
	c := processing.Defaults()
	c.Routes = []processing.Route{
		{Name: "orders", Subject: `order (?P<order>[0-9]+)`, Processor: "quiet"},
		{Name: "intake", Domain: "partner.example", Unanswered: true, Processor: "quiet"},
		{Name: "rest", Processor: "echo"},
	}
	only := func(name string) bool { return name == "echo" }
	order := mail(1, "Subject: order 4711\n")
	robot := mail(2, "Auto-Submitted: auto-generated\n")
	robot.Bytes = []byte(strings.Replace(string(robot.Bytes), "example.com", "partner.example", 1))
	for name, e := range map[string]struct {
		raw  email.Raw
		want []string
	}{
		"an order": {order, []string{
			"capture      order: 4711\n", "processor    quiet, which is not asked", "policy       allows an answer", "end          whatever quiet says, which was not asked\n",
		}},
		"a robot":  {robot, []string{"processor    quiet, which is not asked", "end          processed: automatic: a program wrote it (auto-submitted); quiet was not asked\n"}},
		"the rest": {mail(3, ""), []string{"processor    echo\n", "end          answered\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			handle, quiet := newProcessing(t, c, newPost())
			explanation, err := handle.Explain(t.Context(), e.raw, only)
			if err != nil || len(quiet.took) != 0 {
				t.Fatalf("%v, %d asked", err, len(quiet.took))
			}
			for _, want := range e.want {
				if !strings.Contains(explanation.String(), want) {
					t.Errorf("without %q:\n%s", want, explanation)
				}
			}
		})
	}
}

// Of a mail that breaks a limit is told who wrote it, as far as its top says so.
func TestWhoWroteAMailThatCannotBeParsed(t *testing.T) {
	fields := strings.Repeat("X-Field: x\n", 10_001)
	for name, c := range map[string]struct{ raw, want string }{
		"more fields than allowed": {string(mail(1, fields).Bytes), "ana@example.com"},
		"as SES stored it":         {"Return-Path: <bounces@example.org>\r\n" + string(mail(2, fields).Bytes), "ana@example.com"},
		"far behind the top":       {strings.Repeat("X-Field: x\r\n", 10_001) + string(mail(3, "").Bytes), ""},
		"no mail":                  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			raw := mail(1, "")
			raw.Bytes = []byte(c.raw)
			handle, _ := newProcessing(t, echoing(func(*processing.Config) {}), newPost())
			outcome, err := handle.Handle(t.Context(), raw)
			if err == nil || outcome.From != c.want {
				t.Errorf("from %q, want %q; %v", outcome.From, c.want, err)
			}
		})
	}
}
