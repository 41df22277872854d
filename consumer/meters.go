package consumer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"inreply/email"
)

// meters are the consumer's instruments. Their attribute sets are made once:
// a counter is used for every message. Where OpenTelemetry has a name for what is
// measured, it is that ("Semantic conventions for messaging client metrics").
type meters struct {
	polls           metric.Int64Counter
	received        metric.Int64Counter
	receiveFailures metric.Int64Counter
	lost            metric.Int64Counter
	parked          metric.Int64Counter
	outages         metric.Int64Counter
	throttled       metric.Int64Counter
	undeleted       metric.Int64Counter
	ended           metric.Int64Counter
	took            metric.Float64Histogram
	tries           metric.Float64Histogram
	receiving       metric.MeasurementOption
	dispositions    map[disposition]metric.MeasurementOption
	outcomes        map[string]metric.MeasurementOption
	ends            *ends
}

// ends are the attribute sets of how mails ended. There are few: outcomes, reasons
// as words, and the routes of the settings.
type ends struct {
	mu   sync.Mutex
	sets map[end]metric.MeasurementOption
}

type end struct{ outcome, reason, route string }

func (e *ends) set(of end) metric.MeasurementOption {
	e.mu.Lock()
	defer e.mu.Unlock()
	set, known := e.sets[of]
	if !known {
		set = metric.WithAttributeSet(attribute.NewSet(
			attribute.String("outcome", of.outcome), attribute.String("reason", of.reason), attribute.String("route", of.route)))
		e.sets[of] = set
	}
	return set
}

// The ends of a message that no handler names.
const (
	deadLettered = "dead-lettered"
	deleted      = "deleted"
)

// waits are the bounds of buckets, in seconds, for what takes from a moment to the
// fourteen days that a queue keeps a message.
func waits() []float64 {
	return []float64{0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600, 24 * 3600}
}

func newMeters(m metric.Meter, queue string) (meters, error) {
	var faults []error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		faults = append(faults, err)
		return c
	}
	histogram := func(name, what string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(what), metric.WithExplicitBucketBoundaries(waits()...))
		faults = append(faults, err)
		return h
	}
	common := []attribute.KeyValue{attribute.String("messaging.system", "aws_sqs"), attribute.String("messaging.destination.name", queue)}
	ms := meters{
		polls:           counter("inreply.consumer.polls", "{call}", "calls to receive that were answered"),
		received:        counter("messaging.client.consumed.messages", "{message}", "messages received"),
		receiveFailures: counter("inreply.consumer.receive_failures", "{call}", "calls to receive that failed"),
		lost:            counter("inreply.consumer.leases_lost", "{message}", "leases lost before their message was done"),
		parked:          counter("inreply.consumer.parked", "{message}", "messages given back because an application service is out"),
		outages:         counter("inreply.consumer.outages", "{outage}", "times that receiving was paused because a dependency is out"),
		throttled:       counter("inreply.consumer.throttled", "{message}", "tries that were told to come later"),
		undeleted:       counter("inreply.consumer.undeleted", "{message}", "messages handled whose delete did not come through"),
		ended:           counter("inreply.mail.ended", "{mail}", "mails by how they ended"),
		took:            histogram("inreply.mail.duration", "time from the announcement of a mail to its end"),
		tries:           histogram("messaging.process.duration", "time of one try"),
		receiving:       metric.WithAttributeSet(attribute.NewSet(append(slices.Clip(common), attribute.String("messaging.operation.name", "receive"))...)),
		dispositions:    map[disposition]metric.MeasurementOption{},
		outcomes:        map[string]metric.MeasurementOption{},
		ends:            &ends{sets: map[end]metric.MeasurementOption{}},
	}
	for _, d := range []disposition{acknowledge, retry, bury, hold, park, yield, drop} {
		ms.dispositions[d] = metric.WithAttributeSet(attribute.NewSet(append(slices.Clip(common),
			attribute.String("messaging.operation.name", "process"), attribute.String("disposition", string(d)))...))
	}
	for _, o := range []string{string(email.Answered), string(email.Silent), string(email.Processed), deadLettered, deleted} {
		ms.outcomes[o] = metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", o)))
	}
	return ms, errors.Join(faults...)
}

func (m meters) try(took time.Duration, d disposition) {
	m.tries.Record(context.Background(), took.Seconds(), m.dispositions[d])
}

// observe has the meter ask for what the consumer holds, when somebody wants to know.
func (c *Consumer) observe(m metric.Meter) error {
	var faults []error
	gauge := func(name, unit, what string) metric.Float64ObservableGauge {
		g, err := m.Float64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(what))
		faults = append(faults, err)
		return g
	}
	groups := gauge("inreply.consumer.groups", "{group}", "groups in work")
	leases := gauge("inreply.consumer.leases", "{message}", "messages held")
	oldest := gauge("inreply.consumer.oldest", "s", "age of the oldest message held; 0 if none is")
	paused := gauge("inreply.consumer.paused", "1", "1 while receiving is paused because a dependency is out, else 0")
	_, err := m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		state := c.State()
		o.ObserveFloat64(groups, float64(state.Running))
		o.ObserveFloat64(leases, float64(state.Leased))
		o.ObserveFloat64(oldest, c.oldest(time.Now()).Seconds())
		for _, name := range []string{"ses", "s3"} {
			out := 0.0
			if slices.Contains(state.Outages, name) {
				out = 1
			}
			o.ObserveFloat64(paused, out, metric.WithAttributes(attribute.String("dependency", name)))
		}
		return nil
	}, groups, leases, oldest, paused)
	return errors.Join(append(faults, err)...)
}

// oldest is the age of the oldest message held.
func (c *Consumer) oldest(now time.Time) (age time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.groups {
		for _, l := range g.run {
			if !l.message.Sent.IsZero() {
				age = max(age, now.Sub(l.message.Sent))
			}
		}
	}
	return age
}

// final is how a message ended.
type final struct {
	result     Result
	deadLetter string // the reason, if it was dead-lettered
	try        int
	took       time.Duration
	trace      trace.SpanContext // of the last try
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
	f.measure(c.meters, outcome, l, now)
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
		zap.String("trace", f.traceID()), zap.String("rerun", f.result.Rerun),
	)
}

// measure counts how a message ended.
func (f final) measure(m meters, outcome string, l *lease, now time.Time) {
	began := f.result.Announced
	if began.IsZero() {
		began = l.message.Sent
	}
	m.ended.Add(context.Background(), 1, m.ends.set(end{outcome, f.code(), f.result.Route}))
	if took := now.Sub(began); !began.IsZero() && took >= 0 {
		m.took.Record(context.Background(), took.Seconds(), m.outcomes[outcome])
	}
}

// code is the reason as one of a few words: those of the policy ("spam: ..."), and
// for a dead letter whether its tries are used up.
func (f final) code() string {
	if strings.HasPrefix(f.deadLetter, "failed ") {
		return "tries"
	}
	if f.deadLetter != "" {
		return "permanent"
	}
	code, _, worded := strings.Cut(f.result.Reason, ":")
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && r != '-' }
	if !worded || len(code) > 32 || strings.ContainsFunc(code, outside) {
		return ""
	}
	return code
}
