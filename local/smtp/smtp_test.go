package smtp_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	netsmtp "net/smtp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"inreply/local/smtp"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// taken is a mail that came through the door.
type taken struct {
	Envelope smtp.Envelope
	Raw      string
}

// open opens a door on a free port; the mails that come through are in the channel.
func open(t *testing.T, c smtp.Config) (*smtp.Server, chan taken) {
	t.Helper()
	mails := make(chan taken, 10)
	if c.Deliver == nil {
		c.Deliver = func(_ context.Context, e smtp.Envelope, raw []byte) error {
			mails <- taken{e, string(raw)}
			return nil
		}
	}
	s, err := smtp.Listen(context.Background(), "127.0.0.1:0", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, mails
}

func TestMailComesThrough(t *testing.T) {
	s, mails := open(t, smtp.Config{})
	const mail = "Subject: x\r\n\r\n.dot\r\n\xff\r\n"
	if err := netsmtp.SendMail(s.Address(), nil, "a@example.org", []string{"b@example.com", "c@example.com"}, []byte(mail)); err != nil {
		t.Fatal(err)
	}
	want := taken{smtp.Envelope{From: "a@example.org", Recipients: []string{"b@example.com", "c@example.com"}, Helo: "localhost", RemoteIP: "127.0.0.1"}, mail}
	if diff := cmp.Diff(want, <-mails); diff != "" {
		t.Error(diff)
	}
}

func TestTwoMailsInOneConversation(t *testing.T) {
	s, mails := open(t, smtp.Config{})
	c := dial(t, s)
	c.say(t, 250, "EHLO client.example")
	for _, recipient := range []string{"b@example.com", "c@example.com"} {
		c.say(t, 250, "MAIL FROM:<>")
		c.say(t, 250, "RCPT TO:<"+recipient+">")
		c.say(t, 354, "DATA")
		c.say(t, 250, "x\r\n.")
		want := taken{smtp.Envelope{Recipients: []string{recipient}, Helo: "client.example", RemoteIP: "127.0.0.1"}, "x\r\n"}
		if diff := cmp.Diff(want, <-mails); diff != "" {
			t.Error(diff)
		}
	}
	c.say(t, 221, "QUIT")
}

// conversation is a client that says what it is told.
type conversation struct {
	net.Conn
	answers *bufio.Scanner
}

func dial(t *testing.T, s *smtp.Server) *conversation {
	t.Helper()
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &conversation{conn, bufio.NewScanner(conn)}
	c.hear(t, 220)
	return c
}

func (c *conversation) say(t *testing.T, code int, line string) {
	t.Helper()
	if _, err := fmt.Fprintf(c, "%s\r\n", line); err != nil {
		t.Fatal(err)
	}
	c.hear(t, code)
}

// hear reads an answer, which may have several lines.
func (c *conversation) hear(t *testing.T, code int) {
	t.Helper()
	for c.answers.Scan() {
		line := c.answers.Text()
		if !strings.HasPrefix(line, fmt.Sprint(code)) {
			t.Fatalf("heard %q, want %d", line, code)
		}
		if len(line) < 4 || line[3] != '-' {
			return
		}
	}
	t.Fatalf("heard nothing, want %d: %v", code, c.answers.Err())
}

// permanent is an error that trying again does not help.
type permanent struct{}

func (permanent) Error() string   { return "nobody lives here" }
func (permanent) Permanent() bool { return true }

func TestAnswerDependsOnTheError(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{errors.New("no bucket yet"), 451},
		{permanent{}, 554},
		{fmt.Errorf("store: %w", permanent{}), 554},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			s, _ := open(t, smtp.Config{Deliver: func(context.Context, smtp.Envelope, []byte) error { return c.err }})
			client := dial(t, s)
			client.say(t, 250, "HELO c")
			client.say(t, 250, "MAIL FROM:<a@example.org>")
			client.say(t, 250, "RCPT TO:<b@example.com>")
			client.say(t, 354, "DATA")
			client.say(t, c.code, "x\r\n.")
		})
	}
}

func TestMailIsTooLarge(t *testing.T) {
	s, mails := open(t, smtp.Config{MaxBytes: 100})
	c := dial(t, s)
	c.say(t, 250, "EHLO c")
	c.say(t, 552, "MAIL FROM:<a@example.org> SIZE=101")
	c.say(t, 250, "MAIL FROM:<a@example.org>")
	c.say(t, 250, "RCPT TO:<b@example.com>")
	c.say(t, 354, "DATA")
	c.say(t, 552, strings.Repeat("x", 101)+"\r\n.")
	if len(mails) != 0 {
		t.Error("it was taken all the same")
	}
}

func TestOnlyThisMachine(t *testing.T) {
	for _, address := range []string{":2525", "0.0.0.0:0", "192.0.2.1:25", "example.com:25", "[::]:0", "2525"} {
		s, err := smtp.Listen(context.Background(), address, smtp.Config{})
		if err == nil {
			_ = s.Close(context.Background())
			t.Errorf("%s was opened", address)
			continue
		}
		if !strings.Contains(err.Error(), address) || !strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("%s: %v", address, err)
		}
	}
	s, err := smtp.Listen(context.Background(), "localhost:0", smtp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestPortInUse(t *testing.T) {
	s, _ := open(t, smtp.Config{})
	_, err := smtp.Listen(context.Background(), s.Address(), smtp.Config{})
	if err == nil || !strings.Contains(err.Error(), s.Address()+": another process listens there") {
		t.Errorf("got %v", err)
	}
}

func TestCloseLetsMailBeAnswered(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	s, err := smtp.Listen(context.Background(), "127.0.0.1:0", smtp.Config{Deliver: func(context.Context, smtp.Envelope, []byte) error {
		close(begun)
		<-finish
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	idle, busy := dial(t, s), dial(t, s)
	busy.say(t, 250, "HELO c")
	busy.say(t, 250, "MAIL FROM:<a@example.org>")
	busy.say(t, 250, "RCPT TO:<b@example.com>")
	busy.say(t, 354, "DATA")
	if _, err := fmt.Fprint(busy, "x\r\n.\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.Background()) }()
	for { // until Close has begun
		c, err := net.Dial("tcp", s.Address())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	close(finish)
	busy.hear(t, 250)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if idle.answers.Scan() {
		t.Errorf("an idle client heard %q", idle.answers.Text())
	}
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	begun := make(chan struct{})
	s, err := smtp.Listen(context.Background(), "127.0.0.1:0", smtp.Config{Deliver: func(ctx context.Context, _ smtp.Envelope, _ []byte) error {
		close(begun)
		<-ctx.Done()
		return ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		sent <- netsmtp.SendMail(s.Address(), nil, "a@example.org", []string{"b@example.com"}, []byte("x\r\n"))
	}()
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("closed with %v", err)
	}
	if err := <-sent; err == nil {
		t.Error("the client believes its mail was taken")
	}
}

func TestCloseTwice(t *testing.T) {
	s, err := smtp.Listen(context.Background(), "127.0.0.1:0", smtp.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
