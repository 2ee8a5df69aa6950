//go:build unix

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"time"
)

// files are the scripts of pgbench and wrk.
//
//go:embed wrk/*.lua sql/*.sql
var files embed.FS

// bench is a run of the benchmark.
type bench struct {
	plan    Plan
	log     *log.Logger
	root    string // the repository
	tools   tools
	dir     string // for all files but PostgreSQL's
	binary  string
	server  postgres
	closers []func() error // run last-in, first-out
	results *Results
}

// Plan says how much is measured.
type Plan struct {
	// Command is full, quick, overload or against.
	Command string `json:"command"`
	// Against is the revision of the service to compare with.
	Against string `json:"against,omitempty"`
	// Rounds of each measurement.
	Rounds int `json:"rounds"`
	// Seconds of one measurement, and of one with a single client.
	Seconds      int `json:"seconds"`
	SecondsAlone int `json:"seconds_alone"`
	// Carts in the main database, and lines in each of them.
	Carts int `json:"carts"`
	Lines int `json:"lines"`
}

// runBench carries out the plan, and stops everything that it started.
func runBench(ctx context.Context, plan Plan, root string, logger *log.Logger) (_ *Results, err error) {
	b := &bench{plan: plan, root: root, log: logger, results: &Results{Plan: plan, Began: time.Now().UTC()}}
	defer func() {
		slices.Reverse(b.closers)
		for _, closer := range b.closers {
			err = errors.Join(err, closer())
		}
	}()
	if err := b.prepare(ctx); err != nil {
		return nil, err
	}
	for _, part := range map[string][]func(context.Context) error{
		commandFull:     {b.core, b.growth, b.sqlite, b.overload},
		commandQuick:    {b.core},
		commandOverload: {b.overload},
		commandAgainst:  {b.compare},
	}[plan.Command] {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	b.results.Machine.LoadAfter = loadAverage()
	b.results.Ended = time.Now().UTC()
	return b.results, nil
}

func (b *bench) prepare(ctx context.Context) (err error) {
	if b.tools, err = findTools(ctx); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "cart-bench-"); err != nil {
		return err
	}
	b.closers = append(b.closers, func() error { return os.RemoveAll(b.dir) })
	if err := os.CopyFS(b.dir, files); err != nil {
		return err
	}
	if b.results.Machine, err = inspect(ctx, b.tools, b.root, b.dir); err != nil {
		return err
	}
	b.log.Print("building the service")
	if b.binary, err = build(ctx, b.root, b.dir); err != nil {
		return err
	}
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.results.BinaryBytes = info.Size()
	b.log.Print("starting PostgreSQL")
	if b.server, err = startPostgres(ctx); err != nil {
		return err
	}
	b.closers = append(b.closers, b.server.Close)
	return nil
}

// core measures the database, REST and gRPC side by side, and then the open loop, which needs their peak rates.
func (b *bench) core(ctx context.Context) error {
	s, err := b.postgresSite(ctx, "", b.plan.Carts, b.plan.Lines)
	if err != nil {
		return err
	}
	url := b.server.url(s.database)
	if b.results.StartMS, err = startTimes(ctx, b.binary, b.dir, url, 5); err != nil {
		return err
	}
	steps := b.coreSteps(s)
	if b.plan.Command == commandFull {
		static, err := startStatic(ctx, s.lines)
		if err != nil {
			return err
		}
		b.closers = append(b.closers, static.stop)
		away, err := b.remoteSite(ctx, s, time.Millisecond)
		if err != nil {
			return err
		}
		steps = append(steps, b.rest(s, restItem, 64, 16),
			b.static(s, static.rest, 64), b.static(s, static.rest, 256), b.staticRPC(s, static.grpc, 64),
			b.rest(away, restGet, 256, 0), b.rest(away, restItem, 256, 0))
	}
	if err := warm(ctx, b.rest(s, restGet, 64, 0), b.rest(s, restItem, 64, 0)); err != nil {
		return err
	}
	if err := b.measure(ctx, steps, b.tidy(s)); err != nil {
		return err
	}
	const share = 0.7
	return b.measure(ctx, []step{
		b.open(s, openGet, share*b.results.peak(s.key(restGet, 0, 0))),
		b.open(s, openItem, share*b.results.peak(s.key(restItem, 0, 0))),
	}, b.tidy(s))
}

