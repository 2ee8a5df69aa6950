package postgres

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
)

// A save is one statement, made of the parts below that the batch needs, and so its own transaction. The parts
// run on one snapshot and see each other's changes only through RETURNING; so a line is written or dropped
// only if updated or made returns its cart. Each ? is the next parameter.
//
// A row is looked up by = ANY (ARRAY[x]) and not by = x. That allows an index scan but no hash join, which would read
// the whole table, and which the planner prefers while the table is small. Parts may be hashed: a nested loop of a large
// batch with itself takes quadratic time.
const (
	// freeToLockSQL locks the carts that no other transaction has locked, in the order of their ids.
	freeToLockSQL = `held AS MATERIALIZED (
		SELECT c.id, c.version FROM unnest(?::bigint[]) WITH ORDINALITY AS w (id, number) JOIN cart c ON c.id = ANY (ARRAY[w.id])
		ORDER BY w.number FOR UPDATE OF c SKIP LOCKED)`
	// ifHeld confines updates and deletions to these carts.
	ifHeld = ` AND w.id IN (SELECT id FROM held)`

	// wholeSQL finds the groups whose carts are all at the versions loaded. The transaction has locked these carts.
	wholeSQL = `whole AS MATERIALIZED (
		SELECT w.grp FROM unnest(?::bigint[], ?::bigint[], ?::integer[]) AS w (id, was, grp)
		LEFT JOIN {carts} c ON c.id = ANY (ARRAY[w.id]) AND c.version = w.was
		GROUP BY w.grp HAVING bool_and(c.id IS NOT NULL))`
	// ifWhole confines a change that has a group to these groups.
	ifWhole = ` AND (w.grp = 0 OR w.grp IN (SELECT grp FROM whole))`

	// updateSQL changes the carts that are still at the version loaded, in the order of the batch. It waits for a
	// cart that another transaction is changing, and then checks the version again. A cart that becomes ACTIVE
	// keeps of user and cookie only its owner; see freeSQL.
	updateSQL = `updated AS (
		UPDATE cart c SET version = w.version, status = w.status, updated_at = now(),
			user_id = CASE WHEN c.status <> 1 AND w.status = 1 AND c.user_id <= 0 THEN NULL ELSE c.user_id END,
			cookie = CASE WHEN c.status <> 1 AND w.status = 1 AND c.user_id > 0 THEN NULL ELSE c.cookie END
		FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::smallint[]) AS w (id, was, version, status)
		WHERE c.id = ANY (ARRAY[w.id]) AND c.version = w.was`

	// amendSQL is updateSQL for batches in which some change has a group, or changes more of a cart than updateSQL can.
	amendSQL = `updated AS (
		UPDATE cart c SET version = w.version, status = w.status, updated_at = now(), user_id = w.user_id, cookie = w.cookie,
			attributes = w.attributes::jsonb, reference = w.reference,
			locked_until = CASE
				WHEN w.lease > 0 THEN greatest(c.locked_until, now() + w.lease * interval '1 microsecond')
				WHEN w.leased THEN c.locked_until END
		FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::smallint[], ?::integer[],
			?::bigint[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::boolean[])
			AS w (id, was, version, status, grp, user_id, cookie, attributes, reference, lease, leased)
		WHERE c.id = ANY (ARRAY[w.id]) AND c.version = w.was`

	// deleteSQL deletes carts; the foreign key deletes their lines.
	deleteSQL = `deleted AS (
		DELETE FROM cart c
		USING unnest(?::bigint[], ?::bigint[], ?::integer[]) AS w (id, was, grp)
		WHERE c.id = ANY (ARRAY[w.id]) AND c.version = w.was AND ` + bridgeExempt

	// keepSQL returns the carts that stay as they are, for the groups and the receipts that they are part of.
	keepSQL = `kept AS (
		SELECT w.id FROM unnest(?::bigint[], ?::integer[]) AS w (id, grp) WHERE true`

	// makeSQL creates carts. Until a cart has an id, its ref is the negative of its number in the batch. A cart for
	// an owner that has an ACTIVE one is left out, by the unique indexes. The sequence is looked up each time, which takes
	// less than 30 µs: it is another one after a restore, or behind a pooler that switched to another database.
	makeSQL = `fresh AS MATERIALIZED (
		SELECT nextval((SELECT pg_get_serial_sequence('cart', 'id'))::regclass) AS id, -f.number AS ref, f.company_id, f.user_id, f.cookie,
		       f.version, f.attributes
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::text[])
			WITH ORDINALITY AS f (company_id, user_id, cookie, version, attributes, number)),
	made AS (
		INSERT INTO cart (id, company_id, user_id, cookie, version, attributes, status, created_at, updated_at)
		OVERRIDING SYSTEM VALUE
		SELECT id, company_id, user_id, cookie, version, attributes::jsonb, 1, now(), now() FROM fresh ORDER BY ref DESC
		ON CONFLICT DO NOTHING
		RETURNING id)`

	// dropSQL deletes lines.
	dropSQL = `dropped AS (
		DELETE FROM cart_item i
		USING unnest(?::bigint[], ?::bigint[]) AS d (cart_id, product_id) JOIN updated ON updated.id = d.cart_id
		WHERE i.cart_id = ANY (ARRAY[d.cart_id]) AND i.product_id = ANY (ARRAY[d.product_id]))`

	// changeSQL changes lines in place. They exist, since no writer changes the lines of a cart without its
	// version. So it is cheaper than an upsert, which looks each line up twice.
	changeSQL = `changed AS (
		UPDATE cart_item i SET name = p.name, price = ` + price + `, quantity = p.quantity, attributes = p.attributes::jsonb
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::integer[], ?::text[])
			AS p (cart_id, product_id, name, cents, quantity, attributes)
		JOIN updated ON updated.id = p.cart_id
		WHERE i.cart_id = ANY (ARRAY[p.cart_id]) AND i.product_id = ANY (ARRAY[p.product_id]))`

	// appendSQL puts lines at the end of their carts by giving them the next ids, in this order. A product that the
	// batch removed and added again still has a line.
	appendSQL = `appended AS (
		INSERT INTO cart_item (cart_id, product_id, name, price, quantity, attributes)
		SELECT saved.id, p.product_id, p.name, ` + price + `, p.quantity, p.attributes::jsonb
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::integer[], ?::text[])
			WITH ORDINALITY AS p (ref, product_id, name, cents, quantity, attributes, number)
		JOIN saved ON saved.ref = p.ref
		ORDER BY p.number
		ON CONFLICT (cart_id, product_id) DO UPDATE
		SET id = excluded.id, name = excluded.name, price = excluded.price, quantity = excluded.quantity,
			attributes = excluded.attributes)`

	// noteSQL stores receipts. A receipt of the same key fails the whole statement: only that tells for certain that the
	// request was done before, since by now its cart may have been ordered, or be gone.
	noteSQL = `noted AS (
		INSERT INTO cart_request (key, fingerprint, owner, cart_id, company_id, version, cart_created_at)
		SELECT r.key, r.fingerprint, r.owner, CASE WHEN r.company_id > 0 THEN saved.id END, nullif(r.company_id, 0),
		       nullif(r.version, 0), CASE WHEN r.company_id > 0 THEN coalesce(r.created_at, now()) END
		FROM unnest(?::bytea[], ?::bytea[], ?::bytea[], ?::bigint[], ?::bigint[], ?::bigint[], ?::timestamptz[])
			AS r (key, fingerprint, owner, ref, company_id, version, created_at)
		JOIN saved ON saved.ref = r.ref
		ORDER BY r.key)`

	// price is the price of a line p, which comes in minor units; see [cart.NaN].
	price = `CASE WHEN p.cents = (-1::bigint) << 63 THEN 'NaN' ELSE p.cents * 0.01 END`

	// end ends updateSQL, amendSQL and deleteSQL.
	end = " RETURNING c.id)"
)

