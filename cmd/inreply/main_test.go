package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/smtp"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"inreply"
)

// invoke runs the command as a shell would, and returns what it printed.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, nil, &out, &err)
	return code, out.String(), err.String()
}

func samples(t *testing.T, names ...string) []string {
	t.Helper()
	for i, n := range names {
		names[i] = filepath.Join("..", "..", "samples", n)
	}
	return names
}

// The first thing that anybody does with inreply.
func TestLocalSendsTheSamplesThrough(t *testing.T) {
	out := t.TempDir()
	files := samples(t, "sales-2026q3.eml", "question.eml", "out-of-office.eml", "bounce.eml", "broken.eml")
	code, stdout, stderr := invoke(t, append([]string{"--local", "--out", out}, files...)...)
	if code != exitOK {
		t.Fatalf("exit %d\n%s%s", code, stdout, stderr)
	}
	for _, way := range []string{"stored", "announced", "relayed", "received", "parsed", "processed", "sent", "deleted"} {
		if !strings.Contains(stdout, " ms  "+way) {
			t.Errorf("the way does not show %q", way)
		}
	}
	for file, want := range map[string]string{
		"sales-2026q3.eml": "answered: ", "question.eml": "answered: ", "broken.eml": "answered: ",
		"out-of-office.eml": "silent: ", "bounce.eml": "silent: ",
	} {
		_, after, _ := strings.Cut(stdout, file+"\n")
		if before, _, _ := strings.Cut(after, "\n\n"); !strings.Contains(before, want) {
			t.Errorf("%s: want %q in\n%s", file, want, before)
		}
	}
	if !strings.Contains(stdout, "48 rows, 6 columns") {
		t.Errorf("the digest is not shown:\n%s", stdout)
	}
	wire, err := os.ReadFile(filepath.Join(out, "sales-2026q3.reply.eml"))
	if err != nil {
		t.Fatal(err)
	}
	reply, err := inreply.ReadMail(wire)
	if err != nil {
		t.Fatal(err)
	}
	if reply.To[0].Mailbox != "ana.mendes@example.com" || reply.Subject != "Re: Sales figures, third quarter 2026" ||
		len(reply.InReplyTo) != 1 || reply.InReplyTo[0] != "<q3-sales.20261001@example.com>" || !reply.Automation.IsAuto {
		t.Errorf("the reply is to %v, %q, in reply to %v, automatic %v", reply.To, reply.Subject, reply.InReplyTo, reply.Automation)
	}
}

func TestAForgedSenderIsNotAnswered(t *testing.T) {
	code, stdout, _ := invoke(t, append([]string{"--local", "--out", t.TempDir(), "--verdict", "dmarc=fail,spf=fail,dkim=fail"}, samples(t, "sales-2026q3.eml")...)...)
	if code != exitOK || !strings.Contains(stdout, "nobody vouches for its sender") {
		t.Errorf("exit %d\n%s", code, stdout)
	}
}

func TestADeadLetterHasAnExitCodeOfItsOwn(t *testing.T) {
	config := filepath.Join(t.TempDir(), "strict.yaml")
	if err := os.WriteFile(config, []byte(strictSettings(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := invoke(t, append([]string{"--local", "--config", config, "--out", t.TempDir()}, samples(t, "question.eml")...)...)
	if code != exitDead || !strings.Contains(stdout, "dead-lettered: ") || !strings.Contains(stderr, "1 of 1 mails dead-lettered") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// strictSettings are the settings for a laptop, with no route that takes anything.
func strictSettings(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "configs", "local.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^processing:\n(?:[ #].*\n|\n)*`).ReplaceAllString(string(text),
		"processing:\n  unrouted: dead-letter\n  routes:\n    - {name: none, sender: nobody@example.com, processor: digest}\n\n")
}

// Each gets one clear sentence that names the thing and the fix.
func TestBadInput(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.eml")
	noMail := filepath.Join(t.TempDir(), "picture.eml")
	for name, content := range map[string]string{empty: " \n", noMail: "\x89PNG\r\n\x1a\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := filepath.Join("..", "..", "configs", "local.yaml")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"unknown flag", []string{"--bogus"}, []string{"--bogus", "--help"}},
		{"nothing to do", nil, []string{"--local", "--config"}},
		{"mail without --local", []string{"a.eml"}, []string{"a.eml", "--local"}},
		{"missing mail", []string{"--local", "nosuch.eml"}, []string{"nosuch.eml", "no such file", "samples/"}},
		{"folder", []string{"--local", t.TempDir()}, []string{"directory", "*.eml"}},
		{"empty mail", []string{"--local", empty}, []string{empty, "empty"}},
		{"no mail", []string{"--local", noMail}, []string{noMail, "no mail"}},
		{"missing settings", []string{"--config", "nosuch.yaml"}, []string{"nosuch.yaml", "not there"}},
		{"port in use", []string{"--local", "--listen", taken.Addr().String()}, []string{"--listen", taken.Addr().String()}},
		{"not loopback", []string{"--local", "--listen", "0.0.0.0:0"}, []string{"--listen", "0.0.0.0"}},
		{"SMTP port in use", []string{"--local", "--listen", "127.0.0.1:0", "--smtp", taken.Addr().String()}, []string{"--smtp", taken.Addr().String()}},
		{"unknown verdict", append([]string{"--local", "--verdict", "dmarc=maybe"}, samples(t, "question.eml")...), []string{"--verdict", "maybe"}},
		{"redrive of nothing", []string{"--local", "--redrive"}, []string{"--redrive", "--config"}},
		{"broken pattern", []string{"--redrive", "--match", "reason=(", "--config", settings}, []string{"--match reason=(", "missing closing"}},
		{"match by nothing known", []string{"--redrive", "--match", "size=3", "--config", settings}, []string{"size", "reason, from, route, older or newer"}},
		{"match without a value", []string{"--redrive", "--match", "timeout", "--config", settings}, []string{"--match timeout", "KEY=VALUE"}},
		{"match by no age", []string{"--redrive", "--match", "older=2", "--config", settings}, []string{"--match older=2", "2h30m"}},
		{"match twice by one", []string{"--redrive", "--match", "from=a", "--match", "from=b", "--config", settings}, []string{"--match from=b", "(?:A|B)"}},
		{"negative maximum", []string{"--redrive", "--max", "-1", "--config", settings}, []string{"--max -1"}},
		{"negative rate", []string{"--redrive", "--rate", "-1", "--config", settings}, []string{"--rate -1"}},
		{"dry run of a daemon", []string{"--dry-run", "--config", settings}, []string{"--dry-run", "--redrive"}},
		{"check of nothing", []string{"--check"}, []string{"--config"}},
		{"check of a --local that starts now", []string{"--local", "--check"}, []string{"--check", "--local"}},
		{"check of some kind", []string{"--check=maybe", "--config", filepath.Join("..", "..", "configs", "local.yaml")}, []string{"--check=maybe", "write", "json"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := invoke(t, c.args...)
			if code != exitFailed {
				t.Errorf("exit %d, want %d", code, exitFailed)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in: %s", want, stderr)
				}
			}
			if stdout != "" {
				t.Errorf("printed %q although nothing could start", stdout)
			}
		})
	}
}

// lines is a writer that can be waited on.
type lines struct {
	mu  sync.Mutex
	all string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all += string(b)
	return len(b), nil
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all
}

// until waits for a match, and returns its first group.
func (l *lines) until(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for range 3000 {
		if found := re.FindStringSubmatch(l.text()); found != nil {
			return found[1]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nothing like %s in\n%s", pattern, l.text())
	return ""
}

// --local without a mail serves on: any mail program may send to it.
func TestLocalServesMailBySMTP(t *testing.T) {
	out := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	var stdout, stderr lines
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--local", "--listen", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--out", out}, nil, &stdout, &stderr)
	}()
	door := stdout.until(t, `by SMTP at (\S+)`)
	mail := "From: you@example.com\r\nTo: data@inreply.example\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nHello?\r\n"
	if err := smtp.SendMail(door, nil, "you@example.com", []string{"data@inreply.example"}, []byte(mail)); err != nil {
		t.Fatal(err)
	}
	file := stdout.until(t, `answered: (\S+)`)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d after Ctrl-C\n%s", code, stderr.text())
	}
}

