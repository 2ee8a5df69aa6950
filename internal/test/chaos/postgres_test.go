//go:build linux

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// felt is the number of commands that must fail before a fault ends.
const felt = 8

// postgres is a site on a PostgreSQL server of its own. One instance knows both hosts that may be the primary; the other
// knows an address that moves with the primary. All three are proxies.
type postgres struct {
	*site
	server  *pgtest.Server // the primary
	hosts   [2]*pgtest.Proxy
	host    int // index of the primary's; the other one refuses connections
	address *pgtest.Proxy
}

func newPostgres(t *testing.T) *postgres {
	t.Helper()
	d := &postgres{site: newSite(t, "PostgreSQL"), server: pgtest.Start(t)}
	for _, p := range []**pgtest.Proxy{&d.hosts[0], &d.hosts[1], &d.address} {
		*p = pgtest.NewProxy(t, d.server.URL())
	}
	d.hosts[1].Refuse(true)
	// Statements that wait for a lock end by lock_timeout in one instance, and by statement_timeout in the other.
	for i, url := range []string{
		pgtest.Hosts(t, d.hosts[0].URL(), d.hosts[1].URL()) + "&target_session_attrs=read-write",
		d.address.URL() + "&statement_timeout=500",
	} {
		d.services[i] = newService(t, "DATABASE_URL="+url, "AUTO_MIGRATE=true")
	}
	d.stored = d.read
	d.exec(fillSQL)
	return d
}

// proxies returns the proxies that lead to the primary, one for each instance.
func (d *postgres) proxies() []*pgtest.Proxy { return []*pgtest.Proxy{d.hosts[d.host], d.address} }

// each calls do with every proxy that leads to the primary.
func (d *postgres) each(do func(*pgtest.Proxy)) {
	for _, p := range d.proxies() {
		do(p)
	}
}

// fillSQL makes the file of cart_item larger than a segment of the write-ahead log, so that a limit on file sizes affects
// only the former, and makes new lines need new pages soon. See fullDisk.
const fillSQL = `
	ALTER TABLE cart_item SET (fillfactor = 10, autovacuum_enabled = false);
	INSERT INTO cart (company_id, status) OVERRIDING SYSTEM VALUE VALUES (0, 4);
	INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
	SELECT max(id), n, 'filler', 1, 1 FROM cart, generate_series(1, 30000) n GROUP BY n`

const readPostgresSQL = `
	SELECT c.id, c.company_id, c.user_id, c.cookie, c.status, c.version,
	       i.product_id, i.name, (i.price * 100)::bigint, i.quantity
	FROM cart c LEFT JOIN cart_item i ON i.cart_id = c.id
	WHERE c.company_id > 0
	ORDER BY c.id, i.id`

// sequenceSQL returns whether the ids of all carts and lines come from the sequences of their tables.
const sequenceSQL = `
	SELECT coalesce((SELECT max(id) FROM cart) <= pg_sequence_last_value(pg_get_serial_sequence('cart', 'id')::regclass)
		AND (SELECT max(id) FROM cart_item) <= pg_sequence_last_value(pg_get_serial_sequence('cart_item', 'id')::regclass), false)`

// read returns all carts. It fails if their ids do not come from the right sequences.
func (d *postgres) read(ctx context.Context) ([]*cart.Cart, error) {
	conn, err := pgx.Connect(ctx, d.server.URL())
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	var right bool
	if err := conn.QueryRow(ctx, sequenceSQL).Scan(&right); err != nil {
		return nil, err
	}
	if !right {
		return nil, errors.New("some ids are above the last values of the sequences")
	}
	rows, err := conn.Query(ctx, readPostgresSQL)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	carts, err := readCarts(rows)
	return carts, errors.Join(err, rows.Err())
}

// connect returns a connection that bypasses the proxies, and may write even when the database is read-only. The end of
// the test closes it at the latest.
func (d *postgres) connect() *pgx.Conn {
	d.t.Helper()
	conn, err := pgx.Connect(d.t.Context(), d.server.URL()+"&default_transaction_read_only=off")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			d.t.Error(err)
		}
	})
	return conn
}

