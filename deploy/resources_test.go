package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The bucket is encrypted, nobody's but the account's, and refuses whoever comes
// without TLS, whatever he asks of it.
func TestBucketIsClosed(t *testing.T) {
	s := opened(t, nil)
	bucket := s.properties("Bucket")
	if got := get(bucket, "BucketEncryption", "ServerSideEncryptionConfiguration", "0", "ServerSideEncryptionByDefault", "SSEAlgorithm"); got != "AES256" {
		t.Errorf("it is encrypted by %q", got)
	}
	if got := get(bucket, "OwnershipControls", "Rules", "0", "ObjectOwnership"); got != "BucketOwnerEnforced" {
		t.Errorf("objects are owned by %q", got)
	}
	want := map[string]any{"BlockPublicAcls": "true", "BlockPublicPolicy": "true", "IgnorePublicAcls": "true", "RestrictPublicBuckets": "true"}
	if diff := cmp.Diff(want, at(bucket, "PublicAccessBlockConfiguration")); diff != "" {
		t.Errorf("public access:\n%s", diff)
	}
	name := get(bucket, "BucketName")
	for _, statement := range list(at(s.properties("BucketPolicy"), "PolicyDocument", "Statement")) {
		if get(statement, "Effect") != "Deny" {
			continue
		}
		everything := map[string]any{
			"Sid": "TLSOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
			"Resource":  []any{"arn:aws:s3:::" + name, "arn:aws:s3:::" + name + "/*"},
			"Condition": map[string]any{"Bool": map[string]any{"aws:SecureTransport": "false"}},
		}
		if diff := cmp.Diff(everything, statement); diff != "" {
			t.Errorf("who comes without TLS:\n%s", diff)
		}
		return
	}
	t.Error("nobody is refused")
}

// Mails outlive the stack.
func TestBucketIsKept(t *testing.T) {
	bucket := opened(t, nil).resources()["Bucket"]
	if get(bucket, "DeletionPolicy") != "Retain" || get(bucket, "UpdateReplacePolicy") != "Retain" {
		t.Errorf("the bucket goes with the stack: %v", bucket)
	}
}

// Topics that S3, SES and alarms publish to are standard, since these can feed no
// other; and so are the queues behind them.
func TestWhatAWSFeedsIsStandard(t *testing.T) {
	s := opened(t, nil)
	for _, name := range []string{"EventsTopic", "FeedbackTopic", "AlarmTopic"} {
		if topic := s.properties(name); at(topic, "FifoTopic") != nil || strings.HasSuffix(get(topic, "TopicName"), ".fifo") {
			t.Errorf("%s is %v", name, topic)
		}
	}
	for _, name := range []string{"Intake", "IntakeDead", "Feedback", "FeedbackDead", "Undelivered"} {
		if q := s.properties(name); at(q, "FifoQueue") != nil || strings.HasSuffix(get(q, "QueueName"), ".fifo") {
			t.Errorf("%s is %v", name, q)
		}
	}
}

