package inreply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/smithy-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"inreply/mailer"
	"inreply/relay/push"
)

// meteredSES measures what SES is asked, and what it says of its quota.
type meteredSES struct {
	mailer.SES
	took      metric.Float64Histogram
	throttles metric.Int64Counter
	rate      metric.Float64Gauge
	day       metric.Float64Gauge
	used      metric.Float64Gauge
}

func newMeteredSES(client mailer.SES, m metric.Meter) (*meteredSES, error) {
	var faults []error
	gauge := func(name, unit, what string) metric.Float64Gauge {
		g, err := m.Float64Gauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		faults = append(faults, err)
		return g
	}
	took, err := m.Float64Histogram("inreply.ses.duration", metric.WithUnit("s"), metric.WithDescription("time of one call to send a reply"),
		metric.WithExplicitBucketBoundaries(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
	faults = append(faults, err)
	throttles, err := m.Int64Counter("inreply.ses.throttles", metric.WithUnit("{call}"), metric.WithDescription("calls to send that SES refused because they were too many"))
	faults = append(faults, err)
	s := &meteredSES{
		SES: client, took: took, throttles: throttles,
		rate: gauge("inreply.ses.quota.rate", "{mail}/s", "replies a second that SES allows; -1 is any number"),
		day:  gauge("inreply.ses.quota.day", "{mail}", "replies in 24 hours that SES allows; -1 is any number"),
		used: gauge("inreply.ses.quota.used", "{mail}", "replies of the last 24 hours, as SES counts"),
	}
	return s, errors.Join(faults...)
}

// SendRawEmail sends, and measures that.
func (s *meteredSES) SendRawEmail(ctx context.Context, in *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	began := time.Now()
	out, err := s.SES.SendRawEmail(ctx, in, options...)
	var failed []attribute.KeyValue
	if err != nil {
		code := errorType(err)
		failed = append(failed, attribute.String("error.type", code))
		if strings.HasPrefix(code, "Throttling") {
			s.throttles.Add(ctx, 1)
		}
	}
	s.took.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(failed...))
	return out, err //nolint:wrapcheck // the mailer reads what SES said
}

// GetSendQuota asks for the quota, and notes it.
func (s *meteredSES) GetSendQuota(ctx context.Context, in *ses.GetSendQuotaInput, options ...func(*ses.Options)) (*ses.GetSendQuotaOutput, error) {
	out, err := s.SES.GetSendQuota(ctx, in, options...)
	if err == nil {
		s.rate.Record(ctx, out.MaxSendRate)
		s.day.Record(ctx, out.Max24HourSend)
		s.used.Record(ctx, out.SentLast24Hours)
	}
	return out, err //nolint:wrapcheck // the mailer reads what SES said
}

// errorType is what OpenTelemetry calls the class of an error: the code that AWS
// gave, or "_OTHER".
func errorType(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return "_OTHER"
}

// pushCounter counts how SNS's calls end.
func pushCounter(m metric.Meter) (func(context.Context, push.Outcome), error) {
	counter, err := m.Int64Counter("inreply.relay.pushes", metric.WithUnit("{call}"), metric.WithDescription("calls of SNS by how they ended"))
	if err != nil {
		return nil, fmt.Errorf("make the counter of pushes: %w", err)
	}
	return func(ctx context.Context, o push.Outcome) {
		counter.Add(ctx, 1, metric.WithAttributes(attribute.String("outcome", string(o))))
	}, nil
}
