package commit

import (
	"cmp"
	"context"
	"log/slog"

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

type command = job[*write, cart.Result]

// write is a request with what is known of it before it is applied.
type write struct {
	cart.Request
	refs []cart.Ref // at least one
	key  [32]byte   // of its receipt, where it has a key
}

func newWrite(r cart.Request) *write {
	w := &write{Request: r, refs: r.Refs()}
	if r.Key != "" {
		w.key = r.ReceiptKey()
	}
	return w
}

// lane returns the ref that decides in which lane the request runs: its only one, or that with the smallest id.
func (w *write) lane() cart.Ref {
	smallest := w.refs[0]
	for _, ref := range w.refs {
		if ref.ID > 0 && ref.ID < smallest.ID {
			smallest = ref
		}
	}
	return smallest
}

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
			j.answer(cart.Result{}, err)
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
	b, known, err := w.load(ctx, jobs)
	if err != nil {
		return nil, err
	}
	var waiting []*command
	for _, j := range jobs {
		// A caller that gave up while the carts were loaded may since have made another change, through another
		// instance, that these carts already include: the command would undo it. From here on the versions prevent that.
		if j.state.Load() != abandoned && !w.apply(b, j, known[j]) {
			waiting = append(waiting, j)
		}
	}
	again, err = b.save(ctx, w.store)
	return append(again, waiting...), err
}

// load returns a batch with the carts of the jobs, and the receipts of the jobs that were done before.
func (w *writer) load(ctx context.Context, jobs []*command) (*batch, map[*command]*cart.Receipt, error) {
	refs := make([]cart.Ref, 0, len(jobs))
	var keyed []*command
	for _, j := range jobs {
		refs = append(refs, j.in.refs...)
		if j.in.Key != "" {
			keyed = append(keyed, j)
		}
	}
	if len(keyed) == 0 {
		carts, err := w.store.Load(ctx, refs)
		if err != nil {
			return nil, nil, err
		}
		return newBatch(refs, carts), nil, nil
	}
	keys := make([][32]byte, len(keyed))
	for i, j := range keyed {
		keys[i] = j.in.key
	}
	carts, receipts, err := w.store.LoadKnown(ctx, refs, keys)
	if err != nil {
		return nil, nil, err
	}
	known := make(map[*command]*cart.Receipt, len(keyed))
	for i, j := range keyed {
		known[j] = receipts[i]
	}
	return newBatch(refs, carts), known, nil
}

// settle answers jobs that have run too often, and returns the rest.
func settle(jobs []*command) (again []*command) {
	for _, j := range jobs {
		if j.attempts+1 >= cmp.Or(j.in.Tries, maxAttempts) {
			j.answer(cart.Result{}, cart.ErrConflict)
		} else {
			again = append(again, j)
		}
	}
	return again
}
