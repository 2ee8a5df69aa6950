package commit_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
)

// memory is a store that keeps carts in a map, counts its calls and lets a test step in.
type memory struct {
	cart.Store // nil: what these tests do not call

	mu    sync.Mutex
	carts map[int64]*cart.Cart
	ids   int64
	loads [][]cart.Ref
	saves [][]cart.Change

	// beforeLoad and beforeSave are called without the lock; an error is returned in place of an answer.
	beforeLoad func(context.Context, []cart.Ref) error
	beforeSave func(context.Context, []cart.Change) error
}

func (m *memory) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	if m.beforeLoad != nil {
		if err := m.beforeLoad(ctx, refs); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loads = append(m.loads, refs)
	out := make([]*cart.Cart, len(refs))
	for i, r := range refs {
		out[i] = m.find(r)
	}
	return out, nil
}

func (m *memory) find(r cart.Ref) *cart.Cart {
	if r.ID > 0 {
		return m.carts[r.ID]
	}
	for _, c := range m.carts {
		if c.Status == cart.Active && cart.ActiveOf(c.CompanyID, c.Owner()) == r {
			return c
		}
	}
	return nil
}

func (m *memory) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	if m.beforeSave != nil {
		if err := m.beforeSave(ctx, changes); err != nil {
			return nil, err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.saves = append(m.saves, changes)
	out := make([]cart.Saved, len(changes))
	for i, ch := range changes {
		out[i] = m.save(ch)
	}
	return out, nil
}

func (m *memory) save(ch cart.Change) cart.Saved {
	c := *ch.Cart
	old := m.carts[c.ID]
	if c.ID != 0 && (old == nil || old.Version != ch.Was) {
		return cart.Saved{}
	}
	if c.Status == cart.Active && !ch.Delete {
		if other := m.find(cart.ActiveOf(c.CompanyID, c.Owner())); other != nil && other.ID != c.ID {
			return cart.Saved{}
		}
	}
	s := cart.Saved{OK: true, UpdatedAt: time.Now()}
	switch {
	case ch.Delete:
		delete(m.carts, c.ID)
		return s
	case c.ID == 0:
		m.ids++
		c.ID, c.CreatedAt = m.ids, s.UpdatedAt
		s.ID, s.CreatedAt = c.ID, c.CreatedAt
	}
	c.UpdatedAt = s.UpdatedAt
	m.carts[c.ID] = &c
	return s
}

func (m *memory) List(_ context.Context, l cart.Listing) ([]*cart.Cart, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*cart.Cart
	for id := m.ids; id > 0; id-- {
		if c := m.carts[id]; c != nil && c.Owner() == cart.User(l.UserID) && len(c.Items) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

func (m *memory) Ping(context.Context) error { return nil }
func (m *memory) Close() error               { return nil }

// change replaces a stored cart by a later version, as another process would.
func (m *memory) change(id int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := *m.carts[id]
	c.Version++
	m.carts[id] = &c
}

// start starts a service with one lane over the store, and ends it with the test.
func start(t *testing.T, m *memory, change ...func(*commit.Options)) *commit.Service {
	t.Helper()
	if m.carts == nil {
		m.carts = make(map[int64]*cart.Cart)
	}
	o := commit.Options{WriteLanes: 1, ReadLanes: 1, BatchSize: 64, QueueSize: 100, Timeout: time.Minute, Logger: discard}
	for _, f := range change {
		f(&o)
	}
	s := commit.New(m, o)
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}
