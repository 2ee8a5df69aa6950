// Package ratelimit bounds how fast a caller may create carts.
package ratelimit

import (
	"context"
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxCallers is how many callers are remembered. One that is forgotten, since so many others created carts after it,
// may create as many as a new one.
const maxCallers = 100_000

type addressKey struct{}

// From returns the context of a request from a new guest at that address. Nothing else is known of a new guest, so the
// limit is that of the address. All IPv6 addresses that share their first 64 bits count as one, since one client may
// have them all.
func From(ctx context.Context, address netip.Addr) context.Context {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil { // never an error: an IPv6 address has 128 bits
			address = network.Addr()
		}
	}
	return context.WithValue(ctx, addressKey{}, address)
}

// caller identifies a creator of carts: an owner or, for a new guest, an address.
type caller struct {
	owner   cart.Owner
	address netip.Addr
}

// Limiter stands in front of a [cart.Service] and bounds how fast each caller may create carts. Changes to existing
// carts are not limited.
type Limiter struct {
	cart.Service
	rate    rate
	callers *lru.Cache[caller, *bucket]
}

// New returns a limiter in front of the carts that lets a caller create perMinute of them a minute, and up to burst at
// once. Both must be positive.
func New(carts cart.Service, perMinute, burst int) (*Limiter, error) {
	callers, err := lru.New[caller, *bucket](maxCallers)
	if err != nil {
		return nil, err
	}
	interval := time.Minute / time.Duration(perMinute)
	return &Limiter{Service: carts, rate: rate{interval: interval, burst: time.Duration(burst) * interval}, callers: callers}, nil
}

// Do implements [cart.Service]. It fails with CodeRateLimited if the command would create one cart too many.
func (l *Limiter) Do(ctx context.Context, cmd cart.Command) (*cart.Cart, error) {
	ref := cmd.Ref()
	if ref.ID > 0 { // only carts that are named by their owner are created
		return l.Service.Do(ctx, cmd)
	}
	by := caller{owner: ref.Owner}
	if address, ok := ctx.Value(addressKey{}).(netip.Addr); ok {
		by = caller{address: address}
	}
	c := &creation{Command: cmd, limiter: l, caller: by}
	done, err := l.Service.Do(ctx, c)
	if err != nil && cart.CodeOf(err) == cart.CodeOutcomeUnknown {
		return done, err // The cart may have been created, and the command may be running still.
	}
	if c.paid != nil && (err != nil || !c.creates) {
		c.paid.giveBack(l.rate)
	}
	return done, err
}

// bucket returns the bucket of the caller.
func (l *Limiter) bucket(by caller) *bucket {
	if b, ok := l.callers.Get(by); ok {
		return b
	}
	fresh := new(bucket)
	if b, ok, _ := l.callers.PeekOrAdd(by, fresh); ok {
		return b
	}
	return fresh
}

// creation is a command that may create a cart. Only applying it shows whether it does.
type creation struct {
	cart.Command
	limiter *Limiter
	caller  caller
	paid    *bucket // once is enough: a command that meets a conflict is applied again
	creates bool    // as last applied
}

// Apply implements [cart.Command].
func (c *creation) Apply(was *cart.Cart) (*cart.Cart, error) {
	c.creates = was == nil
	if c.creates && c.paid == nil {
		b := c.limiter.bucket(c.caller)
		if wait := b.take(c.limiter.rate, time.Now()); wait > 0 {
			return nil, cart.RateLimited(wait)
		}
		c.paid = b
	}
	return c.Command.Apply(was)
}
