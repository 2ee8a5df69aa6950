package app

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestClients covers what clients of the Python service send, or have left behind.
func TestClients(t *testing.T) {
	t.Parallel()
	inShops(t, map[string]func(*shop){
		"whole numbers in other forms": testOtherNumbers,
		"slashes":                      testSlashes,
		"two cookies":                  testTwoCookies,
		"half a character":             testHalfCharacter,
		"labels of bodies":             testLabels,
	})
}

func testOtherNumbers(s *shop) {
	body := fmt.Sprintf("\ufeff"+`{"company_id": 1e0, "user_id": "%d", "product_id": "9007199254740993", "name": "2.0", "price": "2.0", "quantity": 2.0}`, s.user)
	c := s.post(body, addItem).cart(http.StatusCreated)
	if len(c.Items) != 1 || c.Items[0].ProductID != 9007199254740993 || c.Items[0].Name != "2.0" || c.Items[0].Quantity != 2 {
		s.Errorf("the cart is %+v", c)
	}
	s.same(s.post(fmt.Sprintf(`{"ids": ["%d", %d.0]}`, c.ID, c.ID), "/api/v1/carts/by-ids").carts(), []restCart{c})
	s.same(s.get("/api/v1/carts/by-user?user_id=%d.0&company_id=1e0&status_param=1", s.user).carts(), []restCart{c})
	s.same(s.get("/api/v1/carts/by-user?user_id=%d&status_param=2", s.user).carts(), []restCart{})
	s.get("/api/v1/carts/by-user?user_id=%d&status_param=2&status=1", s.user).faults("status_param")
	s.get("/api/v1/cart/%d.0", c.ID).faults("cart_id")
}

func testSlashes(s *shop) {
	c := s.add(1)
	s.same(s.get("/api/v1/cart/%d/", c.ID).cart(http.StatusOK), c)
	s.same(s.get("/api/v1/cart/active/?company_id=1&user_id=%d", s.user).cart(http.StatusOK), c)
	s.same(s.post(addBody(s.user, 1), "/api/v1/cart/add-item/").cart(http.StatusCreated), c)
	for _, path := range []string{"//", "/api/v1//cart/%d", "/api/v1/./cart/%d", "/api/v1/cart/%d//", "/api/v1/cart/x/../%d"} {
		a := s.get("%s", strings.Replace(path, "%d", fmt.Sprint(c.ID), 1))
		a.problem(http.StatusNotFound)
		if a.header.Get("Cache-Control") != "no-store" {
			s.Errorf("%s: headers %v", path, a.header)
		}
	}
}

func testTwoCookies(s *shop) {
	c := s.by(s.guest(), http.MethodPost, addItem, addTea).cart(http.StatusCreated)
	for _, cookies := range []string{"sellio_cart=old; sellio_cart=" + s.guest(), "sellio_cart=" + s.guest() + "; sellio_cart=a b"} {
		s.same(s.send(http.MethodGet, active, "", "Cookie", cookies).noCookie().cart(http.StatusOK), c)
	}
}

func testHalfCharacter(s *shop) {
	tea := func(name string) string { return strings.Replace(addTea, "Tea", name, 1) }
	if c := s.by(s.guest(), http.MethodPost, addItem, tea(`a\ud83d\ude00\ufffd`)).cart(http.StatusCreated); c.Items[0].Name != "a😀\ufffd" {
		s.Errorf("the name is %q", c.Items[0].Name)
	}
	s.by(s.guest(), http.MethodPost, addItem, tea(`a\ud83d`)).faults("name")
}

func testLabels(s *shop) {
	c := s.add(1)
	path := fmt.Sprintf("/api/v1/cart/%d/item", c.ID)
	s.send(http.MethodPost, path, item(2), "Content-Type", "Application/Vnd.Api+JSON; charset=utf-8").cart(http.StatusOK)
	s.send(http.MethodPost, path, item(3), "Content-Encoding", "gzip").problem(http.StatusUnsupportedMediaType)
	s.send(http.MethodPost, path, item(4), "Content-Encoding", "identity").cart(http.StatusOK)
}

