package storetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

var serviceRaceCases = []testCase[cart.Service]{
	{"race/first lines of one cart", raceFirstLines},
	{"race/upsert", raceUpsert},
	{"race/no line is lost", raceNoLineLost},
	{"race/the last line goes while others come", raceLastLine},
}

// together runs f for each number below n at once, by turns on two services of one database.
func together(t *testing.T, db Database[cart.Service], n int, f func(n int, s cart.Service)) {
	services := []cart.Service{db.Open(t), db.Open(t)}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i, services[i%len(services)])
		})
	}
	close(start)
	wg.Wait()
}

// holds checks that the cart has exactly the products 1 to n, in any order.
func holds(t *testing.T, s cart.Service, ref cart.Ref, n int) {
	t.Helper()
	c, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("Get %+v: %v", ref, err)
	}
	products := make([]int64, len(c.Items))
	for i, line := range c.Items {
		products[i] = line.ProductID
	}
	slices.Sort(products)
	if len(products) != n || products[0] != 1 || products[n-1] != int64(n) || len(slices.Compact(products)) != n {
		t.Errorf("the cart has the products %v, want 1 to %d", products, n)
	}
}

// raceFirstLines: 64 callers add a line each to a cart that does not exist yet.
func raceFirstLines(t *testing.T, db Database[cart.Service]) {
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		var carts [racers]int64
		together(t, db, racers, func(n int, s cart.Service) {
			c, err := Do(t.Context(), s, add(1, owner, item(int64(n)+1, 1)))
			if err != nil {
				t.Errorf("AddItem: %v", err)
				return
			}
			carts[n] = c.ID
		})
		if one := slices.Compact(carts[:]); len(one) != 1 {
			t.Errorf("%v has carts %v", owner, one)
		}
		holds(t, db.Open(t), cart.ActiveOf(1, owner), racers)
	}
}

func raceUpsert(t *testing.T, db Database[cart.Service]) {
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		var carts [racers]int64
		together(t, db, racers, func(n int, s cart.Service) {
			c, err := Do(t.Context(), s, cart.Upsert{CompanyID: 1, Owner: owner})
			if err != nil {
				t.Errorf("Upsert: %v", err)
				return
			}
			carts[n] = c.ID
		})
		if one := slices.Compact(carts[:]); len(one) != 1 || one[0] == 0 {
			t.Errorf("%v has carts %v", owner, one)
		}
	}
}

// raceNoLineLost: 1,000 callers share 16 carts; a caller that got an answer finds its line in the cart.
func raceNoLineLost(t *testing.T, db Database[cart.Service]) {
	const callers, carts = 1000, 16
	together(t, db, callers, func(n int, s cart.Service) {
		line := item(int64(n/carts)+1, 1)
		c, err := Do(t.Context(), s, add(int64(n%carts)+1, cart.User(7), line))
		if err != nil {
			t.Errorf("AddItem: %v", err)
			return
		}
		if !slices.Contains(c.Items, line) {
			t.Errorf("the answer lacks the line: %+v", c.Items)
		}
	})
	s := db.Open(t)
	for n := range carts {
		lines := (callers - n + carts - 1) / carts
		holds(t, s, cart.ActiveOf(int64(n)+1, cart.User(7)), lines)
	}
}

// raceLastLine: carts are emptied, and so deleted, while others add to them; a line that was added
// and not removed since must be there.
func raceLastLine(t *testing.T, db Database[cart.Service]) {
	owner := cart.User(7)
	together(t, db, racers, func(n int, s cart.Service) {
		c, err := Do(t.Context(), s, add(1, owner, item(int64(n)+1, 1)))
		if err != nil {
			t.Errorf("AddItem: %v", err)
			return
		}
		if n%4 == 0 {
			return
		}
		// The cart may go once the line is out, but not before.
		if _, err := Do(t.Context(), s, cart.RemoveItem{CartID: c.ID, ProductID: int64(n) + 1}); err != nil {
			t.Errorf("RemoveItem: %v", err)
		}
	})
	c, err := db.Open(t).Get(t.Context(), cart.ActiveOf(1, owner))
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if len(c.Items) != racers/4 {
		t.Errorf("%d lines, want %d", len(c.Items), racers/4)
	}
	for _, line := range c.Items {
		if (line.ProductID-1)%4 != 0 {
			t.Errorf("product %d was removed and is still there", line.ProductID)
		}
	}
}
