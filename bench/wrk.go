//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// wrk is a closed loop over REST: each connection waits for its answer before the next request.
type wrk struct {
	path        string
	dir         string // of the scripts
	script      string // a file in wrk/, without .lua
	url         string
	connections int
	duration    time.Duration
	carts       int // under load
	lines       int
}

func (w wrk) run(ctx context.Context) (Sample, error) {
	cmd := program(ctx, w.path, "-s", w.script+".lua",
		"-t", strconv.Itoa(min(2, w.connections)), "-c", strconv.Itoa(w.connections),
		"-d", strconv.Itoa(int(w.duration.Seconds()))+"s", "--timeout", "10s", w.url,
		strconv.Itoa(w.carts), strconv.Itoa(w.lines), strconv.FormatInt(time.Now().Unix(), 10))
	cmd.Dir = filepath.Join(w.dir, "wrk")
	out, err := output(cmd)
	if err != nil {
		return Sample{}, err
	}
	return parseWrk(out)
}

// parseWrk reads the last line, which common.lua writes. It returns an error if an answer was not 2xx or a request got
// no answer.
func parseWrk(out []byte) (Sample, error) {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var report struct {
		Requests, Microseconds, Failed int
		P50, P90, P99, P999, Max       float64
	}
	if err := json.Unmarshal(lines[len(lines)-1], &report); err != nil {
		return Sample{}, fmt.Errorf("%w in the report of wrk:\n%s", err, out)
	}
	if report.Failed > 0 || report.Requests == 0 || report.Microseconds == 0 {
		return Sample{}, fmt.Errorf("%d of %d requests failed:\n%s", report.Failed, report.Requests, out)
	}
	return Sample{
		Requests: report.Requests, Rate: float64(report.Requests) / float64(report.Microseconds) * 1e6,
		P50: report.P50 / 1e3, P90: report.P90 / 1e3, P99: report.P99 / 1e3, P999: report.P999 / 1e3,
		Max: report.Max / 1e3,
	}, nil
}
