package ses

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"inreply/local/query"
)

const (
	namespace = "http://ses.amazonaws.com/doc/2010-12-01/"
	// maxRequest holds a mail a good deal over the limit in base64, every byte of that
	// percent-encoded, so that a mail which is too large is refused in AWS's words.
	maxRequest = 64 << 20
)

// operation carries out one call. Its result is encoded as XML.
type operation func(query.Parameters) (result any, err error)

// offered lists the operations by the names of the API.
func (s *Server) offered() map[string]operation {
	return map[string]operation{
		"VerifyEmailIdentity":                    s.verifyEmailIdentity,
		"VerifyDomainIdentity":                   s.verifyDomainIdentity,
		"GetIdentityVerificationAttributes":      s.getIdentityVerificationAttributes,
		"GetIdentityDkimAttributes":              s.getIdentityDkimAttributes,
		"ListIdentities":                         s.listIdentities,
		"DeleteIdentity":                         s.deleteIdentity,
		"GetSendQuota":                           s.getSendQuota,
		"GetSendStatistics":                      s.getSendStatistics,
		"GetAccountSendingEnabled":               s.getAccountSendingEnabled,
		"SendEmail":                              s.sendEmail,
		"SendRawEmail":                           s.sendRawEmail,
		"CreateConfigurationSet":                 s.createConfigurationSet,
		"DescribeConfigurationSet":               s.describeConfigurationSet,
		"ListConfigurationSets":                  s.listConfigurationSets,
		"DeleteConfigurationSet":                 s.deleteConfigurationSet,
		"CreateConfigurationSetEventDestination": s.createEventDestination,
		"UpdateConfigurationSetEventDestination": s.updateEventDestination,
		"DeleteConfigurationSetEventDestination": s.deleteEventDestination,
		"DescribeActiveReceiptRuleSet":           s.describeActiveReceiptRuleSet,
		"DescribeReceiptRuleSet":                 s.describeReceiptRuleSet,
		"ListReceiptRuleSets":                    s.listReceiptRuleSets,
		"CreateReceiptRuleSet":                   s.createReceiptRuleSet,
		"DeleteReceiptRuleSet":                   s.deleteReceiptRuleSet,
		"SetActiveReceiptRuleSet":                s.setActiveReceiptRuleSet,
		"CreateReceiptRule":                      s.createReceiptRule,
		"UpdateReceiptRule":                      s.updateReceiptRule,
		"DeleteReceiptRule":                      s.deleteReceiptRule,
	}
}

// ServeHTTP answers the Query protocol.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	requestID := s.uuid()
	s.mu.Unlock()
	name, result, err := s.call(w, r)
	if err != nil {
		s.log.Debug("ses: call refused", zap.String("operation", name), zap.Error(err))
		err = query.Refuse(w, namespace, requestID, err)
	} else {
		err = query.Write(w, namespace, name, requestID, result)
	}
	if err != nil {
		s.log.Debug("ses: answer not sent", zap.String("operation", name), zap.Error(err))
	}
}

func (s *Server) call(w http.ResponseWriter, r *http.Request) (name string, result any, err error) {
	parameters, err := query.Read(w, r, maxRequest)
	if err != nil {
		return "", nil, &query.Error{Code: "InvalidParameterValue", Message: err.Error()}
	}
	name = parameters.Get("Action")
	call, offered := s.operations[name]
	if !offered {
		return name, nil, query.NotOffered("SES", cmp.Or(name, "a request without Action"))
	}
	result, err = call(parameters)
	return name, result, err
}

func refuse(code, format string, args ...any) *query.Error {
	return &query.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *query.Error {
	return refuse("InvalidParameterValue", format, args...)
}

func (s *Server) getSendQuota(query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return struct {
		Max24HourSend   float64
		MaxSendRate     float64
		SentLast24Hours float64
	}{float64(s.quota.Daily), s.quota.Rate, float64(s.quota.sent(time.Now()))}, nil
}

// getSendStatistics counts in steps of 15 minutes, as on AWS, but with all refused mails in the
// last one.
func (s *Server) getSendStatistics(query.Parameters) (any, error) {
	type point struct {
		Timestamp                                      string
		DeliveryAttempts, Bounces, Complaints, Rejects int
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var points []point
	for _, mail := range s.sent {
		at := mail.At.UTC().Truncate(15 * time.Minute).Format(time.RFC3339)
		if len(points) == 0 || points[len(points)-1].Timestamp != at {
			points = append(points, point{Timestamp: at})
		}
		last := &points[len(points)-1]
		last.DeliveryAttempts += len(mail.Destinations)
		bounces, complaints := mail.counts()
		last.Bounces += bounces
		last.Complaints += complaints
	}
	if s.rejected > 0 {
		if len(points) == 0 {
			points = append(points, point{Timestamp: time.Now().UTC().Truncate(15 * time.Minute).Format(time.RFC3339)})
		}
		points[len(points)-1].Rejects = s.rejected
	}
	return struct {
		SendDataPoints []point `xml:"SendDataPoints>member"`
	}{points}, nil
}

func (s *Server) getAccountSendingEnabled(query.Parameters) (any, error) {
	return struct{ Enabled bool }{true}, nil
}

func (s *Server) createConfigurationSet(p query.Parameters) (any, error) {
	name := p.Get("ConfigurationSet.Name")
	if !legalName(name) {
		return nil, refuse("InvalidConfigurationSet", "Configuration set name contains invalid characters: <%s>.", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.configurationSets[name]; exists {
		return nil, refuse("ConfigurationSetAlreadyExists", "Configuration set <%s> already exists.", name)
	}
	s.configurationSets[name] = nil
	return nil, nil
}

// configurationSet refuses a set that does not exist. The caller holds the lock.
func (s *Server) configurationSet(name string) error {
	if _, exists := s.configurationSets[name]; !exists {
		return refuse("ConfigurationSetDoesNotExist", "Configuration set <%s> does not exist.", name)
	}
	return nil
}

// configurationSetShape is a configuration set in an answer.
type configurationSetShape struct{ Name string }

func (s *Server) describeConfigurationSet(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := p.Get("ConfigurationSetName")
	if err := s.configurationSet(name); err != nil {
		return nil, err
	}
	var shown []destinationShape
	if slices.Contains(p.Strings("ConfigurationSetAttributeNames"), "eventDestinations") {
		shown = s.destinations(name)
	}
	return struct {
		ConfigurationSet  configurationSetShape
		EventDestinations []destinationShape `xml:"EventDestinations>member"`
	}{configurationSetShape{name}, shown}, nil
}

func (s *Server) listConfigurationSets(query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sets []configurationSetShape
	for name := range s.configurationSets {
		sets = append(sets, configurationSetShape{name})
	}
	slices.SortFunc(sets, func(a, b configurationSetShape) int { return cmp.Compare(a.Name, b.Name) })
	return struct {
		ConfigurationSets []configurationSetShape `xml:"ConfigurationSets>member"`
	}{sets}, nil
}

func (s *Server) deleteConfigurationSet(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := p.Get("ConfigurationSetName")
	if err := s.configurationSet(name); err != nil {
		return nil, err
	}
	delete(s.configurationSets, name)
	return nil, nil
}

// legalName tells whether SES takes a name of a configuration set or a tag, or a tag's value.
func legalName(name string) bool {
	legal := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-", r)
	}
	return name != "" && len(name) <= 256 && strings.IndexFunc(name, func(r rune) bool { return !legal(r) }) < 0
}
