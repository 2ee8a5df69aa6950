package postgres_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, func() error { return goleak.Find() }))
}

// migrate brings the database at url up to date.
func migrate(ctx context.Context, url string) (err error) {
	m, closer, err := postgres.Migrator(url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	_, err = m.Up(ctx)
	return err
}

// newDatabase returns the URL of an empty, migrated database.
func newDatabase(t testing.TB) string {
	return pgtest.NewFromTemplate(t, "cart", migrate)
}

// connect opens a connection of its own to the database, and closes it at the end of the test.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// open opens a store, and closes it at the end of the test.
func open(t testing.TB, url string, options ...func(*pgxpool.Config)) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, 8, options...)
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
