package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/sqlite"
	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, newDatabase(func(_ testing.TB, s *sqlite.Store) cart.Store { return s }))
}

func TestCommandsOneByOne(t *testing.T) {
	t.Parallel()
	storetest.RunCommands(t, newDatabase(func(_ testing.TB, s *sqlite.Store) cart.Service {
		return storetest.OneByOne{Store: s}
	}))
}

func TestCommandsThroughGroupCommit(t *testing.T) {
	t.Parallel()
	storetest.RunCommands(t, newDatabase(func(t testing.TB, s *sqlite.Store) cart.Service {
		service := commit.New(s, commit.Options{
			WriteLanes: 2, ReadLanes: 2, BatchSize: 64, QueueSize: 2000, Timeout: time.Minute,
			Logger: slog.New(slog.DiscardHandler),
		})
		t.Cleanup(func() {
			if err := service.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return service
	}))
}

// newDatabase returns a function that makes databases, whose stores the suites get through wrap.
func newDatabase[T any](wrap func(testing.TB, *sqlite.Store) T) func(testing.TB) storetest.Database[T] {
	return func(t testing.TB) storetest.Database[T] {
		path := filepath.Join(t.TempDir(), "cart.db")
		open(t, path)
		return storetest.Database[T]{
			Open:   func(t testing.TB) T { return wrap(t, open(t, path)) },
			Insert: func(t testing.TB, c cart.Cart) int64 { return insert(t, path, c) },
		}
	}
}

// open opens a store, and closes it at the end of the test.
func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// insert writes a cart without checking any rule.
func insert(t testing.TB, path string, c cart.Cart) (id int64) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_busy_timeout=60000")
	if err != nil {
		t.Fatal(err)
	}
	err = inTransaction(db, func(tx *sql.Tx) error {
		now := time.Now().UnixMicro()
		err := tx.QueryRow(`INSERT INTO cart (company_id, user_id, cookie, status, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			c.CompanyID, c.UserID, c.Cookie, c.Status, now, now).Scan(&id)
		for _, i := range c.Items {
			_, e := tx.Exec(`INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES (?, ?, ?, ?, ?)`,
				id, i.ProductID, i.Name, int64(i.Price), i.Quantity)
			err = errors.Join(err, e)
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return id
}

func inTransaction(db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
