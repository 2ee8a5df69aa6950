package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// restCart is a cart as REST shows it.
type restCart struct {
	ID          int64      `json:"id"`
	CompanyID   int64      `json:"company_id"`
	UserID      *int64     `json:"user_id"`
	Cookie      *string    `json:"cookie"`
	Status      int        `json:"status"`
	CreatedAt   string     `json:"created_at"`
	UpdatedAt   string     `json:"updated_at"`
	Version     int64      `json:"version"`
	Items       []restItem `json:"items"`
	ItemsCount  int        `json:"items_count"`
	TotalAmount string     `json:"total_amount"`
}

type restItem struct {
	ProductID int64  `json:"product_id"`
	Name      string `json:"name"`
	Price     string `json:"price"`
	Quantity  int64  `json:"quantity"`
}

// call sends a request with a JSON body, if any, and returns the status and the body of the answer.
func call(ctx context.Context, method, url, body string) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// must calls and fails the test unless the answer has this status; it decodes the answer into v.
func (p *process) must(status int, v any, method, path, body string) {
	p.t.Helper()
	got, answer, err := call(p.t.Context(), method, p.rest+path, body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	if got != status {
		p.t.Fatalf("%s %s: status %d, want %d\n%s", method, path, got, status, answer)
	}
	if v == nil {
		return
	}
	if err := json.NewDecoder(bytes.NewReader(answer)).Decode(v); err != nil {
		p.t.Fatalf("%s %s: %v\n%s", method, path, err, answer)
	}
}

func addBody(user, product int64) string {
	return fmt.Sprintf(`{"company_id": 1, "user_id": %d, "product_id": %d, "name": "x", "price": "1.10", "quantity": 1}`, user, product)
}

func TestFirstAddsThroughSeveralProcessesMakeOneCart(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		fleet := []*process{serve(t, "DATABASE_URL="+url), serve(t, "DATABASE_URL="+url)}
		var wg sync.WaitGroup
		for i := range int64(64) {
			wg.Go(func() {
				status, answer, err := call(t.Context(), http.MethodPost, fleet[i%2].rest+"/api/v1/cart/add-item", addBody(7, i+1))
				if err != nil || status != http.StatusCreated {
					t.Errorf("add %d: status %d, %v\n%s", i, status, err, answer)
				}
			})
		}
		wg.Wait()
		var carts []restCart
		fleet[0].must(http.StatusOK, &carts, http.MethodGet, "/api/v1/carts/by-user?user_id=7", "")
		if len(carts) != 1 || len(carts[0].Items) != 64 || carts[0].TotalAmount != "70.40" {
			t.Errorf("%d carts, the first %+v; want one with 64 lines", len(carts), carts[0])
		}
	})
}

// TestStopUnderLoadLosesNothingAcknowledged stops the service while 32 clients add lines, and looks for
// each acknowledged one in a second process.
func TestStopUnderLoadLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		p := serve(t, "DATABASE_URL="+url)
		const clients = 32
		acknowledged := make([]int64, clients) // by client: how many products, 1, 2, …
		var total atomic.Int64
		enough := make(chan struct{})
		var wg sync.WaitGroup
		for c := range int64(clients) {
			wg.Go(func() {
				for product := int64(1); product <= 400; product++ {
					status, answer, err := call(t.Context(), http.MethodPost, p.rest+"/api/v1/cart/add-item", addBody(c+1, product))
					if err != nil || status == http.StatusServiceUnavailable {
						return // stopping
					}
					if status != http.StatusCreated {
						t.Errorf("add: status %d\n%s", status, answer)
						return
					}
					acknowledged[c] = product
					if total.Add(1) == 500 {
						close(enough)
					}
				}
			})
		}
		<-enough
		p.signal(syscall.SIGTERM)
		wg.Wait()
		if err := p.wait(); err != nil {
			t.Errorf("the service ended with %v, want exit code 0", err)
		}
		after := serve(t, "DATABASE_URL="+url)
		for c := range int64(clients) {
			var cart restCart
			after.must(http.StatusOK, &cart, http.MethodGet, fmt.Sprintf("/api/v1/cart/active?company_id=1&user_id=%d", c+1), "")
			if got := int64(len(cart.Items)); got < acknowledged[c] {
				t.Errorf("client %d: %d lines, of which %d were acknowledged", c, got, acknowledged[c])
			}
		}
	})
}

