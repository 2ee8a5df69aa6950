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
func (g *Guard) Do(ctx context.Context, cmd cart.Command) (*cart.Cart, error) {
	c := CallerOf(ctx)
	ref := cmd.Ref()
	if err := c.mayName(ref); err != nil {
		return nil, err
	}
	if ref.ID > 0 && !c.Service {
		cmd = ownCart{Command: cmd, owner: c.Owner}
	}
	return g.carts.Do(ctx, cmd)
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

// ownCart is a command that finds the owner's carts only. The check is made on the cart that the command is applied to,
// so it needs no query of its own and leaves no gap before the write.
type ownCart struct {
	cart.Command
	owner cart.Owner
}

// Apply implements [cart.Command].
func (o ownCart) Apply(c *cart.Cart) (*cart.Cart, error) {
	if c != nil && c.Owner() != o.owner {
		return nil, cart.ErrNotFound
	}
	return o.Command.Apply(c)
}
