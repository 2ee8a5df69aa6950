package requestid_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/sellio/sellio-cart/internal/requestid"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, brought, traceparent, want string }{
		{"brought", "abc-123", "", "abc-123"},
		{"shortest", "!", "", "!"},
		{"longest", strings.Repeat("~", 128), "", strings.Repeat("~", 128)},
		{"brought and traced", "abc", traceparent, "abc"},
		{"traced", "", traceparent, "4bf92f3577b34da6a3ce929d0e0e4736"},
		{"bad and traced", "a b", traceparent, "4bf92f3577b34da6a3ce929d0e0e4736"},
		{"none", "", "", ""},
		{"too long", strings.Repeat("a", 129), "", ""},
		{"blank", "a b", "", ""},
		{"line break", "a\nb", "", ""},
		{"delete", "a\x7f", "", ""},
		{"not ASCII", "é", "", ""},
		{"traceparent of zeros", "", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", ""},
		{"traceparent cut short", "", traceparent[:30], ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, fresh := requestid.New(tt.brought, tt.traceparent)
			if tt.want != "" && got != tt.want || fresh != (tt.want == "") {
				t.Errorf("got %q, fresh: %v; want %q", got, fresh, tt.want)
			}
			if again, _ := requestid.New(tt.brought, tt.traceparent); tt.want == "" && (len(got) < 20 || got == again) {
				t.Errorf("got %q and %q, want two fresh ones", got, again)
			}
		})
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	var seen string
	h := requestid.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get(requestid.Header) }))
	r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
	r.Header.Set("x-request-id", "abc")
	h.ServeHTTP(w, r)
	if got := w.Header().Get("x-request-id"); got != "abc" || seen != "abc" {
		t.Errorf("answered with %q, passed on with %q", got, seen)
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(requestid.LogHandler(slog.NewJSONHandler(&out, nil))).With("part", "x")
	line := func() (fields map[string]any) {
		t.Helper()
		if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
			t.Fatal(err)
		}
		out.Reset()
		return fields
	}
	log.InfoContext(t.Context(), "of no request")
	if got := line(); got["request_id"] != nil || got["trace_id"] != nil || got["part"] != "x" {
		t.Errorf("logged %v", got)
	}
	ctx := requestid.With(t.Context(), "abc")
	log.InfoContext(ctx, "of a request")
	if got := line(); got["request_id"] != "abc" || got["trace_id"] != nil {
		t.Errorf("logged %v", got)
	}
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	log.WithGroup("g").InfoContext(ctx, "of a traced request")
	if got := line()["g"].(map[string]any); got["request_id"] != "abc" || got["trace_id"] != "01000000000000000000000000000000" {
		t.Errorf("logged %v", got)
	}
}
