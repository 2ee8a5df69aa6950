package commit

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxAttempts is how often a command runs before its caller is told of the conflict. Each conflict
// means that another writer has got a change through.
const maxAttempts = 100

// writer runs batches of commands: one load, the rules, one save.
type writer struct {
	store  cart.Store
	outage *outage
	log    *slog.Logger
}

type command = job[cart.Command, *cart.Cart]

// run answers the jobs of a batch, but returns those whose carts were changed by others meanwhile. A batch that fails
// for its contents is halved until the command at fault is alone, so that it never fails its neighbours.
func (w *writer) run(ctx context.Context, jobs []*command) (again []*command) {
	again, err := w.try(ctx, jobs)
	code := cart.CodeOf(w.outage.observe(err))
	switch {
	case err == nil:
		return settle(again)
	case len(jobs) > 1 && (code == cart.CodeConflict || isOfData(code)):
		half := len(jobs) / 2
		return append(w.run(ctx, jobs[:half]), w.run(ctx, jobs[half:])...)
	case code == cart.CodeConflict:
		return settle(jobs)
	default:
		for _, j := range jobs {
			j.answer(nil, err)
		}
		return nil
	}
}

// isOfData reports whether a load or a save failed for the data of some cart in it, and not for the state of the store.
func isOfData(code cart.Code) bool {
	return code == cart.CodeRefused || code == cart.CodeInternal
}

// try runs the jobs as one batch. After an error nothing was done, or the outcome is unknown, and no job was answered.
func (w *writer) try(ctx context.Context, jobs []*command) (again []*command, err error) {
	refs := make([]cart.Ref, len(jobs))
	for i, j := range jobs {
		refs[i] = j.in.Ref()
	}
	carts, err := w.store.Load(ctx, refs)
	if err != nil {
		return nil, err
	}
	b := newBatch(refs, carts)
	for i, j := range jobs {
		// A caller that gave up while the carts were loaded may since have made another change, through another
		// instance, that these carts already include: the command would undo it. From here on the versions prevent that.
		if j.state.Load() != abandoned {
			w.apply(b, refs[i], j)
		}
	}
	return b.save(ctx, w.store)
}

// settle answers jobs that have run too often, and returns the rest.
func settle(jobs []*command) (again []*command) {
	for _, j := range jobs {
		if j.attempts+1 >= maxAttempts {
			j.answer(nil, cart.ErrConflict)
		} else {
			again = append(again, j)
		}
	}
	return again
}

// apply runs one command on what the batch has made of its cart so far. A rule that panics fails its
// own command only.
func (w *writer) apply(b *batch, ref cart.Ref, j *command) {
	e := b.entry(ref)
	defer func() {
		if r := recover(); r != nil {
			w.log.ErrorContext(j.ctx, "A rule panicked.", "command", fmt.Sprintf("%T", j.in), "panic", r, "stack", string(debug.Stack()))
			e.results = append(e.results, result{job: j, err: &cart.Error{Code: cart.CodeInternal, Detail: "panic in a command"}})
		}
	}()
	seen := b.seen(e)
	next, err := j.in.Apply(seen)
	switch {
	case err != nil:
	case next == seen && seen != nil:
		next = e.now // nothing changed
	default:
		b.advance(e, next)
	}
	e.results = append(e.results, result{job: j, cart: next, err: err})
}
