package rest_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest"
)

func TestUnknownPath(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for _, path := range []string{"/nope", "/api", "/api/v1/", "/api/v1/cart", "/api/v1/carts", "/api/v1/cart/1/items", "/api/v1/cart/1/item/2/quantity/3"} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			send(t, s, method, path, "").problem(t, http.StatusNotFound)
		}
	}
}

// Lenient routers redirect or rewrite some of these paths; this one does not.
func TestOddPaths(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for path, status := range map[string]int{
		"//":                           http.StatusNotFound,
		"/healthz/":                    http.StatusOK,
		"/api/v1/healthz/?a=b":         http.StatusOK,
		"/api/v1/cart/1/":              http.StatusOK,
		"/api/v1/cart/1//":             http.StatusNotFound,
		"/api/v1//cart/1":              http.StatusNotFound,
		"/api/v1/cart/1%2F":            http.StatusNotFound,
		"/api/v1/cart/.":               http.StatusNotFound,
		"/api/v1/cart/%2e%2e":          http.StatusNotFound,
		"/./healthz":                   http.StatusNotFound,
		"/api/v1/cart/1/../2":          http.StatusNotFound,
		"/api/v1/cart/":                http.StatusNotFound,
		"/api/v1/cart/1%2F2":           http.StatusUnprocessableEntity,
		"/api/v1/cart/activex":         http.StatusUnprocessableEntity,
		"/api/v1/cart/%31":             http.StatusOK,
		"/api/v1/c%61rt/1":             http.StatusOK,
		"http://example.com/healthz":   http.StatusOK,
		"/healthz?company_id=%zz&a;b=": http.StatusOK,
	} {
		got := talk(t, s, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if got.StatusCode != status {
			t.Errorf("%s: status %d, want %d", path, got.StatusCode, status)
		}
		if kind := got.Header.Get("Content-Type"); status == http.StatusNotFound && kind != "application/problem+json" {
			t.Errorf("%s: answered with %s", path, kind)
		}
		if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: headers %v", path, got.Header)
		}
	}
}

func TestUnknownMethod(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{}, quiet()))
	for path, allow := range map[string]string{
		"/":                               "GET, HEAD",
		"/healthz":                        "GET, HEAD",
		"/readyz":                         "GET, HEAD",
		"/api/v1/cart/1":                  "GET, HEAD",
		"/api/v1/cart/active":             "GET, HEAD",
		"/api/v1/cart/upsert":             "POST",
		"/api/v1/cart/1/item":             "POST",
		"/api/v1/cart/1/item/2":           "DELETE",
		"/api/v1/cart/1/item/2/quantity":  "POST, PUT",
		"/api/v1/cart/1/changes":          "POST",
		"/api/v1/cart/changes":            "POST",
		"/api/v1/basket":                  "GET, HEAD",
		"/api/v1/carts/merge":             "POST",
		"/api/v1/carts/status":            "PUT",
		"/api/v1/cart/1/status":           "PUT",
		"/api/v1/carts/by-ids":            "POST",
		"/api/v1/carts/by-user?user_id=1": "GET, HEAD",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "TRACE", "BREW", "get"} {
			got := send(t, s, method, path, "")
			got.problem(t, http.StatusMethodNotAllowed)
			if got.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got.header.Get("Allow"), allow)
			}
		}
	}
	if got := send(t, s, "HEAD", "/api/v1/cart/upsert", ""); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" {
		t.Errorf("HEAD: status %d, Allow %q", got.status, got.header.Get("Allow"))
	}
}

func TestHead(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for _, path := range []string{"/", "/healthz", "/api/v1/cart/9", "/api/v1/carts/by-user?user_id=1", activePath, "/api/v1/cart/0"} {
		get, head := send(t, s, "GET", path, ""), send(t, s, "HEAD", path, "")
		if head.status != get.status || head.body != "" {
			t.Errorf("%s: status %d, want %d; body %q", path, head.status, get.status, head.body)
		}
		for _, name := range []string{"Content-Type", "Content-Length"} {
			if head.header.Get(name) != get.header.Get(name) {
				t.Errorf("%s: %s %q, want %q", path, name, head.header.Get(name), get.header.Get(name))
			}
		}
	}
}

