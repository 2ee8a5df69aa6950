package rest_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCarts gives every call the same answer, and records the calls.
type fakeCarts struct {
	answer *cart.Cart
	result cart.Result // of a request, without its carts
	merged *cart.Merged
	err    error
	wait   bool // for the end of the caller's context
	panics any

	mu   sync.Mutex
	asks []any // commands, requests, refs, listings, lists of ids, baskets and merges
}

func (f *fakeCarts) ask(ctx context.Context, what any) error {
	f.mu.Lock()
	f.asks = append(f.asks, what)
	f.mu.Unlock()
	if f.panics != nil {
		panic(f.panics)
	}
	if f.wait {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.err
}

func (f *fakeCarts) one(ctx context.Context, what any) (*cart.Cart, error) {
	if err := f.ask(ctx, what); err != nil {
		return nil, err
	}
	return f.answer, nil
}

func (f *fakeCarts) many(ctx context.Context, what any) ([]*cart.Cart, error) {
	if err := f.ask(ctx, what); err != nil || f.answer == nil {
		return nil, err
	}
	return []*cart.Cart{f.answer}, nil
}

// Do remembers the command of a plain request, and any other request.
func (f *fakeCarts) Do(ctx context.Context, r cart.Request) (cart.Result, error) {
	what := any(r)
	if r.Joint == nil && r.Key == "" && r.Match == nil {
		what = r.Command
	}
	c, err := f.one(ctx, what)
	done := f.result
	if err == nil && r.Joint != nil {
		done.Carts = []*cart.Cart{c}
	}
	done.Cart = c
	return done, err
}

func (f *fakeCarts) Basket(ctx context.Context, q cart.BasketQuery) (*cart.Basket, error) {
	carts, err := f.many(ctx, q)
	if err != nil {
		return nil, err
	}
	b := cart.BasketOf(carts)
	b.Owner = q.Owner
	return b, nil
}

func (f *fakeCarts) Merge(ctx context.Context, m cart.Merge) (*cart.Merged, error) {
	if err := f.ask(ctx, m); err != nil {
		return nil, err
	}
	return f.merged, nil
}

func (f *fakeCarts) Get(ctx context.Context, ref cart.Ref) (*cart.Cart, error) {
	return f.one(ctx, ref)
}

func (f *fakeCarts) GetMany(ctx context.Context, ids []int64) ([]*cart.Cart, error) {
	return f.many(ctx, ids)
}

func (f *fakeCarts) List(ctx context.Context, l cart.Listing) ([]*cart.Cart, error) {
	return f.many(ctx, l)
}

func (f *fakeCarts) asked() []any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asks
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func newHandler(carts cart.Service, log *slog.Logger) http.Handler {
	return requestid.HTTP(rest.New(carts, rest.Options{
		Logger: slog.New(requestid.LogHandler(log.Handler())), SecureCookie: true, RequestTimeout: time.Minute, Version: "1.2.3",
		Ready: func() error { return nil }, MaxRequests: 100, MergePolicy: cart.MergeMax,
	}))
}

// start serves h over a real socket for the length of the test.
func start(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// answer is an answer of the service.
type answer struct {
	status int
	header http.Header
	body   string
}

// send makes a request and checks that the answer conforms to the document. Header is a list of names and
// values; a body is sent as JSON unless header says otherwise.
func send(t *testing.T, s *httptest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
		if header[i] == "Content-Type" {
			req.Header.Set("Content-Type", header[i+1])
		}
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(got)}
	conforms(t, req, a)
	return a
}

// problem is an error answer as a client reads it.
type problem struct {
	Type, Title, Detail, ID string
	Status                  int
	Errors                  []struct{ Field, Detail string }
}

// problem checks that the answer is a complete problem with that status, and returns it.
func (a answer) problem(t *testing.T, status int) problem {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	if p.Type != "about:blank" || p.Title != http.StatusText(status) || p.Status != status || p.Detail == "" {
		t.Errorf("not a whole problem: %s", a.body)
	}
	if challenge := a.header.Get("WWW-Authenticate"); (status == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Bearer") {
		t.Errorf("status %d with WWW-Authenticate %q", status, challenge)
	}
	if retry := a.header.Get("Retry-After"); (status == http.StatusServiceUnavailable) != (retry == "1") {
		t.Errorf("status %d with Retry-After %q", status, retry)
	}
	return p
}

// fields returns the names of the fields at fault, in alphabetical order.
func (p problem) fields(t *testing.T) string {
	t.Helper()
	var names []string
	for _, e := range p.Errors {
		if e.Detail == "" || !strings.Contains(p.Detail, e.Field) {
			t.Errorf("field %q is not explained: %+v", e.Field, p)
		}
		names = append(names, e.Field)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}
