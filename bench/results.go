package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Results holds the results of a run.
type Results struct {
	Plan        Plan      `json:"plan"`
	Began       time.Time `json:"began"`
	Ended       time.Time `json:"ended"`
	Machine     Machine   `json:"machine"`
	StartMS     []float64 `json:"start_ms"` // from the start of the process to its first answer
	BinaryBytes int64     `json:"binary_bytes"`
	Series      []Series  `json:"series"`
	Overload    *Overload `json:"overload,omitempty"`
}

// resultsPath is the file of a command's results.
func resultsPath(root, command string) string {
	return filepath.Join(root, "bench", "results", command+".json")
}

// readResults reads a file that write wrote.
func readResults(path string) (*Results, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Results)
	return r, json.Unmarshal(text, r)
}

func (r *Results) write(path string) error {
	text, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// of returns the series of a key, empty if it was not measured.
func (r *Results) of(key Key) Series {
	if i := slices.IndexFunc(r.Series, func(s Series) bool { return s.Key == key }); i >= 0 {
		return r.Series[i]
	}
	return Series{Key: key}
}

// main returns the series of a load on the main database.
func (r *Results) main(load string, clients int) Series {
	return r.of(Key{Database: "PostgreSQL", Carts: r.Plan.Carts, Lines: r.Plan.Lines, Load: load, Clients: clients})
}

// peak returns the largest median rate of a key, over all numbers of clients.
func (r *Results) peak(key Key) float64 {
	var best float64
	for _, s := range r.Series {
		if key.Clients = s.Clients; s.Key == key {
			best = max(best, spread(s.values(rate)).Median)
		}
	}
	return best
}

// baseline returns the series of pgbench to compare a load with: on the same data, or else on the main database.
func (r *Results) baseline(key Key) Series {
	load := pgbenchWrite
	if reads[key.Load] {
		load = pgbenchRead
	}
	own := r.of(Key{Part: key.Part, Database: "PostgreSQL", Carts: key.Carts, Lines: key.Lines, Load: load, Clients: 16})
	if len(own.Rounds) > 0 {
		return own
	}
	return r.main(load, 16)
}
