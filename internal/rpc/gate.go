package rpc

import (
	"context"
	"errors"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sellio/sellio-cart/internal/cart"
)

// errTimeout is the cause of a context that ended because the request took too long.
var errTimeout = errors.New("the request took too long")

// errMetadata refuses a request with too much metadata. A retry would not help.
var errMetadata = status.Errorf(codes.ResourceExhausted, "The metadata of the request is larger than %d bytes.", maxMetadataBytes)

// tooMuchMetadata is the key of the context value that marks a request with too much metadata.
type tooMuchMetadata struct{}

// tap runs when the headers of a request have arrived. It implements [tap.ServerInHandle]. It checks the size of the
// metadata here, since later hooks would have to copy it. It bounds the time of unary requests, so that even one whose
// message never arrives ends. Streams have no such bound.
func (s *Server) tap(ctx context.Context, info *tap.Info) (context.Context, error) {
	if sizeOf(info.Header) > maxMetadataBytes {
		ctx = context.WithValue(ctx, tooMuchMetadata{}, true) // refused later, where refusals are counted and logged
	}
	if !s.unary[info.FullMethodName] {
		return ctx, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, errTimeout)
	_ = cancel // the library ends ctx's parent with the request
	return ctx, nil
}

// sizeOf returns the size of metadata as HTTP/2 counts it (RFC 9113, section 6.5.2).
func sizeOf(md metadata.MD) (bytes int) {
	for name, values := range md {
		for _, value := range values {
			bytes += len(name) + len(value) + 32
		}
	}
	return bytes
}

// enter counts a new request. It fails if too many are in flight or if the metadata is too large. [Server.leave] must be
// called in any case.
func (s *Server) enter(ctx context.Context) error {
	if s.underWay.Add(1) > s.most {
		return cart.ErrOverloaded
	}
	if ctx.Value(tooMuchMetadata{}) != nil {
		return errMetadata
	}
	return nil
}

func (s *Server) leave() { s.underWay.Add(-1) }

// maxUnderWay is the most bytes of all messages over maxRequestBytes that are under way.
const maxUnderWay = 32 << 20

// reserve counts a large message until its request ends.
func (s *Server) reserve(ctx context.Context, size int64) error {
	if s.large.Add(size) > maxUnderWay {
		s.large.Add(-size)
		return cart.ErrOverloaded
	}
	context.AfterFunc(ctx, func() { s.large.Add(-size) })
	return nil
}

// register adds a service. Its unary requests are counted before their message arrives. Refused requests pass through
// the interceptors like any other, so that these see them fail.
func (s *Server) register(desc grpc.ServiceDesc, impl any) {
	desc.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		s.unary["/"+desc.ServiceName+"/"+m.MethodName] = true
		desc.Methods[i].Handler = s.admitting(m.Handler)
	}
	s.grpc.RegisterService(&desc, impl)
}

// admitting wraps the handler of a method: it refuses requests over the limits and messages that cannot be decoded.
func (s *Server) admitting(handle grpc.MethodHandler) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, mw grpc.UnaryServerInterceptor) (any, error) {
		defer s.leave()
		d := decoded{err: s.enter(ctx)}
		return handle(srv, ctx, func(in any) error {
			if d.err == nil {
				d.msg = in
				if err := decode(&d); err != nil {
					d.err = err
				}
				if d.err == nil && d.size > maxRequestBytes {
					d.err = s.reserve(ctx, int64(d.size))
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
