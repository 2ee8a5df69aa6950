package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/dynamicpb"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// shop is a running service as one test talks to it, over REST and over gRPC.
type shop struct {
	*testing.T
	rest string
	conn *grpc.ClientConn
	rpc  cartv1.CartServiceClient
	user int64 // used by no other test
}

// lastUser makes users that belong to one test each, so that many can share a service.
var lastUser atomic.Int64

// openShop connects to a running service.
func openShop(t *testing.T, p *process) *shop {
	t.Helper()
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return &shop{T: t, rest: p.rest, conn: conn, rpc: cartv1.NewCartServiceClient(conn), user: lastUser.Add(1)}
}

// in returns the shop for a subtest, with a user of its own.
func (s *shop) in(t *testing.T) *shop {
	sub := *s
	sub.T, sub.user = t, lastUser.Add(1)
	return &sub
}

// inShops runs the cases, all at once, on a service on PostgreSQL and on one on SQLite.
func inShops(t *testing.T, cases map[string]func(*shop), env ...string) {
	t.Helper()
	onBoth(t, func(t *testing.T, url string) {
		s := openShop(t, serve(t, append(env, "DATABASE_URL="+url)...))
		for name, test := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(s.in(t))
			})
		}
	})
}

// answer is the outcome of a REST request.
type answer struct {
	*shop
	request string
	status  int // 0: the request failed, and so has the test
	header  http.Header
	body    []byte
}

// send sends a request with a JSON body, if any, and these headers, by name and value. It may be called
// by any goroutine.
func (s *shop) send(method, path, body string, header ...string) answer {
	s.Helper()
	a := answer{shop: s, request: fmt.Sprintf("%s %s %.200s", method, path, body)}
	req, err := http.NewRequestWithContext(s.Context(), method, s.rest+path, strings.NewReader(body))
	if err != nil {
		s.Errorf("%s: %v", a.request, err)
		return a
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Errorf("%s: %v", a.request, err)
		return a
	}
	defer resp.Body.Close()
	a.header = resp.Header
	if a.body, err = io.ReadAll(resp.Body); err != nil {
		s.Errorf("%s: %v", a.request, err)
		return a
	}
	a.status = resp.StatusCode
	return a
}

// into decodes an answer of this status.
func (a answer) into(v any, status int) {
	a.Helper()
	if a.status != status {
		a.Fatalf("%s: status %d, want %d\n%.500s", a.request, a.status, status, a.body)
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		a.Fatalf("%s: %v\n%.500s", a.request, err, a.body)
	}
}

// cart returns the cart that an answer of this status holds.
func (a answer) cart(status int) (c restCart) {
	a.Helper()
	a.into(&c, status)
	return c
}

// carts returns the carts that an answer holds.
func (a answer) carts() (list []restCart) {
	a.Helper()
	a.into(&list, http.StatusOK)
	return list
}

// problem is an error over REST.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
	ID string `json:"id"`
}

// problem returns the problem of an answer of this status, and checks what holds of every problem.
func (a answer) problem(status int) (p problem) {
	a.Helper()
	a.into(&p, status)
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.Errorf("%s: Content-Type %q", a.request, got)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" {
		a.Errorf("%s: status %d, want it in the body too, with its title and a detail:\n%s", a.request, status, a.body)
	}
	if status == http.StatusServiceUnavailable {
		if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
			a.Errorf("%s: Retry-After %q", a.request, a.header.Get("Retry-After"))
		}
	}
	return p
}

// faults checks that the answer is 422 and names exactly these fields, each with what it may hold, both
// to programs and to people.
func (a answer) faults(fields ...string) {
	a.Helper()
	p := a.problem(http.StatusUnprocessableEntity)
	var named []string
	for _, e := range p.Errors {
		named = append(named, e.Field)
		if e.Detail == "" || !strings.Contains(p.Detail, e.Field) {
			a.Errorf("%s: does not say what is wrong with %s:\n%s", a.request, e.Field, a.body)
		}
	}
	slices.Sort(named)
	if !slices.Equal(named, fields) {
		a.Errorf("%s: the fields at fault are %q, want %q", a.request, named, fields)
	}
}

// invoke calls the method that takes such requests.
func (s *shop) invoke(req proto.Message) error {
	s.Helper()
	return s.invokeIn(s.Context(), req)
}

// ask is invoke with metadata, by name and value, and with the answer.
func (s *shop) ask(req proto.Message, header ...string) (proto.Message, error) {
	s.Helper()
	return s.answer(metadata.AppendToOutgoingContext(s.Context(), header...), req)
}

