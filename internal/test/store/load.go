package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sellio/sellio-cart/internal/cart"
)

var loadCases = []testCase[cart.Store]{
	{"load/by id and by owner", loadByIDAndOwner},
	{"load/nothing", loadNothing},
	{"load/duplicates", loadDuplicates},
	{"load/every status", loadEveryStatus},
	{"load/without lines", loadWithoutLines},
	{"load/lines in order", loadLinesInOrder},
	{"load/many", loadMany},
	{"load/owners are apart", loadOwnersApart},
	{"load/rival", loadRival},
	{"load/context", loadContext},
	{"ping", ping},
}

func loadByIDAndOwner(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	user := create(t, s, fresh(1, cart.User(7), item(1, 2), item(2, 1)))
	guest := create(t, s, fresh(1, cart.Guest("g"), item(3, 1)))
	got := load(t, s,
		cart.ActiveOf(1, cart.Guest("g")), cart.ByID(user.ID), cart.ActiveOf(2, cart.User(7)),
		cart.ActiveOf(1, cart.User(7)), cart.ByID(guest.ID))
	want := []*cart.Cart{guest, user, nil, user, guest}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("carts differ (-want +got):\n%s", diff)
	}
	same(t, user, fresh(1, cart.User(7), item(1, 2), item(2, 1)), stamps)
	same(t, guest, fresh(1, cart.Guest("g"), item(3, 1)), stamps)
}

func loadNothing(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	if got := load(t, s); len(got) != 0 {
		t.Errorf("no refs name %d carts", len(got))
	}
	create(t, s, fresh(1, cart.User(7), item(1, 1)))
	for _, ref := range []cart.Ref{
		{}, cart.ByID(1 << 62), cart.ActiveOf(1, cart.User(8)), cart.ActiveOf(2, cart.User(7)),
		cart.ActiveOf(1, cart.Guest("7")), cart.ActiveOf(1, cart.Guest("")), cart.ActiveOf(1, cart.Owner{}),
	} {
		absent(t, s, ref)
	}
}

func loadDuplicates(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.Guest("g"), item(1, 1)))
	byID, byOwner := cart.ByID(c.ID), cart.ActiveOf(1, cart.Guest("g"))
	for _, got := range load(t, s, byID, byOwner, byID, byOwner) {
		same(t, got, c)
	}
}

// An owner's ref finds the ACTIVE cart only; an id finds a cart of any status.
func loadEveryStatus(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for i, status := range []cart.Status{cart.Locked, cart.CheckedOut, cart.Cancelled} {
		for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
			company := int64(i) + 1
			c := create(t, s, fresh(company, owner, item(1, 1)))
			want := moved(c, status)
			same(t, update(t, s, c, want), want, touched)
			absent(t, s, cart.ActiveOf(company, owner))
		}
	}
}

func loadWithoutLines(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7)))
	same(t, c, fresh(1, cart.User(7)), stamps)
	same(t, get(t, s, cart.ActiveOf(1, cart.User(7))), c)
}

func loadLinesInOrder(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	// Written by turns, and in neither the order of the products nor of their names.
	lines := []cart.Item{item(5, 1), item(1, 1), item(9, 1), item(3, 1)}
	a := create(t, s, fresh(1, cart.User(1), lines[0]))
	b := create(t, s, fresh(1, cart.User(2), lines[0]))
	for n := 2; n <= len(lines); n++ {
		a = update(t, s, a, next(a, lines[:n]...))
		b = update(t, s, b, next(b, lines[:n]...))
	}
	for _, c := range load(t, s, cart.ByID(b.ID), cart.ActiveOf(1, cart.User(1))) {
		if diff := cmp.Diff(lines, c.Items); diff != "" {
			t.Errorf("lines of cart %d differ (-want +got):\n%s", c.ID, diff)
		}
	}
}

func loadMany(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	const n = 300
	var changes []cart.Change
	var refs []cart.Ref
	for i := range int64(n) {
		owner := cart.User(i + 1)
		changes = append(changes, cart.Diff(nil, fresh(1, owner, item(i+1, 1), item(i+2, 2))))
		refs = append(refs, cart.ActiveOf(1, owner))
	}
	for i, saved := range save(t, s, changes...) {
		refs = append(refs, cart.ByID(saved.ID))
		changes[i].Cart.ID = saved.ID
	}
	for i, c := range load(t, s, refs...) {
		same(t, c, changes[i%n].Cart, cmpopts.IgnoreFields(cart.Cart{}, "CreatedAt", "UpdatedAt"))
	}
}

func loadOwnersApart(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	owners := []cart.Owner{
		cart.User(1), cart.User(12), cart.User(1<<63 - 1),
		cart.Guest("1"), cart.Guest("01"), cart.Guest("1.0"), cart.Guest("abc"), cart.Guest("ABC"), cart.Guest("ab"),
		cart.Guest("a%"), cart.Guest("a_c"), cart.Guest("'--"), cart.Guest("null"), cart.Guest("[]{}$&#!"),
	}
	for company := range int64(2) {
		for _, owner := range owners {
			create(t, s, fresh(company+1, owner, item(1, 1)))
		}
	}
	for company := range int64(2) {
		for _, owner := range owners {
			c := get(t, s, cart.ActiveOf(company+1, owner))
			if c.Owner() != owner || c.CompanyID != company+1 {
				t.Errorf("%+v at company %d has the cart of %+v at %d", owner, company+1, c.Owner(), c.CompanyID)
			}
		}
	}
}

// Rival is about LOCKED carts whose owner has an ACTIVE one at the same company, and nothing else.
func loadRival(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("7")} {
		locked := create(t, s, fresh(1, owner, item(1, 1)))
		locked = update(t, s, locked, moved(locked, cart.Locked))
		rival := func() bool { return get(t, s, cart.ByID(locked.ID)).Rival }
		if rival() {
			t.Errorf("%v: a rival, though there is no other cart", owner)
		}
		elsewhere := create(t, s, fresh(2, owner, item(1, 1)))
		create(t, s, fresh(1, cart.User(8+locked.ID), item(1, 1)))
		if rival() {
			t.Errorf("%v: a cart at another company or of another owner is a rival", owner)
		}
		active := create(t, s, fresh(1, owner, item(1, 1)))
		if !rival() {
			t.Errorf("%v: no rival, though the owner has an ACTIVE cart", owner)
		}
		if active.Rival || elsewhere.Rival {
			t.Errorf("%v: an ACTIVE cart has a rival", owner)
		}
		done := update(t, s, active, moved(active, cart.CheckedOut))
		create(t, s, fresh(1, owner, item(1, 1)))
		if get(t, s, cart.ByID(done.ID)).Rival {
			t.Errorf("%v: a CHECKED_OUT cart has a rival", owner)
		}
	}
}

func loadContext(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	_, err := s.Load(cancelled(t), []cart.Ref{cart.ByID(c.ID)})
	wantCode(t, err, cart.CodeUnavailable)
	_, err = s.List(cancelled(t), cart.Listing{UserID: 7, Limit: 1})
	wantCode(t, err, cart.CodeUnavailable)
	wantCode(t, s.Ping(cancelled(t)), cart.CodeUnavailable)
	same(t, get(t, s, cart.ByID(c.ID)), c)
}

func ping(t *testing.T, db Database[cart.Store]) {
	if err := db.Open(t).Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}
