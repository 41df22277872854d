package relay_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"inreply/tracing"
)

// traced gives the rig a tracer, and returns what it records.
func (r *rig) traced(options ...sdktrace.TracerProviderOption) *tracetest.InMemoryExporter {
	var spans tracetest.InMemoryExporter
	r.tracer = sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(&spans))...).Tracer("")
	return &spans
}

// Each object that is published carries the span of its publish, and what one notice
// announces is in one trace, which has the notice's id.
func TestTraceBegins(t *testing.T) {
	inBubble(t, func(r *rig) {
		spans := r.traced()
		m := r.intake.put(notice("inbound/a", "inbound/b"))[0]
		m.ID = "3b241101-e2bb-4255-8caf-4136c566a962"
		r.run()
		after(0)
		checkRelayed(t, r, "inbound/a", "inbound/b")
		got := spans.GetSpans()
		if len(got) != 3 || got[2].Name != "process intake" || got[2].SpanKind != trace.SpanKindConsumer || got[2].Parent.SpanID().IsValid() {
			t.Fatalf("%d spans, last %+v", len(got), got[len(got)-1])
		}
		for i, published := range got[:2] {
			if published.Name != "publish mail.fifo" || published.SpanKind != trace.SpanKindProducer || published.Parent.SpanID() != got[2].SpanContext.SpanID() {
				t.Errorf("%+v", published)
			}
			if published.SpanContext.TraceID().String() != strings.ReplaceAll(m.ID, "-", "") {
				t.Errorf("trace %s", published.SpanContext.TraceID())
			}
			sent := tracing.Sender(r.topic.all()[i].Attributes, "")
			if sent.SpanID() != published.SpanContext.SpanID() || sent.TraceID() != published.SpanContext.TraceID() || !sent.IsSampled() {
				t.Errorf("the message carries %v", sent)
			}
		}
	})
}

// A notice that comes in a trace stays in it, at every attempt.
func TestTraceGoesOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		spans := r.traced()
		r.topic.whole = func(call int) error {
			if call == 1 {
				return errors.New("503")
			}
			return nil
		}
		m := r.intake.put(notice("inbound/a"))[0]
		m.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
		r.run()
		after(time.Minute)
		checkRelayed(t, r, "inbound/a")
		var names []string
		for _, s := range spans.GetSpans() {
			names = append(names, s.Name)
			if s.SpanContext.TraceID().String() != "5759e988bd862e3fe1be46a994272793" {
				t.Errorf("%s is in trace %s", s.Name, s.SpanContext.TraceID())
			}
			if s.Name == "process intake" && s.Parent.SpanID().String() != "53995c3f42cd8ad8" {
				t.Errorf("%s lies beneath %s", s.Name, s.Parent.SpanID())
			}
		}
		if got := strings.Join(names, ", "); got != "publish mail.fifo, process intake, publish mail.fifo, process intake" {
			t.Error(got)
		}
	})
}

// That a trace was not chosen is told too, or whoever receives would choose anew.
func TestTraceThatIsNotChosen(t *testing.T) {
	inBubble(t, func(r *rig) {
		spans := r.traced(sdktrace.WithSampler(sdktrace.NeverSample()))
		r.intake.put(notice("inbound/a"))
		r.run()
		after(0)
		checkRelayed(t, r, "inbound/a")
		if got := tracing.Sender(r.topic.all()[0].Attributes, ""); !got.IsValid() || got.IsSampled() || len(spans.GetSpans()) > 0 {
			t.Errorf("the message carries %v, and %d spans are recorded", got, len(spans.GetSpans()))
		}
	})
}

// Without a tracer a message carries nothing.
func TestNoTrace(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.intake.put(notice("inbound/a"))
		r.run()
		after(0)
		if got := r.topic.all(); len(got) != 1 || got[0].Attributes != nil {
			t.Errorf("published %+v", got)
		}
	})
}

// What SNS calls in has a trace too.
func TestTraceOfACall(t *testing.T) {
	inBubble(t, func(r *rig) {
		spans := r.traced()
		r.run()
		if err := r.relay.Take(t.Context(), "3b241101-e2bb-4255-8caf-4136c566a962", notice("inbound/a")); err != nil {
			t.Fatal(err)
		}
		got := spans.GetSpans()
		if len(got) != 2 || got[1].Name != "process push" || tracing.Sender(r.topic.all()[0].Attributes, "").SpanID() != got[0].SpanContext.SpanID() {
			t.Errorf("%+v", got)
		}
	})
}
