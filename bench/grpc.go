package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// channels is the number of connections that the calls in flight share.
const channels = 4

// rpcLoad is a load over gRPC: each of the callers makes its next call when it has the answer to the last.
type rpcLoad struct {
	address  string
	method   string
	request  func() proto.Message
	callers  int
	duration time.Duration
}

func getCart(carts int) func() proto.Message {
	return func() proto.Message { return &cartv1.GetCartRequest{CartId: 1 + rand.Int64N(int64(carts))} }
}

func upsertItem(carts, lines int) func() proto.Message {
	return func() proto.Message {
		product := 1 + rand.Int64N(int64(lines))
		return &cartv1.UpsertItemRequest{
			CartId: 1 + rand.Int64N(int64(carts)), ProductId: product, Name: fmt.Sprint("Product ", product),
			Price: "4.90", Quantity: 1 + rand.Int32N(1_000_000),
		}
	}
}

// leanCodec leaves answers encoded. wrk does not decode them either, and all CPU it took would be missing elsewhere.
type leanCodec struct{}

func (leanCodec) Name() string { return "proto" }

func (leanCodec) Marshal(v any) ([]byte, error) { return proto.Marshal(v.(proto.Message)) }

func (leanCodec) Unmarshal(data []byte, v any) error {
	*v.(*int) = len(data)
	return nil
}

func (l rpcLoad) run(ctx context.Context) (Sample, error) {
	conns := make([]*grpc.ClientConn, channels)
	for i := range conns {
		conn, err := grpc.NewClient("passthrough:///"+l.address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(leanCodec{})))
		if err != nil {
			return Sample{}, err
		}
		defer conn.Close()
		conns[i] = conn
	}
	deadline := time.Now().Add(l.duration)
	return together(ctx, l.callers, func(ctx context.Context, i int) ([]time.Duration, error) {
		return l.call(ctx, conns[i%channels], deadline)
	})
}

// call makes one call after the other until the deadline.
func (l rpcLoad) call(ctx context.Context, conn *grpc.ClientConn, deadline time.Time) ([]time.Duration, error) {
	var latencies []time.Duration
	for began := time.Now(); began.Before(deadline); {
		var size int
		if err := conn.Invoke(ctx, "/sellio.cart.v1.CartService/"+l.method, l.request(), &size); err != nil {
			return latencies, err
		}
		if size == 0 {
			return latencies, errors.New("an empty answer")
		}
		ended := time.Now()
		latencies = append(latencies, ended.Sub(began))
		began = ended
	}
	return latencies, nil
}
