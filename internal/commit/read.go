package commit

import (
	"context"

	"github.com/sellio/sellio-cart/internal/cart"
)

// reader runs batches of reads.
type reader struct {
	store  cart.Reader
	outage *outage
}

type read = job[[]cart.Ref, []*cart.Cart]

// load answers each job with the carts that its refs name, nil where there is none. A batch that fails for the data of a
// cart is halved until the job that asks for it is alone.
func (r *reader) load(ctx context.Context, batch []*read) []*read {
	refs := batch[0].in
	if len(batch) > 1 {
		refs = distinct(batch)
	}
	carts, err := r.store.Load(ctx, refs)
	err = r.outage.observe(err)
	switch {
	case err != nil && len(batch) > 1 && isOfData(cart.CodeOf(err)):
		half := len(batch) / 2
		r.load(ctx, batch[:half])
		r.load(ctx, batch[half:])
		return nil
	case err != nil:
		for _, j := range batch {
			j.answer(nil, err)
		}
		return nil
	case len(batch) == 1:
		batch[0].answer(carts, nil)
		return nil
	}
	found := make(cart.Found, len(refs))
	for i, ref := range refs {
		found[ref] = carts[i]
	}
	for _, j := range batch {
		j.answer(found.Carts(j.in), nil)
	}
	return nil
}

// distinct returns the refs of the jobs, each once.
func distinct(batch []*read) []cart.Ref {
	seen := make(map[cart.Ref]bool, len(batch))
	refs := make([]cart.Ref, 0, len(batch))
	for _, j := range batch {
		for _, ref := range j.in {
			if !seen[ref] {
				seen[ref] = true
				refs = append(refs, ref)
			}
		}
	}
	return refs
}

// searching is a read that is a statement of its own.
type searching func(context.Context, cart.Reader) (any, error)

func (r *reader) search(ctx context.Context, batch []*job[searching, any]) []*job[searching, any] {
	for _, j := range batch {
		found, err := j.in(ctx, r.store)
		j.answer(found, r.outage.observe(err))
	}
	return nil
}
