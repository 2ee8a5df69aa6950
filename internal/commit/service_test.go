package commit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

var discard = slog.New(slog.DiscardHandler)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func add(user, product int64) cart.AddItem {
	return cart.AddItem{CompanyID: 1, Owner: cart.User(user), Item: cart.Item{ProductID: product, Name: "x", Price: 100, Quantity: 1}}
}

// holder is the user whose command occupies a lane until a test opens the gate.
const holder = 1000

// hold makes the holder's command wait for open in its load, and starts it.
func hold(t *testing.T, s *commit.Service, m *memory) (open func()) {
	t.Helper()
	gate := make(chan struct{})
	m.beforeLoad = func(ctx context.Context, refs []cart.Ref) error {
		if refs[0].Owner.UserID == holder {
			select {
			case <-gate:
			case <-ctx.Done():
				return cart.Unavailable(ctx.Err())
			}
		}
		return nil
	}
	go storetest.Do(context.Background(), s, add(holder, 1))
	synctest.Wait()
	return sync.OnceFunc(func() { close(gate) })
}

// calls starts n calls, and returns when each of them is blocked. Then wait returns their results.
func calls(n int, call func(i int) error) (wait func() []error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = call(i) })
	}
	synctest.Wait()
	return func() []error {
		wg.Wait()
		return errs
	}
}

func TestCommandsThatWaitShareOneLoadAndOneSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		open := hold(t, s, m)
		wait := calls(40, func(i int) error {
			c, err := storetest.Do(t.Context(), s, add(int64(i%4+1), int64(i+1)))
			if err == nil && (c.ID == 0 || c.CreatedAt.IsZero() || c.UpdatedAt.IsZero()) {
				return fmt.Errorf("answered with an unfinished cart: %+v", c)
			}
			return err
		})
		open()
		for _, err := range wait() {
			if err != nil {
				t.Error(err)
			}
		}
		if len(m.loads) != 2 || len(m.saves) != 2 {
			t.Fatalf("%d loads and %d saves for the holder and the 40 that waited; want 2 and 2", len(m.loads), len(m.saves))
		}
		if got := len(m.saves[1]); got != 4 {
			t.Errorf("the second save has %d changes, want one for each of 4 carts", got)
		}
		for _, c := range m.carts {
			if want := 10; c.Owner() != cart.User(holder) && (len(c.Items) != want || c.Version != int64(want)) {
				t.Errorf("the cart of %v has %d lines at version %d, want %d of both", c.Owner(), len(c.Items), c.Version, want)
			}
		}
	})
}

// On one processor the first of many callers wakes the lane before the others get to ask.
func TestCallersWhoAreReadyJoinTheBatch(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		wait := calls(40, func(i int) error {
			_, err := storetest.Do(t.Context(), s, add(int64(i+1), 1))
			return err
		})
		for _, err := range wait() {
			if err != nil {
				t.Error(err)
			}
		}
		if len(m.loads) > 4 {
			t.Errorf("40 callers who could all ask at once made %d batches", len(m.loads))
		}
	})
}

func TestReadsThatWaitShareOneLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		for user := range int64(3) {
			if _, err := storetest.Do(t.Context(), s, add(user+1, 1)); err != nil {
				t.Fatal(err)
			}
		}
		gate := make(chan struct{})
		m.loads = nil
		m.beforeLoad = func(context.Context, []cart.Ref) error { <-gate; return nil }
		first := calls(1, func(int) error { _, err := s.Get(t.Context(), cart.ByID(1)); return err })
		wait := calls(30, func(i int) error {
			c, err := s.Get(t.Context(), cart.ByID(int64(i%3+1)))
			if err == nil && c.ID != int64(i%3+1) {
				return fmt.Errorf("got cart %d", c.ID)
			}
			return err
		})
		close(gate)
		for _, err := range append(first(), wait()...) {
			if err != nil {
				t.Error(err)
			}
		}
		if len(m.loads) != 2 || len(m.loads[1]) != 3 {
			t.Errorf("30 reads of 3 carts, behind another read, made the loads %v; want one with each cart once", m.loads)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m, func(o *commit.Options) { o.BatchSize = 8 })
		open := hold(t, s, m)
		wait := calls(20, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
		open()
		wait()
		var sizes []int
		for _, l := range m.loads[1:] {
			sizes = append(sizes, len(l))
		}
		if diff := cmp.Diff([]int{8, 8, 4}, sizes); diff != "" {
			t.Errorf("batch sizes: %s", diff)
		}
	})
}

