package relay

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// outcome is how an attempt at a notice ended.
type outcome string

const (
	relayed      outcome = "relayed"       // all that it announced was published
	dropped      outcome = "dropped"       // it announced nothing for us
	deadLettered outcome = "dead-lettered" // it was no notice
	returned     outcome = "returned"      // it comes again: a reason of its own
	held         outcome = "held"          // it waits for the end of an outage
)

// meters are the relay's instruments.
type meters struct {
	polls   metric.Int64Counter
	notices metric.Int64Counter
	sent    metric.Int64Counter
	sending metric.MeasurementOption
}

func newMeters(m metric.Meter, topic string) (meters, error) {
	if m == nil {
		m = noop.NewMeterProvider().Meter("inreply")
	}
	var faults []error
	counter := func(name, unit, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(what))
		faults = append(faults, err)
		return c
	}
	ms := meters{
		polls:   counter("inreply.relay.polls", "{call}", "calls to receive from the intake that were answered"),
		notices: counter("inreply.relay.notices", "{message}", "attempts at notices by how they ended"),
		sent:    counter("messaging.client.sent.messages", "{message}", "messages published"),
		sending: metric.WithAttributeSet(attribute.NewSet(
			attribute.String("messaging.system", "aws.sns"), attribute.String("messaging.destination.name", topic), attribute.String("messaging.operation.name", "publish"))),
	}
	return ms, errors.Join(faults...)
}

// attempted notes how an attempt at a notice ended.
func (r *Relay) attempted(n *notice) {
	r.traces.end(n)
	r.meters.notices.Add(context.Background(), 1, metric.WithAttributes(attribute.String("outcome", string(n.outcome()))))
}

func (n *notice) outcome() outcome {
	switch {
	case n.later != nil && outage(n.later) != "":
		return held
	case n.later != nil:
		return returned
	case n.wrong != nil:
		return deadLettered
	case len(n.announces) == 0:
		return dropped
	}
	return relayed
}
