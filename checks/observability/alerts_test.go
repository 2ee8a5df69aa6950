package observability

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

var promql = parser.NewParser(parser.Options{})

// alertTest is a course of events, a value a minute, with the alerts that fire at its end. Most begin with ready, since
// SellioCartDown fires where no instance reports.
type alertTest struct {
	name   string
	series string
	fire   []string
}

const (
	ready = "\n  sellio_cart_ready{instance=\"a\"} 1x20"
	// traffic is one request a second, and none of it slow.
	traffic = ready + `
  sellio_cart_request_duration_seconds_count{instance="a", transport="rest", code="200"} 0+60x20
  sellio_cart_request_duration_seconds_bucket{instance="a", transport="rest", code="200", le="0.5"} 0+60x20
  sellio_cart_request_duration_seconds_bucket{instance="a", transport="rest", code="200", le="+Inf"} 0+60x20`
)

var alertTests = []alertTest{
	{"all is well", traffic, nil},
	{"nobody is there", "\n  up 1x20", []string{"SellioCartDown"}},
	{"nobody is ready", `
  sellio_cart_ready{instance="a"} 0x20
  sellio_cart_ready{instance="b"} 0x20`, []string{"SellioCartDown", "SellioCartNotReady"}},
	{"one is not ready", ready + `
  sellio_cart_ready{instance="b"} 0x20`, []string{"SellioCartNotReady"}},
	{"one is not ready for a moment", ready + `
  sellio_cart_ready{instance="b"} 1x17 0x2 1x0`, nil},
	{"one in ten fails over REST", traffic + `
  sellio_cart_request_duration_seconds_count{instance="a", transport="rest", code="500"} 0+7x20`, []string{"SellioCartErrors"}},
	{"one in ten fails over gRPC", ready + `
  sellio_cart_request_duration_seconds_count{instance="a", transport="grpc", code="OK"} 0+60x20
  sellio_cart_request_duration_seconds_count{instance="a", transport="grpc", code="Unavailable"} 0+7x20`, []string{"SellioCartErrors"}},
	{"callers are wrong", traffic + `
  sellio_cart_request_duration_seconds_count{instance="a", transport="rest", code="404"} 0+60x20
  sellio_cart_request_duration_seconds_count{instance="a", transport="grpc", code="OK"} 0+60x20
  sellio_cart_request_duration_seconds_count{instance="a", transport="grpc", code="ResourceExhausted"} 0+60x20`, nil},
	{"one in twenty is slow", ready + `
  sellio_cart_request_duration_seconds_bucket{instance="a", transport="rest", le="0.5"} 0+57x20
  sellio_cart_request_duration_seconds_bucket{instance="a", transport="rest", le="1"} 0+60x20
  sellio_cart_request_duration_seconds_bucket{instance="a", transport="rest", le="+Inf"} 0+60x20`, []string{"SellioCartSlow"}},
	{"a queue fills", ready + `
  sellio_cart_queue_limit{instance="a", queue="writes"} 1000x20
  sellio_cart_queue_limit{instance="a", queue="reads"} 1000x20
  sellio_cart_queue_depth{instance="a", queue="writes"} 600x20
  sellio_cart_queue_depth{instance="a", queue="reads"} 400x20`, []string{"SellioCartQueueFilling"}},
	{"a queue is full", ready + `
  sellio_cart_refusals_total{instance="a", queue="writes"} 0+5x20
  sellio_cart_refusals_total{instance="a", queue="reads"} 0x20`, []string{"SellioCartRefusing"}},
	{"all connections hang", ready + `
  sellio_cart_pool_max_connections{instance="a"} 7x20
  sellio_cart_pool_connections{instance="a", state="acquired"} 7x20
  sellio_cart_pool_connections{instance="a", state="idle"} 0x20`, []string{"SellioCartPoolExhausted"}},
	{"all lanes are busy", ready + `
  sellio_cart_pool_max_connections{instance="a"} 7x20
  sellio_cart_pool_connections{instance="a", state="acquired"} 6x20`, nil},
	{"many writes collide", ready + `
  sellio_cart_retries_total{instance="a"} 0+30x20
  sellio_cart_batch_size_sum{instance="a", queue="writes"} 0+100x20`, []string{"SellioCartConflicts"}},
	{"it crashes again and again", ready + `
  sellio_cart_build_info{instance="a"} 1x20
  process_start_time_seconds{instance="a"} 1x5 2x5 3x5 4x2`, []string{"SellioCartRestarts"}},
	{"something else crashes again and again", ready + `
  sellio_cart_build_info{instance="a"} 1x20
  process_start_time_seconds{instance="other"} 1x5 2x5 3x5 4x2`, nil},
	{"locks outlast their lease", ready + `
  sellio_cart_leases_overdue{instance="a"} 2x20
  sellio_cart_leases_overdue{instance="b"} 0x20`, []string{"SellioCartLeases"}},
	{"a lock is ended at the next look", ready + `
  sellio_cart_leases_overdue{instance="a"} 1 0x20`, nil},
	{"memory is short", ready + `
  sellio_cart_build_info{instance="a"} 1x20
  go_gc_gomemlimit_bytes{instance="a"} 100x20
  process_resident_memory_bytes{instance="a"} 97x20`, []string{"SellioCartMemory"}},
	{"memory has no limit", ready + `
  sellio_cart_build_info{instance="a"} 1x20
  go_gc_gomemlimit_bytes{instance="a"} 9.223372036854776e+18x20
  process_resident_memory_bytes{instance="a"} 1e9x20`, nil},
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	fired := map[string]bool{}
	for _, test := range alertTests {
		for _, name := range test.fire {
			fired[name] = true
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.fire, firing(t, "load 1m"+test.series, 20*time.Minute)); diff != "" {
				t.Errorf("alerts (-want +got):\n%s", diff)
			}
		})
	}
	for _, r := range readRules(t) {
		if r.Alert != "" && !fired[r.Alert] {
			t.Errorf("no case has %s fire", r.Alert)
		}
	}
}

// firing evaluates the rules every minute, as Prometheus does, and returns the names of the alerts that fire at the end.
func firing(t *testing.T, load string, end time.Duration) []string {
	t.Helper()
	storage := promqltest.LoadedStorage(t, load)
	defer func() {
		if err := storage.Close(); err != nil {
			t.Error(err)
		}
	}()
	manager := rules.NewManager(&rules.ManagerOptions{
		Context:      t.Context(),
		AppendableV2: storage,
		Queryable:    storage,
		QueryFunc:    rules.EngineQueryFunc(promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery), storage),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
	})
	groups, errs := manager.LoadGroups(time.Minute, labels.EmptyLabels(), "", nil, false, rulesFile)
	for _, err := range errs {
		t.Fatal(err)
	}
	// In this order: alerts use what the first group records.
	ordered := slices.SortedFunc(maps.Values(groups), func(a, b *rules.Group) int { return -strings.Compare(a.Name(), b.Name()) })
	for at := time.Duration(0); at <= end; at += time.Minute {
		for _, g := range ordered {
			g.Eval(t.Context(), time.Unix(0, 0).Add(at))
		}
	}
	var names []string
	for _, g := range ordered {
		for _, r := range g.Rules() {
			if err := r.LastError(); err != nil {
				t.Errorf("%s: %v", r.Name(), err)
			}
		}
		for _, r := range g.AlertingRules() {
			if r.State() == rules.StateFiring {
				names = append(names, r.Name())
			}
		}
	}
	slices.Sort(names)
	return names
}
