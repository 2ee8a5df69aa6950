// Package requestid gives each request an id, which ties together what clients, logs and traces say of it.
package requestid

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header carries the id, in a request and in its answer: an HTTP header, and a key of gRPC metadata.
const Header = "X-Request-Id"

// maxLength is the most characters of an id that a request brings.
const maxLength = 128

// New returns the id of a request: the one that it brings if that has 1 to 128 visible ASCII characters, else the
// trace id of its traceparent (W3C Trace Context), else a fresh one, which the client does not know yet.
func New(brought, traceparent string) (id string, fresh bool) {
	if valid(brought) {
		return brought, false
	}
	if traceparent != "" {
		carrier := propagation.MapCarrier{"traceparent": traceparent}
		ctx := propagation.TraceContext{}.Extract(context.Background(), carrier)
		if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
			return id.String(), false
		}
	}
	return rand.Text(), true
}

func valid(id string) bool {
	if len(id) < 1 || len(id) > maxLength {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return false
		}
	}
	return true
}

type key struct{}

// With returns a context of the request with this id.
func With(ctx context.Context, id string) context.Context { return context.WithValue(ctx, key{}, id) }

// Of returns the id of the request that ctx belongs to, "" where it belongs to none.
func Of(ctx context.Context) string {
	id, _ := ctx.Value(key{}).(string)
	return id
}

// HTTP gives each request an id, as a header of the request and of its answer. Putting the id into the context is left
// to next, which may have more to put there: that copies the request.
func HTTP(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := New(r.Header.Get(Header), r.Header.Get("Traceparent"))
		ids := []string{id}
		r.Header[Header], w.Header()[Header] = ids, ids
		next.ServeHTTP(w, r)
	})
}

// LogHandler adds to each line that belongs to a request its id and, where it is traced, the id of the trace.
func LogHandler(h slog.Handler) slog.Handler { return logHandler{h} }

type logHandler struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := Of(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if id := trace.SpanContextFromContext(ctx).TraceID(); id.IsValid() {
		r.AddAttrs(slog.String("trace_id", id.String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h logHandler) WithGroup(name string) slog.Handler { return logHandler{h.Handler.WithGroup(name)} }
