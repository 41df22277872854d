package check_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"inreply/check"
	localses "inreply/local/ses"
)

// answer is what S3 says.
type answer struct {
	status int
	body   string
}

func noPolicy() answer {
	return answer{http.StatusNotFound, `<Error><Code>NoSuchBucketPolicy</Code><Message>The bucket policy does not exist</Message></Error>`}
}

const (
	tlsOnly = `{"Sid":"TLSOnly","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::inreply-mail","arn:aws:s3:::inreply-mail/*"],"Condition":{"Bool":{"aws:SecureTransport":false}}}`
	byRule  = `"Condition":{"StringEquals":{"aws:SourceAccount":"000000000000","aws:SourceArn":"arn:aws:ses:us-east-1:000000000000:receipt-rule-set/inreply:receipt-rule/store"}}`
	stores  = `{"Sid":"OurReceiptRuleStoresMail","Effect":"Allow","Principal":{"Service":"ses.amazonaws.com"},"Action":"s3:PutObject","Resource":"arn:aws:s3:::inreply-mail/inbound/*",` + byRule + `}`
	// rightPolicy is that of the template.
	rightPolicy = `{"Version":"2012-10-17","Statement":[` + tlsOnly + `,` + stores + `]}`
)

// A policy is read as AWS reads it, and what the check prints is one that it takes.
func TestPolicyOfTheBucket(t *testing.T) {
	const (
		rule   = `"arn:aws:ses:us-east-1:000000000000:receipt-rule-set/inreply:receipt-rule/store"`
		anyKey = `"arn:aws:s3:::inreply-mail/*"`
	)
	ses := func(action, resource, rest string) string {
		return `{"Effect":"Allow","Principal":{"Service":["logs.amazonaws.com","ses.amazonaws.com"]},"Action":` + action + `,"Resource":` + resource + rest + `}`
	}
	put := func(condition string) string { return ses(`"s3:PutObject"`, anyKey, `,"Condition":`+condition) }
	for _, c := range []struct {
		name, statements string
		lets             bool
	}{
		{"the template's", "[" + tlsOnly + "," + stores + "]", true},
		{"a statement that is no list", stores, true},
		{"every action, and lists", "[" + ses(`["s3:GetObject","s3:*"]`, `["arn:aws:s3:::other/*",`+anyKey+`]`, "") + "]", true},
		{"an action in another case", "[" + ses(`"S3:putobject"`, anyKey, "") + "]", true},
		{"everybody", `[{"Effect":"Allow","Principal":"*","Action":"s3:Put*","Resource":` + anyKey + `}]`, true},
		{"the account alone", "[" + put(`{"StringEquals":{"AWS:SourceAccount":["111111111111","000000000000"]}}`) + "]", true},
		{"the account, as it was written before", "[" + put(`{"StringEquals":{"aws:Referer":"000000000000"}}`) + "]", true},
		{"any rule of ours", "[" + put(`{"ArnLike":{"aws:SourceArn":"arn:aws:ses:*:000000000000:receipt-rule-set/*"}}`) + "]", true},
		{"any rule, in ArnEquals, which has patterns too", "[" + put(`{"ArnEquals":{"aws:SourceArn":"arn:aws:ses:*:000000000000:*"}}`) + "]", true},
		{"a condition that nobody knows here", "[" + put(`{"NumericLessThan":{"s3:max-keys":10}}`) + "]", true},

		{"none but a refusal", "[" + tlsOnly + "]", false},
		{"another service", "[" + strings.Replace(stores, "ses.amazonaws.com", "logs.amazonaws.com", 1) + "]", false},
		{"a role", `[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:role/x"},"Action":"s3:*","Resource":` + anyKey + `}]`, false},
		{"another prefix", "[" + strings.Replace(stores, "/inbound/*", "/exports/*", 1) + "]", false},
		{"the bucket without its keys", "[" + ses(`"s3:PutObject"`, `"arn:aws:s3:::inreply-mail"`, "") + "]", false},
		{"another bucket", "[" + strings.Replace(stores, ":::inreply-mail/", ":::inreply-mai?x/", 1) + "]", false},
		{"reading", "[" + ses(`"s3:GetObject"`, anyKey, "") + "]", false},
		{"another account", "[" + put(`{"StringEquals":{"aws:SourceAccount":"111111111111"}}`) + "]", false},
		{"another rule", "[" + put(`{"StringEquals":{"aws:SourceAccount":"000000000000","aws:SourceArn":`+strings.Replace(rule, "/store", "/other", 1)+`}}`) + "]", false},
		{"a pattern where none is read as one", "[" + put(`{"StringEquals":{"aws:SourceArn":"arn:aws:ses:*"}}`) + "]", false},
		{"a statement that is none", `["hello"]`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, localses.Quota{})
			r.aws.policy = answer{http.StatusOK, `{"Version":"2012-10-17","Id":"theirs","Statement":` + c.statements + `}`}
			found, right := r.run()
			wrong := in(found, check.Wrong)
			if right != c.lets || !right && (len(wrong) != 1 || wrong[0].About != "policy of inreply-mail") {
				t.Fatalf("right %v\n%s", right, show(found))
			}
			if right {
				return
			}
			_, printed, _ := strings.Cut(wrong[0].Command, "--policy '")
			printed = strings.TrimSuffix(printed, "'")
			if !json.Valid([]byte(printed)) || !strings.Contains(printed, `"Id":"theirs","Statement":`+strings.TrimSuffix(c.statements, "]")) {
				t.Errorf("what is there is not kept: %s", wrong[0].Command)
			}
			r.aws.policy.body = printed
			if found, right := r.run(); !right {
				t.Errorf("what is printed does not do: %s\n%s", printed, show(found))
			}
		})
	}
}

func TestAPolicyThatCannotBeRead(t *testing.T) {
	r := newRig(t, localses.Quota{})
	r.aws.policy.body = `["no policy"]`
	found, right := r.run()
	if wrong := in(found, check.Wrong); right || len(wrong) != 1 || !strings.Contains(wrong[0].Says, "it cannot be read") {
		t.Errorf("%s", show(found))
	}
}
