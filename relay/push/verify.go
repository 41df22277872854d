package push

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SignatureVersion 1 is defined with SHA-1.
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// verifier knows who signed a message.
//
// AWS serves the signing certificate alone, without those between it and a root,
// so its chain cannot be checked by what is served. What vouches for it is the
// connection that it came over: TLS, to the one host that the topic's region has.
// Where the file does hold more certificates, the chain must hold too.
type verifier struct {
	client   *http.Client
	own      bool     // nobody else uses the client's connections
	emulator *url.URL // nil: AWS
	roots    *x509.CertPool

	fetching singleflight.Group
	fetches  *rate.Limiter // a stranger may name certificates that do not exist

	mu    sync.Mutex
	known map[string]certificate // by URL
}

// certificate is a key that SNS signs with.
type certificate struct {
	key   *rsa.PublicKey
	until time.Time
}

const (
	fetchTime   = 5 * time.Second // for one fetch
	largestFile = 64 << 10        // octets of a certificate's file, or of the answer to a confirmation
	mostKnown   = 32              // certificates; SNS has a few in each region
	longestHeld = 24 * time.Hour  // until a certificate is fetched again
	leastBits   = 2048            // of a key
	fetchBurst  = 10
)

func newVerifier(client *http.Client, roots *x509.CertPool, emulator string) *verifier {
	v := &verifier{own: client == nil, roots: roots, fetches: rate.NewLimiter(rate.Every(time.Second), fetchBurst), known: map[string]certificate{}}
	if client == nil {
		client = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}
	changed := *client
	// A redirect would lead to a host that nobody has checked.
	changed.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v.client = &changed
	if emulator != "" {
		v.emulator, _ = url.Parse(emulator) // Validate has seen to that.
	}
	return v
}

func (v *verifier) close() {
	if v.own {
		v.client.CloseIdleConnections()
	}
}

// verify says why a message is not from SNS. An error that is no refusal says that
// it could not be found out.
func (v *verifier) verify(ctx context.Context, from topic, m *message) error {
	var hash crypto.Hash
	var sum []byte
	switch m.SignatureVersion {
	case "1":
		s := sha1.Sum(m.signed()) //nolint:gosec // as above
		hash, sum = crypto.SHA1, s[:]
	case "2":
		s := sha256.Sum256(m.signed())
		hash, sum = crypto.SHA256, s[:]
	default:
		return refuse(http.StatusForbidden, "its signature is of version %q, which is neither 1 nor 2", excerpt(m.SignatureVersion))
	}
	key, err := v.key(ctx, from, m.SigningCertURL)
	if err != nil {
		return err
	}
	if err := rsa.VerifyPKCS1v15(key, hash, sum, m.signature); err != nil {
		return refuse(http.StatusForbidden, "its signature is wrong: SNS has not sent it")
	}
	return nil
}

// certificatePath is where AWS's certificates lie.
var certificatePath = regexp.MustCompile(`^/SimpleNotificationService-[0-9a-zA-Z]{1,128}\.pem$`)

// key is the key of the certificate at a URL.
func (v *verifier) key(ctx context.Context, from topic, link string) (*rsa.PublicKey, error) {
	u, err := v.permitted(from, link)
	if err != nil || v.emulator == nil && (!certificatePath.MatchString(u.Path) || u.RawQuery != "") {
		return nil, refuse(http.StatusForbidden, "its certificate is to be at %q, where SNS has none for this topic", excerpt(link))
	}
	at := u.String()
	v.mu.Lock()
	c, known := v.known[at]
	v.mu.Unlock()
	if known && time.Now().Before(c.until) {
		return c.key, nil
	}
	got, err, _ := v.fetching.Do(at, func() (any, error) {
		// Others may wait for it too, so it does not end with one caller.
		return v.fetch(context.WithoutCancel(ctx), from, at)
	})
	if err != nil {
		return nil, err
	}
	return got.(certificate).key, nil
}