func TestContentType(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for kind, status := range map[string]int{
		"application/json":                  http.StatusOK,
		"application/json; charset=utf-8":   http.StatusOK,
		"Application/JSON":                  http.StatusOK,
		"application/vnd.api+json":          http.StatusOK,
		"Application/Ld+Json; charset=x":    http.StatusOK,
		"text/x+json":                       http.StatusUnsupportedMediaType,
		"application/+jsonp":                http.StatusUnsupportedMediaType,
		"text/plain":                        http.StatusUnsupportedMediaType,
		"application/x-www-form-urlencoded": http.StatusUnsupportedMediaType,
		"multipart/form-data; boundary=x":   http.StatusUnsupportedMediaType,
		"application/xml":                   http.StatusUnsupportedMediaType,
		"application/jsonp":                 http.StatusUnsupportedMediaType,
		"application/json; charset":         http.StatusUnsupportedMediaType,
		"/":                                 http.StatusUnsupportedMediaType,
		"":                                  http.StatusOK,
	} {
		got := send(t, s, "POST", "/api/v1/cart/9/item", itemJSON, "Content-Type", kind)
		if got.status != status {
			t.Errorf("%q: status %d, want %d: %s", kind, got.status, status, got.body)
		}
		if status != http.StatusOK {
			got.problem(t, status)
		}
	}
}

func TestContentEncoding(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for coding, status := range map[string]int{
		"identity": http.StatusOK, "Identity": http.StatusOK, "gzip": http.StatusUnsupportedMediaType, "br": http.StatusUnsupportedMediaType,
		"identity, gzip": http.StatusUnsupportedMediaType, "": http.StatusOK,
	} {
		got := send(t, s, "POST", "/api/v1/cart/9/item", itemJSON, "Content-Encoding", coding)
		if got.status != status {
			t.Errorf("%q: status %d, want %d: %s", coding, got.status, status, got.body)
		}
	}
}

