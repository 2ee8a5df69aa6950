package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/postgres"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// lockCart locks the row of a cart, as a session in psql would, until unlock is called.
func lockCart(t *testing.T, url string, id int64) (unlock func()) {
	t.Helper()
	tx, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM cart WHERE id = $1 FOR UPDATE", id); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// carts makes a cart with one line for each of the users 1 to n, and returns the carts.
func carts(t *testing.T, svc *commit.Service, n int64) (made []*cart.Cart) {
	t.Helper()
	for user := range n {
		c, err := storetest.Do(t.Context(), svc, add(user+1, 1))
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, c)
	}
	return made
}

// version returns the next version of the cart, with these lines.
func version(c *cart.Cart, lines ...cart.Item) *cart.Cart {
	next := *c
	next.Items = lines
	next.Version++
	next.Gone = len(lines) == 0
	return &next
}

// TestSaveLeavesOutLockedCarts saves changes of every kind while another session has locked the cart of one of them.
func TestSaveLeavesOutLockedCarts(t *testing.T) {
	t.Parallel()
	line := cart.Item{ProductID: 2, Name: "x", Price: 100, Quantity: 1}
	for name, locked := range map[string]int{"to update": 0, "to delete": 3} {
		url := newDatabase(t)
		s := open(t, url)
		c := carts(t, service(t, s), 5)
		created := &cart.Cart{CompanyID: 9, UserID: &c[0].ID, Status: cart.Active, Version: 1, Items: []cart.Item{line}}
		unlock := lockCart(t, url, c[locked].ID)
		changes := []cart.Change{
			cart.Diff(c[0], version(c[0], line)), cart.Diff(c[1], version(c[1], line)), cart.Diff(c[2], version(c[2])),
			cart.Diff(c[3], version(c[3])), cart.Diff(nil, created), cart.Diff(version(c[4]), version(c[4], line)),
		}
		saved, err := s.Save(t.Context(), changes)
		unlock()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i, want := range []bool{locked != 0, true, true, locked != 3, true, false} {
			if saved[i].OK != want {
				t.Errorf("%s: change %d is OK: %v, want %v", name, i, saved[i].OK, want)
			}
		}
		// What was left out can be made later.
		saved, err = s.Save(t.Context(), changes[locked:locked+1])
		if err != nil || !saved[0].OK {
			t.Errorf("%s, later: %+v, %v", name, saved, err)
		}
	}
}

// TestLockedCartHoldsUpNobodyElse has callers of a cart that another session has locked, and callers of other carts in
// the same lanes, which are served meanwhile.
func TestLockedCartHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	svc := service(t, open(t, url))
	c := carts(t, svc, 20)
	unlock := lockCart(t, url, c[0].ID)
	var locked, others sync.WaitGroup
	for product := range int64(4) {
		locked.Go(func() {
			if _, err := storetest.Do(t.Context(), svc, add(1, product+2)); err != nil {
				t.Errorf("the locked cart, once it is free: %v", err)
			}
		})
	}
	for user := int64(2); user <= 20; user++ {
		others.Go(func() {
			for product := range int64(3) {
				if _, err := storetest.Do(t.Context(), svc, add(user, product+2)); err != nil {
					t.Errorf("user %d: %v", user, err)
				}
			}
		})
	}
	others.Wait() // they must be served before the cart is unlocked
	unlock()
	locked.Wait()
	if c, err := svc.Get(t.Context(), cart.ByID(c[0].ID)); err != nil || len(c.Items) != 5 {
		t.Errorf("the cart that was locked: %+v, %v; want 5 lines", c, err)
	}
}

// TestUnreadableCartFailsAlone has a cart that no program can read beside others that are read and written in the same
// batches. The database is well, so no caller is told that it is out of reach.
func TestUnreadableCartFailsAlone(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s := open(t, url)
	svc := service(t, s)
	c := carts(t, svc, 12)
	_, err := connect(t, url).Exec(t.Context(), "UPDATE cart SET created_at = 'infinity' WHERE id = $1", c[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for user := int64(1); user <= 12; user++ {
		wg.Go(func() {
			want := cart.CodeNone
			if user == 1 {
				want = cart.CodeInternal
			}
			for product := range int64(20) {
				_, written := storetest.Do(t.Context(), svc, add(user, product+1))
				_, read := svc.Get(t.Context(), cart.ByID(c[user-1].ID))
				_, listed := svc.List(t.Context(), cart.Listing{UserID: user, Limit: 10})
				for what, err := range map[string]error{"written": written, "read": read, "listed": listed} {
					if cart.CodeOf(err) != want {
						t.Errorf("user %d, %s: %v, want code %d", user, what, err, want)
					}
				}
			}
		})
	}
	wg.Wait()
	connections := s.Stat().NewConnsCount()
	if _, err := svc.Get(t.Context(), cart.ByID(c[0].ID)); cart.CodeOf(err) != cart.CodeInternal {
		t.Errorf("read once more: %v", err)
	}
	if _, err := svc.Get(t.Context(), cart.ByID(c[1].ID)); err != nil || s.Stat().NewConnsCount() != connections {
		t.Errorf("%v, and %d connections were opened after it", err, s.Stat().NewConnsCount()-connections)
	}
}

// TestWaitingForAConnectionCostsNone has a caller time out while it waits for the only connection, which is busy and
// works.
func TestWaitingForAConnectionCostsNone(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	s, err := postgres.Open(t.Context(), url, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before := s.Stat().NewConnsCount()
	lock, err := connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "LOCK TABLE cart"); err != nil {
		t.Fatal(err)
	}
	busy := make(chan error)
	go func() {
		_, err := s.Load(t.Context(), []cart.Ref{cart.ByID(1)})
		busy <- err
	}()
	until(t, "the connection is at work", func() bool { return s.Stat().AcquiredConns() == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Load(ctx, []cart.Ref{cart.ByID(1)}); cart.CodeOf(err) != cart.CodeUnavailable {
		t.Errorf("without a connection: %v", err)
	}
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-busy // it may have given up waiting for the lock
	if _, err := s.Load(t.Context(), []cart.Ref{cart.ByID(1)}); err != nil || s.Stat().NewConnsCount() != before {
		t.Errorf("%v, and %d connections were opened", err, s.Stat().NewConnsCount()-before)
	}
}
