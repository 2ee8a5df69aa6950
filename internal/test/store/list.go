package storetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
)

var listCases = []testCase[cart.Store]{
	{"list/newest first", listNewestFirst},
	{"list/filters", listFilters},
	{"list/limit and offset", listPages},
	{"list/no empty carts", listNoEmptyCarts},
}

func list(t testing.TB, s cart.Store, l cart.Listing) []*cart.Cart {
	t.Helper()
	carts, err := s.List(t.Context(), l)
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return carts
}

func ids(carts []*cart.Cart) []int64 {
	list := make([]int64, len(carts))
	for i, c := range carts {
		list[i] = c.ID
	}
	return list
}

// wantIDs checks which carts a listing gives.
func wantIDs(t testing.TB, s cart.Store, l cart.Listing, want ...int64) {
	t.Helper()
	if got := ids(list(t, s, l)); !slices.Equal(got, want) {
		t.Errorf("%+v gives carts %v, want %v", l, got, want)
	}
}

func listNewestFirst(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	var want []*cart.Cart
	for company := range int64(5) {
		want = append(want, create(t, s, fresh(company+1, cart.User(7), item(9, 1), item(1, 1), item(5, 1))))
	}
	// A change does not make a cart newer.
	want[0] = update(t, s, want[0], next(want[0], item(9, 2), item(1, 1)))
	slices.Reverse(want)
	if diff := cmp.Diff(want, list(t, s, cart.Listing{UserID: 7, Limit: 200})); diff != "" {
		t.Errorf("list differs (-want +got):\n%s", diff)
	}
}

func listFilters(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	done := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	update(t, s, done, moved(done, cart.CheckedOut))
	locked := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	update(t, s, locked, moved(locked, cart.Locked))
	active := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	other := create(t, s, fresh(2, cart.User(7), item(1, 1)))
	stranger := create(t, s, fresh(1, cart.User(8), item(1, 1)))
	create(t, s, fresh(1, cart.Guest("7"), item(1, 1)))

	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 50}, other.ID, active.ID, locked.ID, done.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, CompanyID: 1, Limit: 50}, active.ID, locked.ID, done.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, Status: cart.Active, Limit: 50}, other.ID, active.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, CompanyID: 1, Status: cart.Active, Limit: 50}, active.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, Status: cart.Locked, Limit: 50}, locked.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, Status: cart.Cancelled, Limit: 50})
	wantIDs(t, s, cart.Listing{UserID: 7, CompanyID: 3, Limit: 50})
	wantIDs(t, s, cart.Listing{UserID: 8, Limit: 50}, stranger.ID)
	wantIDs(t, s, cart.Listing{UserID: 9, Limit: 50})
}

func listPages(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	var all []int64
	for company := range int64(7) {
		// Lines must not count as carts.
		all = append(all, create(t, s, fresh(company+1, cart.User(7), items(3)...)).ID)
	}
	slices.Reverse(all)
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 3}, all[:3]...)
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 3, Offset: 3}, all[3:6]...)
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 3, Offset: 6}, all[6:]...)
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 200, Offset: 7})
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 200, Offset: 1<<31 - 1})
}

func listNoEmptyCarts(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	oldest := create(t, s, fresh(1, cart.User(7), item(1, 1)))
	create(t, s, fresh(2, cart.User(7)))
	newest := create(t, s, fresh(3, cart.User(7), item(1, 1)))
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 50}, newest.ID, oldest.ID)
	// An empty cart takes no place on a page either.
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 2}, newest.ID, oldest.ID)
	wantIDs(t, s, cart.Listing{UserID: 7, Limit: 1, Offset: 1}, oldest.ID)
}