// talk sends the bytes of a request and returns the answer.
func talk(t *testing.T, s *httptest.Server, request string) *http.Response {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestContentTypeMayBeAbsent(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{answer: stored()}, quiet()))
	for body, status := range map[string]int{itemJSON: http.StatusOK, "nope": http.StatusBadRequest, "": http.StatusBadRequest} {
		resp := talk(t, s, fmt.Sprintf("POST /api/v1/cart/9/item HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
		if resp.StatusCode != status {
			t.Errorf("%q: status %d, want %d", body, resp.StatusCode, status)
		}
	}
}

func TestLargeBody(t *testing.T) {
	const limit = 64 << 10
	carts := &fakeCarts{answer: stored()}
	s := start(t, newHandler(carts, quiet()))
	padded := func(size int) string {
		return itemJSON[:len(itemJSON)-1] + strings.Repeat(" ", size-len(itemJSON)) + "}"
	}
	if got := send(t, s, "POST", "/api/v1/cart/9/item", padded(limit)); got.status != http.StatusOK {
		t.Errorf("status %d for a body of the largest size: %s", got.status, got.body)
	}
	send(t, s, "POST", "/api/v1/cart/9/item", padded(limit+1)).problem(t, http.StatusRequestEntityTooLarge)

	// A body with a Content-Length is refused before it arrives, a chunked one as soon as it is too long.
	const head = "POST /api/v1/cart/9/item HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
	for name, request := range map[string]string{
		"announced": head + "Content-Length: 65537\r\n\r\n",
		"huge":      head + "Content-Length: 10485760\r\n\r\n",
		"chunked":   head + fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", limit+1, padded(limit+1)),
	} {
		resp := talk(t, s, request)
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		answer{resp.StatusCode, resp.Header, string(body)}.problem(t, http.StatusRequestEntityTooLarge)
		if !resp.Close {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	if asked := carts.asked(); len(asked) != 1 {
		t.Errorf("asked for %v", asked)
	}
}

func TestTimeout(t *testing.T) {
	h := rest.New(&fakeCarts{wait: true}, rest.Options{Logger: quiet(), RequestTimeout: time.Millisecond, MaxRequests: 100, MergePolicy: cart.MergeMax})
	p := send(t, start(t, h), "GET", "/api/v1/cart/9", "").problem(t, http.StatusServiceUnavailable)
	if p.ID != "" {
		t.Errorf("a timeout is reported as a bug: %+v", p)
	}
}

// The answer to a bug has an id and nothing else; the log has the cause under that id.
func TestFaults(t *testing.T) {
	for name, carts := range map[string]*fakeCarts{
		"internal": {err: &cart.Error{Code: cart.CodeInternal, Detail: "secret"}},
		"refused":  {err: cart.Refused(errors.New("secret"))},
		"unknown":  {err: errors.New("secret")},
		"no code":  {err: &cart.Error{Code: 200, Detail: "secret"}},
		"panic":    {panics: "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			s := start(t, newHandler(carts, slog.New(slog.NewJSONHandler(&log, nil))))
			got := send(t, s, "PUT", "/api/v1/cart/9/status", `{"status":2}`)
			p := got.problem(t, http.StatusInternalServerError)
			if strings.Contains(got.body, "secret") || p.ID == "" || p.ID != got.header.Get("X-Request-Id") {
				t.Errorf("answered with %s", got.body)
			}
			s.Close() // The log is complete now.
			var record struct {
				Level, Path, Error string
				ID                 string `json:"request_id"`
			}
			if err := json.Unmarshal(log.Bytes(), &record); err != nil {
				t.Fatalf("%v: %s", err, log.String())
			}
			if record.Level != "ERROR" || record.ID != p.ID || record.Path != "/api/v1/cart/9/status" || !strings.Contains(record.Error, "secret") {
				t.Errorf("logged %+v for id %s", record, p.ID)
			}
		})
	}
}

func TestAbortedHandler(t *testing.T) {
	s := start(t, newHandler(&fakeCarts{panics: http.ErrAbortHandler}, quiet()))
	resp, err := s.Client().Get(s.URL + "/api/v1/cart/9")
	if err == nil {
		resp.Body.Close()
		t.Errorf("answered with %s", resp.Status)
	}
}

// brokenWriter panics halfway through the answer.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Write([]byte) (int, error) { panic("broken") }

func TestPanicInAnswer(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(&fakeCarts{}, slog.New(slog.NewJSONHandler(&log, nil)))
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if err, ok := recover().(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				t.Errorf("panics with %v", err)
			}
		}()
		h.ServeHTTP(brokenWriter{w}, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	}()
	if w.Code != http.StatusOK || !strings.Contains(log.String(), "broken") {
		t.Errorf("status %d, log %q", w.Code, log.String())
	}
}

// goneWriter is the writer for a client that has disconnected.
type goneWriter struct{ *httptest.ResponseRecorder }

func (goneWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A client that disconnects during the answer, be it a cart or a problem, causes no log line at level INFO or above.
func TestCallerGoneWhileAnswered(t *testing.T) {
	for name, carts := range map[string]*fakeCarts{"a cart": {answer: stored()}, "a problem": {err: cart.ErrNotFound}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h := newHandler(carts, slog.New(slog.NewJSONHandler(&log, nil)))
			h.ServeHTTP(goneWriter{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/api/v1/cart/9", http.NoBody))
			if log.Len() > 0 {
				t.Errorf("logged %s", log.String())
			}
		})
	}
}

// A client without credentials is told how to authenticate; one with an invalid token, that the token is invalid.
func TestChallenge(t *testing.T) {
	who, err := auth.New(t.Context(), auth.Options{Tokens: []string{"0123456789abcdef0123456789abcdef"}, Logger: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, requestid.HTTP(rest.New(&fakeCarts{answer: stored()}, rest.Options{
		Logger: quiet(), RequestTimeout: time.Minute, MaxRequests: 100, Auth: who,
	})))
	for credentials, want := range map[string]string{
		"":             "Bearer",
		"Basic dTpw":   "Bearer",
		"Bearer wrong": `Bearer error="invalid_token"`,
		"bearer":       `Bearer error="invalid_token"`,
	} {
		got := send(t, s, "GET", "/api/v1/cart/9", "", "Authorization", credentials)
		got.problem(t, http.StatusUnauthorized)
		if challenge := got.header.Get("WWW-Authenticate"); challenge != want {
			t.Errorf("%q: WWW-Authenticate %q, want %q", credentials, challenge, want)
		}
	}
}

// A client that has disconnected before the answer causes no log line at level INFO or above.
func TestCallerGone(t *testing.T) {
	var log bytes.Buffer
	h := newHandler(&fakeCarts{wait: true}, slog.New(slog.NewJSONHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/api/v1/cart/9", http.NoBody))
	if log.Len() > 0 {
		t.Errorf("logged %s", log.String())
	}
}

func TestDebugLog(t *testing.T) {
	var log bytes.Buffer
	s := start(t, newHandler(&fakeCarts{err: cart.ErrNotFound}, slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	send(t, s, "GET", activePath+"&user_id=424242", "", "Cookie", "sellio_cart=secret")
	s.Close() // The log is complete now.
	var record struct {
		Msg, Method, Path string
		Status            int
		Took              *int64
	}
	if err := json.Unmarshal(log.Bytes(), &record); err != nil {
		t.Fatalf("%v: %s", err, log.String())
	}
	if record.Msg != "http request" || record.Method != http.MethodGet || record.Path != "/api/v1/cart/active" || record.Status != 404 || record.Took == nil {
		t.Errorf("logged %s", log.String())
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "424242") {
		t.Errorf("the log names the caller: %s", log.String())
	}
}
