package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// textSettings decide how the server and pgx exchange text. Poolers know them too.
var textSettings = map[string]string{
	"client_encoding":             "UTF8",
	"datestyle":                   "ISO, MDY",
	"standard_conforming_strings": "on",
}

// isolation sets the level of all transactions. Unlike the others, it can only be set before a transaction's first query.
const isolation = "default_transaction_isolation"

type setting struct{ name, value string }

// settings are the settings that the statements rely on. They override those of the database and of the role. The
// operator's decisions stay: search_path, synchronous_commit, default_transaction_read_only, and the other timeouts.
//
// The plans do not depend on the parameters, and making a plan takes longer than running it. So plans are made once,
// maybe while the tables are empty. Then reading a whole table looks cheap, and a plan that does so would stay in use
// after the table has grown. A nested loop looks rows up by their indexes, at any size, and locks them in the order of
// the batch.
var settings = []setting{
	{"array_nulls", "on"}, // where pgx writes arrays as text
	{isolation, "read committed"},
	{"enable_indexscan", "on"},
	{"enable_mergejoin", "off"},
	{"enable_nestloop", "on"},
	{"enable_seqscan", "off"},
	{"jit", "off"},
	// How long a batch waits for a cart that another transaction has locked; see Save.
	{"lock_timeout", "100ms"},
	{"plan_cache_mode", "force_generic_plan"},
}

// poolConfig returns the configuration of a pool for the database that url names.
func poolConfig(url string, conns int) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(conns)
	cfg.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // acquire does it
	cfg.AfterConnect = inspect
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	params := cfg.ConnConfig.RuntimeParams
	if params["application_name"] == "" {
		params["application_name"] = "sellio-cart"
	}
	maps.DeleteFunc(params, func(name, _ string) bool { return isOwn(name) })
	maps.Copy(params, textSettings)
	// The other modes of pgx are for poolers that know no settings but textSettings, and refuse a connection with more.
	if cfg.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		for _, s := range settings {
			params[s.name] = s.value
		}
	}
	return cfg, nil
}

// isOwn reports whether the store sets the setting itself, whatever the URL says.
func isOwn(name string) bool {
	name = strings.ToLower(name)
	_, text := textSettings[name]
	return text || slices.ContainsFunc(settings, func(s setting) bool { return s.name == name })
}

const (
	// pingAfter is how long a connection may be idle before its next use begins with a ping.
	pingAfter = time.Second
	// pingTimeout is how long that ping may take.
	pingTimeout = 2 * time.Second
	// usedKey is the key for the time at which a connection was last used.
	usedKey = "sellio-cart.used"
	// prefixKey is the key for the statements that set, for a transaction, the settings that the session lacks.
	prefixKey = "sellio-cart.prefix"
)

// inspect refuses a database whose encoding is not UTF8, and finds out which settings a new session lacks, because the
// store did not ask for them or a pooler ignored them. Each transaction on the session then begins by setting them.
func inspect(ctx context.Context, conn *pgx.Conn) error {
	if err := checkEncoding(conn); err != nil {
		return err
	}
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = "current_setting('" + s.name + "')"
	}
	rows, err := conn.Query(ctx, "SELECT ARRAY["+strings.Join(names, ", ")+"]")
	if err != nil {
		return err
	}
	have, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[[]string])
	if err != nil {
		return err
	}
	var first []statement
	var local []string
	for i, s := range settings {
		switch {
		case have[i] == s.value:
		case s.name == isolation:
			// Setting this one lasts for one transaction. set_config would come too late, since it runs in a query.
			first = append(first, statement{sql: "SET transaction_isolation = '" + s.value + "'"})
		default:
			local = append(local, fmt.Sprintf("set_config('%s', '%s', true)", s.name, s.value))
		}
	}
	if len(local) > 0 {
		first = append(first, statement{sql: "SELECT " + strings.Join(local, ", ")})
	}
	conn.PgConn().CustomData()[prefixKey] = first
	return nil
}

// prefix returns the statements that a transaction on the connection begins with.
func prefix(conn *pgxpool.Conn) []statement {
	statements, _ := conn.Conn().PgConn().CustomData()[prefixKey].([]statement)
	return statements
}

// acquire returns a connection, which release takes back. Its errors are [*acquireError], and [*deadError] for a
// connection that no longer works. The pool could check that too, but it would go on to the next idle connection, which
// is probably dead for the same reason.
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

// release returns a connection to the pool. One that pgx has closed, such as after a statement took too long, would keep
// its place in the pool until the server has closed it too, for up to 15 s on a silent network. It leaves the pool at
// once, and ends by itself.
func release(conn *pgxpool.Conn) {
	if conn.Conn().IsClosed() {
		conn.Hijack()
		return
	}
	conn.Conn().PgConn().CustomData()[usedKey] = time.Now()
	conn.Release()
}

// renewAfter is how long new connections are kept at least: while a database is read-only, writes must not keep taking
// the connections of reads away.
const renewAfter = time.Second

// renew drops the idle connections after one turned out to be read-only: the others probably are too, and new ones may
// reach a server that is not.
func (s *Store) renew() {
	now := time.Now().UnixNano()
	if last := s.renewed.Load(); now-last > int64(renewAfter) && s.renewed.CompareAndSwap(last, now) {
		s.pool.Reset()
	}
}
