package app

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// tooMany checks that the answer is that the caller has created too many carts.
func (a answer) tooMany() {
	a.Helper()
	a.problem(http.StatusTooManyRequests)
	if wait, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || wait < 1 || wait > 60 {
		a.Errorf("%s: Retry-After %q, want 1 to 60 seconds", a.request, a.header.Get("Retry-After"))
	}
	if a.header.Get("Set-Cookie") != "" {
		a.Errorf("%s: sets a cookie, which is another caller", a.request)
	}
}

// TestCreateRate has callers that may create two carts.
func TestCreateRate(t *testing.T) {
	t.Parallel()
	inShops(t, map[string]func(*shop){
		"users": func(s *shop) {
			for company := range int64(2) {
				s.post(at(company+1, addBody(s.user, 1)), addItem).cart(http.StatusCreated)
			}
			s.post(at(3, addBody(s.user, 1)), addItem).tooMany()
			s.post(fmt.Sprintf(`{"company_id": 3, "user_id": %d}`, s.user), upsert).tooMany()
			s.retryInfo(s.invoke(&cartv1.UpsertCartRequest{CompanyId: 3, UserId: s.user}), codes.ResourceExhausted)
			if c := s.add(2, 3); len(c.Items) != 3 {
				t.Errorf("the cart that is there has %d lines, want 3", len(c.Items))
			}
			s.in(s.T).add(1)
		},
		"guests": func(s *shop) {
			from := func(address string, more ...string) answer {
				return s.send(http.MethodPost, upsert, `{"company_id": 1}`, append(more, "X-Forwarded-For", address)...)
			}
			address := fmt.Sprintf("192.0.2.%d", s.user%256)
			first := from(address)
			first.cart(http.StatusCreated)
			from("198.51.100.1, " + address).cart(http.StatusCreated)
			from(address).tooMany()
			from("198.51.100.2, " + address).tooMany()
			from("198.51.100.3").cart(http.StatusCreated)
			cookie, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
			from(address, "Cookie", cookie).cart(http.StatusCreated)
		},
	}, "CREATE_RATE=1", "CREATE_BURST=2", "TRUSTED_PROXIES=127.0.0.0/8,::1/128")
}
