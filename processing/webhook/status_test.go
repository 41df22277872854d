package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"inreply/email"
	"inreply/processing/webhook"
)

// What each status and action means, as docs/webhook.md has it.
func TestWhatAServiceSays(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string // class of the error
		text  string // of the reply, or what the error says
	}{
		{"reply", says(200, `{"action":"reply","reply":{"text":"It is on its way."}}`), "none", "It is on its way."},
		{"html alone", says(200, `{"action":"reply","reply":{"html":"<p>It is <b>on its way</b>.</p>"}}`), "none", "It is on its way."},
		{"none", says(200, `{"action":"none"}`), "none", ""},
		{"none with a reply", says(200, `{"action":"none","reply":{"text":"x"}}`), "none", ""},
		{"reject", says(200, `{"action":"reject"}`), "none", "No."},
		{"reject, and an empty reply", says(200, `{"action":"reject","reply":{"subject":"","text":" "}}`), "none", "No."},
		{"reject in its own words", says(200, `{"action":"reject","reply":{"text":"Not for us."}}`), "none", "Not for us."},
		{"defer", says(200, `{"action":"defer","retry_after_s":90}`), "after 1m30s", "it defers the mail"},
		{"defer, not saying when", says(200, `{"action":"defer"}`), "after 15s", "it defers the mail"},
		{"unknown fields", says(200, `{"action":"none","because":{"of":["you"]}}`), "none", ""},
		{"no content", says(204, ""), "none", ""},
		{"accepted", says(202, "", "Retry-After", "120"), "after 2m0s", "it answered 202 Accepted"},
		{"accepted, not saying when", says(202, ""), "after 15s", ""},
		{"accepted until a date", says(202, "", "Date", "Thu, 01 Oct 2026 10:00:00 GMT", "Retry-After", "Thu, 01 Oct 2026 10:00:45 GMT"), "after 45s", ""},
		{"accepted until it was", says(202, "", "Date", "Thu, 01 Oct 2026 10:00:00 GMT", "Retry-After", "Thu, 01 Oct 2026 09:00:45 GMT"), "after 1s", ""},
		{"Retry-After that nobody can read", says(202, "", "Retry-After", "soon"), "after 15s", ""},
		{"Retry-After after the deadline", says(202, "", "Retry-After", "86400"), "after 1h0m0s", ""},
		{"request timeout", says(408, ""), "transient", "it answered 408 Request Timeout"},
		{"too early", says(425, ""), "transient", "it answered 425 Too Early"},
		{"too early, saying when", says(425, "", "Retry-After", "3"), "after 3s", ""},
		{"too many requests", says(429, "", "Retry-After", "7"), "after 7s", "it answered 429 Too Many Requests"},
		{"too many requests, not saying when", says(429, ""), "after 15s", ""},
		{"internal server error", says(500, "oops"), "transient", "it answered 500 Internal Server Error"},
		{"bad gateway", says(502, "<html>"), "transient", ""},
		{"bad gateway, saying when", says(502, "", "Retry-After", "5"), "after 5s", ""},
		{"unavailable", says(503, ""), "after 15s", ""},
		{"unavailable, saying when", says(503, "", "Retry-After", "60"), "after 1m0s", ""},
		{"gateway timeout", says(504, ""), "transient", ""},
		{"bad request", says(400, ""), "permanent", "it answered 400 Bad Request"},
		{"forbidden", says(403, ""), "permanent", ""},
		{"not found", says(404, ""), "permanent", ""},
		{"too large", says(413, ""), "permanent", ""},
		{"unprocessable", says(422, ""), "permanent", ""},
		{"moved", says(301, "", "Location", "http://169.254.169.254/"), "permanent", "redirects are not followed"},
		{"see other", says(307, "", "Location", "/elsewhere"), "permanent", "redirects are not followed"},
		{"created", says(201, `{"action":"none"}`), "permanent", "only 200, 202 and 204"},

		{"nothing at all", says(200, ""), "transient", "its answer is not JSON"},
		{"a page", says(200, "<html><body>Please log in</body></html>"), "transient", "its answer is not JSON"},
		{"half of it", says(200, `{"action":"reply","reply":{"te`), "transient", "its answer is not JSON"},
		{"something behind it", says(200, `{"action":"none"} {"action":"reply"}`), "transient", "something follows it"},
		{"an array", says(200, `[]`), "permanent", "the answer: it is an array, and must be an object"},
		{"null", says(200, `null`), "permanent", "the answer: it is null"},
		{"another action", says(200, `{"action":"forward"}`), "permanent", `action: "forward" is none of reply, none, reject, defer`},
		{"no action", says(200, `{}`), "permanent", "action: it is not there"},
		{"a reply that is none", says(200, `{"action":"reply"}`), "permanent", "reply: it is not there"},
		{"an empty reply", says(200, `{"action":"reply","reply":{"text":" \n"}}`), "permanent", "reply: there is neither text nor html nor template"},
		{"a subject that breaks the line", says(200, `{"action":"reply","reply":{"text":"x","subject":"a\r\nBcc: all@example.com"}}`), "permanent", "reply.subject: there is a control character at octet 1"},
		{"a number for a subject", says(200, `{"action":"reply","reply":{"text":"x","subject":7}}`), "permanent", "reply.subject: it is a number, and must be a string"},
		{"a field that is not allowed", says(200, `{"action":"reply","reply":{"text":"x","headers":[{"name":"Bcc","value":"all@example.com"}]}}`), "permanent", `reply.headers[0].name: "Bcc" is no field that a reply may set`},
		{"a field of SES", says(200, `{"action":"reply","reply":{"text":"x","headers":[{"name":"X-SES-Configuration-Set","value":"theirs"}]}}`), "permanent", "reply.headers[0].name"},
		{"a field that breaks the line", says(200, `{"action":"reply","reply":{"text":"x","headers":[{"name":"X-Ticket","value":"1\nBcc: all@example.com"}]}}`), "permanent", "reply.headers[0].value: there is a control character at octet 1"},
		{"a file that is not base64", says(200, `{"action":"reply","reply":{"text":"x","attachments":[{"filename":"a.txt","content":"$$$"}]}}`), "permanent", "reply.attachments[0].content: it is not base64"},
		{"a file without a name", says(200, `{"action":"reply","reply":{"text":"x","attachments":[{"content":"eA=="}]}}`), "permanent", "reply.attachments[0].filename: it is not there"},
		{"a file of no type", says(200, `{"action":"reply","reply":{"text":"x","attachments":[{"filename":"a","content_type":"text","content":"eA=="}]}}`), "permanent", "reply.attachments[0].content_type"},
		{"too many files", says(200, `{"action":"reply","reply":{"text":"x","attachments":[`+strings.Repeat(`{},`, 100)+`{}]}}`), "permanent", "reply.attachments: there are 101"},
		{"a negative wait", says(200, `{"action":"defer","retry_after_s":-1}`), "permanent", "retry_after_s: -1 is not between"},
		{"a NUL", says(200, `{"action":"reply","reply":{"text":"a\u0000b"}}`), "permanent", "there is a NUL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				r.serve = c.serve
				reply, err := r.service(nil).Process(t.Context(), r.mail(1, sample(t)))
				if got := class(err); got != c.want {
					t.Fatalf("got %s: %v", got, err)
				}
				said := fmt.Sprint(err)
				if err == nil {
					said = ""
				}
				if reply != nil {
					said = strings.TrimSpace(reply.Text)
				}
				if !strings.Contains(said, c.text) || err == nil && said != c.text {
					t.Errorf("got  %q\nwant %q", said, c.text)
				}
				if n := len(r.seen()); n != 1 {
					t.Errorf("%d requests", n)
				}
			})
		})
	}
}

