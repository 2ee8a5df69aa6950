package telemetry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/exaring/otelpgx"
	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/sellio/sellio-cart/internal/commit"
)

// flushTimeout bounds how long a stop waits for a collector that does not answer.
const flushTimeout = 5 * time.Second

// Tracing makes spans and sends them to a collector. A nil one does nothing, and costs nothing.
type Tracing struct {
	provider *sdktrace.TracerProvider
	log      *slog.Logger
}

// StartTracing returns the tracing that the process's OTEL_* variables ask for: nil without an
// OTEL_EXPORTER_OTLP_ENDPOINT, or with OTEL_TRACES_EXPORTER=none or OTEL_SDK_DISABLED=true. Its error is one line that
// names the variable.
func StartTracing(ctx context.Context, version string, log *slog.Logger) (*Tracing, error) {
	on, err := tracingWanted()
	if !on || err != nil {
		return nil, err
	}
	// The library reports errors in the background, such as a collector that is out of reach, only to this handler.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("Tracing failed.", "error", err) }))
	otel.SetLogger(logr.FromSlogHandler(log.Handler()))
	what, err := resource.New(ctx,
		resource.WithAttributes(attribute.String("service.name", "sellio-cart"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(), // last, so that it wins
	)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	exporter, err := newExporter(ctx)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(what))
	return &Tracing{provider: provider, log: log}, nil
}

// tracingWanted reports whether the environment asks for traces.
func tracingWanted() (bool, error) {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporter, endpoint := os.Getenv("OTEL_TRACES_EXPORTER"), false
	switch exporter {
	case "none":
		return false, nil
	case "", "otlp":
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER=%q: must be otlp or none", exporter)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		// The library would fall back to a collector on this machine. The value may hold a password.
		if u, err := url.Parse(value); err != nil || u.Scheme == "" || u.Host == "" {
			return false, fmt.Errorf("%s: must be a URL, such as http://localhost:4318", name)
		}
		endpoint = true
	}
	return endpoint || exporter == "otlp", nil
}

// newExporter returns an exporter that connects when it has something to send.
func newExporter(ctx context.Context) (*otlptrace.Exporter, error) {
	name := "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
	protocol := os.Getenv(name)
	if protocol == "" {
		name = "OTEL_EXPORTER_OTLP_PROTOCOL"
		protocol = os.Getenv(name)
	}
	switch protocol {
	case "", "http/protobuf":
		return otlptracehttp.New(ctx)
	case "grpc":
		return otlptracegrpc.New(ctx)
	default:
		return nil, fmt.Errorf("%s=%q: must be http/protobuf or grpc", name, protocol)
	}
}

// Stop sends the spans that are left.
func (t *Tracing) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		t.log.Warn("The last spans are lost.", "error", err) // no reason to call the stop a failure
	}
	return nil
}

// HTTP makes a span for each request that next serves, named by its operation.
func (t *Tracing) HTTP(next http.Handler, operation func(*http.Request) string) http.Handler {
	if t == nil {
		return next
	}
	return otelhttp.NewHandler(next, "",
		otelhttp.WithTracerProvider(t.provider),
		otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string {
			if name := operation(r); name != "" {
				return name
			}
			return other
		}),
	)
}

// ServerOptions returns the options with which a gRPC server makes a span for each request.
func (t *Tracing) ServerOptions() []grpc.ServerOption {
	if t == nil {
		return nil
	}
	return []grpc.ServerOption{grpc.StatsHandler(otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider),
		otelgrpc.WithMeterProvider(noop.NewMeterProvider()),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
	))}
}

// Pool has a pool of connections to PostgreSQL make a span for each statement of a traced batch, without the
// statement's parameters.
func (t *Tracing) Pool(cfg *pgxpool.Config) {
	if t == nil {
		return
	}
	cfg.ConnConfig.Tracer = otelpgx.NewTracer(
		otelpgx.WithTracerProvider(t.provider),
		otelpgx.WithMeterProvider(noop.NewMeterProvider()),
	)
}

// OpenSQL opens a database as [sql.Open] does, and has it make a span for each statement of a traced batch, without
// the statement's parameters.
func (t *Tracing) OpenSQL(driverName, name string) (*sql.DB, error) {
	if t == nil {
		return sql.Open(driverName, name)
	}
	return otelsql.Open(driverName, name,
		otelsql.WithTracerProvider(t.provider),
		otelsql.WithMeterProvider(noop.NewMeterProvider()),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true, OmitConnectorConnect: true, OmitRows: true,
			SpanFilter: func(ctx context.Context, _ otelsql.Method, _ string, _ []driver.NamedValue) bool {
				return trace.SpanContextFromContext(ctx).IsSampled()
			},
		}),
	)
}

// Observer makes a span for each batch that has a traced request, and passes every call on to next.
func (t *Tracing) Observer(next commit.Observer) commit.Observer {
	if t == nil {
		return next
	}
	return &batchTracer{Observer: next, tracer: t.provider.Tracer("github.com/sellio/sellio-cart/internal/telemetry")}
}

type batchTracer struct {
	commit.Observer
	tracer trace.Tracer
}

// Begin implements [commit.Observer]. The span is linked to those of all traced requests. It is a child of the first
// of them, so that it is sampled like a request, and a request that is alone is one trace with its statements.
func (b *batchTracer) Begin(ctx context.Context, q commit.Queue, requests []commit.Request) (context.Context, func(again int)) {
	ctx, end := b.Observer.Begin(ctx, q, requests)
	var links []trace.Link
	for _, r := range requests {
		if span := trace.SpanContextFromContext(r.Context); span.IsSampled() {
			links = append(links, trace.Link{SpanContext: span})
		}
	}
	if len(links) == 0 {
		return ctx, end
	}
	ctx, span := b.tracer.Start(trace.ContextWithSpanContext(ctx, links[0].SpanContext), "batch of "+q.String(),
		trace.WithLinks(links...), trace.WithAttributes(attribute.Int("sellio_cart.batch.size", len(requests))))
	return ctx, func(again int) {
		end(again)
		span.SetAttributes(attribute.Int("sellio_cart.batch.again", again))
		span.End()
	}
}
