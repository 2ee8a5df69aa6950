package ratelimit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/ratelimit"
)

// create applies a command of that caller where there is no cart, and returns whether it was let through.
func create(t *testing.T, l *ratelimit.Limiter, by ratelimit.Caller) bool {
	t.Helper()
	c, err := l.Limit(cart.Upsert{CompanyID: 1, Owner: cart.User(1)}, by).Apply(nil)
	if err == nil {
		return c != nil
	}
	if e, ok := err.(*cart.Error); !ok || e.Code != cart.CodeRateLimited || e.Wait <= 0 || e.Wait > time.Minute {
		t.Fatalf("got %#v, want CodeRateLimited and a wait of up to a minute", err)
	}
	return false
}

func newLimiter(t *testing.T, perMinute, burst int) *ratelimit.Limiter {
	t.Helper()
	l, err := ratelimit.New(perMinute, burst)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestEachCallerHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, 1, 2)
	address := func(text string) ratelimit.Caller { return ratelimit.At(netip.MustParseAddr(text)) }
	for _, by := range []ratelimit.Caller{
		{Owner: cart.User(1)}, {Owner: cart.User(2)}, {Owner: cart.Guest("1")}, address("192.0.2.1"), address("192.0.2.2"),
		address("2001:db8:0:1::1"), address("2001:db8:0:2::1"),
	} {
		for i := range 3 {
			if got, want := create(t, l, by), i < 2; got != want {
				t.Errorf("%v: cart %d is let through: %v, want %v", by, i+1, got, want)
			}
		}
	}
	if create(t, l, address("::ffff:192.0.2.1")) || create(t, l, address("2001:db8:0:1::2")) {
		t.Error("a caller has got another limit by another way of writing its address")
	}
}

func TestOnlyCreationIsLimited(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, 1, 1)
	by := ratelimit.Caller{Owner: cart.User(1)}
	cmd := l.Limit(cart.Upsert{CompanyID: 1, Owner: by.Owner}, by)
	for range 3 { // as after conflicts
		if _, err := cmd.Apply(nil); err != nil {
			t.Errorf("the same command again: %v", err)
		}
	}
	was := &cart.Cart{ID: 1, Status: cart.Active}
	if c, err := l.Limit(cart.Upsert{CompanyID: 1, Owner: by.Owner}, by).Apply(was); c != was || err != nil {
		t.Errorf("a cart that is there: got %v, %v", c, err)
	}
	if create(t, l, by) {
		t.Error("the second cart is let through")
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	l := newLimiter(t, 0, 1)
	for range 100 {
		if !create(t, l, ratelimit.Caller{Owner: cart.User(1)}) {
			t.Fatal("limited")
		}
	}
}
