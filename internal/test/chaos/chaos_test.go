//go:build linux

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// binDir is the directory into which the program is built.
var binDir string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) (code int) {
	var err error
	if binDir, err = os.MkdirTemp("", "chaos-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binDir)
	return pgtest.Main(m, func() error { return goleak.Find() })
}

// rounds returns how often each fault strikes.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv("CHAOS_ROUNDS")
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CHAOS_ROUNDS=%q: must be a whole number from 1", text)
	}
	return n
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	d := newPostgres(t)
	s := d.site
	s.run(rounds(t), []fault{
		{"database killed", 1, func() { d.restart(pgtest.Immediate) }},
		{"database stopped", 0, func() { d.restart(pgtest.Fast) }},
		{"connections cut", 0, d.cut},
		{"connections refused", 0, d.refuse},
		{"network silent", 0, d.silence},
		{"connections lost without a word", 0, d.strand},
		{"statements and answers lost", 0, d.lose},
		{"disk full", 0, d.fullDisk},
		{"lines locked by another session", 0, d.lock},
		{"one cart locked by another session", 0, d.lockCart},
		{"read-only and back", 0, d.readOnly},
		{"login refused", 0, d.refuseLogin},
		{"restored from a backup", 0, d.restore},
		{"primary killed, standby promoted", 1, d.failOver},
		{"one instance killed", 1, s.killOne},
		{"one instance stopped", 0, s.stopOne},
		{"everything killed", 1 + instances, d.killAll},
	})
	fmt.Print(s.table())
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	s := d.site
	s.run(rounds(t), []fault{
		{"disk full", 0, d.fullDisk},
		{"file locked by another program", 0, d.lock},
		{"one instance killed", 1, s.killOne},
		{"one instance stopped", 0, s.stopOne},
		{"both instances killed", instances, d.killAll},
	})
	fmt.Print(s.table())
}

// TestLedgerFindsFaults breaks stored carts on purpose, to check that the ledger notices.
func TestLedgerFindsFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, sql string
		want      verdict
	}{
		{"a line is gone", "DELETE FROM cart_item WHERE id = (SELECT min(id) FROM cart_item)", torn},
		{"a line has changed", "UPDATE cart_item SET quantity = quantity + 1 WHERE id = (SELECT min(id) FROM cart_item)", torn},
		{"a cart is gone", "DELETE FROM cart WHERE id = (SELECT min(id) FROM cart)", lost},
		{"a change is gone", "UPDATE cart SET version = version - 1 WHERE id = (SELECT min(id) FROM cart)", lost},
		{"a change was made twice", "UPDATE cart SET version = version + 1 WHERE id = (SELECT min(id) FROM cart)", doubled},
		{"a cart nobody made", "INSERT INTO cart (user_id, company_id, created_at, updated_at) VALUES (1, 77, 0, 0)", doubled},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "tampered with")
			path := filepath.Join(t.TempDir(), "cart.db")
			s.fill(path)
			if found := s.compare(readSQLite(t, path)); len(found) > 0 {
				t.Fatalf("finds %v in carts that are right", found)
			}
			db := openSQLite(t, path)
			if _, err := db.ExecContext(t.Context(), test.sql); err != nil {
				t.Fatal(err)
			}
			if found := s.compare(readSQLite(t, path)); len(found) != 1 || found[0].verdict != test.want {
				t.Errorf("finds %v, want one that is %v", found, test.want)
			}
		})
	}
}

// fill puts lines into a cart of the first client, in a database file that no service has open.
func (s *site) fill(path string) {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), path)
	if err != nil {
		s.t.Fatal(err)
	}
	c := s.clients[0]
	l := c.lives[0]
	for range 3 {
		cmd := cart.AddItem{CompanyID: l.company, Owner: l.owner, Item: c.newItem()}
		carts, err := store.Load(s.t.Context(), []cart.Ref{cmd.Ref()})
		if err != nil {
			s.t.Fatal(err)
		}
		after, err := cmd.Apply(carts[0])
		if err != nil {
			s.t.Fatal(err)
		}
		saved, err := store.Save(s.t.Context(), []cart.Change{cart.Diff(carts[0], after)})
		if err != nil || !saved[0].OK {
			s.t.Fatalf("save: %+v, %v", saved, err)
		}
		if after.ID == 0 {
			after.ID = saved[0].ID
		}
		if v := l.take(cmd, answer{cart: after}); v != right {
			s.t.Fatalf("the answer is %v", v)
		}
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
}
