package readiness_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/readiness"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		var heard []bool
		private := errors.New("private")
		ping := func(context.Context) error {
			if down.Load() {
				return private
			}
			return nil
		}
		c := readiness.New(slog.New(slog.DiscardHandler))
		c.Notify(func(ready bool) { heard = append(heard, ready) })
		check := func(when string, want bool) {
			t.Helper()
			if err := c.Err(); c.Ready() != want || (err == nil) != want || err != nil && cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("%s: ready %t, %v", when, c.Ready(), err)
			}
		}
		tick := func() { <-time.After(1100 * time.Millisecond) } // of the clock of this test
		check("before Start", false)
		c.Start(ping)
		check("after Start", true)
		down.Store(true)
		tick()
		check("database down", false)
		if err := c.Err(); errors.Is(err, private) {
			t.Errorf("%v holds the cause", err)
		}
		tick()
		check("database still down", false)
		down.Store(false)
		tick()
		check("database back", true)
		c.Stop()
		check("after Stop", false)
		tick()
		check("long after Stop", false)
		if want := []bool{false, true, false, true, false}; !slices.Equal(heard, want) {
			t.Errorf("heard %v, want %v", heard, want)
		}
	})
}

// TestPingThatHangs checks that a database that never answers counts as out of reach, and does not hold up Stop.
func TestPingThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ping := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		c := readiness.New(slog.New(slog.DiscardHandler))
		began := time.Now()
		c.Start(ping)
		if took := time.Since(began); c.Ready() || took > 3*time.Second {
			t.Errorf("ready %t after %v", c.Ready(), took)
		}
		<-time.After(1500 * time.Millisecond) // of the clock of this test: the next check is under way
		began = time.Now()
		c.Stop()
		if took := time.Since(began); took > 0 {
			t.Errorf("Stop took %v", took)
		}
	})
}

func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	c := readiness.New(slog.New(slog.DiscardHandler))
	c.Stop()
	if c.Ready() {
		t.Error("ready")
	}
}
