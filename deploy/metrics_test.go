package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"inreply"
	"inreply/cmd/inreply/telemetry"
	"inreply/configs"
	"inreply/email"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
)

// application answers, is silent, fails for good or is out, as the subject says.
type application struct{}

func (application) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	switch m.Subject {
	case "out":
		return nil, out{}
	case "refused":
		return nil, refused{}
	case "silent":
		return nil, nil
	}
	r := m.Answer()
	r.Text = "Hello\n"
	return r, nil
}

type out struct{}

func (out) Error() string  { return "the application is out" }
func (out) Outage() string { return "service:app" }

type refused struct{}

func (refused) Error() string   { return "the application refuses it" }
func (refused) Permanent() bool { return true }

// series is a metric as CloudWatch keeps it: by its namespace, name and all of its
// dimensions. One that is asked for with another dimension, or without one, is
// another one, and has no data.
func series(namespace, name string, dimensions map[string]string) string {
	s := namespace + " " + name
	for _, d := range slices.Sorted(maps.Keys(dimensions)) {
		s += fmt.Sprintf(" %s=%q", d, dimensions[d])
	}
	return s
}

// emitted are the highest values of all series that the daemon writes, with the
// settings of the stack, when everything that is measured has happened.
func emitted(t *testing.T, s *stack) map[string]float64 {
	t.Helper()
	var lines bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		measured, err := telemetry.New(settings(t, s).Metrics, "test", &lines)
		if err != nil {
			t.Fatal(err)
		}
		eventful(t, inreply.Parts{Meter: measured.Meter(), Processors: map[string]processing.Processor{"app": application{}}})
		if err := measured.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	all := map[string]float64{}
	for line := range bytes.Lines(lines.Bytes()) {
		var members map[string]any
		if err := json.Unmarshal(line, &members); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		for _, directive := range list(at(members, "_aws", "CloudWatchMetrics")) {
			for _, set := range list(at(directive, "Dimensions")) {
				dimensions := map[string]string{}
				for _, name := range texts(set) {
					dimensions[name] = get(members, name)
				}
				for _, m := range list(at(directive, "Metrics")) {
					value, _ := members[get(m, "Name")].(float64)
					id := series(get(directive, "Namespace"), get(m, "Name"), dimensions)
					all[id] = max(all[id], value)
				}
			}
		}
	}
	return all
}

// eventful runs a daemon through everything that is measured: mails that end in each
// way, an application that is out, and then SES and SNS.
func eventful(t *testing.T, parts inreply.Parts) {
	t.Helper()
	world := local.New(local.Config{})
	defer world.Close()
	config, err := configs.Parse("local.yaml", configs.Local(), []string{"INREPLY_PROCESSING_ROUTES=[{name: objects, processor: app, kind: object, prefix: objects/}, {name: app, processor: app}]"})
	if err != nil {
		t.Fatal(err)
	}
	names := inreply.ResourcesOf(config)
	if _, err := world.Provision(local.Names{
		Bucket: names.Bucket, Topic: "events", Intake: names.Intake, IntakeDeadLetters: names.IntakeDeadLetters,
		FifoTopic: names.FifoTopic, Queue: names.Queue, DeadLetters: names.DeadLetters, Identities: names.Identities,
	}); err != nil {
		t.Fatal(err)
	}
	clients := inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, world.Client(), configs.AWS{})
	daemon, err := inreply.New(t.Context(), config, clients, parts)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx) }()
	receive := func(prefix, subject string) {
		world.SES.SetRules("inreply", ses.Rule{Name: "store", Bucket: names.Bucket, KeyPrefix: prefix})
		raw := fmt.Sprintf("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: %s\r\nMessage-ID: <%[1]s@example.com>\r\n\r\nHello\r\n", subject)
		if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: "ana@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
	}
	for _, subject := range []string{"answered", "silent", "refused"} {
		receive("inbound/", subject)
	}
	receive("objects/", "processed")
	for operation, fault := range map[string]local.Fault{"ses.SendRawEmail": {Denied: 1}, "sns.PublishBatch": {Failed: 1}} {
		world.Inject(local.Faults{Operations: map[string]local.Fault{operation: fault}})
		receive("inbound/", "answered while it is out")
		time.Sleep(3 * time.Minute)
		world.Inject(local.Faults{})
		time.Sleep(3 * time.Minute)
	}
	receive("inbound/", "out")
	time.Sleep(time.Minute)
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Every metric of ours that an alarm or the dashboard shows is one that the daemon
// writes, by the same dimensions; and those of alarms come above their threshold.
func TestOurMetricsAreWritten(t *testing.T) {
	for _, name := range []string{"inreply", "other"} {
		s := opened(t, map[string]any{"Name": name})
		written := emitted(t, s)
		ours := settings(t, s).Metrics.Namespace
		known := func(who, namespace, metric string, dimensions map[string]string) {
			t.Helper()
			id := series(namespace, metric, dimensions)
			if _, there := written[id]; namespace == ours && !there {
				t.Errorf("%s: the daemon writes no %s; it writes\n%s", who, id, strings.Join(slices.Sorted(maps.Keys(written)), "\n"))
			}
		}
		watched := 0
		for alarm, properties := range s.of("AWS::CloudWatch::Alarm") {
			metrics := []any{properties}
			for _, m := range list(at(properties, "Metrics")) {
				metrics = append(metrics, at(m, "MetricStat", "Metric"))
			}
			for _, m := range metrics {
				if get(m, "Namespace") != ours {
					continue
				}
				watched++
				dimensions := map[string]string{}
				for _, d := range list(at(m, "Dimensions")) {
					dimensions[get(d, "Name")] = get(d, "Value")
				}
				known(alarm, ours, get(m, "MetricName"), dimensions)
				if id := series(ours, get(m, "MetricName"), dimensions); written[id] <= 0 {
					t.Errorf("%s never goes off: %s is never above 0", alarm, id)
				}
			}
		}
		shown := 0
		for _, m := range widgets(t, s) {
			if m[0] != ours {
				continue
			}
			shown++
			dimensions := map[string]string{}
			for i := 2; i+1 < len(m); i += 2 {
				dimensions[fmt.Sprint(m[i])] = fmt.Sprint(m[i+1])
			}
			known("the dashboard", ours, fmt.Sprint(m[1]), dimensions)
		}
		if watched < 3 || shown < 10 {
			t.Errorf("%d are watched, %d shown", watched, shown)
		}
	}
}