// parts are the parts of a statement, with their parameters.
type parts struct {
	sql   []string
	saved []string // selects, each of refs and ids
	args  []any
}

func (p *parts) add(part string, args ...any) {
	p.sql, p.args = append(p.sql, part), append(p.args, args...)
}

// saveStatement returns the statement that makes the changes. If skip is set, it leaves out carts that another
// transaction has locked. It returns a row for each cart that it saved: its ref, its id, and the time.
func saveStatement(set *changeSet, skip bool) statement {
	var p parts
	if skip {
		p.add(freeToLockSQL, slices.Sorted(slices.Values(set.locks())))
	}
	p.addCarts(set, skip)
	p.sql = append(p.sql, "saved AS ("+strings.Join(p.saved, " UNION ALL ")+")")
	if len(set.dropCarts) > 0 {
		p.add(dropSQL, set.dropCarts, set.dropProducts)
	}
	if c := &set.changed; len(c.refs) > 0 {
		p.add(changeSQL, c.columns()...)
	}
	if a := &set.appended; len(a.refs) > 0 {
		p.add(appendSQL, a.columns()...)
	}
	if r := &set.receipts; len(r.refs) > 0 {
		p.add(noteSQL, r.keys, r.fingerprints, r.owners, r.refs, r.companies, r.versions, r.created)
	}
	return statement{numbered("WITH " + strings.Join(p.sql, ", ") + " SELECT ref, id, now() FROM saved"), p.args}
}

