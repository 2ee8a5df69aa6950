package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// openLoop sends requests on a schedule, however late the answers are. Latency counts from the time that a request was
// due: a late answer also delays those behind it, as it does for customers, who do not wait for each other.
type openLoop struct {
	url         string
	request     func(*fasthttp.Request)
	rate        float64 // requests a second
	duration    time.Duration
	connections int
	// refused is called with each answer that is not 2xx and its latency. If it is nil, such an answer is an error.
	refused func(*fasthttp.Response, time.Duration) error
}

func getByID(carts int) func(*fasthttp.Request) {
	return func(r *fasthttp.Request) {
		r.Header.SetMethod(fasthttp.MethodGet)
		r.SetRequestURI(fmt.Sprintf("/api/v1/cart/%d", 1+rand.IntN(carts)))
	}
}

func postItem(carts, lines int) func(*fasthttp.Request) {
	return func(r *fasthttp.Request) {
		product := 1 + rand.IntN(lines)
		r.Header.SetMethod(fasthttp.MethodPost)
		r.Header.SetContentType("application/json")
		r.SetRequestURI(fmt.Sprintf("/api/v1/cart/%d/item", 1+rand.IntN(carts)))
		r.SetBodyString(fmt.Sprintf(`{"product_id":%d,"name":"Product %d","price":"4.90","quantity":%d}`,
			product, product, 1+rand.IntN(1_000_000)))
	}
}

func (o openLoop) run(ctx context.Context) (Sample, error) {
	client, err := newClient(o.url, o.connections)
	if err != nil {
		return Sample{}, err
	}
	defer client.CloseIdleConnections()
	// Connect first, uncounted: in production a load balancer keeps connections open.
	connect := &schedule{began: time.Now(), last: int64(o.connections)}
	if _, err := together(ctx, o.connections, func(ctx context.Context, _ int) ([]time.Duration, error) {
		return o.send(ctx, client, connect)
	}); err != nil {
		return Sample{}, err
	}
	s := &schedule{
		began: time.Now(), interval: time.Duration(float64(time.Second) / o.rate), last: int64(o.rate * o.duration.Seconds()),
	}
	sample, err := together(ctx, o.connections, func(ctx context.Context, _ int) ([]time.Duration, error) {
		return o.send(ctx, client, s)
	})
	sample.Target = o.rate
	return sample, err
}

// newClient returns a client of the server at a URL without a path.
func newClient(url string, connections int) (*fasthttp.HostClient, error) {
	uri := fasthttp.AcquireURI()
	defer fasthttp.ReleaseURI(uri)
	if err := uri.Parse(nil, []byte(url)); err != nil {
		return nil, err
	}
	return &fasthttp.HostClient{
		Addr: string(uri.Host()), MaxConns: connections, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		// A silent retry would hide an error.
		MaxIdemponentCallAttempts: 1,
	}, nil
}

// schedule gives out the times at which requests are due.
type schedule struct {
	began    time.Time
	interval time.Duration
	taken    atomic.Int64
	last     int64
}

// next returns when the next request is due, and false after the last one.
func (s *schedule) next() (time.Time, bool) {
	n := s.taken.Add(1)
	return s.began.Add(time.Duration(n) * s.interval), n <= s.last
}

// send sends requests of the schedule over one connection.
func (o openLoop) send(ctx context.Context, client *fasthttp.HostClient, s *schedule) ([]time.Duration, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var latencies []time.Duration
	for {
		due, ok := s.next()
		if !ok {
			return latencies, nil
		}
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return latencies, ctx.Err()
		case <-timer.C:
		}
		req.Reset()
		o.request(req)
		req.Header.SetHost(client.Addr)
		sent := time.Now()
		if err := client.Do(req, resp); err != nil {
			return latencies, err
		}
		if code := resp.StatusCode(); code/100 != 2 {
			if o.refused == nil {
				return latencies, fmt.Errorf("status %d: %s", code, resp.Body())
			}
			if err := o.refused(resp, time.Since(sent)); err != nil {
				return latencies, err
			}
			continue
		}
		latencies = append(latencies, time.Since(due))
	}
}
