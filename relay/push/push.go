// Package push is the door for SNS's HTTPS delivery: instead of being polled for,
// each notice is called in.
//
//	push.go     the door: who may come in, and what is answered
//	message.go  what SNS delivers, and the text that it signed
//	verify.go   who signed it: the certificate, and the links to AWS
//	config.go   settings
//
// The door stands on the open internet, and anybody may knock. What comes in is
// believed only if SNS signed it ("Verifying the signatures of Amazon SNS messages"
// in the SNS developer guide), with a certificate that was fetched from the host of
// SNS in the topic's own region, for a topic that the settings name, and not too
// long ago. The cheap questions are asked first, so that a stranger costs little:
// no certificate is fetched for a topic that nobody named.
//
// A delivery is answered 200 only after what it announces was published. What can
// succeed later is answered 5xx, and SNS tries again, by the subscription's policy
// for about a minute or up to an hour; what never can, 4xx. SNS gives either up
// into the subscription's dead-letter queue, so the subscription needs one.
//
// A raw delivery has no signature. It is refused, unless a setting allows it; then
// the password in the subscribed URL is all that vouches for it.
//
// TLS ends at the balancer in front: only AWS's own networks can be kept from
// reading along from here.
package push

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Taker takes the text that a delivery carries. It returns when everything that
// the text announces was published, or when what is no notice was put where
// somebody will look at it. An error says that it can be tried again.
type Taker interface {
	Take(ctx context.Context, id, text string) error
}

// Parts are what a Door is put together from.
type Parts struct {
	Taker  Taker
	Client *http.Client   // reaches AWS, for certificates and confirmations; nil: one of the door's own
	Roots  *x509.CertPool // whom certificates are traced back to; nil: the system's
	Logger *zap.Logger
	Count  func(context.Context, Outcome) // is told how each call ended; nil: nobody is
}

// Outcome is how a call ended.
type Outcome string

// The outcomes.
const (
	Taken     Outcome = "taken"     // published, dropped or dead-lettered
	Confirmed Outcome = "confirmed" // a subscription
	Refused   Outcome = "refused"   // it is not from SNS, or not for us
	Failed    Outcome = "failed"    // SNS is to try again
)

// Door takes SNS's calls. Make one with [New].
type Door struct {
	config   Config
	parts    Parts
	topics   map[string]topic
	verifier *verifier
	free     chan struct{}
	said     *rate.Sometimes // a stranger can't fill the log
}

// New returns a Door. It does not listen yet.
func New(config Config, parts Parts) (*Door, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("check the settings of push: %w", err)
	}
	if parts.Count == nil {
		parts.Count = func(context.Context, Outcome) {}
	}
	d := &Door{
		config: config, parts: parts, topics: map[string]topic{}, verifier: newVerifier(parts.Client, parts.Roots, config.Emulator),
		free: make(chan struct{}, config.Concurrency), said: &rate.Sometimes{First: 20, Interval: time.Second},
	}
	for _, arn := range config.Topics {
		d.topics[arn], _ = parseTopic(arn) // Validate has seen to that.
	}
	return d, nil
}

// Listen opens the door's address.
func (d *Door) Listen(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("relay.push.listen: %s cannot be listened on: %w: choose another address, or leave it empty for none", d.config.Listen, err)
	}
	return listener, nil
}

// answering is how long SNS waits for an answer ("Amazon SNS message delivery
// retries" in the SNS developer guide).
const answering = 15 * time.Second

// Serve serves until ctx ends, and then until every delivery that is in has its
// answer. It closes the listener.
func (d *Door) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: d, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: answering, WriteTimeout: 2 * answering,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	// What strangers do to a connection is of no interest by day.
	server.ErrorLog, _ = zap.NewStdLogAt(d.parts.Logger, zap.DebugLevel)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve push: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*answering)
	defer cancel()
	if err := server.Shutdown(stopping); err != nil {
		_ = server.Close()
	}
	err := <-ended
	d.verifier.close()
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve push: %w", err)
	}
	return nil
}

// refusal is why a call is not taken. It is not tried again.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

func refuse(status int, format string, a ...any) error {
	return &refusal{status, fmt.Sprintf(format, a...)}
}

