package cart_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
)

func ptr[T any](v T) *T { return &v }

func line(product, quantity int64) cart.Item {
	return cart.Item{ProductID: product, Name: "Tea", Price: 250, Quantity: quantity}
}

// userCart is a cart of user 7 at version 5.
func userCart(status cart.Status, lines ...cart.Item) *cart.Cart {
	return &cart.Cart{ID: 3, CompanyID: 1, UserID: ptr[int64](7), Status: status, Version: 5, Items: lines}
}

// full is an ACTIVE cart with that many lines.
func full(lines int) *cart.Cart {
	c := userCart(cart.Active)
	for i := range lines {
		c.Items = append(c.Items, line(int64(i)+1, 1))
	}
	return c
}

func TestCreation(t *testing.T) {
	t.Parallel()
	for _, owner := range []cart.Owner{cart.User(7), cart.Guest("g")} {
		want := &cart.Cart{CompanyID: 1, Status: cart.Active, Version: 1}
		if owner.UserID > 0 {
			want.UserID = ptr(owner.UserID)
		} else {
			want.Cookie = ptr(owner.Cookie)
		}
		got, err := cart.Upsert{CompanyID: 1, Owner: owner}.Apply(nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Upsert: %v; cart differs (-want +got):\n%s", err, diff)
		}
		want.Items = []cart.Item{line(1, 2)}
		got, err = cart.AddItem{CompanyID: 1, Owner: owner, Item: line(1, 2)}.Apply(nil)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("AddItem: %v; cart differs (-want +got):\n%s", err, diff)
		}
		if got.Owner() != owner {
			t.Errorf("the cart of %+v belongs to %+v", owner, got.Owner())
		}
	}
}

// Commands that change lines: the lines that result, or the failure.
func TestLines(t *testing.T) {
	t.Parallel()
	put := func(i cart.Item) cart.Command { return cart.PutItem{CartID: 3, Item: i} }
	set := func(product, quantity int64) cart.Command {
		return cart.SetQuantity{CartID: 3, ProductID: product, Quantity: quantity}
	}
	remove := func(product int64) cart.Command { return cart.RemoveItem{CartID: 3, ProductID: product} }
	two := userCart(cart.Active, line(1, 1), line(2, 1))
	renamed := cart.Item{ProductID: 1, Name: "Coffee", Price: 1, Quantity: 1}
	for _, test := range []struct {
		name string
		cart *cart.Cart
		cmd  cart.Command
		want []cart.Item // nil: none are left
		code cart.Code   // 0: success
	}{
		{"put a new one last", two, put(line(9, 1)), []cart.Item{line(1, 1), line(2, 1), line(9, 1)}, 0},
		{"put in its place", two, put(renamed), []cart.Item{renamed, line(2, 1)}, 0},
		{"put into an empty cart", userCart(cart.Active), put(line(1, 1)), []cart.Item{line(1, 1)}, 0},
		{"put a 500th", full(499), put(line(500, 1)), full(500).Items, 0},
		{"put a 501st", full(500), put(line(501, 1)), nil, cart.CodeFull},
		{"replace in a full cart", full(500), put(line(500, 3)), append(full(499).Items, line(500, 3)), 0},
		{"replace in an overfull cart", full(502), put(line(502, 3)), append(full(501).Items, line(502, 3)), 0},
		{"put to nowhere", nil, put(line(1, 1)), nil, cart.CodeNotFound},
		{"set", two, set(2, 5), []cart.Item{line(1, 1), line(2, 5)}, 0},
		{"set to 0", two, set(1, 0), []cart.Item{line(2, 1)}, 0},
		{"set below 0", two, set(2, -1<<63), []cart.Item{line(1, 1)}, 0},
		{"set what is not there", two, set(9, 1), nil, cart.CodeNotFound},
		{"set what is not there to 0", two, set(9, 0), nil, cart.CodeNotFound},
		{"set nowhere", nil, set(1, 1), nil, cart.CodeNotFound},
		{"set to 0 nowhere", nil, set(1, 0), nil, cart.CodeNotFound},
		{"set the last to 0", userCart(cart.Active, line(1, 1)), set(1, 0), nil, 0},
		{"remove", two, remove(1), []cart.Item{line(2, 1)}, 0},
		{"remove the last", userCart(cart.Active, line(1, 1)), remove(1), nil, 0},
		{"remove what is not there", two, remove(9), nil, cart.CodeNotFound},
		{"remove from nowhere", nil, remove(1), nil, cart.CodeNotFound},
	} {
		got, err := test.cmd.Apply(test.cart)
		if test.code != 0 {
			if err == nil || cart.CodeOf(err) != test.code {
				t.Errorf("%s: %+v, %v; want code %d", test.name, got, err, test.code)
			}
			continue
		}
		want := *test.cart
		want.Version, want.Items, want.Gone = 6, test.want, len(test.want) == 0
		if diff := cmp.Diff(&want, got, cmpopts.EquateEmpty()); diff != "" || err != nil {
			t.Errorf("%s: %v; cart differs (-want +got):\n%s", test.name, err, diff)
		}
	}
}

