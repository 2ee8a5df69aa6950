package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// target is a goal for a figure.
type target struct {
	name string
	goal float64
	// most makes the goal an upper bound.
	most bool
	// reached is zero if it was not measured.
	reached Spread
}

func (t target) verdict() string {
	met := t.reached.Median >= t.goal
	if t.most {
		met = t.reached.Median <= t.goal
	}
	switch {
	case t.reached == Spread{}:
		return "not measured"
	case met:
		return "met"
	}
	return "missed"
}

func (t target) bound() string {
	if t.most {
		return fmt.Sprintf("≤ %.4g", t.goal)
	}
	return fmt.Sprintf("≥ %.4g", t.goal)
}

// targets returns the targets in the order of the report.
func (r *Results) targets() []target {
	read, write := r.main(pgbenchRead, 16), r.main(pgbenchWrite, 16)
	var all []target
	atLeast := func(name string, goal float64, over, under Series) {
		all = append(all, target{name: name, goal: goal, reached: spread(ratios(over.values(rate), under.values(rate)))})
	}
	atMost := func(name string, goal float64, values []float64) {
		all = append(all, target{name: name, goal: goal, most: true, reached: spread(values)})
	}
	atLeast("POST item, 64 connections / pgbench write, 16 clients", 2.5, r.main(restItem, 64), write)
	atLeast("POST item, 256 connections / the same", 3.5, r.main(restItem, 256), write)
	atLeast("GET by id, 64 connections / pgbench read, 16 clients", 0.9, r.main(restGet, 64), read)
	atLeast("GET by id, 256 connections / the same", 1.2, r.main(restGet, 256), read)
	atLeast("gRPC UpsertItem, 64 calls in flight / pgbench write, 16 clients", 2.0, r.main(rpcItem, 64), write)
	atLeast("gRPC GetCart, 64 calls in flight / pgbench read, 16 clients", 0.8, r.main(rpcGet, 64), read)
	atMost("median latency of POST item, 1 connection / pgbench write, 1 client", 2.5,
		ratios(r.main(restItem, 1).values(p50), r.main(pgbenchWrite, 1).values(p50)))
	atMost("p99 / p50, GET by id, 64 connections", 4, r.main(restGet, 64).values(tail))
	atMost("p99 / p50, POST item, 64 connections", 4, r.main(restItem, 64).values(tail))
	spreadOut := r.main(restItem, 64)
	oneCart := spreadOut.Key
	oneCart.Hot = 1
	atLeast("POST item on one cart / on all carts, 64 connections", 1.0, r.of(oneCart), spreadOut)
	for _, load := range []string{restGet, restItem} {
		atLeast(load+", 1,000,000 carts / 10,000 carts, 64 connections", 0.85, r.sized(load, 1_000_000), r.sized(load, 10_000))
	}
	atMost("p99.9 in ms of GET by id, open loop at 70 % of peak", 50, r.main(openGet, 256).values(p999))
	atMost("p99.9 in ms of POST item, open loop at 70 % of peak", 50, r.main(openItem, 256).values(p999))
	atMost("largest resident memory in MiB, 256 connections", 64, r.largestMemory())
	for _, load := range []string{restGet, restItem} {
		away := r.main(load, 256).Key
		away.Database = "PostgreSQL, 1 ms away"
		atLeast(load+", 256 connections, database 1 ms away / local", 0.7, r.of(away), r.main(load, 256))
	}
	return append(all, r.overloadTargets()...)
}

// sized returns the series of a load at 64 connections with a number of carts.
func (r *Results) sized(load string, carts int) Series {
	return r.of(Key{Part: growth, Database: "PostgreSQL", Carts: carts, Lines: r.Plan.Lines, Load: load, Clients: 64})
}

// largestMemory returns the service's largest memory with 256 closed-loop connections over all rounds, in MiB, or
// nothing if it was not measured.
func (r *Results) largestMemory() []float64 {
	var all []float64
	for _, s := range r.Series {
		if s.Key == r.main(s.Load, 256).Key && s.Load != openGet && s.Load != openItem {
			all = append(all, s.values(memory)...)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return []float64{slices.Max(all)}
}

// printTargets writes the table of targets as text.
func (r *Results) printTargets(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\treached\tspread\ttarget\t")
	targets := r.targets()
	if r.Plan.Command == commandOverload {
		targets = r.overloadTargets()
	}
	for _, t := range targets {
		if t.verdict() == "not measured" {
			fmt.Fprintf(table, "%s\t–\t–\t%s\tonly in make bench\n", t.name, t.bound())
			continue
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.2f–%.2f\t%s\t%s\n",
			t.name, t.reached.Median, t.reached.Min, t.reached.Max, t.bound(), t.verdict())
	}
	fmt.Fprintln(table, "BENCHMARKS.md explains missed targets.\t\t\t\t")
	if start := spread(r.StartMS); start.Max > 0 {
		fmt.Fprintf(table, "start-up in ms\t%.0f\t%.0f–%.0f\t\t\n", start.Median, start.Min, start.Max)
	}
	fmt.Fprintf(table, "binary in MiB\t%.1f\t\t\t\n", float64(r.BinaryBytes)/(1<<20))
	return table.Flush()
}
