package webhook

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"inreply/processing/webhook/signature"
)

// How a service is shown that a request is ours.
const (
	AuthNone      = "none"
	AuthSignature = "standard-webhooks"
	AuthSigV4     = "sigv4"
)

// Config are the application services, by the name that a route uses as its
// processor.
type Config map[string]Service

// Service is one application service. What is left out, or 0, has a default that
// fits API Gateway.
type Service struct {
	URL            string        `yaml:"url"`              // where a mail is posted to; https, or http to loopback and private addresses
	Timeout        time.Duration `yaml:"timeout"`          // of one request in all; 0s: 28s, as API Gateway gives up after 29s
	ConnectTimeout time.Duration `yaml:"connect_timeout"`  // of the connection, and as long again for TLS; 0s: 5s
	HeaderTimeout  time.Duration `yaml:"header_timeout"`   // from the request's end to the header of the answer; 0s: as timeout
	Deadline       time.Duration `yaml:"deadline"`         // how long a mail is asked about again that the service put off (202, 429, 503, Retry-After); 0s: 1h
	Concurrency    int           `yaml:"concurrency"`      // requests at once; 0: 64
	InlineKiB      int           `yaml:"inline_kib"`       // files of one mail that are sent in the request, in all; the others are links; 0: 1024; -1: none
	LinkLife       time.Duration `yaml:"link_life"`        // how long a link to a file or to the mail can be followed; 0s: 1h
	MaxBodyKiB     int           `yaml:"max_body_kib"`     // of a request; 0: 9216, as API Gateway takes 10 MB
	MaxResponseKiB int           `yaml:"max_response_kib"` // of an answer; 0: 10240
	Auth           Auth          `yaml:"auth"`
	TLS            TLS           `yaml:"tls"`
	Breaker        Breaker       `yaml:"breaker"`
}

// Auth is how the service is shown that a request is ours.
type Auth struct {
	Kind         string   `yaml:"kind"`           // none, standard-webhooks (signed by a secret) or sigv4 (signed by the task's role); empty: none, or standard-webhooks if there are secrets
	Secrets      []Secret `yaml:"secrets"`        // for standard-webhooks, each whsec_ and base64; every request is signed by each
	Region       string   `yaml:"region"`         // for sigv4; empty: as AWS's
	Service      string   `yaml:"service"`        // for sigv4: execute-api for API Gateway (default), lambda for a function URL
	APIKeyHeader string   `yaml:"api_key_header"` // the field that carries api_key; empty: x-api-key
	APIKey       Secret   `yaml:"api_key"`        // sent beside whatever kind says
}

// TLS is what both sides show each other. The files are PEM.
type TLS struct {
	CAFile          string `yaml:"ca_file"`          // who may vouch for the service; empty: whom the system trusts
	CertificateFile string `yaml:"certificate_file"` // our own certificate; read anew for each connection, so that it can be replaced
	KeyFile         string `yaml:"key_file"`         // its private key
}

// Breaker is when the service counts as out: its mails are parked then.
type Breaker struct {
	Failures int           `yaml:"failures"` // one after the other; 0: 5
	Pause    time.Duration `yaml:"pause"`    // before one request probes whether it is back; 0s: 10s
}

// Secret is a text that is never shown.
type Secret string

// String hides it.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(secret)"
}

// GoString hides it from %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides it from JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides it from YAML.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// Longest and shortest of what may be set.
const (
	longestTimeout = 5 * time.Minute
	longestWait    = 14 * 24 * time.Hour // as long as SQS keeps a message
	longestLink    = 12 * time.Hour
	largestBody    = 64 << 10 // in KiB
)

// WithDefaults fills in what is left out.
func (s Service) WithDefaults() Service {
	s.Timeout = cmp.Or(s.Timeout, 28*time.Second)
	s.ConnectTimeout = cmp.Or(s.ConnectTimeout, 5*time.Second)
	s.HeaderTimeout = cmp.Or(s.HeaderTimeout, s.Timeout)
	s.Deadline = cmp.Or(s.Deadline, time.Hour)
	s.Concurrency = cmp.Or(s.Concurrency, 64)
	s.InlineKiB = max(0, cmp.Or(s.InlineKiB, 1024))
	s.LinkLife = cmp.Or(s.LinkLife, time.Hour)
	s.MaxBodyKiB = cmp.Or(s.MaxBodyKiB, 9<<10)
	s.MaxResponseKiB = cmp.Or(s.MaxResponseKiB, 10<<10)
	s.Breaker.Failures = cmp.Or(s.Breaker.Failures, 5)
	s.Breaker.Pause = cmp.Or(s.Breaker.Pause, 10*time.Second)
	if s.Auth.Kind == "" && len(s.Auth.Secrets) > 0 {
		s.Auth.Kind = AuthSignature
	}
	s.Auth.Kind = cmp.Or(s.Auth.Kind, AuthNone)
	s.Auth.Service = cmp.Or(s.Auth.Service, "execute-api")
	s.Auth.APIKeyHeader = cmp.Or(s.Auth.APIKeyHeader, "x-api-key")
	return s
}

// serviceName is what a service may be called: it is part of a variable's name, and of
// the outage "service:NAME".
var serviceName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if !serviceName.MatchString(name) {
			faults = append(faults, fmt.Errorf("%s: %q is no name of a service: lower-case letters, digits and single dashes", name, name))
			continue
		}
		faults = append(faults, c[name].faults(name+".")...)
	}
	return errors.Join(faults...)
}

