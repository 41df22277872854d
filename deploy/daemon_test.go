package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"inreply/configs"
)

// container is the daemon's in the task definition.
func container(s *stack) any {
	return at(s.properties("TaskDefinition"), "ContainerDefinitions", "0")
}

// environment is what the daemon finds there, secrets included.
func environment(s *stack) map[string]string {
	all := map[string]string{}
	for _, v := range list(at(container(s), "Environment")) {
		all[get(v, "Name")] = get(v, "Value")
	}
	for _, v := range list(at(container(s), "Secrets")) {
		all[get(v, "Name")] = "secret " + get(v, "ValueFrom")
	}
	return all
}

// settings are those that the daemon runs with there: the file in the image, and
// what the environment overrides.
func settings(t *testing.T, s *stack) configs.Config {
	t.Helper()
	var environ []string
	for name, value := range environment(s) {
		environ = append(environ, name+"="+value)
	}
	config, err := configs.Parse("fargate.yaml", configs.Fargate(), environ)
	if err != nil {
		t.Fatalf("the environment of the task is wrong: %v", err)
	}
	return config
}

// What the settings name is what the stack makes, and the other way round.
func TestSettingsNameTheStack(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		config := settings(t, s)
		ses := region
		if elsewhere := s.parameters["SesRegion"]; elsewhere != "" {
			ses = elsewhere.(string)
		}
		bucket := get(s.resolve(child(child(s.template, "Outputs"), "Bucket")), "Value")
		for what, pair := range map[string][2]string{
			"relay.queue":              {config.Relay.Queue, get(s.properties("Intake"), "QueueName")},
			"relay.topic":              {config.Relay.Topic, arn("sns", get(s.properties("MailTopic"), "TopicName"))},
			"relay.prefix":             {config.Relay.Prefix, s.parameters["MailPrefix"].(string)},
			"relay.suffix":             {config.Relay.Suffix, s.parameters["MailSuffix"].(string)},
			"consumer.queue":           {config.Consumer.Queue, get(s.properties("MailQueue"), "QueueName")},
			"records.bucket":           {config.Store.Bucket, bucket},
			"aws.region":               {config.AWS.Region, region},
			"aws.ses.region":           {config.AWS.SES.Region, ses},
			"mailer.configuration_set": {config.Mailer.ConfigurationSet, s.parameters["Name"].(string)},
			"feedback.queue":           {config.Feedback.Queue, get(s.properties("Feedback"), "QueueName")},
			"mailer.from":              {config.Mailer.From, "data@mail.example.com"},
			"email.domains":            {strings.Join(config.Email.Domains, " "), "mail.example.com"},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s is %s, and the stack has %s", what, pair[0], pair[1])
			}
		}
		for _, secret := range []string{config.Email.MarkKey, config.Store.Secret} {
			if !strings.HasPrefix(secret, "secret ref:") {
				t.Errorf("a secret comes from %q", secret)
			}
		}
		if config.Email.MarkKey == config.Store.Secret {
			t.Error("both secrets are one")
		}
		if len(config.Processing.Routes) == 0 {
			t.Error("there are no routes")
		}
	})
}

// The shipped file names what the template makes when nobody says otherwise, so
// that it can be used without the variables.
func TestTheFileNamesTheStack(t *testing.T) {
	config, err := configs.Parse("fargate.yaml", configs.Fargate(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := opened(t, nil)
	for what, pair := range map[string][2]string{
		"relay.queue":    {config.Relay.Queue, get(s.properties("Intake"), "QueueName")},
		"relay.topic":    {config.Relay.Topic, arn("sns", get(s.properties("MailTopic"), "TopicName"))},
		"relay.prefix":   {config.Relay.Prefix, s.parameters["MailPrefix"].(string)},
		"consumer.queue": {config.Consumer.Queue, get(s.properties("MailQueue"), "QueueName")},
		"records.bucket": {config.Store.Bucket, get(s.properties("Bucket"), "BucketName")},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: the file says %s, the template %s", what, pair[0], pair[1])
		}
	}
}

// Records announce no mail, and outlive what they are about.
func TestRecords(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		config := settings(t, s)
		if strings.HasPrefix(config.Store.Prefix, config.Relay.Prefix) {
			t.Errorf("records under %s are announced as mails of %s", config.Store.Prefix, config.Relay.Prefix)
		}
		bucket := s.resources()["Bucket"]
		if bucket == nil {
			return
		}
		events := at(bucket, "Properties", "NotificationConfiguration", "TopicConfigurations", "0")
		filters := map[string]string{}
		for _, rule := range list(at(events, "Filter", "S3Key", "Rules")) {
			filters[get(rule, "Name")] = get(rule, "Value")
		}
		if filters["prefix"] != config.Relay.Prefix || filters["suffix"] != config.Relay.Suffix {
			t.Errorf("S3 announces %v, the relay takes %q and %q", filters, config.Relay.Prefix, config.Relay.Suffix)
		}
		if got := get(events, "Event"); got != "s3:ObjectCreated:*" {
			t.Errorf("S3 announces %s", got)
		}
		if get(events, "Topic") != arn("sns", get(s.properties("EventsTopic"), "TopicName")) {
			t.Errorf("S3 announces to %s", get(events, "Topic"))
		}
		kept := map[string]int{}
		for _, rule := range list(at(bucket, "Properties", "LifecycleConfiguration", "Rules")) {
			if days := number(rule, "ExpirationInDays"); days > 0 {
				kept[get(rule, "Prefix")] = days
			}
		}
		mails, records, senders := kept[config.Relay.Prefix], kept[config.Store.Prefix+"mail/"], kept[config.Store.Prefix+"sender/"]
		if len(kept) != 3 || mails < 35 || records < mails {
			t.Errorf("kept for so many days: %v", kept)
		}
		if longest := max(config.Mailer.Complained, config.Mailer.Bounced); time.Duration(senders)*24*time.Hour < longest {
			t.Errorf("a sender is suppressed for %s and remembered for %d days", longest, senders)
		}
	})
	s := opened(t, nil)
	if least := child(child(child(s.template, "Parameters"), "KeepDays"), "MinValue").Value; least != "35" {
		t.Errorf("mails may be kept for %s days only: they may wait 14 and be dead for 14 more", least)
	}
}

