package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestRequestID checks that each request has one id, for its caller and in the log.
func TestRequestID(t *testing.T) {
	t.Parallel()
	p := serve(t, "LOG_LEVEL=debug")
	s := openShop(t, p)
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for i, path := range []string{"/api/v1/cart/1", "/healthz", "/readyz", "/nope", "/docs", "/openapi.json"} {
		brought := fmt.Sprintf("rest-%d", i)
		if got := s.send("GET", path, "", "X-Request-Id", brought).header.Get("X-Request-Id"); got != brought {
			t.Errorf("%s: the id %q was answered with %q", path, brought, got)
		}
		if got := s.send("GET", path, "", "Traceparent", traceparent).header.Get("X-Request-Id"); got != traceparent[3:35] {
			t.Errorf("%s: %q, want the trace id", path, got)
		}
		if got := s.send("GET", path, "", "X-Request-Id", "not one").header.Get("X-Request-Id"); len(got) < 20 || got == "not one" {
			t.Errorf("%s: %q, want a fresh id", path, got)
		}
	}
	p.waitForLog("request_id=rest-0")
	for i, r := range requests {
		brought := fmt.Sprintf("grpc-%d", i)
		var header metadata.MD
		ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", brought)
		_ = s.invokeIn(ctx, r.message, grpc.Header(&header)) // failures show the id too
		if got := header.Get("x-request-id"); len(got) != 1 || got[0] != brought {
			t.Errorf("%T: the id %q was answered with %q", r.message, brought, got)
		}
		p.waitForLog("request_id=" + brought)
	}
	var header metadata.MD
	_ = s.invokeIn(t.Context(), requests[0].message, grpc.Header(&header))
	if got := header.Get("x-request-id"); len(got) != 1 || len(got[0]) < 20 {
		t.Errorf("%q, want a fresh id", got)
	}
}

// TestLogsTellNothing runs every operation, well and badly, at the most talkative level. The log must
// not show the contents of carts or their owners.
func TestLogsTellNothing(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		p := serve(t, "DATABASE_URL="+url, "LOG_LEVEL=debug")
		s := openShop(t, p)
		const (
			user             = 7700770077
			name, cookie     = "MarkName", "MarkCookie-0123456789"
			price            = "31337.31"
			badPrice, broken = "MarkPrice", "MarkBroken"
		)
		owner := fmt.Sprintf(`"company_id": 1, "user_id": %d, "cookie": %q`, user, cookie)
		line := fmt.Sprintf(`"product_id": 1, "name": %q, "price": %q, "quantity": 3`, name, price)
		guest := []string{"Cookie", "sellio_cart=" + cookie}
		drive := func() {
			s.send("POST", addItem, "{"+owner+", "+line+"}")
			s.send("POST", addItem, `{"company_id": 1, `+line+"}", guest...)
			s.send("GET", "/api/v1/cart/active?company_id=1", "", guest...)
			s.send("GET", fmt.Sprintf("/api/v1/cart/active?company_id=1&user_id=%d", user), "")
			s.send("GET", fmt.Sprintf("/api/v1/carts/by-user?user_id=%d", user), "")
			s.send("POST", upsert, "{"+owner+"}")
			s.send("POST", "/api/v1/cart/1/item", "{"+line+"}")
			s.send("POST", "/api/v1/cart/1/item", strings.Replace("{"+line+"}", price, badPrice, 1))
			s.send("POST", "/api/v1/cart/1/item", broken)
			s.send("POST", "/api/v1/cart/1/item", fmt.Sprintf(`{"name": [%q]}`, broken))
			s.send("GET", "/api/v1/cart/active?company_id="+broken, "", "Authorization", "Bearer "+broken)
			s.send("PUT", "/api/v1/cart/1/item/1/quantity", `{"quantity": 4}`)
			item := &cartv1.AddItemRequest{CompanyId: 1, UserId: user, ProductId: 1, Name: name, Price: price, Quantity: 3}
			_ = s.invoke(item)
			item.UserId, item.Cookie = 0, cookie
			_ = s.invoke(item)
			item.Price = badPrice
			_ = s.invoke(item)
			item.Cookie = cookie + "; " + broken
			_ = s.invoke(item)
			_ = s.invoke(&cartv1.ListByUserRequest{UserId: user})
			_ = s.invoke(&cartv1.GetActiveCartRequest{CompanyId: 1, UserId: user, Cookie: cookie})
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+broken)
			_ = s.invokeIn(ctx, &cartv1.GetActiveCartRequest{CompanyId: 1, UserId: user, Cookie: cookie})
			for _, r := range requests {
				s.send(r.method, r.path, r.body)
				_ = s.invoke(r.message)
			}
		}
		drive()
		db, _ := connect(t, url)
		if _, err := db.ExecContext(t.Context(), "ALTER TABLE cart_item RENAME TO gone"); err != nil {
			t.Fatal(err)
		}
		drive()
		s.send("GET", "/", "", "X-Request-Id", "the-last").into(&struct{}{}, http.StatusOK)
		p.waitForLog("request_id=the-last")
		log := p.logged()
		for _, mark := range []string{fmt.Sprint(user), name, cookie, price, "3133731", badPrice, broken} {
			if i := strings.Index(log, mark); i >= 0 {
				t.Errorf("the log tells %q: %.300s", mark, log[max(0, i-100):])
			}
		}
	})
}
