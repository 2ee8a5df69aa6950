// Package listen opens the ports of the service: listeners that bound how many connections are open, and TLS from
// files that may change.
package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Listener bounds the number of open connections. When one more comes, the connection that has been idle for longest,
// after a request or before its first, is closed to make room. If none is idle, the new one is closed at once: its
// client can then turn to another instance, and does not wait for this one.
type Listener struct {
	*net.TCPListener
	most int
	log  *slog.Logger

	mu     sync.Mutex
	open   map[*conn]struct{}
	full   time.Time // when the log last said that the limit is reached
	failed time.Time // when it last said that a connection cannot be accepted
}

// TCP listens on the address, such as ":8080", for at most that many connections at a time.
func TCP(ctx context.Context, address string, most int, log *slog.Logger) (*Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return New(l.(*net.TCPListener), most, log), nil
}

// New returns the listener with at most that many connections. It knows only from
// [Listener.ConnState] which of them are idle.
func New(l *net.TCPListener, most int, log *slog.Logger) *Listener {
	return &Listener{TCPListener: l, most: most, log: log, open: make(map[*conn]struct{})}
}

// conn is a connection that is counted until it is closed. It keeps the methods of a TCP connection, which servers
// look for.
type conn struct {
	*net.TCPConn
	listener *Listener
	idle     atomic.Int64 // since when, in Unix nanoseconds; 0 while it is in use, or where that is not known
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.AcceptTCP()
		if err != nil {
			l.logFailure(err)
			return nil, err
		}
		c := &conn{TCPConn: accepted, listener: l}
		gone, ok := l.admit(c)
		if !ok {
			gone = c
		}
		if gone != nil {
			_ = gone.TCPConn.Close() // nothing could be done about an error
		}
		if ok {
			return c, nil
		}
	}
}

// admit counts the connection if there is room for it, or if an idle one makes room; the caller then closes that one.
func (l *Listener) admit(c *conn) (instead *conn, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most {
		if due(&l.full) {
			l.log.Warn("There are as many connections as the limit allows.", "address", l.Addr().String(), "connections", l.most)
		}
		if instead = l.longestIdle(); instead == nil {
			return nil, false
		}
		delete(l.open, instead)
	}
	l.open[c] = struct{}{}
	return instead, true
}

// logFailure logs why a connection cannot be accepted: servers try again without logging it.
func (l *Listener) logFailure(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !errors.Is(err, net.ErrClosed) && due(&l.failed) {
		l.log.Warn("A connection cannot be accepted.", "address", l.Addr().String(), "error", err)
	}
}

// due reports whether the last warning was a minute ago or more, and sets it to now if so.
func due(last *time.Time) bool {
	now := time.Now()
	if now.Sub(*last) < time.Minute {
		return false
	}
	*last = now
	return true
}

func (l *Listener) longestIdle() (longest *conn) {
	least := time.Now().UnixNano()
	for c := range l.open {
		if since := c.idle.Load(); since != 0 && since <= least {
			longest, least = c, since
		}
	}
	return longest
}

// ConnState is for [http.Server.ConnState], of a server on this listener.
func (l *Listener) ConnState(nc net.Conn, state http.ConnState) {
	if secured, ok := nc.(*tls.Conn); ok {
		nc = secured.NetConn()
	}
	since := int64(0)
	if state == http.StateIdle || state == http.StateNew {
		since = time.Now().UnixNano()
	}
	nc.(*conn).idle.Store(since)
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.open, c)
	c.listener.mu.Unlock()
	return c.TCPConn.Close()
}
