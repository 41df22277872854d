package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"inreply/tracing"
)

func TestSender(t *testing.T) {
	const ours = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		traceparent, header string
		want                string // trace, span, whether it is sampled
	}{
		"nothing":                    {"", "", "00000000000000000000000000000000 0000000000000000 false"},
		"traceparent":                {ours, "", "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 true"},
		"traceparent before X-Ray's": {ours, "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 true"},
		"not sampled":                {ours[:len(ours)-1] + "0", "", "0af7651916cd43dd8448eb211c80319c b7ad6b7169203331 false"},
		"broken traceparent":         {"00-xyz-01", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 true"},
		"X-Ray says no":              {"", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0", "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 false"},
		"X-Ray has not decided":      {"", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=?", "5759e988bd862e3fe1be46a994272793 0000000000000000 false"},
		"X-Ray with the trace only":  {"", "Root=1-5759e988-bd862e3fe1be46a994272793", "5759e988bd862e3fe1be46a994272793 0000000000000000 false"},
		"X-Ray with more fields":     {"", "Self=1-1-1; Root=1-5759e988-bd862e3fe1be46a994272793; Parent=53995c3f42cd8ad8; Sampled=1; Lineage=25:a87bd80c:1", "5759e988bd862e3fe1be46a994272793 53995c3f42cd8ad8 true"},
		"X-Ray of a later version":   {"", "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", "00000000000000000000000000000000 0000000000000000 false"},
		"X-Ray, broken":              {"", "Root=1-2-3;Parent=x;Sampled=1", "00000000000000000000000000000000 0000000000000000 false"},
	} {
		t.Run(name, func(t *testing.T) {
			sent := tracing.Sender(map[string]string{"traceparent": c.traceparent}, c.header)
			if got := fmt.Sprint(sent.TraceID(), " ", sent.SpanID(), " ", sent.IsSampled()); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// What a message is given, its receiver finds.
func TestAttributes(t *testing.T) {
	if got := tracing.Attributes(t.Context()); got != nil {
		t.Errorf("without a trace: %v", got)
	}
	state, err := trace.ParseTraceState("vendor=x")
	if err != nil {
		t.Fatal(err)
	}
	sent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state, Remote: true})
	got := tracing.Sender(tracing.Attributes(trace.ContextWithSpanContext(t.Context(), sent)), "")
	if !got.Equal(sent) {
		t.Errorf("sent %v, received %v", sent, got)
	}
}

// A trace that takes the name of a message is a new one all the same: its first span
// has no parent.
func TestNamed(t *testing.T) {
	var spans tracetest.InMemoryExporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&spans))
	named := tracing.Named("3B241101-e2bb-4255-8caf-4136c566a962")
	_, span := provider.Tracer("").Start(trace.ContextWithRemoteSpanContext(t.Context(), named), "first")
	span.End()
	got := spans.GetSpans()[0]
	if id := got.SpanContext.TraceID().String(); id != "3b241101e2bb42558caf4136c566a962" {
		t.Errorf("trace %s", id)
	}
	if got.Parent.SpanID().IsValid() {
		t.Errorf("parent %s", got.Parent.SpanID())
	}
	if odd := tracing.Named("no UUID"); odd.HasTraceID() {
		t.Errorf("of no UUID: %v", odd)
	}
}

func TestSteps(t *testing.T) {
	var spans tracetest.InMemoryExporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&spans))
	ctx, above := provider.Tracer("").Start(t.Context(), "above")
	called, call := tracing.Call(ctx, "S3", "GetObject")
	_, step := tracing.Begin(called, "step", trace.SpanKindInternal)
	tracing.End(step, fmt.Errorf("get: %w", &smithy.GenericAPIError{Code: "SlowDown", Message: "please"}))
	tracing.End(call, nil)
	above.End()
	got := spans.GetSpans()
	if got[0].Parent.SpanID() != got[1].SpanContext.SpanID() || got[1].Parent.SpanID() != got[2].SpanContext.SpanID() {
		t.Error("the steps do not lie beneath each other")
	}
	if got[1].Name != "S3.GetObject" || got[1].SpanKind != trace.SpanKindClient || got[1].Status.Code != codes.Unset {
		t.Errorf("call: %s, %s, %v", got[1].Name, got[1].SpanKind, got[1].Status)
	}
	if got[0].Status.Code != codes.Error || got[0].Attributes[0].Value.String() != "SlowDown" {
		t.Errorf("failed step: %v %v", got[0].Status, got[0].Attributes)
	}
}

func TestErrorType(t *testing.T) {
	for want, err := range map[string]error{
		"SlowDown": &smithy.GenericAPIError{Code: "SlowDown"},
		"timeout":  fmt.Errorf("wait: %w", context.DeadlineExceeded),
		"canceled": fmt.Errorf("wait: %w", context.Canceled),
		"_OTHER":   errors.New("else"),
	} {
		if got := tracing.ErrorType(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

// Where nobody records, a step is free: also in a trace that was not chosen.
func TestFree(t *testing.T) {
	unchosen := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	failure := errors.New("failed")
	for name, ctx := range map[string]context.Context{
		"no trace": t.Context(), "not chosen": trace.ContextWithRemoteSpanContext(t.Context(), unchosen),
	} {
		got := testing.AllocsPerRun(100, func() {
			ctx, step := tracing.Begin(ctx, "step", trace.SpanKindInternal)
			_, call := tracing.Call(ctx, "S3", "GetObject")
			tracing.End(call, failure)
			tracing.End(step, nil)
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	if got := testing.AllocsPerRun(100, func() { tracing.Sender(nil, "") }); got != 0 {
		t.Errorf("of a message without a trace: %v allocations", got)
	}
}