// TestSecondSignalForces holds a request open, so that a graceful stop has to wait for it.
func TestSecondSignalForces(t *testing.T) {
	t.Parallel()
	p := serve(t, "SHUTDOWN_TIMEOUT=10m", "REQUEST_TIMEOUT=5m", "CLIENT_TIMEOUT=5m")
	body, hold := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.rest+"/api/v1/cart/upsert", body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	ended := make(chan error, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			err = fmt.Errorf("answered %s", resp.Status)
		}
		ended <- err
	}()
	until(t, "the request is under way", func() bool { return p.scrape().sum("requests_in_flight", "transport=rest") == 1 })
	p.signal(syscall.SIGTERM)
	p.waitForLog("Stopping.")
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("the service ended with %v, want it terminated by the signal", err)
	}
	if err := hold.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("the request that was cut off got an answer")
	}
}

// asyncpgURL returns the URL as deployments of the Python service have it.
func asyncpgURL(url string) string {
	_, address, _ := strings.Cut(url, "://")
	return "postgresql+asyncpg://" + address
}

// TestAdoption runs the program on a database of the Python service, as in the guide to moving over.
func TestAdoption(t *testing.T) {
	t.Parallel()
	sql, err := os.ReadFile("../../internal/postgres/testdata/legacy.sql")
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(sql)); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	asyncpg := "DATABASE_URL=" + asyncpgURL(url)
	if _, stderr, code := runOnce(t, []string{"migrate", "up"}, asyncpg); code != 0 {
		t.Fatalf("migrate up: exit code %d\n%s", code, stderr)
	}
	p := serve(t, asyncpg)
	want := map[int64]string{ // all that have lines, with their totals
		1: "99999999990059.98", 2: "10.00", 3: "11.00", 4: "11.10", 5: "1.10", 6: "1.10", 7: "1.00", 8: "1.00",
		10: "-20.09", 11: "5767202.00", 12: "429496729357050327.06", 13: "1.00", 14: "1.00", 15: "1.00",
	}
	got := make(map[int64]string)
	var carts []restCart
	p.must(http.StatusOK, &carts, http.MethodPost, "/api/v1/carts/by-ids", `{"ids": [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]}`)
	for _, c := range carts {
		var one restCart
		p.must(http.StatusOK, &one, http.MethodGet, fmt.Sprint("/api/v1/cart/", c.ID), "")
		if diff := cmp.Diff(c, one); diff != "" {
			t.Errorf("cart %d in a list and by id: %s", c.ID, diff)
		}
		got[c.ID] = c.TotalAmount
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("totals: %s", diff)
	}
	if c := carts[0]; c.CreatedAt != "2024-01-01T10:00:00.123456Z" || c.Items[2].Price != "99999999.99" || *c.UserID != 7 || c.Cookie != nil {
		t.Errorf("cart 1 reads %+v", c)
	}
	var c restCart
	p.must(http.StatusOK, &c, http.MethodPost, "/api/v1/cart/1/item", `{"product_id": 99, "name": "new", "price": "0.02", "quantity": 1}`)
	if c.ID != 1 || len(c.Items) != 4 || c.TotalAmount != "99999999990060.00" {
		t.Errorf("cart 1 with a new line: %+v", c)
	}
	p.must(http.StatusNotFound, nil, http.MethodGet, "/api/v1/cart/9", "")
	p.must(http.StatusCreated, &c, http.MethodPost, "/api/v1/cart/add-item", strings.Replace(addBody(9, 1), `: 1,`, `: 10,`, 1))
	if c.ID != 9 {
		t.Errorf("the first line for user 9 went into cart %d, want the empty cart 9", c.ID)
	}
	p.must(http.StatusCreated, &c, http.MethodPost, "/api/v1/cart/add-item",
		`{"company_id": 10, "cookie": "relic-8", "product_id": 1, "name": "x", "price": "1", "quantity": 1}`)
	if c.ID <= 15 {
		t.Errorf("a guest with a cookie of user 8's cart was given cart %d", c.ID)
	}
	p.must(http.StatusConflict, nil, http.MethodPost, "/api/v1/cart/11/item", `{"product_id": 5000, "name": "x", "price": "1", "quantity": 1}`)
	p.must(http.StatusOK, nil, http.MethodDelete, "/api/v1/cart/11/item/1200", "")
	p.must(http.StatusBadRequest, nil, http.MethodPut, "/api/v1/cart/14/status", `{"status": 1}`)
}
