package listen_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sellio/sellio-cart/internal/listen"
)

// TestTheLongestIdleMakesRoom has two connections of which both are idle, then one, then none, and each time a third
// one comes.
func TestTheLongestIdleMakesRoom(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := listen.New(tcp.(*net.TCPListener), 2, slog.New(slog.DiscardHandler))
	defer l.Close()
	type pair struct{ server, client net.Conn }
	connect := func() (p pair) {
		t.Helper()
		var err error
		if p.client, err = new(net.Dialer).DialContext(t.Context(), "tcp", tcp.Addr().String()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.client.Close() })
		return p
	}
	accept := func() (p pair) {
		t.Helper()
		p = connect()
		if p.server, err = l.Accept(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.server.Close() })
		return p
	}
	cut := func(p pair) {
		t.Helper()
		if err := p.client.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := p.client.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read %d bytes, %v; want the end", n, err)
		}
	}
	first, second := accept(), accept()
	l.ConnState(second.server, http.StateIdle)
	l.ConnState(first.server, http.StateIdle)
	third := accept()
	cut(second)
	l.ConnState(third.server, http.StateActive)
	fourth := accept()
	cut(first)
	l.ConnState(fourth.server, http.StateActive)
	none := connect()
	done := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		done <- err
	}()
	cut(none)
	if err := third.server.Close(); err != nil {
		t.Fatal(err)
	}
	connect()
	if err := <-done; err != nil {
		t.Error("with room again:", err)
	}
}

// TestFailuresAreLogged has a listener fail several times, and then be closed.
func TestFailuresAreLogged(t *testing.T) {
	t.Parallel()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	l := listen.New(tcp.(*net.TCPListener), 1, slog.New(slog.NewTextHandler(&log, nil)))
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Accept: %v", err)
		}
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, tcp.Addr().String()) || !strings.Contains(got, "timeout") {
		t.Errorf("three failures are logged as %q, want one line", got)
	}
	log.Reset()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) || log.String() != "" {
		t.Errorf("closed: %v, logged %q", err, log.String())
	}
}
