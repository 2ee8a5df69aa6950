package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// poolConfig returns how the store connects to the database that url names.
func poolConfig(url string, conns int) (*pgxpool.Config, error) {
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
	params["lock_timeout"] = "100"
	if _, set := params["plan_cache_mode"]; !set && cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		// The plans do not depend on the parameters, and making one takes longer than running it.
		params["plan_cache_mode"] = "force_generic_plan"
	}
	return cfg, nil
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
