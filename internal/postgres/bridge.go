package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// The bridge lets the Python service and this one write to one database. This service detects concurrent changes by
// cart.version, which the Python service does not know. The bridge consists of triggers, which ensure that
//
//   - each transaction that changes a cart or its lines changes its version;
//   - a transaction that read a cart and then lost a race cannot undo the winner's changes: a final status stays, lines
//     of a cart that is not ACTIVE stay, and a cart that has lines is not deleted without a check of its version. The
//     transaction fails with serialization_failure, and has no effect.
//
// The triggers tell the services apart by what they do and not by their sessions, so poolers do not matter. This
// service raises the version of each cart that it changes, in the same transaction.

// A bridgePart is a trigger and its function, which share a name. {schema} stands for the schema of the tables.
type bridgePart struct {
	name, table, event, body string
}

// bridgeExempt is part of a condition. It is always true, and exempts the transaction from the bridge. Two statements
// of this service need that, since the triggers cannot tell that they are right: one deletes a cart together with its
// lines, but only at the version that was loaded; the other takes the cookie from a user's cart, which needs no new
// version.
const bridgeExempt = `set_config('sellio_cart.bridge_exempt', 'on', true) = 'on'`

// bridgeExempted is true if the transaction is exempt.
const bridgeExempted = `current_setting('sellio_cart.bridge_exempt', true) = 'on'`

var bridgeParts = []bridgePart{
	// The condition spares this service the call. It also ties the trigger to the column, which cannot be dropped while
	// the bridge is on.
	{"sellio_cart_bridge_cart", "cart", "BEFORE UPDATE ON {schema}.cart FOR EACH ROW WHEN (NEW.version <= OLD.version)", `
BEGIN
	IF ` + bridgeExempted + ` THEN
		RETURN NEW;
	END IF;
	IF OLD.status IN (3, 4) AND NEW.status <> OLD.status THEN
		RAISE serialization_failure USING
			MESSAGE = format('cart %s has status %s, which is final', OLD.id, OLD.status),
			HINT = 'The cart was changed after it was read. Read it again.';
	END IF;
	NEW.version := OLD.version + 1;
	NEW.updated_at := now();
	RETURN NEW;
END`},
	// A cart that this transaction has changed or made has the transaction's id as its xmin. It has a new version already,
	// and no other transaction can have changed it since. A cart that is being deleted with its lines is not found.
	{"sellio_cart_bridge_line", "cart_item", "AFTER INSERT OR UPDATE OR DELETE ON {schema}.cart_item FOR EACH ROW", `
DECLARE
	touched record;
BEGIN
	FOR touched IN
		UPDATE {schema}.cart SET version = version + 1, updated_at = now()
		WHERE id IN (OLD.cart_id, NEW.cart_id) AND xmin <> pg_current_xact_id()::xid
		RETURNING id, status
	LOOP
		IF touched.status <> 1 THEN
			RAISE serialization_failure USING
				MESSAGE = format('cart %s is not ACTIVE, and its lines cannot change', touched.id),
				HINT = 'The cart was changed after it was read. Read it again.';
		END IF;
	END LOOP;
	RETURN NULL;
END`},
	{"sellio_cart_bridge_gone", "cart", "BEFORE DELETE ON {schema}.cart FOR EACH ROW", `
BEGIN
	IF ` + bridgeExempted + ` THEN
		RETURN OLD;
	END IF;
	IF EXISTS (SELECT FROM {schema}.cart_item WHERE cart_id = OLD.id) THEN
		RAISE serialization_failure USING
			MESSAGE = format('cart %s has lines, and is not deleted', OLD.id),
			HINT = 'The cart was changed after it was read. Read it again.';
	END IF;
	RETURN OLD;
END`},
}

// BridgeState says how much of the bridge is installed.
type BridgeState struct {
	// Parts is how many of its parts exist, whole or not. 0 means that the bridge is off.
	Parts int
	// Amiss names the parts that are missing, disabled or of another release. On and Off mend that.
	Amiss []string
}

// On reports whether the whole bridge is installed.
func (s BridgeState) On() bool { return s.Parts > 0 && len(s.Amiss) == 0 }

// Off reports whether no part of it is installed.
func (s BridgeState) Off() bool { return s.Parts == 0 }

// Bridge is a connection that installs and removes the bridge.
type Bridge struct{ conn *pgx.Conn }

// OpenBridge connects to the database that url names.
func OpenBridge(ctx context.Context, url string) (*Bridge, error) {
	cfg, err := pgxpool.ParseConfig(url) // as in Migrator
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return nil, err
	}
	return &Bridge{conn}, nil
}

// Close ends the connection.
func (b *Bridge) Close(ctx context.Context) error { return b.conn.Close(ctx) }

