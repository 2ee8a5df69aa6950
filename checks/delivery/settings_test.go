package delivery

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// chartOwned are the settings that the chart decides by itself. AUTO_MIGRATE is one: its pods migrate before
// they serve. Tokens are a file, because an environment is easily shown.
var chartOwned = []string{
	"DATABASE_URL", "HTTP_PORT", "GRPC_PORT", "ADMIN_PORT", "SHUTDOWN_TIMEOUT", "AUTO_MIGRATE",
	"AUTH_TOKENS", "AUTH_TOKENS_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "GRPC_CLIENT_CA_FILE",
}

// TestChartKnowsTheSettings checks that a new setting of the service can be given to the chart, and that one
// that is gone no longer can.
func TestChartKnowsTheSettings(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties struct {
			Config struct {
				Properties map[string]any
			}
		}
	}
	data, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(schema.Properties.Config.Properties))
	want := slices.DeleteFunc(serviceSettings(t), func(name string) bool { return slices.Contains(chartOwned, name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config in values.schema.json (-service +chart):\n%s", diff)
	}
}

func TestChartSetsKnownSettingsOnly(t *testing.T) {
	t.Parallel()
	known := append(serviceSettings(t), "GOMEMLIMIT") // read by the Go runtime
	eachVariant(t, func(t *testing.T, r *rendered) {
		config := only[*corev1.ConfigMap](t, r)
		names := slices.Collect(maps.Keys(config.Data))
		for _, c := range containers(t, r) {
			if len(c.EnvFrom) != 1 || c.EnvFrom[0].ConfigMapRef == nil || c.EnvFrom[0].ConfigMapRef.Name != config.Name {
				t.Errorf("container %s does not read ConfigMap %s", c.Name, config.Name)
			}
			for _, e := range c.Env {
				names = append(names, e.Name)
			}
		}
		for _, name := range names {
			if !slices.Contains(known, name) && !strings.HasPrefix(name, "OTEL_") {
				t.Errorf("%s is no setting of the service", name)
			}
		}
	})
}

// Helm reads a number in a values file as a float, and a switch as a boolean.
func TestChartPrintsValuesAsTheyAre(t *testing.T) {
	t.Parallel()
	r := renderValues(t, map[string]any{"config": map[string]any{"QUEUE_SIZE": float64(1_000_000), "DOCS_ENABLED": false}})
	data := only[*corev1.ConfigMap](t, r).Data
	if size, docs := data["QUEUE_SIZE"], data["DOCS_ENABLED"]; size != "1000000" || docs != "false" {
		t.Errorf("QUEUE_SIZE = %q and DOCS_ENABLED = %q, want 1000000 and false", size, docs)
	}
}

// serviceSettings returns the environment variables that internal/config declares in `env` tags, sorted.
func serviceSettings(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(root + "/internal/config/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok || field.Tag == nil {
				return true
			}
			tag, err := strconv.Unquote(field.Tag.Value)
			if err != nil {
				t.Fatal(err)
			}
			name, _, _ := strings.Cut(reflect.StructTag(tag).Get("env"), ",")
			if name != "" {
				names = append(names, name)
			}
			return true
		})
	}
	if len(names) == 0 {
		t.Fatal("internal/config declares no settings")
	}
	slices.Sort(names)
	return names
}
