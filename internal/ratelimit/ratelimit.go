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

// caller identifies a creator of carts: an owner or, for a new guest, an address. Those who only store keys may be known by
// a cart.
type caller struct {
	owner   cart.Owner
	address netip.Addr
	cart    int64
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

// Do implements [cart.Service]. It fails with CodeRateLimited if the request would create one cart too many, or store a key
// for nothing once too often.
func (l *Limiter) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	if r.Key == "" && (r.Joint != nil || r.Command.Ref().ID > 0) { // only carts that are named by their owner are created
		return l.Service.Do(ctx, r)
	}
	p := &payment{limiter: l, caller: callerOf(ctx, r)}
	r.Spend = p.spend
	done, err := l.Service.Do(ctx, r)
	if err != nil && cart.CodeOf(err) == cart.CodeOutcomeUnknown {
		return done, err // The cart may have been created, and the request may be running still.
	}
	spent := err == nil && !done.Replayed && (done.Created || r.Key != "" && !done.Changed)
	if p.paid != nil && !spent {
		p.paid.giveBack(l.rate)
	}
	return done, err
}

// callerOf returns who would create the cart. A request that names carts by their ids counts for its caller or, where every
// caller is trusted, for the first of these carts.
func callerOf(ctx context.Context, r cart.Request) caller {
	ref := r.Refs()[0]
	switch address, ok := ctx.Value(addressKey{}).(netip.Addr); {
	case ok:
		return caller{address: address}
	case !r.As.IsNobody():
		return caller{owner: r.As}
	default:
		return caller{owner: ref.Owner, cart: ref.ID}
	}
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

// payment is what a request takes from its caller's bucket. Only applying the request shows whether it costs anything.
type payment struct {
	limiter *Limiter
	caller  caller
	paid    *bucket // once is enough: a request that meets a conflict is applied again
}

func (p *payment) spend() error {
	if p.paid != nil {
		return nil
	}
	b := p.limiter.bucket(p.caller)
	if wait := b.take(p.limiter.rate, time.Now()); wait > 0 {
		return cart.RateLimited(wait)
	}
	p.paid = b
	return nil
}
