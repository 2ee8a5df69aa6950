package cart

import (
	"slices"
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
	// deleted. Errors are CodeNotFound, CodeNotAllowed, CodeNotActive, CodeFull and CodeUnpriced.
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
}

// PutItem is AddItem for a cart that is named by its id.
type PutItem struct {
	CartID int64
	Item   Item
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

// SetStatus changes the status of a cart. Setting the status that it has already changes nothing.
type SetStatus struct {
	CartID int64
	Status Status
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

// Ref names the cart by id.
func (s SetStatus) Ref() Ref { return ByID(s.CartID) }

// Apply implements [Command].
func (u Upsert) Apply(c *Cart) (*Cart, error) {
	if c != nil {
		return c, nil
	}
	userID, cookie := u.Owner.stored()
	return &Cart{CompanyID: u.CompanyID, UserID: userID, Cookie: cookie, Status: Active, Version: 1}, nil
}

// Apply implements [Command].
func (a AddItem) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		created, err := Upsert{CompanyID: a.CompanyID, Owner: a.Owner}.Apply(nil)
		if err != nil {
			return nil, err
		}
		created.Items = []Item{a.Item}
		return created, nil
	}
	return c.put(a.Item)
}

// Apply implements [Command].
func (p PutItem) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	return c.put(p.Item)
}

// Apply implements [Command].
func (s SetQuantity) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	if s.Quantity <= 0 {
		return c.remove(s.ProductID)
	}
	at := lineOf(c.Items, s.ProductID)
	if at < 0 && c.Status == Active {
		return nil, errNoLine(s.ProductID)
	}
	if at < 0 {
		return nil, errNotActive(c)
	}
	item := c.Items[at]
	item.Quantity = s.Quantity
	return c.put(item)
}

// Apply implements [Command].
func (r RemoveItem) Apply(c *Cart) (*Cart, error) {
	if c == nil {
		return nil, ErrNotFound
	}
	return c.remove(r.ProductID)
}

// Apply implements [Command].
func (s SetStatus) Apply(c *Cart) (*Cart, error) {
	switch {
	case c == nil:
		return nil, ErrNotFound
	case c.Status == s.Status:
		return c, nil
	case len(c.Items) == 0:
		return nil, errEmpty
	case !c.Status.mayBecome(s.Status):
		return nil, errTransition(c.Status, s.Status)
	case s.Status == Active && c.Rival:
		return nil, errHasRival
	}
	if at := slices.IndexFunc(c.Items, Item.unpriced); at >= 0 && (s.Status == Locked || s.Status == CheckedOut) {
		return nil, errUnpriced(c.Items[at].ProductID, s.Status)
	}
	next := *c
	next.Status = s.Status
	next.Rival = false
	if s.Status == Active {
		next.leaveOwner()
	}
	next.Version++
	return &next, nil
}

// leaveOwner clears the user or the cookie, whichever does not own the cart. Carts of the Python service may have both,
// and the other one may belong to another ACTIVE cart by now.
func (c *Cart) leaveOwner() {
	if c.Owner().UserID > 0 {
		c.Cookie = nil
	} else {
		c.UserID = nil
	}
}

// Validate implements [Command].
func (u Upsert) Validate() error {
	return Invalid(checkID("company_id", u.CompanyID), u.Owner.validate())
}

// Validate implements [Command].
func (a AddItem) Validate() error {
	return Invalid(checkID("company_id", a.CompanyID), a.Owner.validate(), a.Item.validate())
}

// Validate implements [Command].
func (p PutItem) Validate() error {
	return Invalid(checkID("cart_id", p.CartID), p.Item.validate())
}

// Validate implements [Command].
func (s SetQuantity) Validate() error {
	return Invalid(checkID("cart_id", s.CartID), check("quantity", s.Quantity <= MaxQuantity))
}

// Validate implements [Command].
func (r RemoveItem) Validate() error {
	return checkID("cart_id", r.CartID)
}

// Validate implements [Command].
func (s SetStatus) Validate() error {
	_, err := ParseStatus(int64(s.Status))
	return Invalid(checkID("cart_id", s.CartID), err)
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
	name := utf8.ValidString(i.Name) && !strings.ContainsRune(i.Name, 0)
	length := utf8.RuneCountInString(i.Name)
	return Invalid(
		checkID("product_id", i.ProductID),
		check("name", name && length >= 1 && length <= MaxNameLength),
		check("price", i.Price >= 0 && i.Price <= MaxPrice),
		check("quantity", i.Quantity >= 1 && i.Quantity <= MaxQuantity),
	)
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
