package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sellio/sellio-cart/internal/cart"
)

// rules are the unique indexes that the statements rely on, as the migrations make them.
var rules = map[string]string{
	"uq_cart_company_user_active":   "CREATE UNIQUE INDEX uq_cart_company_user_active ON cart (company_id, user_id) WHERE status = 1 AND user_id IS NOT NULL",
	"uq_cart_company_cookie_active": "CREATE UNIQUE INDEX uq_cart_company_cookie_active ON cart (company_id, cookie) WHERE status = 1 AND cookie IS NOT NULL",
	"uq_cart_item_cart_product":     "CREATE UNIQUE INDEX uq_cart_item_cart_product ON cart_item (cart_id, product_id)",
}

// rulesSQL reads the indexes as they were created.
const rulesSQL = `SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE INDEX%'`

// checkRules returns an error that names the rules whose index is missing or another one.
func (s *Store) checkRules(ctx context.Context) (err error) {
	rows, err := s.rules.QueryContext(ctx)
	if err != nil {
		return classify(err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	have := make(map[string]string)
	for rows.Next() {
		var name, sql string
		if err := rows.Scan(&name, &sql); err != nil {
			return classify(err)
		}
		have[name] = strings.Join(strings.Fields(sql), " ")
	}
	if err := rows.Err(); err != nil {
		return classify(err)
	}
	for name, want := range rules {
		if have[name] != want {
			return cart.Unavailable(fmt.Errorf("the index %s is missing or another one: remove the rows that it does not allow and what has its name, then run %s", name, want))
		}
	}
	return nil
}
