package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sellio/sellio-cart/internal/auth"
	"github.com/sellio/sellio-cart/internal/cart"
	"github.com/sellio/sellio-cart/internal/commit"
	"github.com/sellio/sellio-cart/internal/config"
	"github.com/sellio/sellio-cart/internal/listen"
	"github.com/sellio/sellio-cart/internal/postgres"
	"github.com/sellio/sellio-cart/internal/ratelimit"
	"github.com/sellio/sellio-cart/internal/readiness"
	"github.com/sellio/sellio-cart/internal/requestid"
	"github.com/sellio/sellio-cart/internal/sqlite"
	"github.com/sellio/sellio-cart/internal/telemetry"
	"github.com/sellio/sellio-cart/internal/upkeep"
)

// serve runs the service until the context ends or SIGTERM or SIGINT arrives. It then stops listening,
// finishes what was accepted, and returns. A second signal ends the process at once.
func (a *app) serve(cmd *cobra.Command, _ []string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal has its default effect

	log := newLogger(a.stderr, cfg)
	s, err := start(ctx, a.version, cfg, log)
	if err != nil {
		return err
	}
	var failed error
	select {
	case <-ctx.Done():
		stop() // AfterFunc may not have run yet, and the next log line must be true
		log.Info("Stopping. Another signal forces it.", "timeout", cfg.ShutdownTimeout)
	case failed = <-s.failed:
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownTimeout)
	defer cancel()
	err = errors.Join(failed, s.stop(deadline))
	if err == nil {
		log.Info("Stopped.")
	}
	return err
}

// newLogger logs text on a developer's machine, and JSON elsewhere.
func newLogger(w io.Writer, cfg config.Config) *slog.Logger {
	o := &slog.HandlerOptions{Level: cfg.LogLevel}
	var h slog.Handler = slog.NewJSONHandler(w, o)
	if cfg.Local() {
		h = slog.NewTextHandler(w, o)
	}
	return slog.New(requestid.LogHandler(h))
}

// service is the running program.
type service struct {
	version string
	cfg     config.Config
	log     *slog.Logger

	// stop ends all listeners at the same time, and then the closers, the last one first.
	listeners, closers []func(context.Context) error
	// failed receives the error of a listener that ended on its own.
	failed chan error

	tracing *telemetry.Tracing // may be nil
	metrics *telemetry.Metrics
	ready   *readiness.Checker

	who *auth.Authenticator // nil: every caller is trusted

	mergePolicy cart.MergePolicy
}

// start starts all parts. If one fails, it stops the others.
func start(ctx context.Context, version string, cfg config.Config, log *slog.Logger) (_ *service, err error) {
	s := &service{
		version: version, cfg: cfg, log: log, failed: make(chan error, 3),
		metrics: telemetry.New(version), ready: readiness.New(log),
	}
	s.metrics.WatchReady(s.ready.Ready)
	s.checkFiles()
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(context.WithoutCancel(ctx)))
		}
	}()
	if s.who, err = newAuthenticator(ctx, cfg, log); err != nil {
		return nil, err
	}
	if s.mergePolicy, err = cart.ParseMergePolicy(cfg.MergePolicy); err != nil {
		return nil, err
	}
	if s.tracing, err = telemetry.StartTracing(ctx, version, log); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, s.tracing.Stop)
	adminAddr, err := s.serveAdmin(ctx)
	if err != nil {
		return nil, err
	}
	store, err := s.openStore(ctx)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func(context.Context) error { return store.Close() })
	bounded, err := limit(s.startCarts(s.metrics.Store(store)), cfg)
	if err != nil {
		return nil, err
	}
	guarded := guard(bounded, s.who)
	rpcAddr, err := s.serveRPC(ctx, guarded)
	if err != nil {
		return nil, err
	}
	restAddr, err := s.serveREST(ctx, guarded)
	if err != nil {
		return nil, err
	}
	s.ready.Start(store.Ping)
	url, docs := "http://"+restAddr, "off"
	if cfg.TLSCertFile != "" {
		url = "https://" + restAddr
	}
	if cfg.DocsEnabled {
		docs = url + "/docs"
	}
	log.Info("Sellio Cart is ready.", "version", version, "database", cfg.DatabaseURL,
		"rest", url, "docs", docs, "grpc", rpcAddr, "admin", "http://"+adminAddr)
	return s, nil
}

