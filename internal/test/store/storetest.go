// Package storetest has the tests that every [cart.Store] must pass, and every service that runs
// [cart.Command]s against one. The suites take a database, and open as many stores or services on it as a case needs:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) storetest.Database[cart.Store] { … })
//	}
//
// A case has a database of its own, and all cases run in parallel.
package storetest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Database is an empty database with the current schema.
type Database[T any] struct {
	// Open returns one more store or service on the database, and closes it at the end of the test.
	Open func(t testing.TB) T
	// Insert writes a cart as the Python service may have left it, without checking any rule, and returns its id.
	// Company, owner, status and lines are as given; the other columns get what a migration gives them.
	Insert func(t testing.TB, c cart.Cart) int64
}

// testCase is one case of a suite.
type testCase[T any] struct {
	name string
	run  func(t *testing.T, db Database[T])
}

// Run checks that stores on the databases that newDatabase makes do what [cart.Store] says.
func Run(t *testing.T, newDatabase func(t testing.TB) Database[cart.Store]) {
	runCases(t, newDatabase, loadCases, saveCases, refusalCases, listCases, legacyCases, raceCases, batchCases, marketplaceCases, twinCases)
}

func runCases[T any](t *testing.T, newDatabase func(t testing.TB) Database[T], suites ...[]testCase[T]) {
	for _, suite := range suites {
		for _, c := range suite {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, newDatabase(t))
			})
		}
	}
}

// item returns a line whose name and price follow from its product and quantity.
func item(productID, quantity int64) cart.Item {
	return cart.Item{
		ProductID: productID, Name: "Product", Price: cart.Money(productID*100 + quantity), Quantity: quantity,
	}
}

// items returns n different lines.
func items(n int64) []cart.Item {
	list := make([]cart.Item, n)
	for i := range list {
		list[i] = item(int64(i)+1, 1)
	}
	return list
}

func ptr[T any](v T) *T { return &v }

// fresh is the cart that a first AddItem of each line makes.
func fresh(companyID int64, owner cart.Owner, lines ...cart.Item) *cart.Cart {
	c := &cart.Cart{CompanyID: companyID, Status: cart.Active, Version: 1, Items: lines}
	if owner.UserID > 0 {
		c.UserID = &owner.UserID
	} else {
		c.Cookie = &owner.Cookie
	}
	return c
}

// next returns a copy of the cart, one version on, with these lines.
func next(c *cart.Cart, lines ...cart.Item) *cart.Cart {
	n := *c
	n.Version++
	n.Items = lines
	return &n
}

// emptied returns a copy of the cart, one version on, that has lost its last line.
func emptied(c *cart.Cart) *cart.Cart {
	n := next(c)
	n.Gone = true
	return n
}

// moved returns a copy of the cart, one version on, with that status.
func moved(c *cart.Cart, status cart.Status) *cart.Cart {
	n := next(c, c.Items...)
	n.Status = status
	n.Rival = false
	return n
}

// load returns the carts that the refs name.
func load(t testing.TB, s cart.Store, refs ...cart.Ref) []*cart.Cart {
	t.Helper()
	carts, err := s.Load(t.Context(), refs)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if len(carts) != len(refs) {
		t.Fatalf("Load returned %d carts for %d refs", len(carts), len(refs))
	}
	return carts
}

// get returns the cart that the ref names, which must exist.
func get(t testing.TB, s cart.Store, ref cart.Ref) *cart.Cart {
	t.Helper()
	c := load(t, s, ref)[0]
	if c == nil {
		t.Fatalf("no cart for %+v", ref)
	}
	return c
}

// absent checks that the ref names no cart.
func absent(t testing.TB, s cart.Store, ref cart.Ref) {
	t.Helper()
	if c := load(t, s, ref)[0]; c != nil {
		t.Errorf("%+v names cart %d, want none", ref, c.ID)
	}
}

// save saves the changes, of which some may not be OK.
func save(t testing.TB, s cart.Store, changes ...cart.Change) []cart.Saved {
	t.Helper()
	saved, err := s.Save(t.Context(), changes)
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
	if len(saved) != len(changes) {
		t.Fatalf("Save returned %d results for %d changes", len(saved), len(changes))
	}
	return saved
}

// create saves a new cart and returns it as loaded.
func create(t testing.TB, s cart.Store, c *cart.Cart) *cart.Cart {
	t.Helper()
	saved := save(t, s, cart.Diff(nil, c))[0]
	if !saved.OK {
		t.Fatalf("the cart of %v was not created", c.Owner())
	}
	return get(t, s, cart.ByID(saved.ID))
}

// update saves a changed cart and returns it as loaded.
func update(t testing.TB, s cart.Store, before, after *cart.Cart) *cart.Cart {
	t.Helper()
	if !save(t, s, cart.Diff(before, after))[0].OK {
		t.Fatalf("the change of cart %d was not made", before.ID)
	}
	return get(t, s, cart.ByID(before.ID))
}

// same checks that two carts are equal, except in what the options leave out.
func same(t testing.TB, got, want *cart.Cart, opts ...cmp.Option) {
	t.Helper()
	if diff := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty())...); diff != "" {
		t.Errorf("cart differs (-want +got):\n%s", diff)
	}
}

// stamps leaves out what the store decides.
var stamps = cmpopts.IgnoreFields(cart.Cart{}, "ID", "CreatedAt", "UpdatedAt")

// untimed leaves out when the cart was changed.
var untimed = cmpopts.IgnoreFields(cart.Cart{}, "UpdatedAt")

// touched leaves out what every change changes.
var touched = cmpopts.IgnoreFields(cart.Cart{}, "Version", "UpdatedAt")

// wantCode checks the code of an error.
func wantCode(t testing.TB, err error, want cart.Code) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want code %d", want)
	}
	if got := cart.CodeOf(err); got != want {
		t.Errorf("error code %d, want %d: %v", got, want, err)
	}
}

// cancelled returns a context that has ended.
func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
