package rpc

import (
	"context"
	"runtime"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

// long returns carts that make a list of about 12 MiB.
func long() []*cart.Cart {
	carts := make([]*cart.Cart, 200)
	for i := range carts {
		items := make([]cart.Item, 500)
		for j := range items {
			items[j] = cart.Item{ProductID: int64(j + 1), Name: strings.Repeat("x", 100), Price: 100, Quantity: 1}
		}
		carts[i] = &cart.Cart{ID: int64(i + 1), CompanyID: 1, Status: cart.Active, Items: items}
	}
	return carts
}

// TestUntakenListsAreBounded has a client that asks for long lists and reads none of them. Other clients get no lists
// until it cancels its requests, or closes its connection.
func TestUntakenListsAreBounded(t *testing.T) {
	s, conn := serve(t, always(long()...), Options{})
	c := cartv1.NewCartServiceClient(conn)
	ask := func() error {
		_, err := c.ListByIds(t.Context(), &cartv1.ListByIdsRequest{Ids: []int64{1}}, grpc.MaxCallRecvMsgSize(64<<20))
		return err
	}
	for name, requestsOnly := range map[string]bool{"requests": true, "connection": false} {
		t.Run(name, func(t *testing.T) {
			greedy, err := grpc.NewClient(conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithStaticStreamWindowSize(64<<10))
			if err != nil {
				t.Fatal(err)
			}
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			for ctx.Err() == nil && s.unsent.check() == nil {
				stream, err := greedy.NewStream(ctx, &grpc.StreamDesc{}, cartv1.CartService_ListByIds_FullMethodName)
				if err != nil {
					t.Fatal(err)
				}
				if err := stream.SendMsg(&cartv1.ListByIdsRequest{Ids: []int64{1}}); err != nil {
					t.Fatal(err)
				}
				if _, err := stream.Header(); err != nil { // the answer begins
					t.Fatal(err)
				}
			}
			if err := ask(); status.Code(err) != codes.ResourceExhausted {
				t.Errorf("a list ends with %v, want ResourceExhausted", err)
			}
			if _, err := c.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1}); err != nil {
				t.Errorf("a cart is refused: %v", err)
			}
			if requestsOnly {
				giveUp()
			}
			if err := greedy.Close(); err != nil {
				t.Error(err)
			}
			for s.unsent.check() != nil { // the server notices after a moment
				runtime.GC()
			}
			if err := ask(); err != nil {
				t.Errorf("a list ends with %v when nothing waits", err)
			}
		})
	}
	if held := s.unsent.bytes.Load(); held > 16<<20 {
		t.Errorf("%d bytes are still counted after their lists were dropped", held)
	}
}
