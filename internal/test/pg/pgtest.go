//go:build unix

// Package pgtest gives tests a real PostgreSQL.
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
// The server is the one that TEST_DATABASE_URL names, by a URL of a role that may create databases.
// Without that variable it is a new one in a temporary directory, and gone with the process, however the
// process ends. It is made with the programs in the directory that TEST_POSTGRES_BIN names (initdb, pg_ctl
// and postgres), and without that one with the newest PostgreSQL on the machine. Tests never skip for want
// of a server: they fail, and say what to install.
//
// A test that stops the server takes one of its own with [Start]; a test of a failover gives that one a
// [Standby]; a test that breaks connections puts a [Proxy] in front of a server. Programs
// that are not tests use [NewCluster] and [StartProxy].
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// dropTimeout bounds the clean-up after a test.
const dropTimeout = 30 * time.Second

// shared is the server that the tests of this process share.
var shared host

// Main runs the tests, stops the shared server if one was started, and then, when the tests have
// passed, runs the checks, such as a search for leaked goroutines. It returns the exit code.
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

// NewDatabase returns the URL of a new, empty database. It is dropped at the end of the test, even
// when there are still connections to it. The options are those of CREATE DATABASE, for databases that
// are out of the ordinary:
//
//	pgtest.NewDatabase(t, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
func NewDatabase(t testing.TB, options ...string) string {
	t.Helper()
	return newDatabase(t, "template0", options...)
}

// NewFromTemplate returns the URL of a new database that is a copy of a template. The first call
// with a name makes the template: build fills the empty database at url, and closes its connections
// to it. Later calls with this name in this process copy what it built, or fail with its error.
// The copy is dropped at the end of the test, even when there are still connections to it.
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
