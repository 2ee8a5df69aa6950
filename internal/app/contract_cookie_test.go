package app

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCookie is the part of the contract on the guest cookie.
func TestCookie(t *testing.T) {
	t.Parallel()
	inShops(t, map[string]func(*shop){
		"GET active sets it":             testActiveSetsCookie,
		"GET active keeps it":            testActiveKeepsCookie,
		"GET active of a user":           testActiveOfUser,
		"writes set it":                  testWritesSetCookie,
		"writes use the request's":       testWritesUseCookie,
		"a body's comes first":           testBodyCookie,
		"the user wins":                  testUserWins,
		"a header that is bad":           testBadHeader,
		"a body that is bad":             testBadBody,
		"the longest":                    testLongestCookie,
		"no owner at all":                testNullOwner,
		"each fresh guest has their own": testFreshGuests,
	})
}

// guestCookie returns the cookie that the answer sets, and checks its attributes.
func (a answer) guestCookie(secure bool) string {
	a.Helper()
	cookies := (&http.Response{Header: a.header}).Cookies()
	if len(cookies) != 1 {
		a.Fatalf("%s: sets %d cookies, want one: %v", a.request, len(cookies), a.header)
	}
	got := *cookies[0]
	want := http.Cookie{
		Name: "sellio_cart", Path: "/", MaxAge: 30 * 24 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: secure,
	}
	value := got.Value
	got.Value, got.Raw = "", ""
	if diff := cmp.Diff(want, got); diff != "" {
		a.Errorf("%s: the cookie (-want +got):\n%s", a.request, diff)
	}
	if random, err := base64.RawURLEncoding.DecodeString(value); err != nil || len(random) < 24 {
		a.Errorf("%s: the cookie %q holds %d bytes, URL-safe; want 24 or more: %v", a.request, value, len(random), err)
	}
	return value
}

// noCookie checks that the answer sets none.
func (a answer) noCookie() answer {
	a.Helper()
	if set := a.header.Values("Set-Cookie"); len(set) > 0 {
		a.Errorf("%s: sets %q, want no cookie", a.request, set)
	}
	return a
}

// by sends a request with a guest's cookie.
func (s *shop) by(cookie, method, path, body string) answer {
	s.Helper()
	return s.send(method, path, body, "Cookie", "other=1; sellio_cart="+cookie+"; another=2")
}

const (
	active  = "/api/v1/cart/active?company_id=1"
	addItem = "/api/v1/cart/add-item"
	upsert  = "/api/v1/cart/upsert"
	// What a guest's browser sends.
	addTea     = `{"company_id": 1, "product_id": 1, "name": "Tea", "price": "1", "quantity": 1}`
	upsertCart = `{"company_id": 1}`
)

// guest returns a cookie of its own for the test.
func (s *shop) guest() string { return fmt.Sprintf("guest-%d", s.user) }

func testActiveSetsCookie(s *shop) {
	a := s.get(active)
	a.problem(http.StatusNotFound)
	first := a.guestCookie(false)
	if second := s.get(active).guestCookie(false); second == first {
		s.Errorf("two guests got the cookie %q", first)
	}
	s.by(first, http.MethodGet, active, "").noCookie().problem(http.StatusNotFound)
	c := s.by(first, http.MethodPost, addItem, addTea).noCookie().cart(http.StatusCreated)
	if c.Cookie == nil || *c.Cookie != first || c.UserID != nil {
		s.Errorf("the guest's cart is %+v", c)
	}
	s.same(s.by(first, http.MethodGet, active, "").noCookie().cart(http.StatusOK), c)
}

func testActiveKeepsCookie(s *shop) {
	c := s.by(s.guest(), http.MethodPost, addItem, addTea).cart(http.StatusCreated)
	s.same(s.by(s.guest(), http.MethodGet, active, "").noCookie().cart(http.StatusOK), c)
	s.by(s.guest(), http.MethodGet, "/api/v1/cart/active?company_id=2", "").noCookie().problem(http.StatusNotFound)
	s.by(s.guest()+"x", http.MethodGet, active, "").noCookie().problem(http.StatusNotFound)
}

func testActiveOfUser(s *shop) {
	ofUser := fmt.Sprintf("%s&user_id=%d", active, s.user)
	s.get("%s", ofUser).noCookie().problem(http.StatusNotFound)
	s.by("a b", http.MethodGet, ofUser, "").noCookie().problem(http.StatusNotFound)
	guests := s.by(s.guest(), http.MethodPost, addItem, addTea).cart(http.StatusCreated)
	s.by(s.guest(), http.MethodGet, ofUser, "").noCookie().problem(http.StatusNotFound)
	users := s.add(1)
	s.same(s.by(s.guest(), http.MethodGet, ofUser, "").noCookie().cart(http.StatusOK), users)
	s.same(s.by(s.guest(), http.MethodGet, active, "").cart(http.StatusOK), guests)
}

