package cart

import "fmt"

// MaxChanges is the most changes of lines in one command.
const MaxChanges = 500

// ChangeQuantity adds to the quantity of a line, or takes from it; a result of 0 or less removes the line. Like
// [SetQuantity] it takes any product id.
type ChangeQuantity struct {
	CartID    int64
	ProductID int64
	By        int64 // ±1 to ±[MaxQuantity]
}

// ChangeItems makes many changes of a cart at once, all of them or none.
type ChangeItems struct {
	// CartID names the cart. If it is 0, the cart is the owner's ACTIVE one at the company, and is created if there is none.
	CartID    int64 `json:",omitzero"`
	CompanyID int64 `json:",omitzero"`
	Owner     Owner `json:",omitzero"`
	// Changes are made in this order, up to [MaxChanges] of them.
	Changes []ItemChange `json:",omitempty"`
	// Attributes replace those of the cart. Nil keeps them.
	Attributes *Attributes `json:",omitzero"`
}

// Ref names the cart by id.
func (c ChangeQuantity) Ref() Ref { return ByID(c.CartID) }

// Ref names the cart by id, or as its owner's ACTIVE one.
func (c ChangeItems) Ref() Ref {
	if c.CartID != 0 {
		return ByID(c.CartID)
	}
	return ActiveOf(c.CompanyID, c.Owner)
}

func (c ChangeQuantity) adds() bool { return true }

func (c ChangeItems) adds() bool {
	for i := range c.Changes {
		if c.Changes[i].adds() {
			return true
		}
	}
	return false
}

// Validate implements [Command].
func (c ChangeQuantity) Validate() error {
	change := ItemChange{Op: OpChange, Item: Item{ProductID: 1}, By: c.By}
	return Invalid(checkID("cart_id", c.CartID), change.validate())
}

// Validate implements [Command]. A field at fault is named with its index, as in changes[3].price.
func (c ChangeItems) Validate() error {
	errs := []error{
		check("changes", len(c.Changes) <= MaxChanges && (len(c.Changes) > 0 || c.Attributes != nil)),
		checkAttributes(c.Attributes, MaxCartAttributes),
	}
	if c.CartID != 0 {
		errs = append(errs, checkID("cart_id", c.CartID))
	} else {
		errs = append(errs, checkID("company_id", c.CompanyID), c.Owner.validate())
	}
	for i := range c.Changes[:min(len(c.Changes), MaxChanges)] {
		errs = append(errs, Within(fmt.Sprintf("changes[%d]", i), c.Changes[i].validate()))
	}
	return Invalid(errs...)
}

// Apply implements [Command].
func (c ChangeQuantity) Apply(found *Cart) (*Cart, error) {
	if found == nil {
		return nil, ErrNotFound
	}
	return found.edit(ItemChange{Op: OpChange, Item: Item{ProductID: c.ProductID}, By: c.By})
}

// Apply implements [Command].
func (c ChangeItems) Apply(found *Cart) (*Cart, error) {
	switch {
	case found != nil:
		return c.change(found)
	case c.CartID != 0:
		return nil, ErrNotFound
	case len(c.Changes) == 0:
		return nil, InvalidField("changes") // attributes alone do not create a cart
	}
	created := newCart(c.CompanyID, c.Owner)
	next, err := c.change(created)
	if err != nil {
		return nil, err
	}
	if len(next.Items) == 0 {
		return nil, ErrNotFound
	}
	next.Version = created.Version
	return next, nil
}

// change returns the cart with all changes made, one version on.
func (c ChangeItems) change(found *Cart) (*Cart, error) {
	next, err := found.edit(c.Changes...)
	if err != nil || c.Attributes == nil || next.Gone || next.Attributes == *c.Attributes {
		return next, err
	}
	noted := *next
	noted.Attributes = *c.Attributes
	noted.Version = found.Version + 1
	return &noted, noted.checkSize()
}
