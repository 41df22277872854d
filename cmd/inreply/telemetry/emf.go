package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// serviceName is the dimension of every metric.
const serviceName = "service.name"

// Dimensions is by which attribute CloudWatch has a metric beside service.name. Every
// combination of values is a metric of its own there, and costs as one; so the other
// attributes are for Prometheus only.
func Dimensions() map[string]string {
	return map[string]string{
		"inreply.mail.ended":         "outcome",
		"inreply.mail.duration":      "outcome",
		"inreply.consumer.paused":    "dependency",
		"inreply.consumer.outages":   "dependency",
		"inreply.consumer.parked":    "dependency",
		"messaging.process.duration": "disposition",
		"inreply.relay.notices":      "outcome",
		"inreply.relay.pushes":       "outcome",
		"inreply.mailer.feedback":    "kind",

		"http.client.request.duration": "dependency",
		"inreply.webhook.failures":     "dependency",
		"inreply.webhook.out":          "dependency",
	}
}

// emf writes metrics as CloudWatch Logs reads them from a line ("Specification:
// Embedded metric format" in the CloudWatch user guide). It is an
// [sdkmetric.Exporter].
type emf struct {
	namespace string
	service   string

	mu  sync.Mutex
	out io.Writer
}

// Temporality is what happened since the last line: CloudWatch adds up by itself.
func (*emf) Temporality(kind sdkmetric.InstrumentKind) metricdata.Temporality {
	return sdkmetric.DeltaTemporalitySelector(kind)
}

// Aggregation is that of the instrument.
func (*emf) Aggregation(kind sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(kind)
}

// ForceFlush has nothing to do: nothing is kept.
func (*emf) ForceFlush(context.Context) error { return nil }

// Shutdown has nothing to do.
func (*emf) Shutdown(context.Context) error { return nil }

// Export writes a line for each dimension.
func (e *emf) Export(_ context.Context, all *metricdata.ResourceMetrics) error {
	lines := map[dimension]*line{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			e.add(lines, m)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var faults []error
	for _, d := range slices.SortedFunc(maps.Keys(lines), dimension.compare) {
		text, err := json.Marshal(e.document(d, lines[d], time.Now()))
		if err == nil {
			_, err = e.out.Write(append(text, '\n'))
		}
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("write metrics: %w", err)
	}
	return nil
}

// dimension is one attribute with a value, or none.
type dimension struct{ name, value string }

func (d dimension) compare(other dimension) int {
	return strings.Compare(d.name+"\x00"+d.value, other.name+"\x00"+other.value)
}

// line is what one line says: values by the names of metrics.
type line struct {
	values map[string]value
	units  map[string]string
}

// value is a number, or many in buckets.
type value struct {
	sum     float64
	buckets *buckets
}

// buckets are values of a histogram, in the form in which CloudWatch's own agent and
// OpenTelemetry's exporter for it write them: percentiles can be had of it.
type buckets struct {
	Values []float64
	Counts []float64
	Max    float64
	Min    float64
	Count  float64
	Sum    float64
}

// add puts a metric where it belongs.
func (e *emf) add(lines map[dimension]*line, m metricdata.Metrics) {
	put := func(set attribute.Set, v value, adds bool) {
		d := of(m.Name, set)
		l := lines[d]
		if l == nil {
			l = &line{map[string]value{}, map[string]string{}}
			lines[d] = l
		}
		l.units[m.Name] = unit(m.Unit)
		if before, there := l.values[m.Name]; there {
			v = before.with(v, adds)
		}
		l.values[m.Name] = v
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			put(p.Attributes, value{sum: float64(p.Value)}, true)
		}
	case metricdata.Sum[float64]:
		for _, p := range data.DataPoints {
			put(p.Attributes, value{sum: p.Value}, true)
		}
	case metricdata.Gauge[int64]:
		for _, p := range data.DataPoints {
			put(p.Attributes, value{sum: float64(p.Value)}, false)
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			put(p.Attributes, value{sum: p.Value}, false)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			put(p.Attributes, value{buckets: spread(p)}, true)
		}
	}
}

// of is the dimension of a point.
func of(name string, set attribute.Set) dimension {
	by := Dimensions()[name]
	if v, there := set.Value(attribute.Key(by)); by != "" && there {
		return dimension{by, v.String()}
	}
	return dimension{}
}

// with joins two points that differ in attributes that CloudWatch does not get. The
// largest of several gauges counts.
func (v value) with(other value, adds bool) value {
	switch {
	case v.buckets != nil:
		v.buckets.join(other.buckets)
		return v
	case adds:
		return value{sum: v.sum + other.sum}
	}
	return value{sum: max(v.sum, other.sum)}
}

func (b *buckets) join(other *buckets) {
	b.Values, b.Counts = append(b.Values, other.Values...), append(b.Counts, other.Counts...)
	b.Max, b.Min = max(b.Max, other.Max), min(b.Min, other.Min)
	b.Count, b.Sum = b.Count+other.Count, b.Sum+other.Sum
}

// spread turns a histogram's buckets into values: the middle of each, but never
// beyond the least and the most that was measured.
func spread(p metricdata.HistogramDataPoint[float64]) *buckets {
	least, _ := p.Min.Value()
	most, _ := p.Max.Value()
	b := &buckets{Max: most, Min: least, Count: float64(p.Count), Sum: p.Sum}
	for i, n := range p.BucketCounts {
		if n == 0 {
			continue
		}
		low, high := least, most
		if i > 0 {
			low = max(low, p.Bounds[i-1])
		}
		if i < len(p.Bounds) {
			high = min(high, p.Bounds[i])
		}
		b.Values, b.Counts = append(b.Values, (low+high)/2), append(b.Counts, float64(n))
	}
	return b
}

// unit is a unit of OpenTelemetry (UCUM) as CloudWatch knows it.
func unit(u string) string {
	switch {
	case u == "s":
		return "Seconds"
	case u == "By":
		return "Bytes"
	case strings.HasPrefix(u, "{") && strings.HasSuffix(u, "}/s"):
		return "Count/Second"
	case strings.HasPrefix(u, "{"):
		return "Count"
	}
	return "None"
}

// document is a line as CloudWatch reads it.
func (e *emf) document(d dimension, l *line, now time.Time) map[string]any {
	type definition struct{ Name, Unit string }
	document := map[string]any{serviceName: e.service}
	sets := [][]string{{serviceName}}
	if d.name != "" {
		document[d.name] = d.value
		sets = append(sets, []string{serviceName, d.name})
	}
	var defined []definition
	for _, name := range slices.Sorted(maps.Keys(l.values)) {
		defined = append(defined, definition{name, l.units[name]})
		v := l.values[name]
		if v.buckets != nil {
			document[name] = v.buckets
			continue
		}
		document[name] = v.sum
	}
	document["_aws"] = map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace": e.namespace, "Dimensions": sets, "Metrics": defined,
		}},
	}
	return document
}
