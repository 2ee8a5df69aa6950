package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// checkoutLoad is a load over REST: each client makes a cart for a new owner, adds a second line, checks the cart out,
// and begins again. A cart counts as one answer, and its three requests as one latency.
type checkoutLoad struct {
	url      string
	clients  int
	duration time.Duration
}

func (l checkoutLoad) run(ctx context.Context) (Sample, error) {
	client, err := newClient(l.url, l.clients)
	if err != nil {
		return Sample{}, err
	}
	defer client.CloseIdleConnections()
	began := time.Now()
	var owners atomic.Int64
	owners.Store(began.UnixMicro()) // far fewer carts than microseconds, so runs share no owners
	return together(ctx, l.clients, func(ctx context.Context, _ int) ([]time.Duration, error) {
		return l.shop(ctx, client, &owners, began.Add(l.duration))
	})
}

// shop makes and checks out one cart after the other until the deadline.
func (l checkoutLoad) shop(ctx context.Context, client *fasthttp.HostClient, owners *atomic.Int64, deadline time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	for began := time.Now(); began.Before(deadline) && ctx.Err() == nil; {
		if err := checkOutCart(client, owners.Add(1)); err != nil {
			return latencies, err
		}
		ended := time.Now()
		latencies = append(latencies, ended.Sub(began))
		began = ended
	}
	return latencies, ctx.Err()
}

func checkOutCart(client *fasthttp.HostClient, owner int64) error {
	var cart struct{ ID int64 }
	err := send(client, fasthttp.MethodPost, "/api/v1/cart/add-item",
		fmt.Sprintf(`{"company_id":1,"user_id":%d,"product_id":1,"name":"Product 1","price":"4.90","quantity":1}`, owner), &cart)
	if err != nil {
		return err
	}
	path := fmt.Sprint("/api/v1/cart/", cart.ID)
	err = send(client, fasthttp.MethodPost, path+"/item", `{"product_id":2,"name":"Product 2","price":"4.90","quantity":2}`, nil)
	if err != nil {
		return err
	}
	return send(client, fasthttp.MethodPut, path+"/status", `{"status":3}`, nil)
}

// send makes a request and decodes the response into answer, unless that is nil. A status other than 2xx is an error.
func send(client *fasthttp.HostClient, method, path, body string, answer any) error {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(method)
	req.Header.SetContentType("application/json")
	req.SetRequestURI(path)
	req.Header.SetHost(client.Addr)
	req.SetBodyString(body)
	if err := client.Do(req, resp); err != nil {
		return err
	}
	if code := resp.StatusCode(); code/100 != 2 {
		return fmt.Errorf("%s %s: status %d: %s", method, path, code, resp.Body())
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(resp.Body(), answer)
}
