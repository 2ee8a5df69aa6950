package commit

import (
	"context"

	"github.com/sellio/sellio-cart/internal/cart"
)

// batch holds the carts of a batch of commands while the commands are applied one after another.
type batch struct {
	entries []*entry
	byID    map[int64]*entry
	active  map[cart.Ref]*entry // by owner and company
}

// entry is one cart, or a place where a command may create one.
type entry struct {
	before  *cart.Cart // as loaded; nil: there was none
	now     *cart.Cart // as the commands so far have left it
	results []result
}

// result is the outcome of a command; its caller gets it once the entry is committed.
type result struct {
	job  *command
	cart *cart.Cart
	err  error
}

func newBatch(refs []cart.Ref, carts []*cart.Cart) *batch {
	b := &batch{byID: make(map[int64]*entry, len(refs)), active: make(map[cart.Ref]*entry)}
	for i, ref := range refs {
		c := carts[i]
		var e *entry
		if c != nil {
			e = b.byID[c.ID]
		}
		if e == nil {
			e = b.add(c)
		}
		// An id that names no cart keeps its own empty entry, as does an owner without one.
		if ref.ID > 0 {
			b.byID[ref.ID] = e
		} else if b.active[ref] == nil {
			b.active[ref] = e
		}
		if c != nil {
			b.byID[c.ID] = e
		}
	}
	return b
}

func (b *batch) add(c *cart.Cart) *entry {
	e := &entry{before: c, now: c}
	b.entries = append(b.entries, e)
	return e
}

// entry returns the entry that the ref names after the commands so far.
func (b *batch) entry(ref cart.Ref) *entry {
	if ref.ID > 0 {
		return b.byID[ref.ID]
	}
	e := b.active[ref]
	if c := e.current(); c == nil && e.before == nil || c != nil && c.Status == cart.Active {
		return e
	}
	// The owner's cart has been deleted or moved on within this batch.
	e = b.add(nil)
	b.active[ref] = e
	return e
}

// current returns the cart as it is now, nil if there is none.
func (e *entry) current() *cart.Cart {
	if e.now != nil && e.now.Gone {
		return nil
	}
	return e.now
}

// seen returns the cart as a command sees it: current, but a LOCKED cart has a rival where the commands so far have left its
// owner another ACTIVE one, and none where they have ended it.
func (b *batch) seen(e *entry) *cart.Cart {
	c := e.current()
	if c == nil || c.Status != cart.Locked || c.Owner().IsNobody() {
		return c
	}
	rival := c.Rival
	for _, other := range b.entries {
		if other == e || other.now == nil || other.now.CompanyID != c.CompanyID || other.now.Owner() != c.Owner() {
			continue
		}
		if now := other.current(); now != nil && now.Status == cart.Active {
			rival = true
			break
		}
		if other.before != nil && other.before.Status == cart.Active {
			rival = false
		}
	}
	if rival == c.Rival {
		return c
	}
	seen := *c
	seen.Rival = rival
	return &seen
}

// advance makes next the current cart of e.
func (b *batch) advance(e *entry, next *cart.Cart) {
	e.now = next
	if owner := next.Owner(); next.Status == cart.Active && !next.Gone && !owner.IsNobody() {
		b.active[cart.ActiveOf(next.CompanyID, owner)] = e
	}
}

// save makes the changes of the batch in the store, answers the commands whose entries were saved or
// had nothing to save, and returns the others. After an error it has answered none of them.
func (b *batch) save(ctx context.Context, store cart.Store) (again []*command, err error) {
	changes := make([]cart.Change, 0, len(b.entries))
	changed := make([]*entry, 0, len(b.entries))
	for _, e := range b.entries {
		if e.now != e.before {
			changes = append(changes, cart.Diff(e.before, e.now))
			changed = append(changed, e)
		}
	}
	if len(changes) > 0 {
		saved, err := store.Save(ctx, changes)
		if err != nil {
			return nil, err
		}
		for i, e := range changed {
			if !saved[i].OK {
				for _, r := range e.results {
					again = append(again, r.job)
				}
				e.results = nil
				continue
			}
			e.stamp(saved[i])
		}
	}
	for _, e := range b.entries {
		for _, r := range e.results {
			r.job.answer(r.cart, r.err)
		}
	}
	return again, nil
}

// stamp completes the carts that the commands made with the values that the store has set. No caller has
// seen these carts yet.
func (e *entry) stamp(s cart.Saved) {
	for _, r := range e.results {
		if r.cart == nil || r.cart == e.before {
			continue
		}
		r.cart.UpdatedAt = s.UpdatedAt
		if e.before == nil {
			r.cart.ID, r.cart.CreatedAt = s.ID, s.CreatedAt
		}
	}
}
