package consumer

import (
	"errors"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"inreply/queue"
)

// Without a tracer, a message costs no allocation on the way through its spans.
func TestTracesAreFree(t *testing.T) {
	traces := newTraces(nil, "mail.fifo")
	l := &lease{message: queue.Message{ID: "3b241101-e2bb-4255-8caf-4136c566a962", Body: "x", Group: "g"}}
	buried := &lease{message: l.message, buried: &burial{}}
	failure := errors.New("failed")
	ctx := t.Context()
	got := testing.AllocsPerRun(100, func() {
		ctx := traces.begin(ctx, l)
		f := final{trace: trace.SpanContextFromContext(ctx)}
		traces.end(ctx, f, verdict{disposition: retry, counted: true}, failure)
		traces.bury(ctx, buried).End()
		l.final = f
		traces.settled(l, failure)
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
