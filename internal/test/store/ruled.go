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
func (r Ruled) Do(_ context.Context, cmd cart.Command) (*cart.Cart, error) {
	if err := cmd.Validate(); err != nil {
		return nil, errors.New("a command that is not valid: " + err.Error())
	}
	return cmd.Apply(r.Cart())
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
