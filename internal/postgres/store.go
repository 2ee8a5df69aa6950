// Package postgres keeps carts in PostgreSQL 14 or newer. The tables are those of the Python service,
// with a few columns and indexes more.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Store is a [cart.Store] on PostgreSQL.
type Store struct {
	pool *pgxpool.Pool
	// The sequences that number carts and lines.
	cartSeq, itemSeq uint32
}

var _ cart.Store = (*Store)(nil)

// Open connects to the database that url names, with at most conns connections. The options may add to
// how the pool is made. An error is [*SchemaError] where the schema is older than this program needs.
//
// Behind PgBouncer in transaction mode add default_query_exec_mode=exec to the url. Where PgBouncer's
// max_prepared_statements is set, its ignore_startup_parameters=plan_cache_mode does as well.
func Open(ctx context.Context, url string, conns int, options ...func(*pgxpool.Config)) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(conns)
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // acquire does it
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	params := cfg.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "sellio-cart"
	}
	if _, set := params["plan_cache_mode"]; !set && cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		// The plans do not depend on the parameters, and making one takes longer than running it.
		params["plan_cache_mode"] = "force_generic_plan"
	}
	for _, option := range options {
		option(cfg)
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool}
	if err := s.prepare(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

// prepare checks the schema and looks up what the statements need to know of it.
func (s *Store) prepare(ctx context.Context) error {
	if err := checkSchema(ctx, s.pool); err != nil {
		return err
	}
	err := s.pool.QueryRow(ctx, `
		SELECT pg_get_serial_sequence('cart', 'id')::regclass::oid,
		       pg_get_serial_sequence('cart_item', 'id')::regclass::oid`).Scan(&s.cartSeq, &s.itemSeq)
	if err != nil {
		return fmt.Errorf("the id columns of cart and cart_item have no sequence: %w", err)
	}
	return nil
}

// Stat returns the state of the pool of connections.
func (s *Store) Stat() *pgxpool.Stat { return s.pool.Stat() }

// Ping implements [cart.Store]. A schema that has become too old is as good as none.
func (s *Store) Ping(ctx context.Context) error {
	var have int64
	scan := func(rows pgx.Rows) error { return rows.Scan(&have) }
	if err := s.query(ctx, false, scan, statement{sql: schemaSQL}); err != nil {
		return err
	}
	if err := checkVersion(have); err != nil {
		return cart.Unavailable(err)
	}
	return nil
}

// Close implements [cart.Store].
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// maxTries is how often a statement is sent when connections turn out to be dead before it had any
// effect: as when the server was restarted, which leaves dead ones in the pool.
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
		dead := broken(err) || ctx.Err() != nil
		if dead {
			// Where one connection is dead, or silent, the others probably are.
			s.pool.Reset()
		}
		if try == maxTries || ctx.Err() != nil || !dead || write && !harmless(err) {
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
	// Only Close has heard of COMMIT.
	return errors.Join(err, results.Close())
}

const (
	// pingAfter is how long a connection may have been idle before it is asked whether it still works.
	pingAfter = time.Second
	// pingTimeout is how long its answer may take.
	pingTimeout = 2 * time.Second
	// usedKey is under which a connection keeps when it was last used.
	usedKey = "sellio-cart.used"
)

// acquire returns a connection, which release takes back. Its errors are [*acquireError], and [*deadError] for a
// connection that no longer works. The pool could check that too, but it would go on to the next idle connection, which
// is silent for the same reason.
func (s *Store) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, &acquireError{err}
	}
	if used, ok := conn.Conn().PgConn().CustomData()[usedKey].(time.Time); ok && time.Since(used) > pingAfter {
		ctx, cancel := context.WithTimeout(ctx, pingTimeout)
		defer cancel()
		if err := conn.Ping(ctx); err != nil {
			release(conn)
			return nil, &deadError{err}
		}
	}
	return conn, nil
}

// release gives a connection back. One that pgx has given up, as when a statement took too long, would keep its place in
// the pool until the server has closed it too, for up to 15 s where the network is silent. It is left to end by itself.
func release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		conn.Hijack()
		return
	}
	conn.Conn().PgConn().CustomData()[usedKey] = time.Now()
	conn.Release()
}

func scanAll(rows pgx.Rows, err error, scan func(pgx.Rows) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("scan a row: %w", err)
		}
	}
	return rows.Err()
}

// acquireError is the failure to get a connection: nothing was sent.
type acquireError struct{ error }

func (e *acquireError) Unwrap() error { return e.error }

// deadError is the failure of a connection before anything was asked on it.
type deadError struct{ error }

func (e *deadError) Unwrap() error { return e.error }

// SQLSTATEs that say what to do (PostgreSQL, appendix A).
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	readOnlyTransaction  = "25006" // a standby, after a failover
	lockNotAvailable     = "55P03"
	adminShutdown        = "57P01"
	crashShutdown        = "57P02"
	undefinedTable       = "42P01"

	insufficientPrivilege = "42501"
)

// broken reports whether the connection was lost, so that another one may do better.
func broken(err error) bool {
	if _, ok := errors.AsType[*deadError](err); ok {
		return true
	}
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code == adminShutdown || pe.Code == crashShutdown
	}
	if _, ok := errors.AsType[*acquireError](err); ok {
		return false // the pool has tried already
	}
	return true
}

// harmless reports whether it is certain that the statement had no effect: the server said that it
// failed, which it does before COMMIT only, or it never got it.
func harmless(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*acquireError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*deadError](err); ok {
		return true
	}
	return pgconn.SafeToRetry(err)
}

// classify turns an error of pgx into one of the domain.
func classify(err error, write bool) *cart.Error {
	pe, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if write && !harmless(err) {
			return cart.OutcomeUnknown(err)
		}
		return cart.Unavailable(err)
	}
	switch pe.Code {
	case uniqueViolation, serializationFailure, deadlockDetected:
		return &cart.Error{Code: cart.CodeConflict, Detail: cart.ErrConflict.Detail, Cause: err}
	case readOnlyTransaction, lockNotAvailable:
		return cart.Unavailable(err)
	}
	switch pe.Code[:2] {
	case "22", "23": // data exception, integrity constraint violation
		return cart.Refused(err)
	case "08", "53", "57", "58": // connection, resources, operator, system
		return cart.Unavailable(err)
	}
	return &cart.Error{Code: cart.CodeInternal, Detail: "The database answered what it never should.", Cause: err}
}
