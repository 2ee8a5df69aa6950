package rpc

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

var errUndecodable = status.Error(codes.InvalidArgument,
	"The request message cannot be decoded. It must be of the method's type, and strings must be UTF-8.")

// decoded receives a request message, or the error from decoding it.
type decoded struct {
	msg  any
	size int // in bytes
	err  error
}

// codec is the embedded codec, except that decoding into a *decoded never fails, and that lists are counted. When a
// codec fails, the library answers INTERNAL at once, although the message is the client's fault.
type codec struct {
	encoding.CodecV2
	unsent *unsent
}

// Marshal implements [encoding.CodecV2].
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	switch v.(type) {
	case *cartv1.CartList, *cartv1.Basket, *cartv1.MergeCartsResponse:
	default:
		return c.CodecV2.Marshal(v)
	}
	data, err := proto.Marshal(v.(proto.Message)) //nolint:forcetypeassert // one of the above
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
	d.size = data.Len()
	if _, many := d.msg.(*cartv1.ChangeItemsRequest); d.size > maxRequestBytes && !many {
		d.err = status.Errorf(codes.ResourceExhausted, "grpc: received message larger than max (%d vs. %d)", d.size, maxRequestBytes)
		return nil
	}
	d.err = c.CodecV2.Unmarshal(data, d.msg)
	return nil
}

// notDecoded returns the error that answers a request whose message was not read, or cannot be decoded.
func (s *Server) notDecoded(ctx context.Context, method string, err error) error {
	if _, ok := status.FromError(err); ok || errors.Is(err, cart.ErrOverloaded) {
		return err // a status comes from the library, for example when the message is too large
	}
	s.log.DebugContext(ctx, "A gRPC request cannot be decoded.", slog.String("method", method), slog.Any("error", err))
	return errUndecodable
}