// All that a reply can have arrives.
func TestAWholeReply(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.serve = says(200, `{"action":"reply","reply":{
			"subject":"Your order","text":"t","html":"<p>h</p>","template":"order","data":{"order":12345678901234567890},
			"headers":[{"name":"X-Ticket","value":"4711"},{"name":"Keywords","value":"order"}],
			"attachments":[{"filename":"a.csv","content_type":"text/csv","content":"YSxiCg=="},{"filename":"b.png","content_id":"b@x","content":"iVBORw0KGgo="}]}}`)
		m := r.mail(1, sample(t))
		reply, err := r.service(nil).Process(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%s|%s|%s|%s|%v|%v|%s %s %s|%s %s %s|%s|%s", reply.Subject, reply.Text, reply.HTML, reply.Template, reply.Data, reply.Headers,
			reply.Attachments[0].Name, reply.Attachments[0].ContentType, reply.Attachments[0].Content,
			reply.Attachments[1].Name, reply.Attachments[1].ContentType, reply.Attachments[1].ContentID, reply.To.Mailbox, reply.InReplyTo)
		want := "Your order|t|<p>h</p>|order|map[order:12345678901234567890]|[{X-Ticket 4711} {Keywords order}]|a.csv text/csv a,b\n|b.png image/png b@x|ana.mendes@example.com|" + m.MessageID
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}

