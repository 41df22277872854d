package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"inreply/cmd/inreply/telemetry"
	"inreply/configs"
)

// measure makes measurements, and returns what both readers saw.
func measure(t *testing.T, config configs.Metrics, with func(metric.Meter)) (lines []map[string]any, asked string) {
	t.Helper()
	var out bytes.Buffer
	measured, err := telemetry.New(config, "test", &out)
	if err != nil {
		t.Fatal(err)
	}
	with(measured.Meter())
	w := httptest.NewRecorder()
	measured.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if err := measured.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var read map[string]any
		if err := json.Unmarshal([]byte(line), &read); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		lines = append(lines, read)
	}
	return lines, w.Body.String()
}

func settings() configs.Metrics {
	m := configs.Defaults().Metrics
	m.EMF = true
	return m
}

// definition is what a line says of its metrics.
func definition(t *testing.T, line map[string]any) (namespace string, dimensions, metrics any) {
	t.Helper()
	aws := line["_aws"].(map[string]any)
	if at := time.UnixMilli(int64(aws["Timestamp"].(float64))); time.Since(at).Abs() > time.Minute {
		t.Errorf("it is of %v", at)
	}
	directive := aws["CloudWatchMetrics"].([]any)[0].(map[string]any)
	return directive["Namespace"].(string), directive["Dimensions"], directive["Metrics"]
}

// Attributes that CloudWatch would charge for, a metric each, are summed up.
func TestCounters(t *testing.T) {
	lines, asked := measure(t, settings(), func(m metric.Meter) {
		ended, _ := m.Int64Counter("inreply.mail.ended", metric.WithUnit("{mail}"))
		for _, route := range []string{"a", "b", "b"} {
			ended.Add(context.Background(), 1, metric.WithAttributes(attribute.String("outcome", "answered"), attribute.String("route", route)))
		}
		ended.Add(context.Background(), 2, metric.WithAttributes(attribute.String("outcome", "dead-lettered")))
		polls, _ := m.Int64Counter("inreply.consumer.polls", metric.WithUnit("{call}"))
		polls.Add(context.Background(), 7, metric.WithAttributes(attribute.String("queue", "x")))
	})
	if len(lines) != 3 {
		t.Fatalf("%d lines: %v", len(lines), lines)
	}
	namespace, dimensions, metrics := definition(t, lines[0])
	if diff := cmp.Diff([]any{namespace, dimensions, metrics}, []any{"inreply", []any{[]any{"service.name"}}, []any{map[string]any{"Name": "inreply.consumer.polls", "Unit": "Count"}}}); diff != "" {
		t.Error(diff)
	}
	if lines[0]["inreply.consumer.polls"] != 7.0 || lines[0]["service.name"] != "inreply" {
		t.Errorf("%v", lines[0])
	}
	_, dimensions, _ = definition(t, lines[1])
	if diff := cmp.Diff(dimensions, any([]any{[]any{"service.name"}, []any{"service.name", "outcome"}})); diff != "" {
		t.Error(diff)
	}
	for i, want := range map[int]map[string]any{1: {"outcome": "answered", "inreply.mail.ended": 3.0}, 2: {"outcome": "dead-lettered", "inreply.mail.ended": 2.0}} {
		for name, value := range want {
			if lines[i][name] != value {
				t.Errorf("line %d: %s is %v, want %v", i, name, lines[i][name], value)
			}
		}
		if _, there := lines[i]["route"]; there {
			t.Errorf("line %d has a route", i)
		}
	}
	for _, want := range []string{
		`inreply_mail_ended_total{`, `outcome="answered"`, `route="b"`, `inreply_consumer_polls_total{`, `service_name="inreply"`,
	} {
		if !strings.Contains(asked, want) {
			t.Errorf("no %s in\n%s", want, asked)
		}
	}
}

// What did not happen is not said, and a gauge is said as it is.
func TestGauges(t *testing.T) {
	lines, _ := measure(t, settings(), func(m metric.Meter) {
		_, _ = m.Int64Counter("inreply.ses.throttles")
		quota, _ := m.Float64Gauge("inreply.ses.quota.day", metric.WithUnit("{mail}"))
		quota.Record(context.Background(), -1)
		rate, _ := m.Float64Gauge("inreply.ses.quota.rate", metric.WithUnit("{mail}/s"))
		rate.Record(context.Background(), 14)
		paused, _ := m.Float64ObservableGauge("inreply.consumer.paused", metric.WithUnit("1"))
		_, _ = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
			o.ObserveFloat64(paused, 0, metric.WithAttributes(attribute.String("dependency", "s3")))
			o.ObserveFloat64(paused, 1, metric.WithAttributes(attribute.String("dependency", "ses")))
			return nil
		}, paused)
	})
	if len(lines) != 3 || lines[0]["inreply.ses.quota.day"] != -1.0 || lines[1]["inreply.consumer.paused"] != 0.0 || lines[1]["dependency"] != "s3" || lines[2]["inreply.consumer.paused"] != 1.0 {
		t.Fatalf("%v", lines)
	}
	if _, there := lines[0]["inreply.ses.throttles"]; there {
		t.Errorf("%v", lines[0])
	}
	_, _, metrics := definition(t, lines[0])
	if diff := cmp.Diff(metrics, any([]any{
		map[string]any{"Name": "inreply.ses.quota.day", "Unit": "Count"}, map[string]any{"Name": "inreply.ses.quota.rate", "Unit": "Count/Second"},
	})); diff != "" {
		t.Error(diff)
	}
}

func TestHistograms(t *testing.T) {
	lines, asked := measure(t, settings(), func(m metric.Meter) {
		took, _ := m.Float64Histogram("inreply.mail.duration", metric.WithUnit("s"), metric.WithExplicitBucketBoundaries(1, 2, 5))
		for route, seconds := range map[string][]float64{"a": {0.5, 1.5, 1.7}, "b": {9}} {
			for _, s := range seconds {
				took.Record(context.Background(), s, metric.WithAttributes(attribute.String("outcome", "answered"), attribute.String("route", route)))
			}
		}
	})
	if len(lines) != 1 {
		t.Fatalf("%v", lines)
	}
	said := lines[0]["inreply.mail.duration"].(map[string]any)
	if said["Count"] != 4.0 || said["Sum"] != 12.7 || said["Min"] != 0.5 || said["Max"] != 9.0 || len(said["Values"].([]any)) != 3 {
		t.Errorf("%v", said)
	}
	var counted float64
	for i, n := range said["Counts"].([]any) {
		counted += n.(float64)
		if v := said["Values"].([]any)[i].(float64); v < 0.5 || v > 9 {
			t.Errorf("value %v", v)
		}
	}
	if counted != 4 || !strings.Contains(asked, `inreply_mail_duration_seconds_bucket{`) {
		t.Errorf("%v\n%s", said, asked)
	}
}

// Without the setting there is nothing on standard output.
func TestNoLinesUnlessAskedFor(t *testing.T) {
	m := settings()
	m.EMF = false
	lines, asked := measure(t, m, func(m metric.Meter) {
		polls, _ := m.Int64Counter("inreply.consumer.polls")
		polls.Add(context.Background(), 1)
	})
	if len(lines) != 0 || !strings.Contains(asked, "inreply_consumer_polls_total") {
		t.Errorf("%v\n%s", lines, asked)
	}
}
