package auth

import (
	"context"
	"slices"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Guard lets each caller reach the carts that are theirs, and services all. A cart of somebody else is like one that
// does not exist; who names an owner that they are not gets CodeForbidden. A context without a caller gets
// CodeUnauthenticated, so a way in that forgets to authenticate leads nowhere.
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

// mayName returns why the caller may not name a cart so, nil where they may. A cart that is named by its id may turn
// out to be another's.
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

// owns reports whether the caller, who is somebody, may reach the cart. Carts without an owner are for services only.
func (c Caller) owns(found *cart.Cart) bool {
	return c.Service || found.Owner() == c.Owner
}

// ownCart is a command that finds no cart but the owner's. Asking the cart itself, when the command is applied to it,
// takes no query more and leaves no moment in between.
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