// Files of a reply are not more than SES takes.
func TestFilesOfAReplyAreBounded(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.serve = says(200, `{"action":"reply","reply":{"text":"x","attachments":[{"filename":"a","content":"eHh4"},{"filename":"b","content":"eHh4"}]}}`)
		m := r.mail(1, sample(t))
		m.Permit.Largest = 5
		_, err := r.service(nil).Process(t.Context(), m)
		if class(err) != "permanent" || !strings.Contains(err.Error(), "reply.attachments[1].content: with it the files have 6 octets") {
			t.Error(err)
		}
	})
}

// A service that is not there costs no try, and neither does one that is there again.
func TestConnectionsRefused(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(nil)
		r.pipes.refusing(syscall.ECONNREFUSED)
		for n := range 4 {
			if _, err := w.Process(t.Context(), r.mail(n, sample(t))); class(err) != "after 1s" {
				t.Fatalf("%d: %s %v", n, class(err), err)
			}
		}
		for n := range 3 {
			if _, err := w.Process(t.Context(), r.mail(n, sample(t))); class(err) != "outage service:orders" {
				t.Fatalf("%d: %s %v", n, class(err), err)
			}
		}
		if r.pipes.dialed != 5 {
			t.Errorf("%d connections were tried, while it was out too", r.pipes.dialed)
		}
		r.pipes.refusing(nil)
		if _, err := w.Process(t.Context(), r.mail(1, sample(t))); class(err) != "outage service:orders" {
			t.Errorf("it was asked again too soon: %v", err)
		}
		time.Sleep(11 * time.Second)
		if _, err := w.Process(t.Context(), r.mail(1, sample(t))); err != nil {
			t.Error(err)
		}
	})
}

// A service that fails each mail is out after a few, and the mail that shows it is not
// charged. While it is out one mail at a time probes, and none is charged.
func TestAnOutage(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.Breaker.Failures = 3 })
		r.serve = says(502, "")
		var got []string
		for n := range 5 {
			_, err := w.Process(t.Context(), r.mail(n, sample(t)))
			got = append(got, class(err))
		}
		time.Sleep(11 * time.Second)
		_, err := w.Process(t.Context(), r.mail(9, sample(t)))
		got = append(got, class(err))
		want := "transient transient outage service:orders outage service:orders outage service:orders outage service:orders"
		if strings.Join(got, " ") != want || len(r.seen()) != 4 {
			t.Errorf("%v with %d requests", got, len(r.seen()))
		}
	})
}

// What the mail or the settings are to blame for does not make the service be out.
func TestAServiceThatRefusesMailsIsNotOut(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.Breaker.Failures = 2 })
		for i, serve := range []http.HandlerFunc{says(400, ""), says(429, ""), says(202, ""), says(200, `{}`), says(302, ""), says(200, `{"action":"defer"}`)} {
			r.does(serve)
			for n := range 3 {
				if _, err := w.Process(t.Context(), r.mail(n, sample(t))); strings.HasPrefix(class(err), "outage") {
					t.Errorf("%d: %v", i, err)
				}
			}
		}
	})
}

