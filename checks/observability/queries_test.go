package observability

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	rulesFile     = root + "/deploy/prometheus/rules.yml"
	dashboardFile = root + "/deploy/grafana/sellio-cart.json"
	guideFile     = root + "/docs/operations.md"
)

// scraped are labels that the scrape adds.
var scraped = []string{"namespace", "job", "instance"}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// readRules returns the rules as Prometheus reads them; a field that it does not know is an error.
func readRules(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.Parse(read(t, rulesFile), false, model.UTF8Validation, promql, promslog.NewNopLogger())
	for _, err := range errs {
		t.Fatal(err)
	}
	var rules []rulefmt.Rule
	for _, g := range groups.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules
}

// panel is a part of the dashboard.
type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    struct{ H, W, X, Y int }
	Targets    []struct{ Expr string }
}

// dashboard has the parts of the dashboard that the tests need.
type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name string
			// Query is an object, and a plain string for the data source.
			Query json.RawMessage
		}
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(read(t, dashboardFile), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// variables of the dashboard, with what Grafana may put in their place.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", "cart-1|cart-2")

// queries returns every query of the rules and of the dashboard, by where it stands.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range readRules(t) {
		all["rule "+r.Record+r.Alert] = r.Expr
	}
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all["panel "+p.Title+": "+target.Expr] = variables.Replace(target.Expr)
		}
	}
	return all
}

// TestMetrics drives the real program and reads its metrics. Every metric and label that a rule or the dashboard names
// must be there, and docs/operations.md must explain each of the service's own.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.drive(t)
	families := s.scrape(t)
	guide := string(read(t, guideFile))
	for name := range families {
		if strings.HasPrefix(name, "sellio_cart_") && !strings.Contains(guide, "`"+name+"`") {
			t.Errorf("docs/operations.md does not explain %s", name)
		}
	}
	series := exported(families)
	for _, r := range readRules(t) {
		if r.Record != "" { // level:metric:operation, and the level names the labels
			level, _, _ := strings.Cut(r.Record, ":")
			series[r.Record] = map[string]bool{}
			for label := range strings.SplitSeq(level, "_") {
				series[r.Record][label] = true
			}
		}
	}
	for where, query := range queries(t) {
		expr, err := promql.ParseExpr(query)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		checkNames(t, where, expr, series)
	}
}

// checkNames checks the metrics that an expression selects, and the labels that it selects and groups by.
func checkNames(t *testing.T, where string, expr parser.Expr, series map[string]map[string]bool) {
	t.Helper()
	labels := map[string]bool{}
	for _, name := range scraped {
		labels[name] = true
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		selector, ok := node.(*parser.VectorSelector)
		if !ok {
			return nil
		}
		if series[selector.Name] == nil {
			t.Errorf("%s: the service exports no %s", where, selector.Name)
			return nil
		}
		for name := range series[selector.Name] {
			labels[name] = true
		}
		for _, m := range selector.LabelMatchers {
			if m.Name != model.MetricNameLabel && !series[selector.Name][m.Name] && !slices.Contains(scraped, m.Name) {
				t.Errorf("%s: %s has no label %s", where, selector.Name, m.Name)
			}
		}
		return nil
	})
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if aggregate, ok := node.(*parser.AggregateExpr); ok {
			for _, name := range aggregate.Grouping {
				if !labels[name] {
					t.Errorf("%s: groups by %s, which nothing in it has", where, name)
				}
			}
		}
		return nil
	})
}

// TestDashboard checks what Grafana assumes of a dashboard.
func TestDashboard(t *testing.T) {
	t.Parallel()
	d := readDashboard(t)
	if d.UID == "" {
		t.Error("no uid, so that each import makes another dashboard")
	}
	ids := map[int]bool{}
	for i, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Datasource.UID != "${datasource}" {
			t.Errorf("panel %q has no query, or one to another data source than the chosen one", p.Title)
		}
		for _, other := range d.Panels[:i] {
			a, b := p.GridPos, other.GridPos
			if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %q and %q overlap", p.Title, other.Title)
			}
		}
	}
	for _, v := range d.Templating.List {
		if !strings.Contains(string(read(t, dashboardFile)), "$"+v.Name) && !strings.Contains(string(read(t, dashboardFile)), "${"+v.Name+"}") {
			t.Errorf("variable %s is not used", v.Name)
		}
	}
}

// TestAlertsLeadToTheGuide checks that each alert says what is wrong and links to the section on what to do.
func TestAlertsLeadToTheGuide(t *testing.T) {
	t.Parallel()
	const guide = "https://github.com/sellio/sellio-cart/blob/main/docs/operations.md#"
	sections := string(read(t, guideFile))
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s needs a summary and a description", r.Alert)
		}
		if got, want := r.Annotations["runbook_url"], guide+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook_url %s, want %s", r.Alert, got, want)
		}
		if !strings.Contains(sections, "\n### "+r.Alert+"\n") {
			t.Errorf("docs/operations.md does not say what to do for %s", r.Alert)
		}
	}
}
