package auth

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/sqlite"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// guarded returns a guard in front of carts in a new database, with one lane, so that commands meet in batches.
func guarded(t *testing.T) *Guard {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/cart.db")
	if err != nil {
		t.Fatal(err)
	}
	carts := commit.New(store, commit.Options{
		WriteLanes: 1, ReadLanes: 1, BatchSize: 64, QueueSize: 1000, Timeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := carts.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return NewGuard(carts)
}

// as returns the context of a request of the caller's.
func as(t *testing.T, c Caller) context.Context {
	t.Helper()
	return With(t.Context(), c)
}

// add returns the owner's cart after another line.
func add(t *testing.T, g *Guard, owner cart.Owner, product int64) *cart.Cart {
	t.Helper()
	c, err := storetest.Do(as(t, Caller{Owner: owner}), g, cart.AddItem{CompanyID: 1, Owner: owner, Item: tea(product)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func tea(product int64) cart.Item {
	return cart.Item{ProductID: product, Name: "Tea", Price: 1_00, Quantity: 1}
}

// code is that of the error, or -1 for none.
func code(err error) int {
	if err == nil {
		return -1
	}
	return int(cart.CodeOf(err))
}

func TestGuard(t *testing.T) {
	t.Parallel()
	g := guarded(t)
	mine, theirs := add(t, g, cart.User(7), 1), add(t, g, cart.Guest("theirs"), 1)
	for name, tt := range map[string]struct {
		caller                     Caller
		mine, theirs               int // the code for a cart by its id
		myself, another, my, their int // the code for an owner, and for the listing of user 7 and of user 8
		seen                       []int64
	}{
		"the user":      {Caller{Owner: cart.User(7)}, -1, notFound, -1, forbidden, -1, forbidden, []int64{mine.ID}},
		"the guest":     {Caller{Owner: cart.Guest("theirs")}, notFound, -1, forbidden, -1, forbidden, forbidden, []int64{theirs.ID}},
		"another guest": {Caller{Owner: cart.Guest("7")}, notFound, notFound, forbidden, forbidden, forbidden, forbidden, nil},
		"a service":     {Caller{Service: true}, -1, -1, -1, -1, -1, -1, []int64{theirs.ID, mine.ID}},
		"nobody":        {Caller{}, unknown, unknown, unknown, unknown, unknown, unknown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := as(t, tt.caller)
			get := func(ref cart.Ref) error { _, err := g.Get(ctx, ref); return err }
			do := func(cmd cart.Command) error { _, err := storetest.Do(ctx, g, cmd); return err }
			list := func(user int64) error { _, err := g.List(ctx, cart.Listing{UserID: user, Limit: 1}); return err }
			for what, c := range map[string]struct {
				err  error
				want int
			}{
				"get mine":           {get(cart.ByID(mine.ID)), tt.mine},
				"get theirs":         {get(cart.ByID(theirs.ID)), tt.theirs},
				"get my active":      {get(cart.ActiveOf(1, cart.User(7))), tt.myself},
				"get their active":   {get(cart.ActiveOf(1, cart.Guest("theirs"))), tt.another},
				"put mine":           {do(cart.PutItem{CartID: mine.ID, Item: tea(1)}), tt.mine},
				"put theirs":         {do(cart.PutItem{CartID: theirs.ID, Item: tea(1)}), tt.theirs},
				"upsert for me":      {do(cart.Upsert{CompanyID: 1, Owner: cart.User(7)}), tt.myself},
				"upsert for another": {do(cart.Upsert{CompanyID: 1, Owner: cart.Guest("theirs")}), tt.another},
				"list mine":          {list(7), tt.my},
				"list another's":     {list(8), tt.their},
			} {
				if got := code(c.err); got != c.want {
					t.Errorf("%s: code %d, want %d: %v", what, got, c.want, c.err)
				}
			}
			found, err := g.GetMany(ctx, []int64{theirs.ID, mine.ID, 999})
			var ids []int64
			for _, c := range found {
				ids = append(ids, c.ID)
			}
			if !slices.Equal(ids, tt.seen) || (err != nil) != (tt.mine == unknown) {
				t.Errorf("by ids: %v, %v; want %v", ids, err, tt.seen)
			}
		})
	}
}

const (
	notFound  = int(cart.CodeNotFound)
	forbidden = int(cart.CodeForbidden)
	unknown   = int(cart.CodeUnauthenticated)
)

// TestStrangersInABatch lets an owner and strangers write to one cart at the same time, in the same batches.
func TestStrangersInABatch(t *testing.T) {
	t.Parallel()
	g := guarded(t)
	owner, stranger := Caller{Owner: cart.Guest("mine")}, Caller{Owner: cart.Guest("another")}
	id := add(t, g, owner.Owner, 1).ID
	var writes sync.WaitGroup
	for i := range int64(50) {
		writes.Go(func() {
			if _, err := storetest.Do(as(t, owner), g, cart.PutItem{CartID: id, Item: tea(i + 2)}); err != nil {
				t.Errorf("the owner: %v", err)
			}
		})
		for _, cmd := range []cart.Command{
			cart.PutItem{CartID: id, Item: tea(1000 + i)},
			cart.SetQuantity{CartID: id, ProductID: 1, Quantity: 0},
			cart.RemoveItem{CartID: id, ProductID: 1},
			cart.SetStatus{CartID: id, Status: cart.Cancelled},
		} {
			writes.Go(func() {
				if c, err := storetest.Do(as(t, stranger), g, cmd); c != nil || code(err) != notFound {
					t.Errorf("a stranger's %T: %v, %v", cmd, c, err)
				}
			})
		}
	}
	writes.Wait()
	c, err := g.Get(as(t, owner), cart.ByID(id))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Items) != 51 || c.Status != cart.Active || c.Version != 51 || slices.ContainsFunc(c.Items, func(i cart.Item) bool { return i.ProductID > 51 }) {
		t.Errorf("the cart is %+v, want the owner's 51 lines", c)
	}
}
