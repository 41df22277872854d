package ses

import (
	"slices"

	"inreply/local/query"
)

// Rule sets are made and changed here as over SES's API. Of the actions that a rule may have,
// only S3 does something here, so a rule must have it, and may have nothing else.
// https://docs.aws.amazon.com/ses/latest/APIReference/API_CreateReceiptRule.html.

func (s *Server) createReceiptRuleSet(p query.Parameters) (any, error) {
	name := p.Get("RuleSetName")
	if !legalName(name) {
		return nil, invalid("Invalid rule set name <%s>: only alphanumeric ASCII characters, '_', and '-' are allowed.", name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, exists := s.ruleSets[name]; exists {
		return nil, refuse("AlreadyExists", "Rule set already exists: %s", name)
	}
	s.ruleSets[name] = nil
	return nil, nil
}

// deleteReceiptRuleSet succeeds for a set that is not there, as on AWS.
func (s *Server) deleteReceiptRuleSet(p query.Parameters) (any, error) {
	name := p.Get("RuleSetName")
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == s.activeRules && name != "" {
		return nil, refuse("CannotDelete", "Cannot delete active rule set: %s", name)
	}
	delete(s.ruleSets, name)
	return nil, nil
}

// setActiveReceiptRuleSet activates a set, or without a name none.
func (s *Server) setActiveReceiptRuleSet(p query.Parameters) (any, error) {
	name := p.Get("RuleSetName")
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.ruleSet(name); err != nil && name != "" {
		return nil, err
	}
	s.activeRules = name
	return nil, nil
}

func (s *Server) createReceiptRule(p query.Parameters) (any, error) {
	rule, err := readRule(p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	set := p.Get("RuleSetName")
	rules, err := s.ruleSet(set)
	if err != nil {
		return nil, err
	}
	if place(rules, rule.Name) >= 0 {
		return nil, refuse("AlreadyExists", "Rule already exists: %s", rule.Name)
	}
	at := 0 // without After, a new rule is the first
	if after := p.Get("After"); after != "" {
		if at = place(rules, after) + 1; at == 0 {
			return nil, refuse("RuleDoesNotExist", "Rule does not exist: %s", after)
		}
	}
	s.ruleSets[set] = slices.Insert(rules, at, rule)
	return nil, nil
}

func (s *Server) updateReceiptRule(p query.Parameters) (any, error) {
	rule, err := readRule(p)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rules, err := s.ruleSet(p.Get("RuleSetName"))
	if err != nil {
		return nil, err
	}
	at := place(rules, rule.Name)
	if at < 0 {
		return nil, refuse("RuleDoesNotExist", "Rule does not exist: %s", rule.Name)
	}
	rules[at] = rule
	return nil, nil
}

// deleteReceiptRule succeeds for a rule that is not there, as on AWS.
func (s *Server) deleteReceiptRule(p query.Parameters) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := p.Get("RuleSetName")
	rules, err := s.ruleSet(set)
	if err != nil {
		return nil, err
	}
	if at := place(rules, p.Get("RuleName")); at >= 0 {
		s.ruleSets[set] = slices.Delete(rules, at, at+1)
	}
	return nil, nil
}

// ruleSet finds the rules of a set. The caller holds the lock.
func (s *Server) ruleSet(name string) ([]Rule, error) {
	rules, exists := s.ruleSets[name]
	if !exists {
		return nil, refuse("RuleSetDoesNotExist", "Rule set does not exist: %s", name)
	}
	return rules, nil
}

// place is the index of the rule of a name, or -1.
func place(rules []Rule, name string) int {
	return slices.IndexFunc(rules, func(r Rule) bool { return r.Name == name })
}

func readRule(p query.Parameters) (Rule, error) {
	rule := Rule{
		Name: p.Get("Rule.Name"), Recipients: p.Strings("Rule.Recipients"),
		ScanOff: p.Get("Rule.ScanEnabled") != "true", Disabled: p.Get("Rule.Enabled") != "true",
	}
	if !legalName(rule.Name) {
		return Rule{}, invalid("Invalid rule name <%s>: only alphanumeric ASCII characters, '_', and '-' are allowed.", rule.Name)
	}
	actions := p.Structures("Rule.Actions", "member")
	if len(actions) != 1 || actions[0].Get("S3Action.BucketName") == "" {
		return Rule{}, invalid("Not offered here: a rule must have one action, and that must be an S3Action with a BucketName.")
	}
	rule.Bucket = actions[0].Get("S3Action.BucketName")
	rule.KeyPrefix, rule.Topic = actions[0].Get("S3Action.ObjectKeyPrefix"), actions[0].Get("S3Action.TopicArn")
	return rule, nil
}
