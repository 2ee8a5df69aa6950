//go:build unix

package main

import (
	"math"
	"slices"
	"testing"
	"time"
)

const pgbenchReport = `pgbench (15.20 (Debian 15.20-0+deb12u1))
transaction type: read.sql
number of clients: 16
number of transactions actually processed: 31650
number of failed transactions: 0 (0.000%)
latency average = 1.010 ms
initial connection time = 21.3 ms
tps = 15827.5 (without initial connection time)
`

func TestParsePgbench(t *testing.T) {
	t.Parallel()
	got, err := parsePgbench(pgbenchReport)
	if want := (Sample{Requests: 31650, Rate: 15827.5}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, report := range map[string]string{
		"failures": "number of transactions actually processed: 3\nnumber of failed transactions: 2 (40.0%)\n" +
			"tps = 1.5 (without initial connection time)\n",
		"no report": "pgbench: error: connection failed\n",
	} {
		if got, err := parsePgbench(report); err == nil {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
}

func TestParseLog(t *testing.T) {
	t.Parallel()
	got, err := parseLog("0 1 391 0 1700000000 123456\n0 2 1412 0 1700000000 124868\n")
	if want := []time.Duration{391 * time.Microsecond, 1412 * time.Microsecond}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, text := range []string{"0 1\n", "0 1 failed 0\n"} {
		if got, err := parseLog(text); err == nil {
			t.Errorf("%q: got %v and no error", text, got)
		}
	}
}

func TestParseWrk(t *testing.T) {
	t.Parallel()
	const head = "Running 2s test @ http://127.0.0.1:1\nRequests/sec:  1000.00\n\n"
	got, err := parseWrk([]byte(head +
		`{"requests":2000,"microseconds":2000000,"p50":400,"p90":700,"p99":1500,"p999":4000,"max":9000,"failed":0}` + "\n"))
	want := Sample{Requests: 2000, Rate: 1000, P50: 0.4, P90: 0.7, P99: 1.5, P999: 4, Max: 9}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	for name, last := range map[string]string{
		"one failed":  `{"requests":2000,"microseconds":2000000,"p50":400,"p99":1500,"p999":4000,"failed":1}`,
		"none at all": `{"requests":0,"microseconds":2000000,"p50":0,"p99":0,"p999":0,"failed":0}`,
		"no report":   "unable to connect",
	} {
		if got, err := parseWrk([]byte(head + last)); err == nil {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
}

func TestParseCPU(t *testing.T) {
	t.Parallel()
	const rest = " S 1 71 71 0 -1 4194560 100 0 0 0 150 25 0 0 20 0 9 0 123 1 1"
	for _, name := range []string{"(sellio-cart)", "(a) b (c)"} {
		if got, err := parseCPU("71 " + name + rest); err != nil || math.Abs(got-1.75) > 1e-9 {
			t.Errorf("%s: got %v, %v; want 1.75", name, got, err)
		}
	}
	if got, err := parseCPU("71 (x) S 1"); err == nil {
		t.Errorf("got %v and no error", got)
	}
}

func TestParseKB(t *testing.T) {
	t.Parallel()
	const status = "Name:\tx\nVmHWM:\t    9000 kB\nVmRSS:\t    2048 kB\nThreads:\t9\n"
	if got, err := parseKB(status, "VmRSS:"); err != nil || got != 2<<20 {
		t.Errorf("got %v, %v; want 2 MiB", got, err)
	}
	if got, err := parseKB(status, "VmSwap:"); err == nil {
		t.Errorf("got %v and no error", got)
	}
}

func TestCPUModel(t *testing.T) {
	t.Parallel()
	if got := cpuModel("processor\t: 0\nmodel name\t: A CPU @ 2 GHz\nflags\t: fpu\n"); got != "A CPU @ 2 GHz" {
		t.Errorf("got %q", got)
	}
}
