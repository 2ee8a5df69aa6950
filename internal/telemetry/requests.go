package telemetry

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// other is the operation of requests that do not belong to the API.
const other = "other"

// requests are the metrics of the requests over one transport.
type requests struct {
	inFlight  prometheus.Gauge
	durations prometheus.ObserverVec
	codeName  func(code int) string

	mu   sync.RWMutex
	made map[outcome]prometheus.Observer // saves looking the labels up by their text for each request
}

// outcome holds the labels of a request's duration.
type outcome struct {
	operation string
	code      int
}

func (m *Metrics) observeRequests(f promauto.Factory) {
	durations := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "request_duration_seconds",
		Help:    "Time from a request's arrival to its answer.",
		Buckets: seconds,
	}, []string{"transport", "operation", "code"})
	inFlight := f.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "requests_in_flight",
		Help: "Requests being served.",
	}, []string{"transport"})
	over := func(transport string, codeName func(int) string) *requests {
		return &requests{
			inFlight:  inFlight.WithLabelValues(transport),
			durations: durations.MustCurryWith(prometheus.Labels{"transport": transport}),
			codeName:  codeName,
			made:      make(map[outcome]prometheus.Observer),
		}
	}
	m.rest = over("rest", strconv.Itoa)
	m.grpc = over("grpc", func(code int) string { return codes.Code(code).String() })
}

// observe adds a request that has been answered.
func (r *requests) observe(o outcome, took time.Duration) {
	r.mu.RLock()
	duration := r.made[o]
	r.mu.RUnlock()
	if duration == nil {
		duration = r.durations.WithLabelValues(o.operation, r.codeName(o.code))
		r.mu.Lock()
		r.made[o] = duration
		r.mu.Unlock()
	}
	duration.Observe(took.Seconds())
}

// HTTP measures the requests that next serves. operation returns the operation of a request, one of a few names, or "".
func (m *Metrics) HTTP(next http.Handler, operation func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		m.rest.inFlight.Inc()
		a := answer{ResponseWriter: w, status: http.StatusOK}
		defer func() { // also when next panics
			m.rest.inFlight.Dec()
			name := operation(r)
			if name == "" {
				name = other
			}
			m.rest.observe(outcome{name, a.status}, time.Since(began))
		}()
		next.ServeHTTP(&a, r)
	})
}

// answer remembers the status of an answer.
type answer struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements [http.ResponseWriter].
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Unary measures the unary requests of a gRPC server. Requests to services that are not listed count as other.
func (m *Metrics) Unary(services ...grpc.ServiceDesc) grpc.UnaryServerInterceptor {
	names := make(map[string]string)
	for _, s := range services {
		for _, method := range s.Methods {
			names["/"+s.ServiceName+"/"+method.MethodName] = method.MethodName
		}
	}
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		began := time.Now()
		m.grpc.inFlight.Inc()
		defer m.grpc.inFlight.Dec()
		resp, err := next(ctx, req)
		name, ok := names[info.FullMethod]
		if !ok {
			name = other
		}
		m.grpc.observe(outcome{name, int(status.Code(err))}, time.Since(began))
		return resp, err
	}
}
