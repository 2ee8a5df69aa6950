package rest_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Nothing that a client sends is answered with 500 or with a problem that names nothing.
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
	h := newHandler(&fakeCarts{answer: stored()}, quiet())
	f.Fuzz(func(t *testing.T, method, path, query, cookie, body string) {
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= http.StatusInternalServerError {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if w.Code != http.StatusUnprocessableEntity {
			return
		}
		var p problem
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || len(p.Errors) == 0 {
			t.Fatalf("error %v: %s", err, w.Body)
		}
		var fields map[string]json.RawMessage
		if p.Errors[0].Field == "body" && json.Unmarshal([]byte(body), &fields) == nil && fields != nil {
			t.Errorf("the body is an object: %s", w.Body)
		}
	})
}