// A command that is repeated, or has nothing to do, returns the very same cart.
func TestUnchanged(t *testing.T) {
	t.Parallel()
	c := userCart(cart.Active, line(1, 1), line(2, 1))
	empty := userCart(cart.Active)
	for _, test := range []struct {
		cart *cart.Cart
		cmd  cart.Command
	}{
		{c, cart.Upsert{CompanyID: 1, Owner: cart.User(7)}},
		{empty, cart.Upsert{CompanyID: 1, Owner: cart.User(7)}},
		{c, cart.AddItem{CompanyID: 1, Owner: cart.User(7), Item: line(2, 1)}},
		{c, cart.PutItem{CartID: 3, Item: line(1, 1)}},
		{c, cart.SetQuantity{CartID: 3, ProductID: 1, Quantity: 1}},
		{c, cart.SetStatus{CartID: 3, Status: cart.Active}},
		{empty, cart.SetStatus{CartID: 3, Status: cart.Active}},
	} {
		if got, err := test.cmd.Apply(test.cart); err != nil || got != test.cart {
			t.Errorf("%#v: %+v, %v; want the cart as it is", test.cmd, got, err)
		}
	}
}

func TestLinesOfOtherCartsAreFixed(t *testing.T) {
	t.Parallel()
	for _, status := range []cart.Status{cart.Locked, cart.CheckedOut, cart.Cancelled} {
		c := userCart(status, line(1, 1))
		for _, cmd := range []cart.Command{
			cart.PutItem{CartID: 3, Item: line(1, 1)},
			cart.PutItem{CartID: 3, Item: line(1, 2)},
			cart.PutItem{CartID: 3, Item: line(2, 1)},
			cart.SetQuantity{CartID: 3, ProductID: 1, Quantity: 1},
			cart.SetQuantity{CartID: 3, ProductID: 1, Quantity: 0},
			cart.SetQuantity{CartID: 3, ProductID: 2, Quantity: 1},
			cart.SetQuantity{CartID: 3, ProductID: 2, Quantity: 0},
			cart.RemoveItem{CartID: 3, ProductID: 1},
			cart.RemoveItem{CartID: 3, ProductID: 2},
		} {
			if got, err := cmd.Apply(c); cart.CodeOf(err) != cart.CodeNotActive {
				t.Errorf("%v: %#v: %+v, %v", status, cmd, got, err)
			}
		}
	}
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	all := []cart.Status{cart.Active, cart.Locked, cart.CheckedOut, cart.Cancelled}
	next := map[cart.Status][]cart.Status{
		cart.Active: {cart.Locked, cart.CheckedOut, cart.Cancelled},
		cart.Locked: {cart.Active, cart.CheckedOut, cart.Cancelled},
	}
	for _, from := range all {
		for _, to := range all {
			cmd := cart.SetStatus{CartID: 3, Status: to}
			before := userCart(from, line(1, 1))
			got, err := cmd.Apply(before)
			switch {
			case from == to:
				if got != before || err != nil {
					t.Errorf("%v to %v: %+v, %v", from, to, got, err)
				}
			case slices.Contains(next[from], to):
				want := userCart(to, line(1, 1))
				want.Version++
				if diff := cmp.Diff(want, got); diff != "" || err != nil {
					t.Errorf("%v to %v: %v; cart differs (-want +got):\n%s", from, to, err, diff)
				}
			case cart.CodeOf(err) != cart.CodeNotAllowed:
				t.Errorf("%v to %v: %+v, %v", from, to, got, err)
			}
			if got, err := cmd.Apply(userCart(from)); from != to && cart.CodeOf(err) != cart.CodeNotAllowed {
				t.Errorf("%v to %v without lines: %+v, %v", from, to, got, err)
			}
		}
	}
	if _, err := (cart.SetStatus{CartID: 3, Status: cart.Locked}).Apply(nil); !errors.Is(err, cart.ErrNotFound) {
		t.Errorf("no cart: %v", err)
	}
}

