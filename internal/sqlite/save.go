package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Save implements [cart.Store] with one transaction, which makes the changes one after another. ctx
// bounds the wait for other writers only: a transaction that has begun takes milliseconds and runs to its
// end, so the outcome is known even if the caller gives up.
func (s *Store) Save(ctx context.Context, changes []cart.Change) ([]cart.Saved, error) {
	tx, end, err := s.begin(ctx)
	if err != nil {
		return nil, classify(err)
	}
	defer end()
	w := writer{
		ctx:   context.WithoutCancel(ctx),
		store: s,
		tx:    tx,
		stmts: make(map[*sql.Stmt]*sql.Stmt),
		// The result must equal what is stored: microseconds.
		now: time.Now().UTC().Truncate(time.Microsecond),
	}
	saved, err := w.saveAll(changes)
	if err != nil {
		return nil, classify(errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return nil, classifyCommit(err)
	}
	return saved, nil
}

// begin starts a transaction as soon as no other writer has one. end must be called after it.
func (s *Store) begin(ctx context.Context) (tx *sql.Tx, end func(), err error) {
	// The context of BeginTx rolls the transaction back when it ends. So it ends with ctx until there is
	// a transaction, and after that on its own.
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, end)
	tx, err = s.write.BeginTx(held, nil)
	if !release() {
		if err == nil {
			err = tx.Rollback()
		}
		err = errors.Join(ctx.Err(), err)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return tx, end, nil
}

// writer makes the changes of one transaction.
type writer struct {
	ctx   context.Context // of the batch, for its trace; it never ends
	store *Store
	tx    *sql.Tx
	stmts map[*sql.Stmt]*sql.Stmt // the store's statements as those of tx
	now   time.Time
}

// exec runs a prepared statement in a context that does not end: it takes microseconds, and watching a
// context costs the driver a goroutine.
func (w *writer) exec(stmt *sql.Stmt, args ...any) (sql.Result, error) {
	own := w.stmts[stmt]
	if own == nil {
		own = w.tx.StmtContext(w.ctx, stmt)
		w.stmts[stmt] = own
	}
	return own.ExecContext(w.ctx, args...)
}

// touch runs a prepared statement and reports whether it changed any row.
func (w *writer) touch(stmt *sql.Stmt, args ...any) (bool, error) {
	result, err := w.exec(stmt, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// saveAll makes the changes. Those of a group are made last, each group behind a savepoint.
func (w *writer) saveAll(changes []cart.Change) (saved []cart.Saved, err error) {
	saved = make([]cart.Saved, len(changes))
	groups := make(map[int][]int) // indexes of changes
	for i := range changes {
		if group := changes[i].Group; group > 0 {
			groups[group] = append(groups[group], i)
		} else if saved[i], err = w.save(&changes[i]); err != nil {
			return nil, err
		}
	}
	for _, group := range slices.Sorted(maps.Keys(groups)) {
		if err := w.saveGroup(changes, groups[group], saved); err != nil {
			return nil, err
		}
	}
	return saved, nil
}

// saveGroup makes the changes of these indexes, or none of them. A cart becomes its owner's ACTIVE one after the one before
// has ceased to be.
func (w *writer) saveGroup(changes []cart.Change, indexes []int, saved []cart.Saved) error {
	slices.SortStableFunc(indexes, func(a, b int) int {
		switch {
		case changes[a].Activates == changes[b].Activates:
			return 0
		case changes[b].Activates:
			return -1
		default:
			return 1
		}
	})
	if _, err := w.tx.ExecContext(w.ctx, "SAVEPOINT cart_group"); err != nil {
		return err
	}
	for _, i := range indexes {
		var err error
		if saved[i], err = w.save(&changes[i]); err != nil {
			return err
		}
		if saved[i].OK {
			continue
		}
		for _, i := range indexes {
			saved[i] = cart.Saved{}
		}
		_, err = w.tx.ExecContext(w.ctx, "ROLLBACK TO cart_group")
		return err
	}
	_, err := w.tx.ExecContext(w.ctx, "RELEASE cart_group")
	return err
}

// save makes one change. A change that is not OK leaves nothing behind.
func (w *writer) save(ch *cart.Change) (cart.Saved, error) {
	var ok bool
	var err error
	c := ch.Cart
	id := c.ID
	saved := cart.Saved{OK: true, UpdatedAt: w.now}
	switch {
	case ch.Keep:
		ok, err = w.keep(ch)
	case ch.Delete:
		ok, err = w.touch(w.store.deleteCart, id, ch.Was)
	case id == 0:
		id, err = w.create(c)
		ok = id > 0
		saved.ID, saved.CreatedAt = id, w.now
	case ch.Amends:
		ok, err = w.amend(ch)
	default:
		ok, err = w.update(ch)
	}
	if err == nil && ok && !ch.Keep {
		err = w.saveLines(ch, id)
	}
	if err == nil && ok {
		err = w.saveReceipts(ch, id)
	}
	if err != nil || !ok {
		return cart.Saved{}, err
	}
	return saved, nil
}

const isAtSQL = `SELECT 1 FROM cart WHERE id = ? AND version = ?`

// keep reports whether a cart of a group is still at the version loaded.
func (w *writer) keep(ch *cart.Change) (ok bool, err error) {
	if ch.Group == 0 {
		return true, nil
	}
	err = each(w.ctx, w.tx.StmtContext(w.ctx, w.store.isAt), func(*sql.Rows) error {
		ok = true
		return nil
	}, ch.Cart.ID, ch.Was)
	return ok, err
}

const insertReceiptSQL = `
	INSERT INTO cart_request (key, fingerprint, owner, cart_id, company_id, version, cart_created_at, at)
	VALUES (?1, ?2, ?3, ?4, nullif(?5, 0), nullif(?6, 0), ?7, ?8)`

// saveReceipts stores the receipts of a change. A receipt of the same key fails the whole batch, as in PostgreSQL.
func (w *writer) saveReceipts(ch *cart.Change, id int64) error {
	for i := range ch.Receipts {
		r := &ch.Receipts[i]
		var cartID, created *int64 // of several carts: none
		if r.CompanyID > 0 {
			at := w.now.UnixMicro()
			if !r.CreatedAt.IsZero() {
				at = r.CreatedAt.UnixMicro()
			}
			cartID, created = &id, &at
		}
		_, err := w.exec(w.store.insertReceipt, r.Key[:], r.Fingerprint, r.Owner, cartID, r.CompanyID, r.Version, created, w.now.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}

// Lines go with their cart, by the foreign key.
const deleteCartSQL = `DELETE FROM cart WHERE id = ? AND version = ?`

const insertCartSQL = `
	INSERT INTO cart (company_id, user_id, cookie, status, version, created_at, updated_at, attributes)
	VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, nullif(?7, ''))
	ON CONFLICT DO NOTHING`

// create returns the id of a new cart, or 0 where its owner has an ACTIVE one.
func (w *writer) create(c *cart.Cart) (int64, error) {
	if err := w.free(c); err != nil {
		return 0, err
	}
	result, err := w.exec(w.store.insertCart, c.CompanyID, c.UserID, c.Cookie, int64(c.Status), c.Version, w.now.UnixMicro(),
		string(c.Attributes))
	if err != nil {
		return 0, err
	}
	if n, err := result.RowsAffected(); n == 0 || err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

const freeCookieSQL = `
	UPDATE cart SET cookie = NULL, version = version + 1, updated_at = ?3
	WHERE company_id = ?1 AND cookie = ?2 AND status = 1 AND user_id > 0`

// free makes way for a guest's ACTIVE cart. Carts of the Python service may hold a user and a cookie;
// they are the user's, but the unique index of cookies does not know that.
func (w *writer) free(c *cart.Cart) error {
	owner := c.Owner()
	if owner.Cookie == "" {
		return nil
	}
	_, err := w.exec(w.store.freeCookie, c.CompanyID, owner.Cookie, w.now.UnixMicro())
	return err
}

const updateCartSQL = `
	UPDATE cart SET status = ?, version = ?, updated_at = ?
	WHERE id = ? AND version = ?`

// A cart that becomes ACTIVE keeps only its owner, the user or the cookie: see free.
const activateCartSQL = `
	UPDATE cart SET status = ?, version = ?, updated_at = ?,
		user_id = CASE WHEN user_id > 0 THEN user_id END, cookie = CASE WHEN user_id > 0 THEN NULL ELSE cookie END
	WHERE id = ? AND version = ?`

// update reports whether the cart was at the version loaded and its owner has no other ACTIVE one.
func (w *writer) update(ch *cart.Change) (bool, error) {
	c := ch.Cart
	stmt := w.store.updateCart
	if ch.Activates {
		if err := w.free(c); err != nil {
			return false, err
		}
		stmt = w.store.activateCart
	}
	ok, err := w.touch(stmt, int64(c.Status), c.Version, w.now.UnixMicro(), c.ID, ch.Was)
	if ch.Activates && isTaken(err) {
		return false, nil
	}
	return ok, err
}

const amendCartSQL = `
	UPDATE cart SET status = ?3, version = ?4, updated_at = ?5, user_id = ?6, cookie = ?7, attributes = nullif(?8, ''),
		reference = nullif(?9, ''), locked_until = CASE WHEN ?10 > 0 THEN max(coalesce(locked_until, 0), ?10) WHEN ?11 THEN locked_until END
	WHERE id = ?1 AND version = ?2`

// amend is update for changes of more than the status and the version.
func (w *writer) amend(ch *cart.Change) (bool, error) {
	c := ch.Cart
	if ch.Activates {
		if err := w.free(c); err != nil {
			return false, err
		}
	}
	lease := int64(0)
	if c.Lease > 0 {
		lease = w.now.Add(c.Lease).UnixMicro()
	}
	ok, err := w.touch(w.store.amendCart, c.ID, ch.Was, int64(c.Status), c.Version, w.now.UnixMicro(), c.UserID, c.Cookie,
		string(c.Attributes), c.Reference, lease, !c.LockedUntil.IsZero())
	if ch.Activates && isTaken(err) {
		return false, nil
	}
	return ok, err
}

// An appended line gets a new id; REPLACE removes the product's old line, if there is one.
const appendLineSQL = `
	INSERT OR REPLACE INTO cart_item (name, price, quantity, attributes, cart_id, product_id)
	VALUES (?, ?, ?, nullif(?, ''), ?, ?)`

const updateLineSQL = `
	UPDATE cart_item SET name = ?, price = ?, quantity = ?, attributes = nullif(?, '')
	WHERE cart_id = ? AND product_id = ?`

const deleteLineSQL = `DELETE FROM cart_item WHERE cart_id = ? AND product_id = ?`

func (w *writer) saveLines(ch *cart.Change, cartID int64) error {
	for _, product := range ch.Drop {
		if _, err := w.exec(w.store.deleteLine, cartID, product); err != nil {
			return err
		}
	}
	for i := range ch.Put {
		line := &ch.Put[i]
		stmt := w.store.updateLine
		if line.Append {
			stmt = w.store.appendLine
		}
		_, err := w.exec(stmt, line.Name, int64(line.Price), line.Quantity, string(line.Attributes), cartID, line.ProductID)
		if err != nil {
			return err
		}
	}
	return nil
}
