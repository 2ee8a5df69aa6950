//go:build unix

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/rest"
	"github.com/sellio/sellio-cart/internal/rpc"
)

// serveStatic serves REST and gRPC as the service does, but answers every read with the same cart. It shows the cost of
// the protocols and the load generators without commit, driver and database. It prints its addresses, REST first, one a
// line, and ends when its input ends.
//
// It is a command because it needs a process of its own, as the service has. Its argument is the number of lines in the
// cart.
func serveStatic(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("want the number of lines, got %q", args)
	}
	lines, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	user := int64(1)
	c := &cart.Cart{ID: 1, CompanyID: 1, UserID: &user, Status: cart.Active, CreatedAt: time.Now(), UpdatedAt: time.Now(), Version: 1}
	for p := range int64(lines) {
		c.Items = append(c.Items, cart.Item{ProductID: p + 1, Name: fmt.Sprint("Product ", p+1), Price: cart.Money(p+1) * 101, Quantity: 5})
	}
	restListener, restErr := net.Listen("tcp", "127.0.0.1:0")
	rpcListener, rpcErr := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(restErr, rpcErr); err != nil {
		return err
	}
	const timeout = 5 * time.Second
	log := slog.New(slog.DiscardHandler)
	restServer := &http.Server{
		Handler: requestid.HTTP(rest.New(static{cart: c}, rest.Options{
			Logger: log, RequestTimeout: timeout, Version: "bench", MaxRequests: 10_000, Ready: func() error { return nil },
		})),
		ReadHeaderTimeout: timeout,
	}
	rpcServer := rpc.New(static{cart: c}, rpc.Options{Logger: log, RequestTimeout: timeout, ClientTimeout: timeout, IdleTimeout: time.Minute, MaxRequests: 10_000})
	ended := make(chan error, 2)
	go func() { ended <- restServer.Serve(restListener) }()
	go func() { ended <- rpcServer.Serve(rpcListener) }()
	fmt.Fprintf(stdout, "http://%s\n%s\n", restListener.Addr(), rpcListener.Addr())
	_, err = io.Copy(io.Discard, stdin)
	err = errors.Join(err, restServer.Close(), rpcServer.Shutdown(context.Background()))
	for range cap(ended) {
		if why := <-ended; !errors.Is(why, http.ErrServerClosed) {
			err = errors.Join(err, why)
		}
	}
	return err
}

// static answers every read with the same cart.
type static struct {
	cart.Service
	cart *cart.Cart
}

func (s static) Get(context.Context, cart.Ref) (*cart.Cart, error) { return s.cart, nil }

// staticServer is a process that runs serveStatic.
type staticServer struct {
	cmd   *exec.Cmd
	leash io.Closer
	// rest is a URL without a path, grpc an address.
	rest, grpc string
}

func startStatic(ctx context.Context, lines int) (*staticServer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s := &staticServer{cmd: program(ctx, self, commandStatic, fmt.Sprint(lines))}
	stdin, inErr := s.cmd.StdinPipe()
	stdout, outErr := s.cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, err
	}
	s.leash = stdin
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	said := bufio.NewReader(stdout)
	for _, where := range []*string{&s.rest, &s.grpc} {
		line, err := said.ReadString('\n')
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the static server did not start: %w", err), s.stop())
		}
		*where = strings.TrimSpace(line)
	}
	return s, nil
}

func (s *staticServer) stop() error { return errors.Join(s.leash.Close(), s.cmd.Wait()) }
