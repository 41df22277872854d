package deploy

import (
	"maps"
	"slices"
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
	}
}

// The role may do what the daemon asks for, and nothing else.
func TestTaskRole(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the source")
	}
	operations := compile(t).asked(t, "NewClients", "New", "Daemon.Run", "Daemon.Alive", "Daemon.Ready")
	needed := map[string]bool{}
	for _, operation := range operations {
		actions, known := permissions()[operation]
		if !known {
			t.Errorf("%s: which IAM actions does it need? Write it down above, and into TaskRole", operation)
		}
		for _, action := range actions {
			needed[action] = true
		}
	}
	granted := map[string]bool{}
	for _, policy := range list(at(opened(t, nil).properties("TaskRole"), "Policies")) {
		for _, statement := range list(at(policy, "PolicyDocument", "Statement")) {
			for _, action := range texts(at(statement, "Action")) {
				granted[action] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(needed)), slices.Sorted(maps.Keys(granted))); diff != "" {
		t.Errorf("actions (-the daemon needs +TaskRole allows):\n%s\nit calls %v", diff, operations)
	}
	if len(operations) < 10 {
		t.Errorf("only these calls were found: %v", operations)
	}
}
