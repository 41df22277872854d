package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"inreply"
	"inreply/cmd/inreply/telemetry"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

// noted is a meter that notes which instruments are made.
type noted struct {
	noop.Meter
	made map[string]string // kind and unit, by name
}

func (n noted) Int64Counter(name string, o ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	n.made[name] = "counter " + metric.NewInt64CounterConfig(o...).Unit()
	return n.Meter.Int64Counter(name, o...)
}

func (n noted) Float64Histogram(name string, o ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	n.made[name] = "histogram " + metric.NewFloat64HistogramConfig(o...).Unit()
	return n.Meter.Float64Histogram(name, o...)
}

func (n noted) Float64Gauge(name string, o ...metric.Float64GaugeOption) (metric.Float64Gauge, error) {
	n.made[name] = "gauge " + metric.NewFloat64GaugeConfig(o...).Unit()
	return n.Meter.Float64Gauge(name, o...)
}

func (n noted) Float64ObservableGauge(name string, o ...metric.Float64ObservableGaugeOption) (metric.Float64ObservableGauge, error) {
	n.made[name] = "gauge " + metric.NewFloat64ObservableGaugeConfig(o...).Unit()
	return n.Meter.Float64ObservableGauge(name, o...)
}

func (n noted) Int64Histogram(name string, _ ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, fmt.Errorf("%s: the test knows no such kind yet", name)
}

func (n noted) Float64Counter(name string, _ ...metric.Float64CounterOption) (metric.Float64Counter, error) {
	return nil, fmt.Errorf("%s: the test knows no such kind yet", name)
}

func (n noted) Int64Gauge(name string, _ ...metric.Int64GaugeOption) (metric.Int64Gauge, error) {
	return nil, fmt.Errorf("%s: the test knows no such kind yet", name)
}

func (n noted) Int64UpDownCounter(name string, _ ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return nil, fmt.Errorf("%s: the test knows no such kind yet", name)
}

// Every metric is documented, as it is, and nothing else; and CloudWatch has the
// attribute in bold as a dimension.
func TestMetricsPage(t *testing.T) {
	world := startWorld(t)
	config, err := configs.Parse("local.yaml", withService(configs.Local()), allSettings(t))
	if err != nil {
		t.Fatal(err)
	}
	meter := noted{made: map[string]string{}}
	clients := inreply.ClientsFrom(aws.Config{
		Region: region, BaseEndpoint: aws.String(world.Endpoint()), Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awshttp.NewBuildableClient(), configs.AWS{})
	if _, err := inreply.New(t.Context(), config, clients, inreply.Parts{Meter: meter}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented, bold := map[string]string{}, map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| (\\w+) \\| `([^`]+)` \\| ([^|]*)\\|")
	for _, found := range row.FindAllStringSubmatch(string(page), -1) {
		documented[found[1]] = found[2] + " " + found[3]
		if emphasis := regexp.MustCompile(`\*\*(.+?)\*\*`).FindStringSubmatch(found[4]); emphasis != nil {
			bold[found[1]] = emphasis[1]
		}
	}
	if diff := cmp.Diff(documented, meter.made); diff != "" {
		t.Errorf("docs/metrics.md (-) and what is measured (+):\n%s", diff)
	}
	if diff := cmp.Diff(bold, telemetry.Dimensions()); diff != "" {
		t.Errorf("docs/metrics.md (-) and the dimensions of CloudWatch (+):\n%s", diff)
	}
}

// allSettings turn on whatever measures something.
func allSettings(t *testing.T) []string {
	t.Helper()
	return []string{
		"INREPLY_FEEDBACK_QUEUE=inreply-intake", "INREPLY_RELAY_PUSH_LISTEN=127.0.0.1:0", "INREPLY_RELAY_PUSH_TOPICS=[arn:aws:sns:us-east-1:000000000000:inreply-events]",
	}
}

// withService adds an application service to settings.
func withService(text []byte) []byte {
	return bytes.Replace(text, []byte("\nwebhook:\n"), []byte("\nwebhook:\n  desk: {url: \"http://127.0.0.1:8081/\", auth: {kind: none}}\n"), 1)
}

// A mail is seen by both: Prometheus asks, and CloudWatch's lines stand on standard
// output, which has nothing else.
func TestMetricsOfADaemon(t *testing.T) {
	world := startWorld(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr lines
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--config", filepath.Join("..", "..", "configs", "local.yaml")}, []string{
			"INREPLY_AWS_ENDPOINT=" + world.Endpoint(), "INREPLY_ADMIN_LISTEN=127.0.0.1:0", "INREPLY_METRICS_EMF=true",
			"INREPLY_CONSUMER_STOP_POLL_GRACE=0s", "INREPLY_RELAY_POLL_GRACE=0s",
		}, &stdout, &stderr)
	}()
	admin := stderr.until(t, `started.*"admin": "([^"]+)"`)
	if _, err := world.Receive(local.Mail{
		Envelope: ses.Envelope{From: "ana@example.com", Recipients: []string{"data@inreply.example"}},
		Raw:      []byte("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: x\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"),
	}); err != nil {
		t.Fatal(err)
	}
	stderr.until(t, `(answered)`)
	response, err := http.Get("http://" + admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	response.Body.Close()
	for _, want := range []string{`inreply_mail_ended_total{`, `inreply_mail_duration_seconds_count{`, `inreply_consumer_paused`, `inreply_relay_notices_total{`, `messaging_client_sent_messages_total{`, `inreply_ses_duration_seconds_sum`, `inreply_ses_quota_day`, `inreply_ses_quota_left`, `inreply_ses_rate`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d\n%s", code, stderr.text())
	}
	for line := range strings.Lines(stdout.text()) {
		if !strings.HasPrefix(line, `{"_aws":{`) {
			t.Errorf("on standard output: %s", line)
		}
	}
	if !strings.Contains(stdout.text(), `"inreply.mail.ended":1,"outcome":"answered"`) {
		t.Errorf("no line of the mail:\n%s", stdout.text())
	}
}