func testWritesSetCookie(s *shop) {
	for path, body := range map[string]string{addItem: addTea, upsert: upsertCart} {
		a := s.post(body, "%s", path)
		c := a.cart(http.StatusCreated)
		cookie := a.guestCookie(false)
		if c.Cookie == nil || *c.Cookie != cookie || c.UserID != nil {
			s.Errorf("%s: the cookie is %q and the cart %+v", path, cookie, c)
		}
		if again := s.by(cookie, http.MethodPost, path, body).noCookie().cart(http.StatusCreated); again.ID != c.ID {
			s.Errorf("%s: with the cookie it is cart %d, want %d", path, again.ID, c.ID)
		}
	}
	// A request that names a cart by its id needs no cookie.
	c := s.add(1, 2, 3)
	s.post(item(4), "/api/v1/cart/%d/item", c.ID).noCookie().cart(http.StatusOK)
	s.put(`{"quantity": 2}`, "/api/v1/cart/%d/item/4/quantity", c.ID).noCookie().cart(http.StatusOK)
	s.del("/api/v1/cart/%d/item/4", c.ID).noCookie().cart(http.StatusOK)
	s.move(c.ID, 2).noCookie().cart(http.StatusOK)
}

func testWritesUseCookie(s *shop) {
	empty := s.by(s.guest(), http.MethodPost, upsert, upsertCart).noCookie().cart(http.StatusCreated)
	filled := s.by(s.guest(), http.MethodPost, addItem, addTea).noCookie().cart(http.StatusCreated)
	if *empty.Cookie != s.guest() || filled.ID != empty.ID {
		s.Errorf("carts %+v and %+v", empty, filled)
	}
	s.same(s.by(s.guest(), http.MethodPost, upsert, upsertCart).noCookie().cart(http.StatusCreated), filled)
}

func testBodyCookie(s *shop) {
	in := func(cookie, body string) string {
		return strings.Replace(body, "{", fmt.Sprintf(`{"cookie": %q, `, cookie), 1)
	}
	for path, body := range map[string]string{upsert: upsertCart, addItem: addTea} {
		inBody, inHeader := s.guest()+"-body", s.guest()+"-header"
		for _, a := range []answer{
			s.post(in(inBody, body), "%s", path),
			s.by(inHeader, http.MethodPost, path, in(inBody, body)),
			s.by("a b", http.MethodPost, path, in(inBody, body)),
		} {
			if c := a.noCookie().cart(http.StatusCreated); *c.Cookie != inBody {
				s.Errorf("%s: the cart is %+v", path, c)
			}
		}
		s.by(inHeader, http.MethodGet, active, "").problem(http.StatusNotFound)
	}
}

func testUserWins(s *shop) {
	body := strings.Replace(addBody(s.user, 1), "{", fmt.Sprintf(`{"cookie": %q, `, s.guest()), 1)
	c := s.by(s.guest(), http.MethodPost, addItem, body).noCookie().cart(http.StatusCreated)
	if c.UserID == nil || *c.UserID != s.user || c.Cookie != nil {
		s.Errorf("the cart of a user who has a cookie too is %+v", c)
	}
	s.by(s.guest(), http.MethodGet, active, "").problem(http.StatusNotFound)
	s.same(s.get("%s&user_id=%d", active, s.user).cart(http.StatusOK), c)
	guests := s.by(s.guest(), http.MethodPost, addItem, addTea).cart(http.StatusCreated)
	if guests.ID == c.ID {
		s.Error("the guest was given the user's cart")
	}
	s.unchanged(c)
}

// badCookies are values that no guest's cookie has.
var badCookies = []string{"", "a b", "a,b", `a"b`, `"a`, `a\b`, "é", "a\tb", strings.Repeat("x", 256), strings.Repeat("x", 5000)}

func testBadHeader(s *shop) {
	for _, bad := range badCookies {
		a := s.by(bad, http.MethodGet, active, "")
		a.problem(http.StatusNotFound)
		a.guestCookie(false)
		for path, body := range map[string]string{addItem: addTea, upsert: upsertCart} {
			a := s.by(bad, http.MethodPost, path, body)
			c := a.cart(http.StatusCreated)
			if fresh := a.guestCookie(false); *c.Cookie != fresh || len(c.Items) > 1 {
				s.Errorf("%s with the cookie %.20q: the fresh one is %q and the cart %+v", path, bad, fresh, c)
			}
		}
	}
}