// The task is killed only after it had all the time that it takes to stop.
func TestStopTime(t *testing.T) {
	s := opened(t, nil)
	config := settings(t, s)
	kill := time.Duration(number(container(s), "StopTimeout")) * time.Second
	if needs := config.Consumer.Stop.Budget + config.Consumer.Stop.Abandon; kill <= needs || kill > 120*time.Second {
		t.Errorf("killed after %s, needs %s, Fargate allows 120 s", kill, needs)
	}
	for name, deadline := range map[string]time.Duration{"Intake": config.Relay.Deadline, "MailQueue": config.Relay.Deadline} {
		if visible := time.Duration(number(s.properties(name), "VisibilityTimeout")) * time.Second; visible <= deadline {
			t.Errorf("%s: visible after %s, held for %s", name, visible, deadline)
		}
	}
}

// The mails in work at once, at three times their size, leave the Go runtime and
// everything else a quarter of what it may have; and it may have less than there is.
func TestMemory(t *testing.T) {
	s := opened(t, nil)
	limit, err := strconv.Atoi(strings.TrimSuffix(environment(s)["GOMEMLIMIT"], "MiB"))
	if err != nil {
		t.Fatal(err)
	}
	there := number(s.properties("TaskDefinition"), "Memory")
	mails := 3 * settings(t, s).Consumer.MemoryMiB
	if mails > limit*3/4 || limit > there*9/10 {
		t.Errorf("mails need %d MiB of %d MiB of %d MiB", mails, limit, there)
	}
}

// The container is as the Dockerfile makes it: nothing is written, nobody is root,
// and the binary is its own health check.
func TestContainer(t *testing.T) {
	s := opened(t, nil)
	text, err := os.ReadFile(filepath.Join("..", "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	dockerfile := string(text)
	check := texts(at(container(s), "HealthCheck", "Command"))
	want := []string{"CMD", "/inreply", "--config", "/etc/inreply/inreply.yaml", "--healthcheck"}
	if !slices.Equal(check, want) {
		t.Errorf("the health check is %v", check)
	}
	for _, said := range []string{`ENTRYPOINT ["` + check[1] + `"]`, "configs/fargate.yaml " + check[3], "USER 65532:65532"} {
		if !strings.Contains(dockerfile, said) {
			t.Errorf("the Dockerfile does not say %s", said)
		}
	}
	if get(container(s), "ReadonlyRootFilesystem") != "true" {
		t.Error("the root file system can be written")
	}
	if got := texts(at(container(s), "LinuxParameters", "Capabilities", "Drop")); !slices.Equal(got, []string{"ALL"}) {
		t.Errorf("dropped capabilities: %v", got)
	}
	platform := at(s.properties("TaskDefinition"), "RuntimePlatform")
	if get(platform, "CpuArchitecture") != "ARM64" || get(platform, "OperatingSystemFamily") != "LINUX" {
		t.Errorf("it runs on %v", platform)
	}
}

// A task is full with as many groups as the daemon works on at once.
func TestScaling(t *testing.T) {
	s := opened(t, nil)
	policy := at(s.properties("ScalingPolicy"), "TargetTrackingScalingPolicyConfiguration", "CustomizedMetricSpecification", "Metrics")
	measured, load := map[string]string{}, ""
	for _, m := range list(policy) {
		measured[get(m, "Id")] = get(m, "MetricStat", "Metric", "MetricName")
		if get(m, "ReturnData") == "true" {
			load = get(m, "Expression")
		}
	}
	if measured["visible"] != "ApproximateNumberOfMessagesVisible" || measured["groups"] != "ApproximateNumberOfGroupsWithInflightMessages" {
		t.Errorf("it measures %v", measured)
	}
	groups := regexp.MustCompile(`FILL\(groups, 0\) / (\d+)`).FindStringSubmatch(load)
	if groups == nil || groups[1] != strconv.Itoa(settings(t, s).Consumer.Concurrency) {
		t.Errorf("the load is %s", load)
	}
}