// A mail may be put off until the deadline, however often the process changes. Every
// request has the same key. Redriven, it has all of its time again.
func TestPutOffUntilTheDeadline(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.serve = says(202, "", "Retry-After", "600")
		m := r.mail(1, sample(t))
		began := time.Now()
		var err error
		asked := 0
		for {
			asked++
			_, err = r.service(nil).Process(t.Context(), m) // a new process each time
			var after interface{ RetryAfter() time.Duration }
			if !errors.As(err, &after) || after.RetryAfter() == 0 {
				break
			}
			time.Sleep(after.RetryAfter())
		}
		if class(err) != "permanent" || !strings.Contains(err.Error(), "put off for longer than the deadline of 1h0m0s, last: it answered 202") {
			t.Error(err)
		}
		if took := time.Since(began); took != time.Hour || asked != 7 {
			t.Errorf("%d requests in %s", asked, took)
		}
		for _, s := range r.seen() {
			if got := s.header.Get("Idempotency-Key"); got != m.ID {
				t.Errorf("Idempotency-Key %q, and the mail is %s", got, m.ID)
			}
		}
		if _, err := r.service(nil).Process(t.Context(), m); class(err) != "after 10m0s" {
			t.Errorf("redriven: %v", err)
		}
	})
}

// More requests at once than the service is to get wait, and then give way.
func TestRequestsAtOnce(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.Concurrency = 2 })
		r.serve = func(w http.ResponseWriter, q *http.Request) {
			time.Sleep(1500 * time.Millisecond)
			says(204, "")(w, q)
		}
		results := make(chan string, 7)
		for n := range 7 {
			m := r.mail(n, sample(t))
			go func() {
				_, err := w.Process(context.Background(), m)
				results <- class(err)
			}()
		}
		count := map[string]int{}
		for range 7 {
			count[<-results]++
		}
		if count["none"] != 4 || count["after 1s"] != 3 {
			t.Errorf("%v", count)
		}
	})
}

// A service that takes 50 ms answers 1,000 mails of 64 groups, each group one after the
// other, within 1.1 times of what 64 requests at once allow. In virtual time nothing
// else takes any, so this counts rounds.
func TestAThousandMailsAtFiftyMilliseconds(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(nil)
		r.serve = func(w http.ResponseWriter, q *http.Request) {
			time.Sleep(50 * time.Millisecond)
			says(200, good)(w, q)
		}
		const mails, groups = 1000, 64
		m := r.mail(1, sample(t))
		began := time.Now()
		var wg sync.WaitGroup
		for group := range groups {
			wg.Go(func() {
				for n := group; n < mails; n += groups {
					if _, err := w.Process(t.Context(), m); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		ideal := 50 * time.Millisecond * mails / groups
		if ratio := float64(time.Since(began)) / float64(ideal); ratio > 1.1 || len(r.seen()) != mails {
			t.Errorf("%d mails took %.2f times of what is allowed", len(r.seen()), ratio)
		}
	})
}

// An object that is no mail is asked about with nothing but where it lies.
func TestAnObject(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		if _, err := r.s3.PutNew(t.Context(), "mails", "reports/1.csv", "text/csv", []byte("a,b\n")); err != nil {
			t.Fatal(err)
		}
		o := email.Object{Bucket: "mails", Key: "reports/1.csv", ETag: "e", ContentType: "text/csv", Size: 4}
		reply, err := r.service(nil).Process(t.Context(), &email.Message{ID: o.ID(), Object: o, Route: email.Route{Name: "reports"}})
		if reply != nil || err != nil {
			t.Fatal(reply, err)
		}
		got := r.seen()[0].request(t)
		if got.Type != webhook.TypeObject || got.Mail != nil || got.Object.Key != "reports/1.csv" || string(r.follow(got.Object.URL)) != "a,b\n" {
			t.Errorf("%s", r.seen()[0].body)
		}
	})
}
