package telemetry

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/sellio/sellio-cart/internal/cart"
)

// storeMetrics are the metrics of a store.
type storeMetrics struct {
	load, save, list                   outcomes
	conflicts, created, deleted, lines prometheus.Counter
}

// outcomes are the durations of one operation, by its outcome.
type outcomes struct{ ok, failed prometheus.Observer }

func newStoreMetrics(f promauto.Factory) storeMetrics {
	times := f.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "store_seconds",
		Help:    "Time that the database took, including the wait for a connection.",
		Buckets: seconds,
	}, []string{"operation", "outcome"})
	of := func(operation string) outcomes {
		return outcomes{ok: times.WithLabelValues(operation, "ok"), failed: times.WithLabelValues(operation, "error")}
	}
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	}
	return storeMetrics{
		load: of("load"), save: of("save"), list: of("list"),
		conflicts: counter("conflicts_total", "Changes of a cart that were not made because another writer had changed it."),
		created:   counter("carts_created_total", "Carts created and committed."),
		deleted:   counter("carts_deleted_total", "Carts deleted and committed."),
		lines:     counter("lines_written_total", "Lines of carts added or replaced and committed."),
	}
}

// observe adds a call that began then and ended now.
func (o outcomes) observe(began time.Time, err error) {
	if err != nil {
		o.failed.Observe(time.Since(began).Seconds())
	} else {
		o.ok.Observe(time.Since(began).Seconds())
	}
}

// Store returns the store, measured.
func (m *Metrics) Store(s cart.Store) cart.Store { return &store{Store: s, metrics: &m.store} }

type store struct {
	cart.Store
	metrics *storeMetrics
}

// Load implements [cart.Store].
func (s *store) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	began := time.Now()
	carts, err := s.Store.Load(ctx, refs)
	s.metrics.load.observe(began, err)
	return carts, err
}

// LoadKnown implements [cart.Store].
func (s *store) LoadKnown(ctx context.Context, refs []cart.Ref, keys [][32]byte) ([]*cart.Cart, []*cart.Receipt, error) {
	began := time.Now()
	carts, receipts, err := s.Store.LoadKnown(ctx, refs, keys)
	s.metrics.load.observe(began, err)
	return carts, receipts, err
}

// Basket implements [cart.Store].
func (s *store) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	began := time.Now()
	b, err := s.Store.Basket(ctx, q)
	s.metrics.list.observe(began, err)
	return b, err
}

// GuestCarts implements [cart.Store].
func (s *store) GuestCarts(ctx context.Context, cookie string, companyID int64, limit int) ([]cart.GuestCart, error) {
	began := time.Now()
	carts, err := s.Store.GuestCarts(ctx, cookie, companyID, limit)
	s.metrics.list.observe(began, err)
	return carts, err
}

// List implements [cart.Store].
func (s *store) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	began := time.Now()
	carts, err := s.Store.List(ctx, l)
	s.metrics.list.observe(began, err)
	return carts, err
}

// Save implements [cart.Store].
func (s *store) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	began := time.Now()
	saved, err := s.Store.Save(ctx, changes)
	s.metrics.save.observe(began, err)
	if err == nil {
		s.metrics.count(changes, saved)
	}
	return saved, err
}

// count adds the changes that have been committed, and the conflicts.
func (m *storeMetrics) count(changes []cart.Change, saved []cart.Saved) {
	var conflicts, created, deleted, lines int
	for i := range changes {
		ch := &changes[i]
		switch {
		case !saved[i].OK:
			conflicts++
			continue
		case ch.Keep:
		case ch.Was == 0:
			created++
		case ch.Delete:
			deleted++
		}
		lines += len(ch.Put)
	}
	m.conflicts.Add(float64(conflicts))
	m.created.Add(float64(created))
	m.deleted.Add(float64(deleted))
	m.lines.Add(float64(lines))
}
