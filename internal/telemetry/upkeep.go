package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Upkeep are the metrics of the work in the background. They implement the observer of package upkeep.
type Upkeep struct {
	released, merged, receipts, failures prometheus.Counter
	overdue                              prometheus.Gauge
}

func newUpkeepMetrics(f promauto.Factory) *Upkeep {
	unlocked := f.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "leases_ended_total",
		Help: "Locks that were ended because their lease had, by what became of the cart: released, or merged into another one.",
	}, []string{"result"})
	return &Upkeep{
		released: unlocked.WithLabelValues("released"), merged: unlocked.WithLabelValues("merged"),
		receipts: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "receipts_deleted_total", Help: "Receipts of idempotency keys that were deleted for their age.",
		}),
		failures: f.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "upkeep_failures_total", Help: "Failures to end locks or to delete receipts. The work is tried again.",
		}),
		overdue: f.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: "leases_overdue", Help: "Locks that have outlasted their lease and could not be ended at the last look.",
		}),
	}
}

// Upkeep returns the metrics of the work in the background.
func (m *Metrics) Upkeep() *Upkeep { return m.upkeep }

// Unlocked counts a lock that was ended.
func (u *Upkeep) Unlocked(merged bool) {
	if merged {
		u.merged.Inc()
	} else {
		u.released.Inc()
	}
}

// Overdue sets how many locks could not be ended.
func (u *Upkeep) Overdue(locks int) { u.overdue.Set(float64(locks)) }

// Forgotten counts receipts that were deleted.
func (u *Upkeep) Forgotten(receipts int64) { u.receipts.Add(float64(receipts)) }

// Failed counts a failure.
func (u *Upkeep) Failed() { u.failures.Inc() }