// TestOldLines covers lines of the Python service whose product today's requests cannot add, and times that end in zeros.
func TestOldLines(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, "DATABASE_URL="+url))
		c := s.add(1)
		db, postgres := connect(t, url)
		price, second := "110", "1777627800000000"
		if postgres {
			price, second = "1.10", "'2026-05-01T09:30:00Z'"
		}
		for product := -3; product <= 0; product++ {
			insert := fmt.Sprintf("INSERT INTO cart_item (cart_id, product_id, name, price, quantity) VALUES (%d, %d, 'old', %s, 1)", c.ID, product, price)
			if _, err := db.ExecContext(t.Context(), insert); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("UPDATE cart SET created_at = %[1]s, updated_at = %[1]s", second)); err != nil {
			t.Fatal(err)
		}
		const want = "2026-05-01T09:30:00.000000Z"
		if got := s.get("/api/v1/cart/%d", c.ID).cart(http.StatusOK); got.CreatedAt != want || got.UpdatedAt != want {
			t.Errorf("over REST the times are %s and %s, want %s", got.CreatedAt, got.UpdatedAt, want)
		}
		if got := s.ok(s.rpc.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: c.ID})); got.GetCreatedAt() != want || got.GetUpdatedAt() != want {
			t.Errorf("over gRPC the times are %s and %s, want %s", got.GetCreatedAt(), got.GetUpdatedAt(), want)
		}

		s.post(item(0), "/api/v1/cart/%d/item", c.ID).faults("product_id")
		s.put(`{"quantity": 2}`, "/api/v1/cart/%d/item/-3/quantity", c.ID).cart(http.StatusOK)
		s.del("/api/v1/cart/%d/item/0", c.ID).cart(http.StatusOK)
		s.ok(s.rpc.UpdateQty(t.Context(), &cartv1.UpdateQtyRequest{CartId: c.ID, ProductId: -2, Quantity: 0}))
		s.ok(s.rpc.RemoveItem(t.Context(), &cartv1.RemoveItemRequest{CartId: c.ID, ProductId: -1}))
		if got := s.get("/api/v1/cart/%d", c.ID).cart(http.StatusOK); len(got.Items) != 2 || got.TotalAmount != "3.30" {
			t.Errorf("the cart is %+v, want the products 1 and -3", got)
		}
		s.del("/api/v1/cart/%d/item/-9223372036854775808", c.ID).problem(http.StatusNotFound)
		_, err := s.rpc.RemoveItem(t.Context(), &cartv1.RemoveItemRequest{CartId: c.ID})
		s.code(err, codes.NotFound)
	})
}

// TestLargeHeaders sends headers that are too large on a connection with another request, which is still served.
func TestLargeHeaders(t *testing.T) {
	t.Parallel()
	a, dir := newAuthority(t), t.TempDir()
	a.issue(dir)
	p := serve(t, tlsEnv(dir)...)
	for major, protocols := range map[int][]string{1: {"http/1.1"}, 2: {"h2"}} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			t.Parallel()
			transport := &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: a.pool, NextProtos: protocols}, ForceAttemptHTTP2: major == 2, MaxConnsPerHost: 1,
			}
			t.Cleanup(transport.CloseIdleConnections)
			do := func(method string, body io.Reader, size int, want int) {
				req, err := http.NewRequestWithContext(t.Context(), method, p.rest+upsert, body)
				if err != nil {
					t.Fatal(err)
				}
				req.Header.Set("X-Large", strings.Repeat("x", size))
				resp, err := transport.RoundTrip(req)
				if err != nil {
					t.Errorf("headers of %d bytes: %v", size, err)
					return
				}
				defer resp.Body.Close()
				content, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != want || resp.ProtoMajor != major || want >= 400 && resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("headers of %d bytes: status %d over HTTP/%d, want %d: %s %v", size, resp.StatusCode, resp.ProtoMajor, want, content, err)
				}
			}
			body, rest := io.Pipe()
			done := make(chan struct{})
			if major == 2 { // on which requests share a connection at a time
				go func() {
					defer close(done)
					do(http.MethodPost, body, 0, http.StatusCreated)
				}()
				say(t, rest, `{"company_id": 1,`)
			} else {
				close(done)
			}
			for _, size := range []int{33 << 10, 100 << 10} {
				do(http.MethodGet, http.NoBody, size, http.StatusRequestHeaderFieldsTooLarge)
			}
			do(http.MethodGet, http.NoBody, 30<<10, http.StatusMethodNotAllowed)
			if major == 2 {
				say(t, rest, ` "user_id": 1}`)
			}
			rest.Close()
			<-done
		})
	}
}
