package cart

// Change tells a store how to bring a cart from the version it loaded to the state that commands left it in.
type Change struct {
	// Cart is the cart's new state, at its new version. ID 0: the cart is to be created.
	Cart *Cart
	// Was is the version that was loaded; the change is made only while the cart is still at that version.
	// It is 0 for a new cart, which is created only while its owner has no other ACTIVE one.
	Was int64
	// Activates means that the cart becomes its owner's ACTIVE one: by creation, or from LOCKED.
	Activates bool
	// Amends means that more than the status, the lines and the version change: the owner, the attributes, the reference
	// or the lease.
	Amends bool
	// Keep means that the cart stays as it is, at version Was. The change is there for its Group or its Receipts.
	Keep bool
	// Group is the number of the group of changes that are made together or not at all; 0: none. A group has no new carts.
	Group int
	// Receipts are stored if the change is made.
	Receipts []Receipt
	// Delete means that the cart is to be deleted with its lines. Put and Drop are then empty.
	Delete bool
	// Put lists the lines to write, in the order of the cart.
	Put []Line
	// Drop lists the products whose lines are to be deleted.
	Drop []int64
}

// Line is a line to write.
type Line struct {
	Item
	// Append means that the line comes last, even if its product had an earlier place.
	Append bool
}

// Diff returns the change from before to after. A nil before means creation.
func Diff(before, after *Cart) Change {
	ch := Change{Cart: after}
	ch.Activates = after.Status == Active && (before == nil || before.Status != Active || before.Owner() != after.Owner())
	ch.Amends = amends(before, after)
	var old []Item
	if before != nil {
		ch.Was = before.Version
		old = before.Items
	}
	if after.Gone {
		ch.Delete = true
		return ch
	}
	// Lines keep their order and new ones come last. So the lines that stayed are the longest prefix of
	// after that occurs in this order in before; the lines behind it were added, or removed and added again.
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

func amends(before, after *Cart) bool {
	if before == nil {
		return after.Attributes != ""
	}
	return after.Lease > 0 || !after.LockedUntil.Equal(before.LockedUntil) || after.Reference != before.Reference ||
		after.Attributes != before.Attributes || after.Owner() != before.Owner()
}
