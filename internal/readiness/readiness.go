// Package readiness checks about every second whether the service can serve requests.
package readiness

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	interval = time.Second
	timeout  = 2 * time.Second // of one check; a database under load answers later than usual
)

type state uint8

const (
	starting state = iota
	ready
	noDatabase
	stopping
)

// details tell callers why the service is not ready.
var details = [...]string{
	starting:   "The service is starting. Please try again in a moment.",
	noDatabase: "The database cannot be used. Please try again in a moment.",
	stopping:   "The service is shutting down. Please try again in a moment.",
}

// Checker knows whether the service is ready. The service is never ready before Start or after Stop.
type Checker struct {
	log    *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	state   state
	changed func(ready bool)
}

// New returns a checker of a service that is starting.
func New(log *slog.Logger) *Checker {
	return &Checker{log: log, cancel: func() {}, changed: func(bool) {}}
}

// Notify calls changed at once with whether the service is ready, and again on every change.
func (c *Checker) Notify(changed func(ready bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changed = changed
	changed(c.state == ready)
}

// Start calls ping, which returns nil if the database can be used, at once and then about every second until Stop.
func (c *Checker) Start(ping func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.check(ctx, ping)
	c.done.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				c.check(ctx, ping)
			case <-ctx.Done():
				return
			}
		}
	})
}

// Stop makes the service not ready for good.
func (c *Checker) Stop() {
	c.set(stopping)
	c.cancel()
	c.done.Wait()
}

// Err returns nil while the service is ready, and otherwise why it is not: a CodeUnavailable failure.
func (c *Checker) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == ready {
		return nil
	}
	return &cart.Error{Code: cart.CodeUnavailable, Detail: details[c.state]}
}

// Ready reports whether the service is ready.
func (c *Checker) Ready() bool { return c.Err() == nil }

func (c *Checker) check(ctx context.Context, ping func(context.Context) error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := ping(limited); err == nil {
		if c.set(ready) == noDatabase {
			c.log.Info("Ready for requests again.")
		}
	} else if c.set(noDatabase) != noDatabase {
		c.log.Warn("Not ready for requests.", "error", err)
	}
}

// set returns the state so far. After Stop it changes nothing.
func (c *Checker) set(now state) (was state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == stopping {
		return now
	}
	was, c.state = c.state, now
	if (was == ready) != (now == ready) {
		c.changed(now == ready)
	}
	return was
}
