package rest_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest"
)

// Valid bodies.
const (
	itemJSON = `{"product_id":1001,"name":"Green tea","price":"4.9","quantity":2}`
	addJSON  = `{"company_id":7,"user_id":42,"product_id":1001,"name":"Green tea","price":"4.9","quantity":2}`
)

var tea = cart.Item{ProductID: 1001, Name: "Green tea", Price: 4_90, Quantity: 2}

// operations are all operations on carts: a request, what it asks of the service, and the errors that it can
// get besides those that every operation can.
var operations = []struct {
	name, method, path, body string
	status                   int
	asks                     any
	fails                    []cart.Code
}{
	{
		name: "getCart", method: "GET", path: "/api/v1/cart/9", status: 200,
		asks: cart.ByID(9), fails: []cart.Code{cart.CodeNotFound},
	},
	{
		name: "getActiveCart", method: "GET", path: "/api/v1/cart/active?company_id=7&user_id=42", status: 200,
		asks: cart.ActiveOf(7, cart.User(42)), fails: []cart.Code{cart.CodeNotFound, cart.CodeForbidden},
	},
	{
		name: "listCartsByUser", method: "GET", path: "/api/v1/carts/by-user?user_id=42&company_id=7&status=2&limit=3&offset=4", status: 200,
		asks: cart.Listing{UserID: 42, CompanyID: 7, Status: cart.Locked, Limit: 3, Offset: 4}, fails: []cart.Code{cart.CodeForbidden},
	},
	{
		name: "listCartsByUser with defaults", method: "GET", path: "/api/v1/carts/by-user?user_id=42", status: 200,
		asks: cart.Listing{UserID: 42, Limit: 50},
	},
	{
		name: "listCartsByIDs", method: "POST", path: "/api/v1/carts/by-ids", body: `{"ids":[9,3,27]}`, status: 200,
		asks: []int64{9, 3, 27},
	},
	{
		name: "upsertCart", method: "POST", path: "/api/v1/cart/upsert", body: `{"company_id":7,"user_id":42}`, status: 201,
		asks: cart.Upsert{CompanyID: 7, Owner: cart.User(42)}, fails: []cart.Code{cart.CodeConflict, cart.CodeForbidden},
	},
	{
		name: "addItem", method: "POST", path: "/api/v1/cart/add-item", body: addJSON, status: 201,
		asks:  cart.AddItem{CompanyID: 7, Owner: cart.User(42), Item: tea},
		fails: []cart.Code{cart.CodeNotActive, cart.CodeFull, cart.CodeConflict, cart.CodeForbidden},
	},
	{
		name: "putItem", method: "POST", path: "/api/v1/cart/9/item", body: itemJSON, status: 200,
		asks:  cart.PutItem{CartID: 9, Item: tea},
		fails: []cart.Code{cart.CodeNotFound, cart.CodeNotActive, cart.CodeFull, cart.CodeConflict},
	},
	{
		name: "setQuantity", method: "PUT", path: "/api/v1/cart/9/item/1001/quantity", body: `{"quantity":-5}`, status: 200,
		asks:  cart.SetQuantity{CartID: 9, ProductID: 1001, Quantity: -5},
		fails: []cart.Code{cart.CodeNotFound, cart.CodeNotActive, cart.CodeConflict},
	},
	{
		name: "removeItem", method: "DELETE", path: "/api/v1/cart/9/item/1001", status: 200,
		asks:  cart.RemoveItem{CartID: 9, ProductID: 1001},
		fails: []cart.Code{cart.CodeNotFound, cart.CodeNotActive, cart.CodeConflict},
	},
	{
		name: "setStatus", method: "PUT", path: "/api/v1/cart/9/status", body: `{"status":2}`, status: 200,
		asks:  cart.SetStatus{CartID: 9, Status: cart.Locked},
		fails: []cart.Code{cart.CodeNotFound, cart.CodeNotAllowed, cart.CodeUnpriced, cart.CodeConflict},
	},
}

const storedJSON = `{"id":9,"company_id":7,"user_id":42,"cookie":null,"status":1,` +
	`"created_at":"2026-05-01T09:30:00.123456Z","updated_at":"2026-05-01T09:31:07.000000Z","version":3,` +
	`"items":[{"product_id":1001,"name":"Green tea","price":"4.90","quantity":2},` +
	`{"product_id":7,"name":"\"<é>\"","price":"99999999.99","quantity":1000000}],` +
	`"items_count":2,"total_amount":"99999999990009.80"}`

// stored is the cart that storedJSON shows.
func stored() *cart.Cart {
	user := int64(42)
	return &cart.Cart{
		ID: 9, CompanyID: 7, UserID: &user, Status: cart.Active, Version: 3,
		CreatedAt: time.Date(2026, 5, 1, 11, 30, 0, 123456000, time.FixedZone("", 2*60*60)),
		UpdatedAt: time.Date(2026, 5, 1, 9, 31, 7, 0, time.UTC),
		Items:     []cart.Item{tea, {ProductID: 7, Name: `"<é>"`, Price: cart.MaxPrice, Quantity: cart.MaxQuantity}},
	}
}

