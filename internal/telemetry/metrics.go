// Package telemetry lets operators see what the service does: metrics for Prometheus, and traces over OTLP.
package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sellio/sellio-cart/internal/commit"
)

// namespace begins the name of each of the service's own metrics.
const namespace = "sellio_cart"

// seconds are the buckets of histograms of time: from half a millisecond, the time of a read from memory, to the
// longest likely REQUEST_TIMEOUT.
var seconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// Metrics are the metrics of one service.
type Metrics struct {
	registry *prometheus.Registry
	rest     *requests
	grpc     *requests
	queues   [commit.Queues]queue
	retries  prometheus.Counter
	store    storeMetrics
	upkeep   *Upkeep
}

// New returns the metrics of a service of this version, all at their start.
func New(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	f := promauto.With(r)
	f.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info",
		Help: "Always 1; the labels name the running version.",
	}, []string{"version", "goversion"}).WithLabelValues(version, runtime.Version()).Set(1)

	m := &Metrics{registry: r, store: newStoreMetrics(f), upkeep: newUpkeepMetrics(f)}
	m.observeRequests(f)
	m.observeQueues(f)
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)})
}

// WatchReady adds a metric that shows whether the service is ready.
func (m *Metrics) WatchReady(ready func() bool) {
	promauto.With(m.registry).NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "ready",
		Help: "1 while the service is ready for requests, else 0.",
	}, func() float64 {
		if ready() {
			return 1
		}
		return 0
	})
}
