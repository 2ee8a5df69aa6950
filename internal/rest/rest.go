// Package rest serves carts over HTTP according to api/openapi.yaml. Package oas, generated from that document,
// routes, decodes and encodes; this package converts requests to commands, and errors to problems.
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

// The largest requests, in bytes.
const (
	maxBody      = 64 << 10
	maxManyBytes = 512 << 10 // of a body with many changes
	maxHeader    = 32 << 10  // all headers, and the path with its query
)

// maxUnderWay is the most bytes of all bodies over maxBody that are under way.
const maxUnderWay = 32 << 20

// MaxHeaderBytes is for [http.Server]. A server that gets larger headers closes the connection, and with it the other
// requests on it. So the bound is well above maxHeader, which fails one request alone. Proxies pass on up to 64 KiB.
const MaxHeaderBytes = 128 << 10

// Options are the settings of the handler. All up to MaxRequests must be set.
type Options struct {
	Logger         *slog.Logger
	SecureCookie   bool          // guest cookies travel over HTTPS only
	RequestTimeout time.Duration // after which a request is answered with 503
	Version        string        // of the service
	Ready          func() error  // a CodeUnavailable failure while the service cannot serve
	MaxRequests    int           // in flight; further ones are answered with 503
	MergePolicy    cart.MergePolicy

	Auth           *auth.Authenticator // nil: every caller is trusted
	TrustedProxies []netip.Prefix      // their X-Forwarded-For is trusted
	Origins        []string            // other origins whose pages may call; each must be valid
}

// New returns the handler of all paths in api/openapi.yaml. It answers any other path with 404. It must be wrapped in
// [requestid.HTTP].
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
		panic(err) // Only generated telemetry can fail, and there is none.
	}
	s.routes = routes
	return s.forBrowsers()
}

// Operation returns the operationId of the request, or "" if api/openapi.yaml has no such operation.
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

// served returns the URL without the one trailing slash that its path may have. It returns false if the path has other
// empty or dot segments: no path of the API has any.
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

// paths has no handlers: it only finds routes.
var paths oas.Server

// server wraps the handlers with all that applies to every request.
type server struct {
	Options
	routes    *oas.Server
	underWay  atomic.Int64
	large     atomic.Int64 // bytes of bodies over maxBody that are under way
	crossSite http.CrossOriginProtection
}

var (
	noStore = []string{"no-store"} // a cache must not show one guest the cart, or the cookie, of another
	noSniff = []string{"nosniff"}  // browsers must not guess another content type
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
	r = r.WithContext(context.WithValue(ctx, visitKey{}, v)) // a copy, which admit may change
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

// admit prepares the request for the generated code, or returns why it is refused.
func (s *server) admit(w http.ResponseWriter, r *http.Request) error {
	if headerSize(r) > maxHeader {
		return errHeaderTooLarge
	}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet // net/http omits the body
	}
	if err := s.checkSite(r); err != nil {
		return err
	}
	u, ok := served(r.URL)
	if !ok {
		return errNoPath
	}
	r.URL = u
	most := int64(maxBody)
	if strings.HasSuffix(u.Path, "/changes") {
		most = maxManyBytes
	}
	if r.ContentLength > most {
		return tooLarge(most)
	}
	if r.Body == http.NoBody {
		return nil
	}
	if most > maxBody && (r.ContentLength > maxBody || r.ContentLength < 0) {
		if err := s.reserve(r, most); err != nil {
			return err
		}
	}
	// Hide Close, which would wait for the rest of a body that is too large.
	r.Body = io.NopCloser(http.MaxBytesReader(w, r.Body, most))
	for _, coding := range r.Header["Content-Encoding"] {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return errCoded
		}
	}
	setType(r.Header)
	return nil
}

// reserve counts a large body, of most bytes where its length is not known, until the request ends.
func (s *server) reserve(r *http.Request, most int64) error {
	size := r.ContentLength
	if size < 0 {
		size = most
	}
	if s.large.Add(size) > maxUnderWay {
		s.large.Add(-size)
		return cart.ErrOverloaded
	}
	context.AfterFunc(r.Context(), func() { s.large.Add(-size) })
	return nil
}

// setType replaces a Content-Type such as application/ld+json by application/json, and adds a missing one. Clients of the
// Python service need not send one. A browser's page must: browsers send requests without a Content-Type to other sites
// without a preflight.
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

// headerSize returns the size of the headers, and of the path with its query, in bytes.
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

// trace logs an answered request, without its query, which may name a user.
func (s *server) trace(ctx context.Context, v *visit, r *http.Request, began time.Time) {
	s.Logger.LogAttrs(ctx, slog.LevelDebug, "http request",
		slog.String("method", r.Method),
		slog.String("path", r.URL.Path),
		slog.Int("status", v.status),
		slog.Duration("took", time.Since(began)),
	)
}

// survive answers a request whose handler panicked. It must be deferred directly, for recover to work.
func (s *server) survive(v *visit, r *http.Request) {
	switch p := recover(); p {
	case nil:
	case http.ErrAbortHandler:
		panic(p)
	default:
		began := v.status != 0
		s.fail(r.Context(), v, r, &panicked{value: p, stack: debug.Stack()})
		if began {
			panic(http.ErrAbortHandler) // The client must not take half an answer for a whole one.
		}
	}
}

// visit is one request and its answer, which the generated code hides from the handlers.
type visit struct {
	http.ResponseWriter
	request *http.Request // as passed to the generated code
	reread  bool          // see [reread]
	status  int           // of the answer; 0 until it begins
	secure  bool          // see [Options]
	fresh   string        // the cookie made for a guest without one; "" if none was made
}

type visitKey struct{}

// visitOf returns the visit that ctx belongs to. Every context that a handler gets has one.
func visitOf(ctx context.Context) *visit { return ctx.Value(visitKey{}).(*visit) }

// again returns what [reread] does at the first call, and nil later.
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

// Unwrap lets [http.ResponseController] reach the wrapped writer.
func (v *visit) Unwrap() http.ResponseWriter { return v.ResponseWriter }

// WriteHeader implements [http.ResponseWriter].
func (v *visit) WriteHeader(status int) {
	v.status = status
	v.ResponseWriter.WriteHeader(status)
}
