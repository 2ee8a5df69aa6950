package ratelimit

import (
	"sync"
	"time"
)

// rate is how fast a bucket fills, and how much it holds.
type rate struct {
	interval time.Duration // for one cart
	burst    time.Duration // for as many carts as it holds
}

// bucket tracks how many carts a caller may create. The zero bucket is full.
type bucket struct {
	mu   sync.Mutex
	full time.Time // when it will be full, if nothing is taken meanwhile
}

// take takes one cart, or returns the wait until there is one.
func (b *bucket) take(r rate, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	full := b.full
	if full.Before(now) {
		full = now
	}
	full = full.Add(r.interval)
	if wait := full.Sub(now) - r.burst; wait > 0 {
		return wait
	}
	b.full = full
	return 0
}

// giveBack undoes one take.
func (b *bucket) giveBack(r rate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.full = b.full.Add(-r.interval)
}
