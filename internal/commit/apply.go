package commit

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/sellio/sellio-cart/internal/cart"
)

// apply runs one request on what the batch has made of its carts so far. It returns false if the request must wait for
// the next batch. A rule that panics fails its own request only.
func (w *writer) apply(b *batch, j *command, done *cart.Receipt) (ok bool) {
	e := b.entry(j.in.refs[0])
	defer func() {
		if r := recover(); r != nil {
			what := any(j.in.Command)
			if j.in.Joint != nil {
				what = j.in.Joint
			}
			w.log.ErrorContext(j.ctx, "A rule panicked.", "command", fmt.Sprintf("%T", what), "panic", r, "stack", string(debug.Stack()))
			e.fail(j, &cart.Error{Code: cart.CodeInternal, Detail: "panic in a command"})
			ok = true
		}
	}()
	switch twin := b.receipts[j.in.key]; {
	case j.in.Key == "":
	case twin != nil:
		b.replay(twin, j, twin.receipt(j.in.key))
		return true
	case done != nil:
		b.replay(b.enter(done.Cart), j, done)
		return true
	}
	if j.in.Joint != nil {
		return b.applyJoint(j)
	}
	return b.applyCommand(e, j)
}

func (e *entry) fail(j *command, err error) {
	e.results = append(e.results, outcome{job: j, err: err})
}

// visible returns the cart as the request sees it: nil where it is another owner's.
func (b *batch) visible(e *entry, in *write) *cart.Cart {
	seen := b.seen(e)
	if seen != nil && !in.As.IsNobody() && seen.Owner() != in.As {
		return nil
	}
	return seen
}

func (b *batch) applyCommand(e *entry, j *command) bool {
	seen := b.visible(e, j.in)
	next, err := j.in.Apply(seen)
	changed := err == nil && (next != seen || seen == nil)
	if err == nil && j.in.Spend != nil && (seen == nil || !changed && j.in.Key != "") {
		err = j.in.Spend()
	}
	switch {
	case err != nil:
		e.fail(j, err)
		return true
	case changed && e.before == nil && next.Gone:
		return false // A cart is not deleted by the batch that is yet to create it.
	case changed:
		b.advance(e, next)
	default:
		next = e.now
	}
	result := cart.Result{Cart: next, Changed: changed, Created: seen == nil}
	if e.before != nil {
		result.Found = e.before.UpdatedAt
	}
	e.results = append(e.results, outcome{job: j, result: result})
	b.note(e, j, next)
	return true
}

// note adds the receipt of a request with a key. Without a cart it is one of several carts.
func (b *batch) note(e *entry, j *command, c *cart.Cart) {
	if j.in.Key == "" {
		return
	}
	r := &cart.Receipt{Key: j.in.key, Fingerprint: j.in.Fingerprint(), Owner: e.now.Owner().Hash()}
	if c != nil {
		r.CartID, r.CompanyID, r.Version, r.CreatedAt = c.ID, c.CompanyID, c.Version, c.CreatedAt
	}
	e.receipts = append(e.receipts, r)
	if b.receipts == nil {
		b.receipts = make(map[[32]byte]*entry)
	}
	b.receipts[r.Key] = e
}

// receipt returns the entry's receipt of that key.
func (e *entry) receipt(key [32]byte) *cart.Receipt {
	for _, r := range e.receipts {
		if r.Key == key {
			return r
		}
	}
	return nil
}

// applyJoint runs a request on several carts.
func (b *batch) applyJoint(j *command) bool {
	found := make(cart.Found, 2*len(j.in.refs))
	entries := make([]*entry, len(j.in.refs))
	for i, ref := range j.in.refs {
		e := b.entry(ref)
		if e.isNew() {
			return false // The new cart has no id yet.
		}
		entries[i] = e
		c := b.visible(e, j.in)
		found[ref] = c
		if c != nil {
			found[cart.ByID(c.ID)] = c
		}
	}
	out, err := j.in.ApplyJoint(found)
	if missing, ok := errors.AsType[*cart.MissingError](err); ok {
		j.in.refs = append(j.in.Refs(), missing.Refs...)
		return false
	}
	join(entries)
	e := entries[0]
	if err == nil && len(out.Changed) == 0 && j.in.Key != "" && j.in.Spend != nil {
		err = j.in.Spend()
	}
	if err != nil {
		e.fail(j, err)
		return true
	}
	for _, next := range out.Changed {
		b.advance(b.byID[next.ID], next)
	}
	result := cart.Result{Changed: len(out.Changed) > 0, Carts: make([]*cart.Cart, len(out.Answer))}
	for i, id := range out.Answer {
		result.Carts[i] = b.byID[id].now
	}
	e.results = append(e.results, outcome{job: j, result: result})
	if len(result.Carts) == 1 {
		b.note(b.byID[out.Answer[0]], j, result.Carts[0])
	} else {
		b.note(e, j, nil)
	}
	return true
}
