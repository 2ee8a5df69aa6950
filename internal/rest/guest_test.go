package rest_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/rest"
)

const activePath = "/api/v1/cart/active?company_id=7"

// cookieSet returns the guest cookie that the answer sets, or "".
func (a answer) cookieSet(t *testing.T, secure bool) string {
	t.Helper()
	set := a.header.Values("Set-Cookie")
	if len(set) == 0 {
		return ""
	}
	c, err := http.ParseSetCookie(set[0])
	if err != nil || len(set) > 1 {
		t.Fatalf("Set-Cookie %q: %v", set, err)
	}
	random, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(random) < 24 {
		t.Errorf("cookie %q holds %d bytes: %v", c.Value, len(random), err)
	}
	want := &http.Cookie{
		Name: "sellio_cart", Value: c.Value, Path: "/", MaxAge: 30 * 24 * 60 * 60,
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode, Raw: set[0],
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("cookie (-want +got):\n%s", diff)
	}
	return c.Value
}

func TestActiveCartOfNewGuest(t *testing.T) {
	carts := &fakeCarts{answer: stored()}
	s := start(t, newHandler(carts, quiet()))
	seen := map[string]bool{}
	for range 10 {
		got := send(t, s, "GET", activePath, "")
		got.problem(t, http.StatusNotFound)
		seen[got.cookieSet(t, true)] = true
	}
	if len(seen) != 10 || seen[""] {
		t.Errorf("cookies are not all different: %v", seen)
	}
	if asked := carts.asked(); asked != nil {
		t.Errorf("asked for %v", asked)
	}
}

func TestWritesOfNewGuest(t *testing.T) {
	for path, body := range map[string]string{
		"/api/v1/cart/upsert":   `{"company_id":7,"user_id":null,"cookie":null}`,
		"/api/v1/cart/add-item": `{"company_id":7,"product_id":1001,"name":"Green tea","price":"4.9","quantity":2}`,
	} {
		for _, failure := range []error{nil, cart.OutcomeUnknown(nil)} {
			carts := &fakeCarts{answer: stored(), err: failure}
			got := send(t, start(t, newHandler(carts, quiet())), "POST", path, body)
			cookie := got.cookieSet(t, true)
			var want any = cart.Upsert{CompanyID: 7, Owner: cart.Guest(cookie)}
			if path == "/api/v1/cart/add-item" {
				want = cart.AddItem{CompanyID: 7, Owner: cart.Guest(cookie), Item: tea}
			}
			if diff := cmp.Diff([]any{want}, carts.asked()); cookie == "" || diff != "" {
				t.Errorf("%s: cookie %q, asked for (-want +got):\n%s", path, cookie, diff)
			}
		}
	}
}

func TestInsecureCookie(t *testing.T) {
	h := rest.New(&fakeCarts{}, rest.Options{Logger: quiet(), RequestTimeout: time.Minute, MaxRequests: 100, MergePolicy: cart.MergeMax})
	if send(t, start(t, h), "GET", activePath, "").cookieSet(t, false) == "" {
		t.Error("no cookie")
	}
}

