package app

import (
	"net/http"
	"strings"
	"testing"
)

const (
	ourSite   = "https://shop.example.com"
	otherSite = "https://shop.example.com.evil.example"
)

// TestPagesOfOtherSites sends the requests of browsers for pages of another site. Only a listed site is served.
func TestPagesOfOtherSites(t *testing.T) {
	t.Parallel()
	listed, silent := openShop(t, serve(t, "CORS_ORIGINS="+ourSite)), openShop(t, serve(t))
	for name, tt := range map[string]struct {
		*shop
		origin string
		allows bool
	}{
		"a listed site":         {listed, ourSite, true},
		"another site":          {listed, otherSite, false},
		"no origin of its own":  {listed, "null", false},
		"a site, none listed":   {silent, ourSite, false},
		"another listed scheme": {listed, "http://shop.example.com", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.in(t)
			allows := func(a answer) {
				t.Helper()
				want, credentials := "", ""
				if tt.allows {
					want, credentials = tt.origin, "true"
				}
				if got := a.header.Get("Access-Control-Allow-Origin"); got != want {
					t.Errorf("%s: allows origin %q, want %q", a.request, got, want)
				}
				if got := a.header.Get("Access-Control-Allow-Credentials"); got != credentials {
					t.Errorf("%s: allows credentials %q, want %q", a.request, got, credentials)
				}
			}
			marked := []string{"Origin", tt.origin, "Sec-Fetch-Site", "cross-site"}
			preflight := s.send(http.MethodOptions, addItem, "", append(marked,
				"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers",
				"authorization,baggage,cache-control,content-type,sentry-trace,traceparent,tracestate,x-datadog-trace-id,x-request-id,x-requested-with")...)
			allows(preflight)
			if got := preflight.header.Get("Access-Control-Allow-Headers"); strings.Contains(got, "baggage") != tt.allows {
				t.Errorf("allows the headers %q", got)
			}
			allows(s.send(http.MethodGet, "/api//v1", "", marked...))
			allows(s.send(http.MethodGet, "/healthz", "", marked...))
			write := s.send(http.MethodPost, addItem, addBody(s.user, 1), marked...)
			allows(write)
			if !tt.allows {
				write.problem(http.StatusForbidden)
				s.get("/api/v1/cart/active?company_id=1&user_id=%d", s.user).problem(http.StatusNotFound)
				return
			}
			write.cart(http.StatusCreated)
		})
	}
}

// TestOwnPages sends requests that browsers mark as from a page of the same site, or from none.
func TestOwnPages(t *testing.T) {
	t.Parallel()
	s := openShop(t, serve(t))
	for _, from := range []string{"same-origin", "none"} {
		s.send(http.MethodPost, addItem, addBody(s.user, 1), "Sec-Fetch-Site", from).cart(http.StatusCreated)
	}
}

// TestForms sends what browsers without marks send without a preflight: forms, and bodies without a type.
func TestForms(t *testing.T) {
	t.Parallel()
	s := openShop(t, serve(t))
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""} {
		a := s.send(http.MethodPost, addItem, addBody(s.user, 1), "Origin", otherSite, "Content-Type", kind)
		a.problem(http.StatusUnsupportedMediaType)
	}
	s.get("/api/v1/cart/active?company_id=1&user_id=%d", s.user).problem(http.StatusNotFound)
	s.send(http.MethodPost, addItem, addBody(s.user, 1), "Content-Type", "").cart(http.StatusCreated) // a program, not a page
}

func TestDocsAreSwitchedOff(t *testing.T) {
	t.Parallel()
	on, off := openShop(t, serve(t)), openShop(t, serve(t, "DOCS_ENABLED=false"))
	for _, path := range []string{"/docs", "/redoc", "/openapi.json", "/docs/assets/page.css"} {
		a := on.get("%s", path)
		if a.status != http.StatusOK || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: status %d, headers %v", path, a.status, a.header)
		}
		off.get("%s", path).problem(http.StatusNotFound)
	}
	for _, path := range []string{"//docs", "/docs/./", "/docs//assets/page.css", "/docs/nope"} {
		on.get("%s", path).problem(http.StatusNotFound)
	}
}
