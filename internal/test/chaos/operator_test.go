//go:build linux

package chaos

import (
	"context"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// reconnectSQL ends all client sessions but its own.
const reconnectSQL = `
	SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`

// reconnect ends all sessions of clients but this one. One that is just beginning, and may have read its settings already, is
// listed only when it has begun, so they are ended twice.
func (d *postgres) reconnect(conn *pgx.Conn) {
	d.t.Helper()
	for range 2 {
		if _, err := conn.Exec(d.t.Context(), reconnectSQL); err != nil {
			d.t.Fatal(err)
		}
		d.ledger.await(d.t, felt, acknowledged, refused, unknown)
	}
}

// readOnly makes new sessions read-only. Sessions that begin meanwhile stay read-only after the setting is reset. An
// instance has several sessions and uses them in turn, so readOnly waits for more failures than other faults.
func (d *postgres) readOnly() {
	d.denyWrites()
	d.ledger.awaitFailures(d.t, 4*felt)
	d.exec("ALTER DATABASE postgres RESET default_transaction_read_only")
}

// denyWrites makes all sessions of the service read-only.
func (d *postgres) denyWrites() {
	d.exec("ALTER DATABASE postgres SET default_transaction_read_only = on")
	conn := d.connect()
	d.reconnect(conn)
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}

// refuseLogin makes the server refuse the service's login, in turn for its role, its password and its database.
func (d *postgres) refuseLogin() {
	u, err := url.Parse(d.server.URL())
	if err != nil {
		d.t.Fatal(err)
	}
	password, _ := u.User.Password()
	conn := d.connect()
	for _, s := range []struct{ refuse, allow string }{
		{"ALTER ROLE postgres NOLOGIN", "ALTER ROLE postgres LOGIN"},
		{"ALTER ROLE postgres PASSWORD 'other'", "ALTER ROLE postgres PASSWORD '" + password + "'"},
		// ALTER DATABASE … ALLOW_CONNECTIONS would need a connection to another database.
		{"UPDATE pg_database SET datallowconn = false WHERE datname = 'postgres'",
			"UPDATE pg_database SET datallowconn = true WHERE datname = 'postgres'"},
	} {
		if _, err := conn.Exec(d.t.Context(), s.refuse); err != nil {
			d.t.Fatal(err)
		}
		d.reconnect(conn)
		d.ledger.awaitFailures(d.t, felt)
		if _, err := conn.Exec(d.t.Context(), s.allow); err != nil {
			d.t.Fatal(err)
		}
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}

// restoreSQL has the effect of pg_restore --clean --single-transaction with a dump of this moment, for servers whose
// package lacks pg_restore: it makes all objects again under their names, and none keeps its OID.
const restoreSQL = `
DO $$
DECLARE
	name text;
	definition text;
BEGIN
	CREATE SCHEMA replaced;
	FOREACH name IN ARRAY ARRAY['cart', 'cart_item'] LOOP
		EXECUTE format('ALTER TABLE %I SET SCHEMA replaced', name);
		EXECUTE format('CREATE SEQUENCE %I', name || '_id_seq');
		EXECUTE format('CREATE TABLE %1$I (LIKE replaced.%1$I INCLUDING STORAGE INCLUDING DEFAULTS)', name);
		EXECUTE format('ALTER TABLE %I ALTER id SET DEFAULT nextval(%L)', name, name || '_id_seq');
		EXECUTE format('ALTER SEQUENCE %I OWNED BY %I.id', name || '_id_seq', name);
		EXECUTE format('ALTER TABLE %I SET (fillfactor = 10, autovacuum_enabled = false)', name);
		EXECUTE format('INSERT INTO %1$I SELECT * FROM replaced.%1$I', name);
		EXECUTE format('SELECT setval(%L, last_value, is_called) FROM replaced.%I', name || '_id_seq', name || '_id_seq');
		FOR definition IN
			SELECT format('ALTER TABLE %I ADD CONSTRAINT %I %s', name, conname, pg_get_constraintdef(oid))
			FROM pg_constraint WHERE conrelid = ('replaced.' || name)::regclass AND contype IN ('p', 'u', 'c', 'f') ORDER BY contype DESC
		LOOP
			EXECUTE replace(definition, 'replaced.', '');
		END LOOP;
		FOR definition IN
			SELECT pg_get_indexdef(indexrelid) FROM pg_index
			WHERE indrelid = ('replaced.' || name)::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
		LOOP
			EXECUTE replace(definition, 'replaced.', '');
		END LOOP;
	END LOOP;
	DROP SCHEMA replaced CASCADE;
END
$$`

// restore dumps and restores the database while the service uses it. The database is read-only meanwhile, so that no
// write is acknowledged between the dump and the restore.
func (d *postgres) restore() {
	d.denyWrites()
	restored := d.server.Restore()
	d.ledger.await(d.t, felt, refused, unknown)
	d.exec("ALTER DATABASE postgres RESET default_transaction_read_only")
	if !restored {
		d.restoreBySQL()
	}
}

func (d *postgres) restoreBySQL() {
	d.locked("cart, cart_item IN ACCESS EXCLUSIVE MODE", func(tx pgx.Tx) {
		if _, err := tx.Exec(d.t.Context(), restoreSQL); err != nil {
			d.t.Fatal(err)
		}
		d.ledger.await(d.t, felt, refused, unknown)
		if err := tx.Commit(d.t.Context()); err != nil {
			d.t.Fatal(err)
		}
	})
}

// lockCart has another session lock the cart of one client for longer than a request may take. The other clients must
// not notice.
func (d *postgres) lockCart() {
	victim := d.clients[0]
	conn := d.connect()
	tx, err := conn.Begin(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	// Between two carts the client has none, or only one that it left behind, so this goes on until the client is held up.
	const lockSQL = `SELECT pg_sleep(0.01) FROM (SELECT FROM cart WHERE company_id / $1 = $2 AND status IN (1, 2) FOR UPDATE) c`
	for failures := d.ledger.failuresOf(victim); d.ledger.failuresOf(victim) == failures; {
		if _, err := tx.Exec(ctx, lockSQL, lifetimes, victim.number); err != nil {
			d.t.Fatal(err)
		}
	}
	before := d.ledger.ofNeighbours(victim)
	if _, err := tx.Exec(ctx, fmt.Sprintf("SELECT pg_sleep(%f)", 1.5*requestTimeout.Seconds())); err != nil {
		d.t.Fatal(err)
	}
	after := d.ledger.ofNeighbours(victim)
	if err := tx.Rollback(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
	served, failed := after[acknowledged]-before[acknowledged], after[refused]+after[unknown]-before[refused]-before[unknown]
	if served == 0 || failed > 0 {
		d.t.Errorf("while one cart was locked %d commands on others were done, and %d failed", served, failed)
	}
}

// failOver kills the primary, and promotes a standby that has every acknowledged write.
func (d *postgres) failOver() {
	old, standby := d.server, pgtest.Standby(d.t, d.server)
	next := d.hosts[1-d.host]
	next.Redirect(standby)
	next.Refuse(false)
	d.exec("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	d.awaitTrue("SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')")
	d.ledger.await(d.t, 50, acknowledged)
	old.Stop(pgtest.Immediate)
	d.ledger.await(d.t, felt, refused, unknown)
	standby.Promote()
	d.hosts[d.host].Refuse(true)
	d.address.Redirect(standby)
	d.server, d.host = standby, 1-d.host
	old.Remove()
}

// awaitTrue repeats the query until its result is true.
func (d *postgres) awaitTrue(sql string) {
	d.t.Helper()
	conn := d.connect()
	for is := false; !is; {
		if err := conn.QueryRow(d.t.Context(), sql).Scan(&is); err != nil {
			d.t.Fatal(err)
		}
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}
