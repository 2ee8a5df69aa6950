package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// channels is the number of connections that the calls in flight share.
const channels = 4

// rpcLoad is a closed loop over gRPC: each caller waits for its answer before the next call.
type rpcLoad struct {
	address  string
	next     func() call
	callers  int
	duration time.Duration
}

// call is a method of CartService and its request.
type call struct {
	method  string
	request proto.Message
}

// rpcLoads generate the calls of each load; they match the scripts of wrk.
var rpcLoads = map[string]func(*rpcSource) call{
	rpcGet:      (*rpcSource).get,
	rpcActive:   (*rpcSource).active,
	rpcItem:     (*rpcSource).item,
	rpcAdd:      (*rpcSource).add,
	rpcQuantity: (*rpcSource).quantity,
	rpcMix: func(s *rpcSource) call {
		switch dice := rand.IntN(100); {
		case dice < 70:
			return s.get()
		case dice < 95:
			return s.item()
		default:
			return s.add()
		}
	},
}

// rpcSource makes calls for existing carts and for new users.
type rpcSource struct {
	carts, lines int
	newcomers    atomic.Int64 // the last new user
}

func (s *rpcSource) cart() int64        { return 1 + rand.Int64N(int64(s.carts)) }
func (s *rpcSource) product() int64     { return 1 + rand.Int64N(int64(s.lines)) }
func (s *rpcSource) newQuantity() int32 { return 1 + rand.Int32N(1_000_000) }

func (s *rpcSource) get() call { return call{"GetCart", &cartv1.GetCartRequest{CartId: s.cart()}} }

func (s *rpcSource) active() call {
	return call{"GetActiveCart", &cartv1.GetActiveCartRequest{CompanyId: 1, UserId: s.cart()}}
}

func (s *rpcSource) item() call {
	product := s.product()
	return call{"UpsertItem", &cartv1.UpsertItemRequest{
		CartId: s.cart(), ProductId: product, Name: fmt.Sprint("Product ", product), Price: "4.90", Quantity: s.newQuantity(),
	}}
}

func (s *rpcSource) add() call {
	product := s.product()
	return call{"AddItem", &cartv1.AddItemRequest{
		CompanyId: 1, UserId: s.newcomers.Add(1), ProductId: product, Name: fmt.Sprint("Product ", product), Price: "4.90",
		Quantity: s.newQuantity(),
	}}
}

func (s *rpcSource) quantity() call {
	return call{"UpdateQty", &cartv1.UpdateQtyRequest{CartId: s.cart(), ProductId: s.product(), Quantity: s.newQuantity()}}
}

// leanCodec leaves answers encoded, as wrk does: decoding would take CPU from the service.
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
		c := l.next()
		if err := conn.Invoke(ctx, "/sellio.cart.v1.CartService/"+c.method, c.request, &size); err != nil {
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
