package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/postgres"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

func TestMigrationsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir("migrations")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if want := fmt.Sprintf("%05d_", i+1); !strings.HasPrefix(f.Name(), want) {
			t.Errorf("migration %d is called %s, want a name that begins with %s", i+1, f.Name(), want)
		}
	}
	m, closer, err := postgres.Migrator(newDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	have, newest, err := m.GetVersions(t.Context())
	if err = errors.Join(err, closer()); err != nil {
		t.Fatal(err)
	}
	if have != newest || newest != int64(len(files)) {
		t.Errorf("a new database is at version %d of %d, with %d files", have, newest, len(files))
	}
}

func TestMigrationsGoForwardAndBack(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	want := query(t, url, schema)
	m, closer, err := postgres.Migrator(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closer(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := m.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	left := query(t, url, `SELECT relname FROM pg_class WHERE relname LIKE 'cart%' OR relname LIKE '%\_cart\_%'`)
	if len(left) > 0 {
		t.Errorf("after all migrations were taken back there are %v", left)
	}
	if _, err := m.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, query(t, url, schema)); diff != "" {
		t.Errorf("the schema after down and up again: %s", diff)
	}
}

func TestInstancesMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := pgtest.NewDatabase(t)
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = migrate(context.Background(), url) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(query(t, newDatabase(t), schema), query(t, url, schema)); diff != "" {
		t.Errorf("the schema: %s", diff)
	}
}

func TestOldSchemaIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		url  func(t *testing.T) string
		have int64
	}{
		"empty database":                {func(t *testing.T) string { return pgtest.NewDatabase(t) }, 0},
		"database of the old service":   {func(t *testing.T) string { return newLegacyDatabase(t) }, 0},
		"database one migration behind": {oneBehind, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.Open(t.Context(), tc.url(t), 2)
			var old *postgres.SchemaError
			if !errors.As(err, &old) || old.Have != tc.have || old.Need != 3 || !strings.Contains(err.Error(), "sellio-cart migrate up") {
				t.Errorf("got %v, want a SchemaError that says what to run", err)
			}
		})
	}
}

func oneBehind(t *testing.T) string {
	url := newDatabase(t)
	m, closer, err := postgres.Migrator(url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Down(t.Context())
	if err = errors.Join(err, closer()); err != nil {
		t.Fatal(err)
	}
	return url
}

// A rollback is the older program on the newer schema: it has nothing to migrate, and serves.
func TestNewerSchemaIsServed(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	exec(t, url, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
	if err := migrate(t.Context(), url); err != nil {
		t.Errorf("migrate: %v", err)
	}
	if err := open(t, url).Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}
