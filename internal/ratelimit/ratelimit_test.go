package ratelimit_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/ratelimit"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// shelf is a service that holds one cart, or none. It applies commands, and then fails if it is told to.
type shelf struct {
	cart.Service
	cart    *cart.Cart
	err     error
	was     []*cart.Cart // what a command is applied to before, as after conflicts
	replays bool
}

func (s *shelf) Do(_ context.Context, r cart.Request) (done cart.Result, err error) {
	for _, was := range append(s.was, s.cart) {
		if done.Cart, err = r.Apply(was); err != nil {
			return done, err
		}
		done.Created, done.Changed = was == nil, done.Cart != was
		if done.Created || r.Key != "" && !done.Changed {
			if err := r.Spend(); err != nil {
				return done, err
			}
		}
	}
	done.Replayed = s.replays
	return done, s.err
}

var (
	user   = cart.Upsert{CompanyID: 1, Owner: cart.User(1)}
	exists = &cart.Cart{ID: 1, Status: cart.Active, Version: 1}
)

// create lets the command create a cart, and returns whether it was let through.
func create(ctx context.Context, t *testing.T, l *ratelimit.Limiter, cmd cart.Command) bool {
	t.Helper()
	c, err := storetest.Do(ctx, l, cmd)
	if err == nil {
		return c != nil
	}
	if e, ok := errors.AsType[*cart.Error](err); !ok || e.Code != cart.CodeRateLimited || e.Wait <= 0 || e.Wait > time.Minute {
		t.Fatalf("got %#v, want CodeRateLimited and a wait of up to a minute", err)
	}
	return false
}

func newLimiter(t *testing.T, carts cart.Service, burst int) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(carts, 1, burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEachCallerHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, &shelf{}, 2)
	type caller struct {
		ctx context.Context
		cmd cart.Command
	}
	owner := func(o cart.Owner) caller { return caller{t.Context(), cart.Upsert{CompanyID: 1, Owner: o}} }
	address := func(text string) caller {
		return caller{ratelimit.From(t.Context(), netip.MustParseAddr(text)), cart.Upsert{CompanyID: 1, Owner: cart.Guest("fresh " + text)}}
	}
	for i, by := range []caller{
		owner(cart.User(1)), owner(cart.User(2)), owner(cart.Guest("1")), address("192.0.2.1"), address("192.0.2.2"),
		address("2001:db8:0:1::1"), address("2001:db8:0:2::1"),
	} {
		for n := range 3 {
			if got, want := create(by.ctx, t, l, by.cmd), n < 2; got != want {
				t.Errorf("caller %d: cart %d is let through: %v, want %v", i, n+1, got, want)
			}
		}
	}
	for _, again := range []string{"::ffff:192.0.2.1", "2001:db8:0:1::2"} {
		if by := address(again); create(by.ctx, t, l, by.cmd) {
			t.Errorf("%s has got another limit by another way of writing its address", again)
		}
	}
}

// TestOnlyCreationIsLimited has commands that fail or find a cart: none of them uses up what the caller may create.
func TestOnlyCreationIsLimited(t *testing.T) {
	t.Parallel()
	for name, carts := range map[string]shelf{
		"a cart that is there":     {cart: exists},
		"another was faster":       {cart: exists, was: []*cart.Cart{nil}},
		"the save fails":           {err: cart.Unavailable(errors.New("no database"))},
		"too much work is waiting": {err: cart.ErrOverloaded, was: []*cart.Cart{nil, nil}},
		"a bug":                    {err: errors.New("a bug")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLimiter(t, &carts, 1)
			for range 3 {
				if _, err := storetest.Do(t.Context(), l, user); !errors.Is(err, carts.err) {
					t.Errorf("got %v, want %v", err, carts.err)
				}
			}
			carts = shelf{}
			if !create(t.Context(), t, l, user) {
				t.Error("the first cart is not let through")
			}
			if create(t.Context(), t, l, user) {
				t.Error("the second cart is let through")
			}
		})
	}
}

// TestEachCartCountsOnce has a command that meets conflicts, and one of unknown outcome, which may have created a cart.
func TestEachCartCountsOnce(t *testing.T) {
	t.Parallel()
	carts := shelf{was: []*cart.Cart{nil, exists, nil}}
	l := newLimiter(t, &carts, 2)
	if !create(t.Context(), t, l, user) {
		t.Error("a command that meets conflicts is not let through")
	}
	carts = shelf{err: cart.OutcomeUnknown(nil)}
	if _, err := storetest.Do(t.Context(), l, user); !errors.Is(err, carts.err) {
		t.Errorf("got %v, want %v", err, carts.err)
	}
	carts = shelf{}
	if create(t.Context(), t, l, user) {
		t.Error("a third cart is let through")
	}
}

func TestCommandsByIDAreNotLimited(t *testing.T) {
	t.Parallel()
	carts := shelf{cart: exists}
	l := newLimiter(t, &carts, 1)
	for range 3 {
		if _, err := storetest.Do(t.Context(), l, cart.PutItem{CartID: 1, Item: cart.Item{ProductID: 1}}); err != nil {
			t.Error(err)
		}
	}
}
