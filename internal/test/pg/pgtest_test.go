//go:build unix

package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if end := os.Getenv(childEnv); end != "" {
		os.Exit(child(end))
	}
	os.Exit(Main(m, func() error { return goleak.Find() }))
}

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

func execute(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func query[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func databaseExists(t testing.TB, server, database string) bool {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	return query[bool](t, connect(t, server),
		"SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", strings.TrimPrefix(u.Path, "/"))
}

func TestNewDatabase(t *testing.T) {
	t.Parallel()
	observer := NewDatabase(t)
	var first string
	t.Run("a test", func(t *testing.T) {
		first = NewDatabase(t)
		second := NewDatabase(t)
		execute(t, connect(t, first), "CREATE TABLE x (id int)")
		// Both databases have the same tables unless each is a database of its own.
		tables := query[int](t, connect(t, second), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
		if tables != 0 {
			t.Errorf("a new database has %d tables, want none", tables)
		}
		if !databaseExists(t, observer, first) {
			t.Error("the database does not exist during the test")
		}
	})
	if databaseExists(t, observer, first) {
		t.Error("the database is still there after the test")
	}
}

func TestNewDatabaseIsDroppedInUse(t *testing.T) {
	t.Parallel()
	observer := NewDatabase(t)
	var database string
	var conn *pgx.Conn
	t.Run("a test", func(t *testing.T) {
		database = NewDatabase(t)
		var err error
		// This connection outlives the test.
		if conn, err = pgx.Connect(t.Context(), database); err != nil {
			t.Fatal(err)
		}
	})
	if databaseExists(t, observer, database) {
		t.Error("the database is still there after the test")
	}
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection to a dropped database works")
	}
}

func TestNewFromTemplate(t *testing.T) {
	t.Parallel()
	name := rand.Text()
	var builds atomic.Int32
	build := func(ctx context.Context, url string) error {
		builds.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE TABLE x AS SELECT 1 AS id")
		return errors.Join(err, conn.Close(ctx))
	}
	t.Run("tests", func(t *testing.T) {
		for range 8 {
			t.Run("a test", func(t *testing.T) {
				t.Parallel()
				conn := connect(t, NewFromTemplate(t, name, build))
				execute(t, conn, "INSERT INTO x VALUES (2)")
				if n := query[int](t, conn, "SELECT count(*) FROM x"); n != 2 {
					t.Errorf("%d rows, want the template's and the test's", n)
				}
			})
		}
	})
	if n := builds.Load(); n != 1 {
		t.Errorf("the template was built %d times", n)
	}
}

func TestTemplateError(t *testing.T) {
	t.Parallel()
	name := rand.Text()
	broken := errors.New("broken")
	var builds int
	for range 2 {
		_, err := shared.template(t.Context(), name, func(context.Context, string) error {
			builds++
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("error %v, want %v", err, broken)
		}
	}
	if builds != 1 {
		t.Errorf("the template was built %d times", builds)
	}
}

// On a server from TEST_DATABASE_URL, a role that may create databases is enough, and nothing is left over.
func TestServerFromEnvironment(t *testing.T) {
	server := Start(t)
	admin := connect(t, server.URL())
	execute(t, admin, "CREATE ROLE tester LOGIN CREATEDB PASSWORD 'secret'")
	u, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.RawQuery = url.UserPassword("tester", "secret"), ""
	t.Setenv("TEST_DATABASE_URL", u.String())

	var h host
	template, err := h.template(t.Context(), "x", func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE SCHEMA x")
		return errors.Join(err, conn.Close(ctx))
	})
	if err != nil {
		t.Fatal(err)
	}
	name, err := h.create(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	conn := connect(t, h.databaseURL(name)+"&application_name=y")
	if !query[bool](t, conn, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'x')") {
		t.Error("the copy of the template is empty")
	}
	if got := query[string](t, conn, "SHOW application_name"); got != "y" {
		t.Errorf("a parameter that was added to the URL is %q", got)
	}
	if err := errors.Join(h.drop(t.Context(), name), h.close(t.Context())); err != nil {
		t.Error(err)
	}
	if n := query[int](t, admin, "SELECT count(*) FROM pg_database WHERE datname LIKE 'pgtest%'"); n != 0 {
		t.Errorf("%d databases were left over", n)
	}
}

func TestServerURLErrorsHideThePassword(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"postgres://u:secret@h:port/db", "mysql://u:secret@h/db", "password=secret host=h"} {
		if _, err := parseServerURL(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("parseServerURL(%q): error %v, want one without the password", text, err)
		}
	}
}
