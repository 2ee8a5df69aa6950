// Package rpc serves carts over gRPC: it converts requests to commands and references of the domain, and their
// results to messages and status codes.
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
	_ "google.golang.org/grpc/encoding/gzip" // clients may compress, as they could with the Python service
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
)

// Limits for clients. The largest valid request is a few kilobytes, except those with many changes.
const (
	maxRequestBytes  = 64 << 10  // of one message, uncompressed
	maxManyBytes     = 512 << 10 // of a message with many changes
	maxMetadataBytes = 16 << 10  // of one request, as HTTP/2 counts them
	maxStreams       = 1000      // requests in flight on one connection
	minPingInterval  = 10 * time.Second
)

// maxHeaderBytes is the largest metadata that the library reads. Larger metadata closes the connection, and with it all
// other requests on it. So the bound is well above maxMetadataBytes, which fails one request alone, and far below the
// library's default of 16 MiB.
const maxHeaderBytes = 128 << 10

// Options are the settings of a [Server]. All up to MaxRequests must be set.
type Options struct {
	RequestTimeout time.Duration // for one request, from its headers to its answer; a client may ask for less
	Logger         *slog.Logger
	ClientTimeout  time.Duration // for a client's TLS and HTTP/2 handshakes
	IdleTimeout    time.Duration // after which a connection without requests is closed
	MaxRequests    int           // in flight; further ones are refused
	MergePolicy    cart.MergePolicy

	Auth *auth.Authenticator // nil: every caller is trusted
	TLS  *tls.Config         // nil: connections are not encrypted
	// ServerOptions are optional further options of the library. Unary interceptors among them run outside the
	// server's own.
	ServerOptions []grpc.ServerOption
}

// Server is a gRPC server with the cart, health and reflection services.
type Server struct {
	grpc     *grpc.Server
	health   *health.Server
	timeout  time.Duration
	log      *slog.Logger
	auth     *auth.Authenticator
	unary    map[string]bool // full names of the unary methods
	most     int64           // the largest number of requests in flight
	underWay atomic.Int64
	large    atomic.Int64 // bytes of messages over maxRequestBytes that are under way
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
		grpc.MaxRecvMsgSize(maxManyBytes),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.InTapHandle(s.tap),
		// Requests are small. Dynamic windows would send a ping every few requests to measure the bandwidth.
		grpc.StaticStreamWindowSize(maxRequestBytes),
		grpc.StaticConnWindowSize(maxRequestBytes),
		grpc.ConnectionTimeout(o.ClientTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval, PermitWithoutStream: true}),
		// Connections have a maximum age, so that clients find new servers. They end sooner if they are idle or
		// the peer does not answer pings.
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle:     o.IdleTimeout,
			MaxConnectionAge:      30 * time.Minute,
			MaxConnectionAgeGrace: o.RequestTimeout + time.Second,
			Time:                  time.Minute,
			Timeout:               20 * time.Second,
		}),
	)...)
	s.register(cartv1.CartService_ServiceDesc, &service{carts: carts, unsent: &s.unsent, policy: o.MergePolicy})
	s.register(healthv1.Health_ServiceDesc, s.health)
	s.SetReady(true)
	reflection.Register(s.grpc)
	return s
}

// Serve answers requests on the listener, and closes it before returning. It returns nil after Shutdown, and
// otherwise the error that stopped it.
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

// Shutdown drains the server, accepts nothing more and returns when the requests in flight are done.
// If ctx ends first, it cancels the requests, waits for their handlers to return, and returns ctx's error.
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
