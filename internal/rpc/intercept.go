package rpc

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/requestid"
)

// withID returns the context with the id of the request, and whether the id is a fresh one.
func withID(ctx context.Context) (_ context.Context, fresh bool) {
	first := func(key string) string {
		if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
			return values[0]
		}
		return ""
	}
	id, fresh := requestid.New(first(requestid.Header), first("traceparent"))
	return requestid.With(ctx, id), fresh
}

// showID sends the client the id of its request. Intercept skips it for a fresh id that no log line has: HPACK adds each
// new header value to its table, so unique ids make an answer a tenth more expensive.
func (s *Server) showID(ctx context.Context) {
	if err := grpc.SetHeader(ctx, metadata.Pairs(requestid.Header, requestid.Of(ctx))); err != nil {
		s.log.DebugContext(ctx, "The client is not shown the id of its gRPC request.", slog.Any("error", err))
	}
}

// intercept wraps every unary request: it gives the request an id, authenticates the caller, converts errors and panics
// to statuses, and logs a line.
func (s *Server) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	began := time.Now()
	ctx, fresh := withID(ctx)
	resp, cause := s.call(ctx, req, info, next)
	err := s.toStatus(ctx, info.FullMethod, cause)
	logged := s.log.Enabled(ctx, slog.LevelDebug)
	if logged || !fresh || err != nil {
		s.showID(ctx)
	}
	if logged {
		attrs := []slog.Attr{
			slog.String("method", info.FullMethod),
			slog.String("code", status.Code(err).String()),
			slog.Duration("duration", time.Since(began)),
		}
		if cause != nil {
			attrs = append(attrs, slog.Any("error", cause))
		}
		s.log.LogAttrs(ctx, slog.LevelDebug, "A gRPC request was answered.", attrs...)
	}
	return resp, err
}

// call authenticates the caller, if the service requires it, and runs the handler. It converts a panic to an error.
func (s *Server) call(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, s.panicked(ctx, info.FullMethod, p)
		}
	}()
	// Health and reflection are open to all.
	if _, guarded := info.Server.(*service); guarded && s.auth != nil {
		md, _ := metadata.FromIncomingContext(ctx)
		caller, err := s.auth.Authenticate(ctx, md.Get("authorization"), md.Get("cookie"), nil)
		if err != nil {
			return nil, err
		}
		ctx = auth.With(ctx, caller)
	}
	return next(ctx, req)
}

// interceptStream wraps the streams of the health and reflection services. A stream may wait long for a change
// of health or for the client's next message, so all streams end when a shutdown begins.
func (s *Server) interceptStream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer s.leave()
	if err := s.enter(ss.Context()); err != nil {
		return s.toStatus(ss.Context(), info.FullMethod, err)
	}
	ctx, _ := withID(ss.Context())
	s.showID(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	defer func() {
		if p := recover(); p != nil {
			err = s.panicked(ctx, info.FullMethod, p)
		}
	}()
	return next(srv, &stream{ServerStream: ss, ctx: ctx})
}

// stream replaces the context of a stream.
type stream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements [grpc.ServerStream].
func (s *stream) Context() context.Context { return s.ctx }

// RecvMsg implements [grpc.ServerStream]. It also returns when the context ends. The goroutine may then still write
// into m, which is harmless: the handler returns without reading m, and the goroutine ends with the stream.
func (s *stream) RecvMsg(m any) error {
	received := make(chan error, 1)
	go func() { received <- s.ServerStream.RecvMsg(m) }()
	select {
	case err := <-received:
		return err
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
}

func (s *Server) panicked(ctx context.Context, method string, p any) error {
	return s.internal(ctx, method, fmt.Errorf("panic: %v", p), slog.String("stack", string(debug.Stack())))
}
