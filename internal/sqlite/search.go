package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// reading runs do with one state of the database. Its errors are of type *[cart.Error].
func (s *Store) reading(ctx context.Context, do func(tx *sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return classify(err)
	}
	if err := errors.Join(do(tx), tx.Rollback()); err != nil {
		if e, ok := errors.AsType[*cart.Error](err); ok {
			return e
		}
		return classify(err)
	}
	return nil
}

// each calls scan for each row that the statement returns.
func each(ctx context.Context, stmt *sql.Stmt, scan func(*sql.Rows) error, args ...any) error {
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := scan(rows); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// The keys come in hexadecimal digits, since JSON has no bytes.
const receiptsSQL = `
	SELECT key, fingerprint, owner, coalesce(cart_id, 0), coalesce(company_id, 0), coalesce(version, 0), coalesce(cart_created_at, at), at
	FROM cart_request WHERE key IN (SELECT unhex(value) FROM json_each(?1))`

// namedSQL reads the carts that receipts name.
const namedSQL = `
	SELECT` + columns + `
	FROM cart c
	WHERE c.id IN (SELECT value FROM json_each(?1))`

// LoadKnown implements [cart.Store] with one transaction.
func (s *Store) LoadKnown(ctx context.Context, refs []cart.Ref, keys [][32]byte) ([]*cart.Cart, []*cart.Receipt, error) {
	list, err := wanted(refs)
	if err != nil {
		return nil, nil, err
	}
	found := make(cart.Found, len(refs))
	known := make(map[[32]byte]*cart.Receipt)
	err = s.reading(ctx, func(tx *sql.Tx) error {
		if err := query(ctx, tx.StmtContext(ctx, s.load), found.Add, list); err != nil {
			return err
		}
		ids, err := s.loadReceipts(ctx, tx, keys, known)
		if err != nil || len(ids) == 0 {
			return err
		}
		list, err := json.Marshal(ids)
		if err != nil {
			return internal(err)
		}
		return query(ctx, tx.StmtContext(ctx, s.named), found.Add, string(list))
	})
	if err != nil {
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

// loadReceipts adds the receipts of the keys to known, and returns the ids of the carts that they name.
func (s *Store) loadReceipts(ctx context.Context, tx *sql.Tx, keys [][32]byte, known map[[32]byte]*cart.Receipt) (ids []int64, err error) {
	digits := make([]string, len(keys))
	for i := range keys {
		digits[i] = hex.EncodeToString(keys[i][:])
	}
	list, err := json.Marshal(digits)
	if err != nil {
		return nil, internal(err)
	}
	err = each(ctx, tx.StmtContext(ctx, s.receipts), func(rows *sql.Rows) error {
		var r cart.Receipt
		var key []byte
		var created, at int64
		err := rows.Scan(&key, &r.Fingerprint, &r.Owner, &r.CartID, &r.CompanyID, &r.Version, &created, &at)
		if err == nil && len(key) != len(r.Key) {
			err = errors.New("a key of another length in cart_request")
		}
		if err != nil {
			return internal(err)
		}
		r.Key = [32]byte(key)
		r.CreatedAt, r.At = fromMicro(created), fromMicro(at)
		known[r.Key] = &r
		if r.CartID > 0 {
			ids = append(ids, r.CartID)
		}
		return nil
	}, string(list))
	return ids, err
}

// ofUser and ofGuest are conditions on the carts of an owner. The status is named in a form that lets the index of
// cookies be used.
const (
	ofUser  = `user_id = ?1 AND status = ?2`
	ofGuest = `cookie = ?1 AND status = ?2 AND status IN (1, 2) AND coalesce(user_id, 0) <= 0`
)

func basketSQL(of string) string {
	return `
	SELECT` + columns + `
	FROM cart c
	WHERE ` + of + ` AND (?3 = 0 OR c.id < ?3) AND EXISTS (SELECT 1 FROM cart_item WHERE cart_id = c.id)
	ORDER BY c.id DESC LIMIT ?4 + 1`
}

// totalsSQL sums the lines in two parts, millions and the rest, since the sum may have more than 63 bits. The price of a line
// may be [cart.NaN].
func totalsSQL(of string) string {
	return `
	SELECT count(DISTINCT i.cart_id), count(*), coalesce(max(i.price = -9223372036854775808), 0),
	       coalesce(sum(CASE WHEN i.price = -9223372036854775808 THEN 0 ELSE i.price * i.quantity / 1000000 END), 0),
	       coalesce(sum(CASE WHEN i.price = -9223372036854775808 THEN 0 ELSE i.price * i.quantity % 1000000 END), 0)
	FROM (
		SELECT id FROM cart
		WHERE ` + of + ` AND EXISTS (SELECT 1 FROM cart_item WHERE cart_id = cart.id)
		ORDER BY id DESC LIMIT ?3 + 1) counted
	CROSS JOIN cart_item i ON i.cart_id = counted.id`
}

// Basket implements [cart.Store] with one transaction.
func (s *Store) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	page, totals, owner := s.userBasket, s.userTotals, any(q.Owner.UserID)
	if q.Owner.UserID == 0 {
		page, totals, owner = s.guestBasket, s.guestTotals, q.Owner.Cookie
	}
	b := &cart.Basket{Owner: q.Owner}
	err := s.reading(ctx, func(tx *sql.Tx) error {
		collect := func(c *cart.Cart) { b.Carts = append(b.Carts, c) }
		err := query(ctx, tx.StmtContext(ctx, page), collect, owner, int64(q.Status), q.Before, int64(cart.MaxCartsAsked))
		if err != nil {
			return err
		}
		return each(ctx, tx.StmtContext(ctx, totals), func(rows *sql.Rows) (err error) {
			b.Totals, err = scanTotals(rows)
			return err
		}, owner, int64(q.Status), int64(cart.MaxCounted))
	})
	if err != nil {
		return nil, err
	}
	b.Trim()
	return b, nil
}

func scanTotals(rows *sql.Rows) (t cart.Totals, err error) {
	var millions, rest int64
	var nan bool
	if err := rows.Scan(&t.Count, &t.Lines, &nan, &millions, &rest); err != nil {
		return t, internal(err)
	}
	if t.Count > cart.MaxCounted {
		return cart.Totals{Uncounted: true}, nil
	}
	t.Amount = cart.NaN.String()
	if !nan {
		sum := new(big.Int).Mul(big.NewInt(millions), big.NewInt(1_000_000))
		t.Amount = cart.FormatCents(sum.Add(sum, big.NewInt(rest)))
	}
	return t, nil
}

const guestCartsSQL = `
	SELECT id, company_id FROM cart
	WHERE cookie = ?1 AND status IN (1, 2) AND coalesce(user_id, 0) <= 0 AND (?2 = 0 OR company_id = ?2)
	ORDER BY id LIMIT ?3`

// GuestCarts implements [cart.Store].
func (s *Store) GuestCarts(ctx context.Context, cookie string, companyID int64, limit int) ([]cart.GuestCart, error) {
	var carts []cart.GuestCart
	err := each(ctx, s.guestCarts, func(rows *sql.Rows) error {
		var c cart.GuestCart
		err := rows.Scan(&c.ID, &c.CompanyID)
		carts = append(carts, c)
		return err
	}, cookie, companyID, limit)
	if err != nil {
		return nil, classify(err)
	}
	return carts, nil
}

// overdueSQL has a + before id, so that the index of locks is used and not the order of ids.
const overdueSQL = `
	SELECT id FROM cart
	WHERE status = 2 AND locked_until IS NOT NULL AND locked_until <= ?1 AND +id > ?2
	ORDER BY +id LIMIT ?3`

// matesSQL reads the group of a cart.
const matesSQL = `
	SELECT c.id, c.version, c.locked_until <= ?1
	FROM cart due CROSS JOIN cart c
	WHERE due.id = ?2 AND c.id IN (
			SELECT due.id
			UNION ALL
			SELECT u.id FROM cart u WHERE due.user_id > 0 AND u.user_id = due.user_id
			UNION ALL
			SELECT o.id FROM cart o
			WHERE coalesce(due.user_id, 0) <= 0 AND o.cookie = due.cookie AND o.status IN (1, 2) AND coalesce(o.user_id, 0) <= 0)
		AND c.status = 2 AND c.locked_until IS NOT NULL AND c.reference IS due.reference
		AND (c.reference IS NOT NULL OR c.locked_until = due.locked_until)
	ORDER BY c.id`

// Overdue implements [cart.Store] with one transaction. The clock is this machine's, as in Save.
func (s *Store) Overdue(ctx context.Context, after int64, limit int) (groups [][]cart.Expected, last int64, err error) {
	now := time.Now().UnixMicro()
	err = s.reading(ctx, func(tx *sql.Tx) error {
		var due []int64
		err := each(ctx, tx.StmtContext(ctx, s.overdue), func(rows *sql.Rows) error {
			var id int64
			err := rows.Scan(&id)
			due = append(due, id)
			return err
		}, now, after, limit)
		if err != nil {
			return err
		}
		mates := tx.StmtContext(ctx, s.mates)
		for _, id := range due {
			group, ended, err := loadGroup(ctx, mates, now, id)
			if err != nil {
				return err
			}
			if ended && group[0].ID == id {
				groups = append(groups, group)
			}
		}
		if len(due) == limit {
			last = due[len(due)-1]
		}
		return nil
	})
	return groups, last, err
}

// loadGroup returns the group of the cart, and whether all leases of it have ended.
func loadGroup(ctx context.Context, mates *sql.Stmt, now, id int64) (group []cart.Expected, ended bool, err error) {
	ended = true
	err = each(ctx, mates, func(rows *sql.Rows) error {
		var c cart.Expected
		var over bool
		err := rows.Scan(&c.ID, &c.Version, &over)
		group = append(group, c)
		ended = ended && over
		return err
	}, now, id)
	return group, ended, err
}

const forgetSQL = `
	DELETE FROM cart_request WHERE key IN (SELECT key FROM cart_request WHERE at < ?1 ORDER BY at LIMIT ?2)`

// Forget implements [cart.Store].
func (s *Store) Forget(ctx context.Context, ttl time.Duration, limit int) (int64, error) {
	tx, end, err := s.begin(ctx)
	if err != nil {
		return 0, classify(err)
	}
	defer end()
	result, err := tx.StmtContext(ctx, s.forget).ExecContext(ctx, time.Now().Add(-ttl).UnixMicro(), limit)
	if err != nil {
		return 0, classify(errors.Join(err, tx.Rollback()))
	}
	deleted, err := result.RowsAffected()
	if err != nil {
		return 0, classify(errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return 0, classifyCommit(err)
	}
	return deleted, nil
}