// startCarts starts the lanes on the store, and the upkeep of the store.
func (s *service) startCarts(store cart.Store) cart.Service {
	cfg := s.cfg
	carts := commit.New(store, commit.Options{
		WriteLanes: cfg.WriteLanes, ReadLanes: cfg.ReadLanes, BatchSize: cfg.BatchSize, QueueSize: cfg.QueueSize,
		Timeout: cfg.RequestTimeout, Logger: s.log, Observer: s.tracing.Observer(s.metrics),
	})
	s.metrics.WatchQueues(carts.Waiting)
	worker := upkeep.Start(store, carts, cfg.IdempotencyTTL, s.log, s.metrics.Upkeep())
	s.closers = append(s.closers, carts.Close, worker.Stop)
	return carts
}

// limit bounds how fast a caller creates carts, if CREATE_RATE is set.
func limit(carts cart.Service, cfg config.Config) (cart.Service, error) {
	if cfg.CreateRate == 0 {
		return carts, nil
	}
	return ratelimit.New(carts, cfg.CreateRate, cfg.CreateBurst)
}

// checkFiles warns if the process may have fewer files open than its connections can need: once files run out, new
// clients wait in vain.
func (s *service) checkFiles() {
	const ports, others = 3, 32 // others are those of the program itself
	need := uint64(ports*s.cfg.MaxConnections + databaseConnections(s.cfg) + others)
	if most, known := listen.MaxFiles(); known && most < need {
		s.log.Warn("The limit of open files is too low for MAX_CONNECTIONS. Raise it (ulimit -n), or lower MAX_CONNECTIONS.",
			"limit", most, "needed", need)
	}
}

// databaseConnections returns the most connections to the database: one per lane, with as many lanes for listings as for
// reads, one for the readiness check, and one for upkeep.
func databaseConnections(cfg config.Config) int { return cfg.WriteLanes + 2*cfg.ReadLanes + 2 }

// stop ends all parts. First the service becomes not ready, so that load balancers turn away; then the listeners end, so
// that no new requests arrive; then the lanes, which finish the accepted requests; then the store. If one part fails to
// end, stop still ends the others.
func (s *service) stop(ctx context.Context) error {
	s.ready.Stop()
	errs := make([]error, len(s.listeners))
	var ended sync.WaitGroup
	for i, stop := range s.listeners {
		ended.Go(func() { errs[i] = stop(ctx) })
	}
	ended.Wait()
	for _, stop := range slices.Backward(s.closers) {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

// openStore opens the configured database. SQLite is always migrated; PostgreSQL if so configured.
func (s *service) openStore(ctx context.Context) (cart.Store, error) {
	cfg := s.cfg
	url := cfg.DatabaseURL.DSN()
	if cfg.DatabaseURL.Kind() == config.SQLite {
		return sqlite.OpenWith(ctx, url, s.tracing.OpenSQL)
	}
	if cfg.AutoMigrate {
		err := withMigrator(ctx, cfg, func(ctx context.Context, p migrator) error {
			results, err := p.Up(ctx)
			for _, r := range results {
				s.log.Info("Migrated.", "migration", r.Source.Path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("migrate %v: %w", cfg.DatabaseURL, err)
		}
	}
	store, err := postgres.Open(ctx, url, databaseConnections(cfg), s.tracing.Pool)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", cfg.DatabaseURL, err)
	}
	s.metrics.WatchPool(store.Stat)
	if err := warnOfBridge(ctx, store, s.log); err != nil {
		return nil, errors.Join(fmt.Errorf("open %v: %w", cfg.DatabaseURL, err), store.Close())
	}
	return store, nil
}
