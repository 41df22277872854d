package store_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"inreply/store"
)

// traced is a context whose calls are recorded.
func traced(t *testing.T) (context.Context, *tracetest.InMemoryExporter) {
	t.Helper()
	var spans tracetest.InMemoryExporter
	ctx, _ := sdktrace.NewTracerProvider(sdktrace.WithSyncer(&spans)).Tracer("").Start(t.Context(), "above")
	return ctx, &spans
}

// A call to open an object lasts until its last octet was read, or it was closed.
func TestOpenIsASpan(t *testing.T) {
	s, c := world(t)
	put(t, c, "inbound/a", "octets")
	for name, to := range map[string]func(o *store.Object){
		"read":   func(o *store.Object) { _, _ = io.ReadFull(o.Body, make([]byte, o.Size)) },
		"closed": func(o *store.Object) { _ = o.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, spans := traced(t)
			o, err := s.Open(ctx, bucket, "inbound/a", "")
			if err != nil {
				t.Fatal(err)
			}
			defer o.Body.Close()
			if got := spans.GetSpans(); len(got) > 0 {
				t.Errorf("%s has ended before the object was read", got[0].Name)
			}
			to(o)
			got := spans.GetSpans()
			if len(got) != 1 || got[0].Name != "S3.GetObject" || got[0].Status.Code != codes.Unset {
				t.Fatalf("%+v", got)
			}
			said := attribute.NewSet(got[0].Attributes...)
			if key, _ := said.Value("aws.s3.key"); key.AsString() != "inbound/a" {
				t.Errorf("key %s", key.AsString())
			}
		})
	}
}

// What S3 answers is no failure, even where it is no; that an object is gone is one.
func TestWhatFailsInASpan(t *testing.T) {
	s, c := world(t)
	put(t, c, "there", "octets")
	for name, call := range map[string]struct {
		ask  func(ctx context.Context) error
		want error
		code codes.Code
	}{
		"exists":  {func(ctx context.Context) error { _, err := s.PutNew(ctx, bucket, "there", "", nil); return err }, store.ErrExists, codes.Unset},
		"changed": {func(ctx context.Context) error { _, err := s.Replace(ctx, bucket, "there", `"1"`, "", nil); return err }, store.ErrChanged, codes.Unset},
		"missing": {func(ctx context.Context) error { _, _, err := s.Get(ctx, bucket, "gone"); return err }, store.ErrMissing, codes.Unset},
		"gone":    {func(ctx context.Context) error { _, err := s.Open(ctx, bucket, "gone", ""); return err }, nil, codes.Error},
		"no head": {func(ctx context.Context) error { _, err := s.Head(ctx, bucket, "gone", ""); return err }, nil, codes.Error},
		"no top":  {func(ctx context.Context) error { _, err := s.Top(ctx, bucket, "gone", "", 10); return err }, nil, codes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, spans := traced(t)
			err := call.ask(ctx)
			if err == nil || call.want != nil && !errors.Is(err, call.want) {
				t.Fatalf("%v, want %v", err, call.want)
			}
			got := spans.GetSpans()
			if len(got) == 0 || got[len(got)-1].Status.Code != call.code {
				t.Errorf("%+v", got)
			}
		})
	}
}
