package storetest

import (
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

var marketplaceCases = []testCase[cart.Store]{
	{"group/whole or not at all", groupWhole},
	{"group/a cart that was only looked at", groupKeeps},
	{"group/a cart becomes ACTIVE after another", groupActivates},
	{"receipt/stored with its change", receiptStored},
	{"receipt/not stored with a change that is not made", receiptNotStored},
	{"receipt/a second one refuses the save", receiptDecides},
	{"receipt/of a cart that is gone", receiptOfGone},
	{"receipt/forgotten when it is old", receiptForgotten},
	{"lease/groups end together", leaseGroups},
	{"lease/is extended and cleared", leaseExtended},
	{"columns/each of them is a version", columns},
	{"basket/pages and totals", basketPages},
	{"basket/NaN and large sums", basketTotals},
	{"guest carts/ACTIVE and LOCKED ones", guestCarts},
}

// grouped returns the change as a member of the group.
func grouped(ch cart.Change, group int) cart.Change {
	ch.Group = group
	return ch
}

// keep returns the change that leaves the cart as it is.
func keep(c *cart.Cart) cart.Change { return cart.Change{Cart: c, Was: c.Version, Keep: true} }

// createSeveral saves n carts of n users.
func createSeveral(t *testing.T, s cart.Store, n int64) (carts []*cart.Cart) {
	t.Helper()
	for i := range n {
		carts = append(carts, create(t, s, fresh(1, cart.User(i+1), item(1, 1))))
	}
	return carts
}

func wantOK(t *testing.T, saved []cart.Saved, want ...bool) {
	t.Helper()
	for i, s := range saved {
		if s.OK != want[i] {
			t.Errorf("change %d of %d: OK is %t", i+1, len(saved), s.OK)
		}
	}
}

func groupWhole(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	carts := createSeveral(t, s, 6)
	stale := *carts[3]
	stale.Version--
	saved := save(t, s,
		grouped(cart.Diff(carts[0], moved(carts[0], cart.Locked)), 1),
		grouped(cart.Diff(carts[1], emptied(carts[1])), 1),
		grouped(cart.Diff(carts[2], moved(carts[2], cart.Locked)), 2),
		grouped(cart.Diff(&stale, moved(&stale, cart.Locked)), 2),
		grouped(cart.Diff(carts[4], emptied(carts[4])), 2),
		cart.Diff(carts[5], next(carts[5], item(9, 9))),
	)
	wantOK(t, saved, true, true, false, false, false, true)
	if c := get(t, s, cart.ByID(carts[0].ID)); c.Status != cart.Locked {
		t.Errorf("cart %d is %v", c.ID, c.Status)
	}
	absent(t, s, cart.ByID(carts[1].ID))
	for _, c := range carts[2:5] {
		same(t, get(t, s, cart.ByID(c.ID)), c)
	}
	if c := get(t, s, cart.ByID(carts[5].ID)); c.Version != 2 {
		t.Errorf("the neighbour is at version %d", c.Version)
	}
}

func groupKeeps(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	carts := createSeveral(t, s, 2)
	lock := func() cart.Change { return grouped(cart.Diff(carts[0], moved(carts[0], cart.Locked)), 1) }
	stale := *carts[1]
	stale.Version--
	wantOK(t, save(t, s, lock(), grouped(keep(&stale), 1)), false, false)
	same(t, get(t, s, cart.ByID(carts[0].ID)), carts[0])
	wantOK(t, save(t, s, lock(), grouped(keep(carts[1]), 1)), true, true)
	same(t, get(t, s, cart.ByID(carts[1].ID)), carts[1])
}

func groupActivates(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	guest := create(t, s, fresh(1, cart.Guest("g"), item(1, 1)))
	users := create(t, s, fresh(1, cart.User(1), item(2, 1)))
	mine := next(guest, guest.Items...)
	mine.UserID, mine.Cookie = ptr(int64(1)), nil
	// The user has an ACTIVE cart: the guest's cannot become theirs, whatever the store calls that.
	saved, err := s.Save(t.Context(), []cart.Change{grouped(cart.Diff(guest, mine), 1)})
	if err == nil && saved[0].OK || err != nil && cart.CodeOf(err) != cart.CodeConflict {
		t.Errorf("Save: %+v, %v", saved, err)
	}
	same(t, get(t, s, cart.ByID(guest.ID)), guest)
	update(t, s, users, moved(users, cart.Locked))
	wantOK(t, save(t, s, grouped(cart.Diff(guest, mine), 1)), true)
	same(t, get(t, s, cart.ActiveOf(1, cart.User(1))), mine, untimed)
	absent(t, s, cart.ActiveOf(1, cart.Guest("g")))
}

// noted returns the change with a receipt under the key.
func noted(ch cart.Change, key byte) cart.Change {
	c := ch.Cart
	ch.Receipts = append(ch.Receipts, cart.Receipt{
		Key: [32]byte{key}, Fingerprint: []byte{1, 2}, Owner: c.Owner().Hash(), CartID: c.ID, CompanyID: c.CompanyID, Version: c.Version,
		CreatedAt: c.CreatedAt,
	})
	return ch
}

// receipt returns the receipt of the key, nil if there is none.
func receipt(t *testing.T, s cart.Store, key byte) *cart.Receipt {
	t.Helper()
	_, receipts, err := s.LoadKnown(t.Context(), nil, [][32]byte{{key}})
	if err != nil {
		t.Fatal(err)
	}
	return receipts[0]
}

func receiptStored(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	made := save(t, s, noted(cart.Diff(nil, fresh(1, cart.User(1), item(1, 1))), 1))[0]
	c := get(t, s, cart.ByID(made.ID))
	save(t, s, noted(keep(c), 2), noted(noted(cart.Diff(nil, fresh(2, cart.Guest("g"), item(1, 1))), 3), 4))
	for key, want := range map[byte]int64{1: c.ID, 2: c.ID} {
		r := receipt(t, s, key)
		if r == nil || r.CartID != want || r.CompanyID != 1 || r.Version != 1 || string(r.Fingerprint) != "\x01\x02" ||
			string(r.Owner) != string(cart.User(1).Hash()) || !r.CreatedAt.Equal(c.CreatedAt) || r.At.IsZero() {
			t.Fatalf("receipt %d: %+v", key, r)
		}
		same(t, r.Cart, c)
	}
	if a, b := receipt(t, s, 3), receipt(t, s, 4); a == nil || b == nil || a.CartID == 0 || a.CartID != b.CartID {
		t.Errorf("receipts of one change: %+v, %+v", a, b)
	}
	several := keep(c)
	several.Receipts = []cart.Receipt{{Key: [32]byte{5}, Fingerprint: []byte{1}}}
	save(t, s, several)
	if r := receipt(t, s, 5); r == nil || r.CartID != 0 || r.Cart != nil {
		t.Errorf("the receipt of several carts: %+v", r)
	}
	if r := receipt(t, s, 6); r != nil {
		t.Errorf("a key that was never used: %+v", r)
	}
}

func receiptNotStored(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	carts := createSeveral(t, s, 2)
	stale := *carts[0]
	stale.Version--
	wantOK(t, save(t, s,
		noted(cart.Diff(&stale, next(&stale, item(9, 9))), 1),
		noted(cart.Diff(nil, fresh(1, carts[1].Owner(), item(1, 1))), 2),
		noted(cart.Diff(carts[1], next(carts[1], item(9, 9))), 3),
	), false, false, true)
	if receipt(t, s, 1) != nil || receipt(t, s, 2) != nil || receipt(t, s, 3) == nil {
		t.Error("receipts are stored without their changes, or changes without their receipts")
	}
}

func receiptDecides(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	save(t, s, noted(keep(c), 1))
	for _, ch := range []cart.Change{
		noted(cart.Diff(nil, fresh(2, cart.User(1), item(1, 1))), 1), // the twin finds no cart
		noted(cart.Diff(c, next(c, item(9, 9))), 1),
		noted(keep(c), 1),
	} {
		if _, err := s.Save(t.Context(), []cart.Change{ch}); cart.CodeOf(err) != cart.CodeConflict {
			t.Errorf("Save: %v, want CodeConflict", err)
		}
	}
	absent(t, s, cart.ActiveOf(2, cart.User(1)))
	same(t, get(t, s, cart.ByID(c.ID)), c)
}

func receiptOfGone(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	save(t, s, noted(cart.Diff(c, emptied(c)), 1))
	if r := receipt(t, s, 1); r == nil || r.CartID != c.ID || r.Version != 2 || r.Cart != nil {
		t.Errorf("the receipt of the last line: %+v", r)
	}
}

func receiptForgotten(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	for key := range byte(3) {
		save(t, s, noted(keep(c), key+1))
	}
	for _, step := range []struct {
		ttl  time.Duration
		want int64
	}{{time.Hour, 0}, {-time.Hour, 2}, {-time.Hour, 1}, {-time.Hour, 0}} {
		if n, err := s.Forget(t.Context(), step.ttl, 2); err != nil || n != step.want {
			t.Errorf("Forget those older than %v: %d, %v; want %d", step.ttl, n, err, step.want)
		}
	}
}

// leased returns the cart LOCKED for a payment, or without one, for so long.
func leased(c *cart.Cart, lease time.Duration, reference string) *cart.Cart {
	n := moved(c, cart.Locked)
	n.Lease, n.Reference = lease, reference
	return n
}

func leaseGroups(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	var carts []*cart.Cart
	for company := range int64(7) {
		carts = append(carts, create(t, s, fresh(company+1, cart.User(1), item(1, 1))))
	}
	guest := create(t, s, fresh(1, cart.Guest("g"), item(1, 1)))
	past, future := time.Microsecond, time.Hour
	save(t, s, cart.Diff(carts[0], leased(carts[0], past, "")), cart.Diff(carts[1], leased(carts[1], past, "")),
		cart.Diff(guest, leased(guest, past, "")))
	save(t, s, cart.Diff(carts[2], leased(carts[2], past, "p")), cart.Diff(carts[3], leased(carts[3], past, "p")))
	save(t, s, cart.Diff(carts[4], leased(carts[4], past, "q")), cart.Diff(carts[5], leased(carts[5], future, "q")))
	save(t, s, cart.Diff(carts[6], leased(carts[6], 0, "")))
	groups, last, err := s.Overdue(t.Context(), 0, 100)
	if err != nil || last != 0 || len(groups) != 3 || len(groups[0]) != 2 || len(groups[1]) != 2 || len(groups[2]) != 1 {
		t.Fatalf("Overdue: %v, %d, %v", groups, last, err)
	}
	for i, want := range [][]*cart.Cart{carts[:2], carts[2:4], {guest}} {
		for j, c := range want {
			if groups[i][j] != (cart.Expected{ID: c.ID, Version: 2}) {
				t.Errorf("group %d has %+v, want cart %d at version 2", i, groups[i][j], c.ID)
			}
		}
	}
	// By pages of one cart each group comes once.
	pages := 0
	for after := int64(0); ; {
		page, last, err := s.Overdue(t.Context(), after, 1)
		if err != nil {
			t.Fatal(err)
		}
		pages += len(page)
		if last == 0 {
			break
		}
		after = last
	}
	if pages != 3 {
		t.Errorf("%d groups by pages, want 3", pages)
	}
}

func leaseExtended(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	locked := update(t, s, c, leased(c, time.Hour, "p"))
	if d := locked.LockedUntil.Sub(locked.UpdatedAt); d != time.Hour || locked.Reference != "p" {
		t.Errorf("the lease is %v for %q", d, locked.Reference)
	}
	shorter := next(locked, locked.Items...)
	shorter.Lease = time.Minute
	if got := update(t, s, locked, shorter); !got.LockedUntil.Equal(locked.LockedUntil) || got.Version != 3 {
		t.Errorf("a shorter lease ends at %v, want %v still", got.LockedUntil, locked.LockedUntil)
	} else {
		locked = got
	}
	ordered := moved(locked, cart.CheckedOut)
	ordered.LockedUntil = time.Time{}
	if got := update(t, s, locked, ordered); !got.LockedUntil.IsZero() || got.Reference != "p" {
		t.Errorf("the order is locked until %v for %q", got.LockedUntil, got.Reference)
	}
}

// columns changes each thing that a cart shows, and finds it as changed at the next version.
func columns(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	notes := cart.NewAttributes(map[string]string{"note": "é \" < \u2028", "b": ""})
	for name, change := range map[string]func(*cart.Cart){
		"attributes":      func(c *cart.Cart) { c.Attributes = notes },
		"reference":       func(c *cart.Cart) { c.Status, c.Reference = cart.Locked, "é" },
		"owner":           func(c *cart.Cart) { c.UserID, c.Cookie = nil, ptr("x") },
		"line attributes": func(c *cart.Cart) { c.Items[1].Attributes = notes },
		"new line with attributes": func(c *cart.Cart) {
			c.Items = append(c.Items, cart.Item{ProductID: 9, Name: "n", Price: 1, Quantity: 1, Attributes: notes})
		},
	} {
		company := int64(len(name))
		before := create(t, s, fresh(company, cart.User(7), item(1, 1), item(2, 1)))
		after := next(before, append([]cart.Item(nil), before.Items...)...)
		change(after)
		got := update(t, s, before, after)
		same(t, got, after, untimed)
		if got.Version != before.Version+1 {
			t.Errorf("%s: version %d", name, got.Version)
		}
		back := next(got, before.Items...)
		back.Attributes, back.Reference, back.UserID, back.Cookie, back.Status = "", "", before.UserID, before.Cookie, cart.Cancelled
		same(t, update(t, s, got, back), back, untimed)
	}
	withNotes := fresh(99, cart.User(7), item(1, 1))
	withNotes.Attributes = notes
	same(t, create(t, s, withNotes), withNotes, stamps)
}

func basketPages(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(1), cart.Guest("g"), cart.User(2)} {
		for company := range int64(3) {
			create(t, s, fresh(company+1, owner, item(1, company+1), item(2, 1)))
		}
	}
	create(t, s, fresh(9, cart.User(1)))
	locked := create(t, s, fresh(10, cart.User(1), item(1, 1)))
	locked = update(t, s, locked, moved(locked, cart.Locked))
	for _, owner := range []cart.Owner{cart.User(1), cart.Guest("g")} {
		q := cart.BasketQuery{Owner: owner, Status: cart.Active}
		b, err := s.Basket(t.Context(), q)
		if err != nil || len(b.Carts) != 3 || b.Owner != owner || b.More {
			t.Fatalf("Basket: %+v, %v", b, err)
		}
		if b.Carts[0].ID < b.Carts[1].ID || b.Count != 3 || b.Lines != 6 || b.Amount != "12.17" {
			t.Errorf("%v: %+v, want the newest first", owner, b.Totals)
		}
		q.Before = b.Carts[1].ID
		if page, err := s.Basket(t.Context(), q); err != nil || len(page.Carts) != 1 || page.Totals != b.Totals {
			t.Errorf("before %d: %+v, %v", q.Before, page, err)
		} else {
			same(t, page.Carts[0], b.Carts[2])
		}
	}
	b, err := s.Basket(t.Context(), cart.BasketQuery{Owner: cart.User(1), Status: cart.Locked})
	if err != nil || len(b.Carts) != 1 {
		t.Fatalf("LOCKED: %+v, %v", b, err)
	}
	same(t, b.Carts[0], locked)
}

