// Package postgres keeps carts in PostgreSQL 14 or newer. The tables are those of the Python service,
// with a few columns and indexes more.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
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
