package commit

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/sellio/sellio-cart/internal/cart"
)

// maxAttempts is how often a command runs before its caller is told of the conflict. Each conflict
// means that somebody else has got a change through.
const maxAttempts = 100

// writer runs batches of commands: one load, the rules, one save.
type writer struct {
	store  cart.Store
	outage *outage
	log    *slog.Logger
}

type command = job[cart.Command, *cart.Cart]

// run answers the jobs of a batch, but returns those whose carts were changed by others meanwhile.
func (w *writer) run(ctx context.Context, jobs []*command) (again []*command) {
	refs := make([]cart.Ref, len(jobs))
	for i, j := range jobs {
		refs[i] = j.in.Ref()
	}
	carts, err := w.store.Load(ctx, refs)
	if err != nil {
		failAll(jobs, w.outage.observe(err))
		return nil
	}
	b := newBatch(refs, carts)
	for i, j := range jobs {
		// Who gave up while the carts were loaded may have done something else meanwhile, elsewhere, that these carts
		// hold already: the command would undo it. From here on the versions see to that.
		if j.state.Load() != abandoned {
			w.apply(b, refs[i], j)
		}
	}
	again, err = b.save(ctx, w.store)
	switch {
	case w.outage.observe(err) == nil:
		return settle(again)
	case len(jobs) == 1 && cart.CodeOf(err) == cart.CodeConflict:
		return settle(jobs)
	case len(jobs) > 1 && (cart.CodeOf(err) == cart.CodeConflict || cart.CodeOf(err) == cart.CodeRefused):
		// One command that the database refuses must not fail its neighbours.
		again = nil
		for i := range jobs {
			again = append(again, w.run(ctx, jobs[i:i+1])...)
		}
		return again
	default:
		failAll(jobs, err)
		return nil
	}
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

func failAll(jobs []*command, err error) {
	for _, j := range jobs {
		j.answer(nil, err)
	}
}

// apply runs one command on what the batch has made of its cart so far. A rule that panics fails its
// own command only.
func (w *writer) apply(b *batch, ref cart.Ref, j *command) {
	e := b.entry(ref)
	defer func() {
		if r := recover(); r != nil {
			w.log.ErrorContext(j.ctx, "A rule panicked.", "command", fmt.Sprintf("%T", j.in), "panic", r, "stack", string(debug.Stack()))
			e.results = append(e.results, result{job: j, err: &cart.Error{Detail: "panic in a command"}})
		}
	}()
	next, err := j.in.Apply(e.current())
	if err == nil {
		b.advance(e, next)
	}
	e.results = append(e.results, result{job: j, cart: next, err: err})
}
