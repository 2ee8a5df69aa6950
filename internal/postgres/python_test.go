package postgres_test

import (
	"context"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sellio/sellio-cart/internal/cart"
)

// python writes carts as the Python service does, which knows nothing of versions: a transaction reads a cart and its
// lines, decides, writes without a condition, and commits.
type python struct {
	conn *pgx.Conn
	// The moments at which it can be held: when it has read, and when it has written. Each may be nil.
	read, wrote func()
}

// newPython returns a writer on a connection of its own.
func newPython(t testing.TB, url string) *python {
	t.Helper()
	return &python{conn: connect(t, url)}
}

var (
	// errAnswered is a 4xx: the rules do not allow it.
	errAnswered = errors.New("refused")
	// errStale is what SQLAlchemy raises where a row that it has read is not there to be written: a 500.
	errStale = errors.New("stale data")
)

// do sends a request until it is answered by a success or by a refusal, three times at most. Only the first attempt is
// held.
func (p *python) do(ctx context.Context, a act, id int64) error {
	var err error
	for range 3 {
		err = pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error { return p.write(ctx, tx, a, id) })
		p.read, p.wrote = nil, nil
		if err == nil || errors.Is(err, errAnswered) {
			return err
		}
		if pe, ok := errors.AsType[*pgconn.PgError](err); !ok && !errors.Is(err, errStale) || ok && pe.Code[:2] != "23" && pe.Code[:2] != "40" {
			return err
		}
	}
	return errors.Join(errAnswered, err)
}

// write is one request.
func (p *python) write(ctx context.Context, tx pgx.Tx, a act, id int64) error {
	var status cart.Status
	err := tx.QueryRow(ctx, `SELECT status FROM cart WHERE id = $1`, id).Scan(&status)
	if errors.Is(err, pgx.ErrNoRows) {
		return errAnswered
	}
	if err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT id, product_id FROM cart_item WHERE cart_id = $1 ORDER BY id`, id)
	if err != nil {
		return err
	}
	lines := make(map[int64]int64) // ids by product
	var line, product int64
	if _, err := pgx.ForEachRow(rows, []any{&line, &product}, func() error { lines[product] = line; return nil }); err != nil {
		return err
	}
	if call := p.read; call != nil {
		call()
	}
	switch a {
	case addSecond, changeFirst:
		err = p.put(ctx, tx, id, lines, a.product())
	case removeFirst:
		err = p.remove(ctx, tx, id, lines)
	default:
		err = p.move(ctx, tx, id, len(lines), status, a.status())
	}
	if call := p.wrote; err == nil && call != nil {
		call()
	}
	return err
}

// put does not look at the status, as the Python service did not.
func (p *python) put(ctx context.Context, tx pgx.Tx, id int64, lines map[int64]int64, product int64) error {
	if line, there := lines[product]; there {
		return one(tx.Exec(ctx, `UPDATE cart_item SET name = 'python', price = 2, quantity = 2 WHERE id = $1`, line))
	}
	return one(tx.Exec(ctx, `INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES ($1, $2, 'python', 2, 2)`, id, product))
}

// remove also deletes the cart if the line was the last one that it has read.
func (p *python) remove(ctx context.Context, tx pgx.Tx, id int64, lines map[int64]int64) error {
	line, there := lines[1]
	if !there {
		return errAnswered
	}
	if err := one(tx.Exec(ctx, `DELETE FROM cart_item WHERE id = $1`, line)); err != nil || len(lines) > 1 {
		return err
	}
	return one(tx.Exec(ctx, `DELETE FROM cart WHERE id = $1`, id))
}

func (p *python) move(ctx context.Context, tx pgx.Tx, id int64, lines int, from, to cart.Status) error {
	if lines == 0 || from == cart.CheckedOut || from == cart.Cancelled || from == cart.Locked && to == cart.Locked {
		return errAnswered
	}
	return one(tx.Exec(ctx, `UPDATE cart SET status = $2 WHERE id = $1`, id, to))
}

// one is nil if the statement has written one row.
func one(tag pgconn.CommandTag, err error) error {
	if err == nil && tag.RowsAffected() != 1 {
		return errStale
	}
	return err
}
