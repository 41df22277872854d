package check

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// storing is a receipt rule that stores mail.
type storing struct {
	place
	arn string // of the rule
}

// storable checks that the bucket's policy lets SES store there what a rule takes in
// ("Giving permissions to Amazon SES for email receiving" in the SES developer
// guide). A rule is refused without that when it is made, and nobody asks again when
// the policy is replaced.
func (c *checker) storable(ctx context.Context, r storing) {
	about := "policy of " + r.bucket
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.S3.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &r.bucket})
	there := policy{Version: "2012-10-17"}
	switch {
	case err == nil:
		if err := json.Unmarshal([]byte(aws.ToString(out.Policy)), &there); err != nil {
			c.wrong(about, "it cannot be read: "+err.Error(), "look at it", "aws s3api get-bucket-policy --bucket "+r.bucket)
			return
		}
	case codeOf(err) != "NoSuchBucketPolicy":
		c.failed(about, "s3:GetBucketPolicy", err)
		return
	}
	for _, raw := range there.Statement {
		var s statement
		if json.Unmarshal(raw, &s) == nil && s.lets(r, c.partition, c.account) {
			c.ok(about, "it lets SES store mail under %q", r.prefix)
			return
		}
	}
	c.wrong(about, fmt.Sprintf("no statement lets SES store mail under %q", r.prefix), "add one; the command keeps those that are there",
		"aws s3api put-bucket-policy --bucket "+r.bucket+" --policy "+quoted(there.with(r, c.partition, c.account)))
}

// policy is a bucket's, as far as it matters here.
type policy struct {
	Version   string
	ID        string `json:"Id,omitempty"`
	Statement several[json.RawMessage]
}

// several is a list, or the one value that stands in place of one.
type several[T any] []T

func (s *several[T]) UnmarshalJSON(text []byte) error {
	if bytes.HasPrefix(text, []byte("[")) {
		return json.Unmarshal(text, (*[]T)(s))
	}
	var one T
	err := json.Unmarshal(text, &one)
	*s = several[T]{one}
	return err
}

// statement is one of a policy's.
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    several[string]
	Resource  several[string]
	Condition map[string]map[string]several[any]
}

// lets reports whether a statement lets SES put a mail where a rule stores it.
func (s statement) lets(r storing, partition, account string) bool {
	// A key as SES makes them.
	key := "arn:" + partition + ":s3:::" + r.bucket + "/" + r.prefix + "j56obpjsplu24crluu5q2452n8rkdtfqglfhle8u"
	return s.Effect == "Allow" && s.isForSES() &&
		slices.ContainsFunc(s.Action, func(p string) bool { return like(strings.ToLower(p), "s3:putobject") }) &&
		slices.ContainsFunc(s.Resource, func(p string) bool { return like(p, key) }) &&
		s.holds(r, account)
}

func (s statement) isForSES() bool {
	var everybody string
	if json.Unmarshal(s.Principal, &everybody) == nil {
		return everybody == "*"
	}
	var named map[string]several[string]
	return json.Unmarshal(s.Principal, &named) == nil &&
		(slices.Contains(named["Service"], "ses.amazonaws.com") || slices.Contains(named["AWS"], "*"))
}

// holds reports whether the conditions let in what comes from a rule of ours. What is
// not known of a condition, or of us, is taken to hold.
func (s statement) holds(r storing, account string) bool {
	for operator, keys := range s.Condition {
		for key, values := range keys {
			comes := map[string]string{"aws:sourceaccount": account, "aws:referer": account, "aws:sourcearn": r.arn}[strings.ToLower(key)]
			patterns := strings.Contains(operator, "Like") || strings.HasPrefix(operator, "Arn")
			if account == "" || comes == "" || !patterns && !strings.HasPrefix(operator, "StringEquals") || strings.Contains(operator, "Not") {
				continue
			}
			if !slices.ContainsFunc(values, func(v any) bool { t := fmt.Sprint(v); return t == comes || patterns && like(t, comes) }) {
				return false
			}
		}
	}
	return true
}

// like reports whether a text is as a pattern of IAM has it: * is anything, ? one
// character.
func like(pattern, text string) bool {
	expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(pattern))
	matched, err := regexp.MatchString("(?s)^"+expression+"$", text)
	return err == nil && matched
}

// with is a policy with the statement beside those that are there, which the template
// has for a bucket of its own.
func (p policy) with(r storing, partition, account string) string {
	type principal struct{ Service string }
	type condition struct {
		StringEquals struct {
			Account string `json:"aws:SourceAccount"`
			Rule    string `json:"aws:SourceArn"`
		}
	}
	ours := struct {
		Sid       string
		Effect    string
		Principal principal
		Action    string
		Resource  string
		Condition condition
	}{
		Sid: "OurReceiptRuleStoresMail", Effect: "Allow", Principal: principal{"ses.amazonaws.com"}, Action: "s3:PutObject",
		Resource: "arn:" + partition + ":s3:::" + r.bucket + "/" + r.prefix + "*",
	}
	ours.Condition.StringEquals.Account, ours.Condition.StringEquals.Rule = cmp.Or(account, "ACCOUNT"), r.arn
	p.Statement = append(slices.Clone(p.Statement), json.RawMessage(oneLine(ours)))
	return oneLine(p)
}

// oneLine is a value as JSON.
func oneLine(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // Texts, and what was JSON before, always encode.
	}
	return strings.TrimSpace(b.String())
}

// quoted is a word of a shell.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
