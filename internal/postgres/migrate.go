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
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// lockPause is how long a migration pauses after it failed to get a lock, so that sessions that queued behind it can
	// go on.
	lockPause = time.Second
	// lockWait is how long it keeps trying.
	lockWait = 5 * time.Minute
)

// Migrations are the migrations of one database.
type Migrations struct {
	*goose.Provider
	config *pgx.ConnConfig
}

// Migrator returns the migrations of the database that url names, and a function that closes their
// connections. They run under a lock, so several programs may migrate at once.
func Migrator(url string) (*Migrations, func() error, error) {
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
	return &Migrations{provider, cfg.ConnConfig}, db.Close, nil
}

func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	// The lock is polled, not waited for in the database: a statement that waits for it would itself hold up
	// the CREATE INDEX CONCURRENTLY of the session that has it.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
}

// Up applies the migrations that the database lacks, and then checks that the schema is as the service needs it. It
// returns the migrations that it applied even with an error.
func (m *Migrations) Up(ctx context.Context) (applied []*goose.MigrationResult, err error) {
	err = m.connected(ctx, checkEncoding)
	if err != nil {
		return nil, err
	}
	err = patiently(ctx, func() error {
		results, err := m.Provider.Up(ctx)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			results = partial.Applied
		}
		applied = append(applied, results...)
		return err
	})
	if err != nil {
		return applied, err
	}
	return applied, m.connected(ctx, func(conn *pgx.Conn) error { return checkSchema(ctx, conn) })
}

// connected calls do with a connection of its own.
func (m *Migrations) connected(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.ConnectConfig(ctx, m.config)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close(ctx))
}

// Down takes the newest migration back.
func (m *Migrations) Down(ctx context.Context) (result *goose.MigrationResult, err error) {
	err = patiently(ctx, func() (err error) {
		result, err = m.Provider.Down(ctx)
		return err
	})
	return result, err
}

// patiently calls migrate again while it fails to get a lock, for lockWait. A statement that changes a table waits for
// all transactions that use it, and later transactions queue behind it; so each attempt waits only briefly.
func patiently(ctx context.Context, migrate func() error) error {
	for began := time.Now(); ; {
		err := migrate()
		if sqlState(err) != lockNotAvailable {
			return err
		}
		if time.Since(began) > lockWait {
			return fmt.Errorf("another transaction has used the table for %s, see pg_blocking_pids and pg_stat_activity: %w", lockWait, err)
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}