func testBadBody(s *shop) {
	for _, bad := range append([]string{"a\x00", "a;b"}, badCookies...) {
		for _, owner := range []string{"", fmt.Sprintf(`"user_id": %d, `, s.user)} {
			body := fmt.Sprintf(`{%s"cookie": %s, "company_id": 1, "product_id": 1, "name": "x", "price": "1", "quantity": 1}`, owner, quote(s, bad))
			for _, path := range []string{addItem, upsert} {
				s.by(s.guest(), http.MethodPost, path, body).noCookie().faults("cookie")
			}
		}
	}
	s.by(s.guest(), http.MethodGet, active, "").problem(http.StatusNotFound)
	s.get("%s&user_id=%d", active, s.user).problem(http.StatusNotFound)
}

func testLongestCookie(s *shop) {
	longest := s.guest() + strings.Repeat("~", 255-len(s.guest()))
	c := s.by(longest, http.MethodPost, addItem, addTea).noCookie().cart(http.StatusCreated)
	if *c.Cookie != longest {
		s.Errorf("the cookie became %q", *c.Cookie)
	}
	s.same(s.by(longest, http.MethodGet, active, "").noCookie().cart(http.StatusOK), c)
}

func testNullOwner(s *shop) {
	body := strings.Replace(addTea, "{", `{"user_id": null, "cookie": null, `, 1)
	a := s.post(body, addItem)
	c := a.cart(http.StatusCreated)
	if cookie := a.guestCookie(false); *c.Cookie != cookie {
		s.Errorf("the cookie is %q and the cart %+v", cookie, c)
	}
	a = s.by(s.guest(), http.MethodPost, addItem, body).noCookie()
	if c := a.cart(http.StatusCreated); *c.Cookie != s.guest() {
		s.Errorf("with the request's cookie the cart is %+v", c)
	}
}

func testFreshGuests(s *shop) {
	var (
		mu      sync.Mutex
		carts   = map[int64]bool{}
		cookies = map[string]bool{}
	)
	const guests = 64
	each(guests, guests, func(int64) {
		a := s.post(addTea, addItem)
		if a.status != http.StatusCreated {
			s.Errorf("status %d\n%s", a.status, a.body)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		c := a.cart(http.StatusCreated)
		carts[c.ID], cookies[*c.Cookie] = true, true
		if len(c.Items) != 1 {
			s.Errorf("a guest who has just come finds %+v", c)
		}
	})
	if len(carts) != guests || len(cookies) != guests {
		s.Errorf("%d guests have %d cookies and %d carts", guests, len(cookies), len(carts))
	}
}

// TestOrphans covers carts of the Python service that have no owner, or an empty cookie as their owner. That
// service served them to requests that named no owner.
func TestOrphans(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, "DATABASE_URL="+url))
		db, postgres := connect(t, url)
		now, price := "0", "110"
		if postgres {
			now, price = "now()", "1.10"
		}
		for _, row := range []string{"1, NULL, NULL", "2, NULL, ''", "3, NULL, NULL", "4, 0, NULL", "5, -1, NULL"} {
			for _, insert := range []string{
				fmt.Sprintf("INSERT INTO cart (id, user_id, cookie, company_id, created_at, updated_at) VALUES (%s, 1, %s, %s)", row, now, now),
				fmt.Sprintf("INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES (%s, 1, 'old', %s, 1)", row[:1], price),
			} {
				if _, err := db.ExecContext(t.Context(), insert); err != nil {
					t.Fatalf("%s: %v", insert, err)
				}
			}
		}
		if postgres { // as if the ids had come from the sequence
			if _, err := db.ExecContext(t.Context(), "SELECT setval(pg_get_serial_sequence('cart', 'id'), 5)"); err != nil {
				t.Fatal(err)
			}
		}
		before := s.post(`{"ids": [1, 2, 3, 4, 5]}`, "/api/v1/carts/by-ids").carts()
		if len(before) != 5 || before[4].TotalAmount != "1.10" {
			t.Fatalf("the old carts read %+v", before)
		}
		s.get(active).problem(http.StatusNotFound)
		for _, cookie := range []string{"", "null", "None"} {
			s.by(cookie, http.MethodGet, active, "").problem(http.StatusNotFound)
			for _, path := range []string{addItem, upsert} {
				if c := s.by(cookie, http.MethodPost, path, addTea).cart(http.StatusCreated); c.ID <= 5 || len(c.Items) > 1 {
					s.Errorf("the guest %q was given %+v", cookie, c)
				}
			}
		}
		s.same(s.post(`{"ids": [1, 2, 3, 4, 5]}`, "/api/v1/carts/by-ids").carts(), before)
	})
}

// TestSecureCookie checks that only APP_ENV=local leaves Secure off.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		for env, secure := range map[string]bool{"local": false, "dev": true, "prod": true, "LOCALE": true} {
			s := openShop(t, serve(t, "APP_ENV="+env, "DATABASE_URL="+url))
			s.get(active).guestCookie(secure)
			s.post(addTea, addItem).guestCookie(secure)
			s.post(upsertCart, upsert).guestCookie(secure)
		}
	})
}
