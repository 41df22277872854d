package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// measured are the metrics of AWS that alarms and the dashboard may name, by
// namespace, from the pages that list each service's metrics.
func measured() map[string][]string {
	return map[string][]string{
		"AWS/SQS": {
			"ApproximateNumberOfMessagesVisible", "ApproximateNumberOfMessagesNotVisible", "ApproximateAgeOfOldestMessage",
			"ApproximateNumberOfGroupsWithInflightMessages", "NumberOfMessagesReceived", "NumberOfEmptyReceives",
		},
		"AWS/SES":               {"Reputation.BounceRate", "Reputation.ComplaintRate"},
		"AWS/ECS":               {"CPUUtilization", "MemoryUtilization"},
		"ECS/ContainerInsights": {"RunningTaskCount"},
	}
}

// An alarm watches something that is measured, tells somebody, and comes under a
// name that the topic lets in.
func TestAlarms(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		known := measured()
		topic := arn("sns", get(s.properties("AlarmTopic"), "TopicName"))
		for name, alarm := range s.of("AWS::CloudWatch::Alarm") {
			watched := []any{alarm}
			for _, m := range list(at(alarm, "Metrics")) {
				watched = append(watched, at(m, "MetricStat", "Metric"))
			}
			found := 0
			for _, m := range watched {
				namespace, metric := get(m, "Namespace"), get(m, "MetricName")
				if metric == "" {
					continue // an expression
				}
				found++
				if namespace != settings(t, s).Metrics.Namespace && !slices.Contains(known[namespace], metric) {
					t.Errorf("%s: nobody measures %s in %s", name, metric, namespace)
				}
			}
			if found == 0 || get(alarm, "AlarmDescription") == "" {
				t.Errorf("%s watches nothing, or does not say what", name)
			}
			for _, told := range []string{"AlarmActions", "OKActions"} {
				if got := texts(at(alarm, told)); !slices.Equal(got, []string{topic}) {
					t.Errorf("%s: %s is %v", name, told, got)
				}
			}
			if !strings.HasPrefix(get(alarm, "AlarmName"), s.parameters["Name"].(string)+"-") {
				t.Errorf("%s is called %s, which the topic does not let in", name, get(alarm, "AlarmName"))
			}
		}
	})
}

// The manual says what to do about each alarm.
func TestAlarmsAreExplained(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "operate.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name, alarm := range opened(t, nil).of("AWS::CloudWatch::Alarm") {
		if !strings.Contains(string(text), "`"+get(alarm, "AlarmName")+"`") {
			t.Errorf("docs/operate.md does not say what to do about %s (%s)", get(alarm, "AlarmName"), name)
		}
	}
}

// widgets are the metrics that the dashboard shows, each with its dimensions and how
// it is drawn.
func widgets(t *testing.T, s *stack) (all [][]any) {
	t.Helper()
	var body struct {
		Widgets []struct {
			Properties struct{ Metrics [][]any }
		}
	}
	if err := json.Unmarshal([]byte(get(s.properties("Dashboard"), "DashboardBody")), &body); err != nil {
		t.Fatal(err)
	}
	for _, widget := range body.Widgets {
		all = append(all, widget.Properties.Metrics...)
	}
	return all
}

// The dashboard is JSON, and shows what is measured.
func TestDashboard(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		known, ours := measured(), settings(t, s).Metrics.Namespace
		all := widgets(t, s)
		for _, metric := range all {
			if namespace, name := metric[0].(string), metric[1].(string); namespace != ours && !slices.Contains(known[namespace], name) {
				t.Errorf("nobody measures %s in %s", name, namespace)
			}
		}
		if len(all) < 10 {
			t.Errorf("it shows %d metrics", len(all))
		}
	})
}
