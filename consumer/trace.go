package consumer

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"inreply/tracing"
)

// traces makes the spans of messages, as OpenTelemetry's conventions for messaging
// have them: receive, beneath the span that the message was sent in; process for
// each try, beneath that; and beneath the last try the message's delete, as settle.
//
//	receive QUEUE           from when it could be received until it was here
//	  process QUEUE         one try: what the Worker does lies beneath it
//	    send dead letter
//	    delete QUEUE        from the end of the work until SQS has confirmed it
//
// A message of which its sender says no trace is in one that has the message's id.
type traces struct {
	tracer                   trace.Tracer // nil: none
	queue                    string       // as the meters call it
	receive, process, delete string       // names of spans
}

func newTraces(t trace.Tracer, queue string) traces {
	short := queue[strings.LastIndexAny(queue, "/:")+1:] // of a URL or an ARN
	return traces{t, queue, "receive " + short, "process " + short, "delete " + short}
}

// operation is what every span of a message says.
func (t traces) operation(l *lease, name, kind string) trace.SpanStartEventOption {
	return trace.WithAttributes(
		attribute.String("messaging.system", "aws_sqs"), attribute.String("messaging.destination.name", t.queue),
		attribute.String("messaging.operation.name", name), attribute.String("messaging.operation.type", kind),
		attribute.String("messaging.message.id", l.message.ID),
	)
}

// begin begins the try of l. Without a tracer the context has what the sender says,
// for those who are asked on the mail's behalf.
func (t traces) begin(ctx context.Context, l *lease) context.Context {
	if l.buried != nil {
		return ctx
	}
	if t.tracer == nil {
		if sent := tracing.Sender(l.message.Attributes, l.message.Trace); sent.IsValid() {
			ctx = trace.ContextWithRemoteSpanContext(ctx, sent)
		}
		return ctx
	}
	if !l.traced.IsValid() {
		l.traced = t.received(l)
	}
	ctx, _ = t.tracer.Start(trace.ContextWithSpanContext(ctx, l.traced), t.process,
		trace.WithSpanKind(trace.SpanKindConsumer), t.operation(l, "process", "process"),
		trace.WithAttributes(
			attribute.Int("messaging.message.body.size", len(l.message.Body)), attribute.String("inreply.group", l.message.Group),
			attribute.Int("inreply.receives", l.message.ReceiveCount),
		))
	return ctx
}

// received is the span of l's receive. It began when the queue was asked, or when the
// message came into the queue if that was later, as far as clocks agree.
func (t traces) received(l *lease) trace.SpanContext {
	sent := tracing.Sender(l.message.Attributes, l.message.Trace)
	if !sent.HasTraceID() {
		sent = tracing.Named(l.message.ID)
	}
	began := l.received
	if l.message.Sent.After(began) {
		began = l.message.Sent
	}
	if began.After(l.arrived) {
		began = l.arrived
	}
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), sent), t.receive,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began), t.operation(l, "receive", "receive"))
	span.End(trace.WithTimestamp(l.arrived))
	return span.SpanContext()
}

// end ends the try of ctx.
func (t traces) end(ctx context.Context, f final, v verdict, err error) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(
		attribute.Int("inreply.try", f.try), attribute.String("inreply.disposition", string(v.disposition)),
		attribute.String("inreply.mail", f.result.Mail), attribute.String("inreply.route", f.result.Route),
	)
	if err == nil {
		span.SetAttributes(attribute.String("inreply.outcome", f.outcome()), attribute.String("inreply.reason", f.code()))
	}
	// To be put off, or to be stopped, is no failure.
	if v.counted || v.disposition == hold || v.disposition == park {
		tracing.Fail(span, err)
	}
	span.End()
}

// bury begins the sending of the dead letter of l.
func (t traces) bury(ctx context.Context, l *lease) trace.Span {
	above := l.buried.trace
	if t.tracer == nil || !above.IsSampled() {
		return trace.SpanFromContext(ctx)
	}
	_, span := t.tracer.Start(trace.ContextWithSpanContext(ctx, above), "send dead letter", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(
			attribute.String("messaging.system", "aws_sqs"), attribute.String("messaging.operation.name", "send"),
			attribute.String("messaging.operation.type", "send"), attribute.String("inreply.reason", clean(l.buried.deadLetter)),
		))
	return span
}

// settled is the span of a delete that was answered.
func (t traces) settled(l *lease, err error) {
	if t.tracer == nil || !l.final.trace.IsSampled() {
		return
	}
	_, span := t.tracer.Start(trace.ContextWithSpanContext(context.Background(), l.final.trace), t.delete,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(l.done), t.operation(l, "delete", "settle"))
	tracing.End(span, err)
}

// traceID is the trace that a message is in, as application services are told it too:
// its sender's or the tracer's, or else the first half of the mail's id.
func (f final) traceID() string {
	const length = 2 * len(trace.TraceID{})
	switch {
	case f.trace.IsValid():
		return f.trace.TraceID().String()
	case len(f.result.Mail) >= length:
		return f.result.Mail[:length]
	}
	return ""
}
