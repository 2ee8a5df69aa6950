package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
)

// saveSQL makes all changes of a batch, each whole or not at all. Its parts run on one snapshot, and
// what one of them does the others see only through RETURNING; so a line is written or dropped only
// where held or made says that its cart is ours.
//
//   - held locks the carts that are still at the version loaded, in the order of their ids, so that two
//     batches never wait for each other. A cart that somebody else is changing is waited for and looked
//     at again.
//   - updated takes the cookie from a user's cart that becomes ACTIVE; see freeSQL.
//   - made creates carts; an owner who has an ACTIVE one is left out by the unique indexes.
//   - put keeps the place (the id) of a line that stays where it is and gives the others a new one, at
//     the end.
//
// Carts to create are known by the negative of their number in the batch until they have ids.
const saveSQL = `
	WITH held AS MATERIALIZED (
		SELECT c.id, w.version, w.status, w.deleted
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::boolean[])
			AS w (id, was, version, status, deleted)
		JOIN cart c ON c.id = w.id AND c.version = w.was
		ORDER BY c.id
		FOR UPDATE OF c),
	deleted AS (
		DELETE FROM cart c USING held WHERE c.id = held.id AND held.deleted),
	updated AS (
		UPDATE cart c SET version = held.version, status = held.status, updated_at = now(),
			cookie = CASE WHEN c.status <> 1 AND held.status = 1 AND c.user_id IS NOT NULL THEN NULL ELSE c.cookie END
		FROM held WHERE c.id = held.id AND NOT held.deleted),
	fresh AS MATERIALIZED (
		SELECT nextval($6::oid::regclass) AS id, -f.number AS ref, f.company_id, f.user_id, f.cookie, f.version
		FROM unnest($7::bigint[], $8::bigint[], $9::text[], $10::bigint[])
			WITH ORDINALITY AS f (company_id, user_id, cookie, version, number)),
	made AS (
		INSERT INTO cart (id, company_id, user_id, cookie, version, status, created_at, updated_at)
		OVERRIDING SYSTEM VALUE
		SELECT id, company_id, user_id, cookie, version, 1, now(), now() FROM fresh ORDER BY ref DESC
		ON CONFLICT DO NOTHING
		RETURNING id),
	saved AS (
		SELECT id AS ref, id FROM held
		UNION ALL
		SELECT fresh.ref, fresh.id FROM fresh JOIN made ON made.id = fresh.id),
	dropped AS (
		DELETE FROM cart_item i
		USING unnest($11::bigint[], $12::bigint[]) AS d (cart_id, product_id) JOIN held ON held.id = d.cart_id
		WHERE i.cart_id = d.cart_id AND i.product_id = d.product_id),
	put AS (
		INSERT INTO cart_item (id, cart_id, product_id, name, price, quantity)
		SELECT coalesce(i.id, nextval($13::oid::regclass)), saved.id, p.product_id, p.name, p.cents * 0.01, p.quantity
		FROM unnest($14::bigint[], $15::bigint[], $16::text[], $17::bigint[], $18::integer[], $19::boolean[])
			WITH ORDINALITY AS p (ref, product_id, name, cents, quantity, append, number)
		JOIN saved ON saved.ref = p.ref
		LEFT JOIN cart_item i ON i.cart_id = saved.id AND i.product_id = p.product_id AND NOT p.append
		ORDER BY p.number
		ON CONFLICT (cart_id, product_id) DO UPDATE
		SET id = excluded.id, name = excluded.name, price = excluded.price, quantity = excluded.quantity)
	SELECT ref, id, now() FROM saved`

// changeSet is a batch of changes, column by column as saveSQL takes them.
type changeSet struct {
	// Carts to update or delete, by id.
	ids, was, versions []int64
	statuses           []int16
	deletes            []bool
	// Carts to create, by owner and company.
	companies   []int64
	users       []*int64
	cookies     []*string
	newVersions []int64
	// Guests for whom a cart becomes ACTIVE.
	guestCompanies []int64
	guestCookies   []string
	// Lines to delete and to write.
	dropCarts, dropProducts []int64
	putRefs, putProducts    []int64
	putNames                []string
	putPrices               []int64
	putQuantities           []int32
	putAppends              []bool

	// index tells which change each ref is about.
	index map[int64]int
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

// compareKeys orders carts by id, and new ones by what the unique indexes hold of them.
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
	if ref = c.ID; ref == 0 {
		s.companies = append(s.companies, c.CompanyID)
		s.users = append(s.users, c.UserID)
		s.cookies = append(s.cookies, c.Cookie)
		s.newVersions = append(s.newVersions, c.Version)
		ref = -int64(len(s.companies))
	} else {
		s.ids = append(s.ids, c.ID)
		s.was = append(s.was, ch.Was)
		s.versions = append(s.versions, c.Version)
		s.statuses = append(s.statuses, int16(c.Status))
		s.deletes = append(s.deletes, ch.Delete)
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
		line := &ch.Put[i]
		s.putRefs = append(s.putRefs, ref)
		s.putProducts = append(s.putProducts, line.ProductID)
		s.putNames = append(s.putNames, line.Name)
		s.putPrices = append(s.putPrices, int64(line.Price))
		s.putQuantities = append(s.putQuantities, int32(line.Quantity))
		s.putAppends = append(s.putAppends, line.Append)
	}
	return ref
}

// freeSQL takes cookies away from carts of users, for guests who need them. The Python service stored
// both, and the unique index over cookies does not know that the user wins.
const freeSQL = `
	UPDATE cart c SET cookie = NULL
	FROM unnest($1::bigint[], $2::text[]) AS g (company_id, cookie)
	WHERE c.company_id = g.company_id AND c.cookie = g.cookie AND c.status = 1 AND c.user_id IS NOT NULL`

// Save implements [cart.Store] in one round trip and one transaction: saveSQL, and freeSQL before it
// where a cart becomes a guest's ACTIVE one.
func (s *Store) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
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
	var statements []statement
	if len(set.guestCookies) > 0 {
		statements = append(statements, statement{freeSQL, []any{set.guestCompanies, set.guestCookies}})
	}
	statements = append(statements, statement{saveSQL, []any{
		set.ids, set.was, set.versions, set.statuses, set.deletes,
		s.cartSeq, set.companies, set.users, set.cookies, set.newVersions,
		set.dropCarts, set.dropProducts,
		s.itemSeq, set.putRefs, set.putProducts, set.putNames, set.putPrices, set.putQuantities, set.putAppends,
	}})
	if err := s.query(ctx, true, scan, statements...); err != nil {
		return nil, err
	}
	return saved, nil
}
