package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

// TestPingNotices does to the file of an open store what makes it useless, and puts it right again where that can be.
func TestPingNotices(t *testing.T) {
	t.Parallel()
	truncate := func(share int64) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			file, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			must(t, os.Truncate(path, file.Size()*share/100))
		}
	}
	for name, tt := range map[string]struct {
		do   func(t *testing.T, path string)
		undo func(path string) error // nil: it stays broken
	}{
		"deleted":  {func(t *testing.T, path string) { must(t, os.Rename(path, path+".away")) }, func(path string) error { return os.Rename(path+".away", path) }},
		"emptied":  {truncate(0), nil},
		"cut":      {truncate(50), nil},
		"replaced": {func(t *testing.T, path string) { must(t, os.Rename(path, path+".old")); open(t, path) }, nil},
		"marked read-only": {
			func(t *testing.T, path string) { must(t, os.Chmod(path, 0o444)) }, func(path string) error { return os.Chmod(path, 0o600) },
		},
		// SQLite reads a file of a later version, and does not write it: root, who may write any file, is told no as well.
		"of a later version": {func(t *testing.T, path string) { writeAt(t, path, 18, 3) }, nil},
		"no database":        {func(t *testing.T, path string) { writeAt(t, path, 0, 'x') }, nil},
	} {
		for log, moved := range map[string]bool{"with changes in the log": false, "with all in the file": true} {
			if !moved && (name == "of a later version" || name == "no database") {
				continue // the log has a good first page
			}
			t.Run(name+" "+log, func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "cart.db")
				s := open(t, path)
				for user := range int64(5) {
					insert(t, path, cart.Cart{CompanyID: 1, UserID: &user, Status: cart.Active, Items: []cart.Item{{ProductID: 1, Name: strings.Repeat("x", 255), Quantity: 1}}})
				}
				checkpoint(t, path)
				if !moved {
					insert(t, path, cart.Cart{CompanyID: 2, UserID: new(int64), Status: cart.Active})
				}
				ping(t, s, "before", true)
				ping(t, s, "again", true)
				tt.do(t, path)
				ping(t, s, "then", false)
				ping(t, s, "and then", false)
				if tt.undo != nil {
					must(t, tt.undo(path))
					ping(t, s, "when it is undone", true)
				}
			})
		}
	}
}

// TestPingWhileOthersWrite has another connection hold the right to write for longer than a ping waits, and a file that
// shrinks.
func TestPingWhileOthersWrite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	s := open(t, path)
	for user := range int64(40) {
		insert(t, path, cart.Cart{CompanyID: 1, UserID: &user, Status: cart.Active})
	}
	db, err := sql.Open("sqlite", path+"?_txlock=immediate")
	must(t, err)
	defer db.Close()
	must(t, inTransaction(db, func(tx *sql.Tx) error {
		ping(t, s, "while another writes", true)
		_, err := tx.Exec("DELETE FROM cart")
		return err
	}))
	checkpoint(t, path)
	ping(t, s, "with room in the file", true)
	_, err = db.Exec("VACUUM")
	must(t, err)
	ping(t, s, "after VACUUM", true)
	checkpoint(t, path)
	ping(t, s, "with a smaller file", true)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ping(t *testing.T, s *sqlite.Store, when string, want bool) {
	t.Helper()
	if err := s.Ping(t.Context()); (err == nil) != want {
		t.Errorf("Ping %s: %v", when, err)
	}
}

// checkpoint moves what is in the log into the file.
func checkpoint(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	must(t, err)
	_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	must(t, err)
	must(t, db.Close())
}

// writeAt changes a byte of the file.
func writeAt(t *testing.T, path string, offset int64, value byte) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteAt([]byte{value}, offset)
	must(t, err)
	must(t, file.Close())
}
