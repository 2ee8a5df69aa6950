package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/commit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// requestsIn returns requests that have just come.
func requestsIn(contexts ...context.Context) (requests []commit.Request) {
	for _, ctx := range contexts {
		requests = append(requests, commit.Request{Context: ctx})
	}
	return requests
}

// requestSpan returns the context of a request that is traced.
func requestSpan(n byte, sampled bool) context.Context {
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{n}, SpanID: trace.SpanID{n}, TraceFlags: trace.TraceFlags(0).WithSampled(sampled),
	}))
}

func TestBatchIsLinkedToItsTracedRequests(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewSpanRecorder()
	tracing := &Tracing{provider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))}
	o := tracing.Observer(New("test"))

	ctx, end := o.Begin(t.Context(), commit.Reads, requestsIn(t.Context(), requestSpan(1, false)))
	end(0)
	if trace.SpanContextFromContext(ctx).IsValid() || len(spans.Ended()) > 0 {
		t.Errorf("a batch without a traced request has the spans %v", spans.Ended())
	}
	ctx, end = o.Begin(t.Context(), commit.Writes, requestsIn(t.Context(), requestSpan(1, false), requestSpan(2, true), requestSpan(3, true)))
	end(1)
	if len(spans.Ended()) != 1 {
		t.Fatalf("%d spans, want 1", len(spans.Ended()))
	}
	s := spans.Ended()[0]
	if s.Name() != "batch of writes" || s.Parent().SpanID() != (trace.SpanID{2}) || s.SpanContext().SpanID() != trace.SpanContextFromContext(ctx).SpanID() {
		t.Errorf("span %q under %v", s.Name(), s.Parent())
	}
	links := s.Links()
	if len(links) != 2 || links[0].SpanContext.SpanID() != (trace.SpanID{2}) || links[1].SpanContext.SpanID() != (trace.SpanID{3}) {
		t.Errorf("linked to %v", links)
	}
}

func TestNoTracingChangesNothing(t *testing.T) {
	t.Parallel()
	var off *Tracing
	m := New("test")
	if off.Observer(m) != commit.Observer(m) || off.ServerOptions() != nil || off.Stop(t.Context()) != nil {
		t.Error("something is done without tracing")
	}
	off.Pool(nil)
}

// BenchmarkRequest measures what metrics add to the cost of a request: its own, and those of a batch of its own.
func BenchmarkRequest(b *testing.B) {
	m := New("test")
	h := m.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, end := m.Begin(r.Context(), commit.Reads, requestsIn(r.Context()))
		end(0)
		w.WriteHeader(http.StatusOK)
	}), func(*http.Request) string { return "getCart" })
	r := httptest.NewRequest(http.MethodGet, "/api/v1/cart/1", http.NoBody)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(nothing{}, r)
	}
}

type nothing struct{}

func (nothing) Header() http.Header         { return nil }
func (nothing) Write(p []byte) (int, error) { return len(p), nil }
func (nothing) WriteHeader(int)             {}

// BenchmarkScrape measures the cost of a scrape.
func BenchmarkScrape(b *testing.B) {
	h := New("test").Handler(slog.New(slog.DiscardHandler))
	r := httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody)
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
