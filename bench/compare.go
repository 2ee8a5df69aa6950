//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

// comparedLoads are the loads that two revisions of the service are compared with.
var comparedLoads = []string{restGet, restItem, rpcGet, rpcItem, restCheckout}

// comparedClients is the number of connections, or of calls in flight.
const comparedClients = 64

// compare measures the services of two revisions side by side, on the same database.
func (b *bench) compare(ctx context.Context) error {
	root := filepath.Join(b.dir, "against")
	if err := b.checkOut(ctx, b.plan.Against, root); err != nil {
		return err
	}
	b.log.Print("building the service of ", b.plan.Against)
	program, err := build(ctx, root, root)
	if err != nil {
		return err
	}
	ours, err := b.postgresSite(ctx, "", b.plan.Carts, b.plan.Lines)
	if err != nil {
		return err
	}
	// A name such as HEAD~1 will mean another revision tomorrow.
	b.results.Plan.Against = describe(ctx, root)
	theirs := *ours
	theirs.kind = against(ours.kind, b.results.Plan.Against)
	if err := b.serve(ctx, &theirs, program, b.server.url(theirs.database)); err != nil {
		return err
	}
	var steps []step
	for _, load := range comparedLoads {
		for _, s := range []*site{ours, &theirs} {
			steps = append(steps, b.compared(s, load))
		}
	}
	if err := warm(ctx, steps...); err != nil {
		return err
	}
	return b.measure(ctx, steps, b.tidy(ours))
}

// compared is a step on one of the two sites.
func (b *bench) compared(s *site, load string) step {
	switch {
	case load == restCheckout:
		return b.checkout(s, comparedClients)
	case scripts[load] != "":
		return b.rest(s, load, comparedClients, 0)
	}
	return b.rpc(s, load, comparedClients)
}

// checkOut puts the files of a revision into a new directory.
func (b *bench) checkOut(ctx context.Context, revision, dir string) error {
	// In a clone, local branches have other names.
	commit, err := output(program(ctx, "git", "-C", b.root, "rev-parse", "--verify", "--end-of-options", revision+"^{commit}"))
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"clone", "--quiet", "--shared", "--no-checkout", b.root, dir},
		{"-C", dir, "checkout", "--quiet", "--detach", strings.TrimSpace(string(commit))},
	} {
		if _, err := output(program(ctx, "git", args...)); err != nil {
			return err
		}
	}
	return nil
}

// comparison has the figures of one load, as ratios to the other revision.
type comparison struct {
	load      string
	rate, cpu quartiles
}

// quartiles are the median of several values and the bounds of their middle half.
type quartiles struct{ median, low, high float64 }

func quartilesOf(values []float64) quartiles {
	sorted := slices.Sorted(slices.Values(values))
	return quartiles{median: spread(sorted).Median, low: percentile(sorted, 0.25), high: percentile(sorted, 0.75)}
}

// comparisons returns one for each load.
func (r *Results) comparisons() []comparison {
	all := make([]comparison, len(comparedLoads))
	for i, load := range comparedLoads {
		ours := r.main(load, comparedClients)
		key := ours.Key
		key.Database = against(key.Database, r.Plan.Against)
		theirs := r.of(key)
		all[i] = comparison{
			load: load,
			rate: quartilesOf(ratios(ours.values(rate), theirs.values(rate))),
			cpu:  quartilesOf(ratios(ours.values(cpuShare), theirs.values(cpuShare))),
		}
	}
	return all
}

// against returns the Key.Database of the service of another revision.
func against(database, revision string) string { return database + ", " + revision }

// printComparison writes the comparison as text.
func (r *Results) printComparison(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s / %s\trate\tquartiles\tCPU of an answer\tquartiles\n", r.Machine.Revision, r.Plan.Against)
	for _, c := range r.comparisons() {
		fmt.Fprintf(table, "%s\t%.3f\t%.3f–%.3f\t%.3f\t%.3f–%.3f\n",
			c.load, c.rate.median, c.rate.low, c.rate.high, c.cpu.median, c.cpu.low, c.cpu.high)
	}
	return table.Flush()
}

// writeComparison writes the comparison as a section of BENCHMARKS.md.
func (r *Results) writeComparison(w io.Writer) {
	fmt.Fprintf(w, "## Against %s\n\n", r.Plan.Against)
	fmt.Fprintf(w, "`make bench-against REVISION=%s ROUNDS=%d` runs revision %s of the service beside %s on one database with "+
		"%d carts of %d lines. Each load runs for %d s on one and then on the other, with %d clients; the order changes from "+
		"round to round, and carts that a load makes are deleted before the next round. The figures are medians of the "+
		"ratios within a round, with their quartiles. In the last load one answer is one cart: three requests.\n\n",
		r.Plan.Against, r.Plan.Rounds, r.Machine.Revision, r.Plan.Against,
		r.Plan.Carts, r.Plan.Lines, r.Plan.Seconds, comparedClients)
	fmt.Fprintf(w, "%s; load average %s before the run.\n\n", r.Began.Format("2 January 2006"), r.Machine.LoadBefore)
	fmt.Fprintf(w, "| %s / %s | rate | service CPU of an answer |\n|---|---:|---:|\n", r.Machine.Revision, r.Plan.Against)
	for _, c := range r.comparisons() {
		fmt.Fprintf(w, "| %s | %.2f (%.2f–%.2f) | %.2f (%.2f–%.2f) |\n",
			c.load, c.rate.median, c.rate.low, c.rate.high, c.cpu.median, c.cpu.low, c.cpu.high)
	}
	fmt.Fprintln(w)
}
