package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

var twinCases = []testCase[cart.Store]{
	{"keys/one load and one save", keyedStatements},
	{"keys/a twin held while the first one's cart moves on", heldTwins},
}

// counted counts the calls to a store.
type counted struct {
	cart.Store
	loads, saves atomic.Int64
}

func (c *counted) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	c.loads.Add(1)
	return c.Store.Load(ctx, refs)
}

func (c *counted) LoadKnown(ctx context.Context, refs []cart.Ref, keys [][32]byte) ([]*cart.Cart, []*cart.Receipt, error) {
	c.loads.Add(1)
	return c.Store.LoadKnown(ctx, refs, keys)
}

func (c *counted) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	c.saves.Add(1)
	return c.Store.Save(ctx, changes)
}

func keyedStatements(t *testing.T, db Database[cart.Store]) {
	store := &counted{Store: db.Open(t)}
	s := oneLane(t, store)
	add := cart.AddItem{CompanyID: 1, Owner: cart.User(1), Item: item(1, 1), Add: true}
	for _, step := range []struct {
		name         string
		r            cart.Request
		loads, saves int64
	}{
		{"a plain write", cart.Do(cart.AddItem{CompanyID: 2, Owner: cart.User(1), Item: item(1, 1)}), 1, 1},
		{"a keyed write", cart.Request{Command: add, Key: "a"}, 1, 1},
		{"its repetition", cart.Request{Command: add, Key: "a"}, 1, 0},
		{"a keyed write that changes nothing", cart.Request{Command: cart.Upsert{CompanyID: 1, Owner: cart.User(1)}, Key: "b"}, 1, 1},
	} {
		store.loads.Store(0)
		store.saves.Store(0)
		if _, err := s.Do(t.Context(), step.r); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if store.loads.Load() != step.loads || store.saves.Load() != step.saves {
			t.Errorf("%s: %d loads and %d saves, want %d and %d", step.name, store.loads.Load(), store.saves.Load(), step.loads, step.saves)
		}
	}
}

// heldStore is a store whose first save waits.
type heldStore struct {
	cart.Store
	once          sync.Once
	reached, open chan struct{} // closed when the save waits, and to let it go on
}

func (h *heldStore) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	h.once.Do(func() {
		close(h.reached)
		<-h.open
	})
	return h.Store.Save(ctx, changes)
}

// heldTwins holds a keyed request between its load and its save, while its twin is done through another instance and the cart
// moves on. The versions and the unique indexes do not tell the held one then; the key does.
func heldTwins(t *testing.T, db Database[cart.Store]) {
	first := oneLane(t, db.Open(t))
	status := func(s cart.Status) func(int64) cart.Request {
		return func(id int64) cart.Request { return cart.Do(cart.SetStatus{CartID: id, Status: s}) }
	}
	for company, moveOn := range []func(id int64) cart.Request{
		status(cart.CheckedOut), status(cart.Cancelled), status(cart.Locked),
		func(id int64) cart.Request { return cart.Do(cart.RemoveItem{CartID: id, ProductID: 1}) },
		func(id int64) cart.Request {
			return cart.Request{Joint: &cart.MergeCarts{
				Merge: cart.Merge{UserID: 9, Cookie: "g", Policy: cart.MergeSum}, IDs: []int64{id}, Companies: []int64{5},
			}}
		},
	} {
		company, owner := int64(company)+1, cart.Guest("g")
		held := &heldStore{Store: db.Open(t), reached: make(chan struct{}), open: make(chan struct{})}
		second := oneLane(t, held)
		twin := cart.Request{Command: cart.AddItem{CompanyID: company, Owner: owner, Item: item(1, 1), Add: true}, Key: "k"}
		var late answer
		var ended sync.WaitGroup
		ended.Go(func() { late.result, late.err = second.Do(t.Context(), twin) })
		<-held.reached
		done, err := first.Do(t.Context(), twin)
		if err != nil || done.Replayed {
			t.Fatalf("company %d: the first twin: %+v, %v", company, done, err)
		}
		if _, err := first.Do(t.Context(), moveOn(done.Cart.ID)); err != nil {
			t.Fatalf("company %d: %v", company, err)
		}
		close(held.open)
		ended.Wait()
		if late.err != nil || !late.result.Replayed || late.result.Cart.ID != done.Cart.ID {
			t.Errorf("company %d: the twin came to %+v, %v; want a replay about cart %d", company, late.result, late.err, done.Cart.ID)
		}
		if c, err := first.Get(t.Context(), cart.ActiveOf(company, owner)); err == nil {
			t.Errorf("company %d: there is a second cart: %+v", company, c)
		}
	}
}
