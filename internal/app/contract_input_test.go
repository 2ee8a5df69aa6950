package app

import (
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// TestInput sends requests that are wrong in one way each. Each is refused with the status that the
// contract has for it, the answer names the fields at fault, and the database stays as it is.
func TestInput(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, "DATABASE_URL="+url))
		w := wrong{shop: s, active: s.add(1, 2).ID}
		w.locked = s.move(s.in(t).add(1).ID, 2).cart(http.StatusOK).ID
		db, _ := connect(t, url)
		before := dump(t, db)
		for name, test := range map[string]func(wrong){
			"fields of bodies":        wrong.fields,
			"several fields":          wrong.severalFields,
			"bodies that do not read": wrong.bodies,
			"bodies that are large":   wrong.large,
			"paths and queries":       wrong.parameters,
			"over gRPC":               wrong.messages,
			"gRPC wire format":        wrong.wire,
			"what the rules forbid":   wrong.rules,
		} {
			t.Run(name, func(t *testing.T) { test(wrong{s.in(t), w.active, w.locked}) })
		}
		s.same(dump(t, db), before)
	})
}

// wrong sends wrong requests to a service with two carts: an ACTIVE one with the products 1 and 2, and a
// LOCKED one with product 1.
type wrong struct {
	*shop
	active, locked int64
}

// Values that fields do not take, as JSON.
var (
	neverRight = []string{`true`, `[]`, `{}`, `[1]`, `{"a": [[null]]}`}
	noText     = slices.Concat(neverRight, []string{
		`5`, `4.9`, `""`, `"\u0000"`, "\"\xff\"", "\"a\xc3(\"", `"` + strings.Repeat("x", 60_000) + `"`,
	})
	noWhole = slices.Concat(neverRight, []string{
		`"1.5"`, `""`, `"٣"`, `1.5`, `1e-1`, `1e400`, `"1e1000000000"`, `9223372036854775808`, `-9223372036854775809`, strings.Repeat("9", 400),
	})
	noOptionalID = slices.Concat(noWhole, []string{`0`, `-1`, `-9223372036854775808`})
	noID         = slices.Concat(noOptionalID, []string{`null`})
	noQuantity   = slices.Concat(noID, []string{`1000001`, `2147483648`, `9223372036854775807`})
	noName       = slices.Concat(noText, []string{`null`, `"a\u0000b"`, `"a\ud83d"`, `"` + strings.Repeat("é", 256) + `"`})
	noCookie     = slices.Concat(noText, []string{
		`" "`, `"a b"`, `"a;b"`, `"a,b"`, `"\""`, `"\\"`, `"é"`, `"a\n"`, `"a\u007f"`, `"` + strings.Repeat("x", 256) + `"`,
	})
	noPrice = slices.Concat(noText, []string{
		`null`, `-1`, `"-1"`, `"-0"`, `"+1"`, `"1e3"`, `"0.001"`, `"1.999"`, `"٣"`, `"１"`, `"NaN"`, `"nan"`, `"Infinity"`, `"-inf"`,
		`" "`, `" 1"`, `"1 "`, `"1\n"`, `"1\u0000"`, `".5"`, `"1."`, `"."`, `"1,5"`, `"1_000"`, `"0x10"`, `"1.2.3"`, `"ten"`,
		`"100000000"`, `"100000000.00"`, `"99999999.999"`, `"9223372036854775808"`,
	})
	noStatus = slices.Concat(noID, []string{`5`, `99`, `65537`, `4294967297`, `"ACTIVE"`})
)

// form is an operation with a body: a valid one, and values that its fields do not take.
type form struct {
	method, path string
	right        map[string]string
	wrong        map[string][]string
	optional     []string
}