// invokeIn is invoke in a context and with options of the caller's.
func (s *shop) invokeIn(ctx context.Context, req proto.Message, opts ...grpc.CallOption) error {
	s.Helper()
	_, err := s.answer(ctx, req, opts...)
	return err
}

func (s *shop) answer(ctx context.Context, req proto.Message, opts ...grpc.CallOption) (proto.Message, error) {
	s.Helper()
	methods := cartv1.File_sellio_cart_v1_cart_proto.Services().Get(0).Methods()
	for i := range methods.Len() {
		if m := methods.Get(i); m.Input() == req.ProtoReflect().Descriptor() {
			answer := dynamicpb.NewMessage(m.Output())
			return answer, s.conn.Invoke(ctx, fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), req, answer, opts...)
		}
	}
	s.Fatalf("no method takes a %T", req)
	return nil, nil
}

// code checks how a call over gRPC ended.
func (s *shop) code(err error, want codes.Code) {
	s.Helper()
	if got := status.Code(err); got != want {
		s.Errorf("got %v, want %v: %v", got, want, err)
	}
}

// get, post, put and del send requests.
func (s *shop) get(path string, args ...any) answer {
	s.Helper()
	return s.send(http.MethodGet, fmt.Sprintf(path, args...), "")
}

func (s *shop) post(body, path string, args ...any) answer {
	s.Helper()
	return s.send(http.MethodPost, fmt.Sprintf(path, args...), body)
}

func (s *shop) put(body, path string, args ...any) answer {
	s.Helper()
	return s.send(http.MethodPut, fmt.Sprintf(path, args...), body)
}

func (s *shop) del(path string, args ...any) answer {
	s.Helper()
	return s.send(http.MethodDelete, fmt.Sprintf(path, args...), "")
}

// item is the body of a request that puts a product into a cart that is named by its id.
func item(product int64) string {
	return fmt.Sprintf(`{"product_id": %d, "name": "x", "price": "1.10", "quantity": 1}`, product)
}

// at moves the body of a request to another company.
func at(company int64, body string) string {
	return strings.Replace(body, `"company_id": 1`, fmt.Sprintf(`"company_id": %d`, company), 1)
}

// add puts the products into the user's cart at company 1.
func (s *shop) add(products ...int64) (c restCart) {
	s.Helper()
	for _, product := range products {
		c = s.post(addBody(s.user, product), "/api/v1/cart/add-item").cart(http.StatusCreated)
	}
	return c
}

// move changes the status of a cart.
func (s *shop) move(id int64, status int) answer {
	s.Helper()
	return s.put(fmt.Sprintf(`{"status": %d}`, status), "/api/v1/cart/%d/status", id)
}

// unchanged checks that the cart reads exactly as it was.
func (s *shop) unchanged(was restCart) {
	s.Helper()
	s.same(s.get("/api/v1/cart/%d", was.ID).cart(http.StatusOK), was)
}

// same checks that got is what was expected.
func (s *shop) same(got, want any) {
	s.Helper()
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		s.Errorf("(-want +got):\n%s", diff)
	}
}

// quote returns the text as a JSON string.
func quote(s *shop, text string) string {
	s.Helper()
	quoted, err := json.Marshal(text)
	if err != nil {
		s.Fatal(err)
	}
	return string(quoted)
}

// products lists the products of a cart in their order.
func products(c restCart) (ids []int64) {
	for _, i := range c.Items {
		ids = append(ids, i.ProductID)
	}
	return ids
}

// each calls do with 1 to n, in this many goroutines.
func each(n int64, workers int, do func(i int64)) {
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				do(i)
			}
		})
	}
	wg.Wait()
}

// connect returns a pool to the database that DATABASE_URL names, and its dialect.
func connect(t *testing.T, url string) (db *sql.DB, postgres bool) {
	t.Helper()
	driver, name := "pgx", url
	if file, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+file+"?_pragma=busy_timeout(30000)"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, driver == "pgx"
}

// dump returns all rows of the carts in the database, one line per row.
func dump(t *testing.T, db *sql.DB) string {
	t.Helper()
	var all strings.Builder
	for _, query := range []string{"SELECT * FROM cart ORDER BY id", "SELECT * FROM cart_item ORDER BY id"} {
		if err := dumpRows(t, db, query, &all); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func dumpRows(t *testing.T, db *sql.DB, query string, all *strings.Builder) error {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	row := make([]sql.NullString, len(columns))
	into := make([]any, len(columns))
	for i := range row {
		into[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		fmt.Fprintln(all, row)
	}
	return rows.Err()
}
