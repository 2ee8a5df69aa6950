package postgres_test

import (
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/postgres"
)

const (
	anotherUsersIndex  = "CREATE UNIQUE INDEX uq_cart_company_user_active ON cart "
	anotherCookieIndex = "CREATE UNIQUE INDEX uq_cart_company_cookie_active ON cart "
	twoCarts           = "; INSERT INTO cart (company_id, user_id) VALUES (1, 7), (1, 8), (1, 7)"
	twoGuests          = "; INSERT INTO cart (company_id, cookie) VALUES (1, 'g'), (1, 'g')"
	twoLines           = `; INSERT INTO cart (company_id, user_id) VALUES (1, 7);
		INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES (1, 3, 'x', 1, 1), (1, 3, 'x', 1, 1)`
)

// TestSchemaIsChecked breaks the schema under a store. Then the store is not ready, and neither a start nor a migration
// succeeds; both say in one line what is wrong, and which rows stand in the way of mending it.
func TestSchemaIsChecked(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		sql  string
		want []string
	}{
		"no index for users":        {"DROP INDEX uq_cart_company_user_active" + twoCarts, []string{"uq_cart_company_user_active", "missing", "carts 1, 3 of company 1 and user 7", "CREATE UNIQUE INDEX"}},
		"no index for guests":       {"DROP INDEX uq_cart_company_cookie_active" + twoGuests, []string{"uq_cart_company_cookie_active", "missing", "carts 1, 2 of company 1"}},
		"no index for lines":        {"DROP INDEX uq_cart_item_cart_product" + twoLines, []string{"uq_cart_item_cart_product", "missing", "lines 1, 2", "cart 1", "product 3"}},
		"index not valid":           {"UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uq_cart_company_user_active'::regclass", []string{"uq_cart_company_user_active", "not valid"}},
		"index not unique":          {"DROP INDEX uq_cart_company_user_active; CREATE INDEX uq_cart_company_user_active ON cart (company_id, user_id) WHERE status = 1 AND user_id IS NOT NULL" + twoCarts, []string{"not unique", "carts 1, 3"}},
		"index on other columns":    {"DROP INDEX uq_cart_company_user_active; " + anotherUsersIndex + "(company_id, id) WHERE status = 1 AND user_id IS NOT NULL", []string{"on something else"}},
		"index on more columns":     {"DROP INDEX uq_cart_company_user_active; " + anotherUsersIndex + "(company_id, user_id, id) WHERE status = 1 AND user_id IS NOT NULL", []string{"on something else"}},
		"index on another table":    {"DROP INDEX uq_cart_company_user_active; CREATE UNIQUE INDEX uq_cart_company_user_active ON cart_item (cart_id, product_id)", []string{"on something else"}},
		"index with other rows":     {"DROP INDEX uq_cart_company_cookie_active; " + anotherCookieIndex + "(company_id, cookie) WHERE status = 2 AND cookie IS NOT NULL", []string{"uq_cart_company_cookie_active", "on something else"}},
		"index of all rows":         {"DROP INDEX uq_cart_company_cookie_active; " + anotherCookieIndex + "(company_id, cookie)", []string{"on something else"}},
		"column of another type":    {"ALTER TABLE cart_item ALTER quantity TYPE bigint", []string{"column quantity of cart_item must be integer NOT NULL and is bigint NOT NULL"}},
		"column that may be null":   {"ALTER TABLE cart ALTER company_id DROP NOT NULL", []string{"column company_id of cart"}},
		"column that may not":       {"ALTER TABLE cart ALTER cookie SET NOT NULL", []string{"column cookie of cart"}},
		"column gone":               {"ALTER TABLE cart DROP version", []string{"column version of cart must be bigint NOT NULL and is missing"}},
		"table gone":                {"ALTER TABLE cart_item RENAME TO away", []string{"column id of cart_item", "missing"}},
		"sequence gone":             {"ALTER TABLE cart ALTER id DROP DEFAULT; DROP SEQUENCE cart_id_seq", []string{"column id of cart must have a sequence"}},
		"foreign key gone":          {"ALTER TABLE cart_item DROP CONSTRAINT cart_item_cart_id_fkey", []string{"foreign key from cart_item (cart_id) to cart"}},
		"foreign key that does not": {"ALTER TABLE cart_item DROP CONSTRAINT cart_item_cart_id_fkey, ADD FOREIGN KEY (cart_id) REFERENCES cart", []string{"ON DELETE CASCADE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newDatabase(t)
			s := open(t, url)
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			exec(t, url, tc.sql)
			if err := s.Ping(t.Context()); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("ping: %v, want CodeUnavailable", err)
			}
			_, err := postgres.Open(t.Context(), url, 2)
			for what, err := range map[string]error{"open": err, "migrate": migrate(t.Context(), url)} {
				if err == nil || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v, want one line", what, err)
					continue
				}
				for _, part := range tc.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s does not say %q: %v", what, part, err)
					}
				}
			}
		})
	}
}

// TestEqualSchemaIsServed checks that the rule counts and not the name: an index may have another name and other
// storage, and there may be more indexes.
func TestEqualSchemaIsServed(t *testing.T) {
	t.Parallel()
	url := newDatabase(t)
	exec(t, url, `
		ALTER INDEX uq_cart_company_user_active RENAME TO mine;
		DROP INDEX uq_cart_company_cookie_active;
		CREATE UNIQUE INDEX uq_cart_company_cookie_active ON cart (company_id, cookie DESC) WITH (fillfactor = 70)
			WHERE status = 1 AND cookie IS NOT NULL;
		CREATE INDEX uq_cart_company_user_active ON cart (company_id);
		ALTER TABLE cart ADD note text DEFAULT 'x'`)
	if err := open(t, url).Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestBadDatabaseOfTheOldServiceIsNotAdopted migrates databases of the Python service whose indexes are not what their
// names say.
func TestBadDatabaseOfTheOldServiceIsNotAdopted(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"not valid":  "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'uq_cart_company_user_active'::regclass",
		"not unique": "DROP INDEX uq_cart_company_user_active; CREATE INDEX uq_cart_company_user_active ON cart (company_id, user_id)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newLegacyDatabase(t)
			exec(t, url, sql)
			for range 2 { // with migrations to do, and without
				if err := migrate(t.Context(), url); err == nil || !strings.Contains(err.Error(), "uq_cart_company_user_active") || !strings.Contains(err.Error(), name) {
					t.Errorf("migrate: %v, want it to say that the index is %s", err, name)
				}
			}
			if s, err := postgres.Open(t.Context(), url, 2); err == nil {
				t.Error("the store opened", s.Close())
			}
		})
	}
}
