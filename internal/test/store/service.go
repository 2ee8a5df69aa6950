package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// RunCommands checks that services on the databases that newDatabase makes keep the rules of carts,
// alone and with others at the same time.
func RunCommands(t *testing.T, newDatabase func(t testing.TB) Database[cart.Service]) {
	runCases(t, newDatabase, ruleCases, serviceRaceCases, modelCases)
}

func isEmpty(c *cart.Cart) bool { return c == nil || len(c.Items) == 0 }

// do runs a command that must succeed.
func do(t testing.TB, s cart.Service, cmd cart.Command) *cart.Cart {
	t.Helper()
	c, err := Do(t.Context(), s, cmd)
	if err != nil {
		t.Fatalf("%T: %v", cmd, err)
	}
	return c
}

// fails runs a command that must fail.
func fails(t testing.TB, s cart.Service, cmd cart.Command, want cart.Code) {
	t.Helper()
	c, err := Do(t.Context(), s, cmd)
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

// Do runs a command, under no conditions, and returns the cart as the command left it.
func Do(ctx context.Context, s cart.Service, cmd cart.Command) (*cart.Cart, error) {
	done, err := s.Do(ctx, cart.Do(cmd))
	return done.Cart, err
}
