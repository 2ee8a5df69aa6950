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
	"strconv"
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
	if len(args) == 2 && args[0] == staticCommand {
		lines, err := strconv.Atoi(args[1])
		if err != nil {
			return err
		}
		return serveStatic(lines, os.Stdin, stdout)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("root", ".", "the repository")
	quick := flags.Bool("quick", false, "measure the core only, in under two minutes")
	overload := flags.Bool("overload", false, "measure an overload only, in under a minute")
	against := flags.String("against", "", "compare with the service of this revision only, in about four minutes")
	report := flags.Bool("report", false, "measure nothing: write BENCHMARKS.md anew from the results of the last full run")
	rounds := flags.Int("rounds", 0, "rounds of each measurement (3)")
	seconds := flags.Int("seconds", 0, "seconds of each measurement (quick 2, full 3)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 0 || *seconds < 0 {
		return fmt.Errorf("bad arguments %q", args)
	}
	plan := Plan{Full: true, Rounds: 3, Seconds: 3, SecondsAlone: 3, Carts: 100_000, Lines: 5}
	name := "full.json"
	if *quick {
		plan.Full, plan.Seconds, plan.SecondsAlone = false, 2, 1
		name = "quick.json"
	}
	if *overload {
		plan.Full, plan.Overload, plan.Seconds = false, true, 5
		name = "overload.json"
	}
	if *against != "" {
		plan.Full, plan.Against, plan.Rounds, plan.Seconds = false, *against, 24, 1
		name = "against.json"
	}
	if *rounds > 0 {
		plan.Rounds = *rounds
	}
	if *seconds > 0 {
		plan.Seconds, plan.SecondsAlone = *seconds, *seconds
	}
	dir := filepath.Join(*root, "bench", "results")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	path := filepath.Join(dir, name)
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
	if results.Plan.Against != "" {
		return results.printComparison(stdout)
	}
	return results.printTargets(stdout)
}
