//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// comparedLoads are what two revisions of the service are compared by.
var comparedLoads = []string{restGet, restItem, rpcGet, rpcItem}

// comparedClients is the number of connections, or of calls in flight.
const comparedClients = 64

// compare measures the service and that of another revision side by side, on the same database.
func (b *bench) compare(ctx context.Context) error {
	ours, err := b.postgresSite(ctx, "", b.plan.Carts, b.plan.Lines)
	if err != nil {
		return err
	}
	root := filepath.Join(b.dir, "against")
	if err := b.checkOut(ctx, b.plan.Against, root); err != nil {
		return err
	}
	b.log.Print("building the service of ", b.plan.Against)
	program, err := build(ctx, root, root)
	if err != nil {
		return err
	}
	theirs := *ours
	theirs.kind += ", " + b.plan.Against
	if err := b.serve(ctx, &theirs, program, b.server.url(b.server.address(), theirs.database)); err != nil {
		return err
	}
	var steps []step
	for _, load := range comparedLoads {
		for _, s := range []*site{ours, &theirs} {
			if _, ok := scripts[load]; ok {
				steps = append(steps, b.rest(s, load, comparedClients, 0))
			} else {
				steps = append(steps, b.rpc(s, load, comparedClients))
			}
		}
	}
	if err := warm(ctx, steps...); err != nil {
		return err
	}
	return b.measure(ctx, steps, b.tidy(ours))
}

// checkOut puts the files of a revision into a new directory.
func (b *bench) checkOut(ctx context.Context, revision, dir string) error {
	for _, args := range [][]string{
		{"clone", "--quiet", "--shared", "--no-checkout", b.root, dir},
		{"-C", dir, "checkout", "--quiet", "--detach", revision},
	} {
		if _, err := output(program(ctx, "git", args...)); err != nil {
			return err
		}
	}
	return nil
}

// printComparison writes how the service compares with that of the other revision.
func (r *Results) printComparison(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s / %s\trate\thalf of the rounds\tCPU of a request\thalf of the rounds\n", r.Machine.Revision, r.Plan.Against)
	for _, load := range comparedLoads {
		ours := r.main(load, comparedClients)
		key := ours.Key
		key.Database += ", " + r.Plan.Against
		theirs := r.of(key)
		fmt.Fprintf(table, "%s, %d clients", load, comparedClients)
		for _, figure := range []func(Sample) float64{rate, cpuShare} {
			all := slices.Sorted(slices.Values(ratios(ours.values(figure), theirs.values(figure))))
			fmt.Fprintf(table, "\t%.3f\t%.3f–%.3f", spread(all).Median, percentile(all, 0.25), percentile(all, 0.75))
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
