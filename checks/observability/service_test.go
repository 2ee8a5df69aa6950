package observability

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

const root = "../.."

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// service is a running program: where REST, gRPC and the metrics are.
type service struct{ REST, GRPC, Admin string }

// serve builds the program and starts it on a PostgreSQL database, whose pool has metrics of its own.
func serve(t *testing.T) service {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "sellio-cart")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/sellio-cart")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Dir = dir
	cmd.Env = []string{
		"APP_ENV=test", "HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0", "AUTO_MIGRATE=true", "DATABASE_URL=" + pgtest.NewDatabase(t),
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(log)
	t.Cleanup(func() { // the end of the context has killed it
		if _, err := io.Copy(io.Discard, log); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the service ended by itself")
		}
	})
	var said strings.Builder
	for lines.Scan() {
		said.WriteString(lines.Text() + "\n")
		var ready service
		if err := json.Unmarshal(lines.Bytes(), &ready); err == nil && ready.REST != "" {
			if ready.Admin == "" {
				t.Fatalf("the log does not say where the metrics are:\n%s", said.String())
			}
			return ready
		}
	}
	t.Fatalf("the service did not start: %v\n%s", lines.Err(), said.String())
	return service{}
}

// drive sends requests of each kind: writes, reads and listings, over REST and over gRPC, and one that is refused.
func (s service) drive(t *testing.T) {
	t.Helper()
	const line = `{"company_id": 1, "user_id": 7, "product_id": 1, "name": "Tea", "price": "1.50", "quantity": 2}`
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/api/v1/cart/add-item", line, http.StatusCreated},
		{http.MethodGet, "/api/v1/cart/1", "", http.StatusOK},
		{http.MethodGet, "/api/v1/carts/by-user?user_id=7", "", http.StatusOK},
		{http.MethodGet, "/api/v1/cart/2", "", http.StatusNotFound},
		{http.MethodGet, "/readyz", "", http.StatusOK},
	} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, s.REST+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if answer, status := do(t, req); status != r.status {
			t.Errorf("%s %s: status %d, want %d\n%s", r.method, r.path, status, r.status, answer)
		}
	}
	conn, err := grpc.NewClient(s.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}()
	carts := cartv1.NewCartServiceClient(conn)
	for name, call := range map[string]func(context.Context) error{
		"GetCart": func(ctx context.Context) error {
			_, err := carts.GetCart(ctx, &cartv1.GetCartRequest{CartId: 1})
			return err
		},
		"UpdateQty": func(ctx context.Context) error {
			_, err := carts.UpdateQty(ctx, &cartv1.UpdateQtyRequest{CartId: 1, ProductId: 1, Quantity: 3})
			return err
		},
		"ListByIds": func(ctx context.Context) error {
			_, err := carts.ListByIds(ctx, &cartv1.ListByIdsRequest{Ids: []int64{1}})
			return err
		},
	} {
		if err := call(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// scrape returns what Prometheus would read, by the names of the metric families.
func (s service) scrape(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	url := fmt.Sprintf("http://%s/metrics", strings.TrimPrefix(s.Admin, "http://"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	text, status := do(t, req)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d\n%s", url, status, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func do(t *testing.T, req *http.Request) (answer string, status int) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), resp.StatusCode
}

// exported returns the names and labels of the series that the families hold, as queries see them.
func exported(families map[string]*dto.MetricFamily) map[string]map[string]bool {
	series := map[string]map[string]bool{}
	add := func(name string, labels []*dto.LabelPair, more ...string) {
		if series[name] == nil {
			series[name] = map[string]bool{}
		}
		for _, l := range labels {
			more = append(more, l.GetName())
		}
		for _, l := range more {
			series[name][l] = true
		}
	}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetType() {
			case dto.MetricType_HISTOGRAM:
				add(name+"_bucket", m.GetLabel(), "le")
				add(name+"_sum", m.GetLabel())
				add(name+"_count", m.GetLabel())
			case dto.MetricType_SUMMARY:
				add(name, m.GetLabel(), "quantile")
				add(name+"_sum", m.GetLabel())
				add(name+"_count", m.GetLabel())
			default:
				add(name, m.GetLabel())
			}
		}
	}
	return series
}
