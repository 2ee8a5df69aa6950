package storetest

import (
	"context"
	"errors"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Ruled is a [cart.Service] with one cart, to which it applies commands by the rules. Input that its caller should have
// refused gets an error that is not of the domain, and so counts as a bug. It is for fuzzing the layers in front of a
// service.
type Ruled struct {
	Cart func() *cart.Cart // returns a fresh copy of the cart
}

// Do implements [cart.Service].
func (r Ruled) Do(_ context.Context, in cart.Request) (cart.Result, error) {
	if err := in.Validate(); err != nil {
		return cart.Result{}, errors.New("a request that is not valid: " + err.Error())
	}
	if in.Joint == nil {
		c, err := in.Apply(r.Cart())
		return cart.Result{Cart: c}, err
	}
	found := make(cart.Found)
	for _, ref := range in.Joint.Refs() {
		c := r.Cart()
		c.ID = ref.ID
		found[ref] = c
	}
	for {
		out, err := in.ApplyJoint(found)
		missing, more := errors.AsType[*cart.MissingError](err)
		if !more {
			if len(out.Changed) == 0 {
				out.Changed = []*cart.Cart{r.Cart()}
			}
			return cart.Result{Carts: out.Changed}, err
		}
		for _, ref := range missing.Refs {
			found[ref] = nil
		}
	}
}

// Get implements [cart.Service].
func (r Ruled) Get(_ context.Context, ref cart.Ref) (*cart.Cart, error) {
	if ref.ID < 0 || ref.ID == 0 && (ref.CompanyID <= 0 || ref.Owner.IsNobody()) {
		return nil, errors.New("a ref that names nothing")
	}
	return r.Cart(), nil
}

// GetMany implements [cart.Service].
func (r Ruled) GetMany(_ context.Context, ids []int64) ([]*cart.Cart, error) {
	if err := cart.CheckIDs(ids); err != nil {
		return nil, errors.New("ids that are not valid: " + err.Error())
	}
	return []*cart.Cart{r.Cart()}, nil
}

// List implements [cart.Service].
func (r Ruled) List(_ context.Context, l cart.Listing) ([]*cart.Cart, error) {
	if err := l.Validate(); err != nil {
		return nil, errors.New("a listing that is not valid: " + err.Error())
	}
	return []*cart.Cart{r.Cart()}, nil
}

// Basket implements [cart.Service].
func (r Ruled) Basket(_ context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	if err := q.Validate(); err != nil {
		return nil, errors.New("a query that is not valid: " + err.Error())
	}
	return cart.BasketOf([]*cart.Cart{r.Cart()}), nil
}

// Merge implements [cart.Service].
func (r Ruled) Merge(_ context.Context, m cart.Merge) (*cart.Merged, error) {
	if err := m.Validate(); err != nil {
		return nil, errors.New("a merge that is not valid: " + err.Error())
	}
	return &cart.Merged{Basket: cart.BasketOf([]*cart.Cart{r.Cart()})}, nil
}
