package ses

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"inreply/local/query"
)

// Rule is a receipt rule that stores mail in S3.
type Rule struct {
	Name string
	// Recipients are addresses, domains, or, with a leading dot, subdomains; none means all.
	Recipients []string
	// Bucket and KeyPrefix are where mail is stored; Topic, if any, is told of it.
	Bucket, KeyPrefix, Topic string
	// ScanOff turns the checks for spam and viruses off.
	ScanOff bool
	// Disabled rules do nothing.
	Disabled bool
}

// SetRules makes a rule set of these rules, in place of one of that name, and activates it.
func (s *Server) SetRules(ruleSet string, rules ...Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ruleSets[ruleSet] = slices.Clone(rules)
	s.activeRules = ruleSet
}

// Deactivate leaves no rule set active: no mail is taken in.
func (s *Server) Deactivate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.activeRules = ""
}

// Matching lists the rules of the active set that take mail for a recipient, in their order.
func (s *Server) Matching(recipient string) []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Rule
	for _, rule := range s.ruleSets[s.activeRules] {
		if !rule.Disabled && rule.matches(recipient) {
			found = append(found, rule)
		}
	}
	return found
}

func (r Rule) matches(recipient string) bool {
	_, domain, _ := strings.Cut(recipient, "@")
	for _, pattern := range r.Recipients {
		subdomains := strings.HasPrefix(pattern, ".") && strings.HasSuffix(strings.ToLower(domain), strings.ToLower(pattern))
		if subdomains || strings.EqualFold(pattern, recipient) || strings.EqualFold(pattern, domain) {
			return true
		}
	}
	return len(r.Recipients) == 0
}

// The shapes of rules in answers.
type (
	ruleSetShape struct {
		Metadata ruleSetName
		Rules    []ruleShape `xml:"Rules>member"`
	}
	ruleSetName struct {
		Name string
	}
	ruleShape struct {
		Name        string
		Enabled     bool
		TLSPolicy   string     `xml:"TlsPolicy"`
		Recipients  []string   `xml:"Recipients>member"`
		Actions     []actionS3 `xml:"Actions>member"`
		ScanEnabled bool
	}
	actionS3 struct {
		BucketName      string `xml:"S3Action>BucketName"`
		ObjectKeyPrefix string `xml:"S3Action>ObjectKeyPrefix,omitempty"`
		TopicARN        string `xml:"S3Action>TopicArn,omitempty"`
	}
)

// describe shows a rule set. The caller holds the lock.
func (s *Server) describe(name string) (any, error) {
	rules, err := s.ruleSet(name)
	if err != nil {
		return nil, err
	}
	shape := ruleSetShape{Metadata: ruleSetName{name}}
	for _, r := range rules {
		shape.Rules = append(shape.Rules, ruleShape{
			Name: r.Name, Enabled: !r.Disabled, TLSPolicy: "Optional", Recipients: r.Recipients,
			Actions:     []actionS3{{r.Bucket, r.KeyPrefix, r.Topic}},
			ScanEnabled: !r.ScanOff,
		})
	}
	return shape, nil
}

func (s *Server) describeReceiptRuleSet(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.describe(p.Get("RuleSetName"))
}

// describeActiveReceiptRuleSet answers with nothing when no set is active, as on AWS.
func (s *Server) describeActiveReceiptRuleSet(query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.activeRules == "" {
		return nil, nil
	}
	return s.describe(s.activeRules)
}

func (s *Server) listReceiptRuleSets(query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sets []ruleSetName
	for _, name := range slices.SortedFunc(maps.Keys(s.ruleSets), cmp.Compare[string]) {
		sets = append(sets, ruleSetName{name})
	}
	return struct {
		RuleSets []ruleSetName `xml:"RuleSets>member"`
	}{sets}, nil
}
