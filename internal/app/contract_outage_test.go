package app

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// request is one request over REST and the same over gRPC.
type request struct {
	method, path, body string
	message            proto.Message
}

// requests holds one for each operation that asks the database. The cart with id 1 must exist.
var requests = []request{
	{"GET", "/api/v1/cart/1", "", &cartv1.GetCartRequest{CartId: 1}},
	{"GET", "/api/v1/cart/active?company_id=1&user_id=7", "", &cartv1.GetActiveCartRequest{CompanyId: 1, UserId: 7}},
	{"GET", "/api/v1/carts/by-user?user_id=7", "", &cartv1.ListByUserRequest{UserId: 7}},
	{"POST", "/api/v1/carts/by-ids", `{"ids": [1]}`, &cartv1.ListByIdsRequest{Ids: []int64{1}}},
	{"POST", upsert, `{"company_id": 1, "user_id": 7}`, &cartv1.UpsertCartRequest{CompanyId: 1, UserId: 7}},
	{"POST", addItem, addBody(7, 1), &cartv1.AddItemRequest{CompanyId: 1, UserId: 7, ProductId: 1, Name: "x", Price: "1", Quantity: 1}},
	{"POST", "/api/v1/cart/1/item", item(1), &cartv1.UpsertItemRequest{CartId: 1, ProductId: 1, Name: "x", Price: "1", Quantity: 1}},
	{"PUT", "/api/v1/cart/1/item/1/quantity", `{"quantity": 2}`, &cartv1.UpdateQtyRequest{CartId: 1, ProductId: 1, Quantity: 2}},
	{"PUT", "/api/v1/cart/1/status", `{"status": 1}`, &cartv1.ChangeStatusRequest{CartId: 1, Status: cartv1.CartStatus_ACTIVE}},
	{"DELETE", "/api/v1/cart/1/item/1", "", &cartv1.RemoveItemRequest{CartId: 1, ProductId: 1}},
}

// retryInfo checks the code of an error, and that it says when to try again.
func (s *shop) retryInfo(err error, want codes.Code) {
	s.Helper()
	s.code(err, want)
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return
		}
	}
	s.Errorf("%v does not say when to try again", err)
}

// TestDatabaseOutOfReach cuts the service off from its database, and lets it back.
func TestDatabaseOutOfReach(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, databases[0].url(t))
	s := openShop(t, serve(t, "DATABASE_URL="+proxy.URL()))
	c := s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
	for range 2 {
		proxy.Refuse(true)
		proxy.CutAll()
		for _, r := range requests {
			s.send(r.method, r.path, r.body).problem(http.StatusServiceUnavailable)
			s.retryInfo(s.invoke(r.message), codes.Unavailable)
		}
		testService(s) // alive without its database
		proxy.Refuse(false)
		s.unchanged(c)
	}
	proxy.CutAll() // clients do not notice an outage this short
	s.unchanged(c)
}

// TestOutcomeUnknown loses the connection at the moment in which a write is committed. The caller is told
// to repeat it, and repeating it changes nothing.
func TestOutcomeUnknown(t *testing.T) {
	t.Parallel()
	proxy := pgtest.NewProxy(t, databases[0].url(t))
	s := openShop(t, serve(t, "DATABASE_URL="+proxy.URL()))
	proxy.CutAfterReply("SELECT ref, id, now() FROM saved")
	s.post(addBody(7, 1), addItem).problem(http.StatusServiceUnavailable)
	c := s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
	if len(c.Items) != 1 || c.Version != 1 {
		t.Errorf("the repeated request found %+v, want the cart that the first one made", c)
	}
	proxy.CutAfterReply("SELECT ref, id, now() FROM saved")
	line := &cartv1.UpsertItemRequest{CartId: c.ID, ProductId: 2, Name: "x", Price: "1", Quantity: 1}
	s.retryInfo(s.invoke(line), codes.Unavailable)
	was := s.get("/api/v1/cart/%d", c.ID).cart(http.StatusOK)
	s.same(s.ok(s.rpc.UpsertItem(t.Context(), line)), was.message())
}

