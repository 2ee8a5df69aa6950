package cart

import (
	"strings"
	"unicode/utf8"
)

// Command is a caller's request to change one cart.
type Command interface {
	// Ref names the cart.
	Ref() Ref
	// Validate checks each field by itself; its error is CodeInvalid and names all that are wrong.
	Validate() error
	// Apply returns the changed cart: c itself where nothing changes, otherwise a copy at a
	// later version. A nil c means that there is no such cart. A returned cart that is Gone is to be
	// deleted. Errors are those that a rule gives, CodeNotFound to CodeAlreadyCheckedOut.
	Apply(c *Cart) (*Cart, error)
}

// Upsert finds the owner's ACTIVE cart at the company, or creates an empty one.
type Upsert struct {
	CompanyID int64
	Owner     Owner
}

// AddItem puts a line into the owner's ACTIVE cart at the company, and creates the cart if there is
// none. A product that is already there gets the new name, price and quantity.
type AddItem struct {
	CompanyID int64
	Owner     Owner
	Item      Item
	// Add and Attributes are as in [ItemChange].
	Add        bool        `json:",omitzero"`
	Attributes *Attributes `json:",omitzero"`
}

// PutItem is AddItem for a cart that is named by its id.
type PutItem struct {
	CartID int64
	Item   Item
	// Add and Attributes are as in [ItemChange].
	Add        bool        `json:",omitzero"`
	Attributes *Attributes `json:",omitzero"`
}

// SetQuantity changes the quantity of a line; 0 or less removes it. Carts of the Python service may have lines of any
// product id.
type SetQuantity struct {
	CartID    int64
	ProductID int64
	Quantity  int64
}

// RemoveItem removes a line. Like [SetQuantity] it takes any product id.
type RemoveItem struct {
	CartID    int64
	ProductID int64
}

// Ref names the owner's ACTIVE cart.
func (u Upsert) Ref() Ref { return ActiveOf(u.CompanyID, u.Owner) }

// Ref names the owner's ACTIVE cart.
func (a AddItem) Ref() Ref { return ActiveOf(a.CompanyID, a.Owner) }

// Ref names the cart by id.
func (p PutItem) Ref() Ref { return ByID(p.CartID) }

// Ref names the cart by id.
func (s SetQuantity) Ref() Ref { return ByID(s.CartID) }

// Ref names the cart by id.
func (r RemoveItem) Ref() Ref { return ByID(r.CartID) }

func (a AddItem) change() ItemChange {
	return ItemChange{Op: OpPut, Item: a.Item, Add: a.Add, Attributes: a.Attributes}
}

func (p PutItem) change() ItemChange {
	return ItemChange{Op: OpPut, Item: p.Item, Add: p.Add, Attributes: p.Attributes}
}

func (a AddItem) adds() bool { return a.Add }

func (p PutItem) adds() bool { return p.Add }

// newCart returns a new ACTIVE cart without lines.
func newCart(companyID int64, owner Owner) *Cart {
	userID, cookie := owner.stored()
	return &Cart{CompanyID: companyID, UserID: userID, Cookie: cookie, Status: Active, Version: 1}
}

// Apply implements [Command].
func (u Upsert) Apply(c *Cart) (*Cart, error) {
	if c != nil {
		return c, nil
	}
	return newCart(u.CompanyID, u.Owner), nil
}

// Apply implements [Command].
func (a AddItem) Apply(c *Cart) (*Cart, error) {
	if c != nil {
		return c.edit(a.change())
	}
	created, err := newCart(a.CompanyID, a.Owner).edit(a.change())
	if err != nil {
		return nil, err
	}
	created.Version = 1
	return created, nil
}

// Apply implements [Command].
func (p PutItem) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	return c.edit(p.change())
}

// Apply implements [Command].
func (s SetQuantity) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	return c.edit(ItemChange{Op: OpSet, Item: Item{ProductID: s.ProductID, Quantity: s.Quantity}})
}

// Apply implements [Command].
func (r RemoveItem) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	return c.edit(ItemChange{Op: OpSet, Item: Item{ProductID: r.ProductID}}) // unlike OpRemove, it fails without a line
}

// Validate implements [Command].
func (u Upsert) Validate() error {
	return Invalid(checkID("company_id", u.CompanyID), u.Owner.validate())
}

// Validate implements [Command].
func (a AddItem) Validate() error {
	change := a.change()
	return Invalid(checkID("company_id", a.CompanyID), a.Owner.validate(), change.validate())
}

// Validate implements [Command].
func (p PutItem) Validate() error {
	change := p.change()
	return Invalid(checkID("cart_id", p.CartID), change.validate())
}

// Validate implements [Command].
func (s SetQuantity) Validate() error {
	return Invalid(checkID("cart_id", s.CartID), check("quantity", s.Quantity <= MaxQuantity))
}

// Validate implements [Command].
func (r RemoveItem) Validate() error {
	return checkID("cart_id", r.CartID)
}

func (o Owner) validate() error {
	switch {
	case o.IsNobody():
		return InvalidField("owner")
	case o.UserID == 0:
		return check("cookie", ValidCookie(o.Cookie))
	default:
		return checkID("user_id", o.UserID)
	}
}

func (i Item) validate() error {
	return Invalid(
		checkID("product_id", i.ProductID),
		check("name", isText(i.Name, MaxNameLength)),
		check("price", i.Price >= 0 && i.Price <= MaxPrice),
		check("quantity", i.Quantity >= 1 && i.Quantity <= MaxQuantity),
	)
}

// isText reports whether s is valid UTF-8 without NUL, of 1 to most characters.
func isText(s string, most int) bool {
	length := utf8.RuneCountInString(s)
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0) && length >= 1 && length <= most
}

// unpriced reports whether the line has no price that can be paid.
func (i Item) unpriced() bool { return i.Price == NaN }

func checkID(field string, id int64) error { return check(field, id > 0) }

// check returns an error about the field unless ok; a plain nil keeps the happy path free of work.
func check(field string, ok bool) error {
	if ok {
		return nil
	}
	return InvalidField(field)
}