func TestRival(t *testing.T) {
	t.Parallel()
	locked := userCart(cart.Locked, line(1, 1))
	locked.Rival = true
	if _, err := (cart.SetStatus{CartID: 3, Status: cart.Active}).Apply(locked); cart.CodeOf(err) != cart.CodeNotAllowed {
		t.Errorf("unlocked beside a rival: %v", err)
	}
	got, err := cart.SetStatus{CartID: 3, Status: cart.CheckedOut}.Apply(locked)
	if err != nil || got.Status != cart.CheckedOut || got.Rival {
		t.Errorf("checked out beside a rival: %+v, %v", got, err)
	}
}

// Carts of the Python service may hold a user and a cookie, which a guest may need.
func TestUsersCookie(t *testing.T) {
	t.Parallel()
	c := userCart(cart.Active, line(1, 1))
	c.Cookie = ptr("x")
	locked, err := cart.SetStatus{CartID: 3, Status: cart.Locked}.Apply(c)
	if err != nil || locked.Cookie != c.Cookie {
		t.Fatalf("locked: %+v, %v", locked, err)
	}
	unlocked, err := cart.SetStatus{CartID: 3, Status: cart.Active}.Apply(locked)
	if err != nil || unlocked.Cookie != nil || unlocked.Owner() != cart.User(7) {
		t.Errorf("unlocked: %+v, %v", unlocked, err)
	}
	guests := &cart.Cart{ID: 4, Cookie: ptr("x"), Status: cart.Locked, Items: c.Items}
	if got, err := (cart.SetStatus{CartID: 4, Status: cart.Active}).Apply(guests); err != nil || got.Owner() != cart.Guest("x") {
		t.Errorf("a guest's: %+v, %v", got, err)
	}
}

func TestRefs(t *testing.T) {
	t.Parallel()
	for _, cmd := range []cart.Command{
		cart.PutItem{CartID: 3}, cart.SetQuantity{CartID: 3}, cart.RemoveItem{CartID: 3}, cart.SetStatus{CartID: 3},
	} {
		if cmd.Ref() != cart.ByID(3) {
			t.Errorf("%T names %+v", cmd, cmd.Ref())
		}
	}
	for _, cmd := range []cart.Command{
		cart.Upsert{CompanyID: 1, Owner: cart.Guest("g")}, cart.AddItem{CompanyID: 1, Owner: cart.Guest("g")},
	} {
		if cmd.Ref() != cart.ActiveOf(1, cart.Guest("g")) {
			t.Errorf("%T names %+v", cmd, cmd.Ref())
		}
	}
}

