package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sellio/sellio-cart/internal/cart"
)

// knownSQL is loadSQL for requests with keys: it adds the carts that the receipts of the keys name, and the receipts. Bytes
// come as hexadecimal digits, which no setting changes.
const knownSQL = wantedSQL + `
		UNION
		SELECT cart_id FROM cart_request WHERE key = ANY ($6::bytea[]))
	SELECT` + columns + `, NULL::text, ''::text, ''::text, 0::bigint, 0::bigint, 0::bigint, now(), now()
	FROM wanted JOIN cart c ON c.id = ANY (ARRAY[wanted.id])` + lines + `
	UNION ALL
	SELECT` + noCart + `, encode(key, 'hex'), encode(fingerprint, 'hex'), coalesce(encode(owner, 'hex'), ''), coalesce(cart_id, 0), coalesce(company_id, 0), coalesce(version, 0),
	       coalesce(cart_created_at, at), at
	FROM cart_request WHERE key = ANY ($6::bytea[])`

// LoadKnown implements [cart.Store] with one statement.
func (s *Store) LoadKnown(ctx context.Context, refs []cart.Ref, keys [][32]byte) ([]*cart.Cart, []*cart.Receipt, error) {
	found := make(cart.Found, len(refs))
	known := make(map[[32]byte]*cart.Receipt)
	scan := func(rows pgx.Rows) error {
		var r cart.Receipt
		var key *string
		var fingerprint, owner string
		c, err := scanCart(rows, &key, &fingerprint, &owner, &r.CartID, &r.CompanyID, &r.Version, &r.CreatedAt, &r.At)
		switch {
		case err != nil:
			return err
		case key == nil:
			found.Add(c)
			return nil
		}
		if err := unhex(r.Key[:], *key); err != nil {
			return err
		}
		r.Fingerprint = make([]byte, hex.DecodedLen(len(fingerprint)))
		r.Owner = make([]byte, hex.DecodedLen(len(owner)))
		if err := errors.Join(unhex(r.Fingerprint, fingerprint), unhex(r.Owner, owner)); err != nil {
			return err
		}
		r.CreatedAt, r.At = r.CreatedAt.UTC(), r.At.UTC()
		known[r.Key] = &r
		return nil
	}
	bytes := make([][]byte, len(keys))
	for i := range keys {
		bytes[i] = keys[i][:]
	}
	if err := s.query(ctx, false, scan, statement{knownSQL, append(wanted(refs), bytes)}); err != nil {
		return nil, nil, err
	}
	receipts := make([]*cart.Receipt, len(keys))
	for i, key := range keys {
		if receipts[i] = known[key]; receipts[i] != nil {
			receipts[i].Cart = found[cart.ByID(receipts[i].CartID)]
		}
	}
	return found.Carts(refs), receipts, nil
}

// unhex reads hexadecimal digits, which must fill the bytes.
func unhex(bytes []byte, digits string) error {
	if hex.DecodedLen(len(digits)) != len(bytes) {
		return fmt.Errorf("%d hexadecimal digits for %d bytes in cart_request", len(digits), len(bytes))
	}
	_, err := hex.Decode(bytes, []byte(digits))
	return err
}

// ofUser and ofGuest are conditions on the carts of an owner. The status is named in a form that lets the index of
// cookies be used.
const (
	ofUser  = `user_id = $1::bigint AND status = $2::smallint`
	ofGuest = `cookie = $1::text AND status = $2::smallint AND status IN (1, 2) AND coalesce(user_id, 0) <= 0`
)

// basketSQL reads a page of the carts of an owner, with totals in one more row. Carts without lines do not count.
func basketSQL(of string) string {
	return `
	WITH counted AS MATERIALIZED (
		SELECT id FROM cart
		WHERE ` + of + ` AND (SELECT true FROM cart_item WHERE cart_id = cart.id LIMIT 1)
		ORDER BY id DESC LIMIT $4::bigint + 1),
	page AS (
		SELECT id FROM cart
		WHERE ` + of + ` AND ($3::bigint = 0 OR id < $3) AND (SELECT true FROM cart_item WHERE cart_id = cart.id LIMIT 1)
		ORDER BY id DESC LIMIT $5::bigint + 1)
	SELECT` + columns + `, 0::bigint, 0::bigint, NULL::text
	FROM page JOIN cart c ON c.id = ANY (ARRAY[page.id])` + lines + `
	UNION ALL
	SELECT` + noCart + `,
	       (SELECT count(*) FROM counted), count(*), coalesce(trunc(sum(i.price * i.quantity) * 100)::text, '0')
	FROM counted JOIN cart_item i ON i.cart_id = ANY (ARRAY[counted.id])
	ORDER BY 1 DESC`
}

var userBasketSQL, guestBasketSQL = basketSQL(ofUser), basketSQL(ofGuest)

