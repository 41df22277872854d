package webhook_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"inreply/processing/webhook"
)

// raw is a service that takes the connection over after it has read the request, and
// writes what it likes.
func raw(write func(c net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		write(c)
	}
}

// silent says nothing until the other side hangs up.
func silent(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

const good = `{"action":"reply","reply":{"text":"hello"}}`

// A service that misbehaves costs its mail a try and no more than its time.
func TestAServiceThatMisbehaves(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string // class of the error
		said  string
		took  time.Duration // at most
	}{
		{"never answers", raw(silent), "transient", "it took longer than its timeout of 28s", 28 * time.Second},
		{"answers in time", func(w http.ResponseWriter, q *http.Request) {
			time.Sleep(27 * time.Second)
			says(200, good)(w, q)
		}, "none", "", 28 * time.Second},
		{"slow loris", raw(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(good))
			for i := range good {
				if _, err := io.WriteString(c, good[i:i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}), "transient", "it took longer than its timeout of 28s", 28 * time.Second},
		{"slow loris in the header", raw(func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: b\r\n"[:1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}), "transient", "it took longer than its timeout of 28s", 28 * time.Second},
		{"hangs up", raw(func(net.Conn) {}), "transient", "EOF", time.Second},
		{"hangs up in the header", raw(func(c net.Conn) { fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-") }), "transient", "connection broken", time.Second},
		{"hangs up in the body", raw(func(c net.Conn) { fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n%s", good) }), "transient", "read the answer: unexpected EOF", time.Second},
		{"hangs up in a chunk", raw(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(good), good)
		}), "transient", "read the answer: unexpected EOF", time.Second},
		{"speaks something else", raw(func(c net.Conn) { fmt.Fprint(c, "220 smtp.example.com ESMTP\r\n") }), "transient", "malformed HTTP", time.Second},
		{"a header without end", raw(func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
			for range 1 << 12 {
				if _, err := fmt.Fprintf(c, "X-A: %s\r\n", strings.Repeat("b", 1000)); err != nil {
					return
				}
			}
		}), "transient", "exceeded", time.Second},
		{"an answer without end", raw(func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\n\r\n")
			b := bufio.NewWriterSize(c, 1<<16)
			for {
				if _, err := b.WriteString(strings.Repeat(" ", 1<<16)); err != nil {
					return
				}
			}
		}), "permanent", "its answer is longer than 64 KiB", time.Second},
		{"a complaint without end", raw(func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 500 Oops\r\n\r\n")
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}), "transient", "it answered 500", time.Second},
		{"more than it said", raw(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%sHTTP/1.1 200 OK\r\n\r\n", len(good), good)
		}), "none", "", time.Second},
		{"deep nesting", says(200, `{"action":"none","x":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`}`), "transient", "its answer is not JSON", time.Second},
		{"two lengths", raw(func(c net.Conn) {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nnull")
		}), "transient", "Content-Length", time.Second},
		{"an informational answer first", raw(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
		}), "none", "", time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				r.serve = c.serve
				w := r.service(func(s *webhook.Service) { s.MaxResponseKiB = 64 })
				began := time.Now()
				reply, err := w.Process(t.Context(), r.mail(1, sample(t)))
				if got := class(err); got != c.want || err != nil && !strings.Contains(err.Error(), c.said) {
					t.Errorf("got %s: %v", got, err)
				}
				if (reply != nil) != (err == nil) {
					t.Errorf("reply %v and error %v", reply, err)
				}
				if took := time.Since(began); took > c.took {
					t.Errorf("it took %s", took)
				}
			})
		})
	}
}

// The header of the answer may have a time of its own, shorter than that of all of it.
func TestTheHeaderHasATimeOfItsOwn(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.HeaderTimeout = 5 * time.Second })
		r.does(raw(silent))
		began := time.Now()
		if _, err := w.Process(t.Context(), r.mail(1, sample(t))); class(err) != "transient" || time.Since(began) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		r.does(raw(func(c net.Conn) { // in time, and its body takes longer
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(good))
			time.Sleep(20 * time.Second)
			fmt.Fprint(c, good)
		}))
		if _, err := w.Process(t.Context(), r.mail(2, sample(t))); err != nil {
			t.Error(err)
		}
	})
}

// Another URL is never asked, whatever the service says.
func TestRedirectsAreNotFollowed(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(nil)
		for n, status := range []int{301, 302, 303, 307, 308} {
			r.does(says(status, "", "Location", "http://elsewhere/"))
			if _, err := w.Process(t.Context(), r.mail(n, sample(t))); class(err) != "permanent" {
				t.Errorf("%d: %v", status, err)
			}
		}
		if n := len(r.seen()); n != 5 {
			t.Errorf("%d requests", n)
		}
	})
}

// A connection that the service has closed meanwhile is no failure: the request goes
// out once more, on another one.
func TestAConnectionThatWasClosedMeanwhile(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(nil)
		r.serve = raw(func(c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
		})
		for n := range 5 {
			if _, err := w.Process(t.Context(), r.mail(n, sample(t))); err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}

// A service that fails now and then, and never often enough to be out, gets all mails
// in the end.
func TestAServiceThatFlaps(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(nil)
		n := 0
		r.serve = func(w http.ResponseWriter, q *http.Request) {
			if n++; n%4 != 0 {
				says(500, "")(w, q)
				return
			}
			says(200, good)(w, q)
		}
		for i := range 10 {
			m := r.mail(i, sample(t))
			for try := 1; ; try++ {
				_, err := w.Process(t.Context(), m)
				if err == nil {
					break
				}
				if class(err) != "transient" || try == 4 {
					t.Fatalf("mail %d, try %d: %v", i, try, err)
				}
			}
		}
	})
}

// A mail whose time is over says nothing about the service.
func TestInterrupted(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.Breaker.Failures = 1 })
		r.serve = raw(silent)
		for n := range 3 {
			ctx, cancel := contextFor(t, time.Second)
			_, err := w.Process(ctx, r.mail(n, sample(t)))
			cancel()
			if class(err) != "transient" || !strings.Contains(err.Error(), "context canceled") {
				t.Errorf("%v", err)
			}
		}
		r.does(says(204, ""))
		if _, err := w.Process(t.Context(), r.mail(9, sample(t))); err != nil {
			t.Error(err)
		}
	})
}
