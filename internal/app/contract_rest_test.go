package app

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestREST is the REST half of the contract: each row of its table, and each of its rules.
func TestREST(t *testing.T) {
	t.Parallel()
	inShops(t, map[string]func(*shop){
		"a cart":                      testCartShape,
		"GET cart":                    testGetCart,
		"GET active":                  testGetActive,
		"GET by-user":                 testByUser,
		"GET by-user, pages":          testByUserPages,
		"POST by-ids":                 testByIDs,
		"POST upsert":                 testUpsert,
		"POST add-item":               testAddItem,
		"POST item":                   testPutItem,
		"PUT quantity":                testSetQuantity,
		"DELETE item":                 testRemoveItem,
		"PUT status":                  testTransitions,
		"PUT status, another ACTIVE":  testUnlockWithRival,
		"PUT status, empty cart":      testEmptyCartStatus,
		"GET healthz and /":           testService,
		"GET documentation":           testDocumentation,
		"no such path":                testNoSuchPath,
		"order of lines":              testOrder,
		"repeating changes nothing":   testRepeating,
		"the last line goes":          testLastLine,
		"lines of carts not ACTIVE":   testNotActive,
		"500 lines, exact totals":     testFullCart,
		"prices":                      testPrices,
		"unknown fields are ignored":  testUnknownFields,
		"one cart for each company":   testCompanies,
		"a body needs no type":        testNoContentType,
		"names are kept as they came": testNames,
	})
}

func testCartShape(s *shop) {
	before := time.Now().Add(-time.Minute)
	a := s.post(fmt.Sprintf(`{"company_id": 5, "user_id": %d, "product_id": 42, "name": "Coffee", "price": "4.9", "quantity": 2}`, s.user),
		"/api/v1/cart/add-item")
	var got map[string]any
	a.into(&got, http.StatusCreated)
	if kind := a.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/json") {
		s.Errorf("Content-Type %q", kind)
	}
	for _, field := range []string{"created_at", "updated_at"} {
		text, _ := got[field].(string)
		if at, err := time.Parse(time.RFC3339, text); err != nil || at.Before(before) || at.After(time.Now().Add(time.Minute)) {
			s.Errorf("%s is %v, want this time in RFC 3339 with its zone", field, got[field])
		}
		delete(got, field)
	}
	if id, _ := got["id"].(float64); id < 1 {
		s.Errorf("id is %v", got["id"])
	}
	delete(got, "id")
	s.same(got, map[string]any{
		"company_id": 5., "user_id": float64(s.user), "cookie": nil, "status": 1., "version": 1.,
		"items":       []any{map[string]any{"product_id": 42., "name": "Coffee", "price": "4.90", "quantity": 2.}},
		"items_count": 1., "total_amount": "9.80",
	})
}

func testGetCart(s *shop) {
	c := s.add(1, 2)
	s.same(s.get("/api/v1/cart/%d", c.ID).cart(http.StatusOK), c)
	s.get("/api/v1/cart/9223372036854775807").problem(http.StatusNotFound)
}

func testGetActive(s *shop) {
	path := fmt.Sprintf("/api/v1/cart/active?company_id=1&user_id=%d", s.user)
	s.get("%s", path).problem(http.StatusNotFound)
	c := s.add(1)
	s.same(s.get("%s", path).cart(http.StatusOK), c)
	s.get("/api/v1/cart/active?company_id=2&user_id=%d", s.user).problem(http.StatusNotFound)
	s.move(c.ID, 2).cart(http.StatusOK)
	s.get("%s", path).problem(http.StatusNotFound)
}

