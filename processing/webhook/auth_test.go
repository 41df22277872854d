package webhook_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/email"
	"inreply/processing/webhook"
	"inreply/processing/webhook/signature"
)

const (
	oldSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	newSecret = "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGEgc2FtcGxlIQ=="
)

// Each try is signed anew, by every secret, under the same id; whoever has either of the
// secrets can verify it.
func TestStandardWebhooks(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.serve = says(503, "")
		w := r.service(func(s *webhook.Service) { s.Auth.Secrets = []webhook.Secret{newSecret, oldSecret} })
		m := r.mail(1, with(10, 200_000))
		for range 2 {
			_, _ = w.Process(r.t.Context(), m)
			time.Sleep(time.Minute)
		}
		requests := r.seen()
		for i, secret := range []string{newSecret, oldSecret} {
			for _, s := range requests {
				key, err := signature.Key(secret)
				if err != nil {
					r.t.Fatal(err)
				}
				signer := signature.New([][]byte{key}, m.ID, s.at)
				_, _ = signer.Write(s.body)
				want := http.Header{}
				signer.Set(want)
				got := strings.Fields(s.header.Get("Webhook-Signature"))
				if len(got) != 2 || got[i] != want.Get("Webhook-Signature") || s.header.Get("Webhook-Timestamp") != want.Get("Webhook-Timestamp") {
					r.t.Errorf("secret %d: %v, want %v", i, s.header, want)
				}
			}
		}
		if requests[0].header.Get("Webhook-Timestamp") == requests[1].header.Get("Webhook-Timestamp") || requests[0].header.Get("Webhook-Id") != requests[1].header.Get("Webhook-Id") {
			r.t.Error("the timestamp must change from try to try, and the id must not")
		}
	})
}

// The service side of SigV4: the same signature comes out of what was received.
func TestSigV4(t *testing.T) {
	for service, want := range map[string]string{"": "execute-api", "lambda": "lambda"} {
		inBubble(t, func(r *rig) {
			w := r.service(func(s *webhook.Service) {
				s.URL += "?stage=a%20b"
				s.Auth = webhook.Auth{Kind: webhook.AuthSigV4, Service: service, APIKey: "hush"}
			})
			if _, err := w.Process(r.t.Context(), r.mail(1, sample(r.t))); err != nil {
				r.t.Fatal(err)
			}
			s := r.seen()[0]
			at, err := time.Parse("20060102T150405Z", s.header.Get("X-Amz-Date"))
			if err != nil {
				r.t.Fatal(err)
			}
			again, err := http.NewRequest(http.MethodPost, "http://orders/mails?stage=a%20b", bytes.NewReader(s.body))
			if err != nil {
				r.t.Fatal(err)
			}
			for name := range strings.SplitSeq(signedHeaders(s.header.Get("Authorization")), ";") {
				if name != "host" && name != "content-length" {
					again.Header.Set(name, s.header.Get(name))
				}
			}
			sum := sha256.Sum256(s.body)
			if err := v4.NewSigner().SignHTTP(r.t.Context(), aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, again, hex.EncodeToString(sum[:]), want, "us-east-1", at); err != nil {
				r.t.Fatal(err)
			}
			if got := s.header.Get("Authorization"); got != again.Header.Get("Authorization") || !strings.Contains(got, "/us-east-1/"+want+"/aws4_request") {
				r.t.Errorf("got  %s\nwant %s", got, again.Header.Get("Authorization"))
			}
			if s.header.Get("X-Api-Key") != "hush" || !strings.Contains(signedHeaders(s.header.Get("Authorization")), "idempotency-key") {
				r.t.Errorf("%v", s.header)
			}
		})
	}
}

func signedHeaders(authorization string) string {
	_, after, _ := strings.Cut(authorization, "SignedHeaders=")
	names, _, _ := strings.Cut(after, ",")
	return names
}

func TestAPIKeyInAnotherField(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.service(func(s *webhook.Service) {
			s.Auth = webhook.Auth{APIKey: "Bearer hush", APIKeyHeader: "authorization"}
		})
		r.serve = says(400, "hush")
		_, err := w.Process(r.t.Context(), r.mail(1, sample(r.t)))
		if h := r.seen()[0].header; h.Get("Authorization") != "Bearer hush" || h.Get("Webhook-Signature") != "" {
			r.t.Errorf("%v", h)
		}
		if strings.Contains(fmt.Sprint(err), "hush") {
			r.t.Errorf("the error tells the key: %v", err)
		}
	})
}

