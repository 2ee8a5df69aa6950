package cart

import "context"

// Service runs commands and reads for callers, which pass valid input only. Its errors are of type [*Error]; others are
// bugs.
type Service interface {
	// Do runs a request and returns the carts as the request left them.
	Do(ctx context.Context, r Request) (Result, error)
	// Get returns the cart if it has lines, and otherwise [ErrNotFound].
	Get(ctx context.Context, ref Ref) (*Cart, error)
	// GetMany returns the carts with these ids that have lines, in the order asked. [CheckIDs] says which ids are valid.
	GetMany(ctx context.Context, ids []int64) ([]*Cart, error)
	// List returns carts of a user that have lines, newest id first.
	List(ctx context.Context, l Listing) ([]*Cart, error)
	// Basket returns an owner's carts at all companies.
	Basket(ctx context.Context, q BasketQuery) (*Basket, error)
	// Merge makes the carts of a guest those of a user. What cannot be merged is listed as failed and left as it is.
	Merge(ctx context.Context, m Merge) (*Merged, error)
}
