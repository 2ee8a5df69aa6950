package rest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/cart"
)

// JSON values that every field refuses, and some that fields of one kind refuse.
var (
	neverRight = []string{`true`, `[]`, `{}`, `[1]`, `{"a":[[null]]}`}
	noText     = append([]string{`5`, `4.9`, `""`, `"\u0000"`, "\"\xff\"", `"` + strings.Repeat("x", 1000) + `"`}, neverRight...)
	noName     = append([]string{`null`, `"a\u0000b"`, `"a\ud83d"`, `"\udc00\ud83d"`, `"\ud83d\u0041"`, `"\\\ud83d"`, "\"a\xc3(b\"", `"` + strings.Repeat("é", 256) + `"`}, noText...)
	noCookie   = append([]string{`"a b"`, `"a;b"`, `"a,b"`, `"\""`, `"\\"`, `"é"`, `"a\tb"`, `"a\u007f"`, `"` + strings.Repeat("x", 256) + `"`}, noText...)
	noWhole    = append([]string{
		`1.5`, `0.001`, `1e-1`, `"1.5"`, `""`, `" 1"`, `"+1"`, `"01"`, `"1."`, `"0x1"`, `"1_0"`, `"٣"`, `"true"`, `"\u0031"`, `["1"]`,
		`9223372036854775808`, `-9223372036854775809`, `92233720368547758080e-1`, `1e19`, `1e400`, `1e1000000000`, `"1e1000000000"`,
		`1` + strings.Repeat("0", 500), `1.` + strings.Repeat("0", 39), `1` + strings.Repeat("0", 40) + `e-40`,
	}, neverRight...)
	noOptionalID = append([]string{`0`, `-1`, `-9223372036854775808`}, noWhole...)
	noID         = append([]string{`null`}, noOptionalID...)
	noQuantity   = append([]string{`1000001`, `9223372036854775807`}, noID...)
	noPrice      = append([]string{
		`null`, `"-1"`, `"+1"`, `"1e3"`, `"0.001"`, `"٣"`, `"NaN"`, `"Infinity"`, `" 1"`, `"1 "`, `".5"`, `"1."`, `"1.2.3"`,
		`"1,5"`, `"0x10"`, `"100000000"`, `"99999999.999"`, `"000000001"`, `"1\u0000"`, `"1\n"`, `4`, `-1`,
	}, noText...)
)

