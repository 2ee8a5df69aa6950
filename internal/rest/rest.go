// Package rest serves carts over HTTP, as api/openapi.yaml says. Routing, decoding and encoding are
// generated from that document, in package oas; this package turns requests into commands, and errors
// into problems.
package rest

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest/oas"
)

// The largest requests taken, in bytes.
const (
	maxBody   = 64 << 10
	maxHeader = 32 << 10 // all headers, and the path with its query
)

// MaxHeaderBytes is for [http.Server]. One that gets larger headers ends the connection, and with it the other requests
// on it; so it must be well above what is checked, and answered, for each request by itself. Proxies take up to 64 KiB.
const MaxHeaderBytes = 128 << 10

// Options say how requests are served. All up to MaxRequests must be set.
type Options struct {
	Logger         *slog.Logger
	SecureCookie   bool          // guest cookies travel over HTTPS only
	RequestTimeout time.Duration // after which a request is answered with 503
	Version        string        // of the service
	Ready          func() error  // a CodeUnavailable failure while the service cannot serve
	MaxRequests    int           // under way at once; further ones are answered with 503

	Auth           *auth.Authenticator // nil: every caller is trusted
	TrustedProxies []netip.Prefix      // whose word on where a request comes from is taken
	Origins        []string            // of other sites whose pages may call; each must be valid
}

// New returns the handler of all paths in api/openapi.yaml. It answers any other path with 404. [requestid.HTTP] must
// stand before it.
func New(carts cart.Service, o Options) http.Handler {
	s := &server{Options: o}
	h := &handler{Options: o, carts: carts}
	routes, err := oas.NewServer(
		h, h,
		oas.WithErrorHandler(s.fail),
		oas.WithNotFound(s.notFound),
		oas.WithMethodNotAllowed(s.notAllowed),
	)
	if err != nil {
		panic(err) // Only the telemetry of generated code can fail, and none is generated.
	}
	s.routes = routes
	return s.forBrowsers()
}

// Operation returns the operationId of what the request asks for, "" where api/openapi.yaml has no such operation.
func Operation(r *http.Request) string {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	u, ok := served(r.URL)
	if !ok {
		return ""
	}
	route, _ := paths.FindPath(method, u)
	return route.OperationID()
}

// served returns the URL without the one slash that its path may end with. It returns false where the path has other
// parts that are empty or dots, which no path has.
func served(u *url.URL) (*url.URL, bool) {
	clean := path.Clean(u.Path)
	if clean == u.Path {
		return u, true
	}
	if clean == "/" || clean+"/" != u.Path || !strings.HasSuffix(u.EscapedPath(), "/") {
		return nil, false
	}
	trimmed := *u
	trimmed.Path, trimmed.RawPath = clean, strings.TrimSuffix(u.RawPath, "/")
	return &trimmed, true
}

// paths only finds routes.
var paths oas.Server

// server is what stands around the handlers.
type server struct {
	Options
	routes    *oas.Server
	underWay  atomic.Int64
	crossSite http.CrossOriginProtection
}

var (
	noStore = []string{"no-store"} // caches must not show one guest the cart, or the cookie, of another
	noSniff = []string{"nosniff"}  // browsers must not take an answer for anything but what it says it is
)

// ServeHTTP implements [http.Handler].
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := requestid.With(r.Context(), r.Header.Get(requestid.Header))
	ctx, cancel := context.WithTimeout(ctx, s.RequestTimeout)
	defer cancel()
	v := &visit{ResponseWriter: w, secure: s.SecureCookie}
	if s.Logger.Enabled(ctx, slog.LevelDebug) {
		defer s.trace(ctx, v, r, time.Now())
	}
	r = r.WithContext(context.WithValue(ctx, visitKey{}, v)) // a copy, free to be changed
	v.request = r
	defer s.survive(v, r)

	h := w.Header()
	h["Cache-Control"], h["X-Content-Type-Options"] = noStore, noSniff
	defer s.underWay.Add(-1)
	if s.underWay.Add(1) > int64(s.MaxRequests) {
		s.fail(r.Context(), v, r, cart.ErrOverloaded)
		return
	}
	if err := s.admit(w, r); err != nil {
		s.fail(r.Context(), v, r, err)
		return
	}
	s.routes.ServeHTTP(v, r)
}

