//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// growth is the part with more carts, and with longer ones.
const growth = "growth"

// The loads, as the report names them.
const (
	pgbenchRead  = "pgbench read"
	pgbenchWrite = "pgbench write"
	restGet      = "REST GET by id"
	restActive   = "REST GET active"
	restItem     = "REST POST item"
	restAdd      = "REST POST add-item, new cart"
	restQuantity = "REST PUT quantity"
	restMix      = "REST mix 70/25/5"
	restCheckout = "REST add-item, POST item, checkout"
	restStatic   = "REST GET by id, no database"
	rpcStatic    = "gRPC GetCart, no database"
	rpcGet       = "gRPC GetCart"
	rpcActive    = "gRPC GetActiveCart"
	rpcItem      = "gRPC UpsertItem"
	rpcAdd       = "gRPC AddItem, new cart"
	rpcQuantity  = "gRPC UpdateQty"
	rpcMix       = "gRPC mix 70/25/5"
	openGet      = "open loop, GET by id"
	openItem     = "open loop, POST item"
)

// scripts are the scripts of wrk by load.
var scripts = map[string]string{
	restGet: "get", restActive: "active", restItem: "item", restAdd: "add", restQuantity: "quantity", restMix: "mix",
	restStatic: "get",
}

// reads are the loads that change nothing. They are compared with pgbench's read.
var reads = map[string]bool{
	pgbenchRead: true, restGet: true, restActive: true, rpcGet: true, rpcActive: true, openGet: true, restStatic: true, rpcStatic: true,
}

// changes is the number of changes in one answer of a load that only changes carts.
var changes = map[string]int{restItem: 1, rpcItem: 1, restCheckout: 3}

// site is a filled database with a service in front of it.
type site struct {
	part, kind   string // as in Key.Part and Key.Database
	database     string // its name in PostgreSQL, "" in SQLite
	carts, lines int
	service      *service
}

func (s *site) key(load string, clients, hot int) Key {
	return Key{Part: s.part, Database: s.kind, Carts: s.carts, Lines: s.lines, Load: load, Clients: clients, Hot: hot}
}

// baseline is a step of pgbench.
func (b *bench) baseline(s *site, load string, clients int) step {
	script := "write"
	if reads[load] {
		script = "read"
	}
	run := pgbench{
		path: b.tools.pgbench, server: b.server, database: s.database, dir: b.dir, script: script, clients: clients,
		duration: b.time(clients), carts: s.carts, lines: s.lines,
	}.run
	return step{s.key(load, clients, 0), run}
}

// rest is a step of wrk on the first hot carts, or on all carts if hot is 0.
func (b *bench) rest(s *site, load string, connections, hot int) step {
	carts := s.carts
	if hot > 0 {
		carts = hot
	}
	w := wrk{
		path: b.tools.wrk, dir: b.dir, script: scripts[load], url: s.service.rest, connections: connections,
		duration: b.time(connections), carts: carts, lines: s.lines,
	}
	return step{s.key(load, connections, hot), func(ctx context.Context) (Sample, error) {
		return b.audited(ctx, s, load, func(ctx context.Context) (Sample, error) { return s.service.observed(ctx, w.run) })
	}}
}

// static is a step of wrk on a server that answers every request with the same cart; staticRPC is the same over gRPC.
func (b *bench) static(s *site, url string, connections int) step {
	w := wrk{
		path: b.tools.wrk, dir: b.dir, script: scripts[restStatic], url: url, connections: connections,
		duration: b.time(connections), carts: s.carts, lines: s.lines,
	}
	return step{s.key(restStatic, connections, 0), w.run}
}

func (b *bench) staticRPC(s *site, address string, callers int) step {
	source := &rpcSource{carts: s.carts, lines: s.lines}
	return step{s.key(rpcStatic, callers, 0), rpcLoad{address, source.get, callers, b.time(callers)}.run}
}

// rpc is a step over gRPC.
func (b *bench) rpc(s *site, load string, callers int) step {
	next, source := rpcLoads[load], &rpcSource{carts: s.carts, lines: s.lines}
	l := rpcLoad{address: s.service.grpc, next: func() call { return next(source) }, callers: callers, duration: b.time(callers)}
	return step{s.key(load, callers, 0), func(ctx context.Context) (Sample, error) {
		// Users 1 to carts already have a cart; wrk's newcomers begin far above.
		source.newcomers.CompareAndSwap(0, int64(s.carts))
		return b.audited(ctx, s, load, func(ctx context.Context) (Sample, error) { return s.service.observed(ctx, l.run) })
	}}
}