// bodies are a valid body for each operation with one, and values that its fields refuse.
var bodies = []struct {
	method, path string
	right        map[string]string
	wrong        map[string][]string
	optional     string
}{
	{
		"POST", "/api/v1/cart/upsert",
		map[string]string{"company_id": `7`, "user_id": `42`, "cookie": `"c"`},
		map[string][]string{"company_id": noID, "user_id": noOptionalID, "cookie": noCookie},
		"user_id cookie",
	},
	{
		"POST", "/api/v1/cart/add-item",
		map[string]string{"company_id": `7`, "user_id": `42`, "cookie": `"c"`, "product_id": `1`, "name": `"n"`, "price": `"1"`, "quantity": `1`},
		map[string][]string{
			"company_id": noID, "user_id": noOptionalID, "cookie": noCookie,
			"product_id": noID, "name": noName, "price": noPrice, "quantity": noQuantity,
			"if_present": noChoice, "attributes": noAttributes,
		},
		"user_id cookie if_present attributes",
	},
	{
		"POST", "/api/v1/cart/9/item",
		map[string]string{"product_id": `1`, "name": `"n"`, "price": `"1"`, "quantity": `1`},
		map[string][]string{
			"product_id": noID, "name": noName, "price": noPrice, "quantity": noQuantity,
			"if_present": noChoice, "attributes": noAttributes,
		},
		"if_present attributes",
	},
	{
		"PUT", "/api/v1/cart/9/item/1/quantity",
		map[string]string{"quantity": `1`},
		map[string][]string{"quantity": append([]string{`null`, `1000001`, `9223372036854775807`}, noWhole...)},
		"",
	},
	{
		"PUT", "/api/v1/cart/9/status",
		map[string]string{"status": `2`},
		map[string][]string{
			"status":       append([]string{`5`, `65537`, `4294967297`, `"LOCKED"`}, noID...),
			"lock_seconds": noLease, "reference": noReference, "if_active": append([]string{`"refuse"`, `"merge"`}, noChoice...),
		},
		"lock_seconds reference if_active",
	},
	{
		"PUT", "/api/v1/cart/9/status",
		map[string]string{"status": `1`, "if_active": `"merge"`},
		map[string][]string{"lock_seconds": append([]string{`10`}, noLease...), "reference": append([]string{`"p"`}, noReference...), "if_active": noChoice},
		"lock_seconds reference if_active",
	},
	{
		"POST", "/api/v1/cart/9/item/1/quantity",
		map[string]string{"by": `-1`},
		map[string][]string{"by": append([]string{`0`, `null`, `1000001`, `-1000001`, `9223372036854775807`}, noWhole...)},
		"",
	},
	{
		"POST", "/api/v1/cart/9/changes",
		map[string]string{"changes": `[{"op":"clear"},{"op":"put","product_id":1,"name":"n","price":"1","quantity":1,"if_present":"add","attributes":{}}]`, "attributes": `{"a":"b"}`},
		map[string][]string{"changes": noChanges, "attributes": noAttributes},
		"changes attributes",
	},
	{
		"POST", "/api/v1/cart/changes",
		map[string]string{"company_id": `7`, "user_id": `42`, "cookie": `"c"`, "changes": `[{"op":"put","product_id":1,"name":"n","price":"1","quantity":1}]`},
		map[string][]string{"company_id": noID, "user_id": noOptionalID, "cookie": noCookie, "changes": noChanges, "attributes": noAttributes},
		"user_id cookie attributes",
	},
	{
		"PUT", "/api/v1/carts/status",
		map[string]string{"status": `2`, "carts": `[{"id":1,"version":5},{"id":2}]`, "lock_seconds": `900`, "reference": `"pay_8f3"`},
		map[string][]string{
			"status": {`5`, `0`, `null`, `"LOCKED"`}, "carts": {`null`, `[]`, `5`, `{}`, `"1"`, manyCarts(cart.MaxCartsAsked + 1)},
			"lock_seconds": noLease, "reference": noReference, "if_active": append([]string{`"refuse"`, `"merge"`}, noChoice...),
		},
		"lock_seconds reference if_active",
	},
	{
		"POST", "/api/v1/carts/merge",
		map[string]string{"user_id": `42`, "cookie": `"c"`, "policy": `"sum"`, "company_id": `7`},
		map[string][]string{"user_id": noOptionalID, "cookie": noCookie, "policy": noChoice, "company_id": noOptionalID},
		"cookie policy company_id",
	},
	{
		"POST", "/api/v1/carts/by-ids",
		map[string]string{"ids": `[1]`},
		map[string][]string{"ids": {
			`null`, `5`, `"1"`, `{}`, `[0]`, `[-1]`, `[1,null]`, `[1.5]`, `["1.5"]`, `[[1]]`, `["1",null]`, `[9223372036854775808]`, `"[1]"`, manyIDs(cart.MaxIDs + 1),
		}},
		"",
	},
}

