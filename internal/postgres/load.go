package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
)

// columns are the columns that scanCart reads of a row c of cart. Lines come aggregated, one row per cart,
// which is faster than one row per line. scanCart sorts them, and mostly finds them sorted. The subqueries
// stand in for EXISTS, which might read all ACTIVE carts into a hash table, by a plan made for few.
const columns = `
	c.id, c.company_id, c.user_id, c.cookie, c.status, c.version,
	c.created_at, coalesce(c.updated_at, c.created_at),
	CASE WHEN c.status = 2 THEN
		(SELECT true FROM cart a
			WHERE a.status = 1 AND a.company_id = c.company_id AND a.user_id = c.user_id AND a.user_id > 0 LIMIT 1) IS NOT NULL
		OR coalesce(c.user_id, 0) <= 0 AND (SELECT true FROM cart a
			WHERE a.status = 1 AND a.company_id = c.company_id AND a.cookie = c.cookie AND coalesce(a.user_id, 0) <= 0
			LIMIT 1) IS NOT NULL
	ELSE false END,
	c.attributes::text, c.locked_until, c.reference,
	l.places, l.product_ids, l.names, l.prices, l.quantities, l.attributes`

// noCart has the types of columns, for rows that hold something else.
const noCart = `
	0::bigint, 0::bigint, NULL::bigint, NULL::varchar, 0::smallint, 0::bigint, now(), now(), false,
	NULL::text, NULL::timestamptz, NULL::varchar,
	NULL::bigint[], NULL::bigint[], NULL::varchar[], NULL::bigint[], NULL::integer[], NULL::text`

// lines aggregates the lines of the cart c. A price of NaN gets the number of [cart.NaN].
const lines = `
	CROSS JOIN LATERAL (
		SELECT array_agg(i.id) AS places, array_agg(i.product_id) AS product_ids, array_agg(i.name) AS names,
		       array_agg(CASE WHEN i.price = 'NaN' THEN (-1::bigint) << 63 ELSE (i.price * 100)::bigint END) AS prices, array_agg(i.quantity) AS quantities,
		       (jsonb_object_agg(i.product_id, i.attributes) FILTER (WHERE i.attributes IS NOT NULL))::text AS attributes
		FROM cart_item i WHERE i.cart_id = c.id) l`

// wantedSQL finds the ids of the carts that refs name. It looks each owner's cart up by a subquery, so that even a plan made
// for an empty table uses the unique index.
const wantedSQL = `
	WITH wanted AS (
		SELECT unnest($1::bigint[]) AS id
		UNION
		SELECT (SELECT id FROM cart WHERE company_id = o.company_id AND user_id = o.user_id AND status = 1)
		FROM unnest($2::bigint[], $3::bigint[]) AS o (company_id, user_id)
		UNION
		SELECT (SELECT id FROM cart
			WHERE company_id = o.company_id AND cookie = o.cookie AND status = 1 AND coalesce(user_id, 0) <= 0)
		FROM unnest($4::bigint[], $5::text[]) AS o (company_id, cookie)`

const loadSQL = wantedSQL + `)
	SELECT` + columns + `
	FROM wanted JOIN cart c ON c.id = ANY (ARRAY[wanted.id])` + lines

// Load implements [cart.Store] with one statement.
func (s *Store) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	found := make(cart.Found, len(refs))
	scan := func(rows pgx.Rows) error {
		c, err := scanCart(rows)
		if err == nil {
			found.Add(c)
		}
		return err
	}
	if err := s.query(ctx, false, scan, statement{loadSQL, wanted(refs)}); err != nil {
		return nil, err
	}
	return found.Carts(refs), nil
}

// wanted returns the parameters of wantedSQL.
func wanted(refs []cart.Ref) []any {
	var ids, userCompanies, users, guestCompanies []int64
	var cookies []string
	for _, r := range refs {
		switch {
		case r.ID > 0:
			ids = append(ids, r.ID)
		case r.Owner.UserID > 0:
			userCompanies, users = append(userCompanies, r.CompanyID), append(users, r.Owner.UserID)
		case r.Owner.Cookie != "":
			guestCompanies, cookies = append(guestCompanies, r.CompanyID), append(cookies, r.Owner.Cookie)
		}
	}
	return []any{ids, userCompanies, users, guestCompanies, cookies}
}

const listSQL = `
	SELECT` + columns + `
	FROM (
		SELECT * FROM cart
		WHERE user_id = $1 AND ($2::bigint = 0 OR company_id = $2) AND ($3::smallint = 0 OR status = $3)
		  AND (SELECT true FROM cart_item WHERE cart_id = cart.id LIMIT 1)
		ORDER BY id DESC
		LIMIT $4 OFFSET $5) c` + lines + `
	ORDER BY c.id DESC`

// List implements [cart.Store].
func (s *Store) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	var carts []*cart.Cart
	scan := func(rows pgx.Rows) error {
		c, err := scanCart(rows)
		carts = append(carts, c)
		return err
	}
	err := s.query(ctx, false, scan, statement{listSQL, []any{l.UserID, l.CompanyID, l.Status, l.Limit, l.Offset}})
	if err != nil {
		return nil, err
	}
	return carts, nil
}

// scanCart reads a row of columns, and what follows them into more.
func scanCart(rows pgx.Rows, more ...any) (*cart.Cart, error) {
	var (
		c                        cart.Cart
		created, updated         time.Time
		lockedUntil              *time.Time
		places, products, prices []int64
		names                    []string
		quantities               []int32
		attributes, reference    *string
		lineAttributes           *string
	)
	targets := []any{
		&c.ID, &c.CompanyID, &c.UserID, &c.Cookie, &c.Status, &c.Version, &created, &updated, &c.Rival,
		&attributes, &lockedUntil, &reference, &places, &products, &names, &prices, &quantities, &lineAttributes,
	}
	if err := rows.Scan(append(targets, more...)...); err != nil {
		return nil, err
	}
	c.CreatedAt, c.UpdatedAt = created.UTC(), updated.UTC()
	if lockedUntil != nil {
		c.LockedUntil = lockedUntil.UTC()
	}
	if reference != nil {
		c.Reference = *reference
	}
	c.Items = make([]cart.Item, len(products))
	for i, at := range inOrder(places) {
		c.Items[i] = cart.Item{
			ProductID: products[at], Name: names[at], Price: cart.Money(prices[at]), Quantity: int64(quantities[at]),
		}
	}
	return &c, c.SetAttributes(attributes, lineAttributes)
}

// inOrder returns the indexes of places, the smallest place first.
func inOrder(places []int64) []int {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	if !slices.IsSorted(places) {
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(places[a], places[b]) })
	}
	return order
}
