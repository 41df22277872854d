package telemetry

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/configs"
)

// Traces is where spans go: to a collector, if the standard variables of
// OpenTelemetry name one, and else nowhere. Make one with [NewTraces], and close it.
type Traces struct {
	provider *sdktrace.TracerProvider // nil: off
	exporter *watched
}

// The variables that name a collector, the more special one first.
const (
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
)

// NewTraces returns Traces as environ says. What is on, the SDK's own variables
// refine: OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_... and the others of
// OTEL_EXPORTER_OTLP_....
func NewTraces(ctx context.Context, config configs.Metrics, version string, environ []string, log *zap.Logger) (*Traces, error) {
	on, err := wanted(variables(environ))
	if err != nil || !on {
		return &Traces{}, err
	}
	described, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", config.ServiceName), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this process: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	w := &watched{SpanExporter: exporter, log: log}
	return &Traces{
		provider: sdktrace.NewTracerProvider(sdktrace.WithBatcher(w), sdktrace.WithResource(described)),
		exporter: w,
	}, nil
}

// variables are those of OpenTelemetry, by name.
func variables(environ []string) map[string]string {
	set := map[string]string{}
	for _, v := range environ {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") && value != "" {
			set[name] = value
		}
	}
	return set
}

// wanted reports whether there is a collector to send traces to. What cannot be done
// is an error: the SDK would do something else instead.
func wanted(set map[string]string) (bool, error) {
	name := tracesEndpoint
	if set[name] == "" {
		name = endpoint
	}
	if set[name] == "" || strings.EqualFold(set["OTEL_SDK_DISABLED"], "true") || set["OTEL_TRACES_EXPORTER"] == "none" {
		return false, nil
	}
	if exporter := set["OTEL_TRACES_EXPORTER"]; exporter != "" && exporter != "otlp" {
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not otlp or none", exporter)
	}
	if at, err := url.Parse(set[name]); err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return false, fmt.Errorf("%s: %q is no URL such as http://127.0.0.1:4318", name, set[name])
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		protocol := set[name]
		if protocol == "" {
			continue
		}
		if protocol != "http/protobuf" && protocol != "http/json" {
			return false, fmt.Errorf("%s: %q is not http/protobuf or http/json: collectors take these at port 4318", name, protocol)
		}
		break
	}
	return true, nil
}

// Tracer is what the packages trace by; nil if nobody wants traces.
func (t *Traces) Tracer() trace.Tracer {
	if t.provider == nil {
		return nil
	}
	return t.provider.Tracer("inreply")
}

// flushing is how long the last spans may take. A process that stops has better to
// do than to wait for a collector.
const flushing = 2 * time.Second

// Close sends what was not sent yet, also after ctx has ended. A collector that does
// not answer is not waited for any longer than flushing, and one that did not answer
// last time not at all.
func (t *Traces) Close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushing)
	defer cancel()
	if t.exporter.failing.Load() {
		t.breakOff(ctx)
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		t.exporter.log.Error("the last traces are lost", zap.Error(err))
		t.breakOff(ctx)
	}
}

// breakOff ends what is under way, and whatever would be sent after it.
func (t *Traces) breakOff(ctx context.Context) {
	_ = t.exporter.SpanExporter.Shutdown(context.WithoutCancel(ctx)) // It has nothing to say.
}

// watched is an exporter whose failures are logged: one after the other is one line,
// not one each.
type watched struct {
	sdktrace.SpanExporter
	log     *zap.Logger
	failing atomic.Bool
}

// ExportSpans sends spans. Those that cannot be sent are lost, and nothing else is.
func (w *watched) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	switch failed := w.failing.Swap(err != nil); {
	case err != nil && !failed:
		w.log.Error("the collector does not take traces: they are lost until it does", zap.Error(err))
	case err == nil && failed:
		w.log.Info("the collector takes traces again")
	}
	return nil
}
