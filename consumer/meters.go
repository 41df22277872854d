package consumer

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/zap"

	"inreply/email"
)

// meters are the consumer's instruments. Their attribute sets are made once:
// a counter is used for every message.
type meters struct {
	received        metric.Int64Counter
	receiveFailures metric.Int64Counter
	lost            metric.Int64Counter
	parked          metric.Int64Counter
	throttled       metric.Int64Counter
	undeleted       metric.Int64Counter
	ended           metric.Int64Counter
	tries           metric.Float64Histogram
	dispositions    map[disposition]metric.MeasurementOption
	outcomes        map[string]metric.MeasurementOption
}

// The ends of a message that no handler names.
const (
	deadLettered = "dead-lettered"
	deleted      = "deleted"
)

func newMeters(m metric.Meter) (meters, error) {
	var faults []error
	counter := func(name, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithDescription(what))
		faults = append(faults, err)
		return c
	}
	ms := meters{
		received:        counter("inreply.consumer.received", "messages received"),
		receiveFailures: counter("inreply.consumer.receive_failures", "calls to receive that failed"),
		lost:            counter("inreply.consumer.leases_lost", "leases lost before their message was done"),
		parked:          counter("inreply.consumer.parked", "messages given back because an application service is out"),
		throttled:       counter("inreply.consumer.throttled", "tries that were told to come later"),
		undeleted:       counter("inreply.consumer.undeleted", "messages handled whose delete did not come through"),
		ended:           counter("inreply.consumer.messages", "messages by how they ended"),
		dispositions:    map[disposition]metric.MeasurementOption{},
		outcomes:        map[string]metric.MeasurementOption{},
	}
	for _, d := range []disposition{acknowledge, retry, bury, hold, park, yield, drop} {
		ms.dispositions[d] = metric.WithAttributeSet(attribute.NewSet(attribute.String("disposition", string(d))))
	}
	for _, o := range []string{string(email.Answered), string(email.Silent), string(email.Processed), deadLettered, deleted} {
		ms.outcomes[o] = metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", o)))
	}
	tries, err := m.Float64Histogram("inreply.consumer.try_duration", metric.WithUnit("s"), metric.WithDescription("time of one try"))
	ms.tries = tries
	return ms, errors.Join(append(faults, err)...)
}

func (m meters) try(took time.Duration, d disposition) {
	m.tries.Record(context.Background(), took.Seconds(), m.dispositions[d])
}

// final is how a message ended.
type final struct {
	result     Result
	deadLetter string // the reason, if it was dead-lettered
	try        int
	took       time.Duration
}

// outcome is how the message ended, in a word.
func (f final) outcome() string {
	if f.deadLetter != "" {
		return deadLettered
	}
	if f.result.Kind == "" {
		return deleted
	}
	return string(f.result.Kind)
}

// log writes the one line that every message ends in.
func (f final) log(c *Consumer, l *lease, now time.Time) {
	outcome := f.outcome()
	c.meters.ended.Add(context.Background(), 1, c.meters.outcomes[outcome])
	entry := c.log.Check(zap.InfoLevel, outcome)
	if f.deadLetter != "" {
		entry = c.log.Check(zap.WarnLevel, outcome)
	}
	if entry == nil {
		return
	}
	reason := f.result.Reason
	if f.deadLetter != "" {
		reason = f.deadLetter
	}
	entry.Write(
		zap.String("outcome", outcome), zap.String("reason", reason), zap.String("route", f.result.Route),
		zap.String("bucket", f.result.Bucket), zap.String("key", f.result.Key), zap.String("mail", f.result.Mail),
		zap.String("from", f.result.From), zap.String("ses", f.result.Sent.ID), zap.String("to", f.result.Sent.To),
		zap.Bool("repeated", f.result.Sent.Repeated), zap.Bool("unknown", f.result.Sent.Unknown),
		zap.String("message", l.message.ID), zap.String("group", l.message.Group),
		zap.Int("try", f.try), zap.Int("receives", l.message.ReceiveCount),
		zap.Duration("took", f.took), zap.Duration("age", now.Sub(l.message.Sent)),
		zap.String("trace", l.message.Attributes[traceAttribute]),
	)
}
