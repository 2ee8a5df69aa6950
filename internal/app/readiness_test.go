package app

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// awaitReady waits until both transports and the metrics say that the service is ready, or that it is not.
func (s *shop) awaitReady(p *process, want bool) {
	s.Helper()
	until(s, "readiness has changed", func() bool {
		status := s.get("/readyz").status
		if status != http.StatusOK && status != http.StatusServiceUnavailable {
			s.Fatalf("/readyz: status %d", status)
		}
		ready := status == http.StatusOK
		if admin, _, err := call(s.Context(), http.MethodGet, p.admin+"/readyz", ""); err != nil || admin != status {
			return false
		}
		for _, service := range []string{"", "sellio.cart.v1.CartService"} {
			resp, err := healthv1.NewHealthClient(s.conn).Check(s.Context(), &healthv1.HealthCheckRequest{Service: service})
			if err != nil {
				s.Fatal(err)
			}
			if serving := resp.GetStatus() == healthv1.HealthCheckResponse_SERVING; serving != want {
				return false
			}
		}
		return ready == want && (p.scrape().sum("ready") == 1) == want
	})
	testService(s) // alive, ready or not
}

// TestReadiness stops and starts the database under the service, makes it such that carts cannot be written, and takes a
// migration back.
func TestReadiness(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	env := "DATABASE_URL=" + server.URL()
	migrate := func(what string) {
		t.Helper()
		if _, stderr, code := runOnce(t, []string{"migrate", what}, env); code != 0 {
			t.Fatalf("migrate %s: %s", what, stderr)
		}
	}
	migrate("up")
	p := serve(t, env)
	s := openShop(t, p)
	s.awaitReady(p, true)

	server.Stop(pgtest.Immediate)
	s.awaitReady(p, false)
	s.get("/readyz").problem(http.StatusServiceUnavailable)
	p.waitForLog("Not ready for requests.")
	server.Restart()
	s.awaitReady(p, true)
	p.waitForLog("Ready for requests again.")

	db, _ := connect(t, server.URL())
	for _, broken := range []struct{ by, mended []string }{
		{[]string{"ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"},
			[]string{"ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"}},
		{[]string{"ALTER TABLE cart_item RENAME TO away"}, []string{"ALTER TABLE away RENAME TO cart_item"}},
		{[]string{"ALTER INDEX uq_cart_item_cart_product RENAME TO away", "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'away'::regclass"},
			[]string{"UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'away'::regclass"}},
	} {
		for _, sql := range broken.by {
			if _, err := db.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		s.awaitReady(p, false)
		for _, sql := range broken.mended {
			if _, err := db.ExecContext(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		s.awaitReady(p, true)
		s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
	}

	migrate("down")
	s.awaitReady(p, false)
	migrate("up")
	s.awaitReady(p, true)
	s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
}

// TestReadinessOfSQLite takes the file away under the service, and puts it back.
func TestReadinessOfSQLite(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "cart.db")
	p := serve(t, "DATABASE_URL=sqlite:"+path)
	s := openShop(t, p)
	s.awaitReady(p, true)
	for from, to := path, path+".away"; ; from, to = to, from {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
		s.awaitReady(p, to == path)
		if to == path {
			return
		}
	}
}

// TestNotReadyWhileStopping holds a request open, so that the stop has to wait for it and can be watched.
func TestNotReadyWhileStopping(t *testing.T) {
	t.Parallel()
	p := serve(t, "SHUTDOWN_TIMEOUT=1m", "CLIENT_TIMEOUT=1m")
	s := openShop(t, p)
	body, hold := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.rest+upsert, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	status := make(chan int, 1)
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			status <- 0
			return
		}
		defer resp.Body.Close()
		status <- resp.StatusCode
	}()
	if _, err := io.WriteString(hold, `{"company_id": 1`); err != nil {
		t.Fatal(err)
	}
	until(t, "the request is under way", func() bool { return p.scrape().sum("requests_in_flight", "transport=rest") == 1 })
	s.awaitReady(p, true)
	p.signal(syscall.SIGTERM)
	until(t, "the service is not ready", func() bool { return p.scrape().sum("ready") == 0 })
	if _, err := io.WriteString(hold, "}"); err != nil {
		t.Fatal(err)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-status; got != http.StatusCreated {
		t.Errorf("the request under way was answered with %d", got)
	}
	if err := p.wait(); err != nil {
		t.Error(err)
	}
}
