package storetest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
)

// ruleCases are the rules of carts, as callers of commands see them.
var ruleCases = []testCase[cart.Service]{
	{"rules/owners", ruleOwners},
	{"rules/nobody's cart is nobody's", ruleNobody},
	{"rules/one ACTIVE cart", ruleOneActive},
	{"rules/adding replaces", ruleReplaces},
	{"rules/repeating changes nothing", ruleRepeat},
	{"rules/transitions", ruleTransitions},
	{"rules/back to ACTIVE beside another", ruleRival},
	{"rules/lines of other carts are fixed", ruleNotActive},
	{"rules/an empty cart keeps its status", ruleEmptyStatus},
	{"rules/quantity", ruleQuantity},
	{"rules/the last line", ruleLastLine},
	{"rules/empty carts are not shown", ruleHidden},
	{"rules/exact totals", ruleTotals},
	{"rules/500 lines", ruleFull},
	{"rules/nothing there", ruleNotFound},
	{"rules/get many", ruleGetMany},
	{"rules/context", ruleContext},
}

func add(company int64, owner cart.Owner, line cart.Item) cart.AddItem {
	return cart.AddItem{CompanyID: company, Owner: owner, Item: line}
}

func ruleOwners(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	seen := make(map[int64]bool)
	for company := range int64(2) {
		for _, owner := range []cart.Owner{cart.User(7), cart.User(8), cart.Guest("7"), cart.Guest("x")} {
			c := do(t, s, add(company+1, owner, item(1, 1)))
			if seen[c.ID] {
				t.Errorf("%+v got the cart of another", owner)
			}
			seen[c.ID] = true
			same(t, c, fresh(company+1, owner, item(1, 1)), stamps)
			shows(t, s, c)
		}
	}
}

func ruleNobody(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	id := db.Insert(t, cart.Cart{CompanyID: 1, Status: cart.Active, Items: items(2)})
	hides(t, s, cart.ActiveOf(1, cart.Owner{}))
	hides(t, s, cart.ActiveOf(1, cart.Guest("x")))
	if c := do(t, s, cart.Upsert{CompanyID: 1, Owner: cart.Guest("x")}); c.ID == id {
		t.Error("a guest got nobody's cart")
	}
	shows(t, s, do(t, s, cart.SetQuantity{CartID: id, ProductID: 1, Quantity: 3}))
}

func ruleOneActive(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		first := do(t, s, cart.Upsert{CompanyID: 1, Owner: owner})
		same(t, do(t, s, cart.Upsert{CompanyID: 1, Owner: owner}), first)
		c := do(t, s, add(1, owner, item(1, 1)))
		if c.ID != first.ID {
			t.Errorf("%v has carts %d and %d", owner, first.ID, c.ID)
		}
		do(t, s, cart.SetStatus{CartID: c.ID, Status: cart.Locked})
		hides(t, s, cart.ActiveOf(1, owner))
		if c := do(t, s, add(1, owner, item(1, 1))); c.ID == first.ID {
			t.Errorf("%v: a LOCKED cart was found as the ACTIVE one", owner)
		}
	}
}

func ruleReplaces(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for _, line := range items(3) {
		do(t, s, add(1, cart.User(7), line))
	}
	changed := cart.Item{ProductID: 2, Name: "New", Price: 1, Quantity: 9}
	c := do(t, s, add(1, cart.User(7), changed))
	if want := []cart.Item{item(1, 1), changed, item(3, 1)}; !slices.Equal(c.Items, want) {
		t.Errorf("lines %+v, want %+v", c.Items, want)
	}
	shows(t, s, c)
	changed.Name = "Newer"
	put := do(t, s, cart.PutItem{CartID: c.ID, Item: changed})
	if put.Items[1] != changed || put.Version != c.Version+1 {
		t.Errorf("cart %+v", put)
	}
	shows(t, s, put)
}

func ruleRepeat(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	c := do(t, s, add(1, cart.User(7), item(1, 2)))
	for _, cmd := range []cart.Command{
		add(1, cart.User(7), item(1, 2)),
		cart.PutItem{CartID: c.ID, Item: item(1, 2)},
		cart.SetQuantity{CartID: c.ID, ProductID: 1, Quantity: 2},
		cart.SetStatus{CartID: c.ID, Status: cart.Active},
		cart.Upsert{CompanyID: 1, Owner: cart.User(7)},
	} {
		same(t, do(t, s, cmd), c)
		shows(t, s, c)
	}
}

