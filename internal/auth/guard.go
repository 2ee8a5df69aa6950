package auth

import (
	"context"
	"slices"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Guard lets each caller reach its own carts, and services all carts. To a caller, a cart of another owner does not exist;
// a request that names another owner gets CodeForbidden. A context without a caller gets CodeUnauthenticated, so a
// transport that forgets to authenticate reaches nothing.
type Guard struct {
	carts cart.Service
}

// NewGuard returns a guard in front of the carts.
func NewGuard(carts cart.Service) *Guard { return &Guard{carts: carts} }

// Do implements [cart.Service].
func (g *Guard) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	c := CallerOf(ctx)
	for _, ref := range r.Refs() {
		if err := c.mayName(ref); err != nil {
			return cart.Result{}, err
		}
	}
	// The owner is checked on the carts to which the request is applied, which needs no query of its own and leaves no gap
	// before the write.
	if !c.Service {
		r.As = c.Owner
	}
	return g.carts.Do(ctx, r)
}

// Get implements [cart.Service].
func (g *Guard) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	c := CallerOf(ctx)
	if err := c.mayName(ref); err != nil {
		return nil, err
	}
	found, err := g.carts.Get(ctx, ref)
	if err == nil && !c.owns(found) {
		return nil, cart.ErrNotFound
	}
	return found, err
}

// GetMany implements [cart.Service].
func (g *Guard) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	c := CallerOf(ctx)
	if c == (Caller{}) {
		return nil, errUnauthenticated
	}
	found, err := g.carts.GetMany(ctx, ids)
	return slices.DeleteFunc(found, func(f *cart.Cart) bool { return !c.owns(f) }), err
}

// List implements [cart.Service].
func (g *Guard) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	if err := CallerOf(ctx).mayName(cart.Ref{Owner: cart.User(l.UserID)}); err != nil {
		return nil, err
	}
	return g.carts.List(ctx, l)
}

// Basket implements [cart.Service].
func (g *Guard) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	if err := CallerOf(ctx).mayName(cart.Ref{Owner: q.Owner}); err != nil {
		return nil, err
	}
	return g.carts.Basket(ctx, q)
}

// Merge implements [cart.Service]. A user may merge the carts of the guest whose cookie the request shows.
func (g *Guard) Merge(ctx context.Context, m cart.Merge) (*cart.Merged, error) {
	c := CallerOf(ctx)
	if err := c.mayName(cart.Ref{Owner: cart.User(m.UserID)}); err != nil {
		return nil, err
	}
	if !c.Service && m.Cookie != "" && m.Cookie != c.Cookie {
		return nil, errForbidden
	}
	return g.carts.Merge(ctx, m)
}

// mayName returns an error where the caller may not name a cart like this. A cart that is named by its id may still turn
// out to be another owner's.
func (c Caller) mayName(ref cart.Ref) error {
	switch {
	case c == Caller{}:
		return errUnauthenticated
	case c.Service || ref.ID > 0 || ref.Owner == c.Owner:
		return nil
	default:
		return errForbidden
	}
}

// owns reports whether the caller, which is not nobody, may reach the cart. Carts without an owner are for services only.
func (c Caller) owns(found *cart.Cart) bool {
	return c.Service || found.Owner() == c.Owner
}