func TestOperations(t *testing.T) {
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			carts := &fakeCarts{answer: stored()}
			got := send(t, start(t, newHandler(carts, quiet())), op.method, op.path, op.body)
			want := storedJSON
			if strings.Contains(op.path, "/carts/") {
				want = "[" + want + "]"
			}
			if got.status != op.status || got.body != want {
				t.Errorf("status %d, want %d\ngot  %s\nwant %s", got.status, op.status, got.body, want)
			}
			if got := got.header.Get("Content-Type"); got != "application/json; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if got := got.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if diff := cmp.Diff([]any{op.asks}, carts.asked()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	status := map[cart.Code]int{
		cart.CodeInvalid: 422, cart.CodeNotFound: 404, cart.CodeNotAllowed: 400, cart.CodeNotActive: 409,
		cart.CodeFull: 409, cart.CodeUnpriced: 409, cart.CodeConflict: 409,
		cart.CodeOverloaded: 503, cart.CodeUnavailable: 503, cart.CodeOutcomeUnknown: 503,
		cart.CodeUnauthenticated: 401, cart.CodeForbidden: 403,
	}
	everywhere := []cart.Code{
		cart.CodeInvalid, cart.CodeOverloaded, cart.CodeUnavailable, cart.CodeOutcomeUnknown, cart.CodeUnauthenticated,
	}
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			for _, code := range append(everywhere[:len(everywhere):len(everywhere)], op.fails...) {
				failure := &cart.Error{Code: code, Detail: "For the caller.", Cause: errors.New("secret")}
				s := start(t, newHandler(&fakeCarts{err: failure}, quiet()))
				p := send(t, s, op.method, op.path, op.body).problem(t, status[code])
				if p.Detail != "For the caller." || p.ID != "" {
					t.Errorf("code %d: %+v", code, p)
				}
			}
		})
	}
}

// Carts of the Python service may have values that today's rules refuse; they are shown as they are.
func TestOldCarts(t *testing.T) {
	cookie := ""
	for name, test := range map[string]struct {
		cart *cart.Cart
		want string
	}{
		"nobody's, of no known status, for a negative price": {
			&cart.Cart{ID: 1, CompanyID: -3, Status: 99, Version: 1, Items: []cart.Item{{ProductID: 0, Price: -1, Quantity: 3_000_000}}},
			`{"id":1,"company_id":-3,"user_id":null,"cookie":null,"status":99,` +
				`"created_at":"0001-01-01T00:00:00.000000Z","updated_at":"0001-01-01T00:00:00.000000Z","version":1,` +
				`"items":[{"product_id":0,"name":"","price":"-0.01","quantity":3000000}],"items_count":1,"total_amount":"-30000.00"}`,
		},
		"with an empty cookie and no lines": {
			&cart.Cart{ID: 1, Cookie: &cookie, Status: cart.Active, Version: 1},
			`{"id":1,"company_id":0,"user_id":null,"cookie":"","status":1,` +
				`"created_at":"0001-01-01T00:00:00.000000Z","updated_at":"0001-01-01T00:00:00.000000Z","version":1,` +
				`"items":[],"items_count":0,"total_amount":"0.00"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, newHandler(&fakeCarts{answer: test.cart}, quiet()))
			if got := send(t, s, "GET", "/api/v1/cart/1", ""); got.status != 200 || got.body != test.want {
				t.Errorf("status %d\ngot  %s\nwant %s", got.status, got.body, test.want)
			}
		})
	}
}

func TestLongCart(t *testing.T) {
	c := &cart.Cart{ID: 1, Status: cart.Active, Version: 1}
	for i := range 3 * cart.MaxLines {
		c.Items = append(c.Items, cart.Item{ProductID: int64(i + 1), Name: "x", Price: -cart.MaxPrice + cart.Money(i), Quantity: 1})
	}
	got := send(t, start(t, newHandler(&fakeCarts{answer: c}, quiet())), "GET", "/api/v1/cart/1", "")
	for _, item := range c.Items {
		if !strings.Contains(got.body, `"price":"`+item.Price.String()+`"`) {
			t.Fatalf("price %s of product %d is not in the answer", item.Price, item.ProductID)
		}
	}
}

func TestEmptyLists(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, got := range []answer{
		send(t, s, "POST", "/api/v1/carts/by-ids", `{"ids":[]}`),
		send(t, s, "GET", "/api/v1/carts/by-user?user_id=1", ""),
	} {
		if got.status != http.StatusOK || got.body != "[]" {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	}
}

func TestService(t *testing.T) {
	carts := &fakeCarts{}
	s := start(t, newHandler(carts, quiet()))
	for path, want := range map[string]string{
		"/":               `{"service":"sellio-cart","version":"1.2.3"}`,
		"/healthz":        `{"status":"ok"}`,
		"/api/v1/healthz": `{"status":"ok"}`,
		"/readyz":         `{"status":"ready"}`,
	} {
		if got := send(t, s, "GET", path, ""); got.status != http.StatusOK || got.body != want {
			t.Errorf("%s: status %d: %s", path, got.status, got.body)
		}
	}
	if asked := carts.asked(); asked != nil {
		t.Errorf("asked for %v", asked)
	}
}

func TestNotReady(t *testing.T) {
	h := rest.New(&fakeCarts{}, rest.Options{
		Logger: quiet(), RequestTimeout: time.Minute, Ready: func() error { return cart.Unavailable(errors.New("private")) },
	})
	got := send(t, start(t, h), "GET", "/readyz", "")
	got.problem(t, http.StatusServiceUnavailable)
	if strings.Contains(got.body, "private") {
		t.Errorf("shows the cause: %s", got.body)
	}
}
