// Package smtp is the SMTP door of the local world: a mail that any client sends to it (swaks, a
// mail program, net/smtp) goes to a function, with its envelope.
//
// It listens on this machine only, asks for no login, offers no TLS, and takes every recipient:
// who may write to whom is decided behind it. A mail is at most 40 MB, as at SES. The function
// decides the answer: nil is 250, an error 451, so that the client keeps the mail, unless the
// error says by Permanent() bool that trying again is useless, which is 554.
//
// The protocol is github.com/emersion/go-smtp's; this package adds the doorkeeper and an orderly
// end: [Server.Close] takes no more mail, lets the ones under way be answered, and hangs up.
package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"go.uber.org/zap"
)

// maxBytes is the largest mail that SES takes in, headers included.
const maxBytes = 40 << 20

// Envelope is what the client said about a mail before it sent it.
type Envelope struct {
	// From is the reverse-path; empty for a bounce.
	From string
	// Recipients are the forward-paths, at least one.
	Recipients []string
	// Helo is what the client calls itself, RemoteIP where it is.
	Helo, RemoteIP string
}

// Config says what a Server does with mail.
type Config struct {
	// Domain is what the server calls itself; "localhost" when empty.
	Domain string
	// MaxBytes limits a mail; 0 means 40 MB.
	MaxBytes int64
	// Deliver takes a mail over. The context ends when the Server is closed and did not want to
	// wait any longer.
	Deliver func(ctx context.Context, e Envelope, raw []byte) error
	// Logger gets a line per mail that was not taken over; nil logs nothing.
	Logger *zap.Logger
}

// Server is an open door. Its methods are safe for concurrent use.
type Server struct {
	smtp    *gosmtp.Server
	door    *door
	deliver func(context.Context, Envelope, []byte) error
	log     *zap.Logger
	served  chan struct{}

	ctx  context.Context //nolint:containedctx // the life of all deliveries, ended by Close.
	stop context.CancelFunc
	busy sync.WaitGroup // mails under way
}

// Listen opens the door at an address on this machine, such as "127.0.0.1:2525", "[::1]:2525" or
// "localhost:0"; port 0 chooses a free one. Any other host is refused, for the door asks nobody
// who he is. Close it when done.
func Listen(ctx context.Context, address string, c Config) (*Server, error) {
	address, err := loopback(address)
	if err != nil {
		return nil, err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen for mail on %s: another process listens there; stop it or choose another port: %w", address, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	s := &Server{deliver: c.Deliver, log: c.Logger, served: make(chan struct{}), door: newDoor(listener)}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.ctx, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.smtp = gosmtp.NewServer(gosmtp.BackendFunc(s.greet))
	s.smtp.Domain = c.Domain
	if s.smtp.Domain == "" {
		s.smtp.Domain = "localhost"
	}
	s.smtp.MaxMessageBytes = c.MaxBytes
	if c.MaxBytes == 0 {
		s.smtp.MaxMessageBytes = maxBytes
	}
	// RFC 5321 section 4.5.3.2 grants clients five minutes.
	s.smtp.ReadTimeout = 5 * time.Minute
	s.smtp.WriteTimeout = 5 * time.Minute
	s.smtp.ErrorLog = zap.NewStdLog(s.log)
	go s.serve()
	return s, nil
}

func (s *Server) serve() {
	defer close(s.served)
	if err := s.smtp.Serve(s.door); err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Error("smtp: no more mail can come in", zap.Error(err))
	}
}

// loopback refuses addresses of other machines. What localhost is does not depend on the
// machine's configuration.
func loopback(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen for mail on %q: write it as 127.0.0.1:2525: %w", address, err)
	}
	if host == "localhost" {
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("listen for mail on %s: only addresses of this machine are allowed, such as 127.0.0.1 or localhost", address)
	}
	return address, nil
}

// Address is where the door is, with the port that was chosen.
func (s *Server) Address() string { return s.door.Addr().String() }

// Close closes the door: no client gets in any more, mails under way are answered until the
// context ends, then all connections are cut. It returns when nothing runs any more.
func (s *Server) Close(ctx context.Context) error {
	err := s.door.close()
	idle := make(chan struct{})
	go func() {
		s.busy.Wait()
		close(idle)
	}()
	var late error
	select {
	case <-idle:
	case <-ctx.Done():
		late = fmt.Errorf("close SMTP door: mails were under way: %w", ctx.Err())
	}
	s.stop()
	// It finds its listener closed, or itself: both are as they should be.
	_ = s.smtp.Close()
	<-idle
	<-s.served
	s.door.wait()
	if late != nil {
		return late
	}
	if err != nil {
		return fmt.Errorf("close SMTP door: %w", err)
	}
	return nil
}

// greet begins the conversation with a client.
func (s *Server) greet(c *gosmtp.Conn) (gosmtp.Session, error) {
	ip, _, err := net.SplitHostPort(c.Conn().RemoteAddr().String())
	if err != nil {
		return nil, fmt.Errorf("read client's address: %w", err)
	}
	guest, ok := c.Conn().(*guest)
	if !ok {
		return nil, errors.New("a connection came past the door")
	}
	return &session{server: s, guest: guest, helo: c.Hostname(), ip: ip}, nil
}

// session is the conversation with one client. Its methods are the verbs of SMTP.
type session struct {
	server   *Server
	guest    *guest
	helo, ip string
	from     string
	to       []string
}

func (c *session) Mail(from string, _ *gosmtp.MailOptions) error {
	c.from = from
	return nil
}

func (c *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	c.to = append(c.to, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	if !c.server.door.enter(&c.server.busy) {
		return &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "Service is closing"}
	}
	// The mail is under way until its answer was written: a client that does not hear it would
	// send the mail again.
	defer c.guest.owe(c.server.busy.Done)
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	e := Envelope{From: c.from, Recipients: c.to, Helo: c.helo, RemoteIP: c.ip}
	err = c.server.deliver(c.server.ctx, e, raw)
	if err == nil {
		return nil
	}
	c.server.log.Warn("smtp: mail not taken over", zap.String("from", c.from), zap.Strings("recipients", c.to), zap.Error(err))
	return answer(err)
}

// answer is what the client hears about an error.
func answer(err error) *gosmtp.SMTPError {
	var permanent interface{ Permanent() bool }
	if errors.As(err, &permanent) && permanent.Permanent() {
		return &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 0, 0}, Message: err.Error()}
	}
	return &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 3, 0}, Message: err.Error()}
}

func (c *session) Reset() { c.from, c.to = "", nil }

func (c *session) Logout() error { return nil }