func ruleTransitions(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	all := []cart.Status{cart.Active, cart.Locked, cart.CheckedOut, cart.Cancelled}
	allowed := map[cart.Status][]cart.Status{
		cart.Active: all,
		cart.Locked: all,
		// These two are final.
		cart.CheckedOut: {cart.CheckedOut},
		cart.Cancelled:  {cart.Cancelled},
	}
	company := int64(0)
	for _, from := range all {
		for _, to := range all {
			company++
			c := do(t, s, add(company, cart.User(7), item(1, 1)))
			c = do(t, s, cart.SetStatus{CartID: c.ID, Status: from})
			cmd := cart.SetStatus{CartID: c.ID, Status: to}
			if slices.Contains(allowed[from], to) {
				c = do(t, s, cmd)
			} else {
				fails(t, s, cmd, cart.CodeNotAllowed)
				to = from
			}
			if c.Status != to {
				t.Errorf("from %v: the cart is %v, want %v", from, c.Status, to)
			}
			shows(t, s, c)
		}
	}
}

func ruleRival(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		locked := do(t, s, add(1, owner, item(1, 1)))
		locked = do(t, s, cart.SetStatus{CartID: locked.ID, Status: cart.Locked})
		other := do(t, s, add(1, owner, item(2, 1)))
		unlock := cart.SetStatus{CartID: locked.ID, Status: cart.Active}
		fails(t, s, unlock, cart.CodeNotAllowed)
		shows(t, s, other)
		do(t, s, cart.SetStatus{CartID: other.ID, Status: cart.Cancelled})
		shows(t, s, do(t, s, unlock))
	}
}

func ruleNotActive(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for i, status := range []cart.Status{cart.Locked, cart.CheckedOut, cart.Cancelled} {
		c := do(t, s, add(int64(i)+1, cart.User(7), item(1, 2)))
		c = do(t, s, cart.SetStatus{CartID: c.ID, Status: status})
		for _, cmd := range []cart.Command{
			cart.PutItem{CartID: c.ID, Item: item(1, 3)},
			cart.PutItem{CartID: c.ID, Item: item(2, 1)},
			cart.SetQuantity{CartID: c.ID, ProductID: 1, Quantity: 3},
			cart.SetQuantity{CartID: c.ID, ProductID: 1, Quantity: 0},
			cart.RemoveItem{CartID: c.ID, ProductID: 1},
		} {
			fails(t, s, cmd, cart.CodeNotActive)
		}
		shows(t, s, c)
	}
}

func ruleEmptyStatus(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	c := do(t, s, cart.Upsert{CompanyID: 1, Owner: cart.User(7)})
	for _, status := range []cart.Status{cart.Locked, cart.CheckedOut, cart.Cancelled} {
		fails(t, s, cart.SetStatus{CartID: c.ID, Status: status}, cart.CodeNotAllowed)
	}
	same(t, do(t, s, cart.Upsert{CompanyID: 1, Owner: cart.User(7)}), c)
}

func ruleQuantity(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for _, line := range items(4) {
		do(t, s, add(1, cart.User(7), line))
	}
	c := do(t, s, add(1, cart.User(7), item(5, 1)))
	c = do(t, s, cart.SetQuantity{CartID: c.ID, ProductID: 2, Quantity: cart.MaxQuantity})
	if c.Items[1].Quantity != cart.MaxQuantity {
		t.Errorf("line %+v", c.Items[1])
	}
	do(t, s, cart.SetQuantity{CartID: c.ID, ProductID: 3, Quantity: 0})
	do(t, s, cart.SetQuantity{CartID: c.ID, ProductID: 1, Quantity: -5})
	c = do(t, s, cart.RemoveItem{CartID: c.ID, ProductID: 5})
	if len(c.Items) != 2 || c.Items[0].ProductID != 2 || c.Items[1].ProductID != 4 {
		t.Errorf("lines %+v", c.Items)
	}
	shows(t, s, c)
}

func ruleLastLine(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for _, remove := range []func(id int64) cart.Command{
		func(id int64) cart.Command { return cart.RemoveItem{CartID: id, ProductID: 1} },
		func(id int64) cart.Command { return cart.SetQuantity{CartID: id, ProductID: 1} },
	} {
		c := do(t, s, add(1, cart.Guest("g"), item(1, 1)))
		got := do(t, s, remove(c.ID))
		same(t, got, emptied(c), touched)
		if got.Total() != "0.00" {
			t.Errorf("total %s", got.Total())
		}
		fails(t, s, remove(c.ID), cart.CodeNotFound)
		fails(t, s, cart.PutItem{CartID: c.ID, Item: item(1, 1)}, cart.CodeNotFound)
		fails(t, s, cart.SetStatus{CartID: c.ID, Status: cart.Active}, cart.CodeNotFound)
		hides(t, s, cart.ActiveOf(1, cart.Guest("g")))
		if again := do(t, s, cart.Upsert{CompanyID: 1, Owner: cart.Guest("g")}); again.ID == c.ID {
			t.Errorf("cart %d has come back", c.ID)
		}
	}
}

