//go:build linux

package chaos

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// sqliteSite is a site on a SQLite file that both instances have open.
type sqliteSite struct {
	*site
	path string
}

func newSQLite(t *testing.T) *sqliteSite {
	t.Helper()
	d := &sqliteSite{site: newSite(t, "SQLite"), path: filepath.Join(t.TempDir(), "cart.db")}
	for i := range d.services {
		d.services[i] = newService(t, "DATABASE_URL=sqlite:"+d.path)
	}
	d.stored = d.read
	return d
}

// openSQLite opens the file like another program. The end of the test closes it at the latest.
func openSQLite(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(30000)&_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

const readSQLiteSQL = `
	SELECT c.id, c.company_id, c.user_id, c.cookie, c.status, c.version, i.product_id, i.name, i.price, i.quantity
	FROM cart c LEFT JOIN cart_item i ON i.cart_id = c.id
	ORDER BY c.id, i.id`

// readSQLite returns all carts of the file.
func readSQLite(t *testing.T, path string) []*cart.Cart {
	t.Helper()
	d := &sqliteSite{site: &site{t: t}, path: path}
	carts, err := d.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return carts
}

// read returns all carts of the file. It fails if the file is corrupt.
func (d *sqliteSite) read(ctx context.Context) ([]*cart.Cart, error) {
	db := openSQLite(d.t, d.path)
	defer db.Close()
	var health string
	if err := db.QueryRowContext(ctx, "PRAGMA integrity_check").Scan(&health); err != nil {
		return nil, err
	}
	if health != "ok" {
		return nil, fmt.Errorf("the file is corrupt: %s", health)
	}
	rows, err := db.QueryContext(ctx, readSQLiteSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	carts, err := readCarts(rows)
	return carts, errors.Join(err, rows.Err())
}

// fullDisk keeps both instances from writing any file, so that every COMMIT fails.
func (d *sqliteSite) fullDisk() {
	d.limit("1")
	d.ledger.await(d.t, felt, refused, unknown)
	d.limit(unlimited)
}

func (d *sqliteSite) limit(size string) {
	d.t.Helper()
	for _, s := range d.services {
		command := limitFiles(strconv.Itoa(s.running.Load().cmd.Process.Pid), size)
		if out, err := exec.CommandContext(d.t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			d.t.Fatalf("%v: %s", err, out)
		}
	}
}

// lock has another program hold the file's only lock for writers.
func (d *sqliteSite) lock() {
	db := openSQLite(d.t, d.path)
	conn, err := db.Conn(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := conn.ExecContext(d.t.Context(), "BEGIN IMMEDIATE"); err != nil {
		d.t.Fatal(err)
	}
	d.ledger.await(d.t, felt, refused, unknown)
	if _, err := conn.ExecContext(d.t.Context(), "ROLLBACK"); err != nil {
		d.t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		d.t.Error(err)
	}
}

// killAll kills all instances, and starts them again.
func (d *sqliteSite) killAll() {
	for _, s := range d.services {
		s.signal(syscall.SIGKILL)
	}
	for _, s := range d.services {
		<-s.running.Load().ended
	}
	d.ledger.await(d.t, felt, refused, unknown)
	for _, s := range d.services {
		s.start()
	}
}
