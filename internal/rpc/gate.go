package rpc

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/tap"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// gate sees each request when its headers have come, before a goroutine waits for its message: interceptors would
// not know of a client who never sends one.
type gate struct {
	most     int64         // requests under way
	timeout  time.Duration // for a request of the cart service, from its headers to its answer
	refusal  error
	underWay atomic.Int64
}

var cartMethods = "/" + cartv1.CartService_ServiceDesc.ServiceName + "/"

// admit implements [tap.ServerInHandle].
func (g *gate) admit(ctx context.Context, info *tap.Info) (context.Context, error) {
	if g.underWay.Add(1) > g.most {
		g.underWay.Add(-1)
		return ctx, g.refusal
	}
	cancel := context.CancelFunc(func() {})
	if strings.HasPrefix(info.FullMethodName, cartMethods) { // health and reflection have streams that last
		ctx, cancel = context.WithTimeout(ctx, g.timeout)
	}
	context.AfterFunc(ctx, func() { // the library ends the context with the request
		cancel()
		g.underWay.Add(-1)
	})
	return ctx, nil
}
