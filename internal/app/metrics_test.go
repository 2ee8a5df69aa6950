package app

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape is what /metrics shows, by name.
type scrape map[string]*dto.MetricFamily

// scrape reads the metrics of the process.
func (p *process) scrape() scrape {
	p.t.Helper()
	status, body, err := call(p.t.Context(), http.MethodGet, p.admin+"/metrics", "")
	if err != nil || status != http.StatusOK {
		p.t.Fatalf("/metrics: status %d, %v\n%s", status, err, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	return families
}

// sum adds up the series that have these labels, given as NAME=VALUE: values, or how often a histogram was observed.
func (s scrape) sum(name string, labels ...string) (sum float64) {
	for _, m := range s["sellio_cart_"+name].GetMetric() {
		has := labelsOf(m)
		if slices.ContainsFunc(labels, func(want string) bool { return !slices.Contains(has, want) }) {
			continue
		}
		sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	return sum
}

func labelsOf(m *dto.Metric) (labels []string) {
	for _, l := range m.GetLabel() {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	return labels
}

// until waits until the condition is true.
func until(t testing.TB, what string, ask func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ask(); {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// operations are the names of the requests in their order.
var operations = []struct{ rest, grpc string }{
	{"getCart", "GetCart"},
	{"getActiveCart", "GetActiveCart"},
	{"listCartsByUser", "ListByUser"},
	{"listCartsByIDs", "ListByIds"},
	{"upsertCart", "UpsertCart"},
	{"addItem", "AddItem"},
	{"putItem", "UpsertItem"},
	{"setQuantity", "UpdateQty"},
	{"setStatus", "ChangeStatus"},
	{"removeItem", "RemoveItem"},
}

// TestMetrics calls each operation on both transports and reads the metrics.
func TestMetrics(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		p := serve(t, "DATABASE_URL="+url, "QUEUE_SIZE=100")
		s := openShop(t, p)
		s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
		for _, r := range requests {
			s.send(r.method, r.path, r.body)
		}
		for _, r := range requests {
			_ = s.invoke(r.message) // by now the cart with id 1 is gone, so that some fail
		}
		testHealth(s)
		for i := range 20 {
			s.get("/nope/%d", i).problem(http.StatusNotFound)
			s.get("/api/v1/cart/%d/nope", i).problem(http.StatusNotFound)
		}
		s.send("BREW", "/healthz", "").problem(http.StatusMethodNotAllowed)
		s.get("/docs")
		s.post("{}", "/api/v1/cart/9/item").faults("name", "price", "product_id", "quantity")

		// Requests and batches are counted after the answers.
		var m scrape
		until(t, "all requests are counted", func() bool {
			m = p.scrape()
			return m.sum("request_duration_seconds") == float64(1+2*len(requests)+2+40+3) && m.sum("requests_in_flight") == 0 &&
				m.sum("batch_seconds") == 21
		})
		for i, o := range operations {
			restWant := 1.0
			if o.rest == "addItem" || o.rest == "putItem" {
				restWant++
			}
			if got := m.sum("request_duration_seconds", "transport=rest", "operation="+o.rest); got != restWant {
				t.Errorf("%s: %v requests, want %v", o.rest, got, restWant)
			}
			if got := m.sum("request_duration_seconds", "transport=grpc", "operation="+o.grpc); got != 1 {
				t.Errorf("%s: %v requests, want 1; request %d", o.grpc, got, i)
			}
		}
		for labels, want := range map[string]float64{
			"request_duration_seconds transport=rest operation=other code=404":   40,
			"request_duration_seconds transport=rest operation=other code=405":   1,
			"request_duration_seconds transport=rest operation=other code=200":   1,
			"request_duration_seconds transport=grpc operation=other code=OK":    2,
			"request_duration_seconds transport=rest operation=putItem code=422": 1,
			"request_duration_seconds transport=rest operation=addItem code=201": 2,
			"request_duration_seconds transport=grpc operation=GetCart":          1,
			"request_duration_seconds transport=grpc code=NotFound":              6,
			"batch_size queue=writes":                 13,
			"batch_seconds queue=reads":               6,
			"batch_size queue=lists":                  2,
			"queue_wait_seconds queue=writes":         13,
			"queue_wait_seconds queue=reads":          6,
			"queue_wait_seconds queue=lists":          2,
			"queue_limit queue=writes":                100,
			"queue_depth":                             0,
			"refusals_total":                          0,
			"store_seconds operation=load outcome=ok": 19,
			"store_seconds operation=list outcome=ok": 2,
			"store_seconds outcome=error":             0,
			"carts_created_total":                     2,
			"carts_deleted_total":                     1,
			"lines_written_total":                     3,
			"conflicts_total":                         0,
			"retries_total":                           0,
			"ready":                                   1,
			"build_info":                              1,
			"build_info version=dev":                  1,
			"requests_in_flight":                      0,
		} {
			name, rest, _ := strings.Cut(labels, " ")
			if got := m.sum(name, strings.Fields(rest)...); got != want {
				t.Errorf("%s: %v, want %v", labels, got, want)
			}
		}
		checkNames(t, m, !strings.HasPrefix(url, "sqlite:"))
	})
}

// checkNames checks names and labels, which dashboards know.
func checkNames(t *testing.T, m scrape, postgres bool) {
	t.Helper()
	want := map[string]string{
		"request_duration_seconds": "code operation transport",
		"requests_in_flight":       "transport",
		"batch_size":               "queue",
		"batch_seconds":            "queue",
		"queue_wait_seconds":       "queue",
		"queue_depth":              "queue",
		"queue_limit":              "queue",
		"refusals_total":           "queue",
		"store_seconds":            "operation outcome",
		"conflicts_total":          "",
		"retries_total":            "",
		"carts_created_total":      "",
		"carts_deleted_total":      "",
		"lines_written_total":      "",
		"leases_ended_total":       "result",
		"leases_overdue":           "",
		"receipts_deleted_total":   "",
		"upkeep_failures_total":    "",
		"ready":                    "",
		"build_info":               "goversion version",
	}
	if postgres {
		want["pool_connections"] = "state"
		for _, name := range []string{
			"max_connections", "acquires_total", "acquire_wait_seconds_total", "canceled_acquires_total", "new_connections_total",
		} {
			want["pool_"+name] = ""
		}
		for _, name := range []string{"max_connections", "acquires_total", "new_connections_total"} {
			if m.sum("pool_"+name) < 1 {
				t.Errorf("pool_%s: %v", name, m.sum("pool_"+name))
			}
		}
	}
	got := make(map[string]string)
	for name, family := range m {
		if short, ours := strings.CutPrefix(name, "sellio_cart_"); ours {
			var labels []string
			for _, l := range family.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			slices.Sort(labels)
			got[short] = strings.Join(labels, " ")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("metrics and their labels (-want +got):\n%s", diff)
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if m[name] == nil {
			t.Errorf("no %s", name)
		}
	}
}

// TestMetricsOfTrouble causes faults that the metrics should show.
func TestMetricsOfTrouble(t *testing.T) {
	t.Parallel()
	url := databases[0].url(t)
	p := serve(t, "DATABASE_URL="+url)
	s := openShop(t, p)
	s.post(addBody(7, 1), addItem).cart(http.StatusCreated)
	db, _ := connect(t, url)
	// A writer that changes a cart between its load and its save causes a conflict.
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE cart SET version = version + 1"); err != nil {
		t.Fatal(err)
	}
	saved := make(chan answer)
	go func() { saved <- s.put(`{"quantity": 2}`, "/api/v1/cart/1/item/1/quantity") }()
	until(t, "the save waits for the lock", func() bool {
		var waiting int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted").Scan(&waiting)
		return err == nil && waiting > 0
	})
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if c := (<-saved).cart(http.StatusOK); c.Version != 3 {
		t.Errorf("saved %+v, want version 3", c)
	}
	m := p.scrape()
	if m.sum("conflicts_total") != 1 || m.sum("retries_total") != 1 {
		t.Errorf("%v conflicts and %v retries, want one each", m.sum("conflicts_total"), m.sum("retries_total"))
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE cart_item RENAME TO gone"); err != nil {
		t.Fatal(err)
	}
	s.get("/api/v1/cart/1").problem(http.StatusServiceUnavailable)
	if got := p.scrape().sum("store_seconds", "operation=load", "outcome=error"); got != 1 {
		t.Errorf("%v loads failed, want 1", got)
	}
}

// TestAdminPort checks what is on it, and that none of it is on the public one.
func TestAdminPort(t *testing.T) {
	t.Parallel()
	p := serve(t)
	for path, part := range map[string]string{
		"/metrics": "sellio_cart_ready 1", "/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "main.",
		"/debug/pprof/heap": "", "/debug/pprof/cmdline": "",
	} {
		status, body, err := call(t.Context(), http.MethodGet, p.admin+path, "")
		if err != nil || status != http.StatusOK || !bytes.Contains(body, []byte(part)) {
			t.Errorf("%s: status %d, %v\n%.200s", path, status, err, body)
		}
		p.must(http.StatusNotFound, nil, http.MethodGet, path, "")
	}
	if status, _, err := call(t.Context(), http.MethodGet, p.admin+"/api/v1/cart/1", ""); err != nil || status != http.StatusNotFound {
		t.Errorf("a cart on the admin port: status %d, %v", status, err)
	}
	port := p.admin[strings.LastIndex(p.admin, ":")+1:]
	_, stderr, code := runOnce(t, nil, "ADMIN_PORT="+port)
	if code != 1 || !strings.Contains(stderr, fmt.Sprintf("ADMIN_PORT=%s", port)) || strings.Count(stderr, "\n") != 1 {
		t.Errorf("on a port that is taken: exit code %d, want 1 and a line\n%s", code, stderr)
	}
}
