package cart

import "context"

// Service runs commands and reads for callers, which pass valid input only. Its errors are of type [*Error]; others are
// bugs.
type Service interface {
	// Do runs a command and returns the cart as the command left it.
	Do(ctx context.Context, cmd Command) (*Cart, error)
	// Get returns the cart if it has lines, and otherwise [ErrNotFound].
	Get(ctx context.Context, ref Ref) (*Cart, error)
	// GetMany returns the carts with these ids that have lines, in the order asked. [CheckIDs] says which ids are valid.
	GetMany(ctx context.Context, ids []int64) ([]*Cart, error)
	// List returns carts of a user that have lines, newest id first.
	List(ctx context.Context, l Listing) ([]*Cart, error)
}