func (b *bench) coreSteps(s *site) []step {
	connections, loads := []int{1, 64, 256}, []string{restGet, restItem}
	callers, calls := []int{64}, []string{rpcGet, rpcItem}
	if b.plan.Command == commandFull {
		connections = []int{1, 16, 64, 256}
		loads = []string{restGet, restActive, restItem, restAdd, restQuantity, restMix}
		callers = connections
		calls = []string{rpcGet, rpcActive, rpcItem, rpcAdd, rpcQuantity, rpcMix}
	}
	var steps []step
	for _, clients := range []int{1, 16} {
		steps = append(steps, b.baseline(s, pgbenchRead, clients), b.baseline(s, pgbenchWrite, clients))
	}
	for _, load := range loads {
		for _, n := range connections {
			steps = append(steps, b.rest(s, load, n, 0))
		}
	}
	for _, load := range calls {
		for _, n := range callers {
			steps = append(steps, b.rpc(s, load, n))
		}
	}
	return append(steps, b.rest(s, restItem, 64, 1))
}

// growth measures with more carts, and with longer ones.
func (b *bench) growth(ctx context.Context) error {
	var steps []step
	var tidies []func(context.Context) error
	// There are fewer of the long carts, to measure their length rather than the size of the tables.
	for _, size := range []struct{ carts, lines int }{
		{10_000, 5}, {100_000, 5}, {1_000_000, 5}, {20_000, 1}, {20_000, 5}, {20_000, 50}, {2_000, 500},
	} {
		s, err := b.postgresSite(ctx, growth, size.carts, size.lines)
		if err != nil {
			return err
		}
		steps = append(steps, b.baseline(s, pgbenchRead, 16), b.baseline(s, pgbenchWrite, 16),
			b.rest(s, restGet, 64, 0), b.rest(s, restItem, 64, 0))
		tidies = append(tidies, b.tidy(s))
	}
	return b.measure(ctx, steps, func(ctx context.Context) error {
		for _, tidy := range tidies {
			if err := tidy(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) sqlite(ctx context.Context) error {
	s, err := b.sqliteSite(ctx, b.plan.Carts, b.plan.Lines)
	if err != nil {
		return err
	}
	var steps []step
	for _, load := range []string{restGet, restActive, restItem, restAdd, restQuantity, restMix} {
		steps = append(steps, b.rest(s, load, 64, 0))
	}
	for _, n := range []int{1, 256} {
		steps = append(steps, b.rest(s, restGet, n, 0), b.rest(s, restItem, n, 0))
	}
	return b.measure(ctx, steps, func(context.Context) error { return nil })
}

// warm runs the steps once without counting them: caches fill, and PostgreSQL makes its plans.
func warm(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		if _, err := s.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

// measure runs all steps in every round: a disturbance of the machine then slows all of them alike. Every other round runs
// backwards: no step always follows the same one. Tidy runs before each round.
func (b *bench) measure(ctx context.Context, steps []step, tidy func(context.Context) error) error {
	series := make([]Series, len(steps))
	for round := range b.plan.Rounds {
		if err := tidy(ctx); err != nil {
			return err
		}
		for i := range steps {
			if round%2 == 1 {
				i = len(steps) - 1 - i
			}
			s := steps[i]
			sample, err := s.run(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.key, err)
			}
			series[i].Key = s.key
			series[i].Rounds = append(series[i].Rounds, sample)
			b.log.Printf("round %d of %d: %s: %.0f/s", round+1, b.plan.Rounds, s.key, sample.Rate)
		}
	}
	b.results.Series = append(b.results.Series, series...)
	return nil
}
