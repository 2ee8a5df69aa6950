package commit

import (
	"context"

	"github.com/sellio/sellio-cart/internal/cart"
)

// batch holds the carts of a batch of requests while the requests are applied one after another.
type batch struct {
	entries  []*entry
	byID     map[int64]*entry
	active   map[cart.Ref]*entry // by owner and company
	receipts map[[32]byte]*entry // of the requests of this batch
}

// entry is one cart, or a place where a command may create one.
type entry struct {
	before   *cart.Cart   // as loaded; nil: there was none
	now      *cart.Cart   // as the requests so far have left it
	made     []*cart.Cart // all that the requests have made of it
	results  []outcome
	receipts []*cart.Receipt
	leader   *entry // of the entries that are saved together or not at all; nil: the entry leads itself
	joined   bool   // a joint request has had to do with it
}

// outcome is that of one request; its caller gets it once the entry is committed.
type outcome struct {
	job    *command
	result cart.Result
	err    error
}

func newBatch(refs []cart.Ref, carts []*cart.Cart) *batch {
	b := &batch{byID: make(map[int64]*entry, len(refs)), active: make(map[cart.Ref]*entry)}
	for i, ref := range refs {
		e := b.enter(carts[i])
		// An id that names no cart keeps its own empty entry, as does an owner without one.
		if ref.ID > 0 {
			b.byID[ref.ID] = e
		} else if b.active[ref] == nil {
			b.active[ref] = e
		}
	}
	return b
}

// enter returns the entry of the cart, which may be new to the batch.
func (b *batch) enter(c *cart.Cart) *entry {
	if c == nil {
		return b.add(nil)
	}
	e := b.byID[c.ID]
	if e == nil {
		e = b.add(c)
		b.byID[c.ID] = e
	}
	return e
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
	if c := e.current(); c == nil && e.before == nil || c != nil && c.Status == cart.Active && c.Owner() == ref.Owner {
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

// isNew reports whether the cart exists only in this batch so far.
func (e *entry) isNew() bool { return e.before == nil && e.now != nil }

// seen returns the cart as a command sees it: current, but a LOCKED cart has a rival where the commands so far have left its
// owner another ACTIVE one, and none where they have ended it.
func (b *batch) seen(e *entry) *cart.Cart {
	c := e.current()
	if c == nil || c.Status != cart.Locked || c.Owner().IsNobody() {
		return c
	}
	rival := c.Rival
	for _, other := range b.entries {
		if other == e || other.now == nil || other.now.CompanyID != c.CompanyID {
			continue
		}
		if now := other.current(); now != nil && now.Status == cart.Active && now.Owner() == c.Owner() {
			rival = true
			break
		}
		if other.before != nil && other.before.Status == cart.Active && other.before.Owner() == c.Owner() {
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
	e.made = append(e.made, next)
	if owner := next.Owner(); next.Status == cart.Active && !next.Gone && !owner.IsNobody() {
		b.active[cart.ActiveOf(next.CompanyID, owner)] = e
	}
}

// lead returns the entry that stands for all that are saved together with e.
func (e *entry) lead() *entry {
	for e.leader != nil {
		e = e.leader
	}
	return e
}

// join makes the entries that have a cart one group.
func join(entries []*entry) {
	var first *entry
	for _, e := range entries {
		switch {
		case e.now == nil:
		case first == nil:
			first = e
		case e != first:
			first.joined, e.joined = true, true
			if a, b := first.lead(), e.lead(); a != b {
				b.leader = a
			}
		}
	}
}

// save makes the changes of the batch in the store, answers the requests whose entries were saved or
// had nothing to save, and returns the others. After an error it has answered none of them.
func (b *batch) save(ctx context.Context, store cart.Store) (again []*command, err error) {
	changes, changed := b.changes()
	if len(changes) > 0 {
		saved, err := store.Save(ctx, changes)
		if err != nil {
			return nil, err
		}
		failed := make(map[*entry]bool)
		for i, e := range changed {
			if saved[i].OK {
				e.stamp(saved[i])
			} else {
				failed[e.lead()] = true
			}
		}
		if len(failed) > 0 {
			again = b.takeBack(failed)
		}
	}
	for _, e := range b.entries {
		for _, r := range e.results {
			r.job.answer(r.result, r.err)
		}
	}
	return again, nil
}

// takeBack returns the requests of the entries whose leaders have failed, and forgets their results.
func (b *batch) takeBack(failed map[*entry]bool) (again []*command) {
	for _, e := range b.entries {
		if failed[e.lead()] {
			for _, r := range e.results {
				again = append(again, r.job)
			}
			e.results = nil
		}
	}
	return again
}

// changes returns the changes to save, and the entry of each. An entry that a joint request has only looked at must not have
// changed either when the others of its group are saved.
func (b *batch) changes() (changes []cart.Change, changed []*entry) {
	changes = make([]cart.Change, 0, len(b.entries))
	changed = make([]*entry, 0, len(b.entries))
	var groups map[*entry]int // by leader; only groups in which something changes
	for _, e := range b.entries {
		if e.joined && e.now != e.before {
			if groups == nil {
				groups = make(map[*entry]int)
			}
			if lead := e.lead(); groups[lead] == 0 {
				groups[lead] = len(groups) + 1
			}
		}
	}
	for _, e := range b.entries {
		var ch cart.Change
		group := groups[e.lead()]
		switch {
		case e.now != e.before:
			ch = cart.Diff(e.before, e.now)
		case e.before != nil && (group > 0 || len(e.receipts) > 0):
			ch = cart.Change{Cart: e.before, Was: e.before.Version, Keep: true}
		default:
			continue
		}
		ch.Group = group
		for _, r := range e.receipts {
			ch.Receipts = append(ch.Receipts, *r)
		}
		changes = append(changes, ch)
		changed = append(changed, e)
	}
	return changes, changed
}

// stamp completes the carts that the requests made with the values that the store has set. No caller has
// seen these carts yet.
func (e *entry) stamp(s cart.Saved) {
	for _, c := range e.made {
		s.Complete(c)
	}
}
