//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// Overload has the results of sending ten times the rate that the service can serve.
type Overload struct {
	// Peak is the rate of a closed loop with as many connections as two full batches have room for. Offered is the rate
	// at which requests were sent.
	Peak    float64 `json:"peak"`
	Offered float64 `json:"offered"`
	// Good are the requests that were served during the overload, Refused the others.
	Good    Sample `json:"good"`
	Refused Sample `json:"refused"`
	// Recovery is the time, in milliseconds, from the end of the overload to the first of a run of requests that were
	// served as fast as before it.
	Recovery float64 `json:"recovery_ms"`
}

const (
	overloaded = "overload"
	excess     = 10
	// Two full batches.
	peakConnections = 512
	// A distant database makes the database the bottleneck, not the processor. With a busy processor, refusing would
	// take CPU from serving, and clients on the same machine could not send ten times the peak.
	overloadDelay = 60 * time.Millisecond
	// More connections than the queue and the batches have room for, to keep to the schedule.
	overloadConnections = 2048
)

// overload measures the peak, then ten times the peak, and then the time to recover.
func (b *bench) overload(ctx context.Context) error {
	near, err := b.postgresSite(ctx, overloaded, 10_000, b.plan.Lines)
	if err != nil {
		return err
	}
	s, err := b.remoteSite(ctx, near, overloadDelay)
	if err != nil {
		return err
	}
	o := &Overload{}
	b.results.Overload = o
	peak, err := b.rest(s, restItem, peakConnections, 0).run(ctx)
	if err != nil {
		return err
	}
	o.Peak = peak.Rate
	calm, err := b.probe(ctx, s, func(probes []time.Duration) bool { return len(probes) == 20 })
	if err != nil {
		return err
	}
	slices.Sort(calm)
	if err := b.flood(ctx, s, o); err != nil {
		return err
	}
	return b.recovery(ctx, s, o, 3*percentile(calm, 0.5))
}

// flood sends ten times the peak, and counts the requests that are served and refused.
func (b *bench) flood(ctx context.Context, s *site, o *Overload) (err error) {
	refused := &refusals{}
	load := openLoop{
		url: s.service.rest, request: postItem(s.carts, s.lines), refused: refused.add,
		rate: excess * o.Peak, duration: b.time(overloadConnections), connections: overloadConnections,
	}
	o.Good, err = b.audited(ctx, s, restItem, func(ctx context.Context) (Sample, error) {
		return s.service.observed(ctx, load.run)
	})
	if err != nil {
		return err
	}
	if len(refused.took) == 0 {
		return errors.New("nothing was refused, so there was no overload")
	}
	elapsed := float64(o.Good.Requests) / o.Good.Rate // excludes connecting and the audit
	o.Refused = sampleOf(refused.took, time.Duration(elapsed*float64(time.Second)))
	o.Offered = load.rate * load.duration.Seconds() / elapsed
	b.log.Printf("overload: %.0f/s sent, %.0f/s served at a peak of %.0f/s", o.Offered, o.Good.Rate, o.Peak)
	return nil
}

// recovery sends one request after the other until ten in a row were served as fast as is normal.
func (b *bench) recovery(ctx context.Context, s *site, o *Overload, normal time.Duration) error {
	ended := time.Now()
	row := 0
	_, err := b.probe(ctx, s, func(probes []time.Duration) bool {
		if row++; probes[len(probes)-1] > normal {
			row = 0
		}
		if row <= 1 {
			o.Recovery = milliseconds(time.Since(ended))
		}
		return row == 10 || time.Since(ended) > 10*time.Second
	})
	return err
}

// probe sends requests one after the other until it has enough, and returns how long each took. A refused one took
// forever.
func (b *bench) probe(ctx context.Context, s *site, enough func([]time.Duration) bool) (took []time.Duration, err error) {
	client, err := newClient(s.service.rest, 1)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	item := postItem(s.carts, s.lines)
	for ctx.Err() == nil {
		req.Reset()
		item(req)
		req.Header.SetHost(client.Addr)
		began := time.Now()
		if err := client.Do(req, resp); err != nil {
			return nil, err
		}
		one := time.Since(began)
		if resp.StatusCode()/100 != 2 {
			if err := refusal(resp); err != nil {
				return nil, err
			}
			one = time.Hour
		}
		if took = append(took, one); enough(took) {
			return took, nil
		}
	}
	return nil, ctx.Err()
}

// refusals are the answers of an overloaded service.
type refusals struct {
	mu   sync.Mutex
	took []time.Duration
}

func (r *refusals) add(resp *fasthttp.Response, took time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took = append(r.took, took)
	return refusal(resp)
}

// refusal returns an error unless the answer is a 503 with Retry-After.
func refusal(resp *fasthttp.Response) error {
	if resp.StatusCode() == fasthttp.StatusServiceUnavailable && len(resp.Header.Peek("Retry-After")) > 0 {
		return nil
	}
	return fmt.Errorf("status %d: %s", resp.StatusCode(), resp.Body())
}

// overloadTargets returns the targets of the overload.
func (r *Results) overloadTargets() []target {
	var sent, share, refused, held, recovery Spread
	if o := r.Overload; o != nil {
		sent = spread([]float64{o.Offered / cmp.Or(o.Peak, 1)})
		share = spread([]float64{o.Good.Rate / cmp.Or(o.Peak, 1)})
		refused = spread([]float64{o.Refused.P50})
		held = spread([]float64{memory(o.Good)})
		recovery = spread([]float64{o.Recovery})
	}
	return []target{
		{name: "overload: POST item sent / peak", goal: 8, reached: sent}, // ten times, if the clients keep up
		{name: "served during the overload / peak", goal: 0.8, reached: share},
		{name: "median latency of its refusals in ms", goal: 100, most: true, reached: refused},
		{name: "largest resident memory during it in MiB", goal: 256, most: true, reached: held},
		{name: "recovery after it in ms", goal: 1000, most: true, reached: recovery},
	}
}