func (w wrong) forms() []form {
	const text, number = `"x"`, `1`
	line := map[string]string{"product_id": number, "name": text, "price": `"1.50"`, "quantity": number}
	owner := map[string]string{"company_id": number, "user_id": `7`, "cookie": text}
	add := maps.Clone(line)
	maps.Copy(add, owner)
	noLine := map[string][]string{"product_id": noID, "name": noName, "price": noPrice, "quantity": noQuantity}
	noOwner := map[string][]string{"company_id": noID, "user_id": noOptionalID, "cookie": noCookie}
	noAdd := maps.Clone(noLine)
	maps.Copy(noAdd, noOwner)
	optional := []string{"user_id", "cookie"}
	cart := fmt.Sprintf("/api/v1/cart/%d", w.active)
	return []form{
		{"POST", "/api/v1/cart/upsert", owner, noOwner, optional},
		{"POST", "/api/v1/cart/add-item", add, noAdd, optional},
		{"POST", cart + "/item", line, noLine, nil},
		{
			"PUT", cart + "/item/1/quantity", map[string]string{"quantity": number},
			map[string][]string{"quantity": slices.Concat(noWhole, []string{`null`, `1000001`, `2147483648`, `9223372036854775807`})}, nil,
		},
		{"PUT", cart + "/status", map[string]string{"status": `2`}, map[string][]string{"status": noStatus}, nil},
		{
			"POST", "/api/v1/carts/by-ids", map[string]string{"ids": `[1]`},
			map[string][]string{"ids": {
				`null`, `1`, `"1"`, `{}`, `true`, `[0]`, `[-1]`, `[1, null]`, `[1.5]`, `["x"]`, `[[1]]`, `[9223372036854775808]`, manyIDs(1001),
			}}, nil,
		},
	}
}

// manyIDs writes a list of n ids, each of them twice.
func manyIDs(n int) string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%[1]d, %[1]d", i+1)
	}
	return "[" + strings.Join(ids, ", ") + "]"
}

