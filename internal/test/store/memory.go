package storetest

import (
	"context"
	"slices"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// memory is the plainest [cart.Store], against which real ones are compared. It has one caller at a time.
type memory struct {
	carts    map[int64]*cart.Cart
	receipts map[[32]byte]*cart.Receipt
	ids      int64
	now      time.Time
}

func newMemory() *memory {
	return &memory{carts: make(map[int64]*cart.Cart), receipts: make(map[[32]byte]*cart.Receipt), now: time.Unix(1, 0)}
}

// Load implements [cart.Store].
func (m *memory) Load(_ context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	found := make([]*cart.Cart, len(refs))
	for i, ref := range refs {
		found[i] = m.find(ref)
	}
	return found, nil
}

func (m *memory) find(ref cart.Ref) *cart.Cart {
	c := m.carts[ref.ID]
	if ref.ID == 0 {
		c = m.active(ref.CompanyID, ref.Owner)
	}
	if c == nil || c.Status != cart.Locked {
		return c
	}
	seen := *c
	seen.Rival = m.active(c.CompanyID, c.Owner()) != nil
	return &seen
}

func (m *memory) active(companyID int64, owner cart.Owner) *cart.Cart {
	for _, c := range m.carts {
		if c.Status == cart.Active && c.CompanyID == companyID && c.Owner() == owner {
			return c
		}
	}
	return nil
}

// LoadKnown implements [cart.Store].
func (m *memory) LoadKnown(ctx context.Context, refs []cart.Ref, keys [][32]byte) ([]*cart.Cart, []*cart.Receipt, error) {
	carts, err := m.Load(ctx, refs)
	receipts := make([]*cart.Receipt, len(keys))
	for i, key := range keys {
		if r := m.receipts[key]; r != nil {
			known := *r
			known.Cart = m.find(cart.ByID(r.CartID))
			receipts[i] = &known
		}
	}
	return carts, receipts, err
}

// Save implements [cart.Store]. Its callers are alone, so every change is made.
func (m *memory) Save(_ context.Context, changes []cart.Change) ([]cart.Saved, error) {
	saved := make([]cart.Saved, len(changes))
	for i, ch := range changes {
		m.now = m.now.Add(time.Second)
		saved[i] = m.save(ch)
		for _, r := range ch.Receipts {
			if r.CompanyID > 0 {
				r.CartID = max(r.CartID, saved[i].ID)
			}
			r.At = m.now
			m.receipts[r.Key] = &r
		}
	}
	return saved, nil
}

func (m *memory) save(ch cart.Change) cart.Saved {
	s := cart.Saved{OK: true, UpdatedAt: m.now}
	c := *ch.Cart
	switch {
	case ch.Keep:
		return s
	case ch.Delete:
		delete(m.carts, c.ID)
		return s
	case c.ID == 0:
		m.ids++
		s.ID, s.CreatedAt = m.ids, m.now
	}
	s.Complete(&c)
	c.Rival = false
	c.Items = slices.Clone(c.Items)
	m.carts[c.ID] = &c
	return s
}

// GuestCarts implements [cart.Store].
func (m *memory) GuestCarts(_ context.Context, cookie string, companyID int64, limit int) ([]cart.GuestCart, error) {
	var found []cart.GuestCart
	for id := int64(1); id <= m.ids && len(found) < limit; id++ {
		c := m.carts[id]
		if c != nil && c.Owner() == cart.Guest(cookie) && c.Status <= cart.Locked && (companyID == 0 || companyID == c.CompanyID) {
			found = append(found, cart.GuestCart{ID: id, CompanyID: c.CompanyID})
		}
	}
	return found, nil
}

// Basket implements [cart.Store].
func (m *memory) Basket(_ context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	var all []*cart.Cart
	for id := m.ids; id > 0; id-- {
		if c := m.find(cart.ByID(id)); !isEmpty(c) && c.Owner() == q.Owner && c.Status == q.Status {
			all = append(all, c)
		}
	}
	b := cart.BasketOf(all)
	b.Owner = q.Owner
	b.Carts = slices.DeleteFunc(all, func(c *cart.Cart) bool { return q.Before > 0 && c.ID >= q.Before })
	b.Trim()
	return b, nil
}

// List implements [cart.Store].
func (m *memory) List(_ context.Context, l cart.Listing) ([]*cart.Cart, error) {
	var found []*cart.Cart
	for id := m.ids; id > 0 && int64(len(found)) < l.Limit; id-- {
		if c := m.find(cart.ByID(id)); !isEmpty(c) && c.Owner() == cart.User(l.UserID) && (l.Status == 0 || c.Status == l.Status) {
			found = append(found, c)
		}
	}
	return found, nil
}

// Overdue implements [cart.Store]: locks in memory never end.
func (m *memory) Overdue(context.Context, int64, int) ([][]cart.Expected, int64, error) {
	return nil, 0, nil
}

// Forget implements [cart.Store]: receipts are kept.
func (m *memory) Forget(context.Context, time.Duration, int) (int64, error) { return 0, nil }

// Ping implements [cart.Store].
func (m *memory) Ping(context.Context) error { return nil }

// Close implements [cart.Store].
func (m *memory) Close() error { return nil }
