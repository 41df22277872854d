// Package tracing is what a mail's trace has in common from package to package:
// how a step begins and ends, and how the trace gets from message to message.
//
// A trace begins where a message is taken up, by the Tracer that the relay and
// the consumer were given. Every step beneath asks the span that it finds in its
// context: where that one is recorded, [Begin] makes a span beneath it, and where
// none is, because nobody wants traces or this one was not chosen, Begin costs
// nothing and allocates nothing.
//
// Between two processes the trace travels as W3C Trace Context, in the message
// attributes traceparent and tracestate; what AWS itself says of it, in X-Ray's
// form, counts where those are missing.
package tracing

import (
	"context"
	"errors"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name of the instrumentation.
const Scope = "inreply"

// Begin begins a step of what ctx is at. Attributes are set on the span only if it
// is recorded: making them costs.
func Begin(ctx context.Context, name string, kind trace.SpanKind) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, above
	}
	return above.TracerProvider().Tracer(Scope).Start(ctx, name, trace.WithSpanKind(kind))
}

// Call begins a call of an AWS API, named as the conventions for the AWS SDK have it.
func Call(ctx context.Context, service, operation string) (context.Context, trace.Span) {
	above := trace.SpanFromContext(ctx)
	if !above.IsRecording() {
		return ctx, above
	}
	ctx, span := Begin(ctx, service+"."+operation, trace.SpanKindClient)
	span.SetAttributes(attribute.String("rpc.system.name", "aws-api"), attribute.String("rpc.method", service+"/"+operation))
	return ctx, span
}

// End ends a step, which failed unless err is nil.
func End(span trace.Span, err error) {
	if err != nil {
		Fail(span, err)
	}
	span.End()
}

// longestReason bounds what a span says of its error, in octets.
const longestReason = 512

// Fail says that a step failed.
func Fail(span trace.Span, err error) {
	if !span.IsRecording() {
		return
	}
	why := err.Error()
	span.SetStatus(codes.Error, strings.ToValidUTF8(why[:min(len(why), longestReason)], ""))
	span.SetAttributes(attribute.String("error.type", ErrorType(err)))
}

// ErrorType is what OpenTelemetry calls the class of an error (error.type): the code
// that AWS gave, or one of a few words.
func ErrorType(err error) string {
	coded, ok := errors.AsType[interface {
		error
		ErrorCode() string
	}](err)
	switch {
	case ok && coded.ErrorCode() != "":
		return coded.ErrorCode()
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return "_OTHER"
}

// Attributes carry the trace of ctx with a message; nil if there is none.
func Attributes(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	attributes := map[string]string{}
	propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(attributes))
	return attributes
}

// Sender is the span in which a message was sent: what its attributes say, or else
// X-Ray's header. It has no id where only the trace is known, and nothing at all
// where not even that is.
func Sender(attributes map[string]string, header string) trace.SpanContext {
	if attributes["traceparent"] != "" {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier(attributes))
		if sent := trace.SpanContextFromContext(ctx); sent.IsValid() {
			return sent
		}
	}
	return xray(header)
}

// xray reads X-Ray's header, such as
//
//	Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1
//
// ("Tracing header" in the X-Ray developer guide). Where nobody has decided yet
// whether to sample, only the trace is taken from it, so that it is decided here.
func xray(header string) trace.SpanContext {
	config := trace.SpanContextConfig{Remote: true}
	decided := false
	for field := range strings.SplitSeq(header, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Root":
			version, id, _ := strings.Cut(value, "-")
			if version == "1" {
				config.TraceID = traceID(id)
			}
		case "Parent":
			config.SpanID, _ = trace.SpanIDFromHex(value)
		case "Sampled":
			decided = value == "0" || value == "1"
			config.TraceFlags = config.TraceFlags.WithSampled(value == "1")
		}
	}
	if !config.TraceID.IsValid() {
		return trace.SpanContext{}
	}
	if !decided {
		config.SpanID = trace.SpanID{}
	}
	return trace.NewSpanContext(config)
}

// Named is a trace that nobody has begun, with the id of a message in the place of
// its own: every try of the message belongs to it, whoever makes it.
func Named(message string) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(message), Remote: true})
}

// traceID is a UUID, or X-Ray's id, without its hyphens; zero if it is neither.
func traceID(s string) trace.TraceID {
	id, _ := trace.TraceIDFromHex(strings.ToLower(strings.ReplaceAll(s, "-", "")))
	return id
}
