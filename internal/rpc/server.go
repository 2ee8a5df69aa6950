// Package rpc serves carts over gRPC: it turns requests into commands and references of the domain,
// and what comes of them into messages and status codes.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress, and the Python service understood it
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

// The limits of what clients may ask of the server. The largest valid request is a few kilobytes.
const (
	maxRequestBytes  = 64 << 10 // of one message, unpacked
	maxMetadataBytes = 16 << 10 // of one request, as HTTP/2 counts them
	maxStreams       = 1000     // requests under way on one connection
	minPingInterval  = 10 * time.Second
)

// maxHeaderBytes is the largest metadata that the library reads. More ends the connection, and with it all requests on
// it. So it is well above maxMetadataBytes, which fails one request, and far below the 16 MiB that the library would
// hold for each connection otherwise.
const maxHeaderBytes = 128 << 10

// Options are the settings of a [Server]. All up to MaxRequests must be set.
type Options struct {
	RequestTimeout time.Duration // for one request, from its headers to its answer; a client may ask for less
	Logger         *slog.Logger
	ClientTimeout  time.Duration // for a client to introduce itself
	IdleTimeout    time.Duration // after which a connection without requests is ended
	MaxRequests    int           // under way at once; further ones are refused

	Auth *auth.Authenticator // nil: every caller is trusted
	TLS  *tls.Config         // without it the server speaks in the clear
	// ServerOptions are more options of the library, and may be left out. Unary interceptors among them stand around
	// all else that the server does.
	ServerOptions []grpc.ServerOption
}

// Server is a gRPC server with the cart, health and reflection services.
type Server struct {
	grpc     *grpc.Server
	health   *health.Server
	timeout  time.Duration
	log      *slog.Logger
	auth     *auth.Authenticator
	unary    map[string]bool // the full names of methods that have one answer
	most     int64           // requests that may be under way at once
	underWay atomic.Int64
	unsent   unsent
	stopping context.Context // ends when Shutdown begins
	stop     context.CancelFunc
}

// New returns a server that is ready to serve.
func New(carts cart.Service, o Options) *Server {
	s := &Server{
		health: health.NewServer(), timeout: o.RequestTimeout, log: o.Logger, auth: o.Auth,
		unary: make(map[string]bool), most: int64(o.MaxRequests),
	}
	s.stopping, s.stop = context.WithCancel(context.Background())
	secure := insecure.NewCredentials()
	if o.TLS != nil {
		secure = credentials.NewTLS(o.TLS)
	}
	s.grpc = grpc.NewServer(append(slices.Clone(o.ServerOptions),
		grpc.Creds(secure),
		grpc.ForceServerCodecV2(codec{encoding.GetCodecV2(proto.Name), &s.unsent}),
		grpc.ChainUnaryInterceptor(s.intercept),
		grpc.StreamInterceptor(s.interceptStream),
		grpc.MaxRecvMsgSize(maxRequestBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InTapHandle(s.tap),
		// Requests are small. Windows that grow with the line would take a ping every few requests to measure it.
		grpc.StaticStreamWindowSize(maxRequestBytes),
		grpc.StaticConnWindowSize(maxRequestBytes),
		grpc.ConnectionTimeout(o.ClientTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		// Connections end now and then, so that clients find servers that were added; sooner where they
		// are idle or the peer has gone silent.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     o.IdleTimeout,
			MaxConnectionAge:      30 * time.Minute,
			MaxConnectionAgeGrace: o.RequestTimeout + time.Second,
			Time:                  time.Minute,
			Timeout:               20 * time.Second,
		}),
	)...)
	s.register(cartv1.CartService_ServiceDesc, &service{carts: carts, unsent: &s.unsent})
	s.register(healthv1.Health_ServiceDesc, s.health)
	s.SetReady(true)
	reflection.Register(s.grpc)
	return s
}

// Serve answers requests on the listener, which it closes in the end. It returns nil after Shutdown,
// and otherwise why it cannot go on.
func (s *Server) Serve(l net.Listener) error {
	if err := s.grpc.Serve(l); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// SetReady makes health checks answer SERVING or NOT_SERVING. After Drain it does nothing.
func (s *Server) SetReady(ready bool) {
	now := healthv1.HealthCheckResponse_NOT_SERVING
	if ready {
		now = healthv1.HealthCheckResponse_SERVING
	}
	for _, service := range []string{"", cartv1.CartService_ServiceDesc.ServiceName} {
		s.health.SetServingStatus(service, now)
	}
}

// Drain makes health checks answer NOT_SERVING from now on. Requests are served as before.
func (s *Server) Drain() { s.health.Shutdown() }

// Shutdown drains the server, accepts nothing more and returns when the requests under way are done.
// When ctx ends first, it cancels them, waits for them to notice, and returns ctx's error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.Drain()
	s.stop()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		<-done
		return ctx.Err()
	}
}
