package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// schemaVersion is the newest migration, which this program needs.
const schemaVersion = 5

// SchemaError says that the schema is older than this program needs.
type SchemaError struct {
	Have, Need int64
}

// Error says what to run.
func (e *SchemaError) Error() string {
	return fmt.Sprintf("the database schema is at version %d and this program needs %d: run `sellio-cart migrate up`, or start with AUTO_MIGRATE=true",
		e.Have, e.Need)
}

// statusSQL reads which migration was applied last, and what the schema lacks of what the statements rely on. A newer
// schema may have more. Quotes are removed, since quote_all_identifiers adds them.
const statusSQL = `
	WITH columns (tab, col, type) AS (VALUES
		('cart', 'id', 'bigint NOT NULL'), ('cart', 'user_id', 'bigint'), ('cart', 'company_id', 'bigint NOT NULL'),
		('cart', 'cookie', 'character varying(255)'), ('cart', 'status', 'smallint NOT NULL'),
		('cart', 'created_at', 'timestamp with time zone NOT NULL'), ('cart', 'version', 'bigint NOT NULL'),
		('cart', 'updated_at', 'timestamp with time zone'), ('cart', 'attributes', 'jsonb'),
		('cart', 'locked_until', 'timestamp with time zone'), ('cart', 'reference', 'character varying(255)'),
		('cart_item', 'id', 'bigint NOT NULL'), ('cart_item', 'cart_id', 'bigint NOT NULL'),
		('cart_item', 'product_id', 'bigint NOT NULL'), ('cart_item', 'name', 'character varying(255) NOT NULL'),
		('cart_item', 'price', 'numeric(10,2) NOT NULL'), ('cart_item', 'quantity', 'integer NOT NULL'),
		('cart_item', 'attributes', 'jsonb'),
		('cart_request', 'key', 'bytea NOT NULL'), ('cart_request', 'fingerprint', 'bytea NOT NULL'),
		('cart_request', 'owner', 'bytea'), ('cart_request', 'cart_id', 'bigint'), ('cart_request', 'company_id', 'bigint'),
		('cart_request', 'version', 'bigint'), ('cart_request', 'cart_created_at', 'timestamp with time zone'),
		('cart_request', 'at', 'timestamp with time zone NOT NULL')),
	have AS (
		SELECT w.*, a.attrelid, a.attnum,
		       replace(format_type(a.atttypid, a.atttypmod), '"', '') || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END AS found
		FROM columns w LEFT JOIN pg_attribute a ON a.attrelid = to_regclass(w.tab) AND a.attname = w.col AND NOT a.attisdropped),
	indexes (name, tab, cols, pred) AS (VALUES
		('uq_cart_company_user_active', 'cart', 'company_id, user_id', 'status = 1 AND user_id IS NOT NULL'),
		('uq_cart_company_cookie_active', 'cart', 'company_id, cookie', 'status = 1 AND cookie IS NOT NULL'),
		('uq_cart_item_cart_product', 'cart_item', 'cart_id, product_id', NULL),
		('cart_request_pkey', 'cart_request', 'key', NULL)),
	found AS (
		SELECT i.indexrelid, i.indrelid, i.indisunique AND i.indimmediate AS uniq, i.indisvalid AND i.indisready AS valid,
		       replace(pg_get_expr(i.indpred, i.indrelid, true), '"', '') AS pred,
		       replace((SELECT string_agg(pg_get_indexdef(i.indexrelid, n, true), ', ' ORDER BY n)
		                FROM generate_series(1, i.indnkeyatts) n), '"', '') AS cols
		FROM pg_index i WHERE i.indrelid IN (to_regclass('cart'), to_regclass('cart_item'), to_regclass('cart_request')))
	SELECT (SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied),
	       ARRAY(SELECT format('column %s of %s must be %s and is %s', col, tab, type, coalesce(found, 'missing'))
	             FROM have WHERE found IS DISTINCT FROM type
	             UNION ALL
	             SELECT format('column id of %s must have a sequence', tab) FROM have
	             WHERE col = 'id' AND found IS NOT NULL AND pg_get_serial_sequence(attrelid::regclass::text, col) IS NULL
	             UNION ALL
	             SELECT 'the foreign key from cart_item (cart_id) to cart, ON DELETE CASCADE, is missing'
	             WHERE NOT EXISTS (
	                 SELECT FROM pg_constraint k JOIN have h ON h.tab = 'cart_item' AND h.col = 'cart_id'
	                 WHERE k.conrelid = h.attrelid AND k.conkey = ARRAY[h.attnum] AND k.contype = 'f'
	                   AND k.confrelid = to_regclass('cart') AND k.confdeltype = 'c')
	             UNION ALL
	             SELECT format('unique index %s on %s (%s)%s is %s', w.name, w.tab, w.cols, ' WHERE ' || w.pred, CASE
	                 WHEN f.indexrelid IS NULL THEN 'missing'
	                 WHEN NOT f.uniq THEN 'not unique'
	                 WHEN NOT f.valid THEN 'not valid'
	                 ELSE 'on something else' END)
	             FROM indexes w LEFT JOIN found f ON f.indexrelid = to_regclass(w.name)
	             WHERE NOT EXISTS (SELECT FROM found g WHERE g.indrelid = to_regclass(w.tab) AND g.uniq AND g.valid
	                 AND g.cols = w.cols AND g.pred IS NOT DISTINCT FROM w.pred))`

