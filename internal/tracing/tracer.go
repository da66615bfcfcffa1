package tracing

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/tokend-project/tokend/internal/token"
)

// Options are what a Tracer needs.
type Options struct {
	Endpoint string                  // of the collector; spans go to /v1/traces below it
	Headers  map[string]token.Secret // of each request to it
	Sample   float64                 // fraction of the attempts that are traced, in (0, 1]
	Version  string                  // of tokend
	Logger   *slog.Logger
}

// Tracer is a refresher.Observer that makes spans of attempts and writes. Observe
// never waits: what the collector does not take in time is dropped and counted.
type Tracer struct {
	salt   salt
	tracer trace.Tracer
	queue  *queue
}

// New returns a Tracer, which sends nothing before Run.
func New(o Options) *Tracer {
	// The client neither opens nor closes anything, so the exporter needs no start.
	exporter := otlptrace.NewUnstarted(newClient(o.Endpoint, o.Headers))
	q := newQueue(exporter.ExportSpans, o.Logger)
	s := newSalt()
	provider := sdk.NewTracerProvider(
		sdk.WithIDGenerator(ids{}),
		// Of the id alone, and so the same for all spans of a trace.
		sdk.WithSampler(sdk.TraceIDRatioBased(o.Sample)),
		sdk.WithRawSpanLimits(limits()),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "tokend"), attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", s.instance()))),
		sdk.WithSpanProcessor(q),
	)
	return &Tracer{salt: s, tracer: provider.Tracer("github.com/tokend-project/tokend", trace.WithInstrumentationVersion(o.Version)), queue: q}
}

// limits are written out, since the SDK would read them from the environment.
func limits() sdk.SpanLimits {
	return sdk.SpanLimits{AttributeValueLengthLimit: 1024, AttributeCountLimit: 32, EventCountLimit: 8, LinkCountLimit: 8,
		AttributePerEventCountLimit: 8, AttributePerLinkCountLimit: 8}
}

// Run sends spans until ctx ends, and then, for a few seconds at most, those that
// wait. A nil Tracer has nothing to send.
func (t *Tracer) Run(ctx context.Context) {
	if t != nil {
		t.queue.run(ctx)
	}
}
