package telemetry

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// WatchPool adds metrics that show the state of a pool of connections to PostgreSQL.
func (m *Metrics) WatchPool(stat func() *pgxpool.Stat) {
	m.registry.MustRegister(pool(stat))
}

// pool reads the statistics of a pool once for each scrape.
type pool func() *pgxpool.Stat

func poolDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "pool", name), help, labels, nil)
}

var (
	poolConnections = poolDesc("connections", "Connections to the database.", "state")
	poolMax         = poolDesc("max_connections", "Connections to the database that there may be.")
	poolAcquires    = poolDesc("acquires_total", "Times that a connection was taken from the pool.")
	poolWait        = poolDesc("acquire_wait_seconds_total", "Time spent waiting for a connection because none was idle.")
	poolCanceled    = poolDesc("canceled_acquires_total", "Times that somebody gave up waiting for a connection.")
	poolNew         = poolDesc("new_connections_total", "Connections opened.")
)

// Describe implements [prometheus.Collector].
func (p pool) Describe(descs chan<- *prometheus.Desc) { prometheus.DescribeByCollect(p, descs) }

// Collect implements [prometheus.Collector].
func (p pool) Collect(metrics chan<- prometheus.Metric) {
	s := p()
	gauge := func(d *prometheus.Desc, value int32, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(d *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value)
	}
	gauge(poolConnections, s.IdleConns(), "idle")
	gauge(poolConnections, s.AcquiredConns(), "acquired")
	gauge(poolConnections, s.ConstructingConns(), "constructing")
	gauge(poolMax, s.MaxConns())
	counter(poolAcquires, float64(s.AcquireCount()))
	counter(poolWait, s.EmptyAcquireWaitTime().Seconds())
	counter(poolCanceled, float64(s.CanceledAcquireCount()))
	counter(poolNew, float64(s.NewConnsCount()))
}
