package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

var refusalCases = []testCase[cart.Store]{
	{"save/stale version", saveStale},
	{"save/cart gone", saveGone},
	{"save/owner has a cart", saveOwnerHasCart},
	{"save/unlock beside a rival", saveRival},
	{"save/refused data", saveRefused},
	{"save/text that no database likes", saveOddText},
	{"save/context ended", saveContextEnded},
	{"save/context ends at any moment", saveContextCut},
}

// A change for an older version is left out whole; its neighbours are made.
func saveStale(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	a := create(t, s, fresh(1, cart.User(1), item(1, 1), item(2, 1)))
	b := create(t, s, fresh(1, cart.User(2), item(1, 1), item(2, 1)))
	now := update(t, s, a, next(a, item(1, 1), item(2, 1), item(3, 1)))
	for _, late := range []*cart.Cart{
		next(a, item(2, 5), item(4, 1)), // lines to drop, to put and to append
		next(a),                         // to delete
		moved(a, cart.CheckedOut),
	} {
		change := next(b, item(1, b.Version), item(5, b.Version))
		saved := save(t, s,
			cart.Diff(a, late),
			cart.Diff(b, change),
			cart.Diff(nil, fresh(b.Version+10, cart.User(1), item(1, 1))))
		if saved[0] != (cart.Saved{}) || !saved[1].OK || !saved[2].OK {
			t.Fatalf("saved: %+v", saved)
		}
		same(t, get(t, s, cart.ByID(a.ID)), now)
		b = get(t, s, cart.ByID(b.ID))
		same(t, b, change, touched)
	}
}

func saveGone(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	gone := cart.Diff(c, emptied(c))
	if !save(t, s, gone)[0].OK {
		t.Fatal("the cart was not deleted")
	}
	for _, late := range []cart.Change{gone, cart.Diff(c, next(c, item(1, 2), item(2, 1))), cart.Diff(c, moved(c, cart.Locked))} {
		if saved := save(t, s, late)[0]; saved.OK {
			t.Errorf("a change of a deleted cart was made: %+v", saved)
		}
	}
	absent(t, s, cart.ByID(c.ID))
}

func saveOwnerHasCart(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("7")} {
		c := create(t, s, fresh(1, owner, item(1, 1)))
		saved := save(t, s,
			cart.Diff(nil, fresh(1, owner, item(2, 1), item(3, 1))),
			cart.Diff(nil, fresh(2, owner, item(4, 1))))
		if saved[0].OK || !saved[1].OK {
			t.Fatalf("saved: %+v", saved)
		}
		same(t, get(t, s, cart.ActiveOf(1, owner)), c)
		same(t, get(t, s, cart.ActiveOf(2, owner)), fresh(2, owner, item(4, 1)), stamps)
	}
}

// refused checks that a Save of one change was not made, by its result or by its error.
func refused(t testing.TB, saved []cart.Saved, err error, codes ...cart.Code) {
	t.Helper()
	if err == nil && !saved[0].OK {
		return
	}
	for _, code := range codes {
		if err != nil && cart.CodeOf(err) == code {
			return
		}
	}
	t.Fatalf("the change was made or failed otherwise: %+v, %v", saved, err)
}

// The domain refuses a second ACTIVE cart that it knows of; this one came between Load and Save.
func saveRival(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("7")} {
		locked := create(t, s, fresh(1, owner, item(1, 1), item(2, 1)))
		locked = update(t, s, locked, moved(locked, cart.Locked))
		active := create(t, s, fresh(1, owner, item(3, 1)))
		change := next(locked, item(2, 2), item(4, 1))
		change.Status = cart.Active
		saved, err := s.Save(t.Context(), []cart.Change{cart.Diff(locked, change)})
		refused(t, saved, err, cart.CodeConflict, cart.CodeRefused)
		locked.Rival = true
		same(t, get(t, s, cart.ByID(locked.ID)), locked)
		same(t, get(t, s, cart.ActiveOf(1, owner)), active)
	}
}

func saveRefused(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	bad := item(2, 1)
	bad.Quantity = 0
	_, err := s.Save(t.Context(), []cart.Change{
		cart.Diff(c, next(c, item(1, 2), item(3, 1))),
		cart.Diff(nil, fresh(1, cart.User(2), item(1, 1), bad)),
		cart.Diff(nil, fresh(1, cart.User(3), item(1, 1))),
	})
	wantCode(t, err, cart.CodeRefused)
	same(t, get(t, s, cart.ByID(c.ID)), c)
	absent(t, s, cart.ActiveOf(1, cart.User(2)))
	absent(t, s, cart.ActiveOf(1, cart.User(3)))
	update(t, s, c, next(c, item(1, 2)))
}

// Names are checked before they reach a store. A bad one that slips through is kept as it is, or refused.
func saveOddText(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for i, name := range []string{"", "a\x00b", "\x00", "\xff\xfe", "a\xc3", "\xed\xa0\x80 x"} {
		owner := cart.User(int64(i) + 1)
		odd := item(1, 1)
		odd.Name = name
		want := fresh(1, owner, odd, item(2, 1))
		saved, err := s.Save(t.Context(), []cart.Change{cart.Diff(nil, want)})
		if err != nil {
			wantCode(t, err, cart.CodeRefused)
			absent(t, s, cart.ActiveOf(1, owner))
			continue
		}
		same(t, get(t, s, cart.ByID(saved[0].ID)), want, stamps)
	}
	for _, cookie := range []string{"a\x00b", "\xff"} {
		if carts, err := s.Load(t.Context(), []cart.Ref{cart.ActiveOf(1, cart.Guest(cookie))}); err == nil && carts[0] != nil {
			t.Errorf("the cookie %q has a cart", cookie)
		}
	}
}

func saveContextEnded(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	c := create(t, s, fresh(1, cart.User(1), item(1, 1)))
	_, err := s.Save(cancelled(t), []cart.Change{
		cart.Diff(c, next(c, item(2, 1))),
		cart.Diff(nil, fresh(1, cart.User(2), item(1, 1))),
	})
	wantCode(t, err, cart.CodeUnavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the cause is not the context's: %v", err)
	}
	same(t, get(t, s, cart.ByID(c.ID)), c)
	absent(t, s, cart.ActiveOf(1, cart.User(2)))
}

// Whenever the context ends, a Save is made whole or not at all, says so, and blocks no other. One whose
// outcome is unknown may still be made after it was looked for, so each has carts of its own.
func saveContextCut(t *testing.T, db Database[cart.Store]) {
	s := db.Open(t)
	for i := range 60 {
		c := create(t, s, fresh(1, cart.User(int64(i)+2), items(50)...))
		want := next(c, items(55)...)
		created := cart.ActiveOf(int64(i)+2, cart.User(1))
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*i)*5*time.Microsecond)
		_, err := s.Save(ctx, []cart.Change{
			cart.Diff(c, want),
			cart.Diff(nil, fresh(created.CompanyID, created.Owner, items(20)...)),
		})
		cancel()
		code := cart.CodeOf(err)
		if err != nil && code != cart.CodeUnavailable && code != cart.CodeOutcomeUnknown {
			t.Fatalf("Save: %v", err)
		}
		now := load(t, s, cart.ByID(c.ID), created)
		made := now[1] != nil
		if made && err != nil && code != cart.CodeOutcomeUnknown || !made && err == nil {
			t.Fatalf("made: %v, but the error is %v", made, err)
		}
		if !made {
			want = c
		}
		same(t, now[0], want, touched)
	}
}
