package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// columns are those of a row c of cart that scanCart reads. A cart's lines come in one text, which is
// much faster than one row a line, as "product price quantity length name" without anything between
// them: parseLines reads names by their length, so they may hold anything.
const columns = `
	c.id, c.company_id, c.user_id, c.cookie, c.status, c.version, c.created_at, c.updated_at,
	c.status = 2 AND (
		EXISTS (SELECT 1 FROM cart a
			WHERE a.status = 1 AND a.company_id = c.company_id AND a.user_id = c.user_id AND a.user_id > 0)
		OR coalesce(c.user_id, 0) <= 0 AND EXISTS (SELECT 1 FROM cart a
			WHERE a.status = 1 AND a.company_id = c.company_id AND a.cookie = c.cookie AND coalesce(a.user_id, 0) <= 0)),
	c.attributes, c.locked_until, c.reference,
	(SELECT json_group_object(product_id, json(attributes)) FROM cart_item WHERE cart_id = c.id AND attributes IS NOT NULL
		HAVING count(*) > 0),
	(SELECT string_agg(product_id || ' ' || price || ' ' || quantity || ' ' || octet_length(name) || ' ' || name, '')
		FROM (SELECT * FROM cart_item WHERE cart_id = c.id ORDER BY id))`

// loadSQL takes the refs. CROSS JOIN keeps SQLite from scanning the carts to look each up in the list.
const loadSQL = `
	SELECT` + columns + `
	FROM cart c
	WHERE c.id IN (
		SELECT value FROM json_each(?1, '$.ids')
		UNION ALL
		SELECT a.id FROM json_each(?1, '$.users') o CROSS JOIN cart a
		WHERE a.company_id = o.value ->> 0 AND a.user_id = o.value ->> 1 AND a.status = 1
		UNION ALL
		SELECT a.id FROM json_each(?1, '$.guests') o CROSS JOIN cart a
		WHERE a.company_id = o.value ->> 0 AND a.cookie = o.value ->> 1 AND a.status = 1 AND coalesce(a.user_id, 0) <= 0)`

// Load implements [cart.Store] with one statement.
func (s *Store) Load(ctx context.Context, refs []cart.Ref) ([]*cart.Cart, error) {
	list, err := wanted(refs)
	if err != nil {
		return nil, err
	}
	found := make(cart.Found, len(refs))
	if err := query(ctx, s.load, found.Add, list); err != nil {
		return nil, err
	}
	return found.Carts(refs), nil
}

// wanted returns the parameter of loadSQL.
func wanted(refs []cart.Ref) (string, error) {
	var asked struct {
		IDs    []int64    `json:"ids,omitempty"`
		Users  [][2]int64 `json:"users,omitempty"`  // company, user
		Guests [][2]any   `json:"guests,omitempty"` // company, cookie
	}
	for _, r := range refs {
		switch {
		case r.ID > 0:
			asked.IDs = append(asked.IDs, r.ID)
		case r.Owner.UserID > 0:
			asked.Users = append(asked.Users, [2]int64{r.CompanyID, r.Owner.UserID})
		case r.Owner.Cookie != "":
			asked.Guests = append(asked.Guests, [2]any{r.CompanyID, r.Owner.Cookie})
		}
	}
	list, err := json.Marshal(asked)
	if err != nil {
		return "", internal(err)
	}
	return string(list), nil
}

const listSQL = `
	SELECT` + columns + `
	FROM cart c
	WHERE c.user_id = ?1 AND (?2 = 0 OR c.company_id = ?2) AND (?3 = 0 OR c.status = ?3)
	  AND EXISTS (SELECT 1 FROM cart_item WHERE cart_id = c.id)
	ORDER BY c.id DESC
	LIMIT ?4 OFFSET ?5`

// List implements [cart.Store].
func (s *Store) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	var carts []*cart.Cart
	collect := func(c *cart.Cart) { carts = append(carts, c) }
	err := query(ctx, s.list, collect, l.UserID, l.CompanyID, int64(l.Status), l.Limit, l.Offset)
	if err != nil {
		return nil, err
	}
	return carts, nil
}

// query runs a statement that selects the columns of carts. Its errors are of type *[cart.Error].
func query(ctx context.Context, stmt *sql.Stmt, collect func(*cart.Cart), args ...any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return classify(err)
	}
	for rows.Next() {
		c, err := scanCart(rows)
		if err != nil {
			return internal(errors.Join(err, rows.Close()))
		}
		collect(c)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return classify(err)
	}
	return nil
}

func scanCart(rows *sql.Rows) (*cart.Cart, error) {
	var c cart.Cart
	var created, updated int64
	var lockedUntil *int64
	var attributes, reference, lineAttributes, lines *string
	err := rows.Scan(&c.ID, &c.CompanyID, &c.UserID, &c.Cookie, &c.Status, &c.Version, &created, &updated, &c.Rival,
		&attributes, &lockedUntil, &reference, &lineAttributes, &lines)
	if err != nil {
		return nil, err
	}
	c.CreatedAt, c.UpdatedAt = fromMicro(created), fromMicro(updated)
	if lockedUntil != nil {
		c.LockedUntil = fromMicro(*lockedUntil)
	}
	if reference != nil {
		c.Reference = *reference
	}
	if lines != nil {
		if c.Items, err = parseLines(*lines); err != nil {
			return nil, err
		}
	}
	return &c, c.SetAttributes(attributes, lineAttributes)
}

func fromMicro(micro int64) time.Time { return time.UnixMicro(micro).UTC() }

func parseLines(text string) ([]cart.Item, error) {
	var items []cart.Item
	for text != "" {
		var product, price, quantity, length int64
		for _, n := range []*int64{&product, &price, &quantity, &length} {
			digits, rest, _ := strings.Cut(text, " ")
			var err error
			if *n, err = strconv.ParseInt(digits, 10, 64); err != nil {
				return nil, fmt.Errorf("read the lines of a cart: %w", err)
			}
			text = rest
		}
		if length < 0 || length > int64(len(text)) {
			return nil, fmt.Errorf("read the lines of a cart: a name of %d bytes in %d", length, len(text))
		}
		items = append(items, cart.Item{
			ProductID: product, Name: text[:length], Price: cart.Money(price), Quantity: quantity,
		})
		text = text[length:]
	}
	return items, nil
}