// Who gave an address is mailed, of events and of alarms, and nobody else.
func TestPeopleAreMailed(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		got := map[string]string{}
		for _, sub := range s.of("AWS::SNS::Subscription") {
			if get(sub, "Protocol") == "email" {
				got[get(sub, "TopicArn")] = get(sub, "Endpoint")
			}
		}
		want := map[string]string{}
		for topic, parameter := range map[string]string{"EventsTopic": "MonitoringEmail", "AlarmTopic": "AlarmEmail"} {
			if address := s.parameters[parameter].(string); address != "" {
				want[arn("sns", get(s.properties(topic), "TopicName"))] = address
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

// Replies are signed, and what becomes of them is counted, kept from being tried
// again and told to the daemon.
func TestIdentity(t *testing.T) {
	for name, s := range map[string]*stack{"here": opened(t, nil), "elsewhere": elsewhere(t, nil)} {
		identity, set := s.properties("Identity"), s.properties("ConfigurationSet")
		if get(identity, "EmailIdentity") != "mail.example.com" || get(identity, "DkimAttributes", "SigningEnabled") != "true" {
			t.Errorf("%s: the identity is %v", name, identity)
		}
		if got := get(identity, "ConfigurationSetAttributes", "ConfigurationSetName"); got != get(set, "Name") {
			t.Errorf("%s: its configuration set is %q", name, got)
		}
		if get(set, "ReputationOptions", "ReputationMetricsEnabled") != "true" {
			t.Errorf("%s: nobody counts bounces: %v", name, set)
		}
		if got := texts(at(set, "SuppressionOptions", "SuppressedReasons")); !slices.Equal(got, []string{"BOUNCE", "COMPLAINT"}) {
			t.Errorf("%s: suppressed are %v", name, got)
		}
		told := at(s.properties("FeedbackDestination"), "EventDestination")
		if got := texts(at(told, "MatchingEventTypes")); !slices.Equal(got, []string{"bounce", "complaint"}) || get(told, "Enabled") != "true" {
			t.Errorf("%s: the daemon is told of %v", name, got)
		}
		if got := texts(at(s.properties("ReceiptRule"), "Rule", "Recipients")); !slices.Equal(got, []string{"mail.example.com"}) {
			t.Errorf("%s: mail is taken in for %v", name, got)
		}
	}
}

// Secrets are made, long ones, and by nobody who could read them.
func TestSecretsAreGenerated(t *testing.T) {
	secrets := opened(t, nil).of("AWS::SecretsManager::Secret")
	for name, secret := range secrets {
		if at(secret, "SecretString") != nil || number(secret, "GenerateSecretString", "PasswordLength") < 32 {
			t.Errorf("%s is %v", name, secret)
		}
	}
	if len(secrets) != 2 {
		t.Errorf("there are %d", len(secrets))
	}
}

// The role reaches our own things. Whoever may list the bucket is told that a key is
// not there; under a condition he is not, since a GetObject has no prefix.
func TestTaskRoleReachesOurThings(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		env := environment(s)
		bucket, listed := env["INREPLY_RECORDS_BUCKET"], false
		for _, statement := range list(at(s.properties("TaskRole"), "Policies", "0", "PolicyDocument", "Statement")) {
			sid := get(statement, "Sid")
			for _, resource := range texts(at(statement, "Resource")) {
				if resource == "*" && sid != "AskQuota" {
					t.Errorf("%s is allowed on everything", sid)
				}
				if strings.HasPrefix(resource, "arn:aws:s3:::") && resource != "arn:aws:s3:::"+bucket && !strings.HasPrefix(resource, "arn:aws:s3:::"+bucket+"/") {
					t.Errorf("%s is allowed on %s, the bucket is %s", sid, resource, bucket)
				}
			}
			if slices.Contains(texts(at(statement, "Action")), "s3:ListBucket") {
				listed = true
				if at(statement, "Condition") != nil || get(statement, "Resource") != "arn:aws:s3:::"+bucket {
					t.Errorf("a key that is not there reads as 403: %v", statement)
				}
			}
			if slices.Contains(texts(at(statement, "Action")), "ses:SendRawEmail") {
				if got := get(statement, "Condition", "StringLike", "ses:FromAddress"); got != "*@mail.example.com" {
					t.Errorf("replies may come from %q", got)
				}
			}
		}
		if !listed {
			t.Error("the bucket may not be listed")
		}
	})
}

// Nobody calls the tasks, which are as many as the parameters say, and one that does
// not start is taken back.
func TestService(t *testing.T) {
	s := opened(t, map[string]any{"MinTasks": "2", "MaxTasks": "16"})
	service, target, task := s.properties("Service"), s.properties("ScalableTarget"), s.properties("TaskDefinition")
	if got := texts(at(task, "RequiresCompatibilities")); !slices.Equal(got, []string{"FARGATE"}) || get(task, "NetworkMode") != "awsvpc" {
		t.Errorf("the task is for %v, its network is %s", got, get(task, "NetworkMode"))
	}
	network := at(service, "NetworkConfiguration", "AwsvpcConfiguration")
	if get(network, "AssignPublicIp") != "DISABLED" || len(texts(at(network, "Subnets"))) != 2 {
		t.Errorf("its network is %v", network)
	}
	if get(service, "LaunchType") != "FARGATE" || get(service, "DesiredCount") != "2" {
		t.Errorf("the service is %v", service)
	}
	if get(target, "MinCapacity") != "2" || get(target, "MaxCapacity") != "16" {
		t.Errorf("it scales between %s and %s", get(target, "MinCapacity"), get(target, "MaxCapacity"))
	}
	deployment := at(service, "DeploymentConfiguration")
	if get(deployment, "MinimumHealthyPercent") != "100" || get(deployment, "DeploymentCircuitBreaker", "Rollback") != "true" {
		t.Errorf("it is deployed by %v", deployment)
	}
	if at(s.properties("SecurityGroup"), "SecurityGroupIngress") != nil {
		t.Error("somebody may call it")
	}
}

// A poll waits for as long as SQS lets it: an idle queue costs three calls a minute.
func TestPollsAreLong(t *testing.T) {
	s := opened(t, nil)
	for _, name := range []string{"Intake", "MailQueue", "Feedback"} {
		if got := number(s.properties(name), "ReceiveMessageWaitTimeSeconds"); got != 20 {
			t.Errorf("%s is polled for %d s", name, got)
		}
	}
}

// The number of tasks follows what they have to do, before each is full, and goes up
// faster than down.
func TestTasksFollowTheLoad(t *testing.T) {
	tracking := at(opened(t, nil).properties("ScalingPolicy"), "TargetTrackingScalingPolicyConfiguration")
	target, out, in := number(tracking, "TargetValue"), number(tracking, "ScaleOutCooldown"), number(tracking, "ScaleInCooldown")
	if target < 50 || target > 95 || out < 0 || out >= in {
		t.Errorf("at %d of 100, %d s after the last went up and %d s down", target, out, in)
	}
}

// Each thing that somebody must be woken for has its alarm, which looks at it
// and goes off when it should.
func TestWhatIsWatched(t *testing.T) {
	want := map[string][]string{
		"inreply-dead-letters":   {"GreaterThanThreshold 0", "ApproximateNumberOfMessagesVisible of inreply-feedback-dead", "ApproximateNumberOfMessagesVisible of inreply-intake-dead", "ApproximateNumberOfMessagesVisible of inreply-mail-dead.fifo", "ApproximateNumberOfMessagesVisible of inreply-undelivered"},
		"inreply-oldest":         {"GreaterThanThreshold 900", "ApproximateAgeOfOldestMessage of inreply-intake", "ApproximateAgeOfOldestMessage of inreply-mail.fifo"},
		"inreply-outage":         {"GreaterThanThreshold 0", "inreply.consumer.outages of inreply", "inreply.consumer.paused of inreply", "inreply.relay.notices of inreply held"},
		"inreply-application":    {"GreaterThanThreshold 0", "inreply.consumer.parked of inreply"},
		"inreply-no-poll":        {"LessThanThreshold 1", "NumberOfEmptyReceives of inreply-intake", "NumberOfEmptyReceives of inreply-mail.fifo", "NumberOfMessagesReceived of inreply-intake", "NumberOfMessagesReceived of inreply-mail.fifo"},
		"inreply-bounce-rate":    {"GreaterThanThreshold 0.03", "Reputation.BounceRate of"},
		"inreply-complaint-rate": {"GreaterThanThreshold 0.0005", "Reputation.ComplaintRate of"},
	}
	got := map[string][]string{}
	for _, alarm := range opened(t, nil).of("AWS::CloudWatch::Alarm") {
		watched := []any{alarm}
		for _, m := range list(at(alarm, "Metrics")) {
			watched = append(watched, at(m, "MetricStat", "Metric"))
		}
		for _, m := range watched {
			if get(m, "MetricName") == "" {
				continue // it is put together of others, or is one of these
			}
			what := get(m, "MetricName") + " of"
			for _, d := range list(at(m, "Dimensions")) {
				what += " " + get(d, "Value")
			}
			got[get(alarm, "AlarmName")] = append(got[get(alarm, "AlarmName")], what)
		}
		slices.Sort(got[get(alarm, "AlarmName")])
		got[get(alarm, "AlarmName")] = slices.Insert(got[get(alarm, "AlarmName")], 0, get(alarm, "ComparisonOperator")+" "+get(alarm, "Threshold"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
