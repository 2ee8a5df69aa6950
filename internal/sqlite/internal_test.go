package sqlite

import (
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

func openTest(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "cart.db"))
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

// Every connection has the settings, however many there are.
func TestSettings(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for _, pool := range []struct {
		name      string
		db        *sql.DB
		queryOnly string
	}{{"write", s.write, "0"}, {"read", s.read, "1"}} {
		n := pool.db.Stats().MaxOpenConnections
		if n < 1 {
			t.Fatalf("%s has no bound on its connections", pool.name)
		}
		for i := range n {
			conn, err := pool.db.Conn(t.Context()) // held until the end, so that the next is another one
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			for pragma, want := range map[string]string{
				"journal_mode": "wal",
				"synchronous":  "2", // FULL
				"foreign_keys": "1",
				"busy_timeout": "5000",
				"cache_size":   "-8192",
				"query_only":   pool.queryOnly,
			} {
				var got string
				if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil {
					t.Fatal(err)
				}
				if got != want {
					t.Errorf("%s connection %d: %s is %s, want %s", pool.name, i, pragma, got, want)
				}
			}
		}
	}
}

func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	if _, err := s.read.ExecContext(t.Context(), "DELETE FROM cart"); err == nil {
		t.Error("a reader has written")
	}
}

// No statement scans a whole table: all of them stay fast when the tables grow.
func TestPlans(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	wholeTable := regexp.MustCompile(`^SCAN (a|c|cart|cart_item|cart_request|u|due)\b`)
	for _, stmt := range []struct {
		name, sql  string
		parameters int
	}{
		{"load", loadSQL, 1},
		{"list", listSQL, 5},
		{"updateCart", updateCartSQL, 5},
		{"activateCart", activateCartSQL, 5},
		{"deleteCart", deleteCartSQL, 2},
		{"freeCookie", freeCookieSQL, 3},
		{"updateLine", updateLineSQL, 6},
		{"receipts", receiptsSQL, 1},
		{"named", namedSQL, 1},
		{"user's basket", basketSQL(ofUser), 4},
		{"guest's basket", basketSQL(ofGuest), 4},
		{"user's totals", totalsSQL(ofUser), 3},
		{"guest's totals", totalsSQL(ofGuest), 3},
		{"guestCarts", guestCartsSQL, 3},
		{"overdue", overdueSQL, 3},
		{"mates", matesSQL, 2},
		{"amendCart", amendCartSQL, 11},
		{"isAt", isAtSQL, 2},
		{"forget", forgetSQL, 2},
		{"deleteLine", deleteLineSQL, 2},
	} {
		steps := plan(t, s.read, stmt.sql, make([]any, stmt.parameters))
		if len(steps) == 0 {
			t.Errorf("%s has no plan", stmt.name)
		}
		for _, step := range steps {
			if wholeTable.MatchString(step) {
				t.Errorf("%s: %s", stmt.name, step)
			}
		}
	}
}

func plan(t *testing.T, db *sql.DB, text string, args []any) (steps []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// Migrations are numbered from 1 without gaps or duplicates, and each can be undone.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(migrations, "migrations/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d migrations, %v", len(files), err)
	}
	for i, file := range files {
		if want := fmt.Sprintf("migrations/%05d_", i+1); !strings.HasPrefix(file, want) || !strings.HasSuffix(file, ".sql") {
			t.Errorf("%s is not %s….sql", file, want)
		}
		text, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{"-- +goose Up\n", "-- +goose Down\n"} {
			if strings.Count(string(text), part) != 1 {
				t.Errorf("%s has not one %q", file, part)
			}
		}
	}
}

// A full disk is told apart from refused data, and what did not fit leaves nothing behind.
func TestFull(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	setPages := func(pages int) {
		if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", pages)); err != nil {
			t.Fatal(err)
		}
	}
	owner := cart.User(7)
	lines := make([]cart.Item, cart.MaxLines)
	for i := range lines {
		lines[i] = cart.Item{ProductID: int64(i), Name: strings.Repeat("x", 255), Quantity: 1}
	}
	big := cart.Diff(nil, &cart.Cart{
		CompanyID: 1, UserID: &owner.UserID, Status: cart.Active, Version: 1, Items: lines,
	})
	setPages(1) // means: as many as there are
	_, err := s.Save(t.Context(), []cart.Change{big})
	if cart.CodeOf(err) != cart.CodeUnavailable {
		t.Fatalf("Save on a full disk: %v", err)
	}
	got, err := s.Load(t.Context(), []cart.Ref{cart.ActiveOf(1, owner)})
	if err != nil || got[0] != nil {
		t.Fatalf("Load: %+v, %v", got, err)
	}
	setPages(1 << 30)
	saved, err := s.Save(t.Context(), []cart.Change{big})
	if err != nil || !saved[0].OK {
		t.Fatalf("Save: %+v, %v", saved, err)
	}
}

func TestParseLines(t *testing.T) {
	t.Parallel()
	got, err := parseLines("1 -250 3 5 a 1 b2 0 2147483647 0 ")
	want := []cart.Item{{ProductID: 1, Name: "a 1 b", Price: -250, Quantity: 3}, {ProductID: 2, Quantity: 2147483647}}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for _, text := range []string{" ", "1", "1 2 3", "1 2 3 4 abc", "1 2 3 -1 a", "x 2 3 1 a", "1 2 3 1 a ", "1 2 3 9223372036854775808 a"} {
		if got, err := parseLines(text); err == nil {
			t.Errorf("%q has the lines %+v", text, got)
		}
	}
}
