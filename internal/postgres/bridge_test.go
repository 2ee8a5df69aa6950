package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// TestStoreBesideBridge and TestCommandsBesideBridge run the suites with the bridge on: it changes nothing for this
// service, versions included. Behind PgBouncer it runs without prepared statements.
func TestStoreBesideBridge(t *testing.T) {
	t.Parallel()
	storetest.Run(t, suiteDatabase(func(t testing.TB) string { return withOption(newBridged(t), "default_query_exec_mode=exec") },
		func(_ testing.TB, s *postgres.Store) cart.Store { return s }))
}

func TestCommandsBesideBridge(t *testing.T) {
	t.Parallel()
	storetest.RunCommands(t, suiteDatabase(newBridged,
		func(t testing.TB, s *postgres.Store) cart.Service { return service(t, s) }))
}

// everything lists the triggers that are not the database's own, and the functions that no extension brings.
const everything = `
	SELECT 'trigger', tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE '%bridge%'
	UNION ALL
	SELECT 'function', pronamespace::regnamespace::text, proname FROM pg_proc WHERE oid >= 16384 AND proname LIKE '%bridge%'
	ORDER BY 1, 2, 3`

func state(t testing.TB, b *postgres.Bridge) postgres.BridgeState {
	t.Helper()
	s, err := b.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestBridgeComesAndGoes(t *testing.T) {
	t.Parallel()
	// The tables need not be in public, and a name may need quotes.
	url := pgtest.NewDatabase(t)
	exec(t, url, `CREATE SCHEMA "the carts"`)
	url += "&search_path=%22the%20carts%22"
	if err := migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	b := openBridge(t, url)
	for range 2 {
		if err := b.On(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		`function|"the carts"|sellio_cart_bridge_cart`, `function|"the carts"|sellio_cart_bridge_gone`,
		`function|"the carts"|sellio_cart_bridge_line`, `trigger|cart|sellio_cart_bridge_cart`,
		`trigger|cart|sellio_cart_bridge_gone`, `trigger|cart_item|sellio_cart_bridge_line`,
	}
	if diff := cmp.Diff(want, query(t, url, everything)); diff != "" || !state(t, b).On() {
		t.Errorf("with the bridge on, which the state %+v says: %s", state(t, b), diff)
	}
	exec(t, url, `INSERT INTO cart (company_id, user_id) VALUES (1, 7)`)
	exec(t, url, `
		SET search_path = '';
		INSERT INTO "the carts".cart_item (cart_id, product_id, name, price, quantity) VALUES (1, 1, 'x', 1, 1)`)
	if got := query(t, url, `SELECT version FROM cart`); !slices.Equal(got, []string{"2"}) {
		t.Errorf("a cart and then a line put it at version %v, want 2", got)
	}
	for range 2 {
		if err := b.Off(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left := query(t, url, everything); len(left) > 0 || !state(t, b).Off() {
		t.Errorf("with the bridge off, which the state %+v says, there are %v", state(t, b), left)
	}
}

func TestBridgeInPartsIsSeenAndMended(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"a trigger is missing":          `DROP TRIGGER sellio_cart_bridge_line ON cart_item`,
		"a trigger is disabled":         `ALTER TABLE cart_item DISABLE TRIGGER sellio_cart_bridge_line`,
		"a function is missing":         `DROP FUNCTION sellio_cart_bridge_line CASCADE`,
		"a function is another release": `CREATE OR REPLACE FUNCTION sellio_cart_bridge_line() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newBridged(t)
			b := openBridge(t, url)
			exec(t, url, sql)
			s := state(t, b)
			if s.On() || s.Off() || !slices.Equal(s.Amiss, []string{"sellio_cart_bridge_line"}) {
				t.Errorf("the state is %+v", s)
			}
			if err := b.On(t.Context()); err != nil || !state(t, b).On() {
				t.Errorf("on again: %v, %+v", err, state(t, b))
			}
			exec(t, url, sql)
			if err := b.Off(t.Context()); err != nil || len(query(t, url, everything)) > 0 {
				t.Errorf("off: %v, and there are %v", err, query(t, url, everything))
			}
		})
	}
}

func TestBridgeNeedsItsSchema(t *testing.T) {
	t.Parallel()
	b := openBridge(t, newLegacyDatabase(t))
	if s := state(t, b); !s.Off() {
		t.Errorf("on tables of the Python service the state is %+v", s)
	}
	if _, ok := errors.AsType[*postgres.SchemaError](b.On(t.Context())); !ok {
		t.Error("the bridge can be built on tables without versions")
	}
	bridgedURL := newBridged(t)
	m, closer, err := postgres.Migrator(bridgedURL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.DownTo(t.Context(), 1)
	if err = errors.Join(err, closer()); err == nil || !strings.Contains(err.Error(), "cannot drop column version") {
		t.Errorf("the version was taken from under the bridge: %v", err)
	}
}

// untilTrue asks the question until the answer is true, or one of the sessions that should make it true has ended.
func untilTrue(t testing.TB, url, question string, ended ...<-chan struct{}) {
	t.Helper()
	conn := connect(t, url)
	isClosed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	for yes := false; !yes && !slices.ContainsFunc(ended, isClosed); {
		if err := conn.QueryRow(t.Context(), question).Scan(&yes); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBridgeWaitsWithoutHoldingOthersUp has a transaction lock the tables, so that the bridge must wait. Other sessions
// read and write meanwhile.
func TestBridgeWaitsWithoutHoldingOthersUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		keep   string
		change func(*postgres.Bridge, context.Context) error
	}{
		"on, behind a writer":  {`INSERT INTO cart (company_id, user_id) VALUES (1, 1)`, (*postgres.Bridge).On},
		"off, behind a reader": {`SELECT FROM cart`, (*postgres.Bridge).Off},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newBridged(t)
			b := openBridge(t, url)
			keeper := connect(t, url)
			tx, err := keeper.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), tc.keep); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- tc.change(b, t.Context()) }()
			untilTrue(t, url, `SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation IN ('cart'::regclass, 'cart_item'::regclass)`)
			if _, err := storetest.Do(t.Context(), service(t, open(t, url)), add(2, 1)); err != nil {
				t.Errorf("a write while the bridge waits: %v", err)
			}
			if err := tx.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestBridgeDeadlock has both services wait for each other: this one for a line, the Python service for the cart. One of
// them is ended, and gets an error.
func TestBridgeDeadlock(t *testing.T) {
	t.Parallel()
	url := newBridged(t)
	s, third := open(t, url), connect(t, url)
	line := func(product, quantity int64) cart.Item {
		return cart.Item{ProductID: product, Name: "x", Price: 100, Quantity: quantity}
	}
	user := int64(7)
	c := &cart.Cart{CompanyID: 1, UserID: &user, Status: cart.Active, Version: 1, Items: []cart.Item{line(1, 1), line(2, 1)}}
	saved, err := s.Save(t.Context(), []cart.Change{cart.Diff(nil, c)})
	if err != nil {
		t.Fatal(err)
	}
	c.ID = saved[0].ID
	next := *c
	next.Version, next.Items = 2, []cart.Item{line(1, 5), line(2, 5)}

	tx, err := third.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM cart_item WHERE product_id = 1 FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	const waiting = `SELECT count(*) = %d FROM pg_stat_activity
		WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`
	var ours, pythons error
	service := begin(func() { saved, ours = s.Save(t.Context(), []cart.Change{cart.Diff(c, &next)}) })
	untilTrue(t, url, fmt.Sprintf(waiting, 1), service) // has the cart, wants the first line
	python := connect(t, url)
	rival := begin(func() {
		_, pythons = python.Exec(t.Context(), `UPDATE cart_item SET quantity = 9 WHERE product_id = 2`)
	})
	untilTrue(t, url, fmt.Sprintf(waiting, 2), service, rival) // has the second line, wants the cart
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-service
	<-rival
	checkDeadlock(t, url, ours == nil && saved[0].OK, ours, pythons)
}

// checkDeadlock compares what is stored with what the services were told. This service gives way first if its
// lock_timeout is shorter than deadlock_timeout.
func checkDeadlock(t *testing.T, url string, saved bool, ours, pythons error) {
	t.Helper()
	if pe, refused := errors.AsType[*pgconn.PgError](pythons); pythons != nil && (!refused || pe.Code != "40P01") {
		t.Errorf("python: %v", pythons)
	}
	if code := cart.CodeOf(ours); ours != nil && code != cart.CodeConflict && code != cart.CodeUnavailable {
		t.Errorf("service: %v", ours)
	}
	want := "5|5"
	switch {
	case !saved && pythons != nil:
		t.Errorf("both were ended: %v, %v", ours, pythons)
	case !saved:
		want = "1|9"
	case pythons == nil:
		want = "5|9"
	}
	got := query(t, url, `SELECT a.quantity, b.quantity FROM cart_item a, cart_item b WHERE a.product_id = 1 AND b.product_id = 2`)
	if got[0] != want {
		t.Errorf("quantities %s, want %s", got[0], want)
	}
}