// checkout is a step of carts that are created, changed and checked out.
func (b *bench) checkout(s *site, clients int) step {
	l := checkoutLoad{url: s.service.rest, clients: clients, duration: b.time(clients)}
	return step{s.key(restCheckout, clients, 0), func(ctx context.Context) (Sample, error) {
		return b.audited(ctx, s, restCheckout, func(ctx context.Context) (Sample, error) { return s.service.observed(ctx, l.run) })
	}}
}

// audited runs a load and, if it only changes carts, checks that PostgreSQL has every acknowledged change: a change adds
// one to the version of its cart, and a new cart has version 1.
func (b *bench) audited(ctx context.Context, s *site, load string, run func(context.Context) (Sample, error)) (Sample, error) {
	if s.database == "" || changes[load] == 0 {
		return run(ctx)
	}
	before, err := b.versions(ctx, s)
	if err != nil {
		return Sample{}, err
	}
	sample, err := run(ctx)
	if err != nil {
		return sample, err
	}
	after, err := b.versions(ctx, s)
	// One request in a million repeats the quantity of its line, and changes nothing.
	acknowledged := int64(changes[load] * sample.Requests)
	if missing := acknowledged - (after - before); err == nil && missing > 5 {
		err = fmt.Errorf("of %d acknowledged writes %d are not in the database", acknowledged, missing)
	}
	return sample, err
}

// versions returns the sum of the versions of all carts.
func (b *bench) versions(ctx context.Context, s *site) (sum int64, err error) {
	conn, err := pgx.Connect(ctx, b.server.url(s.database))
	if err != nil {
		return 0, err
	}
	err = conn.QueryRow(ctx, "SELECT sum(version)::bigint FROM cart").Scan(&sum)
	return sum, errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}

// open is a step of an open loop at the given rate.
func (b *bench) open(s *site, load string, perSecond float64) step {
	const connections = 256
	o := openLoop{url: s.service.rest, rate: perSecond, duration: b.time(connections), connections: connections}
	if load == openGet {
		o.request = getByID(s.carts)
	} else {
		o.request = postItem(s.carts, s.lines)
	}
	return step{s.key(load, connections, 0), func(ctx context.Context) (Sample, error) {
		return s.service.observed(ctx, o.run)
	}}
}

// time is the length of a step. With one client, percentiles settle sooner.
func (b *bench) time(clients int) time.Duration {
	seconds := b.plan.Seconds
	if clients == 1 {
		seconds = b.plan.SecondsAlone
	}
	return time.Duration(seconds) * time.Second
}

// postgresSite fills a database and starts a service on it.
func (b *bench) postgresSite(ctx context.Context, part string, carts, lines int) (*site, error) {
	s := &site{part: part, kind: "PostgreSQL", carts: carts, lines: lines}
	s.database = fmt.Sprintf("carts%s_%d_%d", part, carts, lines)
	b.log.Printf("filling %s", s.database)
	if err := fillPostgres(ctx, b.server, b.binary, b.dir, s.database, carts, lines); err != nil {
		return nil, err
	}
	return s, b.serve(ctx, s, b.binary, b.server.url(s.database))
}

// remoteSite starts a service on the database of another site, at a distance: round trips take longer by away.
func (b *bench) remoteSite(ctx context.Context, of *site, away time.Duration) (*site, error) {
	p, err := pgtest.StartProxy(ctx, b.server.url(of.database))
	if err != nil {
		return nil, err
	}
	p.Delay(away)
	b.closers = append(b.closers, p.Close)
	s := *of
	s.kind = fmt.Sprintf("PostgreSQL, %d ms away", away.Milliseconds())
	return &s, b.serve(ctx, &s, b.binary, p.URL())
}

func (b *bench) sqliteSite(ctx context.Context, carts, lines int) (*site, error) {
	b.log.Print("filling SQLite")
	url, err := fillSQLite(ctx, b.binary, b.dir, carts, lines)
	if err != nil {
		return nil, err
	}
	s := &site{kind: "SQLite", carts: carts, lines: lines}
	return s, b.serve(ctx, s, b.binary, url)
}

// serve starts the program for a site.
func (b *bench) serve(ctx context.Context, s *site, program, url string) (err error) {
	if s.service, err = startService(ctx, program, b.dir, url); err != nil {
		return err
	}
	b.closers = append(b.closers, s.service.stop)
	return s.service.check(ctx, s.lines)
}

// tidy restores the state after the fill, except for changed lines.
func (b *bench) tidy(s *site) func(context.Context) error {
	return func(ctx context.Context) error {
		return b.server.exec(ctx, s.database,
			fmt.Sprintf("DELETE FROM cart WHERE id > %d", s.carts), "VACUUM (ANALYZE)", "CHECKPOINT")
	}
}
