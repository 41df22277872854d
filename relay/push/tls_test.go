package push_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"

	"inreply/relay/push"
)

// AWS serves its certificate alone, so what vouches for it is the connection: TLS to
// the host of SNS. Here that host is on this machine, and only the name in its own
// certificate differs.
func TestTheHostOfTheCertificateMustBeSNS(t *testing.T) {
	root := newAuthority(t, nil, "our root")
	stranger := newAuthority(t, nil, "another root")
	const host = "sns.eu-west-1.amazonaws.com"
	for _, c := range []struct {
		name   string
		by     *authority
		host   string
		status int
	}{
		{"it is", root, host, 200},
		{"it is another", root, "example.net", 503},
		{"it only says so", stranger, host, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			served := newSigner(t, "host", c.by, func(cert *x509.Certificate) { cert.DNSNames = []string{c.host} })
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file(r.sns)) }))
			server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{served.cert.Raw}, PrivateKey: served.key}}}
			server.Config.ErrorLog, _ = zap.NewStdLogAt(zap.NewNop(), zap.DebugLevel)
			server.StartTLS()
			defer server.Close()
			roots := x509.NewCertPool()
			roots.AddCert(root.cert)
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
				DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
					return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
				},
			}
			var err error
			r.door, err = push.New(r.config, push.Parts{Taker: r.taker, Client: &http.Client{Transport: transport}, Logger: zap.NewNop()})
			if err != nil {
				t.Fatal(err)
			}
			if status, said := r.deliver(r.sns.sign(t, notification(notice))); status != c.status {
				t.Errorf("%d %s", status, said)
			}
		})
	}
}
