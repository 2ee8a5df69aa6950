package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// service starts group commit over the store, and ends it with the test.
func service(t testing.TB, s cart.Store) *commit.Service {
	t.Helper()
	svc := commit.New(s, commit.Options{
		WriteLanes: 2, ReadLanes: 2, BatchSize: 64, QueueSize: 4096, Timeout: 5 * time.Second,
		Logger: slog.New(slog.DiscardHandler),
	})
	t.Cleanup(func() {
		if err := svc.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return svc
}

func add(user, product int64) cart.AddItem {
	return cart.AddItem{CompanyID: 1, Owner: cart.User(user), Item: cart.Item{ProductID: product, Name: "x", Price: 100, Quantity: 1}}
}

// behindProxy returns a proxy to a migrated database, and a service that goes through it.
func behindProxy(t *testing.T) (*pgtest.Proxy, *commit.Service) {
	t.Helper()
	p := pgtest.NewProxy(t, newDatabase(t))
	return p, service(t, open(t, p.URL()))
}

func TestConnectionLostAtCommitMeansOutcomeUnknown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cut   func(*pgtest.Proxy, string)
		saved bool
	}{
		"after COMMIT":  {(*pgtest.Proxy).CutAfterReply, true},
		"before COMMIT": {(*pgtest.Proxy).CutBefore, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, svc := behindProxy(t)
			if _, err := storetest.Do(t.Context(), svc, add(1, 1)); err != nil {
				t.Fatal(err)
			}
			tc.cut(p, "INSERT INTO cart_item")
			if _, err := storetest.Do(t.Context(), svc, add(1, 2)); cart.CodeOf(err) != cart.CodeOutcomeUnknown {
				t.Fatalf("got %v, want CodeOutcomeUnknown", err)
			}
			c, err := svc.Get(t.Context(), cart.ActiveOf(1, cart.User(1)))
			if err != nil {
				t.Fatal(err)
			}
			if saved := len(c.Items) == 2; saved != tc.saved {
				t.Errorf("the line is there: %v, want %v", saved, tc.saved)
			}
			c, err = storetest.Do(t.Context(), svc, add(1, 2))
			if err != nil || len(c.Items) != 2 {
				t.Errorf("the same again: %v, %v; want both lines", c, err)
			}
		})
	}
}

