package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Data that the Python service accepted and today's rules would refuse.
var legacyCases = []testCase[cart.Store]{
	{"legacy/nobody's cart", legacyNobody},
	{"legacy/odd numbers", legacyNumbers},
	{"legacy/very long cart", legacyLong},
	{"legacy/empty cart", legacyEmpty},
	{"legacy/price that is no number", legacyNaN},
	{"legacy/user 0 with a cookie", legacyUser0},
	{"legacy/user 0 unlocks", legacyUser0Unlocks},
	{"legacy/user with a cookie", legacyUserWithCookie},
	{"legacy/guest needs the cookie", legacyGuestNeedsCookie},
	{"legacy/guest unlocks", legacyGuestUnlocks},
	{"legacy/user unlocks", legacyUserUnlocks},
}

// insert writes a cart as it may be in an old database and returns it as loaded.
func insert(t testing.TB, db Database[cart.Store], s cart.Store, c cart.Cart) *cart.Cart {
	t.Helper()
	got := get(t, s, cart.ByID(db.Insert(t, c)))
	c.Version = 1
	same(t, got, &c, stamps)
	return got
}

func legacyNobody(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for i, owner := range []struct {
		user   *int64
		cookie *string
	}{{nil, nil}, {nil, nil}, {nil, ptr("")}, {ptr[int64](0), nil}, {ptr[int64](-1), nil}} {
		c := insert(t, db, s, cart.Cart{
			CompanyID: 1, UserID: owner.user, Cookie: owner.cookie, Status: cart.Active,
			Items: []cart.Item{item(1, 1), item(2, 1)},
		})
		if !c.Owner().IsNobody() {
			t.Errorf("cart %d belongs to %v", i, c.Owner())
		}
		// It can be changed like any other, by id.
		want := next(c, item(2, 1), item(3, 1))
		c = update(t, s, c, want)
		same(t, c, want, touched)
	}
	for _, owner := range []cart.Owner{{}, cart.Guest("null"), cart.User(1)} {
		absent(t, s, cart.ActiveOf(1, owner))
	}
	wantIDs(t, s, cart.Listing{UserID: 1, Limit: 50})
	create(t, s, fresh(1, cart.Guest("other"), item(1, 1)))
}

func legacyNumbers(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	lines := []cart.Item{
		{ProductID: 1, Name: "Discount", Price: -1999, Quantity: 2147483647},
		{ProductID: 2, Name: "Discount", Price: -cart.MaxPrice, Quantity: 1},
		{ProductID: 3, Name: "Cent", Price: -1, Quantity: 1},
		{ProductID: 4, Name: "Cent", Price: 1, Quantity: 1},
		{ProductID: -5, Name: "", Price: cart.MaxPrice, Quantity: 2147483647},
	}
	c := insert(t, db, s, cart.Cart{CompanyID: 1, UserID: ptr[int64](7), Status: cart.Active, Items: lines})
	want := next(c, append(lines[1:], item(9, 1))...)
	same(t, update(t, s, c, want), want, touched)
}

func legacyLong(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := insert(t, db, s, cart.Cart{CompanyID: 1, UserID: ptr[int64](7), Status: cart.Active, Items: items(1200)})
	lines := append([]cart.Item(nil), c.Items...)
	lines[600].Quantity = 77
	c = update(t, s, c, next(c, lines[:1199]...))
	if diff := cmp.Diff(lines[:1199], c.Items); diff != "" {
		t.Errorf("lines differ (-want +got):\n%s", diff)
	}
	if got := list(t, s, cart.Listing{UserID: 7, Limit: 1}); len(got) != 1 || len(got[0].Items) != 1199 {
		t.Errorf("the list holds %d carts", len(got))
	}
	c = update(t, s, c, moved(c, cart.Locked))
	update(t, s, c, moved(c, cart.CheckedOut))
}

func legacyEmpty(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	insert(t, db, s, cart.Cart{CompanyID: 1, Cookie: ptr("g"), Status: cart.CheckedOut})
	c := insert(t, db, s, cart.Cart{CompanyID: 1, Cookie: ptr("g"), Status: cart.Active})
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("g"))), c)
	want := next(c, item(1, 1))
	same(t, update(t, s, c, want), want, touched)
}

// legacyNaN has a line whose price is NaN. It loads with its neighbours, keeps its price where others change, and goes
// when it is replaced or removed.
func legacyNaN(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	odd := item(2, 1)
	odd.Price = cart.NaN
	neighbour := create(t, s, fresh(2, cart.User(7), item(1, 1)))
	c := insert(t, db, s, cart.Cart{
		CompanyID: 1, UserID: ptr[int64](7), Status: cart.Active, Items: []cart.Item{item(1, 1), odd, item(3, 1)},
	})
	both := load(t, s, cart.ByID(c.ID), cart.ByID(neighbour.ID))
	same(t, both[0], c)
	same(t, both[1], neighbour)
	if total := both[0].Total(); total != "NaN" {
		t.Errorf("total %s, want NaN", total)
	}
	if got := list(t, s, cart.Listing{UserID: 7, Limit: 50}); len(got) != 2 {
		t.Errorf("the list holds %d carts, want 2", len(got))
	}
	more := odd
	more.Quantity = 5
	again := odd
	again.Name = "added again"
	for _, lines := range [][]cart.Item{
		{item(1, 9), odd, item(3, 1)},
		{item(1, 9), more, item(3, 1)},
		{item(1, 9), item(3, 1), again},
		{item(1, 9), item(3, 1), item(2, 2)},
	} {
		want := next(c, lines...)
		c = update(t, s, c, want)
		same(t, c, want, touched)
	}
}

