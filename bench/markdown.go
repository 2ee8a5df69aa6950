package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// report writes BENCHMARKS.md and its plots from the results of the last full run and, if there are any, of the last
// comparison. It includes bench/NOTES.md as it is, and writes the targets to w.
func report(root string, w io.Writer) error {
	r, err := readResults(resultsPath(root, commandFull))
	if err != nil {
		return err
	}
	compared, err := readResults(resultsPath(root, commandAgainst))
	if errors.Is(err, fs.ErrNotExist) {
		compared, err = nil, nil
	}
	if err != nil {
		return err
	}
	notes, err := os.ReadFile(filepath.Join(root, "bench", "NOTES.md"))
	if err != nil {
		return err
	}
	if err := r.plot(filepath.Join(root, "bench", "results")); err != nil {
		return err
	}
	text := r.markdown(string(notes), compared)
	if err := os.WriteFile(filepath.Join(root, "BENCHMARKS.md"), []byte(text), 0o644); err != nil {
		return err
	}
	return r.printTargets(w)
}

const introduction = `# Benchmarks

<!-- Made by make bench-report from bench/results/. Do not edit; comments on the figures belong in bench/NOTES.md. -->

` + "`make bench`" + ` repeats all of these measurements and ` + "`make bench-quick`" + ` the core of them in two minutes;
` + "`make bench-against REVISION=…`" + ` compares the service with another revision. They need PostgreSQL's programs and wrk.
PostgreSQL, the service and the load generator share one machine. PostgreSQL and the service have their default settings:
every acknowledged write is committed and on disk.

The baselines are two pgbench scripts. Each transaction is one prepared statement for one cart: the read returns the whole
cart; the write changes a line and the cart's version, and returns the whole cart. "× pgbench" is the rate divided by that
of the baseline with 16 clients, in the same round on the same data: reads by the read baseline, everything else by the
write baseline. Every round runs all measurements in turn. Figures are medians; spreads are the smallest and the largest
round. wrk corrects latencies for coordinated omission: a slow answer also counts for the requests that it held up. A single
failed request fails the whole run.

`

// markdown returns BENCHMARKS.md. Compared may be nil.
func (r *Results) markdown(notes string, compared *Results) string {
	var w strings.Builder
	w.WriteString(introduction)
	m := r.Machine
	fmt.Fprintf(&w, "%s, %d cores, %.0f GiB, %s, kernel %s, %s; PostgreSQL %s, %s, wrk %s; revision %s. ",
		m.CPU, m.Cores, float64(m.Memory)/(1<<30), m.System, m.Kernel, m.FileSystem, m.PostgreSQL, m.Go, m.Wrk, m.Revision)
	fmt.Fprintf(&w, "%s, %d rounds of %d s each; load average %s before the run. ",
		r.Began.Format("2 January 2006"), r.Plan.Rounds, r.Plan.Seconds, m.LoadBefore)
	fmt.Fprintf(&w, "%d carts of %d lines unless stated otherwise.\n\n", r.Plan.Carts, r.Plan.Lines)
	r.writeTargets(&w)
	w.WriteString(strings.TrimSpace(notes) + "\n\n")
	local := func(k Key) bool {
		return k.Part == "" && k.Database == "PostgreSQL" && k.Hot == 0
	}
	r.section(&w, "Throughput", "throughput", local)
	fmt.Fprintf(&w, "![Latency percentiles](bench/results/latency.svg)\n\n")
	r.section(&w, "All clients on a few carts", "", func(k Key) bool { return k.Hot > 0 })
	r.section(&w, "Growth", "growth", func(k Key) bool { return k.Part == growth })
	r.section(&w, "The database 1 ms away", "", func(k Key) bool { return k.Database == "PostgreSQL, 1 ms away" })
	r.section(&w, "SQLite", "", func(k Key) bool { return k.Database == "SQLite" })
	if compared != nil {
		compared.writeComparison(&w)
	}
	start := spread(r.StartMS)
	fmt.Fprintf(&w, "## Footprint\n\nThe service answers %.0f ms after its start (%.0f–%.0f). Its binary is %.1f MiB. "+
		"With 256 connections it uses at most %.1f MiB of memory.\n",
		start.Median, start.Min, start.Max, float64(r.BinaryBytes)/(1<<20), spread(r.largestMemory()).Max)
	return w.String()
}

func (r *Results) writeTargets(w *strings.Builder) {
	w.WriteString("## Targets\n\n| | reached | spread | target | |\n|---|---:|---:|---:|---|\n")
	for _, t := range r.targets() {
		fmt.Fprintf(w, "| %s | %.2f | %.2f–%.2f | %s | %s |\n",
			t.name, t.reached.Median, t.reached.Min, t.reached.Max, t.bound(), t.verdict())
	}
	w.WriteString("\n")
}

// section writes a table of the series that match the filter, below their plot if there is one.
func (r *Results) section(w *strings.Builder, title, plot string, filter func(Key) bool) {
	var rows []string
	for _, s := range r.Series {
		if filter(s.Key) {
			rows = append(rows, r.row(s))
		}
	}
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(w, "## %s\n\n", title)
	if plot != "" {
		fmt.Fprintf(w, "![%s](bench/results/%s.svg)\n\n", title, plot)
	}
	w.WriteString("| load | clients | × pgbench | answers/s | spread | p50 ms | p99 ms | p99.9 ms | service CPU, µs an answer |\n")
	w.WriteString("|---|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	w.WriteString(strings.Join(rows, "") + "\n")
}

func (r *Results) row(s Series) string {
	name := s.Load
	switch {
	case s.Hot == 1:
		name += ", on one cart"
	case s.Hot > 1:
		name += fmt.Sprintf(", on %d carts", s.Hot)
	case s.Part == growth:
		name += fmt.Sprintf(", %d carts of %d", s.Carts, s.Lines)
	}
	speed := spread(s.values(rate))
	times := spread(ratios(s.values(rate), r.baseline(s.Key).values(rate)))
	return fmt.Sprintf("| %s | %d | %.2f | %.0f | %.0f–%.0f | %s | %s | %s | %s |\n",
		name, s.Clients, times.Median, speed.Median, speed.Min, speed.Max,
		figure(s, p50, 2), figure(s, p99, 2), figure(s, p999, 2), figure(s, cpuShare, 0))
}

// figure returns a median, or nothing if it is not known.
func figure(s Series, of func(Sample) float64, digits int) string {
	median := spread(s.values(of)).Median
	if median == 0 {
		return ""
	}
	return fmt.Sprintf("%.*f", digits, median)
}