// The queue must be what the design needs; what is wrong with it is said at once.
func TestTheDaemonRefusesQueuesThatAreNotRight(t *testing.T) {
	world := startWorld(t)
	for _, name := range []string{"standard", "lonely.fifo"} {
		attributes := map[string]string{}
		if strings.HasSuffix(name, ".fifo") {
			attributes["FifoQueue"] = "true"
		}
		if _, err := world.SQS.CreateQueue(name, attributes); err != nil {
			t.Fatal(err)
		}
	}
	for queue, want := range map[string]string{
		"standard": "not a FIFO queue", "lonely.fifo": "no dead-letter queue", "nosuch.fifo": "there is no queue nosuch.fifo",
	} {
		var stderr bytes.Buffer
		t.Setenv("AWS_ACCESS_KEY_ID", "test")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
		environ := []string{"INREPLY_CONSUMER_QUEUE=" + queue, "INREPLY_AWS_ENDPOINT=" + world.Endpoint(), "INREPLY_ADMIN_LISTEN="}
		code := run(t.Context(), []string{"--config", filepath.Join("..", "..", "configs", "local.yaml")}, environ, &stderr, &stderr)
		if code != exitFailed || !strings.Contains(stderr.String(), want) || !strings.Contains(stderr.String(), "consumer.queue") {
			t.Errorf("%s: exit %d: %s", queue, code, stderr.String())
		}
	}
}

func TestAdminPort(t *testing.T) {
	state := inreply.State{
		Consumer: inreply.ConsumerState{Outages: []string{"ses"}, Parked: inreply.Tally{Count: 3}},
		Relay:    &inreply.RelayState{Holding: map[string]int{"s3": 2}},
	}
	for _, c := range []struct {
		alive, ready  error
		livez, readyz int
	}{{nil, nil, 200, 200}, {fmt.Errorf("stuck"), nil, 503, 200}, {nil, fmt.Errorf("paused: ses is out"), 200, 503}} {
		handler := adminHandler(probed{c.alive, c.ready, state}, http.NotFoundHandler())
		if got := ask(handler, "/livez"); got.Code != c.livez {
			t.Errorf("/livez answers %d, want %d", got.Code, c.livez)
		}
		got := ask(handler, "/readyz")
		if got.Code != c.readyz {
			t.Errorf("/readyz answers %d, want %d", got.Code, c.readyz)
		}
		want := []string{`"outages": [`, `"ses"`, `"parked": {`, `"count": 3`, `"s3": 2`, `"throttled"`, `"lost"`}
		if c.ready != nil {
			want = append(want, c.ready.Error())
		}
		for _, w := range want {
			if !strings.Contains(got.Body.String(), w) {
				t.Errorf("/readyz does not show %s: %s", w, got.Body)
			}
		}
	}
}

type probed struct {
	alive, ready error
	state        inreply.State
}

func (p probed) Alive() error { return p.alive }
func (p probed) Ready() error { return p.ready }

func (p probed) State() inreply.State { return p.state }