// addCarts adds the parts that change carts themselves.
func (p *parts) addCarts(set *changeSet, skip bool) {
	var held, whole string
	carts := "cart"
	if skip {
		held, carts = ifHeld, "held"
	}
	if g := &set.grouped; len(g.ids) > 0 {
		p.add(strings.ReplaceAll(wholeSQL, "{carts}", carts), g.ids, g.was, g.groups)
		whole = ifWhole
	}
	if len(set.ids) > 0 {
		update, args := updateSQL, []any{set.ids, set.was, set.versions, set.statuses}
		if set.amended {
			a := &set.amendments
			update = amendSQL + whole
			args = append(args, set.groups, a.users, a.cookies, a.attributes, a.references, a.leases, a.leased)
		}
		p.add(update+held+end, args...)
		p.saved = append(p.saved, "SELECT id AS ref, id FROM updated")
	}
	if len(set.deletes) > 0 {
		p.add(deleteSQL+whole+held+end, set.deletes, set.deletesWas, set.deleteGroups)
		p.saved = append(p.saved, "SELECT id AS ref, id FROM deleted")
	}
	if len(set.keeps) > 0 {
		p.add(keepSQL+whole+")", set.keeps, set.keepGroups)
		p.saved = append(p.saved, "SELECT id AS ref, id FROM kept")
	}
	if len(set.companies) > 0 {
		p.add(makeSQL, set.companies, set.users, set.cookies, set.newVersions, set.newAttributes)
		p.saved = append(p.saved, "SELECT fresh.ref, fresh.id FROM fresh JOIN made ON made.id = fresh.id")
	}
}

// rehearsal returns a save with every kind of change and no carts.
func rehearsal() statement {
	all := []string{
		strings.ReplaceAll(wholeSQL, "{carts}", "cart"), amendSQL + ifWhole + end, deleteSQL + ifWhole + end, makeSQL,
		"saved AS (SELECT id AS ref, id FROM updated UNION ALL SELECT id, id FROM deleted UNION ALL SELECT id, id FROM made)",
		dropSQL, changeSQL, appendSQL, noteSQL,
	}
	sql := "WITH " + strings.Join(all, ", ") + " SELECT FROM saved"
	return statement{numbered(sql), make([]any, strings.Count(sql, "?"))}
}

// numbered replaces each ? by the number of its parameter.
func numbered(sql string) string {
	var b strings.Builder
	b.Grow(len(sql) + 64)
	for n := 1; ; n++ {
		before, after, found := strings.Cut(sql, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n))
		sql = after
	}
}

// freeSQL takes cookies away from carts of users, for guests that need them. The Python service stored
// both, and the unique index over cookies does not know that the user wins.
// The carts are looked up first, by subqueries as in wantedSQL, and changed in the order of their ids.
const freeSQL = `
	UPDATE cart SET cookie = NULL, version = version + 1, updated_at = now()
	WHERE status = 1 AND id = ANY (ARRAY(
		SELECT (SELECT id FROM cart
			WHERE company_id = g.company_id AND cookie = g.cookie AND status = 1 AND user_id > 0)
		FROM unnest($1::bigint[], $2::text[]) AS g (company_id, cookie)))`

// lockSQL locks carts in the order of their ids, for batches that both update carts and delete some, or have groups: so
// two batches never deadlock, and the versions of a group are those of the latest commits.
const lockSQL = `SELECT FROM cart WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE`

// Save implements [cart.Store] in one round trip and one transaction. It waits for carts that another transaction has
// locked, which mostly takes moments. After lock_timeout a second round trip leaves out the carts that are still locked,
// so that the others wait no longer.
func (s *Store) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	set := newChangeSet(changes)
	saved := make([]cart.Saved, len(changes))
	scan := func(rows pgx.Rows) error {
		var ref, id int64
		var now time.Time
		if err := rows.Scan(&ref, &id, &now); err != nil {
			return err
		}
		sv := cart.Saved{OK: true, UpdatedAt: now.UTC()}
		if ref < 0 {
			sv.ID, sv.CreatedAt = id, now.UTC()
		}
		saved[set.index[ref]] = sv
		return nil
	}
	err := s.query(ctx, true, scan, saveStatements(set, false)...)
	if sqlState(err) == lockNotAvailable {
		err = s.query(ctx, true, scan, saveStatements(set, true)...)
	}
	if err != nil {
		return nil, err
	}
	return saved, nil
}

// saveStatements returns the statements that make the changes in one transaction; see saveStatement.
func saveStatements(set *changeSet, skip bool) (list []statement) {
	if (len(set.deletes) > 0 && len(set.ids) > 0 || len(set.grouped.ids) > 0) && !skip {
		list = append(list, statement{lockSQL, []any{set.locks()}})
	}
	if len(set.guestCookies) > 0 {
		list = append(list, statement{freeSQL, []any{set.guestCompanies, set.guestCookies}})
	}
	return append(list, saveStatement(set, skip))
}
