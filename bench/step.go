package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Key identifies a measurement.
type Key struct {
	// Part is "growth", or "" for the main part. The steps of a part run in the same rounds.
	Part string `json:"part,omitempty"`
	// Database is "PostgreSQL", "SQLite" or "PostgreSQL, 1 ms away".
	Database string `json:"database"`
	// Carts in the database, and lines in each of them.
	Carts int `json:"carts"`
	Lines int `json:"lines"`
	// Hot is the number of carts under load, 0 for all.
	Hot int `json:"hot,omitempty"`
	// Load is the kind of request and its generator.
	Load string `json:"load"`
	// Clients is the number of connections, or of calls in flight.
	Clients int `json:"clients"`
}

// String is for the log.
func (k Key) String() string {
	s := fmt.Sprintf("%s, %d × %d: %s, clients: %d", k.Database, k.Carts, k.Lines, k.Load, k.Clients)
	if k.Hot > 0 {
		s += fmt.Sprintf(", carts: %d", k.Hot)
	}
	return s
}

// Sample is one measurement.
type Sample struct {
	// Requests that were answered.
	Requests int `json:"requests"`
	// Rate is the number of answers a second.
	Rate float64 `json:"rate"`
	// Latencies in milliseconds. For pgbench they are known with one client only, when it writes a log.
	P50  float64 `json:"p50_ms,omitempty"`
	P90  float64 `json:"p90_ms,omitempty"`
	P99  float64 `json:"p99_ms,omitempty"`
	P999 float64 `json:"p999_ms,omitempty"`
	Max  float64 `json:"max_ms,omitempty"`
	// CPU is the service's CPU time, in seconds; RSS its largest resident memory, in bytes.
	CPU float64 `json:"service_cpu_s,omitempty"`
	RSS int64   `json:"service_rss_bytes,omitempty"`
	// Target is the scheduled rate of an open loop.
	Target float64 `json:"target_rate,omitempty"`
}

// Series is all samples of one key, round by round.
type Series struct {
	Key
	Rounds []Sample `json:"rounds"`
}

// step takes one sample.
type step struct {
	key Key
	run func(context.Context) (Sample, error)
}

// values returns one figure of all rounds.
func (s Series) values(figure func(Sample) float64) []float64 {
	values := make([]float64, len(s.Rounds))
	for i, sample := range s.Rounds {
		values[i] = figure(sample)
	}
	return values
}

// Figures of a sample.
func rate(s Sample) float64     { return s.Rate }
func p50(s Sample) float64      { return s.P50 }
func p99(s Sample) float64      { return s.P99 }
func p999(s Sample) float64     { return s.P999 }
func memory(s Sample) float64   { return float64(s.RSS) / (1 << 20) }
func tail(s Sample) float64     { return s.P99 / s.P50 }
func cpuShare(s Sample) float64 { return s.CPU * 1e6 / float64(s.Requests) }

// Spread is the median of several values and their range.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spread returns the zero Spread for no values.
func spread(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// ratios divides round by round: both halves of a ratio come from the same minute.
func ratios(over, under []float64) []float64 {
	n := min(len(over), len(under))
	quotients := make([]float64, 0, n)
	for i := range n {
		if under[i] > 0 {
			quotients = append(quotients, over[i]/under[i])
		}
	}
	return quotients
}

// percentile returns the smallest of the sorted values that a share p (0 to 1) of them do not exceed.
func percentile[T cmp.Ordered](sorted []T, p float64) T {
	var zero T
	if len(sorted) == 0 {
		return zero
	}
	i := int(p*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}

// sampleOf makes a sample from the latencies of a run and its length. It sorts the latencies.
func sampleOf(latencies []time.Duration, elapsed time.Duration) Sample {
	slices.Sort(latencies)
	at := func(p float64) float64 { return milliseconds(percentile(latencies, p)) }
	return Sample{
		Requests: len(latencies), Rate: float64(len(latencies)) / elapsed.Seconds(),
		P50: at(0.5), P90: at(0.9), P99: at(0.99), P999: at(0.999), Max: at(1),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
