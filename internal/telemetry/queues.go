package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sellio/sellio-cart/internal/commit"
)

// queue holds the metrics of one queue, labels resolved.
type queue struct {
	refusals            prometheus.Counter
	size, seconds, wait prometheus.Observer
}

var _ commit.Observer = (*Metrics)(nil)

func (m *Metrics) observeQueues(f promauto.Factory) {
	byQueue := []string{"queue"}
	sizes := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "batch_size",
		Help:    "Requests in a batch.",
		Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000},
	}, byQueue)
	batches := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "batch_seconds",
		Help:    "Time from the start of a batch to its end.",
		Buckets: seconds,
	}, byQueue)
	waits := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "queue_wait_seconds",
		Help:    "Time from when a request was last queued to the start of its batch.",
		Buckets: seconds,
	}, byQueue)
	refusals := f.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "refusals_total",
		Help: "Requests that were refused because the queue was full.",
	}, byQueue)
	for q := range commit.Queues {
		name := q.String()
		m.queues[q] = queue{
			refusals: refusals.WithLabelValues(name),
			size:     sizes.WithLabelValues(name),
			seconds:  batches.WithLabelValues(name),
			wait:     waits.WithLabelValues(name),
		}
	}
	m.retries = f.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "retries_total",
		Help: "Commands to be run again because another writer had changed the cart.",
	})
}

// Refused implements [commit.Observer].
func (m *Metrics) Refused(q commit.Queue) { m.queues[q].refusals.Inc() }

// Begin implements [commit.Observer].
func (m *Metrics) Begin(ctx context.Context, q commit.Queue, requests []commit.Request) (context.Context, func(again int)) {
	began, metrics := time.Now(), &m.queues[q]
	for _, r := range requests {
		metrics.wait.Observe(r.Waited.Seconds())
	}
	metrics.size.Observe(float64(len(requests)))
	return ctx, func(again int) {
		metrics.seconds.Observe(time.Since(began).Seconds())
		m.retries.Add(float64(again))
	}
}

// WatchQueues adds metrics that show how many requests are waiting in each queue, and the limit.
func (m *Metrics) WatchQueues(waiting func(commit.Queue) (n, limit int)) {
	f := promauto.With(m.registry)
	for q := range commit.Queues {
		labels := prometheus.Labels{"queue": q.String()}
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "queue_depth", ConstLabels: labels,
			Help: "Requests waiting in the queue.",
		}, func() float64 { n, _ := waiting(q); return float64(n) })
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Name: "queue_limit", ConstLabels: labels,
			Help: "The most requests that may wait in the queue.",
		}, func() float64 { _, limit := waiting(q); return float64(limit) })
	}
}