func basketTotals(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for company := range int64(3) {
		c := fresh(company+1, cart.User(1))
		for product := range int64(cart.MaxLines) {
			c.Items = append(c.Items, cart.Item{ProductID: product + 1, Name: "n", Price: cart.MaxPrice, Quantity: cart.MaxQuantity})
		}
		create(t, s, c)
	}
	q := cart.BasketQuery{Owner: cart.User(1), Status: cart.Active}
	if b, err := s.Basket(t.Context(), q); err != nil || b.Amount != "149999999985000000.00" || b.Lines != 1500 {
		t.Errorf("%+v, %v", b.Totals, err)
	}
	db.Insert(t, cart.Cart{CompanyID: 9, UserID: ptr(int64(1)), Status: cart.Active, Items: []cart.Item{{ProductID: 1, Name: "n", Price: cart.NaN, Quantity: 1}}})
	if b, err := s.Basket(t.Context(), q); err != nil || b.Amount != "NaN" {
		t.Errorf("%+v, %v", b.Totals, err)
	}
}

func guestCarts(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	var want []cart.GuestCart
	for company := range int64(4) {
		c := create(t, s, fresh(company+1, cart.Guest("g"), item(1, 1)))
		status := cart.Status(company + 1)
		if status != cart.Active {
			update(t, s, c, moved(c, status))
		}
		if status <= cart.Locked {
			want = append(want, cart.GuestCart{ID: c.ID, CompanyID: c.CompanyID})
		}
	}
	create(t, s, fresh(1, cart.Guest("other"), item(1, 1)))
	insert(t, db, s, withCookie(cart.Active)) // a user's, of the Python service
	got, err := s.GuestCarts(t.Context(), "g", 0, 10)
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("GuestCarts: %v, %v; want %v", got, err, want)
	}
	if got, err := s.GuestCarts(t.Context(), "g", 2, 10); err != nil || len(got) != 1 || got[0] != want[1] {
		t.Errorf("at one company: %v, %v", got, err)
	}
	if got, err := s.GuestCarts(t.Context(), "x", 0, 10); err != nil || len(got) != 0 {
		t.Errorf("of a user's cookie: %v, %v", got, err)
	}
}
