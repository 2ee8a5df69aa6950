package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/postgres"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// act is what the Python service and this one do to a cart whose only line is product 1.
type act string

const (
	addSecond   act = "adds product 2"
	changeFirst act = "changes product 1"
	removeFirst act = "removes product 1"
	lock        act = "locks"
	checkOut    act = "checks out"
)

func (a act) product() int64 {
	if a == addSecond {
		return 2
	}
	return 1
}

func (a act) status() cart.Status {
	if a == lock {
		return cart.Locked
	}
	return cart.CheckedOut
}

func (a act) command(user, id int64) cart.Command {
	switch a {
	case addSecond, changeFirst:
		return add(user, a.product())
	case removeFirst:
		return cart.RemoveItem{CartID: id, ProductID: 1}
	default:
		return cart.SetStatus{CartID: id, Status: a.status()}
	}
}

// moment is where one service is held while the other does its work from beginning to end.
type moment string

const (
	pythonHasRead  moment = "when it has read"
	pythonHasWrote moment = "before COMMIT"
	serviceHasRead moment = "while this service is held when it has read"
	nobodyIsHeld   moment = "at the same time"
)

// rivals are both services on one database.
type rivals struct {
	url     string
	checker *pgx.Conn
	python  *python
	service *commit.Service
	store   *heldStore
}

// heldStore calls hold, once, before a save.
type heldStore struct {
	cart.Store
	hold atomic.Pointer[func()]
}

func (s *heldStore) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	if hold := s.hold.Swap(nil); hold != nil {
		(*hold)()
	}
	return s.Store.Save(ctx, changes)
}

// newRivals sets both services up on the database, for one race at a time.
func newRivals(t testing.TB, url string) *rivals {
	r := &rivals{url: url, checker: connect(t, url), python: newPython(t, url), store: &heldStore{Store: open(t, url)}}
	r.service = service(t, r.store)
	return r
}

// race lets both services change one cart, and returns what was lost or undone, if anything.
func (r *rivals) race(ctx context.Context, user int64, pythons, ours act, m moment) error {
	before, err := storetest.Do(ctx, r.service, cart.AddItem{
		CompanyID: 1, Owner: cart.User(user), Item: cart.Item{ProductID: 1, Name: "first", Price: 100, Quantity: 1},
	})
	if err != nil {
		return err
	}
	var after *cart.Cart
	var pythonErr, serviceErr error
	askPython := func() { pythonErr = r.python.do(ctx, pythons, before.ID) }
	askService := func() { after, serviceErr = storetest.Do(ctx, r.service, ours.command(user, before.ID)) }
	switch m {
	case nobodyIsHeld:
		<-begin(askPython, askService)
	case serviceHasRead:
		hold := newGate()
		pass := hold.pass
		r.store.hold.Store(&pass)
		meet(hold, askService, askPython, nil)
	case pythonHasRead:
		hold := newGate()
		r.python.read = hold.pass
		meet(hold, askPython, askService, nil)
	case pythonHasWrote:
		hold := newGate()
		r.python.wrote = hold.pass
		// This service may have to wait for the transaction of the other.
		meet(hold, askPython, askService, func() bool { return r.waitsForPython(ctx) })
	}
	if pythonErr != nil && !errors.Is(pythonErr, errAnswered) {
		return fmt.Errorf("python: %w", pythonErr)
	}
	if serviceErr != nil {
		after = nil
		switch code := cart.CodeOf(serviceErr); {
		case code == cart.CodeNotFound, code == cart.CodeNotAllowed, code == cart.CodeNotActive:
		case m == pythonHasWrote && (code == cart.CodeConflict || code == cart.CodeUnavailable): // it did not wait
		default:
			return fmt.Errorf("service: %w", serviceErr)
		}
	}
	return r.check(ctx, user, before.ID, pythons, pythonErr == nil, ours, after)
}

// gate is where a service is held.
type gate struct{ reached, opened chan struct{} }

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

func (g gate) pass() {
	close(g.reached)
	<-g.opened
}

// meet holds the first service at the gate until the second is done, or waits for the first.
func meet(hold gate, first, second func(), waits func() bool) {
	held := begin(first)
	select {
	case <-hold.reached:
	case <-held: // it was refused before it reached the gate
	}
	done := begin(second)
	for ended := false; waits != nil && !ended && !waits(); {
		select {
		case <-done:
			ended = true
		default:
		}
	}
	if waits == nil {
		<-done
	}
	close(hold.opened)
	<-held
	<-done
}

// begin starts the functions, and returns a channel that is closed when all of them have ended.
func begin(functions ...func()) <-chan struct{} {
	done := make(chan struct{})
	var all sync.WaitGroup
	for _, f := range functions {
		all.Go(f)
	}
	go func() {
		all.Wait()
		close(done)
	}()
	return done
}

