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

// counted are the metrics that are made from the log, by namespace.
func counted(s *stack) map[string][]string {
	all := map[string][]string{}
	for _, filter := range s.of("AWS::Logs::MetricFilter") {
		for _, made := range list(at(filter, "MetricTransformations")) {
			namespace := get(made, "MetricNamespace")
			all[namespace] = append(all[namespace], get(made, "MetricName"))
		}
	}
	return all
}

// An alarm watches something that is measured, tells somebody, and comes under a
// name that the topic lets in.
func TestAlarms(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		known := measured()
		maps.Copy(known, counted(s))
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
				if found++; !slices.Contains(known[namespace], metric) {
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

var said = regexp.MustCompile(`\$\.(\w+) = "([^"]+)"`)

// What is counted in the log is what the daemon writes there.
func TestWhatIsCountedIsLogged(t *testing.T) {
	var source strings.Builder
	files, err := filepath.Glob("../consumer/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../inreply.go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	checked := 0
	for name, filter := range opened(t, nil).of("AWS::Logs::MetricFilter") {
		pattern := get(filter, "FilterPattern")
		for _, found := range said.FindAllStringSubmatch(pattern, -1) {
			checked++
			if !strings.Contains(source.String(), `"`+found[2]+`"`) {
				t.Errorf("%s: nothing logs %q", name, found[2])
			}
		}
		for _, made := range list(at(filter, "MetricTransformations")) {
			for _, d := range list(at(made, "Dimensions")) {
				if key := strings.TrimPrefix(get(d, "Value"), "$."); !strings.Contains(source.String(), `zap.String("`+key+`"`) {
					t.Errorf("%s: no line has %s", name, key)
				}
			}
		}
	}
	if checked < 4 {
		t.Errorf("only %d texts were found", checked)
	}
}

// The dashboard is JSON, and shows what is measured.
func TestDashboard(t *testing.T) {
	eachWay(t, func(t *testing.T, s *stack) {
		t.Helper()
		var body struct {
			Widgets []struct {
				Properties struct{ Metrics [][]any }
			}
		}
		if err := json.Unmarshal([]byte(get(s.properties("Dashboard"), "DashboardBody")), &body); err != nil {
			t.Fatal(err)
		}
		known := measured()
		maps.Copy(known, counted(s))
		shown := 0
		for _, widget := range body.Widgets {
			for _, metric := range widget.Properties.Metrics {
				namespace, name := metric[0].(string), metric[1].(string)
				if shown++; !slices.Contains(known[namespace], name) {
					t.Errorf("nobody measures %s in %s", name, namespace)
				}
			}
		}
		if shown < 10 {
			t.Errorf("it shows %d metrics", shown)
		}
	})
}
