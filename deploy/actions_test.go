package deploy

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// permissions are the IAM actions that an operation of the SDK needs, from the
// tables of each service in AWS's Service Authorization Reference.
func permissions() map[string][]string {
	return map[string][]string{
		"sqs.GetQueueUrl":                  {"sqs:GetQueueUrl"},
		"sqs.GetQueueAttributes":           {"sqs:GetQueueAttributes"},
		"sqs.ReceiveMessage":               {"sqs:ReceiveMessage"},
		"sqs.SendMessageBatch":             {"sqs:SendMessage"},
		"sqs.DeleteMessageBatch":           {"sqs:DeleteMessage"},
		"sqs.ChangeMessageVisibilityBatch": {"sqs:ChangeMessageVisibility"},
		"sns.PublishBatch":                 {"sns:Publish"},
		// A version by its id is another action, and a key that is not there is 403
		// for whom may not list the bucket.
		"s3.GetObject":     {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"},
		"s3.HeadObject":    {"s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket"},
		"s3.PutObject":     {"s3:PutObject"},
		"s3.ListObjectsV2": {"s3:ListBucket"},
		"ses.SendRawEmail": {"ses:SendRawEmail"},
		"ses.GetSendQuota": {"ses:GetSendQuota"},

		"s3.HeadBucket":                         {"s3:ListBucket"},
		"s3.GetBucketPolicy":                    {"s3:GetBucketPolicy"},
		"s3.GetBucketNotificationConfiguration": {"s3:GetBucketNotification"},
		"s3.GetBucketLifecycleConfiguration":    {"s3:GetLifecycleConfiguration"},
		"sns.GetTopicAttributes":                {"sns:GetTopicAttributes"},
		"sns.ListSubscriptionsByTopic":          {"sns:ListSubscriptionsByTopic"},
		"sns.GetSubscriptionAttributes":         {"sns:GetSubscriptionAttributes"},
		"ses.DescribeActiveReceiptRuleSet":      {"ses:DescribeActiveReceiptRuleSet"},
		"ses.GetAccountSendingEnabled":          {"ses:GetAccountSendingEnabled"},
		"ses.GetIdentityDkimAttributes":         {"ses:GetIdentityDkimAttributes"},
		"ses.GetIdentityVerificationAttributes": {"ses:GetIdentityVerificationAttributes"},
		"sts.GetCallerIdentity":                 nil, // nobody can be forbidden to
	}
}

// needed are the IAM actions that operations need.
func needed(t *testing.T, operations []string) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, operation := range operations {
		actions, known := permissions()[operation]
		if !known {
			t.Errorf("%s: which IAM actions does it need? Write it down above, and into the template", operation)
		}
		for _, action := range actions {
			all[action] = true
		}
	}
	return all
}

// granted are the actions of statements whose Sid is chosen.
func granted(document any, chosen func(sid string) bool) map[string]bool {
	all := map[string]bool{}
	for _, statement := range list(at(document, "Statement")) {
		if !chosen(get(statement, "Sid")) {
			continue
		}
		for _, action := range texts(at(statement, "Action")) {
			all[action] = true
		}
	}
	return all
}

func every(string) bool { return true }

// same holds what is needed against what is granted.
func same(t *testing.T, who string, needed, granted map[string]bool) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(granted))); diff != "" || len(granted) == 0 {
		t.Errorf("actions (-%s needs +the template allows):\n%s", who, diff)
	}
}

// The role may do what the daemon asks for, and nothing else.
func TestTaskRole(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the source")
	}
	operations := compile(t).asked(t, "NewClients", "New", "Daemon.Run", "Daemon.Alive", "Daemon.Ready")
	role := at(opened(t, nil).properties("TaskRole"), "Policies", "0", "PolicyDocument")
	same(t, "the daemon", needed(t, operations), granted(role, every))
	if len(operations) < 10 {
		t.Errorf("only these calls were found: %v", operations)
	}
}

// The operator may do what each command asks for, and nothing else; so may somebody
// who has only that command's statements.
func TestOperatorPolicy(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the source")
	}
	source := compile(t)
	document := at(opened(t, nil).properties("OperatorPolicy"), "PolicyDocument")
	checks := source.asked(t, "Check")
	writes := []string{"s3.PutObject"}
	for command, c := range map[string]struct {
		calls  []string
		chosen func(sid string) bool
	}{
		"--check":       {without(checks, writes...), func(sid string) bool { return strings.HasPrefix(sid, "Check") && sid != "CheckWrite" }},
		"--check=write": {checks, func(sid string) bool { return strings.HasPrefix(sid, "Check") }},
		"--redrive": {source.asked(t, "Redrive"), func(sid string) bool {
			return strings.HasPrefix(sid, "Redrive") && !strings.HasPrefix(sid, "RedriveIntake")
		}},
		"--redrive-intake": {source.asked(t, "Redrive"), func(sid string) bool { return strings.HasPrefix(sid, "RedriveIntake") }},
		// It puts a mailer together, to know which routes take what, and asks SES nothing.
		"--rerun": {without(source.asked(t, "Rerun"), "ses.GetSendQuota"), func(sid string) bool { return strings.HasPrefix(sid, "Rerun") }},
	} {
		same(t, command, needed(t, c.calls), granted(document, c.chosen))
	}
}

func without(all []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}

// The manual says of each action of the role why it has it, and of none that it has not.
func TestTheManualExplainsTheTaskRole(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Permissions\n")
	section, _, _ = strings.Cut(section, "\n## ")
	explained := map[string]bool{}
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		service := "" // said once in a cell
		for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
			if of, action, whole := strings.Cut(found[1], ":"); whole {
				service = of
				explained[of+":"+action] = true
			} else {
				explained[service+":"+found[1]] = true
			}
		}
	}
	role := at(opened(t, nil).properties("TaskRole"), "Policies", "0", "PolicyDocument")
	if diff := cmp.Diff(granted(role, every), explained); diff != "" {
		t.Errorf("-the template allows +docs/security.md explains:\n%s", diff)
	}
}

// What the manual prints is what the template makes.
func TestTheManualPrintsTheOperatorPolicy(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "\n    {\n")
	text, _, _ := strings.Cut("    {\n"+after, "\n    }\n")
	var printed any
	if err := json.Unmarshal([]byte(text+"}"), &printed); !found || err != nil {
		t.Fatalf("there is no JSON: %v", err)
	}
	if diff := cmp.Diff(opened(t, nil).properties("OperatorPolicy").(map[string]any)["PolicyDocument"], printed); diff != "" {
		t.Errorf("-the template makes +docs/security.md prints:\n%s", diff)
	}
}

// The queue of each statement is the one that it is about.
func TestAnOperatorTakesFromDeadLettersOnly(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		for _, statement := range list(at(s.properties("OperatorPolicy"), "PolicyDocument", "Statement")) {
			sid := get(statement, "Sid")
			for _, action := range texts(at(statement, "Action")) {
				for _, resource := range texts(at(statement, "Resource")) {
					dead := strings.Contains(resource, "-dead")
					if slices.Contains([]string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}, action) && !dead || action == "sqs:SendMessage" && dead {
						t.Errorf("%s: %s on %s", sid, action, resource)
					}
					if resource == "*" && sid != "CheckSes" {
						t.Errorf("%s: %s on everything", sid, action)
					}
				}
			}
		}
	})
}