// object writes a JSON object.
func object(fields map[string]string) string {
	var members []string
	for name, value := range fields {
		members = append(members, fmt.Sprintf("%q: %s", name, value))
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (w wrong) fields() {
	for _, f := range w.forms() {
		for field, values := range f.wrong {
			body := maps.Clone(f.right)
			for _, value := range values {
				body[field] = value
				w.send(f.method, f.path, object(body)).faults(field)
			}
			if !slices.Contains(f.optional, field) {
				delete(body, field)
				w.send(f.method, f.path, object(body)).faults(field)
			}
		}
	}
}

func (w wrong) severalFields() {
	cart := fmt.Sprintf("/api/v1/cart/%d", w.active)
	for _, r := range []struct {
		method, path, body string
		fields             []string
	}{
		{"POST", "/api/v1/cart/upsert", `{}`, []string{"company_id"}},
		{"POST", "/api/v1/cart/upsert", `{"user_id": 0, "cookie": ""}`, []string{"company_id", "cookie", "user_id"}},
		{"POST", "/api/v1/cart/add-item", `{"unknown": 1}`, []string{"company_id", "name", "price", "product_id", "quantity"}},
		{
			"POST", "/api/v1/cart/add-item", `{"company_id": -1, "user_id": "x", "cookie": 9, "product_id": 0, "name": 7, "price": 1, "quantity": 1e9}`,
			[]string{"company_id", "cookie", "name", "price", "product_id", "quantity", "user_id"},
		},
		{"POST", cart + "/item", `{"product_id": 1, "name": "", "price": "NaN"}`, []string{"name", "price", "quantity"}},
		{"POST", "/api/v1/cart/0/item", `{"product_id": null, "name": "x", "price": "1", "quantity": 1}`, []string{"cart_id", "product_id"}},
		{"PUT", "/api/v1/cart/x/item/y/quantity", `{"quantity": "many"}`, []string{"cart_id", "product_id", "quantity"}},
		{"PUT", "/api/v1/cart/-9/status", `{"status": "LOCKED"}`, []string{"cart_id", "status"}},
		{"DELETE", "/api/v1/cart/0/item/1.0", "", []string{"cart_id", "product_id"}},
		{"GET", "/api/v1/cart/active?user_id=x", "", []string{"company_id", "user_id"}},
		{
			"GET", "/api/v1/carts/by-user?user_id=a&company_id=0&status=5&limit=201&offset=-1", "",
			[]string{"company_id", "limit", "offset", "status", "user_id"},
		},
	} {
		w.send(r.method, r.path, r.body).faults(r.fields...)
	}
}

func (w wrong) bodies() {
	for _, f := range w.forms() {
		for _, body := range []string{
			"{", "}", "nope", `'a'`, `{"company_id": 1`, object(f.right) + "x", object(f.right) + "{}", `{"quantity": NaN}`, `{"quantity": ٣}`,
			`{"quantity": 01}`, `{"quantity": +1}`, `{quantity: 1}`, `{"quantity": 1,}`, "\x00", "\xff\xfe", "<a/>", "quantity=1",
			"{\"name\": \"\x00\"}", strings.Repeat("[", 60_000),
		} {
			w.send(f.method, f.path, body).problem(http.StatusBadRequest)
		}
		w.send(f.method, f.path, "", "Content-Type", "application/json").problem(http.StatusBadRequest)
		for _, body := range []string{`null`, `[]`, `"x"`, `7`, `true`, "[" + object(f.right) + "]"} {
			w.send(f.method, f.path, body).faults("body")
		}
		for _, kind := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"} {
			w.send(f.method, f.path, object(f.right), "Content-Type", kind).problem(http.StatusUnsupportedMediaType)
		}
	}
}

func (w wrong) large() {
	huge := strings.Repeat("x", 10<<20)
	for _, f := range w.forms() {
		body := maps.Clone(f.right)
		body["huge"] = `"` + huge + `"`
		w.send(f.method, f.path, object(body)).problem(http.StatusRequestEntityTooLarge)
	}
	// A body that does not say how long it is.
	req, err := http.NewRequestWithContext(w.Context(), http.MethodPost, w.rest+"/api/v1/cart/upsert",
		io.MultiReader(strings.NewReader(`{"company_id": 1, "user_id": 7, "huge": "`), strings.NewReader(huge), strings.NewReader(`"}`)))
	if err != nil {
		w.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		w.Errorf("a long body without a length: status %d", resp.StatusCode)
	}
}

func (w wrong) parameters() {
	cart := fmt.Sprintf("/api/v1/cart/%d", w.active)
	ids := []string{
		"0", "-1", "abc", "1.5", "1e19", "--1", "0x1", "%20", "%D9%A3", "NaN", "null", "%00", "%ff", "1%2f2", "9223372036854775808",
		strings.Repeat("9", 500),
	}
	for _, id := range ids {
		for _, r := range []struct{ method, path, body, field string }{
			{"GET", "/api/v1/cart/" + id, "", "cart_id"},
			{"POST", "/api/v1/cart/" + id + "/item", item(1), "cart_id"},
			{"PUT", "/api/v1/cart/" + id + "/status", `{"status": 2}`, "cart_id"},
			{"PUT", "/api/v1/cart/" + id + "/item/1/quantity", `{"quantity": 1}`, "cart_id"},
			{"PUT", cart + "/item/" + id + "/quantity", `{"quantity": 1}`, "product_id"},
			{"DELETE", "/api/v1/cart/" + id + "/item/1", "", "cart_id"},
			{"DELETE", cart + "/item/" + id, "", "product_id"},
			{"GET", "/api/v1/cart/active?user_id=1&company_id=" + id, "", "company_id"},
			{"GET", "/api/v1/cart/active?company_id=1&user_id=" + id, "", "user_id"},
			{"GET", "/api/v1/carts/by-user?user_id=" + id, "", "user_id"},
			{"GET", "/api/v1/carts/by-user?user_id=1&company_id=" + id, "", "company_id"},
			{"GET", "/api/v1/carts/by-user?user_id=1&status=" + id, "", "status"},
			{"GET", "/api/v1/carts/by-user?user_id=1&limit=" + id, "", "limit"},
		} {
			if r.field == "product_id" && (id == "0" || id == "-1") {
				continue // lines of old carts may have any number
			}
			w.send(r.method, r.path, r.body).faults(r.field)
		}
	}
	for path, field := range map[string]string{
		"/api/v1/cart/active":                                   "company_id",
		"/api/v1/cart/active?company_id=":                       "company_id",
		"/api/v1/cart/active?company_id=%zz":                    "company_id",
		"/api/v1/carts/by-user":                                 "user_id",
		"/api/v1/carts/by-user?company_id=1":                    "user_id",
		"/api/v1/carts/by-user?user_id=1&status=5":              "status",
		"/api/v1/carts/by-user?user_id=1&status=ACTIVE":         "status",
		"/api/v1/carts/by-user?user_id=1&limit=201":             "limit",
		"/api/v1/carts/by-user?user_id=1&offset=-1":             "offset",
		"/api/v1/carts/by-user?user_id=1&offset=x":              "offset",
		"/api/v1/carts/by-user?user_id=1&offset=99999999999999": "offset",
	} {
		w.get("%s", path).faults(field)
	}
}

// rules are requests that are well formed and still refused.
func (w wrong) rules() {
	const missing = int64(math.MaxInt64)
	w.post(item(1), "/api/v1/cart/%d/item", missing).problem(http.StatusNotFound)
	w.put(`{"quantity": 1}`, "/api/v1/cart/%d/item/3/quantity", w.active).problem(http.StatusNotFound)
	w.del("/api/v1/cart/%d/item/3", w.active).problem(http.StatusNotFound)
	w.move(missing, 2).problem(http.StatusNotFound)
	w.post(item(2), "/api/v1/cart/%d/item", w.locked).problem(http.StatusConflict)
	w.put(`{"quantity": 0}`, "/api/v1/cart/%d/item/1/quantity", w.locked).problem(http.StatusConflict)
	w.del("/api/v1/cart/%d/item/1", w.locked).problem(http.StatusConflict)
	w.move(w.active, 1).cart(http.StatusOK) // and changes nothing
	for code, requests := range map[codes.Code][]proto.Message{
		codes.NotFound: {
			&cartv1.GetCartRequest{CartId: missing},
			&cartv1.GetActiveCartRequest{CompanyId: 1, UserId: w.user},
			&cartv1.UpsertItemRequest{CartId: missing, ProductId: 1, Name: "x", Price: "1", Quantity: 1},
			&cartv1.UpdateQtyRequest{CartId: missing, ProductId: 1, Quantity: 1},
			&cartv1.UpdateQtyRequest{CartId: w.active, ProductId: 3, Quantity: 1},
			&cartv1.UpdateQtyRequest{CartId: w.active, ProductId: 3, Quantity: 0},
			&cartv1.RemoveItemRequest{CartId: missing, ProductId: 1},
			&cartv1.RemoveItemRequest{CartId: w.active, ProductId: 3},
			&cartv1.ChangeStatusRequest{CartId: missing, Status: cartv1.CartStatus_LOCKED},
		},
		codes.FailedPrecondition: {
			&cartv1.UpsertItemRequest{CartId: w.locked, ProductId: 2, Name: "x", Price: "1", Quantity: 1},
			&cartv1.UpdateQtyRequest{CartId: w.locked, ProductId: 1, Quantity: 5},
			&cartv1.UpdateQtyRequest{CartId: w.locked, ProductId: 1, Quantity: 0},
			&cartv1.RemoveItemRequest{CartId: w.locked, ProductId: 1},
		},
	} {
		for _, req := range requests {
			w.code(w.invoke(req), code)
		}
	}
}

// messages sets fields of right messages to wrong values.
func (w wrong) messages() {
	var (
		ids      = []any{int64(0), int64(-1), int64(math.MinInt64)}
		optional = ids[1:] // 0 means none
		cookies  = []any{"a b", "a;b", "a,b", `"`, `\`, "é", "a\x00", "a\n", strings.Repeat("x", 256), strings.Repeat("x", 60_000)}
		line     = map[string][]any{
			"product_id": ids,
			"name":       {"", "a\x00b", strings.Repeat("é", 256), strings.Repeat("x", 60_000)},
			"price": {
				"", "-1", "+1", "1e3", "0.001", "٣", "NaN", "Infinity", " 1", "1 ", ".5", "1.", "1,5", "0x10", "1.2.3",
				"100000000", "99999999.999", "1\x00", strings.Repeat("9", 60_000),
			},
			"quantity": {int32(0), int32(-1), int32(1_000_001), int32(math.MaxInt32), int32(math.MinInt32)},
		}
		owner    = map[string][]any{"company_id": ids, "user_id": optional, "cookie": cookies}
		statuses = []any{cartv1.CartStatus(0), cartv1.CartStatus(5), cartv1.CartStatus(-1), cartv1.CartStatus(65537)}
		toCart   = map[string][]any{"cart_id": ids}
	)
	for _, r := range []struct {
		right proto.Message
		wrong []map[string][]any
	}{
		{&cartv1.UpsertCartRequest{CompanyId: 1, UserId: w.user, Cookie: "x"}, []map[string][]any{owner}},
		{&cartv1.GetActiveCartRequest{CompanyId: 1, UserId: w.user, Cookie: "x"}, []map[string][]any{owner}},
		{
			&cartv1.AddItemRequest{CompanyId: 1, UserId: w.user, Cookie: "x", ProductId: 1, Name: "x", Price: "1", Quantity: 1},
			[]map[string][]any{owner, line},
		},
		{&cartv1.UpsertItemRequest{CartId: w.active, ProductId: 1, Name: "x", Price: "1", Quantity: 1}, []map[string][]any{toCart, line}},
		{
			&cartv1.UpdateQtyRequest{CartId: w.active, ProductId: 1, Quantity: 1},
			[]map[string][]any{toCart, {"quantity": {int32(1_000_001), int32(math.MaxInt32)}}},
		},
		{&cartv1.RemoveItemRequest{CartId: w.active, ProductId: 1}, []map[string][]any{toCart}},
		{&cartv1.ChangeStatusRequest{CartId: w.active, Status: cartv1.CartStatus_LOCKED}, []map[string][]any{toCart, {"status": statuses}}},
		{&cartv1.GetCartRequest{CartId: w.active}, []map[string][]any{toCart}},
		{&cartv1.ListByUserRequest{UserId: w.user}, []map[string][]any{{
			"user_id": ids, "company_id": optional, "status": statuses[1:],
			"limit": {int32(-1), int32(201), int32(math.MaxInt32)}, "offset": {int32(-1), int32(math.MinInt32)},
		}}},
	} {
		for _, fields := range r.wrong {
			for field, values := range fields {
				for _, value := range values {
					req := proto.Clone(r.right)
					w.setField(req, field, value)
					w.violations(w.invoke(req), req, field)
				}
			}
		}
	}
	for field, requests := range map[string][]proto.Message{
		"owner": {
			&cartv1.UpsertCartRequest{CompanyId: 1},
			&cartv1.GetActiveCartRequest{CompanyId: 1},
			&cartv1.AddItemRequest{CompanyId: 1, ProductId: 1, Name: "x", Price: "1", Quantity: 1},
		},
		"ids": {
			&cartv1.ListByIdsRequest{Ids: []int64{w.active, 0}},
			&cartv1.ListByIdsRequest{Ids: []int64{-1}},
			&cartv1.ListByIdsRequest{Ids: make([]int64, 2)},
			&cartv1.ListByIdsRequest{Ids: differentIDs(1001)},
		},
	} {
		for _, req := range requests {
			w.violations(w.invoke(req), req, field)
		}
	}
	all := &cartv1.AddItemRequest{UserId: -1, Cookie: " "}
	w.violations(w.invoke(all), all, "company_id", "cookie", "name", "price", "product_id", "quantity", "user_id")
}

// setField sets a field by its name.
func (w wrong) setField(m proto.Message, field string, value any) {
	w.Helper()
	fd := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(field))
	if status, ok := value.(cartv1.CartStatus); ok {
		value = status.Number()
	}
	m.ProtoReflect().Set(fd, protoreflect.ValueOf(value))
}

// violations checks that the error is INVALID_ARGUMENT and names exactly these fields, each with what it
// may hold, both to programs and to people.
func (w wrong) violations(err error, req proto.Message, fields ...string) {
	w.Helper()
	st := status.Convert(err)
	if st.Code() != codes.InvalidArgument {
		w.Errorf("%T %.100v: got %v, want InvalidArgument", req, req, st)
		return
	}
	var named []string
	for _, detail := range st.Details() {
		for _, v := range detail.(*errdetails.BadRequest).GetFieldViolations() {
			named = append(named, v.GetField())
			if v.GetDescription() == "" || !strings.Contains(st.Message(), v.GetField()) {
				w.Errorf("%T %.100v: does not say what is wrong with %s: %v", req, req, v.GetField(), st)
			}
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, fields) {
		w.Errorf("%T %.100v: the fields at fault are %q, want %q", req, req, named, fields)
	}
}

// raw is a codec that sends bytes as they are.
type raw struct{ encoding.CodecV2 }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

// wire sends what a client library would not.
func (w wrong) wire() {
	const upsert = cartv1.CartService_UpsertCart_FullMethodName
	bytesOf := grpc.ForceCodecV2(raw{encoding.GetCodecV2("proto")})
	for name, message := range map[string][]byte{
		"not UTF-8":     {0x08, 1, 0x1a, 2, 0xc3, 0x28}, // company_id, cookie
		"cut short":     {0x08, 1, 0x1a, 200, 'a'},
		"not a message": {0xff, 0xff, 0xff},
		"JSON":          []byte(`{"company_id": 1, "user_id": 7}`),
	} {
		err := w.conn.Invoke(w.Context(), upsert, message, new(cartv1.CartResponse), bytesOf)
		if status.Code(err) != codes.InvalidArgument {
			w.Errorf("%s: got %v, want InvalidArgument", name, err)
		}
	}
	w.code(w.invoke(&cartv1.UpsertCartRequest{CompanyId: 1, Cookie: strings.Repeat("x", 10<<20)}), codes.ResourceExhausted)
	w.code(w.conn.Invoke(w.Context(), "/sellio.cart.v1.CartService/DropCart", new(cartv1.GetCartRequest), new(cartv1.CartResponse)), codes.Unimplemented)
}
