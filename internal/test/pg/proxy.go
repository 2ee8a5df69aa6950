//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// A Proxy forwards between clients and a server, and breaks their connections when a test tells it to. It understands
// the frontend/backend protocol without TLS. Its methods may be called from any goroutine.
type Proxy struct {
	listener net.Listener
	url      string

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	statements, roundTrips atomic.Int64

	mu      sync.Mutex
	network string // of the server
	address string
	links   map[*link]struct{}
	traps   []trap
	refuse  bool
	delay   time.Duration
	gate    chan struct{} // closed: traffic passes
	closed  bool
	failed  error // returned by Close
}

// A trap springs at the first statement that contains match.
type trap struct {
	match string
	after bool // after the server has answered, rather than before it gets the statement
}

// Counts counts the clients' requests. Connecting does not count.
type Counts struct {
	Statements int // statements executed; a simple query counts once, even with several statements
	RoundTrips int // times that a client waited for an answer, including those that only prepare
}

// NewProxy starts a proxy to the server of targetURL. The end of the test closes it; an error of Close fails the test.
func NewProxy(t testing.TB, targetURL string) *Proxy {
	t.Helper()
	p, err := StartProxy(t.Context(), targetURL)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return p
}

// StartProxy is [NewProxy] for programs that are not tests: the caller closes the proxy.
func StartProxy(ctx context.Context, targetURL string) (*Proxy, error) {
	config, err := pgconn.ParseConfig(targetURL)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	u, err := url.Parse(targetURL)
	if err != nil {
		return nil, errors.New("proxy: the target must be given as a URL")
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{listener: listener, links: map[*link]struct{}{}, gate: make(chan struct{})}
	close(p.gate)
	p.network, p.address = pgconn.NetworkAddress(config.Host, config.Port)
	p.url = viaProxy(u, listener.Addr().String())
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.wg.Go(p.accept)
	return p, nil
}

// viaProxy returns u with another address, without the parameters that would contradict it.
func viaProxy(u *url.URL, address string) string {
	via := *u
	via.Host = address
	query := via.Query()
	query.Del("host")
	query.Del("port")
	query.Set("sslmode", "disable")
	via.RawQuery = query.Encode()
	return via.String()
}

// URL returns the URL of the target through the proxy.
func (p *Proxy) URL() string { return p.url }

// Redirect sends new connections to another server, like an address that moves in a failover. Open ones stay.
func (p *Proxy) Redirect(to *Server) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.network, p.address = "tcp", to.cluster.URL().Host
}

// CutAll closes all connections.
func (p *Proxy) CutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// Refuse switches whether the proxy closes new connections at once. Open ones stay.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = on
}

// Hang switches whether the proxy holds back all traffic. Connections then stay open and silent, and neither side sees the
// other one close.
func (p *Proxy) Hang(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.gate:
		if on {
			p.gate = make(chan struct{})
		}
	default:
		if !on {
			close(p.gate)
		}
	}
}

// Strand leaves all connections open and silent for good, as when a firewall forgets them or a server vanishes in a
// failover. New connections are not affected.
func (p *Proxy) Strand() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.strand()
	}
}

// Delay makes every round trip longer by d. Requests that a client pipelines are delayed one after the other.
func (p *Proxy) Delay(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = d
}

// CutBefore sets a trap for the next execution of a statement that contains match: the proxy closes its connection, and
// the server never gets the statement. Match is case-sensitive; the proxy looks for it in the SQL text (even if it was
// prepared earlier) and in the arguments as sent. Preparing does not spring the trap. Several traps may be set; each
// springs once.
func (p *Proxy) CutBefore(match string) { p.set(trap{match: match}) }

// CutAfterReply sets a trap like that of CutBefore, but the server gets the request. When the server has answered all of
// it, up to its Sync, the proxy discards the answer and closes the connection. So the server has committed or refused,
// and the client cannot know which.
func (p *Proxy) CutAfterReply(match string) { p.set(trap{match: match, after: true}) }

func (p *Proxy) set(t trap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.traps = append(p.traps, t)
}

// Counts returns the counts since the proxy started, or since the last ResetCounts.
func (p *Proxy) Counts() Counts {
	return Counts{Statements: int(p.statements.Load()), RoundTrips: int(p.roundTrips.Load())}
}

// ResetCounts sets the counts to zero.
func (p *Proxy) ResetCounts() {
	p.statements.Store(0)
	p.roundTrips.Store(0)
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				p.fail(err)
			}
			return
		}
		p.wg.Go(func() { p.serve(client) })
	}
}

// serve forwards between the client and a new connection to the server, until one of them ends.
func (p *Proxy) serve(client net.Conn) {
	p.mu.Lock()
	network, address := p.network, p.address
	p.mu.Unlock()
	server, err := new(net.Dialer).DialContext(p.ctx, network, address)
	if err != nil {
		client.Close() // so that the client notices that the server is down
		return
	}
	l := newLink(p, client, server)
	defer l.close()
	if p.admit(l) {
		defer p.forget(l)
		l.run()
	}
}

func (p *Proxy) admit(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse || p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) forget(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// spring removes and returns the first trap that matches a message or the SQL that was prepared for it.
func (p *Proxy) spring(body []byte, prepared string) (trap, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.traps, func(t trap) bool {
		return bytes.Contains(body, []byte(t.match)) || strings.Contains(prepared, t.match)
	})
	if i < 0 {
		return trap{}, false
	}
	t := p.traps[i]
	p.traps = slices.Delete(p.traps, i, i+1)
	return t, true
}

// fail records an error for Close to return.
func (p *Proxy) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = errors.Join(p.failed, fmt.Errorf("proxy: %w", err))
}

// Close closes all connections and stops the proxy. It returns all errors of the proxy, such as a client that did not
// speak the protocol, and names the traps that never sprang.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	for _, t := range p.traps {
		p.failed = errors.Join(p.failed, fmt.Errorf("proxy: no statement sprang the trap %q", t.match))
	}
	p.mu.Unlock()
	p.cancel()
	if err := p.listener.Close(); err != nil {
		p.fail(err)
	}
	p.CutAll()
	p.wg.Wait()
	return p.failed
}