// Values that newer fields refuse.
var (
	noChoice     = []string{`null`, `5`, `""`, `"other"`, `[]`, `{}`}
	noLease      = []string{`null`, `0`, `9`, `-1`, `86401`, `1.5`, `"x"`, `[]`}
	noReference  = []string{`null`, `5`, `""`, `"\u0000"`, `"\ud800"`, `[]`, `"` + strings.Repeat("x", cart.MaxReference+1) + `"`}
	noChanges    = []string{`null`, `5`, `{}`, `"put"`, `[` + strings.Repeat(`{"op":"clear"},`, cart.MaxChanges) + `{"op":"clear"}]`}
	noAttributes = []string{
		`null`, `5`, `"a"`, `[]`, `{"a":1}`, `{"a":null}`, `{"a":{}}`, `{"":"b"}`, `{"a b":"c"}`, `{"A":"b"}`, `{"é":"b"}`,
		`{"a":"\u0000"}`, `{"a":"\ud800"}`, `{"` + strings.Repeat("a", cart.MaxAttributeName+1) + `":"b"}`,
		`{"a":"` + strings.Repeat("b", 2*cart.MaxCartAttributes) + `"}`,
		`{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":""}`,
	}
)

// manyCarts writes a list of n carts.
func manyCarts(n int) string {
	var carts []string
	for i := range n {
		carts = append(carts, fmt.Sprintf(`{"id":%d}`, i+1))
	}
	return "[" + strings.Join(carts, ",") + "]"
}

// manyIDs writes a list of n ids, each twice.
func manyIDs(n int) string {
	var ids []string
	for i := range n {
		ids = append(ids, fmt.Sprintf("%[1]d,%[1]d", i+1))
	}
	return "[" + strings.Join(ids, ",") + "]"
}

// object writes a JSON object with fields in alphabetical order.
func object(fields map[string]string) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", name, fields[name])
	}
	return "{" + b.String() + "}"
}

func TestWrongFields(t *testing.T) {
	for _, test := range bodies {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			carts := &fakeCarts{answer: stored(), merged: &cart.Merged{Basket: cart.BasketOf(nil)}}
			s := start(t, newHandler(carts, quiet()))
			if got := send(t, s, test.method, test.path, object(test.right), "Idempotency-Key", "k"); got.status/100 != 2 {
				t.Fatalf("the right body is answered with %d: %s", got.status, got.body)
			}
			for field, values := range test.wrong {
				for _, value := range values {
					body := maps.Clone(test.right)
					body[field] = value
					p := send(t, s, test.method, test.path, object(body), "Idempotency-Key", "k").problem(t, http.StatusUnprocessableEntity)
					if got := p.fields(t); got != field {
						t.Errorf("%.60s in %s: the fields at fault are %q", value, field, got)
					}
				}
				if body := maps.Clone(test.right); !strings.Contains(test.optional, field) {
					delete(body, field)
					p := send(t, s, test.method, test.path, object(body), "Idempotency-Key", "k").problem(t, http.StatusUnprocessableEntity)
					if got := p.fields(t); got != field {
						t.Errorf("without %s: the fields at fault are %q", field, got)
					}
				}
			}
			if asked := carts.asked(); len(asked) != 1 {
				t.Errorf("asked for %v", asked)
			}
		})
	}
}

