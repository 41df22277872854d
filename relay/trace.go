package relay

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"inreply/queue"
	"inreply/tracing"
)

// traces makes the spans of notices, by OpenTelemetry's conventions for messaging:
//
//	process INTAKE     one attempt at a notice
//	  publish TOPIC    for each object that it announces; whoever receives that is beneath it
//
// S3 says of no trace, and so the trace of a mail commonly begins here. It has the id
// of the notice's message, so that all attempts are in one.
type traces struct {
	tracer                   trace.Tracer // nil: none
	queue, topic             string
	process, called, publish string // names of spans
}

func newTraces(config Config, t trace.Tracer) traces {
	short := func(name string) string { return name[strings.LastIndexAny(name, "/:")+1:] } // of a URL or an ARN
	return traces{t, config.Queue, config.Topic, "process " + short(config.Queue), "process push", "publish " + short(config.Topic)}
}

// begin begins an attempt.
func (t traces) begin(n *notice) {
	if t.tracer == nil {
		return
	}
	sent := tracing.Sender(n.message.Attributes, n.message.Trace)
	if !sent.HasTraceID() {
		sent = tracing.Named(n.message.ID)
	}
	name, from := t.process, []attribute.KeyValue{attribute.String("messaging.system", "aws_sqs"), attribute.String("messaging.destination.name", t.queue)}
	if n.message.Handle == "" { // SNS has called it in
		name, from = t.called, []attribute.KeyValue{attribute.String("messaging.system", "aws.sns")}
	}
	_, n.span = t.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), sent), name,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(from...), trace.WithAttributes(
			attribute.String("messaging.operation.name", "process"), attribute.String("messaging.operation.type", "process"),
			attribute.String("messaging.message.id", n.message.ID), attribute.Int("inreply.receives", n.message.ReceiveCount),
		))
}

// in is the context of an attempt.
func (n *notice) in(ctx context.Context) context.Context {
	if n.span == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, n.span)
}

// end ends an attempt.
func (t traces) end(n *notice) {
	if n.span == nil {
		return
	}
	n.span.SetAttributes(attribute.String("inreply.outcome", string(n.outcome())))
	err := n.later
	if err == nil {
		err = n.wrong
	}
	tracing.End(n.span, err)
}

// out begins the publish of one object, and has the message carry its trace.
func (t traces) out(ctx context.Context, n *notice, o *queue.Outgoing) trace.Span {
	ctx, span := tracing.Begin(n.in(ctx), t.publish, trace.SpanKindProducer)
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("messaging.system", "aws.sns"), attribute.String("messaging.destination.name", t.topic),
			attribute.String("messaging.operation.name", "publish"), attribute.String("messaging.operation.type", "send"),
			attribute.Int("messaging.message.body.size", len(o.Body)), attribute.String("inreply.group", o.Group),
		)
	}
	// One that was not chosen says so too, or the consumer would choose anew.
	o.Attributes = tracing.Attributes(ctx)
	return span
}

// published ends the publish of one object.
func published(span trace.Span, r queue.Result) {
	if span.IsRecording() {
		span.SetAttributes(attribute.String("messaging.message.id", r.ID))
	}
	tracing.End(span, r.Err)
}
