package push_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"inreply/relay/push"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	events   = "arn:aws:sns:eu-west-1:123456789012:inreply-events"
	signedAt = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
	password = "correct horse battery staple"
)

// signer is SNS with a key, and a certificate that an authority of our own has made
// out to it.
type signer struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// keys are made once: they cost more than all the rest.
var keys sync.Map

func keyOf(tb testing.TB, name string) *rsa.PrivateKey {
	tb.Helper()
	bits := 2048
	if name == "short" {
		bits = 1024
	}
	made, _ := keys.LoadOrStore(name, sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, bits) }))
	key, err := made.(func() (*rsa.PrivateKey, error))()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// authority makes certificates. The zero authority's are their own.
type authority = signer

func newSigner(tb testing.TB, name string, by *authority, change func(*x509.Certificate)) *signer {
	tb.Helper()
	key := keyOf(tb, name)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(name))), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, DNSNames: []string{"sns.amazonaws.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if change != nil {
		change(template)
	}
	parent, sign := template, key
	if by != nil {
		parent, sign = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), sign)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return &signer{key: key, cert: cert}
}

func newAuthority(t *testing.T, by *authority, name string) *authority {
	t.Helper()
	return newSigner(t, name, by, func(c *x509.Certificate) {
		c.Subject, c.DNSNames = pkix.Name{CommonName: name}, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
}

func file(chain ...*signer) []byte {
	var b bytes.Buffer
	for _, s := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
	}
	return b.Bytes()
}

// delivery is what SNS sends.
type delivery map[string]string

// notification is one that is right, but for its signature.
func notification(text string) delivery {
	return delivery{
		"Type": "Notification", "MessageId": "11111111-2222-3333-4444-555555555555", "TopicArn": events,
		"Subject": "Amazon S3 Notification", "Message": text, "Timestamp": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
		"SignatureVersion": "1", "SigningCertURL": signedAt,
		"UnsubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + events + ":x",
	}
}

func confirmation() delivery {
	d := notification("You have chosen to subscribe")
	delete(d, "Subject")
	delete(d, "UnsubscribeURL")
	d["Type"], d["Token"] = "SubscriptionConfirmation", "2336412f37"
	d["SubscribeURL"] = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + events + "&Token=2336412f37"
	return d
}

// sign signs as the SNS developer guide says, written down here a second time.
func (s *signer) sign(tb testing.TB, d delivery) delivery {
	tb.Helper()
	names := []string{"Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"}
	var text strings.Builder
	for _, name := range names {
		if value, there := d[name]; there {
			text.WriteString(name + "\n" + value + "\n")
		}
	}
	hash, sum := crypto.SHA1, sha1.New()
	if d["SignatureVersion"] == "2" {
		hash, sum = crypto.SHA256, sha256.New()
	}
	sum.Write([]byte(text.String()))
	signature, err := rsa.SignPKCS1v15(nil, s.key, hash, sum.Sum(nil))
	if err != nil {
		tb.Fatal(err)
	}
	signed := maps.Clone(d)
	signed["Signature"] = base64.StdEncoding.EncodeToString(signature)
	return signed
}

// aws answers what the door asks of AWS.
type aws struct {
	mu    sync.Mutex
	files map[string][]byte // by URL; what is not there is 404
	asked []string
	fault func(url string) (*http.Response, error)
}

func (a *aws) RoundTrip(r *http.Request) (*http.Response, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r.URL.String())
	if a.fault != nil {
		if response, err := a.fault(r.URL.String()); response != nil || err != nil {
			return response, err
		}
	}
	content, there := a.files[r.URL.String()]
	if !there {
		return answer(http.StatusNotFound, nil), nil
	}
	return answer(http.StatusOK, content), nil
}

func answer(status int, content []byte) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(content))}
}

func (a *aws) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.asked)
}

// taker is the relay.
type taker struct {
	mu    sync.Mutex
	texts []string
	err   error
	holds chan struct{} // not nil: Take waits for it
}

func (k *taker) Take(_ context.Context, _, text string) error {
	if k.holds != nil {
		<-k.holds
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.texts = append(k.texts, text)
	return k.err
}

// rig is a door between fakes, with SNS outside.
type rig struct {
	t        *testing.T
	config   push.Config
	sns      *signer
	aws      *aws
	taker    *taker
	logs     *observer.ObservedLogs
	roots    *x509.CertPool
	door     *push.Door
	mu       sync.Mutex
	outcomes []push.Outcome
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return rigOf(t, newSigner(t, "sns", nil, nil))
}

func rigOf(t *testing.T, sns *signer) *rig {
	t.Helper()
	c := push.Defaults()
	c.Listen, c.Topics = "127.0.0.1:0", []string{events}
	r := &rig{t: t, config: c, sns: sns, aws: &aws{}, taker: &taker{}}
	r.aws.files = map[string][]byte{signedAt: file(r.sns)}
	return r
}

// deliver makes one call and returns its status and what was said.
func (r *rig) deliver(d delivery) (status int, said string) {
	r.t.Helper()
	body, err := json.Marshal(d)
	if err != nil {
		r.t.Fatal(err)
	}
	return r.post(string(body))
}

func (r *rig) post(body string, header ...string) (status int, said string) {
	r.t.Helper()
	request := httptest.NewRequest(http.MethodPost, r.config.Path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return r.call(request)
}

func (r *rig) call(request *http.Request) (status int, said string) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.open().ServeHTTP(w, request)
	return w.Code, w.Body.String()
}

func (r *rig) open() *push.Door {
	r.t.Helper()
	if r.door != nil {
		return r.door
	}
	core, logs := observer.New(zap.InfoLevel)
	r.logs = logs
	var err error
	r.door, err = push.New(r.config, push.Parts{
		Taker: r.taker, Client: &http.Client{Transport: r.aws}, Roots: r.roots, Logger: zap.New(core),
		Count: func(_ context.Context, o push.Outcome) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.outcomes = append(r.outcomes, o)
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.door
}

var errDown = errors.New("connection refused")