// All requests about a mail are in one trace, which is the caller's if there is one.
func TestTrace(t *testing.T) {
	inBubble(t, func(r *rig) {
		w := r.service(nil)
		m := r.mail(1, sample(r.t))
		for range 2 {
			if _, err := w.Process(r.t.Context(), m); err != nil {
				r.t.Fatal(err)
			}
		}
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
		if _, err := w.Process(trace.ContextWithSpanContext(r.t.Context(), span), m); err != nil {
			r.t.Fatal(err)
		}
		var got []string
		for _, s := range r.seen() {
			got = append(got, s.header.Get("Traceparent"))
		}
		for _, parent := range got[:2] {
			if !strings.HasPrefix(parent, "00-"+m.ID[:32]+"-") || !strings.HasSuffix(parent, "-01") {
				r.t.Errorf("%s", parent)
			}
		}
		if got[0] == got[1] || got[2] != "00-01000000000000000000000000000000-0200000000000000-00" {
			r.t.Errorf("%v", got)
		}
	})
}

// authority issues certificates.
type authority struct {
	t      *testing.T
	folder string
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, folder: t.TempDir()}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key, a.cert = a.sign(template, "ca")
	return a
}

// sign makes a certificate and writes NAME.pem and NAME.key.
func (a *authority) sign(template *x509.Certificate, name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{a.file(name + ".pem"): {Type: "CERTIFICATE", Bytes: der}, a.file(name + ".key"): {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, cert
}

func (a *authority) file(name string) string { return filepath.Join(a.folder, name) }

func (a *authority) issue(name string, serial int64) tls.Certificate {
	a.t.Helper()
	a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, name)
	pair, err := tls.LoadX509KeyPair(a.file(name+".pem"), a.file(name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// Over TLS on loopback: both sides show a certificate, and ours can be replaced while
// the daemon runs. Without ours, or with an authority that nobody named, there is no
// connection.
func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	var clients []string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		clients = append(clients, q.TLS.PeerCertificates[0].SerialNumber.String())
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusNoContent)
	}))
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue("server", 2)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	defer server.Close()
	url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	a.issue("client", 3)
	ask := func(settings webhook.TLS) (err error) {
		w, err := webhook.New("orders", webhook.Service{URL: url, TLS: settings}, plainParts())
		if err != nil {
			return err
		}
		defer w.Close()
		_, err = w.Process(t.Context(), plainMail())
		return err
	}
	both := webhook.TLS{CAFile: a.file("ca.pem"), CertificateFile: a.file("client.pem"), KeyFile: a.file("client.key")}
	if err := ask(both); err != nil {
		t.Error(err)
	}
	w, err := webhook.New("orders", webhook.Service{URL: url, TLS: both}, plainParts())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for serial := range int64(2) {
		a.issue("client", 10+serial)
		if _, err := w.Process(t.Context(), plainMail()); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(clients, " "); got != "3 10 11" {
		t.Errorf("clients with certificates %s", got)
	}
	for name, settings := range map[string]webhook.TLS{
		"without ours":         {CAFile: both.CAFile},
		"an unknown authority": {CertificateFile: both.CertificateFile, KeyFile: both.KeyFile},
	} {
		if err := ask(settings); class(err) != "transient" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, settings := range map[string]webhook.TLS{
		"tls.ca_file: there is no certificate in": {CAFile: a.file("client.key")},
		"tls.certificate_file:":                   {CertificateFile: a.file("client.pem"), KeyFile: a.file("ca.key")},
		"tls.ca_file: open":                       {CAFile: a.file("nothing")},
		"tls.key_file: a certificate and its private key are set together": {CertificateFile: a.file("client.pem")},
	} {
		if err := ask(settings); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A url that leads to where AWS hands out credentials is not connected to, and its mail
// is not tried again.
func TestMetadataIsNeverAsked(t *testing.T) {
	for _, url := range []string{"http://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://169.254.170.2/v2/credentials"} {
		w, err := webhook.New("orders", webhook.Service{URL: url}, plainParts())
		if err != nil {
			if !strings.Contains(err.Error(), "http is only for loopback and private addresses") {
				t.Errorf("%s: %v", url, err)
			}
			continue
		}
		_, err = w.Process(t.Context(), plainMail())
		w.Close()
		if class(err) != "permanent" || !strings.Contains(err.Error(), "where AWS hands out credentials") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// plainParts are for a webhook outside of a bubble, over the network.
func plainParts() webhook.Parts {
	return webhook.Parts{Links: noLinks{}, Refuser: refusal("No."), Logger: zap.NewNop(), Random: func() float64 { return 0 }}
}

// plainMail is a mail without files.
func plainMail() *email.Message {
	o := email.Object{Bucket: "mails", Key: "inbound/1", ETag: "e"}
	return &email.Message{ID: o.ID(), Object: o, Header: []email.Field{{Name: "From", Value: "a@example.com"}}}
}

// noLinks signs nothing.
type noLinks struct{}

func (noLinks) Presign(context.Context, string, string, string, time.Duration) (string, time.Time, error) {
	return "https://s3.example.com/", time.Now(), nil
}
