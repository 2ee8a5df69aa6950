package cart

import (
	"context"
	"time"
)

// Ref names one cart: by its id, or as the ACTIVE cart that an owner has at a company. Refs can be
// compared with ==.
type Ref struct {
	ID        int64 // > 0: by id
	CompanyID int64
	Owner     Owner
}

// ByID names the cart with that id.
func ByID(id int64) Ref { return Ref{ID: id} }

// ActiveOf names the owner's ACTIVE cart at the company.
func ActiveOf(companyID int64, owner Owner) Ref { return Ref{CompanyID: companyID, Owner: owner} }

// Found maps each ref to the cart that it names.
type Found map[Ref]*Cart

// Add adds a cart: by its id and, while it is ACTIVE, by its owner and company.
func (f Found) Add(c *Cart) {
	f[ByID(c.ID)] = c
	if owner := c.Owner(); c.Status == Active && !owner.IsNobody() {
		f[ActiveOf(c.CompanyID, owner)] = c
	}
}

// Carts returns the cart that each ref names, nil where there is none.
func (f Found) Carts(refs []Ref) []*Cart {
	carts := make([]*Cart, len(refs))
	for i, r := range refs {
		carts[i] = f[r]
	}
	return carts
}

// Listing asks for carts of a user.
type Listing struct {
	UserID    int64
	CompanyID int64  // 0: any
	Status    Status // 0: any
	Limit     int64  // 1 to [MaxCartsAsked]
	Offset    int64  // carts to skip first
}

// Validate checks each field by itself; its error is CodeInvalid and names all that are wrong.
func (l Listing) Validate() error {
	return Invalid(
		checkID("user_id", l.UserID),
		check("company_id", l.CompanyID >= 0),
		check("status", l.Status >= 0 && l.Status <= Cancelled),
		check("limit", l.Limit >= 1 && l.Limit <= MaxCartsAsked),
		check("offset", l.Offset >= 0 && l.Offset <= 1<<31-1),
	)
}

// CheckIDs checks the ids for [Service.GetMany]; its error is CodeInvalid. A repeated id counts once.
func CheckIDs(ids []int64) error {
	var different map[int64]bool
	if len(ids) > MaxIDs {
		different = make(map[int64]bool, MaxIDs)
	}
	for _, id := range ids {
		if different != nil {
			different[id] = true
		}
		if id <= 0 || len(different) > MaxIDs {
			return InvalidField("ids")
		}
	}
	return nil
}

// Saved is the result of one [Change].
type Saved struct {
	// OK is false when the cart was no longer at the version that the change is for, or its owner has
	// got another ACTIVE cart meanwhile. Then no part of the change was made.
	OK bool
	// ID, CreatedAt and UpdatedAt are as stored; ID and CreatedAt are set for created carts only.
	ID        int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Complete sets what the store has decided in a cart that commands have made.
func (s *Saved) Complete(c *Cart) {
	c.UpdatedAt = s.UpdatedAt
	if s.ID > 0 {
		c.ID, c.CreatedAt = s.ID, s.CreatedAt
	}
	if until := s.UpdatedAt.Add(c.Lease); c.Lease > 0 && until.After(c.LockedUntil) {
		c.LockedUntil = until
	}
	c.Lease = 0
}

// GuestCart names a cart of a guest.
type GuestCart struct{ ID, CompanyID int64 }

// Reader reads carts. Its methods may be called by many goroutines at once. All errors are of type
// *[Error]: CodeUnavailable where the carts could not be read, and CodeInternal for bugs.
type Reader interface {
	// Load returns, for each ref, the cart that it names, or nil where there is none: carts of any
	// status and without lines too. Two refs may name one cart and then get the same one. All carts are
	// read at one moment, each with its lines in order.
	Load(ctx context.Context, refs []Ref) ([]*Cart, error)

	// List returns carts of a user that have lines, newest id first.
	List(ctx context.Context, l Listing) ([]*Cart, error)

	// GuestCarts returns up to limit carts of the guest that are ACTIVE or LOCKED, in the order of their ids; CompanyID 0:
	// of all companies.
	GuestCarts(ctx context.Context, cookie string, companyID int64, limit int) ([]GuestCart, error)

	// Basket returns the page of the owner's carts with lines, and the totals of all, read at one moment.
	Basket(ctx context.Context, q BasketQuery) (*Basket, error)

	// Ping returns an error if the store cannot be used.
	Ping(ctx context.Context) error
}

// Store keeps carts. All that is said of a [Reader] is true of it too.
type Store interface {
	Reader

	// LoadKnown is Load for requests with keys. It also returns the receipt of each key, or nil where there is none, with the
	// cart that it names, all read at one moment.
	LoadKnown(ctx context.Context, refs []Ref, keys [][32]byte) ([]*Cart, []*Receipt, error)

	// Save makes the changes and returns the result of each, in their order. Every change is made
	// whole or not at all; one that is not OK does not affect the others. No two changes are for one cart.
	// Two may be for one owner and company if the first ends the ACTIVE cart and the second
	// begins the next. Changes of one Group are made together or not at all. Receipts are stored with their change.
	// When Save returns no error, the changes that are OK are committed and durable.
	//
	// CodeConflict: a concurrent change, such as another ACTIVE cart of one of the owners, made the
	// database refuse them all, or a receipt of one of the keys exists; CodeRefused: the data of some change did; nothing was done.
	// CodeOutcomeUnknown: the database went away at COMMIT; either all that would have been
	// OK was done, or nothing.
	Save(ctx context.Context, changes []Change) ([]Saved, error)

	// Overdue looks at up to limit LOCKED carts whose lease has ended, by the database's clock, with ids above after and in the
	// order of their ids. It returns the groups that are to be unlocked together: carts of one owner that have a lease and
	// the same reference or, where they have none, a lease that ends at the same time, as those of one call do. A group in
	// which a lease has not ended is left out, and a group that was returned before is not returned for its other carts. Last
	// is the id of the last cart that was looked at, 0 where there are no more.
	Overdue(ctx context.Context, after int64, limit int) (groups [][]Expected, last int64, err error)

	// Forget deletes up to limit receipts that are older than ttl, and returns how many it deleted.
	Forget(ctx context.Context, ttl time.Duration, limit int) (int64, error)

	// Close ends all connections. No method may be called afterwards.
	Close() error
}
