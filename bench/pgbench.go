//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// pgbench is a load of single statements, each in a transaction of its own.
type pgbench struct {
	path     string
	server   postgres
	database string
	dir      string // of the scripts
	script   string // "read" or "write"
	clients  int
	duration time.Duration
	carts    int
	lines    int
}

func (b pgbench) run(ctx context.Context) (Sample, error) {
	logs, err := os.MkdirTemp(b.dir, "pgbench-")
	if err != nil {
		return Sample{}, err
	}
	defer os.RemoveAll(logs)
	args := []string{
		"-n", "-M", "prepared", "-f", filepath.Join(b.dir, "sql", b.script+".sql"),
		"-c", strconv.Itoa(b.clients), "-j", strconv.Itoa(min(2, b.clients)),
		"-T", strconv.Itoa(int(b.duration.Seconds())),
		"-D", fmt.Sprintf("carts=%d", b.carts), "-D", fmt.Sprintf("lines=%d", b.lines),
	}
	if b.clients == 1 {
		args = append(args, "-l") // the log gives percentiles; with many clients it would cost too much
	}
	cmd := program(ctx, b.path, args...)
	cmd.Dir, cmd.Env = logs, b.server.environ(b.database)
	out, err := output(cmd)
	if err != nil {
		return Sample{}, err
	}
	sample, err := parsePgbench(string(out))
	if err != nil || b.clients > 1 {
		return sample, err
	}
	latencies, err := readLogs(logs)
	timed := sampleOf(latencies, b.duration)
	timed.Requests, timed.Rate = sample.Requests, sample.Rate
	return timed, err
}

var (
	pgbenchTPS    = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial connection time\)$`)
	pgbenchDone   = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)$`)
	pgbenchFailed = regexp.MustCompile(`(?m)^number of failed transactions: (\d+) `)
)

// parsePgbench reads the report of pgbench. A failed transaction is an error.
func parsePgbench(report string) (Sample, error) {
	tps, done := pgbenchTPS.FindStringSubmatch(report), pgbenchDone.FindStringSubmatch(report)
	if tps == nil || done == nil {
		return Sample{}, fmt.Errorf("not a report of pgbench:\n%s", report)
	}
	// Before version 15, pgbench does not report failures: a client stops at the first one, and pgbench fails.
	if failed := pgbenchFailed.FindStringSubmatch(report); failed != nil && failed[1] != "0" {
		return Sample{}, fmt.Errorf("%s transactions failed", failed[1])
	}
	r, rateErr := strconv.ParseFloat(tps[1], 64)
	n, countErr := strconv.Atoi(done[1])
	return Sample{Requests: n, Rate: r}, errors.Join(rateErr, countErr)
}

// readLogs reads the latencies in the logs of a directory.
func readLogs(dir string) ([]time.Duration, error) {
	names, err := filepath.Glob(filepath.Join(dir, "pgbench_log.*"))
	if err != nil {
		return nil, err
	}
	var all []time.Duration
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		some, err := parseLog(string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// parseLog reads the third field of each line: the latency in microseconds.
func parseLog(text string) ([]time.Duration, error) {
	var all []time.Duration
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("not a line of pgbench's log: %q", line)
		}
		us, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil {
			return nil, err
		}
		all = append(all, time.Duration(us)*time.Microsecond)
	}
	return all, nil
}
