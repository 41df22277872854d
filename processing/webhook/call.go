package webhook

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"inreply/processing/webhook/dial"
	"inreply/processing/webhook/signature"
)

// newClient makes the client of one service. Environment variables for proxies mean
// nothing to it: a proxy would look names up where nobody checks the address.
func newClient(s Service, connect dial.Func) (*http.Client, error) {
	if connect == nil {
		connect = dial.New(s.ConnectTimeout, strings.HasPrefix(s.URL, "https:"))
	}
	secured, err := newTLS(s.TLS)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		DialContext: connect, TLSClientConfig: secured, TLSHandshakeTimeout: s.ConnectTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    s.Concurrency, IdleConnTimeout: 50 * time.Second, // ALB closes after 60s
		ForceAttemptHTTP2: true, DisableCompression: true,
	}
	if s.HeaderTimeout < s.Timeout {
		transport.ResponseHeaderTimeout = s.HeaderTimeout
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func newTLS(t TLS) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: there is no certificate in %s", t.CAFile)
		}
	}
	if t.CertificateFile == "" {
		return c, nil
	}
	load := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(t.CertificateFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.certificate_file: %w", err)
		}
		return &pair, nil
	}
	if _, err := load(); err != nil {
		return nil, err
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	return c, nil
}

// answer is what a service said.
type answer struct {
	response []byte // of a 200; nil of a 204
	later    bool   // ask again after
	after    time.Duration
	alive    bool  // later: the service works, and has no time
	err      error // why there is no response
}

// call sends a request and reads its answer. The error is one of the request: there
// was no answer.
func (w *Webhook) call(ctx context.Context, id string, b *body) (*answer, error) {
	ctx, measured := w.begin(ctx)
	answered, status, err := w.exchange(ctx, id, b)
	measured.end(ctx, status, err)
	return answered, err
}

// exchange is a request and its answer, whose status is 0 if there was none.
func (w *Webhook) exchange(ctx context.Context, id string, b *body) (_ *answer, status int, _ error) {
	ctx, cancel := context.WithTimeoutCause(ctx, w.service.Timeout, errSlow)
	defer cancel()
	request, err := w.request(ctx, id, b)
	if err != nil {
		return nil, 0, &failure{err: err, ours: true}
	}
	response, err := w.client.Do(request)
	if err != nil {
		return nil, 0, w.unreached(ctx, err)
	}
	defer response.Body.Close()
	most := int64(w.service.MaxResponseKiB) << 10
	if response.StatusCode != http.StatusOK {
		most = longestComplaint
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	if err != nil && response.StatusCode == http.StatusOK {
		return nil, response.StatusCode, w.unreached(ctx, fmt.Errorf("read the answer: %w", err))
	}
	return w.judge(response, text, most), response.StatusCode, nil
}

// longestComplaint is how much of an answer is read that is not 200, in octets. No
// more than that is worth keeping a connection for.
const longestComplaint = 64 << 10

// errSlow is why a request was given up.
var errSlow = errors.New("it took longer than its timeout")

// request makes the HTTP request, signed.
func (w *Webhook) request(ctx context.Context, id string, b *body) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.service.URL, nil)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", w.hidden(err))
	}
	h := request.Header
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "inreply")
	h.Set("Idempotency-Key", id)
	setTrace(ctx, h, id)
	if w.service.Auth.APIKey != "" {
		h.Set(w.service.Auth.APIKeyHeader, string(w.service.Auth.APIKey))
	}
	signer := signature.New(w.keys, id, time.Now())
	sum := sha256.New()
	length, err := io.Copy(io.MultiWriter(sum, signer), b.reader())
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	request.ContentLength = length
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(b.reader()), nil }
	request.Body = io.NopCloser(b.reader())
	switch w.service.Auth.Kind {
	case AuthSignature:
		signer.Set(h)
	case AuthSigV4:
		return request, w.signV4(ctx, request, hex.EncodeToString(sum.Sum(nil)))
	}
	return request, nil
}

// signV4 signs as IAM wants it.
func (w *Webhook) signV4(ctx context.Context, request *http.Request, sum string) error {
	credentials, err := w.parts.Credentials.Retrieve(ctx)
	if err != nil {
		return fmt.Errorf("get credentials to sign with: %w", err)
	}
	region := w.service.Auth.Region
	if region == "" {
		region = w.parts.Region
	}
	if err := v4.NewSigner().SignHTTP(ctx, credentials, request, sum, w.service.Auth.Service, region, time.Now()); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}

// setTrace says which trace the request belongs to (W3C Trace Context). Without one,
// all requests about a mail are one trace, which has the beginning of the mail's id.
func setTrace(ctx context.Context, h http.Header, id string) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		var span trace.SpanID
		_, _ = rand.Read(span[:]) // never fails (crypto/rand)
		traced, err := trace.TraceIDFromHex(id[:min(32, len(id))])
		if err != nil {
			return
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: traced, SpanID: span, TraceFlags: trace.FlagsSampled}))
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// judge says what a status means.
func (w *Webhook) judge(r *http.Response, text []byte, most int64) *answer {
	status, after := r.StatusCode, retryAfter(r.Header)
	said := fmt.Errorf("it answered %d", status)
	if reason := http.StatusText(status); reason != "" {
		said = fmt.Errorf("it answered %d %s", status, reason)
	}
	switch {
	case status == http.StatusOK && int64(len(text)) > most:
		return &answer{err: &failure{err: fmt.Errorf("its answer is longer than %d KiB: see max_response_kib", w.service.MaxResponseKiB), permanent: true, alive: true}}
	case status == http.StatusOK:
		return &answer{response: text}
	case status == http.StatusNoContent:
		return &answer{}
	case status == http.StatusAccepted:
		return &answer{later: true, after: after, alive: true, err: said}
	case status == http.StatusTooManyRequests:
		return &answer{later: true, after: after, alive: true, err: said}
	case status == http.StatusServiceUnavailable:
		return &answer{later: true, after: after, err: said}
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= http.StatusInternalServerError:
		return &answer{later: after > 0, after: after, err: &failure{err: said}}
	case status >= 300 && status < 400:
		said = fmt.Errorf("%w: redirects are not followed, so url must be where the service is", said)
	case status < 300:
		said = fmt.Errorf("%w: of the good ones only 200, 202 and 204 mean something here", said)
	}
	return &answer{err: &failure{err: said, permanent: true, alive: true}}
}

// unreached is the failure of a request that got no answer, or not all of one.
func (w *Webhook) unreached(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errSlow) {
		return &failure{err: fmt.Errorf("%w of %s", errSlow, w.service.Timeout)}
	}
	if ctx.Err() != nil {
		return w.hidden(err)
	}
	if forbidden, ok := errors.AsType[*dial.ForbiddenError](err); ok {
		return &failure{err: forbidden, permanent: true, ours: true}
	}
	f := &failure{err: w.hidden(err)}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		f.after = w.jittered(2 * time.Second) // nobody was there: that is not the mail's fault
	}
	return f
}

// hidden takes the URL out of an error: there may be a key in it.
func (w *Webhook) hidden(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}
