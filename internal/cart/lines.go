package cart

import "slices"

// Op is what an [ItemChange] does.
type Op uint8

// The operations on the lines of a cart.
const (
	// OpPut puts a line at the end or, where its product is in the cart already, in that product's place.
	OpPut Op = iota + 1
	// OpSet sets the quantity of a line; 0 or less removes the line.
	OpSet
	// OpChange adds By to the quantity of a line; a result of 0 or less removes the line.
	OpChange
	// OpRemove removes a line. Removing a line that does not exist changes nothing.
	OpRemove
	// OpClear removes all lines.
	OpClear
)

// ItemChange is one change of a cart's lines.
type ItemChange struct {
	Op Op
	// Item is the line to put. Other operations use its product and, with OpSet, its quantity. Its own Attributes are not used.
	Item Item `json:",omitzero"`
	// Attributes, with OpPut, replace those of the line. Nil keeps them.
	Attributes *Attributes `json:",omitzero"`
	// Add, with OpPut, adds the quantity to that of the product's line, if there is one.
	Add bool `json:",omitzero"`
	// By, with OpChange, is what to add: ±1 to ±[MaxQuantity].
	By int64 `json:",omitzero"`
}

// adds reports whether the change has another effect each time that it is made.
func (ch *ItemChange) adds() bool { return ch.Op == OpChange || ch.Op == OpPut && ch.Add }

// edit returns the cart with the changes made one after another, one version on; c itself where they come to nothing. A
// cart that loses its last line is gone.
func (c *Cart) edit(changes ...ItemChange) (*Cart, error) {
	if c.Status != Active {
		return nil, errNotActive(c)
	}
	// One more than there are, so that a line is put without growing the copy.
	items := append(make([]Item, 0, len(c.Items)+1), c.Items...)
	noted := false
	for i := range changes {
		var err error
		if items, err = changes[i].apply(items); err != nil {
			return nil, err
		}
		noted = noted || changes[i].Attributes != nil
	}
	switch {
	case slices.Equal(items, c.Items):
		return c, nil
	case len(items) > MaxLines && len(items) > len(c.Items):
		return nil, errFull
	}
	next := *c
	next.Items = items
	next.Version++
	next.Gone = len(items) == 0
	if noted {
		if err := next.checkSize(); err != nil {
			return nil, err
		}
	}
	return &next, nil
}

// apply returns the lines after the change. It may change the array of items.
func (ch *ItemChange) apply(items []Item) ([]Item, error) {
	if ch.Op == OpClear {
		return items[:0], nil
	}
	at := lineOf(items, ch.Item.ProductID)
	switch {
	case ch.Op == OpPut:
		return ch.put(items, at)
	case at < 0 && ch.Op == OpRemove:
		return items, nil
	case at < 0:
		return nil, errNoLine(ch.Item.ProductID)
	case ch.Op == OpRemove:
		return slices.Delete(items, at, at+1), nil
	}
	quantity := ch.Item.Quantity
	if ch.Op == OpChange {
		quantity = items[at].Quantity + ch.By
	}
	if quantity <= 0 {
		return slices.Delete(items, at, at+1), nil
	}
	if quantity > MaxQuantity && quantity > items[at].Quantity {
		return nil, errQuantityLimit(ch.Item.ProductID)
	}
	items[at].Quantity = quantity
	return items, nil
}

func (ch *ItemChange) put(items []Item, at int) ([]Item, error) {
	item := ch.Item
	item.Attributes = ""
	if at >= 0 {
		item.Attributes = items[at].Attributes
		if ch.Add {
			item.Quantity += items[at].Quantity
		}
	}
	if ch.Attributes != nil {
		item.Attributes = *ch.Attributes
	}
	if item.Quantity > MaxQuantity {
		return nil, errQuantityLimit(item.ProductID)
	}
	if at < 0 {
		return append(items, item), nil
	}
	items[at] = item
	return items, nil
}

func (ch *ItemChange) validate() error {
	product := checkID("product_id", ch.Item.ProductID)
	switch ch.Op {
	case OpPut:
		return Invalid(ch.Item.validate(), checkAttributes(ch.Attributes, MaxLineAttributes))
	case OpSet:
		return Invalid(product, check("quantity", ch.Item.Quantity <= MaxQuantity))
	case OpChange:
		return Invalid(product, check("by", ch.By != 0 && -MaxQuantity <= ch.By && ch.By <= MaxQuantity))
	case OpRemove:
		return product
	case OpClear:
		return nil
	default:
		return InvalidField("op")
	}
}

func checkAttributes(a *Attributes, most int) error {
	if a == nil {
		return nil
	}
	return CheckAttributes("attributes", a.Map(), most)
}
