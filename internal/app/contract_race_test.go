package app

import (
	"fmt"
	"net/http"
	"testing"

	"golang.org/x/sync/errgroup"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// twoShops starts two services on one database. Requests may wait for long, since the machine may be slow.
func twoShops(t *testing.T, url string) [2]*shop {
	t.Helper()
	var shops [2]*shop
	for i := range shops {
		shops[i] = openShop(t, serve(t, "DATABASE_URL="+url, "REQUEST_TIMEOUT=1m"))
	}
	return shops
}

// TestRaceForFirstCart has a guest add 64 products at once, through two services and both transports.
func TestRaceForFirstCart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		shops := twoShops(t, url)
		const cookie = "the-guest"
		each(64, 64, func(product int64) {
			s := shops[product%2]
			if product%4 < 2 {
				body := fmt.Sprintf(`{"company_id": 1, "product_id": %d, "name": "x", "price": "1.10", "quantity": 1}`, product)
				if a := s.by(cookie, http.MethodPost, addItem, body); a.status != http.StatusCreated {
					t.Errorf("product %d: status %d\n%s", product, a.status, a.body)
				}
				return
			}
			req := &cartv1.AddItemRequest{CompanyId: 1, Cookie: cookie, ProductId: product, Name: "x", Price: "1.10", Quantity: 1}
			if _, err := s.rpc.AddItem(t.Context(), req); err != nil {
				t.Errorf("product %d: %v", product, err)
			}
		})
		c := shops[0].by(cookie, http.MethodGet, active, "").cart(http.StatusOK)
		if len(c.Items) != 64 || c.TotalAmount != "70.40" {
			t.Errorf("the cart has %d lines for %s", len(c.Items), c.TotalAmount)
		}
		db, _ := connect(t, url)
		var carts int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM cart").Scan(&carts); err != nil || carts != 1 {
			t.Errorf("the database has %d carts, want 1: %v", carts, err)
		}
	})
}

// TestConcurrentAddsLoseNothing adds 1,000 products to 16 carts at once, through two services and both
// transports.
func TestConcurrentAddsLoseNothing(t *testing.T) {
	t.Parallel()
	const (
		adds  = 1000
		carts = 16
	)
	onBoth(t, func(t *testing.T, url string) {
		shops := twoShops(t, url)
		ids := make([]int64, carts)
		for i := range ids {
			ids[i] = shops[0].in(t).add(adds + 1).ID
		}
		each(adds, adds, func(product int64) {
			id, s := ids[product%carts], shops[product/carts%2]
			if product%3 == 0 {
				if a := s.post(item(product), "/api/v1/cart/%d/item", id); a.status != http.StatusOK {
					t.Errorf("product %d: status %d\n%s", product, a.status, a.body)
				}
				return
			}
			req := &cartv1.UpsertItemRequest{CartId: id, ProductId: product, Name: "x", Price: "1.10", Quantity: 1}
			if _, err := s.rpc.UpsertItem(t.Context(), req); err != nil {
				t.Errorf("product %d: %v", product, err)
			}
		})
		for i, id := range ids {
			has := map[int64]bool{}
			for _, product := range products(shops[1].get("/api/v1/cart/%d", id).cart(http.StatusOK)) {
				has[product] = true
			}
			for product := int64(1); product <= adds; product++ {
				if in := product%carts == int64(i); has[product] != in {
					t.Errorf("cart %d, product %d: there %v, want %v", id, product, has[product], in)
				}
			}
		}
	})
}

// TestTwoTabs has one user add products and remove them again in two tabs, each at a service of its own.
// Each tab sees its own product until it removes it, though the cart comes and goes.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		shops := twoShops(t, url)
		user := shops[0].user
		const rounds = 40
		tabs, ctx := errgroup.WithContext(t.Context())
		tabs.Go(func() error {
			for range rounds {
				a := shops[0].post(addBody(user, 1), addItem)
				if a.status != http.StatusCreated {
					return fmt.Errorf("add: status %d: %s", a.status, a.body)
				}
				id := a.cart(http.StatusCreated).ID
				if a := shops[0].del("/api/v1/cart/%d/item/1", id); a.status != http.StatusOK {
					return fmt.Errorf("remove from cart %d: status %d: %s", id, a.status, a.body)
				}
			}
			return nil
		})
		tabs.Go(func() error {
			for range rounds {
				resp, err := shops[1].rpc.AddItem(ctx, &cartv1.AddItemRequest{CompanyId: 1, UserId: user, ProductId: 2, Name: "x", Price: "1", Quantity: 1})
				if err != nil {
					return err
				}
				if _, err := shops[1].rpc.RemoveItem(ctx, &cartv1.RemoveItemRequest{CartId: resp.GetCart().GetId(), ProductId: 2}); err != nil {
					return fmt.Errorf("remove from cart %d: %w", resp.GetCart().GetId(), err)
				}
			}
			return nil
		})
		if err := tabs.Wait(); err != nil {
			t.Error(err)
		}
		db, _ := connect(t, url)
		if left := dump(t, db); left != "" {
			t.Errorf("when all is removed there is still\n%s", left)
		}
	})
}
