package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// sink discards the answer, but keeps its status.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(status int)      { s.status = status }

// serve measures the handler alone, without sockets.
func serve(b *testing.B, method, path, body string) {
	user := int64(42)
	c := &cart.Cart{ID: 9, CompanyID: 7, UserID: &user, Status: cart.Active, Version: 3}
	for i := range 5 {
		c.Items = append(c.Items, cart.Item{ProductID: int64(1000 + i), Name: fmt.Sprintf("Product %d", i), Price: 19_99, Quantity: 2})
	}
	h := newHandler(&fakeCarts{answer: c}, quiet())
	b.ReportAllocs()
	for b.Loop() {
		r, err := http.NewRequest(method, path, strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		if body == "" {
			r.Body = http.NoBody
		} else {
			r.Header["Content-Type"] = jsonHeader
		}
		w := &sink{header: make(http.Header, 4)}
		h.ServeHTTP(w, r)
		if w.status/100 != 2 {
			b.Fatalf("answered with %d", w.status)
		}
	}
}

var jsonHeader = []string{"application/json"}

func BenchmarkGetCart(b *testing.B) { serve(b, "GET", "/api/v1/cart/9", "") }

func BenchmarkPutItem(b *testing.B) {
	serve(b, "POST", "/api/v1/cart/9/item", `{"product_id":1001,"name":"Green tea, 100 g","price":"4.90","quantity":2}`)
}
