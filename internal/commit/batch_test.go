package commit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// spell is a command with a rule of its own.
type spell struct {
	ref   cart.Ref
	apply func(*cart.Cart) (*cart.Cart, error)
}

func (s spell) Ref() cart.Ref                          { return s.ref }
func (s spell) Validate() error                        { return nil }
func (s spell) Apply(c *cart.Cart) (*cart.Cart, error) { return s.apply(c) }

func TestChangedCartIsLoadedAgainAndItsNeighboursAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		for user := range int64(2) {
			if _, err := storetest.Do(t.Context(), s, add(user+1, 1)); err != nil {
				t.Fatal(err)
			}
		}
		open := hold(t, s, m)
		wait := calls(2, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 2)); return err })
		times := 0
		m.beforeSave = func(_ context.Context, changes []cart.Change) error {
			for _, ch := range changes {
				if times < 3 && ch.Cart.Owner() == cart.User(2) {
					times++
					m.change(ch.Cart.ID)
				}
			}
			return nil
		}
		m.loads = nil
		open()
		for _, err := range wait() {
			if err != nil {
				t.Error(err)
			}
		}
		if c := m.find(cart.ActiveOf(1, cart.User(2))); len(c.Items) != 2 || c.Version != 5 {
			t.Errorf("the cart that others changed 3 times: %+v, want both lines at version 5", c)
		}
		want := cart.ActiveOf(1, cart.User(2))
		for _, l := range m.loads[2:] {
			if len(l) != 1 || l[0] != want {
				t.Errorf("loaded %v again, want only %v", l, want)
			}
		}
	})
}

func TestEndlessConflictIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		if _, err := storetest.Do(t.Context(), s, add(1, 1)); err != nil {
			t.Fatal(err)
		}
		m.beforeSave = func(context.Context, []cart.Change) error { m.change(1); return nil }
		if _, err := storetest.Do(t.Context(), s, add(1, 2)); !errors.Is(err, cart.ErrConflict) {
			t.Errorf("got %v, want ErrConflict", err)
		}
		if c := m.carts[1]; len(c.Items) != 1 {
			t.Errorf("the refused command left %+v", c)
		}
	})
}

func TestOneBadCommandNeverFailsItsNeighbours(t *testing.T) {
	refused := errors.New("invalid byte sequence")
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		open := hold(t, s, m)
		m.beforeSave = func(_ context.Context, changes []cart.Change) error {
			for _, ch := range changes {
				if ch.Cart.Owner() == cart.User(3) {
					return cart.Refused(refused)
				}
			}
			return nil
		}
		wait := calls(5, func(i int) error { _, err := storetest.Do(t.Context(), s, add(int64(i+1), 1)); return err })
		open()
		for i, err := range wait() {
			if bad := i == 2; bad != errors.Is(err, refused) || !bad && err != nil {
				t.Errorf("user %d: %v", i+1, err)
			}
		}
	})
}

func TestPanicInARuleFailsItsOwnCommandOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		open := hold(t, s, m)
		ref := cart.ActiveOf(1, cart.User(1))
		wait := calls(3, func(i int) error {
			if i != 1 {
				_, err := storetest.Do(t.Context(), s, add(1, int64(i+1)))
				return err
			}
			_, err := storetest.Do(t.Context(), s, spell{ref, func(*cart.Cart) (*cart.Cart, error) { panic("boo") }})
			return err
		})
		open()
		for i, err := range wait() {
			if bad := i == 1; bad != (err != nil) || bad && cart.CodeOf(err) != cart.CodeInternal {
				t.Errorf("command %d: %v", i, err)
			}
		}
		if c := m.find(ref); len(c.Items) != 2 {
			t.Errorf("the cart is %+v, want both other lines", c)
		}
	})
}

func TestFailedSaveFailsWithItsCode(t *testing.T) {
	for _, failure := range []*cart.Error{cart.Unavailable(nil), cart.OutcomeUnknown(nil)} {
		synctest.Test(t, func(t *testing.T) {
			m := &memory{beforeSave: func(context.Context, []cart.Change) error { return failure }}
			s := start(t, m)
			if _, err := storetest.Do(t.Context(), s, add(1, 1)); cart.CodeOf(err) != failure.Code {
				t.Errorf("got %v, want %v", err, failure)
			}
		})
	}
}

func TestOutageIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m := &memory{}
		s := start(t, m, func(o *commit.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		m.beforeSave = func(context.Context, []cart.Change) error { return cart.Unavailable(errors.New("refused")) }
		for range 3 {
			if _, err := storetest.Do(t.Context(), s, add(1, 1)); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Fatalf("got %v, want CodeUnavailable", err)
			}
		}
		m.beforeSave = nil
		for product := range int64(3) {
			if _, err := storetest.Do(t.Context(), s, add(1, product+1)); err != nil {
				t.Fatal(err)
			}
		}
		if out, back := strings.Count(log.String(), "level=WARN"), strings.Count(log.String(), "level=INFO"); out != 1 || back != 1 {
			t.Errorf("the log says %d times that the store went and %d times that it is back:\n%s", out, back, &log)
		}
	})
}

