package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"inreply/processing/webhook"
)

// measured gives the rig a meter, and returns how to read it: numbers by the names
// of metrics and what they are divided by.
func (r *rig) measured() func() map[string]float64 {
	reader := sdkmetric.NewManualReader()
	r.parts.Meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("")
	return func() map[string]float64 {
		r.t.Helper()
		var all metricdata.ResourceMetrics
		if err := reader.Collect(context.Background(), &all); err != nil {
			r.t.Fatal(err)
		}
		read := map[string]float64{}
		note := func(name string, set attribute.Set, v float64) {
			by := map[string]string{}
			for _, a := range set.ToSlice() {
				by[string(a.Key)] = a.Value.String()
			}
			for _, of := range []string{"http.request.method", "server.address", "server.port"} { // the same everywhere
				delete(by, of)
			}
			var said []string
			for _, key := range slices.Sorted(maps.Keys(by)) {
				said = append(said, by[key])
			}
			read[name+" "+strings.Join(said, " ")] = v
		}
		for _, m := range all.ScopeMetrics[0].Metrics {
			switch data := m.Data.(type) {
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					note(m.Name, p.Attributes, float64(p.Count))
				}
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					note(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					note(m.Name, p.Attributes, p.Value)
				}
			}
		}
		return read
	}
}

// Requests are counted by service and status, and whether a service is out is told.
// A service that makes statuses up makes no more series than there are classes.
func TestMeasurements(t *testing.T) {
	inBubble(t, func(r *rig) {
		read := r.measured()
		w := r.service(func(s *webhook.Service) { s.Breaker.Failures = 3 })
		n := 0
		ask := func() {
			n++
			_, _ = w.Process(r.t.Context(), r.mail(n, sample(r.t)))
		}
		ask()
		for _, status := range []int{204, 404, 499, 498, 500, 503} {
			r.does(says(status, ""))
			ask()
		}
		before := read()
		r.does(says(599, ""))
		ask() // the third in a row
		ask() // is not sent
		after := read()
		delete(before, "inreply.webhook.failures service:orders 5xx")
		if diff := cmp.Diff(map[string]float64{
			"http.client.request.duration service:orders 200":     1,
			"http.client.request.duration service:orders 204":     1,
			"http.client.request.duration service:orders 404 404": 1,
			"http.client.request.duration service:orders 400 400": 2,
			"http.client.request.duration service:orders 500 500": 1,
			"http.client.request.duration service:orders 503 503": 1,
			"inreply.webhook.failures service:orders 4xx":         3,
			"inreply.webhook.out service:orders":                  0,
		}, before); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if after["http.client.request.duration service:orders 500 500"] != 2 || after["inreply.webhook.failures service:orders 5xx"] != 3 || after["inreply.webhook.out service:orders"] != 1 {
			t.Errorf("after the outage began: %v", after)
		}
	})
}

// A request without an answer says why, and one that we broke off is no failure of
// the service's.
func TestMeasurementsWithoutAnAnswer(t *testing.T) {
	inBubble(t, func(r *rig) {
		read := r.measured()
		w := r.service(func(s *webhook.Service) { s.Timeout = 6 * time.Second })
		r.does(raw(silent))
		_, _ = w.Process(r.t.Context(), r.mail(1, sample(r.t)))
		ctx, cancel := contextFor(r.t, time.Second)
		defer cancel()
		_, _ = w.Process(ctx, r.mail(2, sample(r.t)))
		r.pipes.refusing(errors.New("connection refused"))
		_, _ = w.Process(r.t.Context(), r.mail(3, sample(r.t)))
		if diff := cmp.Diff(map[string]float64{
			"http.client.request.duration service:orders timeout":  1,
			"http.client.request.duration service:orders canceled": 1,
			"http.client.request.duration service:orders connect":  1,
			"inreply.webhook.failures service:orders none":         2,
			"inreply.webhook.out service:orders":                   0,
		}, read()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

// A request is a span, which the service is told.
func TestSpanOfARequest(t *testing.T) {
	inBubble(t, func(r *rig) {
		var spans tracetest.InMemoryExporter
		ctx, above := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&spans)).Tracer("").Start(r.t.Context(), "above")
		w := r.service(nil)
		r.does(says(599, ""))
		_, _ = w.Process(ctx, r.mail(1, sample(r.t)))
		above.End()
		var post tracetest.SpanStub
		for _, s := range spans.GetSpans() {
			if s.Name == "POST" {
				post = s
			}
		}
		said := map[string]string{}
		for _, a := range post.Attributes {
			said[string(a.Key)] = a.Value.String()
		}
		if diff := cmp.Diff(map[string]string{
			"http.request.method": "POST", "server.address": "orders", "server.port": "80",
			"http.response.status_code": "599", "error.type": "500", "dependency": "service:orders",
		}, said); diff != "" || post.SpanKind != trace.SpanKindClient {
			t.Errorf("%s, (-want +got)\n%s", post.SpanKind, diff)
		}
		want := fmt.Sprintf("00-%s-%s-01", post.SpanContext.TraceID(), post.SpanContext.SpanID())
		if got := r.seen()[0].header.Get("Traceparent"); got != want || post.Parent.SpanID() != above.SpanContext().SpanID() {
			t.Errorf("told %s, want %s beneath %s", got, want, above.SpanContext().SpanID())
		}
	})
}
