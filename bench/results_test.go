//go:build unix

package main

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{9, 1, 4}, Spread{4, 1, 9}},
		{[]float64{9, 1, 4, 2}, Spread{3, 1, 9}},
	} {
		if got := spread(test.values); got != test.want {
			t.Errorf("%v: got %v, want %v", test.values, got, test.want)
		}
	}
}

func TestRatios(t *testing.T) {
	t.Parallel()
	// A round that lacks either half, or that has nothing to divide by, does not count.
	got := ratios([]float64{2, 9, 5, 7}, []float64{4, 3, 0})
	if want := []float64{0.5, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSampleOf(t *testing.T) {
	t.Parallel()
	var latencies []time.Duration
	for i := 1000; i > 0; i-- {
		latencies = append(latencies, time.Duration(i)*time.Millisecond)
	}
	got := sampleOf(latencies, 4*time.Second)
	want := Sample{Requests: 1000, Rate: 250, P50: 500, P90: 900, P99: 990, P999: 999, Max: 1000}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// results has two rounds of the baseline and of one load.
func results() *Results {
	r := &Results{Plan: Plan{Rounds: 2, Seconds: 2, Carts: 100, Lines: 5}}
	add := func(load string, clients int, samples ...Sample) {
		key := Key{Database: "PostgreSQL", Carts: 100, Lines: 5, Load: load, Clients: clients}
		r.Series = append(r.Series, Series{key, samples})
	}
	add(pgbenchWrite, 16, Sample{Rate: 100}, Sample{Rate: 200})
	add(restItem, 64, Sample{Rate: 300, P50: 1, P99: 3, RSS: 60 << 20}, Sample{Rate: 400, P50: 1, P99: 6, RSS: 61 << 20})
	add(restItem, 256, Sample{Rate: 500, RSS: 50 << 20}, Sample{Rate: 500, RSS: 70 << 20})
	return r
}

func TestTargets(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, target := range results().targets() {
		got[target.name] = target.verdict()
	}
	for name, want := range map[string]string{
		"POST item, 64 connections / pgbench write, 16 clients": "met",          // 3 and 2 of 2.5
		"POST item, 256 connections / the same":                 "met",          // 5 and 2.5 of 3.5
		"p99 / p50, POST item, 64 connections":                  "missed",       // 3 and 6 of 4
		"p99 / p50, GET by id, 64 connections":                  "not measured", //
		"largest resident memory in MiB, 256 connections":       "missed",       // 50 and 70 of 64
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
}

func TestPeak(t *testing.T) {
	t.Parallel()
	r := results()
	if got := r.peak(r.main(restItem, 0).Key); got != 500 {
		t.Errorf("got %v, want 500", got)
	}
}

func TestResultsSurviveTheFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	want := results()
	if err := want.write(path); err != nil {
		t.Fatal(err)
	}
	got, err := readResults(path)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	text := results().markdown("## What it means\n", nil)
	for _, want := range []string{
		"| POST item, 64 connections / pgbench write, 16 clients | 2.50 | 2.00–3.00 | ≥ 2.5 | met |",
		"| REST POST item | 64 | 2.50 | 350 | 300–400 | 1.00 | 4.50 |",
		"## What it means",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if strings.Contains(text, "## SQLite") {
		t.Error("a section without figures")
	}
}

// compared has two rounds of one load on the service and on another revision.
func compared() *Results {
	r := &Results{
		Plan:    Plan{Command: commandAgainst, Against: "old", Rounds: 2, Seconds: 1, Carts: 100, Lines: 5},
		Machine: Machine{Revision: "new"},
	}
	for database, rounds := range map[string][]Sample{
		"PostgreSQL":      {{Rate: 30, CPU: 2, Requests: 10}, {Rate: 10, CPU: 1, Requests: 10}},
		"PostgreSQL, old": {{Rate: 15, CPU: 1, Requests: 10}, {Rate: 10, CPU: 1, Requests: 5}},
	} {
		key := Key{Database: database, Carts: 100, Lines: 5, Load: restCheckout, Clients: comparedClients}
		r.Series = append(r.Series, Series{key, rounds})
	}
	return r
}

func TestComparison(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := compared().printComparison(&out); err != nil {
		t.Fatal(err)
	}
	want := []string{"1.500", "1.000–2.000", "1.250", "0.500–2.000"}
	for line := range strings.Lines(out.String()) {
		if figures, ok := strings.CutPrefix(line, restCheckout); ok && !slices.Equal(strings.Fields(figures), want) {
			t.Errorf("got %q, want %q", figures, want)
		}
	}
	if !strings.HasPrefix(out.String(), "new / old") || !strings.Contains(out.String(), restCheckout) {
		t.Errorf("no revisions or no checkout in:\n%s", out.String())
	}
}

func TestPlots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := results().plot(dir); err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.svg"))
	if err != nil || len(found) != 3 {
		t.Errorf("got %v, %v; want 3 plots", found, err)
	}
}
