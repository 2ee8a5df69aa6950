//go:build unix

// Bench measures the service against its database, both on one machine, and writes the results. See BENCHMARKS.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

// The commands.
const (
	commandFull     = "full"
	commandQuick    = "quick"
	commandOverload = "overload"
	commandAgainst  = "against"
	commandReport   = "report"
	commandStatic   = "static" // internal: see serveStatic
)

const usage = `Usage, in the root of the repository: bench COMMAND

  full              measure everything, in about 20 minutes, and write BENCHMARKS.md
  quick             measure the core, in under two minutes
  overload          measure an overload, in under a minute
  against REVISION  compare with the service of another revision, in about five minutes
  report            measure nothing: write BENCHMARKS.md from the results of the last full and against

All but report take -rounds N and -seconds N, before the revision: the number and the length of the measurements.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, ".", os.Args[1:], os.Stdin, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// run executes a command in the repository at root.
func run(ctx context.Context, root string, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("no command\n%s", usage)
	}
	switch command := args[0]; command {
	case "-h", "-help", "--help", "help":
		_, err := fmt.Fprintln(stdout, usage)
		return err
	case commandStatic:
		return serveStatic(args[1:], stdin, stdout)
	case commandReport:
		if len(args) > 1 {
			return fmt.Errorf("unexpected %q\n%s", args[1:], usage)
		}
		return report(root, stdout)
	case commandFull, commandQuick, commandOverload, commandAgainst:
		plan, err := parsePlan(command, args[1:])
		if err != nil {
			return fmt.Errorf("%w\n%s", err, usage)
		}
		results, err := runBench(ctx, plan, root, log.New(stderr, "", log.Ltime))
		if err != nil {
			return err
		}
		if err := results.write(resultsPath(root, command)); err != nil {
			return err
		}
		switch command {
		case commandFull:
			return report(root, stdout)
		case commandAgainst:
			return results.printComparison(stdout)
		}
		return results.printTargets(stdout)
	default:
		return fmt.Errorf("no command %q\n%s", command, usage)
	}
}

// parsePlan returns the plan of a command.
func parsePlan(command string, args []string) (Plan, error) {
	plan := Plan{Command: command, Rounds: 3, Seconds: 3, SecondsAlone: 3, Carts: 100_000, Lines: 5}
	switch command {
	case commandQuick:
		plan.Seconds, plan.SecondsAlone = 2, 1
	case commandOverload:
		plan.Seconds = 5
	case commandAgainst:
		plan.Rounds, plan.Seconds = 24, 1
	}
	flags := flag.NewFlagSet(command, flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the error says it all
	flags.IntVar(&plan.Rounds, "rounds", plan.Rounds, "")
	seconds := flags.Int("seconds", 0, "")
	if err := flags.Parse(args); err != nil {
		return Plan{}, err
	}
	if *seconds > 0 {
		plan.Seconds, plan.SecondsAlone = *seconds, *seconds
	}
	if plan.Rounds < 1 || *seconds < 0 {
		return Plan{}, errors.New("rounds and seconds must be 1 or more")
	}
	rest := flags.Args()
	if command == commandAgainst {
		if len(rest) == 0 || rest[0] == "" {
			return Plan{}, errors.New("no revision to compare with")
		}
		plan.Against, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		return Plan{}, fmt.Errorf("unexpected %q", rest)
	}
	return plan, nil
}
