package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// RunCommands checks that services on the databases that newDatabase makes keep the rules of carts,
// alone and with others at the same time.
func RunCommands(t *testing.T, newDatabase func(t testing.TB) Database[cart.Service]) {
	runCases(t, newDatabase, ruleCases, serviceRaceCases, modelCases)
}

// OneByOne is the plainest [cart.Service]: each command is a Load and a Save of its own. Group commit must
// give the same results, and be faster.
type OneByOne struct{ Store cart.Store }

// Do runs the command again for as long as others change the cart at the same time.
func (o OneByOne) Do(ctx context.Context, cmd cart.Command) (*cart.Cart, error) {
	for {
		carts, err := o.Store.Load(ctx, []cart.Ref{cmd.Ref()})
		if err != nil {
			return nil, err
		}
		before := carts[0]
		after, err := cmd.Apply(before)
		if err != nil || after == before {
			return after, err
		}
		saved, err := o.Store.Save(ctx, []cart.Change{cart.Diff(before, after)})
		switch {
		case err != nil && cart.CodeOf(err) != cart.CodeConflict:
			return nil, err
		case err != nil || !saved[0].OK:
			continue
		}
		after.UpdatedAt = saved[0].UpdatedAt
		if before == nil {
			after.ID, after.CreatedAt = saved[0].ID, saved[0].CreatedAt
		}
		return after, nil
	}
}

// Get implements [cart.Service].
func (o OneByOne) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	carts, err := o.Store.Load(ctx, []cart.Ref{ref})
	if err != nil {
		return nil, err
	}
	if isEmpty(carts[0]) {
		return nil, cart.ErrNotFound
	}
	return carts[0], nil
}

// GetMany implements [cart.Service].
func (o OneByOne) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	refs := make([]cart.Ref, len(ids))
	for i, id := range ids {
		refs[i] = cart.ByID(id)
	}
	carts, err := o.Store.Load(ctx, refs)
	return slices.DeleteFunc(carts, isEmpty), err
}

// List implements [cart.Service].
func (o OneByOne) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	return o.Store.List(ctx, l)
}

func isEmpty(c *cart.Cart) bool { return c == nil || len(c.Items) == 0 }

// do runs a command that must succeed.
func do(t testing.TB, s cart.Service, cmd cart.Command) *cart.Cart {
	t.Helper()
	c, err := s.Do(t.Context(), cmd)
	if err != nil {
		t.Fatalf("%T: %v", cmd, err)
	}
	return c
}

// fails runs a command that must fail.
func fails(t testing.TB, s cart.Service, cmd cart.Command, want cart.Code) {
	t.Helper()
	c, err := s.Do(t.Context(), cmd)
	if err == nil {
		t.Fatalf("%T succeeded with %+v, want code %d", cmd, c, want)
	}
	if got := cart.CodeOf(err); got != want {
		t.Errorf("%T: code %d, want %d: %v", cmd, got, want, err)
	}
}

// shows checks that the cart can be read, by id and in the other ways there are, and is as given.
func shows(t testing.TB, s cart.Service, want *cart.Cart) {
	t.Helper()
	refs := []cart.Ref{cart.ByID(want.ID)}
	if want.Status == cart.Active && !want.Owner().IsNobody() {
		refs = append(refs, cart.ActiveOf(want.CompanyID, want.Owner()))
	}
	for _, ref := range refs {
		got, err := s.Get(t.Context(), ref)
		if err != nil {
			t.Fatalf("Get %+v: %v", ref, err)
		}
		same(t, got, want)
	}
}

// hides checks that the ref shows nothing.
func hides(t testing.TB, s cart.Service, ref cart.Ref) {
	t.Helper()
	c, err := s.Get(t.Context(), ref)
	if !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("Get %+v: %+v, %v; want not found", ref, c, err)
	}
}
