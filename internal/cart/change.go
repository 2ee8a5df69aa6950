package cart

// Change is what a store has to do so that a cart becomes what a command made of it.
type Change struct {
	// Cart is the cart as it shall be, at its new version. ID 0: it is to be created.
	Cart *Cart
	// Was is the version that was loaded; the change is made only while the cart is still at it.
	// 0 for a cart that is to be created, which is made only while its owner has no other ACTIVE one.
	Was int64
	// Activates says that the cart becomes its owner's ACTIVE one: by creation, or from LOCKED.
	Activates bool
	// Delete says that the cart is to go, with its lines. Put and Drop are empty then.
	Delete bool
	// Put are the lines to write, in the order of the cart.
	Put []Line
	// Drop are the products whose lines are to go.
	Drop []int64
}

// Line is a line to write.
type Line struct {
	Item
	// Append says that the line comes last, though its product may have had an earlier place.
	Append bool
}

// Diff returns the change that makes after of before. A nil before means creation.
func Diff(before, after *Cart) Change {
	ch := Change{Cart: after}
	ch.Activates = after.Status == Active && (before == nil || before.Status != Active)
	var old []Item
	if before != nil {
		ch.Was = before.Version
		old = before.Items
	}
	if after.Gone {
		ch.Delete = true
		return ch
	}
	// Lines keep their order and new ones come last. So the lines that stayed are the longest start of
	// after that is found in this order in before; what follows them was added, maybe once more.
	at, kept := 0, 0 // how much of old and of after has been matched
	var gone []Item
	for i := range after.Items {
		item := &after.Items[i]
		n := lineOf(old[at:], item.ProductID)
		if n < 0 {
			break
		}
		gone = append(gone, old[at:at+n]...)
		if at += n; old[at] != *item {
			ch.Put = append(ch.Put, Line{Item: *item})
		}
		at++
		kept++
	}
	added := after.Items[kept:]
	for _, item := range added {
		ch.Put = append(ch.Put, Line{Item: item, Append: true})
	}
	for _, item := range append(gone, old[at:]...) {
		if lineOf(added, item.ProductID) < 0 {
			ch.Drop = append(ch.Drop, item.ProductID)
		}
	}
	return ch
}
