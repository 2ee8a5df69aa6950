package app

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	collectorv1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// collector keeps the spans that are sent to it over OTLP.
type collector struct {
	*httptest.Server

	mu    sync.Mutex
	spans []*tracev1.Span
	names []string // of the services that sent them
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := new(collector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var export collectorv1.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &export)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.keep(&export)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *collector) keep(export *collectorv1.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range export.GetResourceSpans() {
		for _, a := range r.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				c.names = append(c.names, a.GetValue().GetStringValue())
			}
		}
		for _, s := range r.GetScopeSpans() {
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
}

// services returns the names of the services that sent spans, each once.
func (c *collector) services() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Compact(c.names)
}

// find returns the spans that match.
func (c *collector) find(match func(*tracev1.Span) bool) (found []*tracev1.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if match(s) {
			found = append(found, s)
		}
	}
	return found
}

// one returns the only span of this name.
func (c *collector) one(t *testing.T, name string) *tracev1.Span {
	t.Helper()
	found := c.find(func(s *tracev1.Span) bool { return s.GetName() == name })
	if len(found) != 1 {
		t.Fatalf("%d spans %q, want 1", len(found), name)
	}
	return found[0]
}

// attribute returns the value of an attribute of the span.
func attribute(s *tracev1.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// under returns the spans right below a span.
func (c *collector) under(parent *tracev1.Span) []*tracev1.Span {
	return c.find(func(s *tracev1.Span) bool { return string(s.GetParentSpanId()) == string(parent.GetSpanId()) })
}

// The callers' traces.
const (
	restTrace, restSpan = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	grpcTrace, grpcSpan = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
)

// TestTraces follows requests from the caller through their batches to the statements.
func TestTraces(t *testing.T) {
	t.Parallel()
	onBoth(t, traces)
}

func traces(t *testing.T, url string) {
	collector := newCollector(t)
	p := serve(t, "DATABASE_URL="+url, "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_SERVICE_NAME=shop",
		"LOG_LEVEL=debug", "APP_ENV=prod")
	s := openShop(t, p)
	s.send("POST", addItem, addBody(7, 424242), "Traceparent", "00-"+restTrace+"-"+restSpan+"-01").cart(http.StatusCreated)
	s.send("GET", "/api/v1/cart/active?company_id=1&user_id=7", "", "Traceparent", "00-"+restTrace+"-"+restSpan+"-00").cart(http.StatusOK)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "00-"+grpcTrace+"-"+grpcSpan+"-01")
	if err := s.invokeIn(ctx, requests[0].message); err != nil {
		t.Fatal(err)
	}
	p.waitForLog(`"trace_id":"` + grpcTrace + `"`)
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Fatal(err)
	}
	if names := collector.services(); len(names) != 1 || names[0] != "shop" {
		t.Errorf("the service is called %q", names)
	}
	for _, tt := range []struct{ request, trace, parent, batch, statement string }{
		{"addItem", restTrace, restSpan, "batch of writes", "INTO cart_item"},
		{"sellio.cart.v1.CartService/GetCart", grpcTrace, grpcSpan, "batch of reads", "FROM cart_item"},
	} {
		request := collector.one(t, tt.request)
		if hex.EncodeToString(request.GetTraceId()) != tt.trace || hex.EncodeToString(request.GetParentSpanId()) != tt.parent {
			t.Errorf("%s: not in the caller's trace: %v", tt.request, request)
		}
		batch := collector.one(t, tt.batch)
		if len(batch.GetLinks()) != 1 || string(batch.GetLinks()[0].GetSpanId()) != string(request.GetSpanId()) {
			t.Errorf("%s: not linked to %s: %v", tt.batch, tt.request, batch)
		}
		found := false
		for _, statement := range collector.under(batch) {
			found = found || strings.Contains(attribute(statement, "db.query.text")+attribute(statement, "db.statement"), tt.statement)
		}
		if !found {
			t.Errorf("%s: no statement %q under it: %v", tt.batch, tt.statement, collector.under(batch))
		}
	}
	if unsampled := collector.find(func(s *tracev1.Span) bool { return s.GetName() == "getActiveCart" }); unsampled != nil {
		t.Errorf("the caller did not want this: %v", unsampled)
	}
	for _, span := range collector.find(func(*tracev1.Span) bool { return true }) {
		if strings.Contains(span.String(), "424242") {
			t.Errorf("shows what is in a cart: %v", span)
		}
	}
}

// TestNoCollector checks that a collector out of reach delays nothing.
func TestNoCollector(t *testing.T) {
	t.Parallel()
	p := serve(t, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	openShop(t, p).post(addBody(7, 1), addItem).cart(http.StatusCreated)
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	if log := p.logged(); !strings.Contains(log, "The last spans are lost.") {
		t.Errorf("the log does not say that spans were lost:\n%s", log)
	}
}

// TestTracingIsOff checks what turns tracing off.
func TestTracingIsOff(t *testing.T) {
	t.Parallel()
	collector := newCollector(t)
	endpoint := "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL
	for name, env := range map[string][]string{
		"no exporter":    {endpoint, "OTEL_TRACES_EXPORTER=none"},
		"disabled":       {endpoint, "OTEL_SDK_DISABLED=true"},
		"never sampled":  {endpoint, "OTEL_TRACES_SAMPLER=always_off"},
		"nothing is set": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, env...)
			openShop(t, p).post(addBody(7, 1), addItem).cart(http.StatusCreated)
			p.signal(syscall.SIGTERM)
			if err := p.wait(); err != nil {
				t.Error(err)
			}
			if collector.find(func(*tracev1.Span) bool { return true }) != nil {
				t.Error("spans were sent")
			}
		})
	}
}