func TestReadSurvivesALostConnection(t *testing.T) {
	t.Parallel()
	p, svc := behindProxy(t)
	c, err := storetest.Do(t.Context(), svc, add(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	p.CutAfterReply("WITH wanted")
	if _, err := svc.Get(t.Context(), cart.ByID(c.ID)); err != nil {
		t.Errorf("a read whose answer was lost: %v, want it read again", err)
	}
	p.CutAll()
	if _, err := svc.Get(t.Context(), cart.ByID(c.ID)); err != nil {
		t.Errorf("a read after all connections were cut: %v", err)
	}
}

func TestDatabaseOutOfReachIsUnavailable(t *testing.T) {
	t.Parallel()
	p, svc := behindProxy(t)
	c, err := storetest.Do(t.Context(), svc, add(1, 1))
	if err != nil {
		t.Fatal(err)
	}
	p.Refuse(true)
	p.CutAll()
	if _, err := svc.Get(t.Context(), cart.ByID(c.ID)); cart.CodeOf(err) != cart.CodeUnavailable {
		t.Errorf("read: %v, want CodeUnavailable", err)
	}
	if _, err := storetest.Do(t.Context(), svc, add(1, 2)); cart.CodeOf(err) != cart.CodeUnavailable {
		t.Errorf("write: %v, want CodeUnavailable", err)
	}
	p.Refuse(false)
	if _, err := storetest.Do(t.Context(), svc, add(1, 2)); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// TestSilentConnectionsAreLeftBehind has all connections of the pool fall silent for good, as after a failover without
// notice. Requests under way time out, once; later requests get connections that work.
func TestSilentConnectionsAreLeftBehind(t *testing.T) {
	t.Parallel()
	const conns = 8 // as many as open allows
	for _, busy := range []int{1, conns} {
		t.Run(fmt.Sprint(busy, " in use"), func(t *testing.T) {
			t.Parallel()
			p := pgtest.NewProxy(t, newDatabase(t))
			s := open(t, p.URL())
			load := func(timeout time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				_, err := s.Load(ctx, []cart.Ref{cart.ByID(1)})
				return err
			}
			each := func(n int, do func()) {
				var wg sync.WaitGroup
				for range n {
					wg.Go(do)
				}
				wg.Wait()
			}
			p.Delay(50 * time.Millisecond) // so that the loads overlap, and each opens a connection
			each(conns, func() {
				if err := load(time.Minute); err != nil {
					t.Error(err)
				}
			})
			p.Delay(0)
			p.Strand()
			each(busy, func() {
				if err := load(200 * time.Millisecond); cart.CodeOf(err) != cart.CodeUnavailable {
					t.Errorf("on a silent connection: %v, want CodeUnavailable", err)
				}
			})
			if err := load(5 * time.Second); err != nil {
				t.Errorf("after that: %v", err)
			}
		})
	}
}

func TestRestartOfTheServerIsSurvived(t *testing.T) {
	t.Parallel()
	for _, mode := range []pgtest.StopMode{pgtest.Fast, pgtest.Immediate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			server := pgtest.Start(t)
			if err := migrate(t.Context(), server.URL()); err != nil {
				t.Fatal(err)
			}
			svc := service(t, open(t, server.URL()))
			if _, err := storetest.Do(t.Context(), svc, add(1, 1)); err != nil {
				t.Fatal(err)
			}
			server.Stop(mode)
			if _, err := storetest.Do(t.Context(), svc, add(1, 2)); err == nil {
				t.Error("a write was acknowledged while the server was down")
			}
			server.Restart()
			c, err := storetest.Do(t.Context(), svc, add(1, 3))
			if err != nil || c.Items[0].ProductID != 1 {
				t.Errorf("after the restart: %v, %v", c, err)
			}
		})
	}
}

func TestBatchIsOneLoadAndOneSave(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, p.URL())
	for _, size := range []int{1, 8, 64, 300} {
		for round := range 2 { // the first one prepares the statements
			p.ResetCounts()
			refs := make([]cart.Ref, size)
			changes := make([]cart.Change, size)
			for i := range refs {
				cmd := add(int64(size*1000+round*500+i), 1)
				refs[i] = cmd.Ref()
				after, err := cmd.Apply(nil)
				if err != nil {
					t.Fatal(err)
				}
				changes[i] = cart.Diff(nil, after)
			}
			if _, err := s.Load(t.Context(), refs); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Save(t.Context(), changes); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := p.Counts(), (pgtest.Counts{Statements: 2, RoundTrips: 2}); got != want {
			t.Errorf("load and save of %d carts: %+v, want %+v", size, got, want)
		}
	}
}

func TestGuestCartsAreSavedInOneRoundTrip(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, p.URL())
	for i := range 2 {
		p.ResetCounts()
		after, err := cart.Upsert{CompanyID: 1, Owner: cart.Guest(fmt.Sprint("g", i))}.Apply(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Save(t.Context(), []cart.Change{cart.Diff(nil, after)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := p.Counts(), (pgtest.Counts{Statements: 2, RoundTrips: 1}); got != want {
		t.Errorf("creation of a guest's cart: %+v, want %+v", got, want)
	}
}

// TestBatchOfEveryKindIsOneRoundTrip saves a batch with a cart to create, one to delete, and others whose lines
// are to be appended, changed and dropped: the carts are locked, and then changed by one statement.
func TestBatchOfEveryKindIsOneRoundTrip(t *testing.T) {
	t.Parallel()
	p := pgtest.NewProxy(t, newDatabase(t))
	s := open(t, p.URL())
	carts := createMany(t, s, 3)
	for round := range int64(2) { // the first one prepares the statements
		p.ResetCounts()
		var changes []cart.Change
		for i, cmd := range []cart.Command{
			add(100+round, 1),
			cart.RemoveItem{CartID: carts[round].ID, ProductID: 1},
			cart.PutItem{CartID: carts[2].ID, Item: add(0, 2+round).Item},
		} {
			var before *cart.Cart
			if i > 0 {
				before = reload(t, s, cmd.Ref())
			}
			after, err := cmd.Apply(before)
			if err != nil {
				t.Fatal(err)
			}
			changes = append(changes, cart.Diff(before, after))
		}
		p.ResetCounts()
		saved, err := s.Save(t.Context(), changes)
		if err != nil {
			t.Fatal(err)
		}
		for i, sv := range saved {
			if !sv.OK {
				t.Errorf("change %d was not made", i)
			}
		}
	}
	if got, want := p.Counts(), (pgtest.Counts{Statements: 2, RoundTrips: 1}); got != want {
		t.Errorf("a batch of every kind: %+v, want %+v", got, want)
	}
}

// TestBatchesLockInOneOrder saves overlapping batches in opposite orders, many times at once: batches that
// change lines, and batches that delete every other cart. A deadlock would come out as CodeConflict.
func TestBatchesLockInOneOrder(t *testing.T) {
	t.Parallel()
	s := open(t, newDatabase(t))
	for round := range 20 {
		var refs []cart.Ref
		for _, c := range createMany(t, s, 30) {
			refs = append(refs, cart.ByID(c.ID))
		}
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				if err := touch(t, s, refs, worker); err != nil {
					t.Errorf("round %d, worker %d: %v", round, worker, err)
				}
			})
		}
		wg.Wait()
	}
}

// touch changes the line of all carts in one save, or of every other one while it deletes the rest; in their
// order, or backwards.
func touch(t *testing.T, s *postgres.Store, refs []cart.Ref, worker int) error {
	carts, err := s.Load(t.Context(), refs)
	if err != nil {
		return err
	}
	var changes []cart.Change
	for i, c := range carts {
		if c == nil {
			continue // another worker was faster
		}
		quantity := int64(worker + 2)
		if worker >= 4 && i%2 == 0 {
			quantity = 0
		}
		after, err := cart.SetQuantity{CartID: c.ID, ProductID: 1, Quantity: quantity}.Apply(c)
		if err != nil {
			return err
		}
		changes = append(changes, cart.Diff(c, after))
	}
	if worker%2 == 0 {
		slices.Reverse(changes)
	}
	_, err = s.Save(t.Context(), changes)
	return err
}

// createMany creates carts with one line each, in one save.
func createMany(t *testing.T, s *postgres.Store, n int) []*cart.Cart {
	t.Helper()
	changes := make([]cart.Change, n)
	for i := range changes {
		cmd := add(int64(i+1), 1)
		cmd.CompanyID = companies.Add(1)
		after, err := cmd.Apply(nil)
		if err != nil {
			t.Fatal(err)
		}
		changes[i] = cart.Diff(nil, after)
	}
	saved, err := s.Save(t.Context(), changes)
	if err != nil {
		t.Fatal(err)
	}
	carts := make([]*cart.Cart, n)
	for i, sv := range saved {
		carts[i] = reload(t, s, cart.ByID(sv.ID))
	}
	return carts
}

// companies numbers the companies of createMany, so that it can make carts again and again.
var companies atomic.Int64

func reload(t *testing.T, s *postgres.Store, ref cart.Ref) *cart.Cart {
	t.Helper()
	carts, err := s.Load(t.Context(), []cart.Ref{ref})
	if err != nil || carts[0] == nil {
		t.Fatalf("load %+v: %v, %v", ref, carts, err)
	}
	return carts[0]
}
