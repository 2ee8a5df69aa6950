// Package upkeep does what no request does: it ends locks whose lease has ended, and deletes receipts of idempotency keys
// that are older than they need to be kept. Every instance does this, and none leads: what two instances do at once, they do
// by ordinary commands and by deletions that may be repeated.
package upkeep

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	// leasePause is how long a worker rests between two looks at the leases. A lock ends that much later than its lease, at
	// most, for as long as some instance works.
	leasePause = time.Second
	// receiptPause is how long it rests after it has deleted all receipts that are old.
	receiptPause = time.Minute
	// outagePause is how long it rests after a failure.
	outagePause = 5 * time.Second
	// page is how many locks it looks at, or receipts it deletes, at a time.
	page = 1000
	// bitePause is how long it rests between two deletions, so that it takes a small part of the database's time.
	bitePause = 100 * time.Millisecond
)

// Store is what a worker needs of a [cart.Store].
type Store interface {
	Overdue(ctx context.Context, after int64, limit int) (groups [][]cart.Expected, last int64, err error)
	Forget(ctx context.Context, ttl time.Duration, limit int) (int64, error)
}

// Carts is what a worker needs of a [cart.Service].
type Carts interface {
	Do(ctx context.Context, r cart.Request) (cart.Result, error)
}

// Observer is told what a worker has done.
type Observer interface {
	// Unlocked is called for each lock that was ended, and says whether its lines were merged into another cart.
	Unlocked(merged bool)
	// Overdue is called after each look at the leases with the number of locks that have outlasted their lease and could not
	// be ended.
	Overdue(locks int)
	// Forgotten is called with the number of receipts that were deleted.
	Forgotten(receipts int64)
	// Failed is called for each failure.
	Failed()
}

// Worker is what runs in the background until it is stopped.
type Worker struct {
	store    Store
	carts    Carts
	ttl      time.Duration
	log      *slog.Logger
	observer Observer
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// Start starts a worker that keeps receipts for ttl.
func Start(store Store, carts Carts, ttl time.Duration, log *slog.Logger, observer Observer) *Worker {
	ctx, stop := context.WithCancel(context.Background())
	w := &Worker{store: store, carts: carts, ttl: ttl, log: log, observer: observer, stop: stop}
	w.running.Go(func() { w.repeat(ctx, "unlock carts", w.endLeases) })
	w.running.Go(func() { w.repeat(ctx, "delete receipts", w.forget) })
	return w
}

// Stop ends the worker. What it is doing is cancelled, and left to another instance or the next start.
func (w *Worker) Stop(context.Context) error {
	w.stop()
	w.running.Wait()
	return nil
}

// repeat does the work again and again until ctx ends. The work returns how long to rest. Failures in a row are logged once.
func (w *Worker) repeat(ctx context.Context, what string, work func(context.Context) (time.Duration, error)) {
	failing := false
	pause := rand.N(leasePause) // so that instances that start together do not keep step
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		var err error
		pause, err = work(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failing {
				w.log.WarnContext(ctx, "Upkeep fails and is tried again.", slog.String("to", what), slog.Any("error", err))
			}
			failing, pause = true, outagePause
			w.observer.Failed()
		case failing:
			failing = false
			w.log.InfoContext(ctx, "Upkeep works again.", slog.String("to", what))
		}
		pause += rand.N(pause/4 + 1)
	}
}

// endLeases ends all locks whose lease has ended. Carts that are to end together are one group. What fails for the carts of
// one group is left to the next look, and does not keep the others from ending.
func (w *Worker) endLeases(ctx context.Context) (time.Duration, error) {
	var failed error
	left := 0
	for after := int64(0); ; {
		groups, last, err := w.store.Overdue(ctx, after, page)
		if err != nil {
			return 0, err
		}
		for _, group := range groups {
			if err := w.unlock(ctx, group); err != nil {
				left += len(group)
				if cart.CodeOf(err) != cart.CodeVersionMismatch && cart.CodeOf(err) != cart.CodeConflict { // else, others were faster
					failed = err
				}
			}
		}
		if last == 0 || ctx.Err() != nil {
			break
		}
		after = last
	}
	w.observer.Overdue(left)
	return leasePause, failed
}

// unlock makes the carts of a group ACTIVE, or merges them into the carts that their owner has got meanwhile.
func (w *Worker) unlock(ctx context.Context, group []cart.Expected) error {
	for part := range slices.Chunk(group, cart.MaxCartsAsked) {
		done, err := w.carts.Do(ctx, cart.Request{Joint: cart.SetStatuses{Carts: part, Status: cart.Active, Merge: true}})
		if err != nil {
			return err
		}
		released := make(map[int64]bool)
		for _, c := range done.Carts {
			released[c.ID] = true
		}
		for _, c := range part {
			w.observer.Unlocked(!released[c.ID])
		}
	}
	return nil
}

// forget deletes some old receipts.
func (w *Worker) forget(ctx context.Context) (time.Duration, error) {
	deleted, err := w.store.Forget(ctx, w.ttl, page)
	if err != nil {
		return 0, err
	}
	w.observer.Forgotten(deleted)
	if deleted == page {
		return bitePause, nil
	}
	return receiptPause, nil
}