// ServeHTTP answers one call.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != d.config.Path {
		http.NotFound(w, r)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		fmt.Fprintln(w, "ok") // for the balancer's health check
		return
	}
	outcome, err := d.answer(w, r)
	d.parts.Count(r.Context(), outcome)
	if err == nil {
		fmt.Fprintln(w, "ok")
		return
	}
	if refused, ok := errors.AsType[*refusal](err); ok {
		d.said.Do(func() { d.parts.Logger.Warn("a push is refused", zap.Int("status", refused.status), zap.Error(err)) })
		// SNS sends its password only when it is asked to (RFC 9110, section 11.6.1).
		if refused.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="inreply"`)
		}
		http.Error(w, refused.why, refused.status)
		return
	}
	d.said.Do(func() { d.parts.Logger.Warn("a push is not taken now; SNS tries again", zap.Error(err)) })
	w.Header().Set("Retry-After", "20")
	http.Error(w, "try again", http.StatusServiceUnavailable)
}

// largest is how many octets a call may have. SNS itself takes 256 KiB, and a
// notice of S3 has less than 64.
const largest = 512 << 10

// answer says how a call ends.
func (d *Door) answer(w http.ResponseWriter, r *http.Request) (Outcome, error) {
	if r.Method != http.MethodPost {
		return Refused, refuse(http.StatusMethodNotAllowed, "%s is none of SNS's methods", r.Method)
	}
	if !d.admits(r) {
		return Refused, refuse(http.StatusUnauthorized, "it does not bring the password of relay.push.password")
	}
	select {
	case d.free <- struct{}{}:
		defer func() { <-d.free }()
	default:
		return Failed, fmt.Errorf("%d pushes are being worked on already: raise relay.push.concurrency", cap(d.free))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, largest))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return Refused, refuse(http.StatusRequestEntityTooLarge, "it is larger than %d octets, which no notice is", largest)
	}
	if err != nil {
		return Failed, fmt.Errorf("read a push: %w", err)
	}
	if r.Header.Get("X-Amz-Sns-Rawdelivery") == "true" {
		return d.takeRaw(r, body)
	}
	return d.take(r.Context(), body)
}

// admits reports whether a call brings the password, if one is asked for.
func (d *Door) admits(r *http.Request) bool {
	if d.config.Password == "" {
		return true
	}
	_, password, _ := r.BasicAuth()
	got, want := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(d.config.Password))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// takeRaw takes a delivery without an envelope. Its header is as little signed as
// the rest, and is asked all the same: somebody may have subscribed the wrong topic.
func (d *Door) takeRaw(r *http.Request, body []byte) (Outcome, error) {
	if !d.config.Raw {
		return Refused, refuse(http.StatusForbidden, "it is a raw delivery, which nobody has signed: turn raw delivery off in the subscription, or set relay.push.raw and relay.push.password")
	}
	arn := r.Header.Get("X-Amz-Sns-Topic-Arn")
	if _, ours := d.topics[arn]; !ours {
		return Refused, refuse(http.StatusForbidden, "topic %q is none of relay.push.topics", arn)
	}
	return d.handOn(r.Context(), r.Header.Get("X-Amz-Sns-Message-Id"), string(body))
}

// take takes a delivery in SNS's envelope.
func (d *Door) take(ctx context.Context, body []byte) (Outcome, error) {
	m, err := readMessage(body)
	if err != nil {
		return Refused, err
	}
	from, ours := d.topics[m.TopicARN]
	if !ours {
		return Refused, refuse(http.StatusForbidden, "topic %q is none of relay.push.topics", excerpt(m.TopicARN))
	}
	if err := m.checkAge(time.Now(), d.config.MaxAge); err != nil {
		return Refused, err
	}
	if err := d.verifier.verify(ctx, from, m); err != nil {
		return ending(err), err
	}
	switch m.Type {
	case subscription:
		if err := d.verifier.confirm(ctx, from, m); err != nil {
			return ending(err), err
		}
		d.parts.Logger.Info("subscription to a topic confirmed", zap.String("topic", m.TopicARN))
		return Confirmed, nil
	case unsubscription:
		d.parts.Logger.Warn("the subscription to a topic has ended: nothing is pushed from there any more", zap.String("topic", m.TopicARN))
		return Taken, nil
	}
	return d.handOn(ctx, m.ID, m.Message)
}

func (d *Door) handOn(ctx context.Context, id, text string) (Outcome, error) {
	if err := d.parts.Taker.Take(ctx, id, text); err != nil {
		return Failed, fmt.Errorf("take a push: %w", err)
	}
	return Taken, nil
}

func ending(err error) Outcome {
	if _, refused := errors.AsType[*refusal](err); refused {
		return Refused
	}
	return Failed
}
