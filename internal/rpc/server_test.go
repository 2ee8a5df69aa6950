package rpc

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/encoding/proto"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
)

// rawCodec sends a message that is already encoded.
type rawCodec struct{ encoding.CodecV2 }

func (c rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func TestUndecodable(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{})
	codec := rawCodec{encoding.GetCodecV2(proto.Name)}
	tests := map[string][]byte{
		"not UTF-8":     append([]byte{0x08, 5, 0x1a, 2}, 0xc3, 0x28), // company_id, cookie
		"cut short":     {0x08, 5, 0x1a, 200, 'a'},
		"not a message": {0xff, 0xff},
	}
	for name, raw := range tests {
		t.Run(name, func(t *testing.T) {
			err := conn.Invoke(t.Context(), cartv1.CartService_UpsertCart_FullMethodName, raw, new(cartv1.CartResponse), grpc.ForceCodecV2(codec))
			if got := status.Code(err); got != codes.InvalidArgument {
				t.Errorf("got %v (%v), want InvalidArgument", got, err)
			}
			if strings.Contains(err.Error(), "proto:") {
				t.Errorf("internals shown: %v", err)
			}
		})
	}
}

func TestRequestTooLarge(t *testing.T) {
	c := client(t, always(sample()), Options{})
	// Compressed, the message is small. The limit applies to its uncompressed size.
	for name, opts := range map[string][]grpc.CallOption{"plain": nil, "packed": {grpc.UseCompressor(gzip.Name)}} {
		t.Run(name, func(t *testing.T) {
			_, err := c.UpsertCart(t.Context(), &cartv1.UpsertCartRequest{Cookie: strings.Repeat("c", maxRequestBytes)}, opts...)
			if got := status.Code(err); got != codes.ResourceExhausted {
				t.Errorf("got %v (%v), want ResourceExhausted", got, err)
			}
		})
	}
}

// TestInterceptorsSeeRefusedMessages checks that interceptors see requests with a refused message, and that the client
// gets their id.
func TestInterceptorsSeeRefusedMessages(t *testing.T) {
	seen := make(chan codes.Code, 1)
	_, conn := serve(t, always(sample()), Options{ServerOptions: []grpc.ServerOption{grpc.ChainUnaryInterceptor(
		func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			resp, err := next(ctx, req)
			seen <- status.Code(err)
			return resp, err
		})}})
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-request-id", "abc")
	raw := rawCodec{encoding.GetCodecV2(proto.Name)}
	for want, message := range map[codes.Code][]byte{
		codes.OK: {0x08, 5}, codes.InvalidArgument: {0xff, 0xff}, codes.ResourceExhausted: make([]byte, maxRequestBytes+1),
	} {
		var header metadata.MD
		_ = conn.Invoke(ctx, cartv1.CartService_GetCart_FullMethodName, message, new(cartv1.CartResponse), grpc.ForceCodecV2(raw), grpc.Header(&header))
		// The library refuses too large a message before the server can set a header.
		if got := header.Get("x-request-id"); !slices.Equal(got, []string{"abc"}) && len(message) <= maxRequestBytes {
			t.Errorf("message of %d bytes: the client is shown the id %q", len(message), got)
		}
		if got := <-seen; got != want {
			t.Errorf("interceptors saw %v, want %v", got, want)
		}
	}
}

// TestIDs checks when the client gets the id of its request.
func TestIDs(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{})
	_, badConn := serve(t, failing(cart.ErrNotFound), Options{})
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, tt := range map[string]struct {
		conn   *grpc.ClientConn
		brings []string
		want   func(id string) bool
	}{
		"brought":          {conn, []string{"x-request-id", "abc"}, func(id string) bool { return id == "abc" }},
		"traced":           {conn, []string{"traceparent", traceparent}, func(id string) bool { return id == traceparent[3:35] }},
		"fresh":            {conn, nil, func(id string) bool { return id == "" }},
		"fresh, failing":   {badConn, nil, func(id string) bool { return len(id) > 20 }},
		"brought, failing": {badConn, []string{"x-request-id", "abc"}, func(id string) bool { return id == "abc" }},
	} {
		t.Run(name, func(t *testing.T) {
			var header metadata.MD
			ctx := metadata.AppendToOutgoingContext(t.Context(), tt.brings...)
			_, _ = cartv1.NewCartServiceClient(tt.conn).GetCart(ctx, &cartv1.GetCartRequest{CartId: 1}, grpc.Header(&header))
			if ids := header.Get("x-request-id"); len(ids) > 1 || !tt.want(strings.Join(ids, "")) {
				t.Errorf("shown %q", ids)
			}
		})
	}
}