func testByUser(s *shop) {
	var want []restCart // newest first
	for _, status := range []int{3, 2, 2, 3, 4} {
		want = append([]restCart{s.move(s.add(1).ID, status).cart(http.StatusOK)}, want...)
	}
	elsewhere := s.post(at(2, addBody(s.user, 1)), "/api/v1/cart/add-item").cart(http.StatusCreated)
	want = append([]restCart{elsewhere}, want...)
	s.in(s.T).add(1) // another user's

	for query, keep := range map[string]func(restCart) bool{
		"":                        func(restCart) bool { return true },
		"&company_id=1":           func(c restCart) bool { return c.CompanyID == 1 },
		"&company_id=3":           func(restCart) bool { return false },
		"&status=1":               func(c restCart) bool { return c.Status == 1 },
		"&status=2":               func(c restCart) bool { return c.Status == 2 },
		"&status=3":               func(c restCart) bool { return c.Status == 3 },
		"&status=4":               func(c restCart) bool { return c.Status == 4 },
		"&status=1&company_id=1":  func(restCart) bool { return false },
		"&limit=200&offset=0":     func(restCart) bool { return true },
		"&limit=2":                func(c restCart) bool { return c.ID >= want[1].ID },
		"&limit=2&offset=4":       func(c restCart) bool { return c.ID <= want[4].ID },
		"&offset=6":               func(restCart) bool { return false },
		"&limit=1&status=3":       func(c restCart) bool { return c.ID == want[2].ID },
		"&limit=1&offset=2147483": func(restCart) bool { return false },
	} {
		got := s.get("/api/v1/carts/by-user?user_id=%d%s", s.user, query).carts()
		expected := []restCart{}
		for _, c := range want {
			if keep(c) {
				expected = append(expected, c)
			}
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			s.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
}

func testByUserPages(s *shop) {
	const carts = 60
	each(carts, 8, func(i int64) {
		if a := s.post(at(i, addBody(s.user, 1)), "/api/v1/cart/add-item"); a.status != http.StatusCreated {
			s.Errorf("%s: status %d", a.request, a.status)
		}
	})
	path := fmt.Sprintf("/api/v1/carts/by-user?user_id=%d", s.user)
	all := s.get("%s&limit=200", path).carts()
	if len(all) != carts || !slices.IsSortedFunc(all, func(a, b restCart) int { return int(b.ID - a.ID) }) {
		s.Errorf("%d carts, want %d, the newest first", len(all), carts)
	}
	s.same(s.get("%s", path).carts(), all[:50])
	s.same(s.get("%s&offset=50", path).carts(), all[50:])
	s.same(s.get("%s&limit=7&offset=20", path).carts(), all[20:27])
}

func testByIDs(s *shop) {
	a, b, c := s.in(s.T).add(1), s.in(s.T).add(1, 2), s.in(s.T).add(1)
	empty := s.post(fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user), "/api/v1/cart/upsert").cart(http.StatusCreated)
	for ids, want := range map[string][]restCart{
		"": {},
		fmt.Sprintf("%d, %d, %d", c.ID, a.ID, b.ID):                                                   {c, a, b},
		fmt.Sprintf("%d, 9223372036854775807, %d", b.ID, a.ID):                                        {b, a},
		fmt.Sprintf("%d, %d, %d, %d, %d", a.ID, b.ID, a.ID, empty.ID, b.ID):                           {a, b},
		fmt.Sprintf("%d%s", a.ID, strings.Repeat(", 9223372036854775807", 1001)):                      {a},
		strings.Trim(strings.ReplaceAll(fmt.Sprint(append(differentIDs(999), a.ID)), " ", ","), "[]"): {a},
	} {
		s.same(s.post(`{"ids": [`+ids+`]}`, "/api/v1/carts/by-ids").carts(), want)
	}
}

// testUpsert also covers empty carts, which only upsert shows.
func testUpsert(s *shop) {
	body := fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user)
	a := s.post(body, "/api/v1/cart/upsert")
	empty := a.cart(http.StatusCreated)
	if empty.ID < 1 || empty.Status != 1 || *empty.UserID != s.user || !strings.Contains(string(a.body), `"items":[]`) || empty.TotalAmount != "0.00" {
		s.Errorf("a new cart is %s", a.body)
	}
	s.same(s.post(body, "/api/v1/cart/upsert").cart(http.StatusCreated), empty)
	s.get("/api/v1/cart/%d", empty.ID).problem(http.StatusNotFound)
	s.get("/api/v1/cart/active?company_id=1&user_id=%d", s.user).problem(http.StatusNotFound)
	s.same(s.get("/api/v1/carts/by-user?user_id=%d", s.user).carts(), []restCart{})
	s.same(s.post(fmt.Sprintf(`{"ids": [%d]}`, empty.ID), "/api/v1/carts/by-ids").carts(), []restCart{})

	filled := s.add(1)
	if filled.ID != empty.ID || filled.CreatedAt != empty.CreatedAt {
		s.Errorf("the first line went into cart %d of %s, want %d of %s", filled.ID, filled.CreatedAt, empty.ID, empty.CreatedAt)
	}
	s.same(s.post(body, "/api/v1/cart/upsert").cart(http.StatusCreated), filled)
}

