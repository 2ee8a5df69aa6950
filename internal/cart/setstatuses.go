package cart

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// SetStatuses changes the status of several carts of one owner, all of them or none.
type SetStatuses struct {
	Carts []Expected // 1 to [MaxCartsAsked] different ones
	// Status, LockSeconds and Reference are as in [SetStatus].
	Status      Status
	LockSeconds int64  `json:",omitzero"`
	Reference   string `json:",omitzero"`
	// Merge, with ACTIVE, merges a cart whose owner has another ACTIVE one at its company into that one, and cancels it.
	Merge bool `json:",omitzero"`
	// Alone means that the request names the cart by itself and not in a list: errors are those of a command on one cart.
	Alone bool `json:"-"`
}

// Expected names a cart and the version that it must have; 0: any.
type Expected struct {
	ID      int64
	Version int64 `json:"-"`
}

// Refs implements [Joint].
func (s SetStatuses) Refs() []Ref {
	refs := make([]Ref, len(s.Carts))
	for i, c := range s.Carts {
		refs[i] = ByID(c.ID)
	}
	return refs
}

// Validate implements [Joint].
func (s SetStatuses) Validate() error {
	errs := []error{
		s.command(Expected{}).validate(),
		check("if_active", !s.Merge || s.Status == Active),
		check("carts", 1 <= len(s.Carts) && len(s.Carts) <= MaxCartsAsked),
	}
	known := make(map[int64]bool)
	for i, c := range s.Carts[:min(len(s.Carts), MaxCartsAsked)] {
		errs = append(errs, Within(fmt.Sprintf("carts[%d]", i), Invalid(
			check("id", c.ID > 0 && !known[c.ID]),
			check("version", c.Version >= 0))))
		known[c.ID] = true
	}
	return Invalid(errs...)
}

func (s SetStatuses) command(c Expected) SetStatus {
	return SetStatus{CartID: c.ID, Status: s.Status, LockSeconds: s.LockSeconds, Reference: s.Reference, Versioned: c.Version > 0}
}

// Apply implements [Joint]. Each cart is answered once, in the order asked; a cart that was merged, by the one that has its
// lines now.
func (s SetStatuses) Apply(found Found) (Outcome, error) {
	if missing := s.missing(found); len(missing) > 0 {
		return Outcome{}, &MissingError{missing}
	}
	var in inTheWay
	w := working{found: found, now: make(map[int64]*Cart)}
	var first *Cart
	for _, c := range s.Carts {
		was := w.byID(c.ID)
		if first == nil {
			first = was
		}
		if err := s.applyTo(&w, c, first); err != nil {
			in.add(c.ID, was, err)
		}
	}
	if err := in.error(s.Alone); err != nil {
		return Outcome{}, err
	}
	return w.outcome(), nil
}

// working holds carts while a joint command changes them.
type working struct {
	found  Found
	now    map[int64]*Cart
	answer []int64
}

func (w *working) byID(id int64) *Cart {
	if c := w.now[id]; c != nil {
		return c
	}
	return w.found[ByID(id)]
}

// missing names the carts that stand in the way of unlocking these ones and have not been loaded.
func (s SetStatuses) missing(found Found) (refs []Ref) {
	for _, c := range s.Carts {
		if now := found[ByID(c.ID)]; s.Merge && now != nil && now.Rival {
			ref := ActiveOf(now.CompanyID, now.Owner())
			if _, loaded := found[ref]; !loaded {
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// applyTo changes one cart. First is the first cart of the command.
func (s SetStatuses) applyTo(w *working, c Expected, first *Cart) error {
	loaded, was := w.found[ByID(c.ID)], w.byID(c.ID)
	switch {
	case was == nil:
		return ErrNotFound
	case loaded != first && (loaded.Owner() != first.Owner() || loaded.Owner().IsNobody()):
		return errOwners
	case c.Version > 0 && loaded.Version != c.Version:
		return errVersion(loaded)
	}
	if s.Status == Active && was.Status == Locked {
		switch rival := w.rival(was); {
		case rival != nil && !s.Merge:
			return errHasRival
		case rival != nil:
			into, cancelled := endLock(was, rival)
			w.set(into)
			w.now[cancelled.ID] = cancelled
			return nil
		case s.Merge:
			free := *was // the rival, if there was one, has been changed by this command
			free.Rival = false
			was = &free
		}
	}
	next, err := s.command(c).Apply(was)
	if err == nil {
		w.set(next)
	}
	return err
}

// rival returns the other ACTIVE cart of the owner at the company, nil if there is none.
func (w *working) rival(c *Cart) *Cart {
	for _, other := range w.now {
		if other.ID != c.ID && other.Status == Active && other.CompanyID == c.CompanyID && other.Owner() == c.Owner() {
			return other
		}
	}
	if rival := w.found[ActiveOf(c.CompanyID, c.Owner())]; c.Rival && rival != nil {
		return w.byID(rival.ID)
	}
	return nil
}

// set makes c the cart of today and a part of the answer.
func (w *working) set(c *Cart) {
	w.now[c.ID] = c
	if !slices.Contains(w.answer, c.ID) {
		w.answer = append(w.answer, c.ID)
	}
}

// outcome returns the carts that have changed, in the order of their ids.
func (w *working) outcome() Outcome {
	o := Outcome{Answer: w.answer}
	for _, id := range slices.Sorted(maps.Keys(w.now)) {
		if c := w.now[id]; c.Version != w.found[ByID(id)].Version {
			o.Changed = append(o.Changed, c)
		}
	}
	return o
}

// endLock ends the lock of a cart whose owner has another ACTIVE cart: its lines go into that one, which is returned
// first, and it becomes CANCELLED and keeps them, since a payment may name it.
func endLock(locked, active *Cart) (into, cancelled *Cart) {
	into, _ = mergeInto(active, locked, release)
	next := *locked
	next.Status = Cancelled
	next.Rival = false
	next.Lease, next.LockedUntil = 0, time.Time{}
	next.Version++
	return into, &next
}
