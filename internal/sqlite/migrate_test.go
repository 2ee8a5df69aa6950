package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pressly/goose/v3"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

// migrator returns a migrator that ends with the test.
func migrator(t *testing.T, path string) *goose.Provider {
	t.Helper()
	m, end, err := sqlite.Migrator(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// schema returns the statements that created the tables and indexes in the file.
func schema(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	objects := make(map[string]string)
	for rows.Next() {
		var name, text string
		if err := rows.Scan(&name, &text); err != nil {
			t.Fatal(err)
		}
		objects[name] = text
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestMigrateForthAndBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	m := migrator(t, path)
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := schema(t, path)
	for _, name := range []string{
		"cart", "cart_item", "uq_cart_company_user_active", "uq_cart_company_cookie_active",
		"ix_cart_user_id", "ix_cart_item_cart_id", "uq_cart_item_cart_product",
		"cart_request", "ix_cart_request_at", "ix_cart_cookie", "ix_cart_locked_until", "sellio_cart_unlocked",
	} {
		if first[name] == "" {
			t.Errorf("there is no %s", name)
		}
	}
	if _, err := m.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if left := schema(t, path); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, schema(t, path)); diff != "" {
		t.Errorf("the second time differs (-first +second):\n%s", diff)
	}
}

// Carts are not dropped by going back one migration too many.
func TestMigrateKeepsCarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	s := open(t, path)
	id := insert(t, path, cart.Cart{CompanyID: 1, Status: cart.Active})
	m := migrator(t, path)
	if _, err := m.DownTo(t.Context(), 0); err == nil {
		t.Error("the tables were dropped")
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	carts, err := s.Load(t.Context(), []cart.Ref{cart.ByID(id)})
	if err != nil || carts[0] == nil {
		t.Errorf("Load: %+v, %v", carts, err)
	}
}

func TestMigrateOneAtATime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	migrator(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := sqlite.Migrator(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second migrator: %v", err)
	}
	if _, err := sqlite.Open(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Open beside a migrator: %v", err)
	}
}

// Several instances may start at once on a file that is not there yet, and write at once.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	for range 5 {
		path := filepath.Join(t.TempDir(), "cart.db")
		const stores = 8
		var wg sync.WaitGroup
		for n := range int64(stores) {
			wg.Go(func() {
				if err := openAndSave(t.Context(), path, n+1, 3); err != nil {
					t.Errorf("store %d: %v", n, err)
				}
			})
		}
		wg.Wait()
		wantCarts(t, path, stores, 3)
	}
}

// openAndSave opens a store and creates carts of the user, one Save each.
func openAndSave(ctx context.Context, path string, user, carts int64) (err error) {
	s, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for company := range carts {
		saved, err := s.Save(ctx, []cart.Change{cart.Diff(nil, usersCart(company+1, user))})
		if err != nil {
			return err
		}
		if !saved[0].OK {
			return errors.New("the cart was not created")
		}
	}
	return nil
}

func usersCart(company, user int64) *cart.Cart {
	return &cart.Cart{
		CompanyID: company, UserID: &user, Status: cart.Active, Version: 1,
		Items: []cart.Item{{ProductID: 1, Name: "Tea", Price: 250, Quantity: 2}},
	}
}

// wantCarts checks that each user from 1 to users has carts at companies 1 to carts.
func wantCarts(t *testing.T, path string, users, carts int64) {
	t.Helper()
	s := open(t, path)
	for user := range users {
		got, err := s.List(t.Context(), cart.Listing{UserID: user + 1, Limit: cart.MaxCartsAsked})
		if err != nil || int64(len(got)) != carts {
			t.Errorf("user %d has %d carts, %v", user+1, len(got), err)
		}
	}
}
