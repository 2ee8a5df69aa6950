// Package ratelimit bounds how fast a caller may create carts.
package ratelimit

import (
	"net/netip"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/time/rate"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxCallers is how many callers are remembered. One that is forgotten, since so many others created carts after it,
// may create as many as a new one.
const maxCallers = 100_000

// Caller is who creates carts: an owner or, where the owner is a guest who has just come, the address that the
// request comes from.
type Caller struct {
	Owner   cart.Owner
	Address netip.Addr
}

// At is the caller at that address. Whoever has one address of IPv6 has all that share its first 64 bits.
func At(address netip.Addr) Caller {
	address = address.Unmap().WithZone("")
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil { // 64 bits, which each address of IPv6 has
			address = network.Addr()
		}
	}
	return Caller{Address: address}
}

// Limiter bounds how fast each caller may create carts. A nil one bounds nothing.
type Limiter struct {
	limit   rate.Limit
	burst   int
	callers *lru.Cache[Caller, *rate.Limiter]
}

// New returns a limiter that lets a caller create that many carts a minute, and up to burst at once. It returns nil,
// which bounds nothing, where perMinute is 0.
func New(perMinute, burst int) (*Limiter, error) {
	if perMinute == 0 {
		return nil, nil
	}
	callers, err := lru.New[Caller, *rate.Limiter](maxCallers)
	if err != nil {
		return nil, err
	}
	return &Limiter{limit: rate.Limit(perMinute) / 60, burst: burst, callers: callers}, nil
}

// Limit returns cmd as the caller may run it: it fails with CodeRateLimited where it would create a cart too many.
// What it does to carts that are there is not limited.
func (l *Limiter) Limit(cmd cart.Command, by Caller) cart.Command {
	if l == nil {
		return cmd
	}
	return &limited{Command: cmd, limiter: l, caller: by}
}

// limited is a command that may create a cart. Whether it does shows when it is applied, and not before.
type limited struct {
	cart.Command
	limiter *Limiter
	caller  Caller
	allowed bool // once is enough: a command that meets a conflict is applied again
}

// Apply implements [cart.Command].
func (c *limited) Apply(was *cart.Cart) (*cart.Cart, error) {
	if was == nil && !c.allowed {
		if wait := c.limiter.wait(c.caller); wait > 0 {
			return nil, cart.RateLimited(wait)
		}
		c.allowed = true
	}
	return c.Command.Apply(was)
}

// wait takes one cart from what the caller may create, or returns how long it is until there is one.
func (l *Limiter) wait(by Caller) time.Duration {
	caller, ok := l.callers.Get(by)
	if !ok {
		fresh := rate.NewLimiter(l.limit, l.burst)
		if caller, ok, _ = l.callers.PeekOrAdd(by, fresh); !ok {
			caller = fresh
		}
	}
	r := caller.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}
