package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc"

	"github.com/sellio/sellio-cart/api"
	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/docsui"
	"github.com/sellio/sellio-cart/internal/listen"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest"
	"github.com/sellio/sellio-cart/internal/rpc"
	"github.com/sellio/sellio-cart/internal/telemetry"
)

func (s *service) serveRPC(ctx context.Context, carts cart.Service) (addr string, err error) {
	secure, err := s.tlsConfig(s.cfg.GRPCClientCAFile, "h2")
	if err != nil {
		return "", err
	}
	ln, addr, err := s.listen(ctx, "", "GRPC_PORT", s.cfg.GRPCPort)
	if err != nil {
		return "", err
	}
	server := rpc.New(carts, rpc.Options{
		Logger: s.log, RequestTimeout: s.cfg.RequestTimeout,
		ClientTimeout: s.cfg.ClientTimeout, IdleTimeout: s.cfg.IdleTimeout, MaxRequests: s.cfg.MaxConnections,
		MergePolicy: s.mergePolicy, TLS: secure, Auth: s.who,
		ServerOptions: append(s.tracing.ServerOptions(),
			grpc.ChainUnaryInterceptor(s.metrics.Unary(cartv1.CartService_ServiceDesc))),
	})
	s.ready.Notify(server.SetReady)
	s.listeners = append(s.listeners, server.Shutdown)
	go func() {
		if err := server.Serve(ln); err != nil {
			s.failed <- fmt.Errorf("serve gRPC: %w", err)
		}
	}()
	return addr, nil
}

func (s *service) serveREST(ctx context.Context, carts cart.Service) (addr string, err error) {
	handler := rest.New(carts, rest.Options{
		Logger: s.log, SecureCookie: !s.cfg.Local(), RequestTimeout: s.cfg.RequestTimeout, Version: s.version,
		Ready: s.ready.Err, MaxRequests: s.cfg.MaxConnections, MergePolicy: s.mergePolicy,
		Auth: s.who, TrustedProxies: s.cfg.TrustedProxies, Origins: s.cfg.CORSOrigins,
	})
	if s.cfg.DocsEnabled {
		if handler, err = docsui.Handler(api.OpenAPI, handler); err != nil {
			return "", err
		}
	}
	secure, err := s.tlsConfig("", "h2", "http/1.1")
	if err != nil {
		return "", err
	}
	ln, addr, err := s.listen(ctx, "", "HTTP_PORT", s.cfg.HTTPPort)
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler:           requestid.HTTP(s.tracing.HTTP(s.metrics.HTTP(handler, rest.Operation), rest.Operation)),
		TLSConfig:         secure,
		ReadHeaderTimeout: s.cfg.ClientTimeout,
		ReadTimeout:       s.cfg.ClientTimeout, // for headers and body; over HTTP/2 for the body
		// It starts after the headers, and so includes reading the body and handling the request.
		WriteTimeout:   2*s.cfg.ClientTimeout + s.cfg.RequestTimeout,
		IdleTimeout:    s.cfg.IdleTimeout,
		MaxHeaderBytes: rest.MaxHeaderBytes,
		ConnState:      ln.ConnState,
		ErrorLog:       slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.listeners = append(s.listeners, func(ctx context.Context) error {
		// Close cuts off the requests that Shutdown could not finish in time.
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(fmt.Errorf("stop REST: %w", err), server.Close())
		}
		return nil
	})
	s.serveHTTP("REST", ln, server)
	return addr, nil
}

// serveAdmin serves operators. It stops after all parts that are started later, so that metrics show the stop, and does
// not wait for requests under way.
func (s *service) serveAdmin(ctx context.Context) (addr string, err error) {
	ln, addr, err := s.listen(ctx, string(s.cfg.AdminAddress), "ADMIN_PORT", s.cfg.AdminPort)
	if err != nil {
		return "", err
	}
	server := &http.Server{
		Handler:           telemetry.Admin(s.metrics.Handler(s.log), s.ready.Err),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       s.cfg.IdleTimeout,
		// Every connection counts as idle, so that it makes room for a new one: a probe must get through.
		ConnState: func(c net.Conn, _ http.ConnState) { ln.ConnState(c, http.StateIdle) },
		ErrorLog:  slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.closers = append(s.closers, func(context.Context) error { return server.Close() })
	s.serveHTTP("metrics", ln, server)
	return addr, nil
}

// serveHTTP starts the server on the listener, over TLS if it is configured.
func (s *service) serveHTTP(name string, ln net.Listener, server *http.Server) {
	serve := server.Serve
	if server.TLSConfig != nil {
		serve = func(ln net.Listener) error { return server.ServeTLS(ln, "", "") }
	}
	go func() {
		if err := serve(ln); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- fmt.Errorf("serve %s: %w", name, err)
		}
	}()
}

// tlsConfig returns nil if TLS is off.
func (s *service) tlsConfig(clientCA string, protocols ...string) (*tls.Config, error) {
	files := listen.TLSFiles{Cert: s.cfg.TLSCertFile, Key: s.cfg.TLSKeyFile, ClientCA: clientCA}
	if files.Cert == "" {
		return nil, nil
	}
	secure, err := listen.TLS(files, s.log, protocols...)
	if err != nil {
		return nil, fmt.Errorf("TLS_CERT_FILE=%s, TLS_KEY_FILE=%s: %w", files.Cert, files.Key, err)
	}
	return secure, nil
}

// listen listens on the port of an address, "" for all of them, and returns the address of the service on this machine.
func (s *service) listen(ctx context.Context, address, variable string, port int) (*listen.Listener, string, error) {
	ln, err := listen.TCP(ctx, net.JoinHostPort(address, strconv.Itoa(port)), s.cfg.MaxConnections, s.log)
	if err != nil {
		return nil, "", fmt.Errorf("%s=%d: %w", variable, port, err)
	}
	return ln, net.JoinHostPort(cmp.Or(address, "localhost"), strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)), nil
}
