package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationWait is how long a migrator waits for another, unless its context ends first.
const migrationWait = 10 * time.Minute

// Migrator returns a migrator of the database file at path, which is created where there is none, and
// a function that ends it. Until then all other migrators of that file wait in this function, as long
// as their contexts let them.
func Migrator(ctx context.Context, path string) (*goose.Provider, func() error, error) {
	unlock, err := lockMigrations(ctx, path)
	if err != nil {
		return nil, nil, fmt.Errorf("wait for other migrations of %s: %w", path, err)
	}
	provider, err := newProvider(path)
	if err != nil {
		return nil, nil, errors.Join(err, unlock())
	}
	return provider, func() error { return errors.Join(provider.Close(), unlock()) }, nil
}

func newProvider(path string) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	db, err := openPool(sql.Open, path, 1, nil)
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return provider, nil
}

// migrate brings the database file to the newest version.
func migrate(ctx context.Context, path string) (err error) {
	provider, end, err := Migrator(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	_, err = provider.Up(ctx)
	return err
}

// lockMigrations waits for a lock that one migrator at a time can have, and that ends with its process.
//
// SQLite has no lock beside those of a database file, and goose needs that of the carts for its own
// transactions; nor can two connections switch a new file to WAL at once. So the lock is on a second
// file, which stays empty. It must not be removed: a migrator that waits for it has it open.
func lockMigrations(ctx context.Context, path string) (unlock func() error, err error) {
	db, err := openFile(sql.Open, path+"-migrate", 1, url.Values{"_busy_timeout": {milliseconds(migrationWait)}})
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db.Close, nil
}