func (s Service) faults(at string) (faults []error) {
	s = s.WithDefaults()
	check := func(ok bool, key, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s%s: %s", at, key, fmt.Sprintf(format, args...)))
		}
	}
	if err := checkURL(s.URL); err != nil {
		faults = append(faults, fmt.Errorf("%surl: %w", at, err))
	}
	check(s.Timeout >= time.Second && s.Timeout <= longestTimeout, "timeout", "%s is not between 1s and %s", s.Timeout, longestTimeout)
	check(s.ConnectTimeout > 0 && s.ConnectTimeout <= s.Timeout, "connect_timeout", "%s is not between 0s and timeout (%s)", s.ConnectTimeout, s.Timeout)
	check(s.HeaderTimeout > 0 && s.HeaderTimeout <= s.Timeout, "header_timeout", "%s is not between 0s and timeout (%s)", s.HeaderTimeout, s.Timeout)
	check(s.Deadline >= time.Second && s.Deadline <= longestWait, "deadline", "%s is not between 1s and 336h, for which SQS keeps a message", s.Deadline)
	check(s.Concurrency >= 1 && s.Concurrency <= 10_000, "concurrency", "%d is not between 1 and 10000", s.Concurrency)
	check(s.MaxBodyKiB >= 64 && s.MaxBodyKiB <= largestBody, "max_body_kib", "%d is not between 64 and %d", s.MaxBodyKiB, largestBody)
	check(s.InlineKiB <= s.MaxBodyKiB/2, "inline_kib", "%d is more than half of max_body_kib (%d): base64 makes files a third larger, and the texts need room too", s.InlineKiB, s.MaxBodyKiB)
	check(s.LinkLife >= time.Minute && s.LinkLife <= longestLink, "link_life", "%s is not between 1m and %s", s.LinkLife, longestLink)
	check(s.MaxResponseKiB >= 1 && s.MaxResponseKiB <= largestBody, "max_response_kib", "%d is not between 1 and %d", s.MaxResponseKiB, largestBody)
	check(s.Breaker.Failures >= 1 && s.Breaker.Failures <= 1000, "breaker.failures", "%d is not between 1 and 1000", s.Breaker.Failures)
	check(s.Breaker.Pause >= time.Second && s.Breaker.Pause <= time.Hour, "breaker.pause", "%s is not between 1s and 1h", s.Breaker.Pause)
	check((s.TLS.CertificateFile == "") == (s.TLS.KeyFile == ""), "tls.key_file", "a certificate and its private key are set together or not at all")
	check(s.TLS == TLS{} || strings.HasPrefix(s.URL, "https:"), "tls", "the url is not https, so nobody would look at it")
	return append(faults, s.Auth.faults(at+"auth.")...)
}

func (a Auth) faults(at string) (faults []error) {
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("%s%s: %s", at, key, fmt.Sprintf(format, args...)))
	}
	switch a.Kind {
	case AuthNone, AuthSigV4:
		if len(a.Secrets) > 0 {
			fault("secrets", "kind is %s, which does not use them: set kind to %s, or take them away", a.Kind, AuthSignature)
		}
	case AuthSignature:
		if len(a.Secrets) == 0 {
			fault("secrets", "there is none to sign with: make one with: echo whsec_$(head -c 32 /dev/urandom | base64)")
		}
	default:
		fault("kind", "%q is none of %s, %s, %s", a.Kind, AuthNone, AuthSignature, AuthSigV4)
	}
	for i, secret := range a.Secrets {
		if _, err := signature.Key(string(secret)); err != nil {
			fault(fmt.Sprintf("secrets[%d]", i), "%v", err)
		}
	}
	if !httpguts.ValidHeaderFieldName(a.APIKeyHeader) || slices.Contains(ownFields(), http.CanonicalHeaderKey(a.APIKeyHeader)) {
		fault("api_key_header", "%q cannot carry a key", a.APIKeyHeader)
	}
	if a.Kind == AuthSigV4 && http.CanonicalHeaderKey(a.APIKeyHeader) == "Authorization" {
		fault("api_key_header", "sigv4 signs in Authorization: let the key stand elsewhere")
	}
	if !httpguts.ValidHeaderFieldValue(string(a.APIKey)) {
		fault("api_key", "there is an octet in it that a header cannot carry")
	}
	return faults
}

// ownFields are the fields of a request that are ours or HTTP's to set.
func ownFields() []string {
	return []string{
		"Host", "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Accept", "Accept-Encoding", "User-Agent",
		"Idempotency-Key", "Traceparent", "X-Amz-Date", "X-Amz-Security-Token", signature.ID, signature.Timestamp, signature.Signature,
	}
}

// checkURL says what is wrong with where mails are posted to.
func checkURL(text string) error {
	if text == "" {
		return errors.New("it is empty: where is the service?")
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("it is no URL such as https://api.example.com/mails") // the text may hold a secret
	}
	if u.User != nil {
		return errors.New("there is a user or password in it: set auth.api_key instead, with auth.api_key_header: Authorization")
	}
	if u.Fragment != "" {
		return errors.New("there is a # in it, and nothing behind it would be sent")
	}
	if u.Scheme == "http" && !private(u.Hostname()) {
		return fmt.Errorf("mails would go to %s unencrypted: write https, for http is only for loopback and private addresses", u.Host)
	}
	return nil
}

// private reports whether a host surely or probably has a loopback or private
// address. What a name resolves to is looked at again when it is connected to.
func private(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.IsLoopback() || a.IsPrivate()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true // a name within a compose file, of ECS Service Connect, or localhost
	}
	for _, suffix := range []string{".localhost", ".internal", ".local", ".home.arpa"} {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}