// TestMessageNeverComes checks that a request whose message never arrives ends in time and makes room for others.
func TestMessageNeverComes(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{RequestTimeout: 50 * time.Millisecond, MaxRequests: 1})
	for _, method := range []string{cartv1.CartService_GetCart_FullMethodName, healthv1.Health_Check_FullMethodName} {
		for ended := 0; ended < 2; {
			stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, method)
			if err != nil {
				t.Fatal(err)
			}
			switch err := stream.RecvMsg(new(cartv1.CartResponse)); status.Code(err) {
			case codes.DeadlineExceeded:
				ended++
			case codes.ResourceExhausted: // the client has the last answer a moment before the server counts that request out
			default:
				t.Fatalf("%s: got %v, want DeadlineExceeded", method, err)
			}
		}
	}
}

// TestStreamsTakePlaces checks that a long-lived stream counts as a request in flight.
func TestStreamsTakePlaces(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{MaxRequests: 1})
	watch := func(ctx context.Context) error {
		t.Helper()
		stream, err := healthv1.NewHealthClient(conn).Watch(ctx, &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		return err
	}
	ctx, leave := context.WithCancel(t.Context())
	if err := watch(ctx); err != nil {
		t.Fatal(err)
	}
	if err := watch(t.Context()); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("another stream: got %v, want ResourceExhausted", err)
	}
	get := func() error {
		_, err := cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
		return err
	}
	if err := get(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a request: got %v, want ResourceExhausted", err)
	}
	leave()
	for err := get(); err != nil; err = get() { // the server notices after a moment
		if status.Code(err) != codes.ResourceExhausted {
			t.Fatal(err)
		}
	}
}

// TestTooMuchMetadata sends the largest metadata allowed, and more, to methods of each service and of each kind.
func TestTooMuchMetadata(t *testing.T) {
	var seen []codes.Code
	counting := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		resp, err := next(ctx, req)
		seen = append(seen, status.Code(err))
		return resp, err
	}
	_, conn := serve(t, always(sample()), Options{ServerOptions: []grpc.ServerOption{grpc.ChainUnaryInterceptor(counting)}})
	const name, others = "x-large", 300 // more than the library's own metadata takes
	most := strings.Repeat("v", maxMetadataBytes-len(name)-32-others)
	for method, call := range map[string]func(ctx context.Context) error{
		"unary": func(ctx context.Context) error {
			_, err := cartv1.NewCartServiceClient(conn).GetCart(ctx, &cartv1.GetCartRequest{CartId: 1})
			return err
		},
		"health": func(ctx context.Context) error {
			_, err := healthv1.NewHealthClient(conn).Check(ctx, new(healthv1.HealthCheckRequest))
			return err
		},
		"stream": func(ctx context.Context) error {
			watch, err := healthv1.NewHealthClient(conn).Watch(ctx, new(healthv1.HealthCheckRequest))
			if err == nil {
				_, err = watch.Recv()
			}
			return err
		},
	} {
		for value, want := range map[string]codes.Code{
			most: codes.OK, most + most[:others+1]: codes.ResourceExhausted, most + most: codes.ResourceExhausted,
		} {
			ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(t.Context(), name, value))
			if err := call(ctx); status.Code(err) != want {
				t.Errorf("%s with %d bytes: got %v, want %v", method, len(value), err, want)
			}
			cancel()
		}
	}
	if refused := slices.DeleteFunc(seen, func(c codes.Code) bool { return c != codes.ResourceExhausted }); len(refused) != 4 {
		t.Errorf("interceptors saw %d unary requests that were refused, want 4", len(refused))
	}
}

func TestCompressedRequest(t *testing.T) {
	c := client(t, always(sample()), Options{})
	if _, err := c.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1}, grpc.UseCompressor(gzip.Name)); err != nil {
		t.Error(err)
	}
}

func TestUnknownMethod(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{})
	for _, method := range []string{"/sellio.cart.v1.CartService/DropCart", "/sellio.cart.v2.CartService/GetCart"} {
		err := conn.Invoke(t.Context(), method, new(cartv1.GetCartRequest), new(cartv1.CartResponse))
		if got := status.Code(err); got != codes.Unimplemented {
			t.Errorf("%s: got %v, want Unimplemented", method, got)
		}
	}
}

// untilEnd returns a fake that sends its context on the channel when a call begins, and answers when the context ends.
func untilEnd(begun chan<- context.Context) *fake {
	return &fake{answer: func(ctx context.Context) ([]*cart.Cart, error) {
		begun <- ctx
		<-ctx.Done()
		return nil, cart.Unavailable(ctx.Err())
	}}
}

func TestRequestTimeout(t *testing.T) {
	c := client(t, untilEnd(make(chan context.Context, 1)), Options{RequestTimeout: time.Millisecond})
	_, err := c.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
	if got := status.Code(err); got != codes.Unavailable {
		t.Errorf("got %v, want Unavailable: the service timed out, not the client", got)
	}
}