// admit makes the request one for the generated code, or says why it cannot be.
func (s *server) admit(w http.ResponseWriter, r *http.Request) error {
	if headerSize(r) > maxHeader {
		return errHeaderTooLarge
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // net/http leaves out the body
	}
	if err := s.checkSite(r); err != nil {
		return err
	}
	u, ok := served(r.URL)
	if !ok {
		return errNoPath
	}
	r.URL = u
	if r.ContentLength > maxBody {
		return errTooLarge
	}
	if r.Body == http.NoBody {
		return nil
	}
	// Without its Close, which would wait for the rest of a body that is too large.
	r.Body = io.NopCloser(http.MaxBytesReader(w, r.Body, maxBody))
	for _, coding := range r.Header["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return errCoded
		}
	}
	setType(r.Header)
	return nil
}

// setType makes the types that stand for JSON one. Clients of the Python service did not have to name any. Pages in
// browsers have to: a type that is not named needs no leave from the service to be sent to another site.
func setType(h http.Header) {
	switch kind := h.Get("Content-Type"); kind {
	case jsonType:
	case "":
		if h.Get("Origin") == "" {
			h.Set("Content-Type", jsonType)
		}
	default:
		name, _, err := mime.ParseMediaType(kind)
		if err == nil && strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json") {
			h.Set("Content-Type", jsonType)
		}
	}
}

// headerSize returns how many bytes the path with its query and the headers take.
func headerSize(r *http.Request) int {
	size := len(r.RequestURI)
	for name, values := range r.Header {
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(r.Context(), w, r, errNoPath)
}

func (s *server) notAllowed(w http.ResponseWriter, r *http.Request, allowed string) {
	allowed = strings.Replace(allowed, http.MethodGet, "GET,HEAD", 1)
	w.Header().Set("Allow", strings.ReplaceAll(allowed, ",", ", "))
	s.fail(r.Context(), w, r, errNoMethod)
}

// trace logs a request that has been answered. Queries are left out, for they name users.
func (s *server) trace(ctx context.Context, v *visit, r *http.Request, began time.Time) {
	s.Logger.LogAttrs(ctx, slog.LevelDebug, "http request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", v.status),
		slog.Duration("took", time.Since(began)),
	)
}

// survive answers a request whose handler panicked. It must be deferred itself.
func (s *server) survive(v *visit, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		began := v.status != 0
		s.fail(r.Context(), v, r, &panicked{value: p, stack: debug.Stack()})
		if began {
			panic(http.ErrAbortHandler) // The caller must not take half an answer for a whole one.
		}
	}
}

// visit is one request and its answer: what the generated code does not show to the handlers.
type visit struct {
	http.ResponseWriter
	request *http.Request // as the generated code gets it
	reread  bool          // see [reread]
	status  int           // of the answer; 0 until it begins
	secure  bool          // see [Options]
	fresh   string        // the cookie made for a guest who had none; "" where none was made
}

type visitKey struct{}

// visitOf returns the visit that ctx belongs to. Every context that a handler gets has one.
func visitOf(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// again returns the refused request as [reread] does, but only once.
func (v *visit) again(r *http.Request) *http.Request {
	if v.reread {
		return nil
	}
	v.reread = true
	again := reread(r)
	if again != nil {
		v.request = again
	}
	return again
}

// Unwrap lets [http.ResponseController] reach what is around.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (v *visit) WriteHeader(status int) {
	v.status = status
	v.ResponseWriter.WriteHeader(status)
}