// exec runs statements one by one on a connection of its own.
func (d *postgres) exec(statements ...string) {
	d.t.Helper()
	conn := d.connect()
	for _, sql := range statements {
		if _, err := conn.Exec(d.t.Context(), sql); err != nil {
			d.t.Fatalf("%s: %v", sql, err)
		}
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}

// restart stops the server, and starts it again after commands have failed.
func (d *postgres) restart(mode pgtest.StopMode) {
	d.server.Stop(mode)
	d.ledger.await(d.t, felt, refused, unknown)
	d.server.Restart()
}

// cut closes all connections, several times. Clients need not notice: the service repeats reads, and writes that it had
// not sent.
func (d *postgres) cut() {
	for range 5 {
		d.each((*pgtest.Proxy).CutAll)
		d.ledger.await(d.t, 20, acknowledged)
	}
}

// refuse keeps the service from connecting.
func (d *postgres) refuse() {
	d.each(func(p *pgtest.Proxy) { p.Refuse(true) })
	d.each((*pgtest.Proxy).CutAll)
	d.ledger.await(d.t, felt, refused, unknown)
	d.each(func(p *pgtest.Proxy) { p.Refuse(false) })
}

// silence leaves all connections open and lets nothing through.
func (d *postgres) silence() {
	d.each(func(p *pgtest.Proxy) { p.Hang(true) })
	d.ledger.await(d.t, felt, refused, unknown)
	d.each(func(p *pgtest.Proxy) { p.Hang(false) })
}

// strand leaves open connections silent for good.
func (d *postgres) strand() { d.each((*pgtest.Proxy).Strand) }

// lose cuts connections before the server gets a save, and after it has committed one, so that the answer is lost.
func (d *postgres) lose() {
	const save = "SELECT ref, id, now() FROM saved" // and not what readiness tries, which saves nothing
	for range 2 {
		d.each(func(p *pgtest.Proxy) {
			d.ledger.awaitAfter(d.t, func() { p.CutBefore(save) }, 1, unknown)
			d.ledger.awaitAfter(d.t, func() { p.CutAfterReply(save) }, 1, unknown)
		})
	}
}

// lock has another session lock all lines until statements of both instances have timed out.
func (d *postgres) lock() {
	d.locked(forWriters, func(pgx.Tx) { d.ledger.await(d.t, felt, refused, unknown) })
}

// forWriters is a lock that keeps other sessions from changing lines.
const forWriters = "cart_item IN EXCLUSIVE MODE"

// locked calls do in a transaction that has locked tables, and rolls it back unless do commits it.
func (d *postgres) locked(lock string, do func(pgx.Tx)) {
	d.t.Helper()
	conn := d.connect()
	tx, err := conn.Begin(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	if _, err := tx.Exec(d.t.Context(), "LOCK TABLE "+lock); err != nil {
		d.t.Fatal(err)
	}
	do(tx)
	if err := tx.Rollback(d.t.Context()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		d.t.Fatal(err)
	}
	if err := conn.Close(d.t.Context()); err != nil {
		d.t.Error(err)
	}
}

// fullDisk lets the file of cart_item grow by half a page at most. Up to release 15, PostgreSQL reports a partial write of
// a page as a full disk (53100). Later releases try to write the rest, get EFBIG, and report that as an internal error
// (XX000), which the service answers with 500.
func (d *postgres) fullDisk() {
	const segment, page = 16 << 20, 8 << 10
	// The lock keeps the file from growing while only some processes have the limit.
	d.locked(forWriters, func(tx pgx.Tx) {
		var version int
		var size uint64
		err := tx.QueryRow(d.t.Context(), `
			SELECT current_setting('server_version_num')::int, pg_relation_size('cart_item')`).Scan(&version, &size)
		if err != nil {
			d.t.Fatal(err)
		}
		if size < segment {
			d.t.Fatalf("the lines take %d bytes, want more than a segment of the write-ahead log", size)
		}
		d.mayFault.Store(version >= 160000)
		d.limit(tx, strconv.FormatUint(size/page*page+page/2, 10))
	})
	d.ledger.await(d.t, felt, refused, faulted)
	d.locked(forWriters, func(tx pgx.Tx) { d.limit(tx, unlimited) })
}

// limit limits the size of files that any process of the server may write. The server runs the command, since it may have
// another user than the test. The second pass finds sessions that began during the first one.
func (d *postgres) limit(tx pgx.Tx, size string) {
	d.t.Helper()
	var postmaster int
	err := tx.QueryRow(d.t.Context(), `SELECT split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int`).Scan(&postmaster)
	if err != nil {
		d.t.Fatal(err)
	}
	program := fmt.Sprintf("for pass in 1 2; do for pid in %[1]d $(cat /proc/%[1]d/task/%[1]d/children); do %[2]s; done; done",
		postmaster, limitFiles("$pid", size))
	if _, err := tx.Exec(d.t.Context(), "COPY (SELECT) TO PROGRAM '"+program+"'"); err != nil {
		d.t.Fatal(err)
	}
}

// killAll kills the server and all instances, and starts them again.
func (d *postgres) killAll() {
	for _, s := range d.services {
		s.signal(syscall.SIGKILL)
	}
	d.server.Stop(pgtest.Immediate)
	for _, s := range d.services {
		<-s.running.Load().ended
	}
	d.ledger.await(d.t, felt, refused, unknown)
	d.server.Restart()
	for _, s := range d.services {
		s.start()
	}
}

// killOne kills an instance, and starts it again after commands have failed.
func (s *site) killOne() {
	s.services[0].kill()
	s.ledger.await(s.t, felt, refused, unknown)
	s.services[0].start()
}

// stopOne stops an instance under load. The instance must shut down cleanly.
func (s *site) stopOne() {
	s.services[1].stop()
	s.ledger.await(s.t, felt, refused, unknown)
	s.services[1].start()
}

// rows are the rows of a query for carts and lines, in either driver.
type rows interface {
	Next() bool
	Scan(into ...any) error
}

// readCarts reads rows that have a cart and one of its lines, or NULL if it has none.
func readCarts(r rows) ([]*cart.Cart, error) {
	var carts []*cart.Cart
	for r.Next() {
		var (
			c                        cart.Cart
			product, price, quantity *int64
			name                     *string
		)
		err := r.Scan(&c.ID, &c.CompanyID, &c.UserID, &c.Cookie, &c.Status, &c.Version, &product, &name, &price, &quantity)
		if err != nil {
			return nil, fmt.Errorf("read a cart: %w", err)
		}
		if len(carts) == 0 || carts[len(carts)-1].ID != c.ID {
			carts = append(carts, &c)
		}
		if product != nil {
			last := carts[len(carts)-1]
			last.Items = append(last.Items, cart.Item{ProductID: *product, Name: *name, Price: cart.Money(*price), Quantity: *quantity})
		}
	}
	return carts, nil
}
