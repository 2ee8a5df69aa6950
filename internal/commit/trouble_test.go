package commit_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// badUser is the user whose cart the store cannot load, or save.
const badUser = 77

var errBad = &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should."}

// loadsBadly fails each load that asks for the bad cart.
func loadsBadly(_ context.Context, refs []cart.Ref) error {
	if slices.Contains(refs, cart.ActiveOf(1, cart.User(badUser))) {
		return errBad
	}
	return nil
}

// wantOneBad checks what callers of 255 carts, the bad one among them, were told.
func wantOneBad(t *testing.T, errs []error) {
	t.Helper()
	for i, err := range errs {
		if bad := i+1 == badUser; bad && !errors.Is(err, errBad) || !bad && err != nil {
			t.Errorf("user %d: %v", i+1, err)
		}
	}
}

// TestTroubleIsFoundByHalving has 255 callers in a batch of which one meets an error of its own. Halving a batch of 255 to
// the end is 8 halvings with 2 batches each.
func TestTroubleIsFoundByHalving(t *testing.T) {
	large := func(o *commit.Options) { o.BatchSize, o.QueueSize = 255, 255 }
	const most = 1 + 8*2

	t.Run("a save that is refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			s := start(t, m, large)
			open := hold(t, s, m)
			tries := 0
			m.beforeSave = func(_ context.Context, changes []cart.Change) error {
				tries++
				if slices.ContainsFunc(changes, func(ch cart.Change) bool { return ch.Cart.Owner() == cart.User(badUser) }) {
					return errBad
				}
				return nil
			}
			wait := calls(255, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
			open()
			wantOneBad(t, wait())
			if tries > 1+most {
				t.Errorf("%d saves, want at most the holder's and %d", tries, most)
			}
		})
	})
	t.Run("a load for commands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			s := start(t, m, large)
			open := hold(t, s, m)
			wait := calls(255, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
			tries := countLoads(m)
			open()
			wantOneBad(t, wait())
			if *tries > most {
				t.Errorf("%d loads, want at most %d", *tries, most)
			}
		})
	})
	t.Run("a load for reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{}
			s := start(t, m, large)
			wait := calls(255, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
			wait()
			gate := make(chan struct{})
			m.beforeLoad = func(context.Context, []cart.Ref) error { <-gate; return nil }
			first := calls(1, func(int) error { _, err := s.Get(t.Context(), cart.ByID(1)); return err })
			wait = calls(255, func(i int) error {
				_, err := s.Get(t.Context(), cart.ActiveOf(1, cart.User(int64(i+1))))
				return err
			})
			tries := countLoads(m)
			close(gate)
			first()
			wantOneBad(t, wait())
			if *tries > most {
				t.Errorf("%d loads, want at most %d", *tries, most)
			}
		})
	})
}

// countLoads makes loads fail like loadsBadly from now on, and counts them.
func countLoads(m *memory) *int {
	tries := new(int)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.beforeLoad = func(ctx context.Context, refs []cart.Ref) error {
		*tries++
		return loadsBadly(ctx, refs)
	}
	return tries
}

// TestDoneWinsOverGaveUp has a caller that gives up in the moment in which its command is done: on one processor the caller
// runs again only when both have happened.
func TestDoneWinsOverGaveUp(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		for product := range int64(20) {
			ctx, cancel := context.WithCancel(t.Context())
			m.beforeSave = func(context.Context, []cart.Change) error { cancel(); return nil }
			if c, err := storetest.Do(ctx, s, add(1, product+1)); err != nil || len(c.Items) != int(product)+1 {
				t.Errorf("got %+v, %v for what is done", c, err)
			}
		}
	})
}

// TestJobsThatRunAgainFillABatch lets all jobs of a full batch run again while others wait.
func TestJobsThatRunAgainFillABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m, func(o *commit.Options) { o.BatchSize = 4 })
		open := hold(t, s, m)
		conflicts := 0
		m.beforeSave = func(_ context.Context, changes []cart.Change) error {
			if conflicts++; len(changes) == 4 && conflicts == 2 {
				for i := range changes {
					changes[i].Was = -1 // no longer at this version
					changes[i].Cart = &cart.Cart{ID: 1000}
				}
			}
			return nil
		}
		wait := calls(12, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
		open()
		for _, err := range wait() {
			if err != nil {
				t.Error(err)
			}
		}
		for _, l := range m.loads {
			if len(l) > 4 {
				t.Errorf("a batch of %d, want 4 at most", len(l))
			}
		}
	})
}

// TestCloseWaitsForAllLanes has a write, a read and a listing under way that end only when they are cancelled.
func TestCloseWaitsForAllLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &stuck{}
		s := commit.New(m, commit.Options{WriteLanes: 1, ReadLanes: 1, BatchSize: 1, QueueSize: 1, Timeout: time.Hour, Logger: discard})
		wait := calls(3, func(i int) (err error) {
			switch i {
			case 0:
				_, err = storetest.Do(t.Context(), s, add(1, 1))
			case 1:
				_, err = s.Get(t.Context(), cart.ByID(1))
			default:
				_, err = s.List(t.Context(), cart.Listing{UserID: 1, Limit: 1})
			}
			return err
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Close came to %v after %v, want DeadlineExceeded after 1s", err, time.Since(began))
		}
		if m.ended != 3 {
			t.Errorf("%d of 3 calls of the store have ended when Close returns", m.ended)
		}
		wait()
	})
}

// stuck is a store that answers only when it is cancelled.
type stuck struct {
	memory
	ended int
}

func (s *stuck) stick(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
	return cart.Unavailable(ctx.Err())
}

func (s *stuck) Load(ctx context.Context, _ []cart.Ref) ([]*cart.Cart, error) {
	return nil, s.stick(ctx)
}

func (s *stuck) List(ctx context.Context, _ cart.Listing) ([]*cart.Cart, error) {
	return nil, s.stick(ctx)
}