// user0 is a cart of guest x that also has the user 0, who is nobody.
func user0(status cart.Status) cart.Cart {
	return cart.Cart{
		CompanyID: 1, UserID: ptr[int64](0), Cookie: ptr("x"), Status: status, Items: []cart.Item{item(1, 1), item(2, 1)},
	}
}

func legacyUser0(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	locked := db.Insert(t, user0(cart.Locked))
	c := insert(t, db, s, user0(cart.Active))
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("x"))), c)
	if !get(t, s, cart.ByID(locked)).Rival {
		t.Error("a guest's LOCKED cart with the user 0 has no rival in the ACTIVE one")
	}
	if saved := save(t, s, cart.Diff(nil, fresh(1, cart.Guest("x"), item(6, 1))))[0]; saved.OK {
		t.Error("the guest has got a second cart")
	}
	same(t, get(t, s, cart.ByID(c.ID)), c)
	want := next(c, item(2, 2))
	same(t, update(t, s, c, want), want, touched)
}

// The unique index has room for one ACTIVE cart of user 0 at a company, so a cart that becomes ACTIVE leaves that user.
func legacyUser0Unlocks(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	other := user0(cart.Active)
	other.Cookie = ptr("y")
	others := insert(t, db, s, other)
	locked := insert(t, db, s, user0(cart.Locked))
	if locked.Rival {
		t.Error("another guest's cart with the user 0 is the rival of a guest's")
	}
	want := moved(locked, cart.Active)
	want.UserID = nil
	same(t, update(t, s, locked, want), want, touched)
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("x"))), want, touched)
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("y"))), others)
}

// withCookie is a cart of user 7 that also holds the cookie x.
func withCookie(status cart.Status) cart.Cart {
	return cart.Cart{
		CompanyID: 1, UserID: ptr[int64](7), Cookie: ptr("x"), Status: status, Items: []cart.Item{item(1, 1), item(2, 1)},
	}
}

func legacyUserWithCookie(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := insert(t, db, s, withCookie(cart.Active))
	same(t, get(t, s, cart.ActiveOf(1, cart.User(7))), c)
	absent(t, s, cart.ActiveOf(1, cart.Guest("x")))
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 50}, c.ID)
	locked := insert(t, db, s, cart.Cart{CompanyID: 1, Cookie: ptr("x"), Status: cart.Locked, Items: items(1)})
	if locked.Rival {
		t.Error("a user's cart is the rival of a guest's")
	}
	want := next(c, item(2, 2))
	same(t, update(t, s, c, want), want, touched)
}

// freed returns the cart without its cookie, one version on, as it is once a guest has taken that.
func freed(c *cart.Cart) *cart.Cart {
	f := next(c, c.Items...)
	f.Cookie = nil
	return f
}

func legacyGuestNeedsCookie(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	users := insert(t, db, s, withCookie(cart.Active))
	elsewhere := withCookie(cart.Active)
	elsewhere.CompanyID = 2
	other := insert(t, db, s, elsewhere)
	done := insert(t, db, s, withCookie(cart.CheckedOut))
	guests := create(t, s, fresh(1, cart.Guest("x"), item(5, 1)))
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("x"))), guests)
	same(t, get(t, s, cart.ActiveOf(1, cart.User(7))), freed(users), untimed)
	// These do not stand in the way.
	same(t, get(t, s, cart.ByID(other.ID)), other)
	same(t, get(t, s, cart.ByID(done.ID)), done)
	if saved := save(t, s, cart.Diff(nil, fresh(1, cart.Guest("x"), item(6, 1))))[0]; saved.OK {
		t.Error("the guest has got a second cart")
	}
	if saved := save(t, s, cart.Diff(users, next(users, item(1, 9))))[0]; saved.OK {
		t.Error("the user's cart was saved over a version with a cookie that it no longer has")
	}
}

func legacyGuestUnlocks(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	users := insert(t, db, s, withCookie(cart.Active))
	locked := insert(t, db, s, cart.Cart{CompanyID: 1, Cookie: ptr("x"), Status: cart.Locked, Items: items(2)})
	want := moved(locked, cart.Active)
	same(t, update(t, s, locked, want), want, touched)
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("x"))), want, touched)
	same(t, get(t, s, cart.ActiveOf(1, cart.User(7))), freed(users), untimed)
}

// The other way round: the cookie of the user's own cart may stand in the way, and is dropped.
func legacyUserUnlocks(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	unlocks := func(locked *cart.Cart) {
		t.Helper()
		want := freed(moved(locked, cart.Active))
		same(t, update(t, s, locked, want), want, touched)
		same(t, get(t, s, cart.ActiveOf(locked.CompanyID, cart.User(7))), want, touched)
	}
	locked := insert(t, db, s, withCookie(cart.Locked))
	guests := create(t, s, fresh(1, cart.Guest("x"), item(5, 1)))
	if get(t, s, cart.ByID(locked.ID)).Rival {
		t.Error("a guest's cart is the rival of a user's")
	}
	unlocks(locked)
	same(t, get(t, s, cart.ActiveOf(1, cart.Guest("x"))), guests)

	elsewhere := withCookie(cart.Locked)
	elsewhere.CompanyID = 2
	unlocks(insert(t, db, s, elsewhere))
}
