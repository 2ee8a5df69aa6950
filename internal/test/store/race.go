package storetest

import (
	"sync"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

var raceCases = []testCase[cart.Store]{
	{"race/one version", raceOneVersion},
	{"race/first cart", raceFirstCart},
	{"race/unlock or create", raceUnlock},
	{"race/overlapping batches", raceOverlapping},
	{"race/readers see whole carts", raceReaders},
}

// racers is how many goroutines meet in a race, by turns on two stores.
const racers = 64

// race runs f in many goroutines at once, each with its number and one of the stores.
func race(stores []cart.Store, f func(n int, s cart.Store)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		wg.Go(func() {
			<-start
			f(n, stores[n%len(stores)])
		})
	}
	close(start)
	wg.Wait()
}

// trySave saves one change in a race, where the database may refuse it for a conflict.
func trySave(t *testing.T, s cart.Store, change cart.Change) (ok bool) {
	saved, err := s.Save(t.Context(), []cart.Change{change})
	if err != nil && cart.CodeOf(err) != cart.CodeConflict {
		t.Errorf("Save: %v", err)
	}
	return err == nil && saved[0].OK
}

// winners counts the racers for which f is true.
func winners(stores []cart.Store, f func(n int, s cart.Store) bool) int {
	var won [racers]bool
	race(stores, func(n int, s cart.Store) { won[n] = f(n, s) })
	count := 0
	for _, w := range won {
		if w {
			count++
		}
	}
	return count
}

func raceOneVersion(t *testing.T, db Database[cart.Store]) {
	stores := []cart.Store{db.Open(t), db.Open(t)}
	c := create(t, stores[0], fresh(1, cart.User(7), item(1, 1)))
	count := winners(stores, func(n int, s cart.Store) bool {
		return trySave(t, s, cart.Diff(c, next(c, item(1, 1), item(int64(n)+2, 1))))
	})
	got := get(t, stores[0], cart.ByID(c.ID))
	if count != 1 || got.Version != c.Version+1 || len(got.Items) != 2 {
		t.Errorf("%d changes of one version were made; the cart: %+v", count, got)
	}
}

func raceFirstCart(t *testing.T, db Database[cart.Store]) {
	stores := []cart.Store{db.Open(t), db.Open(t)}
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		count := winners(stores, func(n int, s cart.Store) bool {
			return trySave(t, s, cart.Diff(nil, fresh(1, owner, item(int64(n)+1, 1))))
		})
		got := get(t, stores[0], cart.ActiveOf(1, owner))
		if count != 1 || len(got.Items) != 1 {
			t.Errorf("%v: %d carts were created; the cart: %+v", owner, count, got)
		}
	}
}

// One owner's LOCKED carts and new ones all compete to be the ACTIVE one.
func raceUnlock(t *testing.T, db Database[cart.Store]) {
	stores := []cart.Store{db.Open(t), db.Open(t)}
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		var locked []*cart.Cart
		for range racers / 2 {
			c := create(t, stores[0], fresh(1, owner, item(1, 1)))
			locked = append(locked, update(t, stores[0], c, moved(c, cart.Locked)))
		}
		count := winners(stores, func(n int, s cart.Store) bool {
			if n < len(locked) {
				return trySave(t, s, cart.Diff(locked[n], moved(locked[n], cart.Active)))
			}
			return trySave(t, s, cart.Diff(nil, fresh(1, owner, item(2, 1))))
		})
		if count != 1 {
			t.Errorf("%v: %d carts have become ACTIVE", owner, count)
		}
		get(t, stores[0], cart.ActiveOf(1, owner))
	}
}

// Every batch names the same carts in an order of its own. Each racer goes on until its lines are in.
func raceOverlapping(t *testing.T, db Database[cart.Store]) {
	stores := []cart.Store{db.Open(t), db.Open(t)}
	const carts = 8
	var refs []cart.Ref
	for i := range int64(carts) {
		refs = append(refs, cart.ByID(create(t, stores[0], fresh(i+1, cart.User(7), item(1, 1))).ID))
	}
	race(stores, func(n int, s cart.Store) {
		missing := make([]cart.Ref, carts)
		for i := range missing {
			missing[i] = refs[(i+n)%carts]
		}
		for len(missing) > 0 && !t.Failed() {
			missing = addTo(t, s, missing, item(int64(n)+2, 1))
		}
	})
	for _, c := range load(t, stores[1], refs...) {
		if len(c.Items) != racers+1 || c.Version != racers+1 {
			t.Errorf("cart %d has %d lines at version %d", c.ID, len(c.Items), c.Version)
		}
	}
}

// addTo adds a line to the carts and returns those where it came too late.
func addTo(t *testing.T, s cart.Store, refs []cart.Ref, line cart.Item) (late []cart.Ref) {
	carts, err := s.Load(t.Context(), refs)
	if err != nil {
		t.Errorf("Load: %v", err)
		return refs
	}
	changes := make([]cart.Change, len(carts))
	for i, c := range carts {
		lines := append([]cart.Item(nil), c.Items...)
		changes[i] = cart.Diff(c, next(c, append(lines, line)...))
	}
	saved, err := s.Save(t.Context(), changes)
	if err != nil {
		if cart.CodeOf(err) != cart.CodeConflict {
			t.Errorf("Save: %v", err)
		}
		return refs
	}
	for i := range saved {
		if !saved[i].OK {
			late = append(late, refs[i])
		}
	}
	return late
}

// A writer keeps two carts equal, both in one Save; no reader may see them differ, or half a cart.
func raceReaders(t *testing.T, db Database[cart.Store]) {
	writer, reader := db.Open(t), db.Open(t)
	a := create(t, writer, fresh(1, cart.User(7), items(10)...))
	b := create(t, writer, fresh(2, cart.User(7), items(10)...))
	refs := []cart.Ref{cart.ByID(a.ID), cart.ActiveOf(2, cart.User(7))}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				seen, err := reader.Load(t.Context(), refs)
				if err != nil {
					t.Errorf("Load: %v", err)
					return
				}
				checkEqual(t, seen[0], seen[1])
			}
		})
	}
	for n := int64(2); n < 100; n++ {
		lines := make([]cart.Item, 10)
		for i := range lines {
			lines[i] = item(int64(i)+1+n%2, n)
		}
		saved := save(t, writer, cart.Diff(a, next(a, lines...)), cart.Diff(b, next(b, lines...)))
		if !saved[0].OK || !saved[1].OK {
			t.Errorf("saved: %+v", saved)
		}
		a, b = next(a, lines...), next(b, lines...)
	}
	close(done)
	wg.Wait()
}

func checkEqual(t *testing.T, a, b *cart.Cart) {
	if a.Version != b.Version || len(a.Items) != 10 || len(b.Items) != 10 {
		t.Errorf("versions %d and %d, %d and %d lines", a.Version, b.Version, len(a.Items), len(b.Items))
		return
	}
	for i := range a.Items {
		if a.Items[i] != b.Items[i] || a.Items[i].Quantity != a.Items[0].Quantity {
			t.Errorf("line %d: %+v and %+v", i, a.Items[i], b.Items[i])
		}
	}
}
