package cart_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sellio/sellio-cart/internal/cart"
)

// interpret applies the change of lines in the simplest way.
func interpret(t *rapid.T, lines []cart.Item, ch cart.Change) []cart.Item {
	lines = slices.Clone(lines)
	at := func(product int64) int {
		return slices.IndexFunc(lines, func(i cart.Item) bool { return i.ProductID == product })
	}
	for _, product := range ch.Drop {
		if at(product) < 0 {
			t.Fatalf("product %d is dropped and was not there", product)
		}
		lines = slices.Delete(lines, at(product), at(product)+1)
	}
	for _, put := range ch.Put {
		i := at(put.ProductID)
		switch {
		case !put.Append && i < 0:
			t.Fatalf("product %d is to keep a place that it has not", put.ProductID)
		case !put.Append && lines[i] == put.Item:
			t.Fatalf("product %d is written as it was", put.ProductID)
		case !put.Append:
			lines[i] = put.Item
			continue
		case i >= 0:
			lines = slices.Delete(lines, i, i+1)
		}
		lines = append(lines, put.Item)
	}
	return lines
}

// drawItem draws from few products, so that commands often name the same one.
func drawItem(t *rapid.T) cart.Item {
	return cart.Item{
		ProductID: rapid.Int64Range(1, 6).Draw(t, "product"), Name: "Tea",
		Price: cart.Money(rapid.Int64Range(0, 1).Draw(t, "price")), Quantity: rapid.Int64Range(1, 2).Draw(t, "quantity"),
	}
}

// drawCart draws a cart that a store could return.
func drawCart(t *rapid.T) *cart.Cart {
	lines := rapid.SliceOfNDistinct(rapid.Custom(drawItem), 0, 6, func(i cart.Item) int64 { return i.ProductID }).Draw(t, "lines")
	return &cart.Cart{
		ID: 1, CompanyID: 1, UserID: ptr[int64](7), Status: cart.Active, Version: 3, Rival: rapid.Bool().Draw(t, "rival"),
		Items: lines,
	}
}

func drawCommand(t *rapid.T) cart.Command {
	line := drawItem(t)
	return rapid.SampledFrom([]cart.Command{
		cart.PutItem{CartID: 1, Item: line},
		cart.AddItem{CompanyID: 1, Owner: cart.User(7), Item: line},
		cart.SetQuantity{CartID: 1, ProductID: line.ProductID, Quantity: line.Quantity - 1},
		cart.RemoveItem{CartID: 1, ProductID: line.ProductID},
		cart.RemoveItem{CartID: 1, ProductID: line.ProductID},
		cart.SetStatus{CartID: 1, Status: cart.Status(rapid.Int16Range(1, 4).Draw(t, "status"))},
	}).Draw(t, "command")
}

// Applying the change of Diff to the old cart gives the cart that the commands left.
func TestDiffIsWhatCommandsDid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		before := drawCart(t)
		now := before
		for range rapid.IntRange(0, 12).Draw(t, "commands") {
			next, err := drawCommand(t).Apply(now)
			if err != nil {
				continue
			}
			if now = next; now.Gone {
				break
			}
		}
		ch := cart.Diff(before, now)
		if ch.Cart != now || ch.Was != before.Version {
			t.Fatalf("the change is for cart %+v at version %d", ch.Cart, ch.Was)
		}
		if lost := now != before && len(now.Items) == 0; now.Gone != lost || ch.Delete != lost {
			t.Fatalf("gone: %v, deleted: %v, want %v", now.Gone, ch.Delete, lost)
		}
		if ch.Delete && len(ch.Put)+len(ch.Drop) > 0 {
			t.Fatalf("a deleted cart has lines to write: %+v", ch)
		}
		if ch.Delete {
			return
		}
		if diff := cmp.Diff(now.Items, interpret(t, before.Items, ch), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("lines differ (-want +got):\n%s\nchange: %+v", diff, ch)
		}
	})
}

func TestDiff(t *testing.T) {
	t.Parallel()
	line := func(product, quantity int64) cart.Item { return cart.Item{ProductID: product, Quantity: quantity} }
	with := func(version int64, status cart.Status, lines ...cart.Item) *cart.Cart {
		return &cart.Cart{ID: 1, Version: version, Status: status, Items: lines}
	}
	gone := func(c *cart.Cart) *cart.Cart { c.Gone = true; return c }
	a, b, c := line(1, 1), line(2, 1), line(3, 1)
	before := with(4, cart.Active, a, b, c)
	for _, test := range []struct {
		name          string
		before, after *cart.Cart
		want          cart.Change
	}{
		{"creation", nil, with(2, cart.Active, a), cart.Change{Activates: true, Put: []cart.Line{{Item: a, Append: true}}}},
		{"creation without lines", nil, with(1, cart.Active), cart.Change{Activates: true}},
		{"nothing", before, before, cart.Change{Was: 4}},
		{"nothing, without lines", with(1, cart.Active), with(1, cart.Active), cart.Change{Was: 1}},
		{"lock", before, with(5, cart.Locked, a, b, c), cart.Change{Was: 4}},
		{"unlock", with(4, cart.Locked, a), with(5, cart.Active, a), cart.Change{Was: 4, Activates: true}},
		{"change one", before, with(5, cart.Active, a, line(2, 9), c), cart.Change{Was: 4, Put: []cart.Line{{Item: line(2, 9)}}}},
		{"remove one", before, with(5, cart.Active, a, c), cart.Change{Was: 4, Drop: []int64{2}}},
		{"remove and add", before, with(6, cart.Active, a, c, b), cart.Change{Was: 4, Put: []cart.Line{{Item: b, Append: true}}}},
		{
			"some of all", before, with(9, cart.Active, line(2, 5), line(4, 1), a),
			cart.Change{
				Was:  4,
				Put:  []cart.Line{{Item: line(2, 5)}, {Item: line(4, 1), Append: true}, {Item: a, Append: true}},
				Drop: []int64{3},
			},
		},
		{"remove all", before, gone(with(7, cart.Active)), cart.Change{Was: 4, Delete: true}},
		{"a line came and went", with(1, cart.Active), gone(with(3, cart.Active)), cart.Change{Was: 1, Delete: true}},
		{"an empty cart changes", with(1, cart.Active), with(2, cart.Active), cart.Change{Was: 1}},
	} {
		test.want.Cart = test.after
		if diff := cmp.Diff(test.want, cart.Diff(test.before, test.after), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: change differs (-want +got):\n%s", test.name, diff)
		}
	}
}