// On installs the bridge, and mends one that is not whole. When it returns, all transactions that change carts obey it.
// The error is a [*SchemaError] if the schema is older than this program needs.
func (b *Bridge) On(ctx context.Context) error {
	if err := checkSchema(ctx, b.conn); err != nil {
		return err
	}
	// The lock waits for transactions that changed carts before the triggers existed.
	statements := []string{"LOCK TABLE {schema}.cart, {schema}.cart_item IN SHARE ROW EXCLUSIVE MODE"}
	for _, p := range bridgeParts {
		statements = append(statements,
			fmt.Sprintf("CREATE OR REPLACE FUNCTION {schema}.%s() RETURNS trigger LANGUAGE plpgsql AS $bridge$%s$bridge$", p.name, p.body),
			fmt.Sprintf("CREATE OR REPLACE TRIGGER %s %s EXECUTE FUNCTION {schema}.%[1]s()", p.name, p.event))
	}
	return b.change(ctx, statements)
}

// Off removes the bridge, with its functions.
func (b *Bridge) Off(ctx context.Context) error {
	state, err := b.State(ctx)
	if err != nil || state.Off() {
		return err
	}
	statements := []string{"LOCK TABLE {schema}.cart, {schema}.cart_item IN ACCESS EXCLUSIVE MODE"}
	for _, p := range bridgeParts {
		statements = append(statements,
			fmt.Sprintf("DROP TRIGGER IF EXISTS %s ON {schema}.%s", p.name, p.table),
			fmt.Sprintf("DROP FUNCTION IF EXISTS {schema}.%s()", p.name))
	}
	return b.change(ctx, statements)
}

const (
	// bridgeLockTimeout is how long one attempt waits for the tables, while other sessions queue behind it. It is shorter
	// than deadlock_timeout, so that a deadlock ends this attempt and no other session.
	bridgeLockTimeout = 500 * time.Millisecond
	// bridgePause is the pause before the next attempt, in which those sessions get the tables.
	bridgePause = 500 * time.Millisecond
	// bridgeTries bounds the attempts, to a minute in all.
	bridgeTries = 60
)

// change runs the statements in one transaction, and tries again while other sessions hold the tables.
func (b *Bridge) change(ctx context.Context, statements []string) error {
	schema, err := b.schema(ctx)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err := pgx.BeginFunc(ctx, b.conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", bridgeLockTimeout.Milliseconds())); err != nil {
				return err
			}
			for _, statement := range statements {
				if _, err := tx.Exec(ctx, strings.ReplaceAll(statement, "{schema}", schema)); err != nil {
					return err
				}
			}
			return nil
		})
		pe, refused := errors.AsType[*pgconn.PgError](err)
		switch {
		case !refused:
			return err
		case pe.Code == insufficientPrivilege:
			return fmt.Errorf("only the role that owns the tables cart and cart_item can change the bridge, and %s is not that role: %w", b.conn.Config().User, err)
		case pe.Code != lockNotAvailable:
			return err
		case try == bridgeTries:
			return fmt.Errorf("another session locks cart or cart_item in a transaction that does not end (see pg_stat_activity): %w", err)
		}
		select {
		case <-time.After(bridgePause):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// schema returns the schema of the tables, quoted where it must be.
func (b *Bridge) schema(ctx context.Context) (string, error) {
	var schema string
	err := b.conn.QueryRow(ctx, `SELECT relnamespace::regnamespace::text FROM pg_class WHERE oid = 'cart'::regclass`).Scan(&schema)
	return schema, err
}

// bridgeSQL finds the functions of the bridge, and whether their triggers exist and fire. A trigger cannot exist
// without its function.
const bridgeSQL = `
	SELECT p.proname, p.prosrc, c.relnamespace::regnamespace::text,
	       EXISTS (SELECT FROM pg_trigger t JOIN pg_class r ON r.oid = t.tgrelid
	               WHERE t.tgfoid = p.oid AND t.tgname = p.proname AND t.tgenabled IN ('O', 'A')
	                 AND r.relnamespace = c.relnamespace AND r.relname IN ('cart', 'cart_item'))
	FROM pg_class c JOIN pg_proc p ON p.pronamespace = c.relnamespace AND p.proname = ANY($1)
	WHERE c.oid = to_regclass('cart')`

// State returns how much of the bridge is installed.
func (b *Bridge) State(ctx context.Context) (BridgeState, error) {
	return readBridge(b.conn.Query(ctx, bridgeSQL, bridgeNames()))
}

// Bridge returns how much of the bridge is installed.
func (s *Store) Bridge(ctx context.Context) (BridgeState, error) {
	return readBridge(s.pool.Query(ctx, bridgeSQL, bridgeNames()))
}

func bridgeNames() []string {
	names := make([]string, len(bridgeParts))
	for i, p := range bridgeParts {
		names[i] = p.name
	}
	return names
}

// readBridge reads the answer to bridgeSQL.
func readBridge(rows pgx.Rows, err error) (state BridgeState, _ error) {
	if err != nil {
		return state, err
	}
	whole := make(map[string]bool)
	var name, body, schema string
	var fires bool
	_, err = pgx.ForEachRow(rows, []any{&name, &body, &schema, &fires}, func() error {
		state.Parts++
		for _, p := range bridgeParts {
			if p.name == name {
				whole[name] = fires && strings.ReplaceAll(p.body, "{schema}", schema) == body
			}
		}
		return nil
	})
	for _, p := range bridgeParts {
		if !whole[p.name] {
			state.Amiss = append(state.Amiss, p.name)
		}
	}
	return state, err
}
