//go:build unix

// Bench measures the service against the database that it runs on, in one run on one machine, and writes what it
// found. See BENCHMARKS.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the repository")
	quick := flags.Bool("quick", false, "measure the core only, in under two minutes")
	report := flags.Bool("report", false, "measure nothing: write BENCHMARKS.md anew from the results of the last full run")
	rounds := flags.Int("rounds", 0, "rounds of each measurement (quick 3, full 5)")
	seconds := flags.Int("seconds", 0, "seconds of each measurement (quick 2, full 5)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 0 || *seconds < 0 {
		return fmt.Errorf("bad arguments %q", args)
	}
	plan := Plan{Full: true, Rounds: 5, Seconds: 5, SecondsAlone: 5, Carts: 100_000, Lines: 5}
	name := "full.json"
	if *quick {
		plan.Full, plan.Rounds, plan.Seconds, plan.SecondsAlone = false, 3, 2, 1
		name = "quick.json"
	}
	if *rounds > 0 {
		plan.Rounds = *rounds
	}
	if *seconds > 0 {
		plan.Seconds, plan.SecondsAlone = *seconds, *seconds
	}
	path := filepath.Join(*root, "bench", "results", name)
	if !*report {
		results, err := runBench(ctx, plan, *root, log.New(stderr, "", log.Ltime))
		if err != nil {
			return err
		}
		if err := results.write(path); err != nil {
			return err
		}
	}
	results, err := readResults(path)
	if err != nil {
		return err
	}
	if results.Plan.Full {
		if err := publish(results, *root); err != nil {
			return err
		}
	}
	return results.printTargets(stdout)
}
