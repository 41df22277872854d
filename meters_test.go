package inreply

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/google/go-cmp/cmp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// quota is an SES that tells a quota, and sends unless it is to fail.
type quota struct {
	ses.GetSendQuotaOutput
	fails error
}

func (q *quota) SendRawEmail(context.Context, *ses.SendRawEmailInput, ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	return &ses.SendRawEmailOutput{}, q.fails
}

func (q *quota) GetSendQuota(context.Context, *ses.GetSendQuotaInput, ...func(*ses.Options)) (*ses.GetSendQuotaOutput, error) {
	return &q.GetSendQuotaOutput, nil
}

// gauges are the values of all gauges.
func gauges(t *testing.T, reader sdkmetric.Reader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	read := map[string]float64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		if data, ok := m.Data.(metricdata.Gauge[float64]); ok {
			read[m.Name] = data.DataPoints[0].Value
		}
	}
	return read
}

// What may still be sent is what SES said, less what was sent since; of what SES has
// not said nothing is measured.
func TestWhatMayStillBeSent(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("")
	client := &quota{}
	metered, err := newMeteredSES(client, meter)
	if err != nil {
		t.Fatal(err)
	}
	rate := math.Inf(1)
	if err := metered.observe(meter, func() float64 { return rate }); err != nil {
		t.Fatal(err)
	}
	ask := func() { _, _ = metered.GetSendQuota(t.Context(), &ses.GetSendQuotaInput{}) }
	send := func() { _, _ = metered.SendRawEmail(t.Context(), &ses.SendRawEmailInput{}) }
	hold := func(when string, want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, gauges(t, reader)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", when, diff)
		}
	}
	send()
	hold("before SES is asked", map[string]float64{"inreply.ses.rate": -1})

	client.MaxSendRate, client.Max24HourSend, client.SentLast24Hours, rate = 14, 100, 97, 7
	ask()
	send()
	client.fails = errors.New("refused")
	send()
	hold("after one was sent and one refused", map[string]float64{
		"inreply.ses.rate": 7, "inreply.ses.quota.left": 2, "inreply.ses.quota.rate": 14, "inreply.ses.quota.day": 100, "inreply.ses.quota.used": 97,
	})

	client.Max24HourSend, client.fails = -1, nil
	ask()
	send()
	if got := gauges(t, reader)["inreply.ses.quota.left"]; got != -1 {
		t.Errorf("without a limit: %v are left", got)
	}
}