// clone copies a cart with all that it points to.
func clone(c *cart.Cart) *cart.Cart {
	n := *c
	n.Items = slices.Clone(c.Items)
	n.UserID = ptr(*c.UserID)
	return &n
}

// Commands never change the cart that they are given, nor a copy that another command has made of it.
func TestCartsAreImmutable(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		carts := []*cart.Cart{drawCart(t)}
		// Spare capacity behind the lines must not make a command append in place.
		carts[0].Items = slices.Grow(carts[0].Items, rapid.IntRange(0, 4).Draw(t, "room"))
		copies := []*cart.Cart{clone(carts[0])}
		for range rapid.IntRange(1, 15).Draw(t, "commands") {
			// Often the same cart twice, so that it grows in two ways.
			from := rapid.SampledFrom(carts).Draw(t, "cart")
			next, err := drawCommand(t).Apply(from)
			if err != nil || next == from {
				continue
			}
			carts, copies = append(carts, next), append(copies, clone(next))
		}
		if diff := cmp.Diff(copies, carts, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("a cart has changed (-before +after):\n%s", diff)
		}
	})
}

// A line that the Python service stored with the price NaN can be replaced, changed and removed; until then its cart
// cannot be paid.
func TestUnpricedLine(t *testing.T) {
	t.Parallel()
	priced, odd := line(1, 1), line(2, 1)
	odd.Price = cart.NaN
	for _, from := range []cart.Status{cart.Active, cart.Locked} {
		c := userCart(from)
		c.Items = []cart.Item{priced, odd}
		for _, to := range []cart.Status{cart.Locked, cart.CheckedOut} {
			if from == to {
				continue
			}
			got, err := (cart.SetStatus{CartID: c.ID, Status: to}).Apply(c)
			if cart.CodeOf(err) != cart.CodeUnpriced || !strings.Contains(err.Error(), "product 2") {
				t.Errorf("%v to %v: %+v, %v; want CodeUnpriced that names product 2", from, to, got, err)
			}
		}
		if _, err := (cart.SetStatus{CartID: c.ID, Status: cart.Cancelled}).Apply(c); err != nil {
			t.Errorf("%v to CANCELLED: %v", from, err)
		}
	}
	c := userCart(cart.Active)
	c.Items = []cart.Item{priced, odd}
	for name, cmd := range map[string]cart.Command{
		"replaced": cart.PutItem{CartID: c.ID, Item: line(2, 5)},
		"removed":  cart.RemoveItem{CartID: c.ID, ProductID: 2},
	} {
		mended, err := cmd.Apply(c)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := (cart.SetStatus{CartID: c.ID, Status: cart.CheckedOut}).Apply(mended); err != nil {
			t.Errorf("%s, to CHECKED_OUT: %v", name, err)
		}
	}
	if changed, err := (cart.SetQuantity{CartID: c.ID, ProductID: 2, Quantity: 9}).Apply(c); err != nil || changed.Total() != "NaN" {
		t.Errorf("with another quantity: %+v, %v", changed, err)
	}
}

// A cart of the Python service may hold two owners. The one that does not own it may have another ACTIVE cart by now.
func TestUnlockLeavesOneOwner(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		user, want         *int64
		cookie, wantCookie *string
	}{
		{ptr[int64](7), ptr[int64](7), ptr("g"), nil},
		{ptr[int64](0), nil, ptr("g"), ptr("g")},
		{ptr[int64](-3), nil, ptr("g"), ptr("g")},
	} {
		c := userCart(cart.Locked, line(1, 1))
		c.UserID, c.Cookie = test.user, test.cookie
		got, err := (cart.SetStatus{CartID: c.ID, Status: cart.Active}).Apply(c)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]any{test.want, test.wantCookie}, []any{got.UserID, got.Cookie}); diff != "" {
			t.Errorf("user and cookie differ (-want +got):\n%s", diff)
		}
	}
}