// TestReadsAreWeighedByCarts has callers that ask for many carts each: a batch must not grow with all of them.
func TestReadsAreWeighedByCarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		m := &memory{beforeLoad: func(context.Context, []cart.Ref) error { <-gate; return nil }}
		s := start(t, m, func(o *commit.Options) { o.BatchSize = 8 })
		first := calls(1, func(int) error { _, err := s.GetMany(t.Context(), []int64{1000}); return err })
		wait := calls(6, func(i int) error {
			ids := make([]int64, 5)
			for j := range ids {
				ids[j] = int64(10*i + j + 1)
			}
			_, err := s.GetMany(t.Context(), ids)
			return err
		})
		close(gate)
		for _, err := range append(first(), wait()...) {
			if err != nil {
				t.Error(err)
			}
		}
		var sizes []int
		for _, l := range m.loads[1:] {
			sizes = append(sizes, len(l))
		}
		if diff := cmp.Diff([]int{10, 10, 10}, sizes); diff != "" {
			t.Errorf("carts in each load, of callers that want 5 each: %s", diff)
		}
	})
}

// TestManyIDs asks for more carts than a listing has: they are loaded in parts, and refused where they have too many lines.
func TestManyIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{carts: make(map[int64]*cart.Cart)}
		ids := make([]int64, cart.MaxIDs)
		for i := range ids {
			ids[i] = int64(i + 1)
			m.carts[ids[i]] = &cart.Cart{ID: ids[i], Items: make([]cart.Item, cart.MaxLines/5)}
		}
		s := start(t, m)
		taking, done := context.WithCancel(t.Context())
		all, err := s.GetMany(taking, ids)
		done()
		synctest.Wait()
		if err != nil || len(all) != len(ids) || all[0].ID != 1 || all[len(all)-1].ID != cart.MaxIDs {
			t.Errorf("got %d carts, %v", len(all), err)
		}
		for _, load := range m.loads {
			if len(load) > cart.MaxCartsAsked {
				t.Errorf("%d carts are loaded at a time", len(load))
			}
		}
		m.carts[1] = &cart.Cart{ID: 1, Items: make([]cart.Item, cart.MaxLines/5+1)}
		if _, err := s.GetMany(t.Context(), ids); !errors.Is(err, cart.ErrTooManyLines) {
			t.Errorf("got %v for a line more, want ErrTooManyLines", err)
		}
		m.carts[1] = &cart.Cart{ID: 1, Items: make([]cart.Item, cart.MaxCartsAsked*cart.MaxLines+1)}
		if _, err := s.GetMany(t.Context(), ids[:cart.MaxCartsAsked]); err != nil {
			t.Errorf("a cart of the Python service that is very long is refused: %v", err)
		}
	})
}

// TestHeldAnswersAreBounded has callers that keep what they asked for: 200 carts of 500 lines each, 16 MiB with their names.
func TestHeldAnswersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{carts: make(map[int64]*cart.Cart)}
		user := int64(1)
		ids := make([]int64, cart.MaxCartsAsked)
		lines := make([]cart.Item, cart.MaxLines)
		for i := range lines {
			lines[i].Name = strings.Repeat("x", 64)
		}
		for i := range ids {
			ids[i] = int64(i + 1)
			m.carts[ids[i]] = &cart.Cart{ID: ids[i], CompanyID: 1, UserID: &user, Items: lines}
		}
		m.ids = int64(len(ids))
		s := start(t, m)
		ask := func(ctx context.Context, i int) error {
			if i%2 == 0 {
				_, err := s.GetMany(ctx, ids)
				return err
			}
			_, err := s.List(ctx, cart.Listing{UserID: user, Limit: cart.MaxCartsAsked})
			return err
		}
		held, done := context.WithCancel(t.Context())
		for i := range 2 {
			if err := ask(held, i); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 {
			if err := ask(t.Context(), i); !errors.Is(err, cart.ErrOverloaded) {
				t.Errorf("got %v while two others hold such answers, want ErrOverloaded", err)
			}
		}
		if _, err := s.Get(t.Context(), cart.ByID(1)); err != nil {
			t.Errorf("a single cart is refused: %v", err)
		}
		done()
		synctest.Wait()
		if err := ask(t.Context(), 0); err != nil {
			t.Errorf("got %v when they are done", err)
		}
	})
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m, func(o *commit.Options) { o.QueueSize = 5 })
		open := hold(t, s, m)
		wait := calls(5, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
		if _, err := storetest.Do(t.Context(), s, add(6, 1)); !errors.Is(err, cart.ErrOverloaded) {
			t.Errorf("the 6th of 5 got %v, want ErrOverloaded", err)
		}
		open()
		for _, err := range wait() {
			if err != nil {
				t.Error(err)
			}
		}
	})
}

func TestCallerThatGaveUpIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		open := hold(t, s, m)
		ctx, cancel := context.WithCancel(t.Context())
		gone := calls(1, func(int) error { _, err := storetest.Do(ctx, s, add(1, 1)); return err })
		stays := calls(1, func(int) error { _, err := storetest.Do(t.Context(), s, add(2, 1)); return err })
		cancel()
		err := gone()[0]
		if cart.CodeOf(err) != cart.CodeUnavailable || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want CodeUnavailable caused by the cancellation", err)
		}
		open()
		if err := stays()[0]; err != nil {
			t.Error(err)
		}
		if c := m.find(cart.ActiveOf(1, cart.User(1))); c != nil {
			t.Errorf("the command of a caller that gave up made a cart: %+v", c)
		}
	})
}

func TestCallerThatGivesUpTooLateIsToldThatTheOutcomeIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		saving := make(chan struct{})
		m.beforeSave = func(context.Context, []cart.Change) error { <-saving; return nil }
		ctx, cancel := context.WithCancel(t.Context())
		wait := calls(1, func(int) error { _, err := storetest.Do(ctx, s, add(1, 1)); return err })
		cancel()
		if err := wait()[0]; cart.CodeOf(err) != cart.CodeOutcomeUnknown {
			t.Errorf("got %v, want CodeOutcomeUnknown", err)
		}
		close(saving)
	})
}

// A caller that was told that the outcome is unknown may go on to do something else. A command that is done after that
// would undo it.
func TestNothingIsDoneForACallerThatHasGone(t *testing.T) {
	for name, at := range map[string]func(m *memory, leave func()){
		"while its cart was loaded": func(m *memory, leave func()) {
			m.beforeLoad = func(context.Context, []cart.Ref) error { leave(); return nil }
		},
		"before its cart changed under it": func(m *memory, leave func()) {
			conflict := sync.OnceFunc(func() { leave(); m.change(1) })
			m.beforeSave = func(context.Context, []cart.Change) error { conflict(); return nil }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				s := start(t, m)
				if _, err := storetest.Do(t.Context(), s, add(1, 1)); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				at(m, sync.OnceFunc(func() { cancel(); synctest.Wait() }))
				if _, err := storetest.Do(ctx, s, add(1, 2)); cart.CodeOf(err) != cart.CodeOutcomeUnknown {
					t.Errorf("got %v, want CodeOutcomeUnknown", err)
				}
				c, err := storetest.Do(t.Context(), s, add(1, 3))
				if err != nil || len(c.Items) != 2 || c.Items[1].ProductID != 3 {
					t.Errorf("the next command finds %+v, %v; want nothing done for who has gone", c, err)
				}
			})
		})
	}
}

func TestBatchThatTakesTooLongIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{beforeSave: func(ctx context.Context, _ []cart.Change) error {
			<-ctx.Done()
			return cart.OutcomeUnknown(ctx.Err())
		}}
		s := start(t, m, func(o *commit.Options) { o.Timeout = 3 * time.Second })
		began := time.Now()
		_, err := storetest.Do(t.Context(), s, add(1, 1))
		if cart.CodeOf(err) != cart.CodeOutcomeUnknown || time.Since(began) != 3*time.Second {
			t.Errorf("got %v after %v, want CodeOutcomeUnknown after 3s", err, time.Since(began))
		}
	})
}

func TestCloseFinishesWhatWasAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		open := hold(t, s, m)
		wait := calls(10, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
		closed := calls(1, func(int) error { return s.Close(t.Context()) })
		if _, err := storetest.Do(t.Context(), s, add(50, 1)); cart.CodeOf(err) != cart.CodeUnavailable {
			t.Errorf("a call after Close got %v, want CodeUnavailable", err)
		}
		open()
		for _, err := range append(wait(), closed()...) {
			if err != nil {
				t.Error(err)
			}
		}
		if len(m.carts) != 11 {
			t.Errorf("%d carts, want all 11 that were accepted", len(m.carts))
		}
	})
}

func TestCloseGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		hold(t, s, m)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want DeadlineExceeded", err)
		}
	})
}
