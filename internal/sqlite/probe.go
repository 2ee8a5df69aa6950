package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"sync"
	"time"

	lib "modernc.org/sqlite/lib"

	"github.com/sellio/sellio-cart/internal/cart"
)

// probeWait is how long a probe waits for another writer.
const probeWait = time.Second

// pingSQL reads a row and how long the file is once all changes are in it, in bytes.
const pingSQL = `SELECT EXISTS (SELECT 1 FROM cart), page_count * page_size FROM pragma_page_count, pragma_page_size`

// writeNothingSQL needs the right to write. BEGIN IMMEDIATE does not tell: in a file that cannot be written it begins to
// read.
const writeNothingSQL = `DELETE FROM cart WHERE FALSE`

// probe finds out whether the file can be used. Connections that are open do not tell: they go on with a file that was
// deleted, replaced or made read-only, and with pages that they have read before.
type probe struct {
	path string
	db   *sql.DB // keeps no connection

	mu   sync.Mutex
	good os.FileInfo // the file when it was last found in order
}

func openProbe(opener Opener, path string) (*probe, error) {
	db, err := openFile(opener, path, 1, url.Values{
		"mode": {"rw"}, "_busy_timeout": {milliseconds(probeWait)},
	})
	if err != nil {
		return nil, err
	}
	db.SetMaxIdleConns(0)
	file, err := os.Stat(path)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &probe{path: path, db: db, good: file}, nil
}

var (
	errReplaced = errors.New("the file is not the one that was opened")
	errReadOnly = errors.New("the file is read-only")
	errCut      = errors.New("the end of the file is missing")
)

// check returns nil where the file is the one that was opened, whole, and can be read and written.
func (p *probe) check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// Before it is opened: SQLite would put what is in the log of the old file into a new one.
	file, err := os.Stat(p.path)
	switch {
	case err != nil:
		return cart.Unavailable(err)
	case !os.SameFile(file, p.good):
		return cart.Unavailable(errReplaced)
	case file.Mode().Perm()&0o222 == 0: // though root could write it
		return cart.Unavailable(errReadOnly)
	}
	size, err := p.try(ctx)
	if err != nil {
		return classify(err)
	}
	// The newest pages may be in the log only, so the file may be short of them. But what it once had it loses only when
	// the database shrinks.
	if file.Size() < min(p.good.Size(), size) {
		return cart.Unavailable(errCut)
	}
	p.good = file
	return nil
}

// try reads the database, takes the right to write, and returns its size in bytes. While another connection has that
// right, it can be written.
func (p *probe) try(ctx context.Context) (size int64, err error) {
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	var anyCart bool
	if err := conn.QueryRowContext(ctx, pingSQL).Scan(&anyCart, &size); err != nil {
		return 0, err
	}
	if _, err := conn.ExecContext(ctx, writeNothingSQL); err != nil && primary(code(err)) != lib.SQLITE_BUSY {
		return 0, err
	}
	return size, nil
}