func testAddItem(s *shop) {
	first := s.add(1)
	second := s.add(2)
	if second.ID != first.ID || second.Version <= first.Version {
		s.Errorf("the second line went into %+v, want it in %+v", second, first)
	}
	s.same(products(second), []int64{1, 2})
	s.move(second.ID, 3).cart(http.StatusOK)
	if third := s.add(3); third.ID == first.ID || len(third.Items) != 1 {
		s.Errorf("after the order the next line went into %+v, want a new cart", third)
	}
}

func testPutItem(s *shop) {
	c := s.add(1)
	got := s.post(`{"product_id": 2, "name": "Tea", "price": "0.5", "quantity": 3}`, "/api/v1/cart/%d/item", c.ID).cart(http.StatusOK)
	s.same(got.Items, append(c.Items, restItem{ProductID: 2, Name: "Tea", Price: "0.50", Quantity: 3}))
	if got.TotalAmount != "2.60" {
		s.Errorf("total %s", got.TotalAmount)
	}
	s.unchanged(got)
	s.post(item(1), "/api/v1/cart/9223372036854775807/item").problem(http.StatusNotFound)
}

func testSetQuantity(s *shop) {
	c := s.add(1, 2, 3)
	path := fmt.Sprintf("/api/v1/cart/%d/item/2/quantity", c.ID)
	got := s.put(`{"quantity": 1000000}`, "%s", path).cart(http.StatusOK)
	if got.Items[1].Quantity != 1_000_000 || got.TotalAmount != "1100002.20" {
		s.Errorf("got %+v", got)
	}
	s.put(`{"quantity": 5}`, "/api/v1/cart/%d/item/4/quantity", c.ID).problem(http.StatusNotFound)
	s.put(`{"quantity": 0}`, "/api/v1/cart/%d/item/4/quantity", c.ID).problem(http.StatusNotFound)
	s.put(`{"quantity": 5}`, "/api/v1/cart/9223372036854775807/item/2/quantity").problem(http.StatusNotFound)
	s.unchanged(got)
	s.same(products(s.put(`{"quantity": 0}`, "%s", path).cart(http.StatusOK)), []int64{1, 3})
	s.put(`{"quantity": 0}`, "%s", path).problem(http.StatusNotFound)
	s.same(products(s.put(`{"quantity": -9223372036854775808}`, "/api/v1/cart/%d/item/3/quantity", c.ID).cart(http.StatusOK)), []int64{1})
}

func testRemoveItem(s *shop) {
	c := s.add(1, 2, 3)
	path := fmt.Sprintf("/api/v1/cart/%d/item/2", c.ID)
	got := s.del("%s", path).cart(http.StatusOK)
	s.same(products(got), []int64{1, 3})
	s.del("%s", path).problem(http.StatusNotFound)
	s.del("/api/v1/cart/9223372036854775807/item/2").problem(http.StatusNotFound)
	s.unchanged(got)
}

// mayBecome are the transitions that the contract allows, from status to status.
var mayBecome = map[int][]int{1: {2, 3, 4}, 2: {1, 3, 4}}

func testTransitions(s *shop) {
	for from := 1; from <= 4; from++ {
		for to := 1; to <= 4; to++ {
			s := s.in(s.T)
			c := s.add(1)
			was := s.move(c.ID, from).cart(http.StatusOK)
			a := s.move(c.ID, to)
			switch {
			case from == to:
				s.same(a.cart(http.StatusOK), was)
			case slices.Contains(mayBecome[from], to):
				now := a.cart(http.StatusOK)
				if now.Status != to || now.Version <= was.Version {
					s.Errorf("from %d to %d: %+v", from, to, now)
				}
				s.unchanged(now)
			default:
				a.problem(http.StatusBadRequest)
				s.unchanged(was)
			}
		}
	}
	s.move(9223372036854775807, 2).problem(http.StatusNotFound)
}

func testUnlockWithRival(s *shop) {
	locked := s.move(s.add(1).ID, 2).cart(http.StatusOK)
	rival := s.add(2)
	s.move(locked.ID, 1).problem(http.StatusBadRequest)
	s.unchanged(locked)
	s.unchanged(rival)
	s.move(rival.ID, 4).cart(http.StatusOK)
	if now := s.move(locked.ID, 1).cart(http.StatusOK); now.Status != 1 {
		s.Errorf("with the other one cancelled the cart became %+v", now)
	}
}