func ruleHidden(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	c := do(t, s, cart.Upsert{CompanyID: 1, Owner: cart.User(7)})
	same(t, c, fresh(1, cart.User(7)), stamps)
	hides(t, s, cart.ByID(c.ID))
	hides(t, s, cart.ActiveOf(1, cart.User(7)))
	many, err := s.GetMany(t.Context(), []int64{c.ID})
	if err != nil || len(many) != 0 {
		t.Errorf("GetMany: %d carts, %v", len(many), err)
	}
	listed, err := s.List(t.Context(), cart.Listing{UserID: 7, Limit: 10})
	if err != nil || len(listed) != 0 {
		t.Errorf("List: %d carts, %v", len(listed), err)
	}
}

func ruleTotals(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	for n := range int64(3) {
		do(t, s, add(1, cart.User(7), cart.Item{
			ProductID: n + 1, Name: "Gold", Price: cart.MaxPrice, Quantity: cart.MaxQuantity,
		}))
	}
	c := do(t, s, add(1, cart.User(7), cart.Item{ProductID: 9, Name: "Cent", Price: 1, Quantity: 1}))
	if want := "299999999970000.01"; c.Total() != want {
		t.Errorf("total %s, want %s", c.Total(), want)
	}
	shows(t, s, c)
}

func ruleFull(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	id := db.Insert(t, cart.Cart{CompanyID: 1, UserID: ptr[int64](7), Status: cart.Active, Items: items(cart.MaxLines - 1)})
	c := do(t, s, add(1, cart.User(7), item(500, 1)))
	fails(t, s, add(1, cart.User(7), item(501, 1)), cart.CodeFull)
	fails(t, s, cart.PutItem{CartID: id, Item: item(501, 1)}, cart.CodeFull)
	shows(t, s, c)
	do(t, s, add(1, cart.User(7), item(500, 2)))
	do(t, s, cart.RemoveItem{CartID: id, ProductID: 1})
	c = do(t, s, add(1, cart.User(7), item(501, 1)))
	if len(c.Items) != cart.MaxLines || c.Items[cart.MaxLines-1] != item(501, 1) {
		t.Errorf("%d lines", len(c.Items))
	}
	shows(t, s, c)
}

func ruleNotFound(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	c := do(t, s, add(1, cart.User(7), item(1, 1)))
	for _, cmd := range []cart.Command{
		cart.PutItem{CartID: 1 << 62, Item: item(1, 1)},
		cart.SetQuantity{CartID: 1 << 62, ProductID: 1, Quantity: 1},
		cart.RemoveItem{CartID: 1 << 62, ProductID: 1},
		cart.SetStatus{CartID: 1 << 62, Status: cart.Locked},
		cart.SetQuantity{CartID: c.ID, ProductID: 2, Quantity: 1},
		cart.SetQuantity{CartID: c.ID, ProductID: 2, Quantity: 0},
		cart.RemoveItem{CartID: c.ID, ProductID: 2},
	} {
		fails(t, s, cmd, cart.CodeNotFound)
	}
	hides(t, s, cart.ByID(1<<62))
	hides(t, s, cart.ActiveOf(2, cart.User(7)))
	shows(t, s, c)
}

func ruleGetMany(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	a := do(t, s, add(1, cart.User(7), item(1, 1)))
	b := do(t, s, add(2, cart.Guest("g"), item(1, 1)))
	empty := do(t, s, cart.Upsert{CompanyID: 3, Owner: cart.User(7)})
	got, err := s.GetMany(t.Context(), []int64{b.ID, 1 << 62, empty.ID, a.ID})
	if err != nil {
		t.Fatalf("GetMany: %v", err)
	}
	if diff := cmp.Diff([]*cart.Cart{b, a}, got); diff != "" {
		t.Errorf("carts differ (-want +got):\n%s", diff)
	}
	if got, err := s.GetMany(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("GetMany of nothing: %d carts, %v", len(got), err)
	}
}

// A caller that has gone before the work begins leaves no trace.
func ruleContext(t *testing.T, db Database[cart.Service]) {
	s := db.Open(t)
	c := do(t, s, add(1, cart.User(7), item(1, 1)))
	for _, cmd := range []cart.Command{
		cart.Upsert{CompanyID: 2, Owner: cart.User(7)}, add(1, cart.User(7), item(2, 1)),
	} {
		if _, err := Do(cancelled(t), s, cmd); err == nil {
			t.Errorf("%T succeeded for a caller who had gone", cmd)
		}
	}
	shows(t, s, c)
	hides(t, s, cart.ActiveOf(2, cart.User(7)))
}
