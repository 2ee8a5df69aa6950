package docsui_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/sellio/sellio-cart/internal/docsui"
)

const spec = `openapi: 3.0.3
info: {title: Test, version: "1.0"}
servers: [{url: /}]
paths: {}
components:
  schemas:
    Id: {type: integer, maximum: 9223372036854775807}
`

// assets are all the files that the pages load.
var assets = map[string]string{
	"/docs/assets/page.css":                        "text/css; charset=utf-8",
	"/docs/assets/swagger.js":                      "text/javascript; charset=utf-8",
	"/docs/assets/swagger-ui/favicon-32x32.png":    "image/png",
	"/docs/assets/swagger-ui/swagger-ui-bundle.js": "text/javascript; charset=utf-8",
	"/docs/assets/swagger-ui/swagger-ui.css":       "text/css; charset=utf-8",
	"/docs/assets/redoc/redoc.standalone.js":       "text/javascript; charset=utf-8",
	"/docs/assets/redoc/LICENSE":                   "text/plain; charset=utf-8",
	"/docs/assets/swagger-ui/LICENSE":              "text/plain; charset=utf-8",
	"/docs/assets/swagger-ui/NOTICE":               "text/plain; charset=utf-8",
}

// newServer serves the documentation, and 404 beside it.
func newServer(t *testing.T, spec string) *httptest.Server {
	t.Helper()
	docs, err := docsui.Handler([]byte(spec), http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(docs)
	t.Cleanup(server.Close)
	return server
}

// do sends one request and returns the answer and its body exactly as they came over the wire:
// no redirect is followed, nothing is unpacked. A header given as "" is not sent.
func do(t *testing.T, method, url string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	transport := &http.Transport{DisableCompression: true, DisableKeepAlives: true}
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, body
}

func wantHeader(t *testing.T, res *http.Response, name, want string) {
	t.Helper()
	if got := res.Header.Get(name); got != want {
		t.Errorf("%s: %s is %q, want %q", res.Request.URL.Path, name, got, want)
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	contentTypes := map[string]string{
		"/docs":         "text/html; charset=utf-8",
		"/redoc":        "text/html; charset=utf-8",
		"/openapi.json": "application/json",
	}
	for path, contentType := range assets {
		contentTypes[path] = contentType
	}
	for path, contentType := range contentTypes {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			plainRes, plain := do(t, "GET", server.URL+path, nil)
			gzipRes, packed := do(t, "GET", server.URL+path, map[string]string{"Accept-Encoding": "br, gzip"})

			for _, res := range []*http.Response{plainRes, gzipRes} {
				if res.StatusCode != http.StatusOK {
					t.Errorf("status is %d", res.StatusCode)
				}
				wantHeader(t, res, "Content-Type", contentType)
				wantHeader(t, res, "Cache-Control", "no-cache")
				wantHeader(t, res, "Vary", "Accept-Encoding")
				wantHeader(t, res, "X-Content-Type-Options", "nosniff")
				wantHeader(t, res, "Referrer-Policy", "no-referrer")
			}
			wantHeader(t, plainRes, "Content-Encoding", "")
			wantHeader(t, gzipRes, "Content-Encoding", "gzip")
			if len(plain) == 0 || !bytes.Equal(gunzip(t, packed), plain) {
				t.Error("the two encodings differ, or hold nothing")
			}

			plainTag, gzipTag := plainRes.Header.Get("ETag"), gzipRes.Header.Get("ETag")
			if plainTag == "" || plainTag == gzipTag {
				t.Errorf("ETags are %s and %s, want two", plainTag, gzipTag)
			}
			again, body := do(t, "GET", server.URL+path, map[string]string{"If-None-Match": plainTag})
			if again.StatusCode != http.StatusNotModified || len(body) != 0 {
				t.Errorf("known ETag: status %d, %d bytes", again.StatusCode, len(body))
			}
			head, body := do(t, "HEAD", server.URL+path, nil)
			if head.StatusCode != http.StatusOK || head.ContentLength != int64(len(plain)) || len(body) != 0 {
				t.Errorf("HEAD: status %d, length %d, %d bytes", head.StatusCode, head.ContentLength, len(body))
			}
		})
	}
}

func gunzip(t *testing.T, packed []byte) []byte {
	t.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestAcceptEncoding(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	for accept, want := range map[string]string{
		"":                        "",
		"identity":                "",
		"br":                      "",
		"gzip":                    "gzip",
		"GZIP":                    "gzip",
		"deflate, gzip;q=0.5, br": "gzip",
		"gzip;q=0":                "",
		"gzip; q=0.000, *":        "",
		"*":                       "gzip",
		"*;q=0":                   "",
		"*;q=0, gzip":             "gzip",
		"gzip;q=many":             "",
		"xgzip":                   "",
	} {
		res, _ := do(t, "GET", server.URL+"/docs", map[string]string{"Accept-Encoding": accept})
		if got := res.Header.Get("Content-Encoding"); got != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding is %q, want %q", accept, got, want)
		}
	}
}

