package delivery

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// chartOwned are the settings that the chart decides by itself. AUTO_MIGRATE is one: its pods migrate before
// they serve. ADMIN_ADDRESS is another: the kubelet probes the pod's own address. Tokens are a file, because an
// environment is easily shown.
var chartOwned = []string{
	"DATABASE_URL", "HTTP_PORT", "GRPC_PORT", "ADMIN_PORT", "ADMIN_ADDRESS", "SHUTDOWN_TIMEOUT", "AUTO_MIGRATE",
	"AUTH_TOKENS", "AUTH_TOKENS_FILE", "TLS_CERT_FILE", "TLS_KEY_FILE", "GRPC_CLIENT_CA_FILE",
}

func TestChartSetsKnownSettingsOnly(t *testing.T) {
	t.Parallel()
	known := append(serviceSettings(t), "GOMEMLIMIT", "HTTPS_PROXY") // read by the Go runtime and by net/http
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

// serviceSettings returns the names of the service's settings, sorted.
func serviceSettings(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(maps.Keys(serviceSettingTags(t)))
}

// serviceSettingTags returns the tags of the fields that internal/config reads from the environment, by variable.
func serviceSettingTags(t *testing.T) map[string]reflect.StructTag {
	t.Helper()
	files, err := filepath.Glob(root + "/internal/config/*.go")
	if err != nil {
		t.Fatal(err)
	}
	tags := map[string]reflect.StructTag{}
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
				tags[name] = reflect.StructTag(tag)
			}
			return true
		})
	}
	if len(tags) == 0 {
		t.Fatal("internal/config declares no settings")
	}
	return tags
}