// status is the answer to statusSQL.
type status struct {
	version int64
	faults  []string
}

func (s *status) scan(rows pgx.Rows) error { return rows.Scan(&s.version, &s.faults) }

// check returns an error if the service cannot use the schema, a [*SchemaError] if a migration is missing. A newer
// schema is fine: a newer version of this program may be rolled out beside this one.
func (s *status) check() error {
	switch {
	case s.version < schemaVersion:
		return &SchemaError{Have: s.version, Need: schemaVersion}
	case len(s.faults) > 0:
		return fmt.Errorf("the database schema is not as this program needs it: %s", strings.Join(s.faults, "; "))
	}
	return nil
}

// blockersSQL holds, by unique index, the query that names the first rows that keep it from being created.
var blockersSQL = map[string]string{
	"uq_cart_company_user_active": `
		SELECT format('carts %s of company %s and user %s are all ACTIVE', array_to_string((array_agg(id ORDER BY id))[1:5], ', '), company_id, user_id)
		FROM cart WHERE status = 1 AND user_id IS NOT NULL
		GROUP BY company_id, user_id HAVING count(*) > 1 ORDER BY company_id, user_id LIMIT 1`,
	"uq_cart_company_cookie_active": `
		SELECT format('carts %s of company %s and one cookie are all ACTIVE', array_to_string((array_agg(id ORDER BY id))[1:5], ', '), company_id)
		FROM cart WHERE status = 1 AND cookie IS NOT NULL
		GROUP BY company_id, cookie HAVING count(*) > 1 ORDER BY min(id) LIMIT 1`,
	"uq_cart_item_cart_product": `
		SELECT format('lines %s are all of cart %s and product %s', array_to_string((array_agg(id ORDER BY id))[1:5], ', '), cart_id, product_id)
		FROM cart_item GROUP BY cart_id, product_id HAVING count(*) > 1 ORDER BY cart_id, product_id LIMIT 1`,
}

// checkSchema returns an error that says in one line why the service cannot use the schema, which rows stand in the way,
// and what to do.
func checkSchema(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var have status
	err := patiently(ctx, func() error {
		rows, err := conn.Query(ctx, statusSQL)
		return scanAll(rows, err, have.scan)
	})
	if sqlState(err) == undefinedTable {
		err = nil
	}
	if err != nil {
		return err
	}
	if err = have.check(); err == nil || have.version < schemaVersion {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(blockersSQL)) {
		if !strings.Contains(err.Error(), name) {
			continue
		}
		err = fmt.Errorf("%w; drop any index called %s, and create it with CREATE UNIQUE INDEX CONCURRENTLY", err, name)
		var rows string
		// A search that fails, such as for a missing column, must not hide the error at hand.
		if conn.QueryRow(ctx, blockersSQL[name]).Scan(&rows) == nil {
			err = fmt.Errorf("%w, once no rows stand in the way: %s", err, rows)
		}
	}
	return err
}

// checkEncoding returns an error for a database that cannot store all text that clients send, or does not validate it.
func checkEncoding(conn *pgx.Conn) error {
	if have := conn.PgConn().ParameterStatus("server_encoding"); have != "UTF8" {
		return fmt.Errorf("the database has the encoding %s and must have UTF8: create another one with ENCODING 'UTF8', and move the tables there with pg_dump and pg_restore", have)
	}
	return nil
}
