package sns

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // SignatureVersion 1 is defined with SHA-1.
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// signer signs envelopes. It makes its key when it is first needed: a world with raw delivery
// only never pays for one.
type signer struct {
	once sync.Once
	key  *rsa.PrivateKey
	pem  []byte
	err  error
}

// sign signs a text: with SHA-1 for version 1, with SHA-256 for version 2.
func (s *signer) sign(version, text string) ([]byte, error) {
	if s.once.Do(s.prepare); s.err != nil {
		return nil, s.err
	}
	if version == "2" {
		hash := sha256.Sum256([]byte(text))
		return rsa.SignPKCS1v15(nil, s.key, crypto.SHA256, hash[:])
	}
	hash := sha1.Sum([]byte(text)) //nolint:gosec // SignatureVersion 1 is defined with SHA-1.
	return rsa.SignPKCS1v15(nil, s.key, crypto.SHA1, hash[:])
}

// certificate is the signing certificate in PEM.
func (s *signer) certificate() ([]byte, error) {
	s.once.Do(s.prepare)
	return s.pem, s.err
}

func (s *signer) prepare() {
	if s.key == nil {
		s.key, s.err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if s.err != nil {
		s.err = fmt.Errorf("make signing key: %w", s.err)
		return
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: "sns.amazonaws.com", Organization: []string{"inreply local SNS"}},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	if err != nil {
		s.err = fmt.Errorf("make signing certificate: %w", err)
		return
	}
	s.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// ServeCertificate shows the certificate of the envelopes' signatures. It belongs at
// [CertificatePath].
func (s *Server) ServeCertificate(w http.ResponseWriter, _ *http.Request) {
	certificate, err := s.signer.certificate()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-pem-file")
	// The caller has gone when this fails; nobody is left to tell.
	_, _ = w.Write(certificate)
}
