// Package postgres keeps carts in PostgreSQL 14 or newer. The tables are those of the Python service,
// plus a few columns and indexes.
package postgres

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Store is a [cart.Store] on PostgreSQL.
type Store struct {
	pool    *pgxpool.Pool
	renewed atomic.Int64 // when renew last reset the pool, in nanoseconds since 1970
}

var _ cart.Store = (*Store)(nil)

// Open connects to the database that url names, with at most conns connections. Options may add to
// the configuration of the pool. The error is a [*SchemaError] if the schema is older than this program needs.
//
// Behind PgBouncer in transaction mode, add default_query_exec_mode=exec to the url. With PgBouncer 1.21 or newer and
// max_prepared_statements, listing the settings of this package in its ignore_startup_parameters works as well. Either
// way each transaction then begins with the settings that its session lacks.
func Open(ctx context.Context, url string, conns int, options ...func(*pgxpool.Config)) (*Store, error) {
	cfg, err := poolConfig(url, conns)
	if err != nil {
		return nil, err
	}
	for _, option := range options {
		option(cfg)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return checkSchema(ctx, conn.Conn()) }); err != nil {
		pool.Close()
		return nil, err
	}
	return &Store{pool: pool}, nil
}

// Stat returns the state of the pool of connections.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Ping implements [cart.Store]. It checks that carts can be read and written: it runs the statements of a load and of a
// save, without any carts. So it notices rights and tables that are gone, and moves on from a server that has become
// read-only to one that is not. It fails for a schema that the service cannot use.
func (s *Store) Ping(ctx context.Context) error {
	var have status
	err := s.query(ctx, false, have.scan, statement{loadSQL, make([]any, 5)}, rehearsal(), statement{sql: statusSQL})
	if err == nil {
		err = have.check()
	}
	if err == nil || cart.CodeOf(err) == cart.CodeUnavailable {
		return err
	}
	return cart.Unavailable(err)
}

// Close implements [cart.Store].
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// maxTries bounds how often a statement is sent when connections break before it has any effect, such as
// after a restart of the server, which leaves dead connections in the pool.
const maxTries = 3

// statement is SQL with its parameters.
type statement struct {
	sql  string
	args []any
}

// query runs the statements in one round trip, as one transaction, and calls scan for each row of the
// last one's answer. Its errors are of type *[cart.Error]. Reads are repeated on another connection
// when theirs breaks; writes only when it is certain that nothing was done.
func (s *Store) query(ctx context.Context, write bool, scan func(pgx.Rows) error, statements ...statement) error {
	for try := 1; ; try++ {
		err := s.queryOnce(ctx, scan, statements)
		if err == nil {
			return nil
		}
		again := try < maxTries
		switch {
		case broken(err):
			// If one connection is dead or silent, or knows an older schema, the others probably are or do too.
			s.pool.Reset()
		case sqlState(err) == readOnlyTransaction:
			s.renew()
		default:
			// A read waits only for schema changes, which try again until they get the tables.
			again = !write && contended(err)
		}
		if !again || ctx.Err() != nil || write && !harmless(err) {
			return classify(err, write)
		}
	}
}

func (s *Store) queryOnce(ctx context.Context, scan func(pgx.Rows) error, statements []statement) error {
	conn, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer release(conn)
	err = send(ctx, conn, scan, slices.Concat(prefix(conn), statements))
	if sqlState(err) == readOnlyTransaction {
		return errors.Join(err, conn.Conn().Close(ctx))
	}
	return err
}

func send(ctx context.Context, conn *pgxpool.Conn, scan func(pgx.Rows) error, statements []statement) error {
	first := statements[0]
	if len(statements) == 1 {
		rows, err := conn.Query(ctx, first.sql, first.args...)
		return scanAll(rows, err, scan)
	}
	var batch pgx.Batch
	for _, st := range statements {
		batch.Queue(st.sql, st.args...)
	}
	results := conn.SendBatch(ctx, &batch)
	for range len(statements) - 1 {
		if _, err := results.Exec(); err != nil {
			return errors.Join(err, results.Close())
		}
	}
	rows, err := results.Query()
	err = scanAll(rows, err, scan)
	// Only Close reports the outcome of COMMIT.
	return errors.Join(err, results.Close())
}

func scanAll(rows pgx.Rows, err error, scan func(pgx.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return &scanError{err}
		}
	}
	return rows.Err()
}
