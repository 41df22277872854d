package ses_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/ses"
)

func decoded(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	if encoding == "base64" {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestIdentities(t *testing.T) {
	r := newRig(ses.Config{})
	ctx := context.Background()
	if _, err := r.VerifyEmailIdentity(ctx, &awsses.VerifyEmailIdentityInput{EmailAddress: aws.String("v@other.example")}); err != nil {
		t.Fatal(err)
	}
	domain, err := r.VerifyDomainIdentity(ctx, &awsses.VerifyDomainIdentityInput{Domain: aws.String("third.example")})
	if err != nil || *domain.VerificationToken == "" {
		t.Fatalf("%v, %v", domain, err)
	}
	asked := []string{"v@other.example", "third.example", "none.example"}
	state, err := r.GetIdentityVerificationAttributes(ctx, &awsses.GetIdentityVerificationAttributesInput{Identities: asked})
	if err != nil || len(state.VerificationAttributes) != 2 || state.VerificationAttributes["v@other.example"].VerificationStatus != types.VerificationStatusSuccess ||
		*state.VerificationAttributes["third.example"].VerificationToken != *domain.VerificationToken {
		t.Errorf("%v, %v", state, err)
	}
	dkim, err := r.GetIdentityDkimAttributes(ctx, &awsses.GetIdentityDkimAttributesInput{Identities: asked})
	if err != nil || !dkim.DkimAttributes["third.example"].DkimEnabled || len(dkim.DkimAttributes["third.example"].DkimTokens) != 3 ||
		dkim.DkimAttributes["none.example"].DkimVerificationStatus != types.VerificationStatusNotStarted {
		t.Errorf("%v, %v", dkim, err)
	}
	for kind, want := range map[types.IdentityType][]string{
		"": {"example.com", "third.example", "v@other.example"}, types.IdentityTypeDomain: {"example.com", "third.example"}, types.IdentityTypeEmailAddress: {"v@other.example"},
	} {
		list, err := r.ListIdentities(ctx, &awsses.ListIdentitiesInput{IdentityType: kind})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, list.Identities); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
	if _, err := r.DeleteIdentity(ctx, &awsses.DeleteIdentityInput{Identity: aws.String("third.example")}); err != nil {
		t.Fatal(err)
	}
	_, err = r.send("From: a@third.example\r\nTo: b@example.org\r\n\r\nx")
	wantRefusal(t, err, "MessageRejected", "")
	_, err = r.VerifyEmailIdentity(ctx, &awsses.VerifyEmailIdentityInput{EmailAddress: aws.String("example.com")})
	wantRefusal(t, err, "InvalidParameterValue", "")
	_, err = r.VerifyDomainIdentity(ctx, &awsses.VerifyDomainIdentityInput{Domain: aws.String("a@example.com")})
	wantRefusal(t, err, "InvalidParameterValue", "")
}

func TestWhoMaySend(t *testing.T) {
	r := newRig(ses.Config{})
	r.server.Verify("only.me@other.example")
	for from, may := range map[string]bool{
		"a@example.com": true, "a@EXAMPLE.COM": true, "a@sub.example.com": true, "a@example.com.evil.test": false,
		"only.me@other.example": true, "only.me@Other.Example": true, "you@other.example": false, "Only.Me@other.example": false,
	} {
		_, err := r.send("From: " + from + "\r\nTo: b@example.org\r\n\r\nx")
		if (err == nil) != may {
			t.Errorf("%s: %v", from, err)
		}
	}
	_, err := r.send("From: a@example.com\r\nSender: you@other.example\r\nTo: b@example.org\r\n\r\nx")
	wantRefusal(t, err, "MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: you@other.example")
}

func TestConfigurationSets(t *testing.T) {
	r := newRig(ses.Config{})
	ctx := context.Background()
	set := &awsses.CreateConfigurationSetInput{ConfigurationSet: &types.ConfigurationSet{Name: aws.String("b")}}
	if _, err := r.CreateConfigurationSet(ctx, set); err != nil {
		t.Fatal(err)
	}
	_, err := r.CreateConfigurationSet(ctx, set)
	if _, ok := errors.AsType[*types.ConfigurationSetAlreadyExistsException](err); !ok {
		t.Errorf("made again: %v", err)
	}
	set.ConfigurationSet.Name = aws.String("a b")
	_, err = r.CreateConfigurationSet(ctx, set)
	wantRefusal(t, err, "InvalidConfigurationSet", "")
	described, err := r.DescribeConfigurationSet(ctx, &awsses.DescribeConfigurationSetInput{ConfigurationSetName: aws.String("b")})
	if err != nil || *described.ConfigurationSet.Name != "b" {
		t.Errorf("%v, %v", described, err)
	}
	if list, err := r.ListConfigurationSets(ctx, &awsses.ListConfigurationSetsInput{}); err != nil || len(list.ConfigurationSets) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := r.DeleteConfigurationSet(ctx, &awsses.DeleteConfigurationSetInput{ConfigurationSetName: aws.String("b")}); err != nil {
		t.Error(err)
	}
	_, err = r.DescribeConfigurationSet(ctx, &awsses.DescribeConfigurationSetInput{ConfigurationSetName: aws.String("b")})
	wantRefusal(t, err, "ConfigurationSetDoesNotExist", "Configuration set <b> does not exist.")
}

func TestReceiptRules(t *testing.T) {
	r := newRig(ses.Config{})
	ctx := context.Background()
	active, err := r.DescribeActiveReceiptRuleSet(ctx, &awsses.DescribeActiveReceiptRuleSetInput{})
	if err != nil || active.Metadata != nil {
		t.Errorf("no set is active: %v, %v", active, err)
	}
	r.server.SetRules("inbound",
		ses.Rule{Name: "support", Recipients: []string{"support@example.com", "sub.example.com", ".deep.example.com"}, Bucket: "mail", KeyPrefix: "in/", Topic: "arn:aws:sns:us-east-1:0:t"},
		ses.Rule{Name: "off", Disabled: true},
		ses.Rule{Name: "rest", Bucket: "mail", ScanOff: true})
	active, err = r.DescribeActiveReceiptRuleSet(ctx, &awsses.DescribeActiveReceiptRuleSetInput{})
	if err != nil || *active.Metadata.Name != "inbound" || len(active.Rules) != 3 {
		t.Fatalf("%v, %v", active, err)
	}
	rule := active.Rules[0]
	action := rule.Actions[0].S3Action
	if !rule.Enabled || !rule.ScanEnabled || len(rule.Recipients) != 3 || *action.BucketName != "mail" || *action.ObjectKeyPrefix != "in/" || *action.TopicArn == "" {
		t.Errorf("rule %v", rule)
	}
	if active.Rules[1].Enabled || active.Rules[2].ScanEnabled {
		t.Errorf("rules %v", active.Rules)
	}
	_, err = r.DescribeReceiptRuleSet(ctx, &awsses.DescribeReceiptRuleSetInput{RuleSetName: aws.String("none")})
	wantRefusal(t, err, "RuleSetDoesNotExist", "Rule set does not exist: none")
	if list, err := r.ListReceiptRuleSets(ctx, &awsses.ListReceiptRuleSetsInput{}); err != nil || len(list.RuleSets) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	for recipient, want := range map[string]string{
		"Support@example.com": "support rest", "other@example.com": "rest", "x@sub.example.com": "support rest", "x@a.deep.example.com": "support rest", "x@deep.example.com": "rest",
	} {
		var names []string
		for _, rule := range r.server.Matching(recipient) {
			names = append(names, rule.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", recipient, got, want)
		}
	}
}

func TestWhatIsNotOfferedSaysSo(t *testing.T) {
	r := newRig(ses.Config{})
	_, err := r.ListTemplates(context.Background(), &awsses.ListTemplatesInput{})
	wantRefusal(t, err, "NotImplemented", "the local SES does not offer ListTemplates")
	if out, err := r.GetAccountSendingEnabled(context.Background(), &awsses.GetAccountSendingEnabledInput{}); err != nil || !out.Enabled {
		t.Errorf("%v, %v", out, err)
	}
}
