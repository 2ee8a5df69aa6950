// Package commit stands between the callers and a [cart.Store]. Requests that arrive while their lane
// is busy go into its next batch: commands are loaded, applied and saved together (group commit), reads
// are loaded together. So the work of the store grows with the number of batches, not of callers, and
// batches grow with the load. No request waits for a batch to fill.
package commit

import (
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Options are the sizes of a [Service]. Each must be at least 1.
type Options struct {
	WriteLanes int           // batches of commands under way at once
	ReadLanes  int           // batches of reads under way at once, and as many of listings
	BatchSize  int           // most commands in a batch; no read joins a batch of reads that asks for as many carts
	QueueSize  int           // most commands waiting, and as many reads, and as many listings
	Timeout    time.Duration // for one batch
	Logger     *slog.Logger
	Observer   Observer // may be nil
}

// Service runs commands and reads against a store. Its methods may be called by many goroutines at
// once. Their errors are those of [cart.Command] and [cart.Store], and CodeOverloaded where a queue is
// full or callers still have too many lines, CodeConflict where others kept changing the cart, and
// CodeUnavailable or CodeOutcomeUnknown, with the context's error as its cause, for a caller whose
// context ended first.
type Service struct {
	log    *slog.Logger
	seed   maphash.Seed
	writes *lanes[*write, cart.Result]
	reads  *lanes[[]cart.Ref, []*cart.Cart]
	lists  *lanes[searching, any]
	turn   atomic.Uint64 // of the lane for the next search
	lent   atomic.Int64  // bytes, see lend
}

const (
	// maxLent is the most bytes of all long answers that callers still have.
	maxLent = 32 << 20
	// maxLines is the number of lines in the largest listing, and the most in an answer to more ids than that has carts.
	maxLines = cart.MaxCartsAsked * cart.MaxLines
	// maxUncounted is the size of an answer that is not counted, in bytes: it fits into the buffers of a socket, so no client
	// can make it stay in memory.
	maxUncounted = 128 << 10
)

// New starts the lanes of a service over the store. Close ends them.
func New(store cart.Store, o Options) *Service {
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	w := &writer{store: store, outage: &outage{log: o.Logger, what: "writes"}, log: o.Logger}
	r := &reader{store: store, outage: &outage{log: o.Logger, what: "reads"}}
	return &Service{
		log:    o.Logger,
		seed:   maphash.MakeSeed(),
		writes: startLanes(Writes, o.WriteLanes, o.BatchSize, o, one[*write], cart.OutcomeUnknown, w.run),
		reads:  startLanes(Reads, o.ReadLanes, o.BatchSize, o, func(refs []cart.Ref) int { return len(refs) }, cart.Unavailable, r.load),
		lists:  startLanes(Lists, o.ReadLanes, 1, o, one[searching], cart.Unavailable, r.search),
	}
}

func one[Q any](Q) int { return 1 }

// Do runs a valid request and returns the carts as it left them. It returns after COMMIT; a
// request that changes nothing and has no key commits nothing. A request whose caller's context ends
// before its batch begins is left out of it.
func (s *Service) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	w := newWrite(r)
	// Requests on one cart meet in one lane, where they do not conflict.
	return s.writes.do(ctx, maphash.Comparable(s.seed, w.lane()), w)
}

// Get returns the cart if it has lines, and otherwise [cart.ErrNotFound].
func (s *Service) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	found, err := s.load(ctx, []cart.Ref{ref})
	switch {
	case err != nil:
		return nil, err
	case found[0] == nil || len(found[0].Items) == 0:
		return nil, cart.ErrNotFound
	}
	return found[0], nil
}

// GetMany returns the carts with these ids that have lines, in the order asked, each of them once. The caller
// ends ctx when it is done with them. They are loaded [cart.MaxCartsAsked] at a time, each time at one moment.
// CodeOverloaded: with the lines that others still have, these would be too many; CodeInvalid: see [cart.ErrTooManyLines].
func (s *Service) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	refs := make([]cart.Ref, 0, len(ids))
	asked := make(map[int64]bool, len(ids))
	for _, id := range ids {
		if !asked[id] {
			asked[id] = true
			refs = append(refs, cart.ByID(id))
		}
	}
	carts := make([]*cart.Cart, 0, len(refs))
	lines := 0
	for part := range slices.Chunk(refs, cart.MaxCartsAsked) {
		found, err := s.load(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if c != nil && len(c.Items) > 0 {
				carts = append(carts, c)
				lines += len(c.Items)
			}
		}
		if len(refs) > cart.MaxCartsAsked && lines > maxLines {
			return nil, cart.ErrTooManyLines
		}
	}
	return s.lend(ctx, carts)
}

// List returns carts of a user that have lines, newest id first. Ctx and CodeOverloaded are as in GetMany.
func (s *Service) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	carts, err := search(ctx, s, func(ctx context.Context, r cart.Reader) ([]*cart.Cart, error) { return r.List(ctx, l) })
	if err != nil {
		return nil, err
	}
	return s.lend(ctx, carts)
}

// Basket returns an owner's carts at all companies. Ctx and CodeOverloaded are as in GetMany.
func (s *Service) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	b, err := search(ctx, s, func(ctx context.Context, r cart.Reader) (*cart.Basket, error) { return r.Basket(ctx, q) })
	if err != nil {
		return nil, err
	}
	_, err = s.lend(ctx, b.Carts)
	return b, err
}

// search runs a read in a lane for listings.
func search[A any](ctx context.Context, s *Service, read func(context.Context, cart.Reader) (A, error)) (A, error) {
	found, err := s.lists.do(ctx, s.turn.Add(1), func(ctx context.Context, r cart.Reader) (any, error) { return read(ctx, r) })
	if err != nil {
		var none A
		return none, err
	}
	return found.(A), nil //nolint:forcetypeassert // it is what read returned
}

// lend counts the bytes of a long answer until ctx ends. The longest has 100,000 lines, and a client may read it
// slowly, so limits on requests do not bound memory. A lone answer is never too long.
func (s *Service) lend(ctx context.Context, carts []*cart.Cart) ([]*cart.Cart, error) {
	size := int64(0)
	for _, c := range carts {
		size += int64(c.Size())
	}
	if size <= maxUncounted {
		return carts, nil
	}
	if lent := s.lent.Add(size); lent > maxLent && lent > size {
		s.lent.Add(-size)
		return nil, cart.ErrOverloaded
	}
	context.AfterFunc(ctx, func() { s.lent.Add(-size) })
	return carts, nil
}

func (s *Service) load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	return s.reads.do(ctx, maphash.Comparable(s.seed, refs[0]), refs)
}

// Waiting returns how many requests are waiting in the queue, and the limit.
func (s *Service) Waiting(q Queue) (n, limit int) {
	switch q {
	case Writes:
		return s.writes.depth()
	case Reads:
		return s.reads.depth()
	default:
		return s.lists.depth()
	}
}

// Close lets the lanes finish the requests that they have accepted, and returns when they have. When ctx ends
// first, it cancels the batches under way and returns ctx's error. Later calls are refused.
func (s *Service) Close(ctx context.Context) error {
	s.writes.stop()
	s.reads.stop()
	s.lists.stop()
	// Wait for each of them, and cancel it when ctx ends, even if another has returned an error.
	return cmp.Or(s.writes.wait(ctx), s.reads.wait(ctx), s.lists.wait(ctx))
}
