package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the newest migration, which this program needs.
const schemaVersion = 3

// SchemaError says that the schema is older than this program needs.
type SchemaError struct {
	Have, Need int64
}

// Error says what to run.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("the database schema is at version %d and this program needs %d: run `sellio-cart migrate up`, or start with AUTO_MIGRATE=true",
		e.Have, e.Need)
}

// Migrator returns a migrator of the database that url names, and a function that ends its
// connections. Migrations run under a lock, so that several programs may migrate at once.
func Migrator(url string) (*goose.Provider, func() error, error) {
	// The pool's parser also knows the pool's options, which are not the server's.
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, nil, err
	}
	db := stdlib.OpenDB(*cfg.ConnConfig)
	provider, err := newProvider(db)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return provider, db.Close, nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	// The lock is asked for again and again, not waited for in the database: a statement that waits would
	// itself hold up CREATE INDEX CONCURRENTLY of whoever has it.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
}

// schemaSQL reads which migration was applied last.
const schemaSQL = `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`

// checkSchema returns a [*SchemaError] where the schema is too old. A newer one is fine: a newer
// version of this program may be rolled out beside this one.
func checkSchema(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var have int64
	err := db.QueryRow(ctx, schemaSQL).Scan(&have)
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == undefinedTable {
		err = nil
	}
	if err != nil {
		return err
	}
	return checkVersion(have)
}

// checkVersion returns a [*SchemaError] for a version that is too old.
func checkVersion(have int64) error {
	if have < schemaVersion {
		return &SchemaError{Have: have, Need: schemaVersion}
	}
	return nil
}
