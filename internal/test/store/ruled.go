package storetest

import (
	"context"
	"errors"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Ruled is a [cart.Service] with one cart, and does to it what it is asked for as the rules have it. What should not
// have got so far is no error of the domain, and so a bug. It is for fuzzing what stands before a service.
type Ruled struct {
	Cart func() *cart.Cart // makes the cart anew
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