func TestDeadlines(t *testing.T) {
	var left time.Duration
	f := &fake{answer: func(ctx context.Context) ([]*cart.Cart, error) {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return []*cart.Cart{sample()}, nil
	}}
	c := client(t, f, Options{RequestTimeout: time.Hour})
	for name, asked := range map[string]time.Duration{"the client's": 30 * time.Minute, "the server's": 24 * time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), asked)
		defer cancel()
		if _, err := c.GetCart(ctx, &cartv1.GetCartRequest{CartId: 1}); err != nil {
			t.Fatal(err)
		}
		if most := min(asked, time.Hour); left > most || left < most-10*time.Minute {
			t.Errorf("%s deadline is shorter: the handler had %v", name, left)
		}
	}
}

func TestHealth(t *testing.T) {
	s, conn := serve(t, always(sample()), Options{})
	health := healthv1.NewHealthClient(conn)
	check := func(service string, want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		resp, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
		if err != nil || resp.GetStatus() != want {
			t.Errorf("service %q: got %v (%v), want %v", service, resp.GetStatus(), err, want)
		}
	}
	const service = "sellio.cart.v1.CartService"
	check("", healthv1.HealthCheckResponse_SERVING)
	check(service, healthv1.HealthCheckResponse_SERVING)
	if _, err := health.Check(t.Context(), &healthv1.HealthCheckRequest{Service: "other"}); status.Code(err) != codes.NotFound {
		t.Errorf("an unknown service: %v, want NotFound", err)
	}
	s.Drain()
	check("", healthv1.HealthCheckResponse_NOT_SERVING)
	check(service, healthv1.HealthCheckResponse_NOT_SERVING)
	if _, err := cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1}); err != nil {
		t.Error("requests are not served while draining:", err)
	}
}

// TestReflection asks both versions of the reflection service: tools that are some years old know only
// v1alpha. Its messages are those of v1.
func TestReflection(t *testing.T) {
	_, conn := serve(t, always(sample()), Options{})
	for _, version := range []string{"v1", "v1alpha"} {
		t.Run(version, func(t *testing.T) {
			desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
			method := "/grpc.reflection." + version + ".ServerReflection/ServerReflectionInfo"
			stream, err := conn.NewStream(t.Context(), desc, method)
			if err != nil {
				t.Fatal(err)
			}
			list := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
			if err := stream.SendMsg(list); err != nil {
				t.Fatal(err)
			}
			resp := new(reflectionv1.ServerReflectionResponse)
			if err := stream.RecvMsg(resp); err != nil {
				t.Fatal(err)
			}
			listed := func(s *reflectionv1.ServiceResponse) bool { return s.GetName() == "sellio.cart.v1.CartService" }
			if !slices.ContainsFunc(resp.GetListServicesResponse().GetService(), listed) {
				t.Errorf("the service is not listed: %v", resp)
			}
		})
	}
}

func TestShutdownWaits(t *testing.T) {
	begun, finish := make(chan struct{}), make(chan struct{})
	f := &fake{answer: func(context.Context) ([]*cart.Cart, error) {
		close(begun)
		<-finish
		return []*cart.Cart{sample()}, nil
	}}
	s, conn := serve(t, f, Options{})
	answered := make(chan error, 1)
	go func() {
		_, err := cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
		answered <- err
	}()
	<-begun
	stopped := make(chan error, 1)
	go func() { stopped <- s.Shutdown(t.Context()) }()
	<-s.stopping.Done()
	select {
	case err := <-stopped:
		t.Fatalf("Shutdown returned %v with a request under way", err)
	default:
	}
	close(finish)
	if err := <-answered; err != nil {
		t.Error("the request under way:", err)
	}
	if err := <-stopped; err != nil {
		t.Error("Shutdown:", err)
	}
}

func TestShutdownLosesPatience(t *testing.T) {
	begun := make(chan context.Context)
	s, conn := serve(t, untilEnd(begun), Options{})
	answered := make(chan error, 1)
	go func() {
		_, err := cartv1.NewCartServiceClient(conn).GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1})
		answered <- err
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want the context's error", err)
	}
	if err := <-answered; err == nil {
		t.Error("a request that was cut off succeeded")
	}
}

// TestShutdownEndsIdleReflection checks that an idle reflection stream does not delay a shutdown.
func TestShutdownEndsIdleReflection(t *testing.T) {
	s, conn := serve(t, always(sample()), Options{})
	idle, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}
	if err := idle.Send(ask); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Recv(); err != nil { // the handler runs now
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v, want Canceled", err)
	}
}

// TestShutdownEndsWatches checks that a health watch does not delay a shutdown.
func TestShutdownEndsWatches(t *testing.T) {
	s, conn := serve(t, always(sample()), Options{})
	watch, err := healthv1.NewHealthClient(conn).Watch(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("got %v (%v), want SERVING", first, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Error("Shutdown:", err)
	}
}

func TestServeAfterShutdown(t *testing.T) {
	s := New(always(sample()), Options{RequestTimeout: time.Minute, ClientTimeout: time.Minute, IdleTimeout: time.Minute, Logger: discard})
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal("Shutdown:", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(l); err != nil {
		t.Error("Serve:", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the listener is left open: %v", err)
	}
}
