package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	storetest "github.com/sellio/sellio-cart/internal/test/store"
)

// No request is answered with 500, with a body that is not JSON, or with a 422 that names no field.
func FuzzRequest(f *testing.F) {
	for _, op := range operations {
		path, query, _ := strings.Cut(op.path, "?")
		f.Add(op.method, path, query, "sellio_cart=mine", op.body)
		f.Add(op.method, path, query, "", strings.Replace(op.body, "1", "null", 1))
	}
	for _, test := range bodies {
		for field, values := range test.wrong {
			for _, value := range values {
				f.Add(test.method, test.path, "", "", `{"`+field+`":`+value+`}`)
			}
		}
	}
	h := newHandler(storetest.Ruled{Cart: stored}, quiet())
	f.Fuzz(func(t *testing.T, method, path, query, cookie, body string) {
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("status %d with a body that is not JSON: %q", w.Code, w.Body)
		}
		if w.Code < http.StatusBadRequest {
			return
		}
		p := answer{w.Code, w.Header(), w.Body.String()}.problem(t, w.Code)
		if w.Code != http.StatusUnprocessableEntity {
			return
		}
		if len(p.Errors) == 0 {
			t.Fatalf("no field is named: %s", w.Body)
		}
		var fields map[string]json.RawMessage
		if p.Errors[0].Field == "body" && json.Unmarshal([]byte(body), &fields) == nil && fields != nil {
			t.Errorf("the body is an object: %s", w.Body)
		}
	})
}

// Every operation with a body answers any body of any type as the document says.
func FuzzBody(f *testing.F) {
	doc, err := document()
	if err != nil {
		f.Fatal(err)
	}
	taking, tried := 0, make(map[string]bool)
	for _, op := range bodies {
		tried[op.method+" "+op.path] = true
	}
	for _, path := range doc.Paths.Map() {
		for _, op := range path.Operations() {
			if op.RequestBody != nil {
				taking++
			}
		}
	}
	if taking != len(tried) {
		f.Fatalf("%d operations take a body, of which %d are tried", taking, len(tried))
	}
	for i, op := range bodies {
		f.Add(uint8(i), "application/json", object(op.right))
		f.Add(uint8(i), "", object(op.right))
		f.Add(uint8(i), "application/json; charset=utf-8", `{"a":[{}],"a":1}`)
		f.Add(uint8(i), "text/plain", "company_id=7")
		for field, values := range op.wrong {
			for _, value := range values {
				f.Add(uint8(i), "application/json", `{"`+field+`":`+value+`}`)
			}
		}
	}
	h := newHandler(storetest.Ruled{Cart: stored}, quiet())
	f.Fuzz(func(t *testing.T, index uint8, contentType, body string) {
		op := bodies[int(index)%len(bodies)]
		r := httptest.NewRequest(op.method, op.path, strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Idempotency-Key", "k")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		conforms(t, r, answer{w.Code, w.Header(), w.Body.String()})
	})
}
