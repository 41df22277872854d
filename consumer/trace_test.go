package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"inreply/consumer"
	"inreply/queue"
)

// traceparent is what a sender says in these tests.
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// sendTraced sends a message that carries a trace, or none.
func (r *rig) sendTraced(traceparent string) {
	r.t.Helper()
	out := queue.Outgoing{Body: "a", Group: "g", DeduplicationID: "a"}
	if traceparent != "" {
		out.Attributes = map[string]string{"traceparent": traceparent}
	}
	if result := r.queue.Send(context.Background(), []queue.Outgoing{out})[0]; result.Err != nil {
		r.t.Fatal(result.Err)
	}
}

// recorder is a tracer, and what it recorded.
func recorder(options ...sdktrace.TracerProviderOption) (trace.Tracer, *tracetest.InMemoryExporter) {
	var spans tracetest.InMemoryExporter
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(&spans))...)
	return provider.Tracer(""), &spans
}

// loggedTrace is the trace in the line in which a message ended.
func (r *rig) loggedTrace(outcome string) string {
	r.t.Helper()
	lines := r.logs.FilterMessage(outcome).All()
	if len(lines) != 1 {
		r.t.Fatalf("%d lines %s", len(lines), outcome)
	}
	text, _ := lines[0].ContextMap()["trace"].(string)
	return text
}

// Without a tracer the trace that came is handed on, and ends in the log and in the
// dead letter.
func TestTraceIsHandedOn(t *testing.T) {
	inBubble(t, func(r *rig) {
		var seen trace.SpanContext
		r.handle(func(ctx context.Context, _ queue.Message, _ int) error {
			seen = trace.SpanContextFromContext(ctx)
			return errors.New("fails")
		})
		r.config.Attempts = 1
		r.sendTraced(traceparent)
		r.run(time.Minute)
		if got := seen.TraceID().String() + "-" + seen.SpanID().String(); got != traceparent[3:len(traceparent)-3] || !seen.IsRemote() {
			t.Errorf("the worker sees %s", got)
		}
		if got := r.loggedTrace("dead-lettered"); got != traceparent[3:35] {
			t.Errorf("logged %q", got)
		}
		letter := r.letters()[0]
		var why consumer.DeadLetter
		if err := json.Unmarshal([]byte(letter.Attributes[consumer.DeadLetterAttribute]), &why); err != nil || why.Trace != traceparent[3:35] {
			t.Errorf("%v: the dead letter is of trace %q", err, why.Trace)
		}
		if letter.Attributes["traceparent"] != traceparent {
			t.Errorf("a redrive would not go on with it: %v", letter.Attributes)
		}
	})
}

// Where there is no trace at all, that of a mail is named after the mail, as an
// application service is told it.
func TestTraceNamedAfterTheMail(t *testing.T) {
	inBubble(t, func(r *rig) {
		mail := strings.Repeat("0123456789abcdef", 4)
		r.parts.Worker = knowing(consumer.Result{Mail: mail})
		r.sendTraced("")
		r.run(time.Minute)
		if got := r.loggedTrace("deleted"); got != mail[:32] {
			t.Errorf("logged %q", got)
		}
	})
}

// knowing is a Worker that succeeds, with a result.
type knowing consumer.Result

func (k knowing) Work(context.Context, queue.Message, int) (consumer.Result, error) {
	return consumer.Result(k), nil
}

// A message is received, tried and deleted in its sender's trace, or else in one with
// the message's id. Between what is sent and what is worked on lies the time that it
// waited for its turn.
func TestSpansOfAMessage(t *testing.T) {
	for name, sent := range map[string]string{"sender's trace": traceparent, "no trace": ""} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				var spans *tracetest.InMemoryExporter
				r.parts.Tracer, spans = recorder()
				r.config.Backoff.Base = time.Second
				var id string
				r.handle(func(ctx context.Context, m queue.Message, try int) error {
					if !trace.SpanFromContext(ctx).IsRecording() {
						t.Error("the worker's context has no span")
					}
					id = m.ID
					time.Sleep(time.Second)
					if try == 1 {
						return errors.New("fails")
					}
					return nil
				})
				_, stop := r.start()
				time.Sleep(5 * time.Second) // the receive is open for longer than the message is there
				r.sendTraced(sent)
				time.Sleep(time.Minute)
				stop()
				got := spans.GetSpans()
				names := make([]string, len(got))
				for i, s := range got {
					names[i] = s.Name
				}
				if list := strings.Join(names, ", "); list != "receive mail.fifo, process mail.fifo, process mail.fifo, delete mail.fifo" {
					t.Fatal(list)
				}
				receive, first, second, settle := got[0], got[1], got[2], got[3]
				want := strings.ReplaceAll(id, "-", "")
				if sent != "" {
					want = sent[3:35]
				}
				for _, s := range got {
					if s.SpanContext.TraceID().String() != want {
						t.Errorf("%s: trace %s, want %s", s.Name, s.SpanContext.TraceID(), want)
					}
				}
				if parent := receive.Parent.SpanID(); sent == "" && parent.IsValid() || sent != "" && parent.String() != sent[36:52] {
					t.Errorf("received beneath %s", parent)
				}
				if first.Parent.SpanID() != receive.SpanContext.SpanID() || second.Parent.SpanID() != receive.SpanContext.SpanID() || settle.Parent.SpanID() != second.SpanContext.SpanID() {
					t.Error("the spans do not lie beneath each other")
				}
				if took := receive.EndTime.Sub(receive.StartTime); took >= 5*time.Second {
					t.Errorf("received for %s: longer than the message was there", took)
				}
				if took := first.EndTime.Sub(first.StartTime); took != time.Second {
					t.Errorf("tried for %s", took)
				}
				for i, s := range []tracetest.SpanStub{first, second} {
					if !slices.Contains(s.Attributes, attribute.Int("inreply.try", i+1)) {
						t.Errorf("try %d says %v", i+1, s.Attributes)
					}
				}
				if r.loggedTrace("deleted") != want {
					t.Errorf("logged %s", r.loggedTrace("deleted"))
				}
			})
		})
	}
}

// A trace that its sender has not chosen is not recorded here either.
func TestTraceThatIsNotChosen(t *testing.T) {
	inBubble(t, func(r *rig) {
		var spans *tracetest.InMemoryExporter
		r.parts.Tracer, spans = recorder()
		r.sendTraced(traceparent[:len(traceparent)-1] + "0")
		r.run(time.Minute)
		if got := spans.GetSpans(); len(got) > 0 {
			t.Errorf("%d spans", len(got))
		}
		if got := r.loggedTrace("deleted"); got != traceparent[3:35] {
			t.Errorf("logged %q", got)
		}
	})
}