// permitted is a link as it may be followed: https, to SNS in the topic's region.
// An emulator says of itself all sorts of names, so it is asked under the one that
// the settings have.
func (v *verifier) permitted(from topic, link string) (*url.URL, error) {
	u, err := url.Parse(link)
	if err != nil {
		return nil, fmt.Errorf("read the link: %w", err)
	}
	if v.emulator != nil {
		u.Scheme, u.Host, u.User = v.emulator.Scheme, v.emulator.Host, nil
		return u, nil
	}
	if u.Scheme != "https" || u.Host != from.host() || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return nil, fmt.Errorf("it is not at https://%s", from.host())
	}
	return u, nil
}

// fetch fetches a certificate and remembers it.
func (v *verifier) fetch(ctx context.Context, from topic, at string) (certificate, error) {
	if !v.fetches.Allow() {
		return certificate{}, fmt.Errorf("too many certificates are asked for; %s is not fetched now", at)
	}
	file, err := v.get(ctx, at)
	if err != nil {
		return certificate{}, fmt.Errorf("fetch the certificate of SNS: %w", err)
	}
	c, err := v.read(from, file, time.Now())
	if err != nil {
		return certificate{}, refuse(http.StatusForbidden, "the certificate at %s is none of SNS: %v", at, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= mostKnown {
		clear(v.known)
	}
	v.known[at] = c
	return c, nil
}

// read reads the certificate of SNS in a file, and checks whose it is.
func (v *verifier) read(from topic, file []byte, now time.Time) (certificate, error) {
	chain, err := readChain(file)
	if err != nil {
		return certificate{}, err
	}
	leaf := chain[0]
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < leastBits {
		return certificate{}, fmt.Errorf("it has no RSA key of at least %d bits", leastBits)
	}
	until := now.Add(longestHeld)
	if v.emulator != nil {
		return certificate{key, until}, nil
	}
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return certificate{}, fmt.Errorf("it is good from %s to %s", leaf.NotBefore.Format(time.DateOnly), leaf.NotAfter.Format(time.DateOnly))
	}
	if !isSNS(leaf, from) {
		return certificate{}, fmt.Errorf("it is for %s", strings.Join(append([]string{leaf.Subject.CommonName}, leaf.DNSNames...), ", "))
	}
	if len(chain) > 1 {
		between := x509.NewCertPool()
		for _, c := range chain[1:] {
			between.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: v.roots, Intermediates: between, CurrentTime: now}); err != nil {
			return certificate{}, fmt.Errorf("its chain does not hold: %w", err)
		}
	}
	if leaf.NotAfter.Before(until) {
		until = leaf.NotAfter
	}
	return certificate{key, until}, nil
}

// isSNS reports whether a certificate is made out to SNS. AWS's are to
// sns.amazonaws.com, in the common name too.
func isSNS(leaf *x509.Certificate, from topic) bool {
	for _, host := range []string{"sns.amazonaws.com", "sns.amazonaws.com.cn", from.host()} {
		if leaf.VerifyHostname(host) == nil || len(leaf.DNSNames) == 0 && leaf.Subject.CommonName == host {
			return true
		}
	}
	return false
}

// readChain reads the certificates of a file, at most ten.
func readChain(file []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for block, rest := pem.Decode(file); block != nil && len(chain) < 10; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read the certificate: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("there is no certificate in it")
	}
	return chain, nil
}

// confirm confirms a subscription, by the link that SNS has signed.
func (v *verifier) confirm(ctx context.Context, from topic, m *message) error {
	u, err := v.permitted(from, m.SubscribeURL)
	if err != nil {
		return refuse(http.StatusForbidden, "its link to confirm leads to %q, which is not SNS for this topic", excerpt(m.SubscribeURL))
	}
	asks := u.Query()
	if asks.Get("Action") != "ConfirmSubscription" || asks.Get("TopicArn") != m.TopicARN {
		return refuse(http.StatusForbidden, "its link does not confirm a subscription to this topic")
	}
	if _, err := v.get(ctx, u.String()); err != nil {
		return fmt.Errorf("confirm the subscription to %s: %w", m.TopicARN, err)
	}
	return nil
}

// get fetches something small from SNS.
func (v *verifier) get(ctx context.Context, at string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask SNS: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", request.URL.Host, response.Status)
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, largestFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of SNS: %w", err)
	}
	if len(content) > largestFile {
		return nil, fmt.Errorf("%s answered more than %d octets", request.URL.Host, largestFile)
	}
	return content, nil
}
