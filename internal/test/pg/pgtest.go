//go:build unix

// Package pgtest provides tests with a real PostgreSQL server.
//
// The tests of one process share a server, which starts when the first of them asks for a database.
// Each test gets a database of its own, so all of them may run in parallel:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
//	func TestStore(t *testing.T) {
//		t.Parallel()
//		url := pgtest.NewFromTemplate(t, "cart", postgres.Migrate)
//		…
//	}
//
// TEST_DATABASE_URL names the server: a URL with a role that may create databases. Without that variable, pgtest starts
// a new server in a temporary directory, and removes it when the process ends, however it ends. It uses the programs
// initdb, pg_ctl and postgres in the directory that TEST_POSTGRES_BIN names or, without that variable, the newest
// PostgreSQL on the machine. Tests are never skipped for lack of a server: they fail, and say what to install.
//
// A test that stops the server starts one of its own with [Start]; a test of a failover adds a [Standby]; a test that
// breaks connections puts a [Proxy] in front of the server. Programs that are not tests use [NewCluster] and
// [StartProxy].
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// dropTimeout bounds the cleanup after a test.
const dropTimeout = 30 * time.Second

// shared is the server that the tests of this process share.
var shared host

// Main runs the tests, stops the shared server if it was started and, if the tests passed, runs the checks, such as a
// search for leaked goroutines. It returns the exit code.
func Main(m *testing.M, checks ...func() error) int {
	code := m.Run()
	err := shared.close(context.Background())
	if code == 0 {
		for _, check := range checks {
			err = errors.Join(err, check())
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}

// NewDatabase returns the URL of a new, empty database. It is dropped at the end of the test, even if there are still
// connections to it. The options are those of CREATE DATABASE, for unusual databases:
//
//	pgtest.NewDatabase(t, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
func NewDatabase(t testing.TB, options ...string) string {
	t.Helper()
	return newDatabase(t, "template0", options...)
}

// NewFromTemplate returns the URL of a new database that is a copy of a template. The first call
// with a name makes the template: build fills the empty database at url, and closes its connections
// to it. Later calls with this name in this process copy what it built, or fail with its error.
// The copy is dropped at the end of the test, even if there are still connections to it.
func NewFromTemplate(t testing.TB, name string, build func(ctx context.Context, url string) error) string {
	t.Helper()
	template, err := shared.template(t.Context(), name, build)
	if err != nil {
		t.Fatalf("pgtest: template %s: %v", name, err)
	}
	return newDatabase(t, template)
}

func newDatabase(t testing.TB, template string, options ...string) string {
	t.Helper()
	name, err := shared.create(t.Context(), template, options...)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropTimeout)
		defer cancel()
		if err := shared.drop(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return shared.databaseURL(name)
}
