package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// together runs workers side by side and makes one sample of all their latencies. The first error stops the others.
func together(ctx context.Context, workers int, work func(context.Context, int) ([]time.Duration, error)) (Sample, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	latencies := make([][]time.Duration, workers)
	began := time.Now()
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			some, err := work(ctx, i)
			if latencies[i] = some; err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return Sample{}, err
	}
	var all []time.Duration
	for _, some := range latencies {
		all = append(all, some...)
	}
	if len(all) == 0 {
		return Sample{}, errors.New("no request was answered")
	}
	return sampleOf(all, elapsed), nil
}
