package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
		"database one migration behind": {oneBehind, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := postgres.Open(t.Context(), tc.url(t), 2)
			var old *postgres.SchemaError
			if !errors.As(err, &old) || old.Have != tc.have || old.Need != 5 || !strings.Contains(err.Error(), "sellio-cart migrate up") {
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

// TestNewerSchemaIsServed runs the program on a newer schema, as after a rollback: it has nothing to migrate, and serves.
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

// TestMigrationsHoldNobodyUp checks that a migration waits only briefly for a lock, unless no other session has to wait
// for the migration in turn.
func TestMigrationsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		sql, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want := "SET LOCAL lock_timeout = '200ms';"
		if strings.Contains(string(sql), "-- +goose NO TRANSACTION") {
			want = "SET lock_timeout = 0;\nSET statement_timeout = 0;"
		}
		for _, way := range []string{"Up", "Down"} {
			if !strings.Contains(string(sql), "-- +goose "+way+"\n"+want+"\n") {
				t.Errorf("%s does not begin its way %s with %s", file, way, want)
			}
		}
	}
}

// TestReadersGoOnDuringAMigration has a transaction that has read a cart hold a migration up.
func TestReadersGoOnDuringAMigration(t *testing.T) {
	t.Parallel()
	url := newLegacyDatabase(t)
	holder := connect(t, url)
	if _, err := holder.Exec(t.Context(), "BEGIN; SELECT FROM cart LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	migrated := make(chan error, 1)
	go func() { migrated <- migrate(t.Context(), url) }()
	for range 2 { // it tries again
		until(t, "the migration waits for the table", func() bool {
			return query(t, url, `SELECT count(*) FROM pg_locks WHERE relation = 'cart'::regclass AND NOT granted`)[0] == "1"
		})
		// Without a timeout this would wait for the migration, which waits for the holder, which waits for this.
		query(t, url, "SET statement_timeout = '20s'; SELECT count(*) FROM cart")
	}
	if _, err := holder.Exec(t.Context(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil {
		t.Error(err)
	}
	open(t, url)
}
