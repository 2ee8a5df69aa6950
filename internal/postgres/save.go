package postgres

import (
	"cmp"
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
		SELECT c.id FROM unnest(?::bigint[]) WITH ORDINALITY AS w (id, number) JOIN cart c ON c.id = ANY (ARRAY[w.id])
		ORDER BY w.number FOR UPDATE OF c SKIP LOCKED)`
	// ifHeld confines updateSQL and deleteSQL to these carts.
	ifHeld = ` AND w.id IN (SELECT id FROM held)`

	// updateSQL changes the carts that are still at the version loaded, in the order of the batch. It waits for a
	// cart that another transaction is changing, and then checks the version again. A cart that becomes ACTIVE
	// keeps of user and cookie only its owner; see freeSQL.
	updateSQL = `updated AS (
		UPDATE cart c SET version = w.version, status = w.status, updated_at = now(),
			user_id = CASE WHEN c.status <> 1 AND w.status = 1 AND c.user_id <= 0 THEN NULL ELSE c.user_id END,
			cookie = CASE WHEN c.status <> 1 AND w.status = 1 AND c.user_id > 0 THEN NULL ELSE c.cookie END
		FROM unnest(?::bigint[], ?::bigint[], ?::bigint[], ?::smallint[]) AS w (id, was, version, status)
		WHERE c.id = ANY (ARRAY[w.id]) AND c.version = w.was`

	// deleteSQL deletes carts; the foreign key deletes their lines.
	deleteSQL = `deleted AS (
		DELETE FROM cart c
		USING unnest(?::bigint[], ?::bigint[]) AS w (id, was)
		WHERE c.id = ANY (ARRAY[w.id]) AND c.version = w.was AND ` + bridgeExempt

	// makeSQL creates carts. Until a cart has an id, its ref is the negative of its number in the batch. A cart for
	// an owner that has an ACTIVE one is left out, by the unique indexes. The sequence is looked up each time, which takes
	// less than 30 µs: it is another one after a restore, or behind a pooler that switched to another database.
	makeSQL = `fresh AS MATERIALIZED (
		SELECT nextval((SELECT pg_get_serial_sequence('cart', 'id'))::regclass) AS id, -f.number AS ref, f.company_id, f.user_id, f.cookie, f.version
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[])
			WITH ORDINALITY AS f (company_id, user_id, cookie, version, number)),
	made AS (
		INSERT INTO cart (id, company_id, user_id, cookie, version, status, created_at, updated_at)
		OVERRIDING SYSTEM VALUE
		SELECT id, company_id, user_id, cookie, version, 1, now(), now() FROM fresh ORDER BY ref DESC
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
		UPDATE cart_item i SET name = p.name, price = ` + price + `, quantity = p.quantity
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::integer[])
			AS p (cart_id, product_id, name, cents, quantity)
		JOIN updated ON updated.id = p.cart_id
		WHERE i.cart_id = ANY (ARRAY[p.cart_id]) AND i.product_id = ANY (ARRAY[p.product_id]))`

	// appendSQL puts lines at the end of their carts by giving them the next ids, in this order. A product that the
	// batch removed and added again still has a line.
	appendSQL = `appended AS (
		INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
		SELECT saved.id, p.product_id, p.name, ` + price + `, p.quantity
		FROM unnest(?::bigint[], ?::bigint[], ?::text[], ?::bigint[], ?::integer[])
			WITH ORDINALITY AS p (ref, product_id, name, cents, quantity, number)
		JOIN saved ON saved.ref = p.ref
		ORDER BY p.number
		ON CONFLICT (cart_id, product_id) DO UPDATE
		SET id = excluded.id, name = excluded.name, price = excluded.price, quantity = excluded.quantity)`

	// price is the price of a line p, which comes in minor units; see [cart.NaN].
	price = `CASE WHEN p.cents = (-1::bigint) << 63 THEN 'NaN' ELSE p.cents * 0.01 END`
)

// saveStatement returns the statement that makes the changes. If skip is set, it leaves out carts that another
// transaction has locked. It returns a row for each cart that it saved: its ref, its id, and the time.
func saveStatement(set *changeSet, skip bool) statement {
	var parts, saved []string
	var args []any
	returning := end
	add := func(part string, columns ...any) {
		parts, args = append(parts, part), append(args, columns...)
	}
	if skip {
		ids := slices.Concat(set.ids, set.deletes)
		slices.Sort(ids)
		add(freeToLockSQL, ids)
		returning = ifHeld + end
	}
	if len(set.ids) > 0 {
		add(updateSQL+returning, set.ids, set.was, set.versions, set.statuses)
		saved = append(saved, "SELECT id AS ref, id FROM updated")
	}
	if len(set.deletes) > 0 {
		add(deleteSQL+returning, set.deletes, set.deletesWas)
		saved = append(saved, "SELECT id AS ref, id FROM deleted")
	}
	if len(set.companies) > 0 {
		add(makeSQL, set.companies, set.users, set.cookies, set.newVersions)
		saved = append(saved, "SELECT fresh.ref, fresh.id FROM fresh JOIN made ON made.id = fresh.id")
	}
	parts = append(parts, "saved AS ("+strings.Join(saved, " UNION ALL ")+")")
	if len(set.dropCarts) > 0 {
		add(dropSQL, set.dropCarts, set.dropProducts)
	}
	if c := &set.changed; len(c.refs) > 0 {
		add(changeSQL, c.refs, c.products, c.names, c.prices, c.quantities)
	}
	if a := &set.appended; len(a.refs) > 0 {
		add(appendSQL, a.refs, a.products, a.names, a.prices, a.quantities)
	}
	return statement{numbered("WITH " + strings.Join(parts, ", ") + " SELECT ref, id, now() FROM saved"), args}
}

// end ends updateSQL and deleteSQL.
const end = " RETURNING c.id)"

// rehearsal returns a save with every kind of change and no carts.
func rehearsal() statement {
	parts := []string{
		updateSQL + end, deleteSQL + end, makeSQL,
		"saved AS (SELECT id AS ref, id FROM updated UNION ALL SELECT id, id FROM deleted UNION ALL SELECT id, id FROM made)",
		dropSQL, changeSQL, appendSQL,
	}
	sql := "WITH " + strings.Join(parts, ", ") + " SELECT FROM saved"
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

// changeSet is a batch of changes, column by column as saveStatements takes them.
type changeSet struct {
	// Carts to update, by id.
	ids, was, versions []int64
	statuses           []int16
	// Carts to delete, by id.
	deletes, deletesWas []int64
	// Carts to create, by owner and company.
	companies   []int64
	users       []*int64
	cookies     []*string
	newVersions []int64
	// Guests for whom a cart becomes ACTIVE.
	guestCompanies []int64
	guestCookies   []string
	// Lines to delete, and to write.
	dropCarts, dropProducts []int64
	changed, appended       lineSet

	// index is the index of the change of each ref.
	index map[int64]int
}

// lineSet is lines to write.
type lineSet struct {
	refs, products []int64
	names          []string
	prices         []int64
	quantities     []int32
}

func (s *lineSet) add(ref int64, item *cart.Item) {
	s.refs = append(s.refs, ref)
	s.products = append(s.products, item.ProductID)
	s.names = append(s.names, item.Name)
	s.prices = append(s.prices, int64(item.Price))
	s.quantities = append(s.quantities, int32(item.Quantity))
}

// newChangeSet sorts the changes, so that all batches lock and create in one order.
func newChangeSet(changes []cart.Change) *changeSet {
	order := make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return compareKeys(changes[a].Cart, changes[b].Cart) })
	set := &changeSet{index: make(map[int64]int, len(changes))}
	for _, i := range order {
		set.index[set.add(&changes[i])] = i
	}
	return set
}

// compareKeys orders carts by id, and new ones by company and owner, the keys of the unique indexes.
func compareKeys(a, b *cart.Cart) int {
	ao, bo := a.Owner(), b.Owner()
	return cmp.Or(
		cmp.Compare(a.ID, b.ID),
		cmp.Compare(a.CompanyID, b.CompanyID),
		cmp.Compare(ao.UserID, bo.UserID),
		cmp.Compare(ao.Cookie, bo.Cookie),
	)
}

// add adds a change and returns the ref of its cart.
func (s *changeSet) add(ch *cart.Change) (ref int64) {
	c := ch.Cart
	switch ref = c.ID; {
	case ref == 0:
		s.companies = append(s.companies, c.CompanyID)
		s.users = append(s.users, c.UserID)
		s.cookies = append(s.cookies, c.Cookie)
		s.newVersions = append(s.newVersions, c.Version)
		ref = -int64(len(s.companies))
	case ch.Delete:
		s.deletes = append(s.deletes, ref)
		s.deletesWas = append(s.deletesWas, ch.Was)
	default:
		s.ids = append(s.ids, ref)
		s.was = append(s.was, ch.Was)
		s.versions = append(s.versions, c.Version)
		s.statuses = append(s.statuses, int16(c.Status))
	}
	if owner := c.Owner(); ch.Activates && owner.Cookie != "" {
		s.guestCompanies = append(s.guestCompanies, c.CompanyID)
		s.guestCookies = append(s.guestCookies, owner.Cookie)
	}
	for _, product := range ch.Drop {
		s.dropCarts = append(s.dropCarts, ref)
		s.dropProducts = append(s.dropProducts, product)
	}
	for i := range ch.Put {
		if line := &ch.Put[i]; line.Append {
			s.appended.add(ref, &line.Item)
		} else {
			s.changed.add(ref, &line.Item)
		}
	}
	return ref
}

// freeSQL takes cookies away from carts of users, for guests that need them. The Python service stored
// both, and the unique index over cookies does not know that the user wins.
// The carts are looked up first, by subqueries as in loadSQL, and changed in the order of their ids.
const freeSQL = `
	UPDATE cart SET cookie = CASE WHEN status = 1 THEN NULL ELSE cookie END
	WHERE id = ANY (ARRAY(
		SELECT (SELECT id FROM cart
			WHERE company_id = g.company_id AND cookie = g.cookie AND status = 1 AND user_id > 0)
		FROM unnest($1::bigint[], $2::text[]) AS g (company_id, cookie)))
		AND ` + bridgeExempt

// lockSQL locks carts in the order of their ids, for batches that both update carts and delete some: so
// two batches never deadlock.
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
	if len(set.deletes) > 0 && len(set.ids) > 0 && !skip {
		list = append(list, statement{lockSQL, []any{slices.Concat(set.ids, set.deletes)}})
	}
	if len(set.guestCookies) > 0 {
		list = append(list, statement{freeSQL, []any{set.guestCompanies, set.guestCookies}})
	}
	return append(list, saveStatement(set, skip))
}
