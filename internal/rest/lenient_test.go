package rest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
)

// Clients in other languages write whole numbers in these forms.
func TestWholeNumbers(t *testing.T) {
	for text, want := range map[string]int64{
		`2`: 2, `2.0`: 2, `2.000`: 2, `2e0`: 2, `1e1`: 10, `1E+1`: 10, `1.5e1`: 15, `10e-1`: 1, `1200.0e-2`: 12, `0.0002e4`: 2, `1e6`: 1_000_000,
		`"2"`: 2, `"2.0"`: 2, `"1e1"`: 10, `-0`: 0, `-0.0`: 0, `0e99`: 0, `"-3"`: -3, `-2.50e1`: -25,
		`"9223372036854775807.0"`:      0, // beyond what a quantity may be
		`1.` + strings.Repeat("0", 38): 1, `"1.` + strings.Repeat("0", 38) + `"`: 1,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			carts := &fakeCarts{answer: stored()}
			s := start(t, newHandler(carts, quiet()))
			got := send(t, s, "PUT", "/api/v1/cart/9/item/1/quantity", `{"unknown":[1.50,"x"],"quantity":`+text+`}`)
			if strings.Contains(text, "9223372036854775807") {
				got.problem(t, http.StatusUnprocessableEntity)
				return
			}
			if got.status != http.StatusOK {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if diff := cmp.Diff([]any{cart.SetQuantity{CartID: 9, ProductID: 1, Quantity: want}}, carts.asked()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// Leniency covers every whole-number field and parameter, and no other.
func TestLenientRequests(t *testing.T) {
	line := cart.Item{ProductID: 1 << 53, Name: "2.0", Price: 1_00, Quantity: 2}
	const lineJSON = `"product_id":"9007199254740992","name":"2.0","price":"1.00","quantity":2.0`
	for _, test := range []struct {
		method, path, body string
		want               any
	}{
		{"POST", "/api/v1/cart/upsert", `{"company_id":"7","user_id":42.0}`, cart.Upsert{CompanyID: 7, Owner: cart.User(42)}},
		{"POST", "/api/v1/cart/upsert", `{"company_id":7e0,"user_id":null,"cookie":"1e1"}`, cart.Upsert{CompanyID: 7, Owner: cart.Guest("1e1")}},
		{"POST", "/api/v1/cart/upsert", "\ufeff{\"company_id\":7,\"cookie\":\"c\"}", cart.Upsert{CompanyID: 7, Owner: cart.Guest("c")}},
		{"POST", "/api/v1/cart/upsert", "\ufeff\n{\"company_id\":\"7\",\"cookie\":\"c\"} ", cart.Upsert{CompanyID: 7, Owner: cart.Guest("c")}},
		{"POST", "/api/v1/cart/add-item", `{"company_id":7.0,"cookie":"c",` + lineJSON + `}`, cart.AddItem{CompanyID: 7, Owner: cart.Guest("c"), Item: line}},
		{"POST", "/api/v1/cart/9/item", `{` + lineJSON + `,"quantit\u0079":"2"}`, cart.PutItem{CartID: 9, Item: line}},
		{"PUT", "/api/v1/cart/9/status", `{"status":"2.0"}`, cart.SetStatus{CartID: 9, Status: cart.Locked}},
		{"POST", "/api/v1/carts/by-ids", `{"ids":[1,"2",3.0,"4e0"]}`, []int64{1, 2, 3, 4}},
		{
			"GET", "/api/v1/carts/by-user?user_id=42.0&company_id=7e0&status=2.0&limit=1e1&offset=-0.0", "",
			cart.Listing{UserID: 42, CompanyID: 7, Status: cart.Locked, Limit: 10},
		},
		{"GET", "/api/v1/carts/by-user?user_id=42&status_param=2", "", cart.Listing{UserID: 42, Status: cart.Locked, Limit: 50}},
		{"GET", "/api/v1/carts/by-user?user_id=42&status_param=2.0&status=2", "", cart.Listing{UserID: 42, Status: cart.Locked, Limit: 50}},
		{"GET", "/api/v1/cart/active?company_id=7.0&user_id=4.2e1&other=1.0", "", cart.ActiveOf(7, cart.User(42))},
	} {
		t.Run(fmt.Sprintf("%s %s %s", test.method, test.path, test.body), func(t *testing.T) {
			t.Parallel()
			carts := &fakeCarts{answer: stored()}
			got := send(t, start(t, newHandler(carts, quiet())), test.method, test.path, test.body)
			if got.status/100 != 2 {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if diff := cmp.Diff([]any{test.want}, carts.asked()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// A body that repeats a field is refused if the first value is invalid, even if the second is valid, in any form.
func TestRepeatedFields(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for _, body := range []string{`{"status":"x","status":2}`, `{"status":"x","status":"2"}`} {
		send(t, s, "PUT", "/api/v1/cart/9/status", body).problem(t, http.StatusUnprocessableEntity)
	}
	for _, query := range []string{"company_id=1.0&company_id=1.0", "company_id=1&company_id=2.0"} {
		send(t, s, "GET", "/api/v1/cart/active?user_id=1&"+query, "").problem(t, http.StatusUnprocessableEntity)
	}
}

func TestTwoNamesOfStatus(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for query, want := range map[string]string{
		"status=1&status_param=2": "status_param",
		"status=9&status_param=2": "status status_param",
		"status=2&status_param=9": "status_param",
		"status=9&status_param=9": "status status_param",
		"status_param=x":          "status_param",
		"status_param=0":          "status_param",
		"limit=0&status_param=5":  "limit status_param",
	} {
		got := send(t, s, "GET", "/api/v1/carts/by-user?user_id=1&"+query, "").problem(t, http.StatusUnprocessableEntity).fields(t)
		if got != want {
			t.Errorf("%s: the fields at fault are %q, want %q", query, got, want)
		}
	}
}

// U+FFFD is valid in a name, in any form; half of a surrogate pair, which would become U+FFFD, is not.
func TestReplacementCharacter(t *testing.T) {
	carts := &fakeCarts{answer: stored()}
	s := start(t, newHandler(carts, quiet()))
	for _, name := range []string{`a\ufffd`, "a\ufffd", `\ud83d\ude00\uFFFD`, `\\ud83d\ufffd`} {
		body := strings.Replace(itemJSON, "Green tea", name, 1)
		for _, form := range []string{body, strings.Replace(body, `"quantity":2`, `"quantity":"2"`, 1)} {
			if got := send(t, s, "POST", "/api/v1/cart/9/item", form); got.status != http.StatusOK {
				t.Errorf("%s: status %d: %s", form, got.status, got.body)
			}
		}
		half := strings.Replace(body, name, name+`\udc00`, 1)
		for _, form := range []string{half, strings.Replace(half, `"quantity":2`, `"quantity":"2"`, 1)} {
			if got := send(t, s, "POST", "/api/v1/cart/9/item", form).problem(t, http.StatusUnprocessableEntity).fields(t); got != "name" {
				t.Errorf("%s: the fields at fault are %q", form, got)
			}
		}
	}
}
