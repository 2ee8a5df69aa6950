package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/sqlite"
)

// TestRulesAreChecked takes the indexes that keep the rules away from under a store, or puts others in their place.
func TestRulesAreChecked(t *testing.T) {
	t.Parallel()
	for _, change := range []string{
		"DROP INDEX uq_cart_company_user_active",
		"DROP INDEX uq_cart_company_cookie_active; CREATE INDEX uq_cart_company_cookie_active ON cart (company_id, cookie)",
		"DROP INDEX uq_cart_item_cart_product; CREATE UNIQUE INDEX uq_cart_item_cart_product ON cart_item (cart_id, id)",
	} {
		t.Run(change, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "cart.db")
			s := open(t, path)
			if err := s.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), change); err != nil {
				t.Fatal(err)
			}
			if err := s.Ping(t.Context()); cart.CodeOf(err) != cart.CodeUnavailable {
				t.Errorf("ping: %v, want CodeUnavailable", err)
			}
			if _, err := sqlite.Open(t.Context(), path); err == nil || !strings.Contains(err.Error(), strings.Fields(change)[2][:20]) || strings.Contains(err.Error(), "\n") {
				t.Errorf("open: %v, want one line that names the index", err)
			}
		})
	}
}