// The answer names every invalid field, whatever is wrong with it.
func TestManyWrongFields(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, test := range []struct{ method, path, body, want string }{
		{"POST", "/api/v1/cart/upsert", `{}`, "company_id"},
		{"POST", "/api/v1/cart/upsert", `{"company_id":"7.5","user_id":0,"cookie":""}`, "company_id cookie user_id"},
		{"POST", "/api/v1/cart/upsert", `{"company_id":"7","user_id":0.0,"cookie":""}`, "cookie user_id"},
		{"POST", "/api/v1/cart/add-item", `{}`, "company_id name price product_id quantity"},
		{
			"POST", "/api/v1/cart/add-item",
			`{"company_id":1.5,"user_id":"x","cookie":9,"product_id":0,"name":7,"price":1,"quantity":9223372036854775808}`,
			"company_id cookie name price product_id quantity user_id",
		},
		{"POST", "/api/v1/cart/add-item", `{"company_id":7,"product_id":1,"name":"\u0000","price":"1.234","quantity":1}`, "name price"},
		{"POST", "/api/v1/cart/0/item", `{"product_id":null,"name":"n","price":4.9,"quantity":1e-3}`, "cart_id price product_id quantity"},
		{"POST", "/api/v1/cart/9/item", `{"product_id":0,"name":"\ud83d","price":"1","quantity":1}`, "name product_id"},
		{"POST", "/api/v1/cart/9/item", "{\"product_id\":1,\"name\":\"\xff\",\"price\":1,\"quantity\":1}", "name price"},
		{"POST", "/api/v1/cart/abc/item", itemJSON, "cart_id"},
		{"PUT", "/api/v1/cart/x/item/y/quantity", `{"quantity":"many"}`, "cart_id product_id quantity"},
		{"PUT", "/api/v1/cart/-9/status", `{"status":"LOCKED"}`, "cart_id status"},
		{"DELETE", "/api/v1/cart/0/item/1.0", "", "cart_id product_id"},
		{"GET", "/api/v1/cart/active", "", "company_id"},
		{"GET", "/api/v1/cart/active?company_id=x&user_id=y", "", "company_id user_id"},
		{"GET", "/api/v1/carts/by-user", "", "user_id"},
		{
			"GET", "/api/v1/carts/by-user?user_id=0&company_id=0&status=5&limit=201&offset=-1", "",
			"company_id limit offset status user_id",
		},
		{
			"GET", "/api/v1/carts/by-user?user_id=a&company_id=b&status=c&limit=d&offset=e", "",
			"company_id limit offset status user_id",
		},
	} {
		got := send(t, s, test.method, test.path, test.body).problem(t, http.StatusUnprocessableEntity).fields(t)
		if got != test.want {
			t.Errorf("%s %s %s: the fields at fault are %q, want %q", test.method, test.path, test.body, got, test.want)
		}
	}
}

func TestWrongParameters(t *testing.T) {
	carts := &fakeCarts{}
	s := start(t, newHandler(carts, quiet()))
	ids := []string{"0", "-1", "abc", "1.5", "1e19", "%221%22", "٣", "NaN", "null", "%00", "%ff", "9223372036854775808", strings.Repeat("9", 500)}
	for _, id := range ids {
		for _, test := range []struct{ method, path, want string }{
			{"GET", "/api/v1/cart/" + id, "cart_id"},
			{"DELETE", "/api/v1/cart/" + id + "/item/1", "cart_id"},
			{"DELETE", "/api/v1/cart/1/item/" + id, "product_id"},
			{"GET", "/api/v1/cart/active?company_id=" + id, "company_id"},
			{"GET", "/api/v1/cart/active?company_id=1&user_id=" + id, "user_id"},
			{"GET", "/api/v1/carts/by-user?user_id=" + id, "user_id"},
			{"GET", "/api/v1/carts/by-user?user_id=1&company_id=" + id, "company_id"},
			{"GET", "/api/v1/carts/by-user?user_id=1&status=" + id, "status"},
			{"GET", "/api/v1/carts/by-user?user_id=1&status_param=" + id, "status_param"},
			{"GET", "/api/v1/carts/by-user?user_id=1&limit=" + id, "limit"},
			{"GET", "/api/v1/carts/by-user?user_id=1&offset=-" + id, "offset"},
		} {
			if id == "0" && test.want == "offset" || (id == "0" || id == "-1") && test.want == "product_id" {
				continue // -0 is 0, and a product in a path may have any number
			}
			got := send(t, s, test.method, test.path, "").problem(t, http.StatusUnprocessableEntity).fields(t)
			if got != test.want {
				t.Errorf("%s %.80s: the fields at fault are %q, want %q", test.method, test.path, got, test.want)
			}
		}
	}
	for _, query := range []string{"", "company_id=", "company_id=%zz", "company_id=1&company_id=2", "company_id=%00"} {
		got := send(t, s, "GET", "/api/v1/cart/active?"+query, "").problem(t, http.StatusUnprocessableEntity).fields(t)
		if got != "company_id" {
			t.Errorf("query %q: the fields at fault are %q", query, got)
		}
	}
	if asked := carts.asked(); asked != nil {
		t.Errorf("asked for %v", asked)
	}
}

