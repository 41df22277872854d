package telemetry

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"inreply/configs"
)

// tracesTo are Traces that go to an exporter.
func tracesTo(e trace.SpanExporter) (*Traces, *observer.ObservedLogs) {
	core, logs := observer.New(zap.InfoLevel)
	w := &watched{SpanExporter: e, log: zap.New(core)}
	return &Traces{provider: trace.NewTracerProvider(trace.WithBatcher(w)), exporter: w}, logs
}

// hanging is an exporter to a collector that does not answer, until it is shut down.
type hanging struct{ ended chan struct{} }

func (h hanging) ExportSpans(ctx context.Context, _ []trace.ReadOnlySpan) error {
	select {
	case <-h.ended:
		return errors.New("shut down")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h hanging) Shutdown(context.Context) error {
	select {
	case <-h.ended:
	default:
		close(h.ended)
	}
	return nil
}

// A collector that hangs delays the end by no more than flushing, though ctx has
// ended, and what waits for it ends too. Once it is known to hang it delays nothing.
func TestACollectorThatHangs(t *testing.T) {
	for name, c := range map[string]struct {
		before, want time.Duration
		logged       string
	}{
		"at the end": {0, flushing, "the last traces are lost"},
		"before":     {time.Minute, 0, "the collector does not take traces: they are lost until it does"}, // known after the timeout of an export, 30 s
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				traces, logs := tracesTo(hanging{make(chan struct{})})
				for range 10_000 { // more than the queue takes: nobody waits for room
					_, span := traces.Tracer().Start(t.Context(), "step")
					span.End()
				}
				time.Sleep(c.before)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				began := time.Now()
				traces.Close(ctx)
				if took := time.Since(began); took != c.want {
					t.Errorf("closing took %s, want %s", took, c.want)
				}
				synctest.Wait()
				if logs.FilterMessage(c.logged).Len() != 1 {
					t.Errorf("logged %v", logs.All())
				}
			})
		})
	}
}

// refusing is an exporter to a collector that refuses what it is sent, until it does
// not.
type refusing struct {
	exports atomic.Int64
	until   int64
}

func (r *refusing) ExportSpans(context.Context, []trace.ReadOnlySpan) error {
	if r.exports.Add(1) <= r.until {
		return errors.New("503")
	}
	return nil
}

func (r *refusing) Shutdown(context.Context) error { return nil }

// An outage of the collector is two lines in the log, however long it lasts.
func TestACollectorThatRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traces, logs := tracesTo(&refusing{until: 3})
		for range 6 {
			_, span := traces.Tracer().Start(t.Context(), "step")
			span.End()
			time.Sleep(time.Minute)
		}
		traces.Close(t.Context())
		var lines []string
		for _, l := range logs.All() {
			lines = append(lines, l.Message)
		}
		if got := strings.Join(lines, "; "); got != "the collector does not take traces: they are lost until it does; the collector takes traces again" {
			t.Error(got)
		}
	})
}

func TestWanted(t *testing.T) {
	const at = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
	for name, c := range map[string]struct {
		environ []string
		on      bool
		wrong   string // in the error
	}{
		"nothing set":         {nil, false, ""},
		"an empty one":        {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT="}, false, ""},
		"a collector":         {[]string{at}, true, ""},
		"one for traces":      {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector.internal/v1/traces"}, true, ""},
		"one for metrics":     {[]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://127.0.0.1:4318/v1/metrics"}, false, ""},
		"disabled":            {[]string{at, "OTEL_SDK_DISABLED=true"}, false, ""},
		"no traces":           {[]string{at, "OTEL_TRACES_EXPORTER=none"}, false, ""},
		"OTLP":                {[]string{at, "OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"}, true, ""},
		"another exporter":    {[]string{at, "OTEL_TRACES_EXPORTER=zipkin"}, false, "OTEL_TRACES_EXPORTER"},
		"gRPC":                {[]string{at, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, false, "4318"},
		"gRPC, not of traces": {[]string{at, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, true, ""},
		"no URL":              {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318"}, false, "http://127.0.0.1:4318"},
	} {
		t.Run(name, func(t *testing.T) {
			traces, err := NewTraces(t.Context(), configs.Metrics{ServiceName: "inreply"}, "test", c.environ, zap.NewNop())
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("error %v, want %s", err, c.wrong)
				}
				return
			}
			if err != nil || (traces.Tracer() != nil) != c.on {
				t.Fatalf("on %t, %v", traces.Tracer() != nil, err)
			}
			traces.Close(t.Context())
		})
	}
}
