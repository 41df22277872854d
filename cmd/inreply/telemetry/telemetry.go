// Package telemetry exports what the packages measure: to Prometheus, which asks, and
// to CloudWatch, in lines of its embedded metric format on standard output, which
// need no agent and no collector. Traces go to a collector, where there is one.
//
//	telemetry.go  the meters, and who reads them
//	emf.go        what of it CloudWatch gets, and by which dimensions
//	traces.go     spans, by OTLP
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"

	"inreply/configs"
)

// Telemetry is where measurements go. Make one with [New], and close it.
type Telemetry struct {
	provider *sdkmetric.MeterProvider
	registry *promclient.Registry
}

// New returns a Telemetry. CloudWatch's lines, if the settings want them, go to out,
// one Write each.
func New(config configs.Metrics, version string, out io.Writer) (*Telemetry, error) {
	registry := promclient.NewRegistry()
	asked, err := prometheus.New(prometheus.WithRegisterer(registry))
	if err != nil {
		return nil, fmt.Errorf("make the exporter for Prometheus: %w", err)
	}
	options := []sdkmetric.Option{
		sdkmetric.WithReader(asked),
		sdkmetric.WithResource(resource.NewSchemaless(attribute.String("service.name", config.ServiceName), attribute.String("service.version", version))),
	}
	if config.EMF {
		lines := &emf{namespace: config.Namespace, service: config.ServiceName, out: out}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(lines, sdkmetric.WithInterval(config.Every))))
	}
	return &Telemetry{provider: sdkmetric.NewMeterProvider(options...), registry: registry}, nil
}

// Meter is what the packages measure by.
func (t *Telemetry) Meter() metric.Meter { return t.provider.Meter("inreply") }

// Handler answers Prometheus.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// closing is how long the last lines may take.
const closing = 5 * time.Second

// Close writes what was measured since the last lines, also after ctx has ended.
func (t *Telemetry) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil && !errors.Is(err, sdkmetric.ErrReaderShutdown) {
		return fmt.Errorf("write the last metrics: %w", err)
	}
	return nil
}
