package ses

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"inreply/local/query"
)

// Verify makes an identity, an address or a domain, one that may send. A domain stands for all
// its addresses and subdomains.
func (s *Server) Verify(identity string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.verify(identity)
}

// verify returns the token that would go into the domain's DNS. The caller holds the lock.
func (s *Server) verify(identity string) (token string) {
	identity = normal(identity)
	if token, verified := s.identities[identity]; verified {
		return token
	}
	s.identities[identity] = base64.StdEncoding.EncodeToString(s.random(32))
	return s.identities[identity]
}

// normal lower-cases the domain; before the @, case matters.
func normal(identity string) string {
	local, domain, address := strings.Cut(identity, "@")
	if !address {
		return strings.ToLower(identity)
	}
	return local + "@" + strings.ToLower(domain)
}

// verified tells whether an address, or its domain, or a domain above that, was verified. The
// caller holds the lock.
func (s *Server) verified(address string) bool {
	address = normal(address)
	if _, found := s.identities[address]; found {
		return true
	}
	_, domain, _ := strings.Cut(address, "@")
	for domain != "" {
		if _, found := s.identities[domain]; found {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}

// checkVerified refuses addresses that may not send. The caller holds the lock.
func (s *Server) checkVerified(addresses []string) error {
	var failed []string
	for _, address := range addresses {
		if !s.verified(address) && !slices.Contains(failed, address) {
			failed = append(failed, address)
		}
	}
	if failed == nil {
		return nil
	}
	s.rejected++
	return refuse("MessageRejected", "Email address is not verified. The following identities failed the check in region %s: %s",
		strings.ToUpper(s.region), strings.Join(failed, ", "))
}

func (s *Server) verifyEmailIdentity(p query.Parameters) (any, error) {
	address := p.Get("EmailAddress")
	if !strings.Contains(address, "@") {
		return nil, invalid("Invalid email address<%s>.", address)
	}
	s.Verify(address)
	return nil, nil
}

func (s *Server) verifyDomainIdentity(p query.Parameters) (any, error) {
	domain := p.Get("Domain")
	if domain == "" || strings.ContainsAny(domain, "@ /") || !strings.Contains(domain, ".") {
		return nil, invalid("Invalid domain name %s.", domain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return struct{ VerificationToken string }{s.verify(domain)}, nil
}

func (s *Server) getIdentityVerificationAttributes(p query.Parameters) (any, error) {
	type attributes struct {
		VerificationStatus string
		VerificationToken  string `xml:",omitempty"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found query.Entries
	for _, identity := range p.Strings("Identities") {
		token, verified := s.identities[normal(identity)]
		if !verified {
			continue
		}
		if strings.Contains(identity, "@") {
			token = ""
		}
		found.Entry = append(found.Entry, query.Entry{Key: identity, Value: attributes{"Success", token}})
	}
	return struct{ VerificationAttributes query.Entries }{found}, nil
}

// getIdentityDkimAttributes says of every verified domain that its mail is signed.
func (s *Server) getIdentityDkimAttributes(p query.Parameters) (any, error) {
	type attributes struct {
		DkimEnabled            bool
		DkimVerificationStatus string
		DkimTokens             []string `xml:"DkimTokens>member"`
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var found query.Entries
	for _, identity := range p.Strings("Identities") {
		state := attributes{DkimVerificationStatus: "NotStarted"}
		if token, verified := s.identities[normal(identity)]; verified && !strings.Contains(identity, "@") {
			state = attributes{DkimEnabled: true, DkimVerificationStatus: "Success", DkimTokens: dkimTokens(token)}
		}
		found.Entry = append(found.Entry, query.Entry{Key: identity, Value: state})
	}
	return struct{ DkimAttributes query.Entries }{found}, nil
}

// dkimTokens are the names of a domain's three keys.
func dkimTokens(token string) []string {
	var tokens []string
	for i := range 3 {
		hash := sha256.Sum256(fmt.Appendf(nil, "%s %d", token, i))
		tokens = append(tokens, hex.EncodeToString(hash[:16]))
	}
	return tokens
}

func (s *Server) listIdentities(p query.Parameters) (any, error) {
	kind := p.Get("IdentityType")
	s.mu.Lock()
	defer s.mu.Unlock()
	var identities []string
	for identity := range s.identities {
		address := strings.Contains(identity, "@")
		if kind == "" || address == (kind == "EmailAddress") {
			identities = append(identities, identity)
		}
	}
	slices.Sort(identities)
	return struct {
		Identities []string `xml:"Identities>member"`
	}{identities}, nil
}

// deleteIdentity succeeds for an identity that does not exist, as on AWS.
func (s *Server) deleteIdentity(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.identities, normal(p.Get("Identity")))
	return nil, nil
}