func TestCommandsOfOneBatchSeeEachOther(t *testing.T) {
	active := cart.ActiveOf(1, cart.User(1))
	item := add(1, 9).Item
	for name, tc := range map[string]struct {
		commands []cart.Command // run in this order on cart 1 with one line, product 1
		codes    []cart.Code    // 255: success
		check    func(t *testing.T, m *memory)
	}{
		"checked out, then added to: a second cart": {
			[]cart.Command{cart.SetStatus{CartID: 1, Status: cart.CheckedOut}, add(1, 9)},
			[]cart.Code{ok, ok},
			func(t *testing.T, m *memory) {
				if c := m.find(active); c == nil || c.ID == 1 || len(c.Items) != 1 || m.carts[1].Status != cart.CheckedOut {
					t.Errorf("carts: %v", m.carts)
				}
			},
		},
		"checked out, then put by id: refused": {
			[]cart.Command{cart.SetStatus{CartID: 1, Status: cart.CheckedOut}, cart.PutItem{CartID: 1, Item: item}},
			[]cart.Code{ok, cart.CodeNotActive},
			func(*testing.T, *memory) {},
		},
		"emptied, then added to: a second cart": {
			[]cart.Command{cart.RemoveItem{CartID: 1, ProductID: 1}, add(1, 9)},
			[]cart.Code{ok, ok},
			func(t *testing.T, m *memory) {
				if c := m.find(active); c == nil || c.ID == 1 || m.carts[1] != nil {
					t.Errorf("carts: %v", m.carts)
				}
			},
		},
		"emptied, then put by id: not found": {
			[]cart.Command{cart.RemoveItem{CartID: 1, ProductID: 1}, cart.PutItem{CartID: 1, Item: item}},
			[]cart.Code{ok, cart.CodeNotFound},
			func(*testing.T, *memory) {},
		},
		"by id and by owner: the same cart": {
			[]cart.Command{cart.PutItem{CartID: 1, Item: item}, add(1, 10)},
			[]cart.Code{ok, ok},
			func(t *testing.T, m *memory) {
				if len(m.carts[1].Items) != 3 || len(m.carts) != 2 {
					t.Errorf("carts: %v", m.carts)
				}
			},
		},
		"locked, added to, then active again: refused, since there is another": {
			[]cart.Command{cart.SetStatus{CartID: 1, Status: cart.Locked}, add(1, 9), cart.SetStatus{CartID: 1, Status: cart.Active}},
			[]cart.Code{ok, ok, cart.CodeNotAllowed},
			func(t *testing.T, m *memory) {
				if c := m.find(active); c == nil || c.ID == 1 || m.carts[1].Status != cart.Locked {
					t.Errorf("carts: %v", m.carts)
				}
			},
		},
		"locked and active again, then added to: the same cart": {
			[]cart.Command{cart.SetStatus{CartID: 1, Status: cart.Locked}, cart.SetStatus{CartID: 1, Status: cart.Active}, add(1, 9)},
			[]cart.Code{ok, ok, ok},
			func(t *testing.T, m *memory) {
				if len(m.carts[1].Items) != 2 {
					t.Errorf("carts: %v", m.carts)
				}
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				s := start(t, m)
				if _, err := storetest.Do(t.Context(), s, add(1, 1)); err != nil {
					t.Fatal(err)
				}
				open := hold(t, s, m)
				var waits []func() []error
				for _, cmd := range tc.commands {
					waits = append(waits, calls(1, func(int) error { _, err := storetest.Do(t.Context(), s, cmd); return err }))
				}
				open()
				for i, wait := range waits {
					if err := wait()[0]; (err == nil) != (tc.codes[i] == ok) || err != nil && cart.CodeOf(err) != tc.codes[i] {
						t.Errorf("command %d: %v", i, err)
					}
				}
				tc.check(t, m)
			})
		})
	}
}

const ok cart.Code = 255

// TestRivalEndsInABatch unlocks a cart in the batch that ends its owner's ACTIVE one.
func TestRivalEndsInABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		s := start(t, m)
		for range 2 {
			c, err := storetest.Do(t.Context(), s, add(1, 1))
			if err != nil {
				t.Fatal(err)
			}
			if c.ID == 1 {
				if _, err := storetest.Do(t.Context(), s, cart.SetStatus{CartID: 1, Status: cart.Locked}); err != nil {
					t.Fatal(err)
				}
			}
		}
		m.carts[1].Rival = true // as a store would say
		open := hold(t, s, m)
		ended := calls(1, func(int) error {
			_, err := storetest.Do(t.Context(), s, cart.SetStatus{CartID: 2, Status: cart.Cancelled})
			return err
		})
		unlocked := calls(1, func(int) error {
			_, err := storetest.Do(t.Context(), s, cart.SetStatus{CartID: 1, Status: cart.Active})
			return err
		})
		open()
		for _, err := range append(ended(), unlocked()...) {
			if err != nil {
				t.Error(err)
			}
		}
		if c := m.find(cart.ActiveOf(1, cart.User(1))); c == nil || c.ID != 1 {
			t.Errorf("the ACTIVE cart is %+v, want the first", c)
		}
	})
}
