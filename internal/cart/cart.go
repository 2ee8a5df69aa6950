// Package cart is the shop's rule book: what a cart is, and how commands may change it.
//
// Everything here is plain computation. A [Store] loads and saves carts; a [Command] takes a cart and
// returns the changed cart. Carts are immutable once made, so goroutines and callers may share them.
package cart

import "time"

// The limits of what a cart may hold.
const (
	MaxLines       = 500       // lines of one cart
	MaxQuantity    = 1_000_000 // pieces in one line
	MaxNameLength  = 255       // characters of a product's name
	MaxCookie      = 255       // characters of a guest's cookie
	MaxCartsAsked  = 200       // carts in one answer to a [Listing]
	MaxIDs         = 1000      // different carts asked for by their ids at once
	DefaultListing = 50        // carts in one answer where the caller names no limit
)

// Cart is what one owner intends to buy from one company. Treat it as immutable: commands return a
// changed copy.
type Cart struct {
	ID        int64
	CompanyID int64
	// UserID and Cookie are the owner as stored; [Cart.Owner] resolves them. Only carts of the Python service
	// have neither, both, or values that no owner can have.
	UserID    *int64
	Cookie    *string
	Status    Status
	CreatedAt time.Time
	UpdatedAt time.Time
	// Version starts at 1 and grows with every change; a cart is saved only over the version loaded.
	Version int64
	// Attributes are a storefront's own notes about the cart.
	Attributes Attributes
	// Reference names the payment for which the cart was locked or ordered; "" if none was named.
	Reference string
	// LockedUntil is when the lock of a LOCKED cart ends by itself. The zero time: never.
	LockedUntil time.Time
	// Lease is how long from UpdatedAt the lock is to last, at least. Commands set it, and a store turns it into
	// LockedUntil. Loaded carts have none.
	Lease time.Duration
	// Rival is set only for a LOCKED cart whose owner also has an ACTIVE cart at the same company.
	Rival bool
	// Gone means that the cart has lost its last line: it is to be deleted, or has been.
	Gone bool
	// Items are the lines, in the order in which their products were first added.
	Items []Item
}

// Item is one line of a cart; ProductID identifies it there.
type Item struct {
	ProductID int64
	Name      string
	Price     Money // of one piece
	Quantity  int64
	// Attributes are a storefront's own notes about the line, such as a gift text.
	Attributes Attributes
}

// Owner returns the owner of the cart: the user if there is one, else the guest, else nobody.
func (c *Cart) Owner() Owner {
	switch {
	case c.UserID != nil && *c.UserID > 0:
		return User(*c.UserID)
	case c.Cookie != nil:
		return Guest(*c.Cookie)
	default:
		return Owner{}
	}
}

// Total returns the exact sum of price × quantity over all lines, as a decimal with two digits, or "NaN" where the
// price of a line is [NaN].
func (c *Cart) Total() string { return total(c.Items) }

// lineOf returns the index of the product's line, or -1.
func lineOf(items []Item, productID int64) int {
	for i := range items {
		if items[i].ProductID == productID {
			return i
		}
	}
	return -1
}
