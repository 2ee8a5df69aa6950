package rpc

import (
	"context"
	"log/slog"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

var errUndecodable = status.Error(codes.InvalidArgument,
	"The request message cannot be decoded. It must be of the method's type, and strings must be UTF-8.")

// decoded receives a request message, or why the bytes are none.
type decoded struct {
	msg any
	err error
}

// codec is the codec it embeds, except that decoding into a *decoded never fails, and that lists are counted. A codec
// that fails makes the library send INTERNAL at once, though it is the client who is at fault.
type codec struct {
	encoding.CodecV2
	unsent *unsent
}

// Marshal implements [encoding.CodecV2].
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	list, ok := v.(*cartv1.CartList)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	data, err := proto.Marshal(list)
	if err != nil {
		return nil, err
	}
	return mem.BufferSlice{c.unsent.hold(data)}, nil
}

// Unmarshal implements [encoding.CodecV2].
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	d, ok := v.(*decoded)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	d.err = c.CodecV2.Unmarshal(data, d.msg)
	return nil
}

// refusingUndecodable returns the service with methods that answer a message that cannot be decoded,
// for example because a string is not UTF-8, with INVALID_ARGUMENT. Such a request, and one that is too large, passes
// the interceptors like any other, which see it fail.
func (s *Server) refusingUndecodable(desc grpc.ServiceDesc) *grpc.ServiceDesc {
	desc.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		desc.Methods[i].Handler = func(srv any, ctx context.Context, decode func(any) error, mw grpc.UnaryServerInterceptor) (any, error) {
			var d decoded
			return m.Handler(srv, ctx, func(in any) error {
				d.msg = in
				if err := decode(&d); err != nil {
					d.err = err
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
	return &desc
}

// notDecoded returns the status of a request whose message could not be had.
func (s *Server) notDecoded(ctx context.Context, method string, err error) error {
	if _, ok := status.FromError(err); ok {
		return err // the library's own, such as that the message is too large
	}
	s.log.DebugContext(ctx, "A gRPC request cannot be decoded.", slog.String("method", method), slog.Any("error", err))
	return errUndecodable
}