// waitsForPython reports whether a session waits for a lock that the Python service holds.
func (r *rivals) waitsForPython(ctx context.Context) (waits bool) {
	err := r.checker.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE datname = current_database() AND $1::int = ANY (pg_blocking_pids(pid)))`, r.python.conn.PgConn().PID()).Scan(&waits)
	return waits || err != nil
}

// check compares what is stored with what the Python service acknowledged, and with this service's answer, nil if it
// failed.
func (r *rivals) check(ctx context.Context, user, id int64, pythons act, pythonOK bool, ours act, answer *cart.Cart) error {
	carts, err := stored(ctx, r.checker, user)
	if err != nil {
		return err
	}
	done := make(map[act]bool)
	done[pythons] = pythonOK
	done[ours] = done[ours] || answer != nil
	// A line may be in the cart or, where that was locked or checked out, in the next one.
	var first, changed, second bool
	for _, c := range carts {
		for _, i := range c.Items {
			first = first || i.ProductID == 1
			changed = changed || i.ProductID == 1 && i.Name != "first"
			second = second || i.ProductID == 2
		}
	}
	c := carts[id]
	if c == nil {
		c = &cart.Cart{}
	}
	switch {
	case done[addSecond] && !second:
		return errors.New("product 2 is lost")
	case done[changeFirst] && !done[removeFirst] && !changed:
		return errors.New("the change of product 1 is lost")
	case done[removeFirst] && !done[changeFirst] && first:
		return errors.New("product 1 is back")
	case done[checkOut] && c.Status != cart.CheckedOut:
		return fmt.Errorf("the checkout is undone: the status is %d", c.Status)
	case done[lock] && c.Status != cart.Locked && c.Status != cart.CheckedOut:
		return fmt.Errorf("the lock is undone: the status is %d", c.Status)
	case answer == nil || answer.ID != id:
		return nil
	case ours == checkOut && !slices.Equal(c.Items, answer.Items):
		return fmt.Errorf("%+v was checked out, and %+v is stored", answer.Items, c.Items)
	case len(answer.Items) > 0 && !pythonOK && c.Version != answer.Version:
		return fmt.Errorf("the cart is at version %d, and the answer said %d", c.Version, answer.Version)
	}
	return nil
}

// stored reads the carts of a user, by id.
func stored(ctx context.Context, conn *pgx.Conn, user int64) (map[int64]*cart.Cart, error) {
	rows, err := conn.Query(ctx, `
		SELECT c.id, c.status, c.version, i.product_id, i.name, (i.price * 100)::bigint, i.quantity
		FROM cart c LEFT JOIN cart_item i ON i.cart_id = c.id WHERE c.user_id = $1 ORDER BY i.id`, user)
	if err != nil {
		return nil, err
	}
	carts := make(map[int64]*cart.Cart)
	var c cart.Cart
	var product, price, quantity *int64
	var name *string
	_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Status, &c.Version, &product, &name, &price, &quantity}, func() error {
		if carts[c.ID] == nil {
			carts[c.ID] = &cart.Cart{ID: c.ID, Status: c.Status, Version: c.Version}
		}
		if product != nil {
			carts[c.ID].Items = append(carts[c.ID].Items, cart.Item{ProductID: *product, Name: *name, Price: cart.Money(*price), Quantity: *quantity})
		}
		return nil
	})
	return carts, err
}

var (
	pythonActs  = []act{addSecond, changeFirst, removeFirst, lock, checkOut}
	serviceActs = []act{addSecond, changeFirst, removeFirst, checkOut}
)

// newBridged returns the URL of a database on which the bridge is on.
func newBridged(t testing.TB) string {
	t.Helper()
	url := newDatabase(t)
	b := openBridge(t, url)
	if err := b.On(t.Context()); err != nil {
		t.Fatal(err)
	}
	return url
}

func openBridge(t testing.TB, url string) *postgres.Bridge {
	t.Helper()
	b, err := postgres.OpenBridge(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

// TestBridgeKeepsWhatIsAcknowledged makes both services do everything that they can do to one cart: each held at
// its worst moments, and not held at all. More than 300 of the races have a checkout, and more than 300 remove the last line.
func TestBridgeKeepsWhatIsAcknowledged(t *testing.T) {
	t.Parallel()
	for m, times := range map[moment]int{pythonHasRead: 13, pythonHasWrote: 13, serviceHasRead: 13, nobodyIsHeld: 38} {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			r := newRivals(t, newBridged(t))
			user := int64(0)
			for _, pythons := range pythonActs {
				for _, ours := range serviceActs {
					for range times {
						user++
						if err := r.race(t.Context(), user, pythons, ours, m); err != nil {
							t.Errorf("the Python service %s and this one %s, %s: %v", pythons, ours, m, err)
						}
					}
				}
			}
		})
	}
}

// TestWithoutBridgeBothServicesLose shows why there is a bridge: without it, these of the same races lose something.
func TestWithoutBridgeBothServicesLose(t *testing.T) {
	t.Parallel()
	type pair struct{ pythons, ours act }
	want := map[moment][]pair{
		pythonHasRead: {
			{addSecond, checkOut}, {changeFirst, checkOut}, {removeFirst, addSecond}, {removeFirst, checkOut}, {lock, checkOut},
		},
		pythonHasWrote: {
			{addSecond, removeFirst}, {addSecond, checkOut}, {changeFirst, checkOut},
			{lock, addSecond}, {lock, changeFirst}, {lock, removeFirst},
			{checkOut, addSecond}, {checkOut, changeFirst}, {checkOut, removeFirst},
		},
		serviceHasRead: {
			{addSecond, removeFirst}, {addSecond, checkOut}, {changeFirst, checkOut},
			{lock, addSecond}, {lock, changeFirst}, {lock, removeFirst},
			{checkOut, addSecond}, {checkOut, changeFirst}, {checkOut, removeFirst},
		},
	}
	r := newRivals(t, newDatabase(t))
	user := int64(0)
	for m := range want {
		var lost []pair
		for _, pythons := range pythonActs {
			for _, ours := range serviceActs {
				user++
				if err := r.race(t.Context(), user, pythons, ours, m); err != nil {
					lost = append(lost, pair{pythons, ours})
				}
			}
		}
		if diff := cmp.Diff(want[m], lost, cmp.AllowUnexported(pair{})); diff != "" {
			t.Errorf("what the Python service, held %s, and this one lose (-want +got):\n%s", m, diff)
		}
	}
}
