package delivery

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chartutil"
	corev1 "k8s.io/api/core/v1"
)

// everything returns values that set everything that can be set.
func everything(t *testing.T) map[string]any {
	t.Helper()
	vals, err := chartutil.ReadValuesFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return vals
}

// schema is the part of a JSON schema that the tests look at.
type schema struct {
	Ref              string `json:"$ref"`
	Properties       map[string]schema
	Defs             map[string]schema `json:"$defs"`
	Minimum, Maximum *int
	Pattern          string
}

func valuesSchema(t *testing.T) schema {
	t.Helper()
	data, err := os.ReadFile(chart + "/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// missing returns the properties of the schema that the values lack, as paths.
func (s schema) missing(defs map[string]schema, vals map[string]any, prefix string) (paths []string) {
	for name, property := range s.Properties {
		if def, ok := strings.CutPrefix(property.Ref, "#/$defs/"); ok {
			property = defs[def]
		}
		value, ok := vals[name]
		if !ok {
			paths = append(paths, prefix+name)
			continue
		}
		if below, ok := value.(map[string]any); ok {
			paths = append(paths, property.missing(defs, below, prefix+name+".")...)
		}
	}
	slices.Sort(paths)
	return paths
}

// TestChartTestsSetEverything checks that everything.yaml sets every value, so that the tests cover each new one.
func TestChartTestsSetEverything(t *testing.T) {
	t.Parallel()
	s := valuesSchema(t)
	if paths := s.missing(s.Defs, everything(t), ""); paths != nil {
		t.Errorf("testdata/everything.yaml does not set %q", paths)
	}
}

func TestChartValuesShowEverything(t *testing.T) {
	t.Parallel()
	vals, err := chartutil.ReadValuesFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := valuesSchema(t)
	delete(s.Properties, "global") // of the charts around this one
	delete(s.Properties, "config") // in the README
	delete(s.Defs, "probe")        // in the documentation of Kubernetes
	if paths := s.missing(s.Defs, vals, ""); paths != nil {
		t.Errorf("values.yaml does not show %q", paths)
	}
}

// TestChartKnowsTheBounds checks that values that the schema lets through are within the bounds of the service's settings.
func TestChartKnowsTheBounds(t *testing.T) {
	t.Parallel()
	config := valuesSchema(t).Properties["config"].Properties
	for name, tag := range serviceSettingTags(t) {
		s, ok := config[name]
		if !ok {
			continue
		}
		low, errLow := strconv.Atoi(tag.Get("min"))
		high, errHigh := strconv.Atoi(tag.Get("max"))
		if errLow != nil || errHigh != nil { // no number: a duration or a text
			continue
		}
		if s.Minimum == nil || s.Maximum == nil || *s.Minimum != low || *s.Maximum != high {
			t.Errorf("%s is not bounded by %d and %d, as in the service", name, low, high)
		}
	}
}

// TestChartSettingsStart has the service itself read the settings that its pod would get.
func TestChartSettingsStart(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "sellio-cart")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", binary, "./cmd/sellio-cart")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	eachVariant(t, func(t *testing.T, r *rendered) {
		cmd := exec.CommandContext(t.Context(), binary, "config")
		cmd.Dir = t.TempDir()
		cmd.Env = []string{"DATABASE_URL=postgresql://db/cart"}
		for name, value := range only[*corev1.ConfigMap](t, r).Data {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// TestChartKnowsTheSettings checks that a new setting of the service can be given to the chart, and that one
// that is gone no longer can.
func TestChartKnowsTheSettings(t *testing.T) {
	t.Parallel()
	got := slices.Sorted(maps.Keys(valuesSchema(t).Properties["config"].Properties))
	want := slices.DeleteFunc(serviceSettings(t), func(name string) bool { return slices.Contains(chartOwned, name) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("config in values.schema.json (-service +chart):\n%s", diff)
	}
}