func testEmptyCartStatus(s *shop) {
	body := fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user)
	empty := s.post(body, "/api/v1/cart/upsert").cart(http.StatusCreated)
	for status := 2; status <= 4; status++ {
		s.move(empty.ID, status).problem(http.StatusBadRequest)
	}
	s.same(s.post(body, "/api/v1/cart/upsert").cart(http.StatusCreated), empty)
}

func testService(s *shop) {
	for path, want := range map[string][2]string{
		"/healthz": {"status", "ok"}, "/api/v1/healthz": {"status", "ok"}, "/": {"service", "sellio-cart"},
	} {
		var got map[string]string
		s.get("%s", path).into(&got, http.StatusOK)
		if got[want[0]] != want[1] {
			s.Errorf("%s: %v", path, got)
		}
	}
}

func testDocumentation(s *shop) {
	for path, part := range map[string]string{"/docs": "swagger", "/redoc": "redoc"} {
		if a := s.get("%s", path); a.status != http.StatusOK || !strings.Contains(strings.ToLower(string(a.body)), part) {
			s.Errorf("%s: status %d\n%.300s", path, a.status, a.body)
		}
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	s.get("/openapi.json").into(&document, http.StatusOK)
	for _, row := range []string{
		"get /api/v1/cart/{cart_id}", "get /api/v1/cart/active", "get /api/v1/carts/by-user", "post /api/v1/carts/by-ids",
		"post /api/v1/cart/upsert", "post /api/v1/cart/add-item", "post /api/v1/cart/{cart_id}/item",
		"put /api/v1/cart/{cart_id}/item/{product_id}/quantity", "delete /api/v1/cart/{cart_id}/item/{product_id}",
		"put /api/v1/cart/{cart_id}/status", "get /healthz", "get /api/v1/healthz", "get /readyz", "get /",
	} {
		method, path, _ := strings.Cut(row, " ")
		if document.Paths[path][method] == nil {
			s.Errorf("the document does not have %s", row)
		}
	}
}

func testNoSuchPath(s *shop) {
	for _, path := range []string{"/nope", "/api/v1/cart", "/api/v1/cart/", "/api/v1/cart/1//", "/api/v2/cart/1", "/api/v1/carts", "/API/V1/CART/1"} {
		s.get("%s", path).problem(http.StatusNotFound)
	}
	for request, allowed := range map[string]string{
		"DELETE /api/v1/cart/1": "GET, HEAD", "GET /api/v1/cart/1/status": "PUT", "PATCH /api/v1/carts/by-ids": "POST",
		"POST /healthz": "GET, HEAD", "BREW /api/v1/cart/1/item/1": "DELETE",
	} {
		method, path, _ := strings.Cut(request, " ")
		a := s.send(method, path, "")
		a.problem(http.StatusMethodNotAllowed)
		if got := a.header.Get("Allow"); got != allowed {
			s.Errorf("%s: Allow %q, want %q", request, got, allowed)
		}
	}
}

func testOrder(s *shop) {
	c := s.add(5, 3, 9, 1)
	replaced := s.post(`{"product_id": 3, "name": "new", "price": "7", "quantity": 7}`, "/api/v1/cart/%d/item", c.ID).cart(http.StatusOK)
	c.Items[1] = restItem{ProductID: 3, Name: "new", Price: "7.00", Quantity: 7}
	s.same(replaced.Items, c.Items)
	s.same(products(s.put(`{"quantity": 8}`, "/api/v1/cart/%d/item/5/quantity", c.ID).cart(http.StatusOK)), []int64{5, 3, 9, 1})
	s.del("/api/v1/cart/%d/item/5", c.ID).cart(http.StatusOK)
	again := s.add(3, 5, 4)
	s.same(products(again), []int64{3, 9, 1, 5, 4})
	s.unchanged(again)
}

func testRepeating(s *shop) {
	c := s.add(1, 2)
	id := c.ID
	for _, r := range []struct{ method, path, body string }{
		{"POST", "/api/v1/cart/add-item", addBody(s.user, 3)},
		{"POST", "/api/v1/cart/upsert", fmt.Sprintf(`{"company_id": 1, "user_id": %d}`, s.user)},
		{"POST", fmt.Sprintf("/api/v1/cart/%d/item", id), item(4)},
		{"PUT", fmt.Sprintf("/api/v1/cart/%d/item/1/quantity", id), `{"quantity": 9}`},
		{"PUT", fmt.Sprintf("/api/v1/cart/%d/status", id), `{"status": 2}`},
	} {
		first := s.send(r.method, r.path, r.body)
		s.unchanged(first.cart(first.status))
		second := s.send(r.method, r.path, r.body)
		if first.status/100 != 2 || second.status != first.status || string(second.body) != string(first.body) {
			s.Errorf("%s:\nfirst  %d %s\nsecond %d %s", first.request, first.status, first.body, second.status, second.body)
		}
	}
}

func testLastLine(s *shop) {
	for _, r := range []struct{ method, path, body string }{
		{"DELETE", "/api/v1/cart/%d/item/1", ""},
		{"PUT", "/api/v1/cart/%d/item/1/quantity", `{"quantity": 0}`},
		{"PUT", "/api/v1/cart/%d/item/1/quantity", `{"quantity": -1}`},
	} {
		c := s.add(1)
		a := s.send(r.method, fmt.Sprintf(r.path, c.ID), r.body)
		emptied := a.cart(http.StatusOK)
		if emptied.ID != c.ID || *emptied.UserID != s.user || !strings.Contains(string(a.body), `"items":[]`) || emptied.TotalAmount != "0.00" {
			s.Errorf("%s: %s", a.request, a.body)
		}
		s.get("/api/v1/cart/%d", c.ID).problem(http.StatusNotFound)
		s.get("/api/v1/cart/active?company_id=1&user_id=%d", s.user).problem(http.StatusNotFound)
		s.post(item(1), "/api/v1/cart/%d/item", c.ID).problem(http.StatusNotFound)
		s.put(`{"quantity": 1}`, "/api/v1/cart/%d/item/1/quantity", c.ID).problem(http.StatusNotFound)
		s.del("/api/v1/cart/%d/item/1", c.ID).problem(http.StatusNotFound)
		s.move(c.ID, 2).problem(http.StatusNotFound)
		if next := s.add(1); next.ID <= c.ID {
			s.Errorf("after cart %d comes cart %d", c.ID, next.ID)
		} else {
			s.del("/api/v1/cart/%d/item/1", next.ID).cart(http.StatusOK)
		}
	}
}

func testNotActive(s *shop) {
	for status := 2; status <= 4; status++ {
		c := s.move(s.add(1, 2).ID, status).cart(http.StatusOK)
		s.post(item(1), "/api/v1/cart/%d/item", c.ID).problem(http.StatusConflict)
		s.post(item(3), "/api/v1/cart/%d/item", c.ID).problem(http.StatusConflict)
		s.put(`{"quantity": 5}`, "/api/v1/cart/%d/item/1/quantity", c.ID).problem(http.StatusConflict)
		s.put(`{"quantity": 0}`, "/api/v1/cart/%d/item/1/quantity", c.ID).problem(http.StatusConflict)
		s.del("/api/v1/cart/%d/item/1", c.ID).problem(http.StatusConflict)
		s.unchanged(c)
	}
}

// testFullCart fills a cart over both transports with lines of the highest price.
func testFullCart(s *shop) {
	id := s.add(1).ID
	each(500, 16, func(product int64) {
		if product%2 == 0 {
			line := &cartv1.UpsertItemRequest{CartId: id, ProductId: product, Name: "x", Price: "99999999.99", Quantity: 1_000_000}
			if _, err := s.rpc.UpsertItem(s.Context(), line); err != nil {
				s.Errorf("product %d: %v", product, err)
			}
			return
		}
		body := fmt.Sprintf(`{"product_id": %d, "name": "x", "price": "99999999.99", "quantity": 1000000}`, product)
		if a := s.post(body, "/api/v1/cart/%d/item", id); a.status != http.StatusOK {
			s.Errorf("product %d: status %d", product, a.status)
		}
	})
	full := s.get("/api/v1/cart/%d", id).cart(http.StatusOK)
	if len(full.Items) != 500 || full.TotalAmount != "49999999995000000.00" {
		s.Errorf("%d lines for %s", len(full.Items), full.TotalAmount)
	}
	s.post(item(501), "/api/v1/cart/%d/item", id).problem(http.StatusConflict)
	s.post(addBody(s.user, 501), "/api/v1/cart/add-item").problem(http.StatusConflict)
	_, err := s.rpc.UpsertItem(s.Context(), &cartv1.UpsertItemRequest{CartId: id, ProductId: 501, Name: "x", Price: "1", Quantity: 1})
	s.code(err, codes.FailedPrecondition)
	_, err = s.rpc.AddItem(s.Context(), &cartv1.AddItemRequest{CompanyId: 1, UserId: s.user, ProductId: 501, Name: "x", Price: "1", Quantity: 1})
	s.code(err, codes.FailedPrecondition)
	s.unchanged(full)
	// Its lines may still be replaced, and a line that is removed makes room for another.
	if c := s.post(item(500), "/api/v1/cart/%d/item", id).cart(http.StatusOK); c.TotalAmount != "49899999995010001.10" {
		s.Errorf("with a line replaced the total is %s", c.TotalAmount)
	}
	s.del("/api/v1/cart/%d/item/500", id).cart(http.StatusOK)
	s.post(item(501), "/api/v1/cart/%d/item", id).cart(http.StatusOK)
}

func testPrices(s *shop) {
	for price, want := range map[string]string{
		"0": "0.00", "0.0": "0.00", "0.01": "0.01", "0.1": "0.10", "1": "1.00", "00000001": "1.00", "4.9": "4.90",
		"4.90": "4.90", "1234567.89": "1234567.89", "99999999.99": "99999999.99",
	} {
		body := fmt.Sprintf(`{"company_id": 1, "user_id": %d, "product_id": 1, "name": "x", "price": %q, "quantity": 1}`, s.user, price)
		c := s.post(body, "/api/v1/cart/add-item").cart(http.StatusCreated)
		if c.Items[0].Price != want || c.TotalAmount != want {
			s.Errorf("%s is printed as %s, in total %s; want %s", price, c.Items[0].Price, c.TotalAmount, want)
		}
		s.unchanged(c)
	}
}

func testUnknownFields(s *shop) {
	c := s.post(fmt.Sprintf(`{"company_id": 1, "user_id": %d, "product_id": 1, "name": "x", "price": "1", "quantity": 1,
		"id": 7, "status": 4, "created_at": "never", "items": {}, "total_amount": null, "nested": [{"deep": [1.5e300]}]}`, s.user),
		"/api/v1/cart/add-item").cart(http.StatusCreated)
	if c.Status != 1 || len(c.Items) != 1 {
		s.Errorf("got %+v", c)
	}
	s.put(`{"status": 2, "user_id": 0}`, "/api/v1/cart/%d/status", c.ID).cart(http.StatusOK)
	s.get("/api/v1/cart/%d?company_id=x&verbose", c.ID).cart(http.StatusOK)
}

func testCompanies(s *shop) {
	one := s.add(1)
	two := s.post(at(math.MaxInt64, addBody(s.user, 1)), "/api/v1/cart/add-item").cart(http.StatusCreated)
	if two.ID == one.ID || two.CompanyID != math.MaxInt64 {
		s.Errorf("carts %+v and %+v", one, two)
	}
	s.unchanged(one)
}

func testNoContentType(s *shop) {
	c := s.send(http.MethodPost, "/api/v1/cart/add-item", addBody(s.user, 1), "Content-Type", "application/json; charset=utf-8").cart(http.StatusCreated)
	s.same(s.send(http.MethodPost, "/api/v1/cart/add-item", addBody(s.user, 1), "Content-Type", "").cart(http.StatusCreated), c)
}

func testNames(s *shop) {
	names := []string{
		"é", "茶, \"green\" <b>&\\/", " ", "a\nb\tc\x7f", "'; DROP TABLE cart; --", "\u202e\u0001", "{}", "NULL", strings.Repeat("😀", 255),
	}
	for i, name := range names {
		body := fmt.Sprintf(`{"company_id": 1, "user_id": %d, "product_id": %d, "name": %s, "price": "1", "quantity": 1}`, s.user, i+1, quote(s, name))
		c := s.post(body, "/api/v1/cart/add-item").cart(http.StatusCreated)
		if got := c.Items[i].Name; got != name {
			s.Errorf("%q became %q", name, got)
		}
		s.unchanged(c)
	}
}