// A valid cookie of the request is used, byte for byte; an invalid one is replaced.
func TestRequestCookie(t *testing.T) {
	long := strings.Repeat("x", cart.MaxCookie)
	for name, test := range map[string]struct {
		header []string
		want   string // "": a fresh one
	}{
		"URL-safe base64":    {[]string{"sellio_cart=a-_Z09=="}, "a-_Z09=="},
		"percent and plus":   {[]string{"sellio_cart=%41+%zz%"}, "%41+%zz%"},
		"among others":       {[]string{"a=1; sellio_cart=mine; b=2"}, "mine"},
		"the longest":        {[]string{"sellio_cart=" + long}, long},
		"quoted":             {[]string{`sellio_cart="mine"`}, "mine"},
		"twice":              {[]string{"sellio_cart=first; sellio_cart=second"}, "second"},
		"twice, first bad":   {[]string{"sellio_cart=a b; sellio_cart=second"}, "second"},
		"twice, last bad":    {[]string{"sellio_cart=first; sellio_cart=a b"}, "first"},
		"in two headers":     {[]string{"sellio_cart=first", "sellio_cart=second"}, "second"},
		"too long":           {[]string{"sellio_cart=" + long + "x"}, ""},
		"with a space":       {[]string{"sellio_cart=a b"}, ""},
		"with a comma":       {[]string{"sellio_cart=a,b"}, ""},
		"with a backslash":   {[]string{`sellio_cart=a\b`}, ""},
		"with UTF-8":         {[]string{"sellio_cart=é"}, ""},
		"empty":              {[]string{"sellio_cart="}, ""},
		"without value":      {[]string{"sellio_cart"}, ""},
		"of another name":    {[]string{"sellio_cart2=mine; Sellio_Cart=mine"}, ""},
		"in an empty header": {[]string{""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var header []string
			for _, value := range test.header {
				header = append(header, "Cookie", value)
			}
			carts := &fakeCarts{answer: stored()}
			carts.answer.UpdatedAt = time.Now() // so that the cookie is not renewed
			s := start(t, newHandler(carts, quiet()))
			read := send(t, s, "GET", activePath, "", header...)
			written := send(t, s, "POST", "/api/v1/cart/upsert", `{"company_id":7}`, header...)

			want := []any{
				cart.ActiveOf(7, cart.Guest(test.want)),
				cart.Upsert{CompanyID: 7, Owner: cart.Guest(test.want)},
			}
			if test.want == "" {
				want = []any{cart.Upsert{CompanyID: 7, Owner: cart.Guest(written.cookieSet(t, true))}}
			}
			if (read.cookieSet(t, true) == "") != (test.want != "") || (written.cookieSet(t, true) == "") != (test.want != "") {
				t.Errorf("cookies set: %q, %q", read.header.Values("Set-Cookie"), written.header.Values("Set-Cookie"))
			}
			if diff := cmp.Diff(want, carts.asked()); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

// The user takes precedence over the body's cookie, and the body's cookie over the request's.
func TestOwner(t *testing.T) {
	for body, want := range map[string]cart.Owner{
		`{"company_id":7,"user_id":42}`:                     cart.User(42),
		`{"company_id":7,"user_id":42,"cookie":"body"}`:     cart.User(42),
		`{"company_id":7,"cookie":"body"}`:                  cart.Guest("body"),
		`{"company_id":7,"user_id":null,"cookie":"body"}`:   cart.Guest("body"),
		`{"company_id":7,"user_id":null,"cookie":null}`:     cart.Guest("header"),
		`{"company_id":7,"unknown":{"cookie":[null,{}]}}`:   cart.Guest("header"),
		`{"company_id":7,"cookie":"` + "%+=|~!#$" + `"}`:    cart.Guest("%+=|~!#$"),
		`{"user_id" : 9223372036854775807,"company_id":7 }`: cart.User(1<<63 - 1),
	} {
		carts := &fakeCarts{answer: stored()}
		got := send(t, start(t, newHandler(carts, quiet())), "POST", "/api/v1/cart/upsert", body, "Cookie", "sellio_cart=header")
		if got.status != http.StatusCreated || got.cookieSet(t, true) != "" {
			t.Errorf("%s: status %d, cookies %q", body, got.status, got.header.Values("Set-Cookie"))
		}
		if diff := cmp.Diff([]any{cart.Upsert{CompanyID: 7, Owner: want}}, carts.asked()); diff != "" {
			t.Errorf("%s: asked for (-want +got):\n%s", body, diff)
		}
	}
}

func TestActiveCartOfUserSetsNoCookie(t *testing.T) {
	got := send(t, start(t, newHandler(&fakeCarts{err: cart.ErrNotFound}, quiet())), "GET", activePath+"&user_id=42", "")
	got.problem(t, http.StatusNotFound)
	if cookie := got.cookieSet(t, true); cookie != "" {
		t.Errorf("cookie %q", cookie)
	}
}

func TestRefusedRequestSetsNoCookie(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, got := range []answer{
		send(t, s, "GET", "/api/v1/cart/active", ""),
		send(t, s, "POST", "/api/v1/cart/upsert", `{"company_id":0}`),
		send(t, s, "POST", "/api/v1/cart/upsert", `{"company_id":7,"cookie":"a b"}`),
	} {
		got.problem(t, http.StatusUnprocessableEntity)
		if cookie := got.cookieSet(t, true); cookie != "" {
			t.Errorf("cookie %q", cookie)
		}
	}
}