func TestBodyThatIsNotJSON(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, body := range []string{
		"", " ", "{", "}", "{]", "nope", "NaN", "'a'", `{"company_id":7`, `{"company_id":7}x`, `{"company_id":7}{}`, `{"company_id":7,}`,
		`{"company_id":NaN}`, `{"company_id":٣}`, `{"company_id":01}`, `{"company_id":+1}`, `{company_id:7}`, "\x00", "\xff",
		"\ufeff", "\ufeff\ufeff{}", " \ufeff{}", "\ufeff{\"company_id\":7", "{\"company_id\":7,\"cookie\":\"\x00\"}", "company_id=7", "<a/>", strings.Repeat("[", 60_000),
	} {
		p := send(t, s, "POST", "/api/v1/cart/upsert", body, "Content-Type", "application/json").problem(t, http.StatusBadRequest)
		if p.Detail != "The body is not JSON." {
			t.Errorf("%.40q: %+v", body, p)
		}
	}
}

func TestBodyThatIsNoObject(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, body := range []string{`null`, `[]`, `"company_id"`, `7`, `true`, `[{"company_id":7}]`} {
		p := send(t, s, "POST", "/api/v1/cart/upsert", body).problem(t, http.StatusUnprocessableEntity)
		if got := p.fields(t); got != "body" {
			t.Errorf("%s: the fields at fault are %q", body, got)
		}
	}
}

// Values just inside the limits are taken.
func TestLimits(t *testing.T) {
	carts := &fakeCarts{answer: stored()}
	s := start(t, newHandler(carts, quiet()))
	const maxID = "9223372036854775807"
	name, err := json.Marshal(strings.Repeat("😀", cart.MaxNameLength))
	if err != nil {
		t.Fatal(err)
	}
	requests := []struct{ method, path, body string }{
		{"GET", "/api/v1/cart/" + maxID, ""},
		{"GET", "/api/v1/carts/by-user?user_id=1&limit=200&offset=2147483647&status=4&company_id=" + maxID, ""},
		{"POST", "/api/v1/carts/by-ids", `{"ids":[` + maxID + strings.Repeat(","+maxID, cart.MaxIDs) + `]}`},
		{"POST", "/api/v1/carts/by-ids", `{"ids":` + manyIDs(cart.MaxIDs) + `}`},
		{"PUT", "/api/v1/cart/1/item/-9223372036854775808/quantity", `{"quantity":1}`},
		{"DELETE", "/api/v1/cart/1/item/0", ""},
		{"POST", "/api/v1/cart/" + maxID + "/item", `{"product_id":` + maxID + `,"name":` + string(name) + `,"price":"99999999.99","quantity":1000000}`},
		{"POST", "/api/v1/cart/1/item", `{"product_id":1,"name":" ","price":"0","quantity":1,"unknown":[{"deep":null}]}`},
		{"PUT", "/api/v1/cart/1/item/1/quantity", `{"quantity":-9223372036854775808}`},
		{"PUT", "/api/v1/cart/1/item/1/quantity", `{"quantity":1000000}`},
		{"PUT", "/api/v1/cart/1/status", `{"status":4}`},
		{"POST", "/api/v1/cart/upsert", `{"company_id":1,"cookie":"` + strings.Repeat("c", cart.MaxCookie) + `"}`},
		{"POST", "/api/v1/cart/upsert", "\n\t{\"company_id\":1}\r\n"},
	}
	for _, r := range requests {
		if got := send(t, s, r.method, r.path, r.body); got.status/100 != 2 {
			t.Errorf("%s %s: %d %s", r.method, r.path, got.status, got.body)
		}
	}
	if asked := carts.asked(); len(asked) != len(requests) {
		t.Errorf("asked %d times", len(asked))
	}
}