// Basket implements [cart.Store] with one statement.
func (s *Store) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	b := &cart.Basket{Owner: q.Owner}
	scan := func(rows pgx.Rows) error {
		var count, lines int64
		var cents *string
		c, err := scanCart(rows, &count, &lines, &cents)
		if err != nil {
			return err
		}
		if cents == nil {
			b.Carts = append(b.Carts, c)
			return nil
		}
		b.Totals, err = totals(count, lines, *cents)
		return err
	}
	sql, owner := userBasketSQL, any(q.Owner.UserID)
	if q.Owner.UserID == 0 {
		sql, owner = guestBasketSQL, q.Owner.Cookie
	}
	args := []any{owner, q.Status, q.Before, cart.MaxCounted, cart.MaxCartsAsked}
	if err := s.query(ctx, false, scan, statement{sql, args}); err != nil {
		return nil, err
	}
	b.Trim()
	return b, nil
}

// totals reads the totals of a basket. Cents is a whole number or NaN.
func totals(count, lines int64, cents string) (cart.Totals, error) {
	if count > cart.MaxCounted {
		return cart.Totals{Uncounted: true}, nil
	}
	t := cart.Totals{Count: count, Lines: lines, Amount: cart.NaN.String()}
	if cents != t.Amount {
		sum, ok := new(big.Int).SetString(cents, 10)
		if !ok {
			return t, fmt.Errorf("a sum of %q", cents)
		}
		t.Amount = cart.FormatCents(sum)
	}
	return t, nil
}

const guestCartsSQL = `
	SELECT id, company_id FROM cart
	WHERE cookie = $1::text AND status IN (1, 2) AND coalesce(user_id, 0) <= 0 AND ($2::bigint = 0 OR company_id = $2)
	ORDER BY id LIMIT $3::bigint`

// GuestCarts implements [cart.Store].
func (s *Store) GuestCarts(ctx context.Context, cookie string, companyID int64, limit int) ([]cart.GuestCart, error) {
	var carts []cart.GuestCart
	scan := func(rows pgx.Rows) error {
		var c cart.GuestCart
		err := rows.Scan(&c.ID, &c.CompanyID)
		carts = append(carts, c)
		return err
	}
	if err := s.query(ctx, false, scan, statement{guestCartsSQL, []any{cookie, companyID, limit}}); err != nil {
		return nil, err
	}
	return carts, nil
}

// overdueSQL reads all locks that have ended, by their index, before it sorts them by id: the planner might else go through
// all carts in the order of their ids. It looks up the carts of each owner before it asks which are locked: the planner might
// else go through all locks. OFFSET 0 keeps the parts apart.
const overdueSQL = `
	WITH due AS MATERIALIZED (
		SELECT * FROM (
			SELECT id, user_id, cookie, reference, locked_until FROM cart
			WHERE status = 2 AND locked_until IS NOT NULL AND locked_until <= now() OFFSET 0) ended
		WHERE id > $1::bigint ORDER BY id LIMIT $2::bigint)
	SELECT due.id, g.ids, g.versions, g.ended
	FROM due CROSS JOIN LATERAL (
		SELECT array_agg(c.id ORDER BY c.id) AS ids, array_agg(c.version ORDER BY c.id) AS versions,
		       bool_and(c.locked_until <= now()) AS ended
		FROM (
			SELECT * FROM cart WHERE id = ANY (ARRAY(
				SELECT due.id
				UNION
				SELECT u.id FROM cart u WHERE due.user_id > 0 AND u.user_id = due.user_id
				UNION
				SELECT o.id FROM cart o
				WHERE coalesce(due.user_id, 0) <= 0 AND o.cookie = due.cookie AND o.status IN (1, 2) AND coalesce(o.user_id, 0) <= 0))
			OFFSET 0) c
		WHERE c.status = 2 AND c.locked_until IS NOT NULL AND c.reference IS NOT DISTINCT FROM due.reference
		AND (c.reference IS NOT NULL OR c.locked_until = due.locked_until)) g
	ORDER BY due.id`

// Overdue implements [cart.Store] with one statement.
func (s *Store) Overdue(ctx context.Context, after int64, limit int) (groups [][]cart.Expected, last int64, err error) {
	looked := 0
	scan := func(rows pgx.Rows) error {
		var ids, versions []int64
		var ended bool
		if err := rows.Scan(&last, &ids, &versions, &ended); err != nil {
			return err
		}
		looked++
		if !ended || ids[0] != last {
			return nil
		}
		group := make([]cart.Expected, len(ids))
		for i, id := range ids {
			group[i] = cart.Expected{ID: id, Version: versions[i]}
		}
		groups = append(groups, group)
		return nil
	}
	if err := s.query(ctx, false, scan, statement{overdueSQL, []any{after, limit}}); err != nil {
		return nil, 0, err
	}
	if looked < limit {
		last = 0
	}
	return groups, last, nil
}

// The rows to delete are found by their time and deleted by their key, so that several instances may do this at once.
const forgetSQL = `
	WITH gone AS (
		DELETE FROM cart_request WHERE key = ANY (ARRAY(
			SELECT key FROM cart_request WHERE at < now() - $1::bigint * interval '1 second'
			ORDER BY at LIMIT $2::bigint FOR UPDATE SKIP LOCKED))
		RETURNING key)
	SELECT count(*) FROM gone`

// Forget implements [cart.Store].
func (s *Store) Forget(ctx context.Context, ttl time.Duration, limit int) (deleted int64, err error) {
	scan := func(rows pgx.Rows) error { return rows.Scan(&deleted) }
	err = s.query(ctx, true, scan, statement{forgetSQL, []any{int64(ttl / time.Second), limit}})
	return deleted, err
}
