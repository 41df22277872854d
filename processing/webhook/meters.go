package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sony/gobreaker/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"inreply/tracing"
)

// meters are the instruments of one service, by OpenTelemetry's conventions for HTTP
// clients where these have a name.
type meters struct {
	took     metric.Float64Histogram
	failures metric.Int64Counter
	who      attribute.KeyValue   // the service, as an outage calls it
	common   []attribute.KeyValue // of every request
}

func newMeters(m metric.Meter, w *Webhook) (*meters, error) {
	if m == nil {
		m = noop.NewMeterProvider().Meter(tracing.Scope)
	}
	// The buckets are those that the conventions ask for.
	took, err := m.Float64Histogram("http.client.request.duration", metric.WithUnit("s"), metric.WithDescription("time of one request to an application service"),
		metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	faults := []error{err}
	failures, err := m.Int64Counter("inreply.webhook.failures", metric.WithUnit("{call}"), metric.WithDescription("requests to an application service that were not answered with 2xx"))
	faults = append(faults, err)
	out, err := m.Float64ObservableGauge("inreply.webhook.out", metric.WithUnit("1"), metric.WithDescription("1 while an application service counts as out, else 0"))
	faults = append(faults, err)
	ms := &meters{took: took, failures: failures, who: attribute.String("dependency", "service:"+w.name), common: common(w.service.URL)}
	service := metric.WithAttributeSet(attribute.NewSet(ms.who))
	_, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		now := 0.0
		if w.breaker.State() != gobreaker.StateClosed {
			now = 1
		}
		o.ObserveFloat64(out, now, service)
		return nil
	}, out)
	return ms, errors.Join(append(faults, err)...)
}

// common are the attributes of every request to an address. Of the URL there is
// neither path nor query: there may be a key in it.
func common(address string) []attribute.KeyValue {
	to, err := url.Parse(address)
	if err != nil {
		return nil // The settings were checked.
	}
	port := map[string]int{"http": 80, "https": 443}[to.Scheme]
	if named, err := strconv.Atoi(to.Port()); err == nil {
		port = named
	}
	return []attribute.KeyValue{
		attribute.String("http.request.method", http.MethodPost),
		attribute.String("server.address", to.Hostname()), attribute.Int("server.port", port),
	}
}

// measurement is one request under way.
type measurement struct {
	meters *meters
	began  time.Time
	span   trace.Span
}

// begin begins to measure a request. What is sent under its context belongs to its
// span.
func (w *Webhook) begin(ctx context.Context) (context.Context, measurement) {
	ctx, span := tracing.Begin(ctx, http.MethodPost, trace.SpanKindClient)
	if span.IsRecording() {
		span.SetAttributes(w.meters.common...)
		span.SetAttributes(w.meters.who)
	}
	return ctx, measurement{w.meters, time.Now(), span}
}

// end is the end of a request: its status, or 0, and why there is no answer.
func (m measurement) end(ctx context.Context, status int, err error) {
	kind := ""
	switch {
	case err != nil:
		kind = errorType(err)
	case status >= http.StatusBadRequest:
		kind = strconv.Itoa(recognized(status))
	}
	if f, ok := errors.AsType[*failure](err); !ok || !f.ours { // or else nothing was sent
		m.measure(ctx, status, kind)
	}
	if !m.span.IsRecording() {
		return
	}
	if status != 0 {
		m.span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if err != nil {
		tracing.Fail(m.span, err)
	}
	if kind != "" {
		m.span.SetStatus(codes.Error, "")
		m.span.SetAttributes(attribute.String("error.type", kind))
	}
	m.span.End()
}

// measure counts a request that was sent. One that we broke off is no failure of the
// service's.
func (m measurement) measure(ctx context.Context, status int, kind string) {
	attributes := append([]attribute.KeyValue{m.meters.who}, m.meters.common...)
	if status != 0 {
		attributes = append(attributes, attribute.Int("http.response.status_code", recognized(status)))
	}
	if kind != "" {
		attributes = append(attributes, attribute.String("error.type", kind))
	}
	m.meters.took.Record(ctx, time.Since(m.began).Seconds(), metric.WithAttributes(attributes...))
	if kind != canceled && (kind != "" || status/100 != 2) {
		m.meters.failures.Add(ctx, 1, metric.WithAttributes(m.meters.who, attribute.String("status", class(status))))
	}
}

// recognized is a status that HTTP knows: others mean the same as the x00 of their class
// (RFC 9110, section 15). So a service cannot make a new series of each answer.
func recognized(status int) int {
	if http.StatusText(status) != "" {
		return status
	}
	return status / 100 * 100
}

// class is the class of a status, such as "5xx"; "none" if there was no answer.
func class(status int) string {
	if status == 0 {
		return "none"
	}
	return strconv.Itoa(status/100) + "xx"
}

// canceled is the error.type of a request that we broke off.
const canceled = "canceled"

// errorType is why there is no answer, in a word.
func errorType(err error) string {
	op, dialing := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, errSlow):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return canceled
	case dialing && op.Op == "dial":
		return "connect"
	}
	return tracing.ErrorType(err)
}
