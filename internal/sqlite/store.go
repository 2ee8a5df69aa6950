// Package sqlite keeps carts in a SQLite file, with the guarantees that PostgreSQL gives: saved changes
// are on the disk, a read sees one state of the database, and several processes may use one file. It
// needs no cgo.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/sellio/sellio-cart/internal/cart"
)

const (
	// busyTimeout is how long a connection waits for another process that writes.
	busyTimeout = 5 * time.Second
	// cacheKiB is the memory that one connection may use for pages of the file.
	cacheKiB = 8 << 10
)

// Store is a [cart.Store] on a SQLite file.
type Store struct {
	// write has one connection: SQLite has one writer at a time, and callers that wait for a connection
	// are served in order, while connections that wait for the file poll it.
	write *sql.DB
	// read has several; with a write-ahead log they neither wait for the writer nor hold it up.
	read  *sql.DB
	probe *probe

	load, list, rules          *sql.Stmt
	receipts, named            *sql.Stmt
	userBasket, guestBasket    *sql.Stmt
	userTotals, guestTotals    *sql.Stmt
	guestCarts, overdue, mates *sql.Stmt

	insertCart, updateCart, activateCart, amendCart, deleteCart *sql.Stmt
	isAt, freeCookie                                            *sql.Stmt
	appendLine, updateLine, deleteLine                          *sql.Stmt
	insertReceipt, forget                                       *sql.Stmt
}

var _ cart.Store = (*Store)(nil)

// Open opens the database file at path, creates it where there is none, and runs the migrations that
// it lacks. The folder must exist.
func Open(ctx context.Context, path string) (*Store, error) {
	return OpenWith(ctx, path, sql.Open)
}

// Opener opens a database by the name of its driver, as [sql.Open] does.
type Opener func(driver, name string) (*sql.DB, error)

// OpenWith is [Open] with connections that the opener makes, once the migrations are done.
func OpenWith(ctx context.Context, path string, opener Opener) (*Store, error) {
	if err := migrate(ctx, path); err != nil {
		return nil, fmt.Errorf("migrate %s: %w", path, err)
	}
	s, err := open(ctx, path, opener)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, opener Opener) (*Store, error) {
	write, err := openPool(opener, path, 1, nil)
	if err != nil {
		return nil, err
	}
	read, err := openPool(opener, path, max(4, runtime.GOMAXPROCS(0)), url.Values{"_query_only": {"1"}})
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	probe, err := openProbe(opener, path)
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	s := &Store{write: write, read: read, probe: probe}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) error {
	for _, p := range []struct {
		stmt **sql.Stmt
		db   *sql.DB
		sql  string
	}{
		{&s.load, s.read, loadSQL},
		{&s.list, s.read, listSQL},
		{&s.rules, s.read, rulesSQL},
		{&s.receipts, s.read, receiptsSQL},
		{&s.named, s.read, namedSQL},
		{&s.userBasket, s.read, basketSQL(ofUser)},
		{&s.guestBasket, s.read, basketSQL(ofGuest)},
		{&s.userTotals, s.read, totalsSQL(ofUser)},
		{&s.guestTotals, s.read, totalsSQL(ofGuest)},
		{&s.guestCarts, s.read, guestCartsSQL},
		{&s.overdue, s.read, overdueSQL},
		{&s.mates, s.read, matesSQL},
		{&s.insertCart, s.write, insertCartSQL},
		{&s.updateCart, s.write, updateCartSQL},
		{&s.activateCart, s.write, activateCartSQL},
		{&s.amendCart, s.write, amendCartSQL},
		{&s.deleteCart, s.write, deleteCartSQL},
		{&s.isAt, s.write, isAtSQL},
		{&s.freeCookie, s.write, freeCookieSQL},
		{&s.appendLine, s.write, appendLineSQL},
		{&s.updateLine, s.write, updateLineSQL},
		{&s.deleteLine, s.write, deleteLineSQL},
		{&s.insertReceipt, s.write, insertReceiptSQL},
		{&s.forget, s.write, forgetSQL},
	} {
		var err error
		if *p.stmt, err = p.db.PrepareContext(ctx, p.sql); err != nil {
			return err
		}
	}
	return s.checkRules(ctx)
}

// Ping implements [cart.Store].
func (s *Store) Ping(ctx context.Context) error {
	if err := s.probe.check(ctx); err != nil {
		return err
	}
	return s.checkRules(ctx)
}

// Close implements [cart.Store].
func (s *Store) Close() error {
	// The writer goes last, so that it can move what is left in the log into the file.
	return errors.Join(s.probe.db.Close(), s.read.Close(), s.write.Close())
}

// openPool returns a pool of at most conns connections to the file, with settings in addition to those that
// every connection has.
func openPool(opener Opener, path string, conns int, settings url.Values) (*sql.DB, error) {
	all := url.Values{
		"_busy_timeout": {milliseconds(busyTimeout)},
		"_foreign_keys": {"1"},
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"}, // fsync at each commit
		"_txlock":       {"immediate"},
		"_pragma":       {fmt.Sprintf("cache_size(-%d)", cacheKiB)},
	}
	maps.Copy(all, settings)
	return openFile(opener, path, conns, all)
}

// openFile returns a pool of at most conns connections to the file, with exactly these settings.
func openFile(opener Opener, path string, conns int, settings url.Values) (*sql.DB, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	// A URI, so that a path may hold any character.
	name := url.URL{
		Scheme:   "file",
		Path:     "/" + strings.TrimPrefix(filepath.ToSlash(abs), "/"),
		RawQuery: settings.Encode(),
	}
	db, err := opener("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	return db, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