func TestOtherMethodsAndPaths(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	for _, tt := range []struct {
		method, path string
		status       int
		header, want string
	}{
		{"POST", "/docs", http.StatusMethodNotAllowed, "Allow", "GET, HEAD"},
		{"PUT", "/redoc", http.StatusMethodNotAllowed, "Allow", "GET, HEAD"},
		{"DELETE", "/openapi.json", http.StatusMethodNotAllowed, "Allow", "GET, HEAD"},
		{"POST", "/docs/assets/swagger.js", http.StatusMethodNotAllowed, "Allow", "GET, HEAD"},
		{"GET", "/docs/", http.StatusMovedPermanently, "Location", "../docs"},
		{"HEAD", "/redoc/", http.StatusMovedPermanently, "Location", "../redoc"},
		{"POST", "/docs/", http.StatusMethodNotAllowed, "Allow", "GET, HEAD"},
		{"GET", "/openapi.json/", http.StatusOK, "Content-Type", "application/json"},
		{"GET", "//docs", http.StatusNotFound, "Location", ""},
		{"GET", "/./docs", http.StatusNotFound, "Location", ""},
		{"GET", "/docs//assets/swagger.js", http.StatusNotFound, "Location", ""},
		{"GET", "/docs/assets/", http.StatusNotFound, "Location", ""},
		{"GET", "/docs/assets/missing.js", http.StatusNotFound, "Location", ""},
		{"GET", "/docs/assets/swagger.html", http.StatusNotFound, "Location", ""},
		{"GET", "/docs/assets/swagger-ui/swagger-ui.css.gz", http.StatusNotFound, "Location", ""},
		{"GET", "/docs/assets/%2e%2e/docsui.go", http.StatusNotFound, "Location", ""},
	} {
		res, _ := do(t, tt.method, server.URL+tt.path, nil)
		if res.StatusCode != tt.status {
			t.Errorf("%s %s: status is %d, want %d", tt.method, tt.path, res.StatusCode, tt.status)
		}
		wantHeader(t, res, tt.header, tt.want)
		wantHeader(t, res, "X-Content-Type-Options", "nosniff")
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	res, body := do(t, "GET", server.URL+"/openapi.json", nil)
	if !json.Valid(body) || !strings.Contains(string(body), `"maximum":9223372036854775807`) {
		t.Errorf("the document is %s", body)
	}
	other := newServer(t, spec+"x-other: true\n")
	otherRes, _ := do(t, "GET", other.URL+"/openapi.json", nil)
	if tag := res.Header.Get("ETag"); tag == otherRes.Header.Get("ETag") {
		t.Errorf("two documents share the ETag %s", tag)
	}
}

func TestHandlerRefusesUnusableDocument(t *testing.T) {
	t.Parallel()
	if _, err := docsui.Handler([]byte("title: not an API"), http.NotFoundHandler()); err == nil {
		t.Error("no error")
	}
}

// TestPagesStayHere follows every address that a page names. Each must lead to this server; the
// policy makes the browser refuse what the viewers might ask for beyond that.
func TestPagesStayHere(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	addresses := regexp.MustCompile(`(?:href|src|spec-url)="([^"]*)"`)
	inlineScript := regexp.MustCompile(`<script>|<script [^>]*>[^<]|\son\w+=`)
	for _, page := range []string{"/docs", "/redoc"} {
		res, body := do(t, "GET", server.URL+page, nil)
		for _, directive := range []string{
			"default-src 'none'", "script-src 'self'", "connect-src 'self'", "img-src 'self' data:",
			"frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'",
		} {
			if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, directive) {
				t.Errorf("%s: the policy lacks %q: %s", page, directive, policy)
			}
		}
		if inline := inlineScript.Find(body); inline != nil {
			t.Errorf("%s: inline script, which the policy refuses: %s", page, inline)
		}
		if strings.Contains(string(body), "//") {
			t.Errorf("%s: names another host:\n%s", page, body)
		}
		base, err := url.Parse(server.URL + page)
		if err != nil {
			t.Fatal(err)
		}
		found := addresses.FindAllSubmatch(body, -1)
		if len(found) < 5 {
			t.Errorf("%s: found only %d addresses", page, len(found))
		}
		for _, match := range found {
			if string(match[1]) == "data:," {
				continue
			}
			target, err := base.Parse(string(match[1]))
			if err != nil {
				t.Fatal(err)
			}
			if res, _ := do(t, "GET", target.String(), nil); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %s answers %d", page, target, res.StatusCode)
			}
		}
	}
}

// The viewers must contain no address that they load by themselves. The list has those of newer and of
// unpatched versions.
func TestViewersLoadNothingElse(t *testing.T) {
	t.Parallel()
	server := newServer(t, spec)
	for path := range assets {
		_, body := do(t, "GET", server.URL+path, nil)
		for _, host := range []string{
			"cdn.redoc.ly", "cdn.redocly.com", "otel.cloud.redocly.com", "fonts.googleapis.com",
			"fonts.gstatic.com", "unpkg.com", "cdn.jsdelivr.net",
		} {
			if bytes.Contains(body, []byte(host)) {
				t.Errorf("%s names %s", path, host)
			}
		}
	}
	_, config := do(t, "GET", server.URL+"/docs/assets/swagger.js", nil)
	if !bytes.Contains(config, []byte("validatorUrl: null")) {
		t.Error("Swagger UI would ask validator.swagger.io for a badge")
	}
}
