package commit

import (
	"bytes"

	"github.com/sellio/sellio-cart/internal/cart"
)

// replay answers a request that was done before: done is its receipt, and e the entry of the cart that the receipt names.
// Nothing is changed.
func (b *batch) replay(e *entry, j *command, done *cart.Receipt) {
	now := e.current()
	as := j.in.As
	if !as.IsNobody() && !bytes.Equal(done.Owner, as.Hash()) && (now == nil || now.Owner() != as) {
		e.fail(j, cart.ErrNotFound)
		return
	}
	if err := j.in.CheckRepeated(done); err != nil {
		e.fail(j, err)
		return
	}
	result := cart.Result{Replayed: true}
	switch {
	case j.in.Joint == nil:
		result.Cart = replayed(e, j.in, done)
	case done.CartID > 0:
		result.Carts = []*cart.Cart{replayed(e, j.in, done)}
	default:
		result.Carts = b.carts(j.in)
	}
	e.results = append(e.results, outcome{job: j, result: result})
}

// carts returns the carts that the request names by their ids and its caller may see.
func (b *batch) carts(in *write) (carts []*cart.Cart) {
	for _, ref := range in.Joint.Refs() {
		if ref.ID == 0 {
			continue
		}
		if c := b.visible(b.entry(ref), in); c != nil {
			carts = append(carts, c)
		}
	}
	return carts
}

// replayed returns the cart as it is now. A cart that is gone, or has another owner than the request names, is answered
// without lines.
func replayed(e *entry, in *write, done *cart.Receipt) *cart.Cart {
	owner := in.As
	if in.Command != nil && in.Command.Ref().ID == 0 {
		owner = in.Command.Ref().Owner
	}
	if c := e.current(); c != nil && (owner.IsNobody() || c.Owner() == owner) {
		return c
	}
	c := cart.Emptied(done, owner)
	if done.At.IsZero() { // The batch has yet to store the receipt.
		e.made = append(e.made, c)
	}
	return c
}
