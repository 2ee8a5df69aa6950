package rpc

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/tap"

	"github.com/sellio/sellio-cart/internal/cart"
)

// errTimeout is the cause of the end of a request that took longer than it may.
var errTimeout = errors.New("the request took too long")

// limitTime bounds the time of a unary request. It sees the request when its headers have come, so that one whose message
// never comes ends as well. It implements [tap.ServerInHandle].
func (s *Server) limitTime(ctx context.Context, info *tap.Info) (context.Context, error) {
	if !s.unary[info.FullMethodName] { // streams may last
		return ctx, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	_ = cancel // the library ends ctx's parent with the request
	return ctx, nil
}

// enter counts a request that begins. It fails where more are under way than may be; [Server.leave] must be called
// all the same.
func (s *Server) enter() error {
	if s.underWay.Add(1) > s.most {
		return cart.ErrOverloaded
	}
	return nil
}

func (s *Server) leave() { s.underWay.Add(-1) }

// register adds a service. Its unary requests are counted from before their message is there, and those that cannot be
// served pass the interceptors like any other, which see them fail.
func (s *Server) register(desc grpc.ServiceDesc, impl any) {
	desc.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		s.unary["/"+desc.ServiceName+"/"+m.MethodName] = true
		desc.Methods[i].Handler = s.admitting(m.Handler)
	}
	s.grpc.RegisterService(&desc, impl)
}

// admitting returns the handler of a method for requests that may be too many, too large or nonsense.
func (s *Server) admitting(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, mw grpc.UnaryServerInterceptor) (any, error) {
		defer s.leave()
		d := decoded{err: s.enter()}
		return handle(srv, ctx, func(in any) error {
			if d.err == nil {
				d.msg = in
				if err := decode(&d); err != nil {
					d.err = err
				}
			}
			return nil
		}, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			if d.err != nil {
				next = func(ctx context.Context, _ any) (any, error) { return nil, s.notDecoded(ctx, info.FullMethod, d.err) }
			}
			return mw(ctx, req, info, next)
		})
	}
}
