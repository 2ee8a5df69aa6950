//go:build linux

package chaos

import (
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// reconnectSQL ends all sessions of clients but this one.
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

// readOnly makes new sessions read-only. Those that began meanwhile stay so when the setting is back. An instance has
// several, which it takes in turn.
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

// refuseLogin lets the service no longer in: for its role, its password, and its database.
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
		// ALTER DATABASE … ALLOW_CONNECTIONS would need another database to say it from.
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

// restoreSQL does what pg_restore --clean --single-transaction does with a dump of this moment, for servers whose package has
// no pg_restore: everything is made again under its name, and nothing has the OID that it had.
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

// restore dumps the database that the service is using, and restores it. It is read-only meanwhile, so that no write is
// acknowledged between the two.
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

// lockCart has another session lock the cart of one client for longer than a request may take. The others go on.
func (d *postgres) lockCart() {
	victim := d.clients[0]
	conn := d.connect()
	tx, err := conn.Begin(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	// Between two carts the client has none.
	const lockSQL = `SELECT FROM cart WHERE company_id / $1 = $2 AND status IN (1, 2) FOR UPDATE`
	for locked := int64(0); locked == 0; {
		tag, err := tx.Exec(d.t.Context(), lockSQL, lifetimes, victim.number)
		if err != nil {
			d.t.Fatal(err)
		}
		locked = tag.RowsAffected()
	}
	before, failures := d.ledger.ofNeighbours(victim), d.ledger.failuresOf(victim)
	if _, err := tx.Exec(d.t.Context(), fmt.Sprintf("SELECT pg_sleep(%f)", 1.5*requestTimeout.Seconds())); err != nil {
		d.t.Fatal(err)
	}
	d.ledger.wait(d.t, "the client of the locked cart to fail", func() bool { return d.ledger.failed(victim) > failures })
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

// failOver kills the primary, and promotes a standby that has all that was acknowledged.
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

// awaitTrue asks until the answer is true.
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
