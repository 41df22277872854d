package ses_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"

	"inreply/local/ses"
)

func storeRule(name, prefix string, recipients ...string) *types.ReceiptRule {
	return &types.ReceiptRule{
		Name: &name, Enabled: true, ScanEnabled: true, Recipients: recipients,
		Actions: []types.ReceiptAction{{S3Action: &types.S3Action{BucketName: aws.String("mails"), ObjectKeyPrefix: &prefix}}},
	}
}

// names lists the rules that take mail for a recipient.
func names(s *ses.Server, recipient string) (found []string) {
	for _, r := range s.Matching(recipient) {
		found = append(found, r.Name+" "+r.Bucket+"/"+r.KeyPrefix)
	}
	return found
}

// wantRules compares the rules that take mail for user@example.com.
func (r rig) wantRules(t *testing.T, want ...string) {
	t.Helper()
	got := names(r.server, "user@example.com")
	if len(got) != len(want) {
		t.Fatalf("rules %q, want %q", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("rules %q, want %q", got, want)
		}
	}
}

func TestRuleSetsOverTheAPI(t *testing.T) {
	r := newRig(ses.Config{})
	set := aws.String("inbound")
	create := func(rule *types.ReceiptRule, after *string) error {
		_, err := r.CreateReceiptRule(t.Context(), &awsses.CreateReceiptRuleInput{RuleSetName: set, Rule: rule, After: after})
		return err
	}
	activate := func(name *string) error {
		_, err := r.SetActiveReceiptRuleSet(t.Context(), &awsses.SetActiveReceiptRuleSetInput{RuleSetName: name})
		return err
	}
	makeSet := func() error {
		_, err := r.CreateReceiptRuleSet(t.Context(), &awsses.CreateReceiptRuleSetInput{RuleSetName: set})
		return err
	}
	wantRefusal(t, create(storeRule("all", "in/"), nil), "RuleSetDoesNotExist", "Rule set does not exist: inbound")
	wantRefusal(t, activate(set), "RuleSetDoesNotExist", "")
	must(t, makeSet())
	wantRefusal(t, makeSet(), "AlreadyExists", "Rule set already exists: inbound")
	must(t, create(storeRule("all", "in/"), nil))
	wantRefusal(t, create(storeRule("all", "in/"), nil), "AlreadyExists", "Rule already exists: all")
	r.wantRules(t) // none is active yet
	must(t, activate(set))
	r.wantRules(t, "all mails/in/")

	// A new rule comes first, or after the one that it names.
	must(t, create(storeRule("first", "first/"), nil))
	must(t, create(storeRule("second", "second/"), aws.String("first")))
	must(t, create(storeRule("others", "others/", "example.org"), nil))
	r.wantRules(t, "first mails/first/", "second mails/second/", "all mails/in/")
	wantRefusal(t, create(storeRule("x", "x/"), aws.String("none")), "RuleDoesNotExist", "Rule does not exist: none")

	_, err := r.UpdateReceiptRule(t.Context(), &awsses.UpdateReceiptRuleInput{RuleSetName: set, Rule: storeRule("second", "moved/")})
	must(t, err)
	_, err = r.UpdateReceiptRule(t.Context(), &awsses.UpdateReceiptRuleInput{RuleSetName: set, Rule: storeRule("none", "")})
	wantRefusal(t, err, "RuleDoesNotExist", "")
	for range 2 { // the second finds nothing, and that is no fault
		_, err = r.DeleteReceiptRule(t.Context(), &awsses.DeleteReceiptRuleInput{RuleSetName: set, RuleName: aws.String("first")})
		must(t, err)
	}
	r.wantRules(t, "second mails/moved/", "all mails/in/")

	_, err = r.DeleteReceiptRuleSet(t.Context(), &awsses.DeleteReceiptRuleSetInput{RuleSetName: set})
	wantRefusal(t, err, "CannotDelete", "")
	must(t, activate(nil))
	r.wantRules(t)
	_, err = r.DeleteReceiptRuleSet(t.Context(), &awsses.DeleteReceiptRuleSetInput{RuleSetName: set})
	must(t, err)
	must(t, makeSet())
}

// A rule that could do nothing here is refused, not forgotten.
func TestRulesThatAreNotOffered(t *testing.T) {
	r := newRig(ses.Config{})
	_, err := r.CreateReceiptRuleSet(t.Context(), &awsses.CreateReceiptRuleSetInput{RuleSetName: aws.String("inbound")})
	must(t, err)
	for name, actions := range map[string][]types.ReceiptAction{
		"none": {},
		"stop": {{StopAction: &types.StopAction{Scope: types.StopScopeRuleSet}}},
		"two":  append(storeRule("", "a/").Actions, storeRule("", "b/").Actions...),
	} {
		rule := storeRule(name, "")
		rule.Actions = actions
		_, err := r.CreateReceiptRule(t.Context(), &awsses.CreateReceiptRuleInput{RuleSetName: aws.String("inbound"), Rule: rule})
		wantRefusal(t, err, "InvalidParameterValue", "")
	}
	_, err = r.CreateReceiptRule(t.Context(), &awsses.CreateReceiptRuleInput{RuleSetName: aws.String("inbound"), Rule: storeRule("no name", "")})
	wantRefusal(t, err, "InvalidParameterValue", "")
	_, err = r.CreateReceiptRuleSet(t.Context(), &awsses.CreateReceiptRuleSetInput{RuleSetName: aws.String("no name")})
	wantRefusal(t, err, "InvalidParameterValue", "")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
