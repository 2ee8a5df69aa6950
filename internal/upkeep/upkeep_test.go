package upkeep_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/upkeep"
)

// shop is a store with locks and receipts, and the service on top of it.
type shop struct {
	mu       sync.Mutex
	overdue  [][]cart.Expected // groups, in the order of their first ids
	receipts int64
	down     bool
	refuses  map[int64]error // by the id of a cart

	merged, released, left, failures int
	forgotten                        int64
	pages                            int
}

func (s *shop) Overdue(_ context.Context, after int64, _ int) (groups [][]cart.Expected, last int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages++
	if s.down {
		return nil, 0, cart.Unavailable(errors.New("down"))
	}
	for _, g := range s.overdue { // one group a page
		if g[0].ID > after {
			return [][]cart.Expected{g}, g[0].ID, nil
		}
	}
	return nil, 0, nil
}

func (s *shop) Forget(_ context.Context, ttl time.Duration, limit int) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ttl != 24*time.Hour {
		return 0, errors.New("another time to live")
	}
	n := min(s.receipts, int64(limit))
	s.receipts -= n
	return n, nil
}

func (s *shop) Do(_ context.Context, r cart.Request) (done cart.Result, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	joint := r.Joint.(cart.SetStatuses)
	if err := s.refuses[joint.Carts[0].ID]; err != nil {
		return done, err
	}
	if joint.Status != cart.Active || !joint.Merge || joint.Carts[0].Version == 0 {
		return done, errors.New("not the command that ends a lease")
	}
	for i, g := range s.overdue {
		if g[0].ID == joint.Carts[0].ID {
			s.overdue = append(s.overdue[:i:i], s.overdue[i+1:]...)
			break
		}
	}
	return cart.Result{Carts: []*cart.Cart{{ID: joint.Carts[0].ID}}}, nil // the others are merged into it
}

func (s *shop) Unlocked(merged bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if merged {
		s.merged++
	} else {
		s.released++
	}
}
func (s *shop) Forgotten(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgotten += n
}

func (s *shop) Failed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures++
}

// observed is the observer of a shop, whose methods have other names.
type observed struct{ *shop }

func (o observed) Overdue(left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.left = left
}

// start starts a worker, which stop ends.
func start(t *testing.T, s *shop) (stop func()) {
	w := upkeep.Start(s, s, 24*time.Hour, slog.New(slog.DiscardHandler), observed{s})
	return func() {
		if err := w.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

func group(ids ...int64) []cart.Expected {
	var g []cart.Expected
	for _, id := range ids {
		g = append(g, cart.Expected{ID: id, Version: 3})
	}
	return g
}

func TestLeasesEndWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{overdue: [][]cart.Expected{group(1, 4), group(2)}}
		stop := start(t, s)
		time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's clock
		stop()
		if len(s.overdue) > 0 || s.released != 2 || s.merged != 1 || s.left != 0 {
			t.Errorf("%+v, want two carts released and one merged", s)
		}
	})
}

func TestOneGroupThatFailsKeepsNoOtherLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{
			overdue: [][]cart.Expected{group(1), group(2), group(3)},
			refuses: map[int64]error{1: &cart.Error{Code: cart.CodeInternal}, 2: &cart.Error{Code: cart.CodeVersionMismatch}},
		}
		stop := start(t, s)
		time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's clock
		stop()
		if len(s.overdue) != 2 || s.left != 2 || s.failures == 0 {
			t.Errorf("%+v, want two groups left", s)
		}
	})
}

func TestUpkeepGoesOnAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{overdue: [][]cart.Expected{group(1)}, down: true}
		stop := start(t, s)
		time.Sleep(time.Minute) //nolint:forbidigo // the bubble's clock
		s.mu.Lock()
		if s.failures == 0 || s.failures > 12 {
			t.Errorf("%d failures in a minute, want a pause after each", s.failures)
		}
		s.down = false
		s.mu.Unlock()
		time.Sleep(10 * time.Second) //nolint:forbidigo // the bubble's clock
		stop()
		if len(s.overdue) > 0 {
			t.Errorf("%+v, want all released", s)
		}
	})
}

func TestOldReceiptsAreDeletedInBites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{receipts: 2500}
		stop := start(t, s)
		time.Sleep(3 * time.Second) //nolint:forbidigo // the bubble's clock
		stop()
		if s.receipts != 0 || s.forgotten != 2500 {
			t.Errorf("%+v, want no receipts left", s)
		}
	})
}