// TestTooMuchWork holds the database back until the queues are full.
func TestTooMuchWork(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]request{"reads": requests[0], "lists": requests[2], "writes": requests[6]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := pgtest.NewProxy(t, databases[0].url(t))
			s := openShop(t, serve(t, "DATABASE_URL="+proxy.URL(), "WRITE_LANES=1", "READ_LANES=1", "BATCH_SIZE=1", "QUEUE_SIZE=2", "REQUEST_TIMEOUT=1m"))
			s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
			proxy.Hang(true)
			// At most three fit: one under way and two waiting.
			const clients, fit = 16, 3
			refused, served := make(chan struct{}, clients), make(chan struct{}, clients)
			for i := range clients {
				go s.knock(r, i%2 == 0, refused, served)
			}
			for range clients - fit {
				<-refused
			}
			testService(s) // alive under any load
			proxy.Hang(false)
			atLeast := fit - 1 // one more is refused if it came before the first one was under way
			for range fit {
				select {
				case <-refused:
				case <-served:
					atLeast--
				}
			}
			if a := s.send(r.method, r.path, r.body); a.status != http.StatusOK || atLeast > 0 {
				t.Errorf("after the load: status %d, and %d too few were served", a.status, atLeast)
			}
		})
	}
}

// knock sends a request and tells whether it was served, or refused as it should be.
func (s *shop) knock(r request, overREST bool, refused, served chan<- struct{}) {
	outcome := served
	if overREST {
		a := s.send(r.method, r.path, r.body)
		if a.status/100 != 2 {
			outcome = refused
			if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
				s.Errorf("%s: status %d, Retry-After %q", a.request, a.status, a.header.Get("Retry-After"))
			}
		}
	} else if err := s.invoke(r.message); err != nil {
		outcome = refused
		s.retryInfo(err, codes.ResourceExhausted)
	}
	outcome <- struct{}{}
}

// TestDatabaseHangs has PostgreSQL fall silent, and another program lock the SQLite file. No request waits for
// longer than REQUEST_TIMEOUT.
func TestDatabaseHangs(t *testing.T) {
	t.Parallel()
	line := requests[6]
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		proxy := pgtest.NewProxy(t, databases[0].url(t))
		s := openShop(t, serve(t, "REQUEST_TIMEOUT=1s", "DATABASE_URL="+proxy.URL()))
		s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
		proxy.Hang(true)
		s.send(line.method, line.path, line.body).problem(http.StatusServiceUnavailable)
		s.get("/api/v1/cart/1").problem(http.StatusServiceUnavailable)
		s.retryInfo(s.invoke(line.message), codes.Unavailable)
		proxy.Hang(false)
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		url := databases[1].url(t)
		s := openShop(t, serve(t, "REQUEST_TIMEOUT=1s", "DATABASE_URL="+url))
		c := s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
		db, _ := connect(t, url)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
			t.Fatal(err)
		}
		s.put(`{"quantity": 2}`, "/api/v1/cart/1/item/1/quantity").problem(http.StatusServiceUnavailable)
		s.unchanged(c) // readers do not wait for writers
		if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Fatal(err)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestFault breaks the database under the service, as no client could. The answer shows an id that the log
// has too, and no detail of the fault.
func TestFault(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		p := serve(t, "DATABASE_URL="+url)
		s := openShop(t, p)
		s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
		db, postgres := connect(t, url)
		fault := "ALTER TABLE cart_item RENAME TO secret"
		if postgres { // without that table the service would not be ready
			fault = "ALTER TABLE cart ALTER company_id TYPE text"
		}
		if _, err := db.ExecContext(t.Context(), fault); err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			a := s.send(r.method, r.path, r.body)
			if found := a.problem(http.StatusInternalServerError); found.ID == "" || found.ID != a.header.Get("X-Request-Id") {
				t.Errorf("%s: not the request's id: %s", a.request, a.body)
			} else {
				p.waitForLog(found.ID)
			}
			s.noInternals(string(a.body))
			err := s.invoke(r.message)
			s.code(err, codes.Internal)
			s.noInternals(err.Error())
		}
	})
}

// TestTableGone takes a table away, as a restore does for a while. The request is not at fault, and may be repeated.
func TestTableGone(t *testing.T) {
	t.Parallel()
	url := databases[0].url(t)
	s := openShop(t, serve(t, "DATABASE_URL="+url))
	c := s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
	db, _ := connect(t, url)
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE cart_item RENAME TO away"); err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		a := s.send(r.method, r.path, r.body)
		a.problem(http.StatusServiceUnavailable)
		s.noInternals(string(a.body))
		s.retryInfo(s.invoke(r.message), codes.Unavailable)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE away RENAME TO cart_item"); err != nil {
		t.Fatal(err)
	}
	s.unchanged(c)
}

// noInternals checks that the text shows no internals of the service.
func (s *shop) noInternals(text string) {
	s.Helper()
	for _, internal := range []string{"cart_item", "secret", "SQL", "sql", "relation", "table", "pgx", "goroutine", ".go"} {
		if strings.Contains(text, internal) {
			s.Errorf("shows %q: %s", internal, text)
		}
	}
}
