//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// newProxied returns a proxy, and two connections to a database with a table x, one through the proxy and one around it.
func newProxied(t *testing.T) (proxy *Proxy, through, around *pgx.Conn) {
	t.Helper()
	url := NewDatabase(t)
	proxy = NewProxy(t, url)
	around = connect(t, url)
	execute(t, around, "CREATE TABLE x (id int, name text)")
	return proxy, connect(t, proxy.URL()), around
}

func count(t *testing.T, conn *pgx.Conn) int {
	t.Helper()
	return query[int](t, conn, "SELECT count(*) FROM x")
}

func TestProxyForwards(t *testing.T) {
	t.Parallel()
	_, conn, _ := newProxied(t)
	large := strings.Repeat("x", 1<<20) // more than any buffer on the way
	if got := query[string](t, conn, "SELECT $1::text", large); got != large {
		t.Errorf("%d bytes came back, want %d", len(got), len(large))
	}
	rows := [][]any{{1, "a"}, {2, "b"}}
	if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{"x"}, []string{"id", "name"}, pgx.CopyFromRows(rows)); err != nil {
		t.Fatal(err)
	}
	if n := count(t, conn); n != len(rows) {
		t.Errorf("%d rows, want %d", n, len(rows))
	}
}

// The proxy tells a client that prefers TLS that there is none.
func TestProxyDeclinesEncryption(t *testing.T) {
	t.Parallel()
	proxy, _, _ := newProxied(t)
	url := strings.Replace(proxy.URL(), "sslmode=disable", "sslmode=prefer", 1)
	execute(t, connect(t, url), "SELECT 1")
}

func TestProxyForwardsCancelRequests(t *testing.T) {
	t.Parallel()
	_, conn, around := newProxied(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		// Wait until the statement runs: an earlier request would have nothing to cancel.
		_, err := around.Exec(t.Context(), fmt.Sprintf(`DO $$ BEGIN
			WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep') LOOP
				PERFORM pg_stat_clear_snapshot();
			END LOOP;
		END $$`, conn.PgConn().PID()))
		if err := errors.Join(err, conn.PgConn().CancelRequest(t.Context())); err != nil {
			t.Error(err)
		}
	})
	_, err := conn.Exec(t.Context(), "SELECT pg_sleep(60)")
	if got := sqlState(err); got != "57014" {
		t.Errorf("SQLSTATE %q, want query_canceled: %v", got, err)
	}
	wg.Wait()
}

func TestProxyCutAll(t *testing.T) {
	t.Parallel()
	proxy, conn, _ := newProxied(t)
	proxy.CutAll()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a cut connection works")
	}
	execute(t, connect(t, proxy.URL()), "SELECT 1")
}

func TestProxyRefuse(t *testing.T) {
	t.Parallel()
	proxy, open, _ := newProxied(t)
	proxy.Refuse(true)
	if conn, err := pgx.Connect(t.Context(), proxy.URL()); err == nil {
		t.Errorf("a new connection was taken: %v", conn.Close(t.Context()))
	}
	execute(t, open, "SELECT 1")
	proxy.Refuse(false)
	execute(t, connect(t, proxy.URL()), "SELECT 1")
}

// Every way in which pgx sends a statement springs a trap.
var modes = []pgx.QueryExecMode{
	pgx.QueryExecModeCacheStatement,
	pgx.QueryExecModeCacheDescribe,
	pgx.QueryExecModeDescribeExec,
	pgx.QueryExecModeExec,
	pgx.QueryExecModeSimpleProtocol,
}

func TestProxyCutBefore(t *testing.T) {
	t.Parallel()
	const insert = "INSERT INTO x VALUES ($1, $2)"
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			proxy, conn, around := newProxied(t)
			execute(t, conn, insert, mode, 1, "first") // so that it is prepared
			proxy.CutBefore("INSERT INTO x")
			if _, err := conn.Exec(t.Context(), insert, mode, 2, "second"); err == nil || sqlState(err) != "" {
				t.Errorf("error %v, want one of the connection", err)
			}
			if n := count(t, around); n != 1 {
				t.Errorf("%d rows, want the first alone", n)
			}
			execute(t, connect(t, proxy.URL()), insert, mode, 3, "third") // the trap is gone
		})
	}
}

func TestProxyCutAfterReply(t *testing.T) {
	t.Parallel()
	const insert = "INSERT INTO x VALUES ($1, $2)"
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			proxy, conn, around := newProxied(t)
			execute(t, conn, insert, mode, 1, "first")
			proxy.CutAfterReply("INSERT INTO x")
			if _, err := conn.Exec(t.Context(), insert, mode, 2, "second"); err == nil || sqlState(err) != "" {
				t.Errorf("error %v, want one of the connection", err)
			}
			// The row is committed before the client gets its error.
			if n := count(t, around); n != 2 {
				t.Errorf("%d rows, want both", n)
			}
			execute(t, connect(t, proxy.URL()), insert, mode, 3, "third")
		})
	}
}

func TestProxyTrapOnArgument(t *testing.T) {
	t.Parallel()
	proxy, conn, around := newProxied(t)
	proxy.CutBefore("second")
	execute(t, conn, "INSERT INTO x VALUES (1, $1)", "first")
	if _, err := conn.Exec(t.Context(), "INSERT INTO x VALUES (1, $1)", "second"); err == nil {
		t.Error("the trap did not spring")
	}
	if n := count(t, around); n != 1 {
		t.Errorf("%d rows, want the first alone", n)
	}
}

func TestProxyCutAtCommit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		set  func(*Proxy)
		rows int
	}{
		{"before", func(p *Proxy) { p.CutBefore("commit") }, 0},
		{"after reply", func(p *Proxy) { p.CutAfterReply("commit") }, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			proxy, conn, around := newProxied(t)
			test.set(proxy)
			tx, err := conn.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tx.Exec(t.Context(), "INSERT INTO x VALUES (1, 'a')"); err != nil {
				t.Fatal(err)
			}
			if err := tx.Commit(t.Context()); err == nil {
				t.Error("the commit succeeded")
			}
			if n := count(t, around); n != test.rows {
				t.Errorf("%d rows, want %d", n, test.rows)
			}
		})
	}
}

// Of pipelined requests, those before the trap get their answers.
func TestProxyCutInPipeline(t *testing.T) {
	t.Parallel()
	proxy, conn, around := newProxied(t)
	proxy.CutAfterReply("second")
	pipeline := conn.PgConn().StartPipeline(t.Context())
	for _, name := range []string{"first", "second"} {
		pipeline.SendQueryParams("INSERT INTO x VALUES (1, $1)", [][]byte{[]byte(name)}, nil, nil, nil)
		if err := pipeline.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the result and the Sync of the first
		if _, err := pipeline.GetResults(); err != nil {
			t.Fatalf("the first request: %v", err)
		}
	}
	if result, err := pipeline.GetResults(); err == nil {
		t.Errorf("the second request was answered with %v", result)
	}
	if err := pipeline.Close(); err == nil {
		t.Error("the pipeline closed in order")
	}
	if n := count(t, around); n != 2 {
		t.Errorf("%d rows, want both", n)
	}
}

func TestProxyHang(t *testing.T) {
	t.Parallel()
	proxy, conn, around := newProxied(t)
	proxy.Hang(true)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := conn.Exec(ctx, "INSERT INTO x VALUES (1, 'a')")
	var timeout net.Error
	if !errors.Is(err, context.DeadlineExceeded) && !(errors.As(err, &timeout) && timeout.Timeout()) {
		t.Errorf("error %v, want a timeout", err)
	}
	if n := count(t, around); n != 0 {
		t.Errorf("%d rows, want none", n)
	}
	proxy.Hang(false)
	execute(t, connect(t, proxy.URL()), "SELECT 1")
}

// The proxy forwards the traffic that it held back when it no longer hangs.
func TestProxyHangEnds(t *testing.T) {
	t.Parallel()
	proxy, conn, _ := newProxied(t)
	proxy.Hang(true)
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := conn.Exec(t.Context(), "INSERT INTO x VALUES (1, 'a')"); err != nil {
			t.Error(err)
		}
	})
	proxy.Hang(false)
	wg.Wait()
	if n := count(t, conn); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

func TestProxyStrand(t *testing.T) {
	t.Parallel()
	proxy, conn, around := newProxied(t)
	proxy.Strand()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := conn.Exec(ctx, "INSERT INTO x VALUES (1)"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a stranded connection: %v, want it silent", err)
	}
	if n := count(t, around); n != 0 {
		t.Errorf("%d rows came through", n)
	}
	execute(t, connect(t, proxy.URL()), "INSERT INTO x VALUES (1)")
}

func TestProxyDelay(t *testing.T) {
	t.Parallel()
	const delay = 50 * time.Millisecond
	proxy, conn, _ := newProxied(t)
	execute(t, conn, "SELECT $1::int", 1) // so that it is prepared
	proxy.Delay(delay)
	proxy.ResetCounts()
	start := time.Now()
	for range 3 {
		execute(t, conn, "SELECT $1::int", 1)
	}
	if took, trips := time.Since(start), proxy.Counts().RoundTrips; trips != 3 || took < 3*delay {
		t.Errorf("%d round trips took %s, want 3 of at least %s each", trips, took, delay)
	}
	proxy.Delay(time.Hour) // the end of the test does not wait for this
	ctx, cancel := context.WithTimeout(t.Context(), delay)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
		t.Error("an answer came within the delay")
	}
}

func TestProxyCounts(t *testing.T) {
	t.Parallel()
	proxy, conn, _ := newProxied(t)
	for _, test := range []struct {
		name string
		do   func() error
		want Counts
	}{
		{"connecting", func() error { return nil }, Counts{}},
		{"simple", func() error {
			_, err := conn.Exec(t.Context(), "SELECT 1")
			return err
		}, Counts{Statements: 1, RoundTrips: 1}},
		{"first use prepares", func() error {
			_, err := conn.Exec(t.Context(), "SELECT $1::int", 1)
			return err
		}, Counts{Statements: 1, RoundTrips: 2}},
		{"prepared", func() error {
			_, err := conn.Exec(t.Context(), "SELECT $1::int", 1)
			return err
		}, Counts{Statements: 1, RoundTrips: 1}},
		{"batch", func() error {
			var batch pgx.Batch
			for i := range 3 {
				batch.Queue("SELECT $1::int", i)
			}
			return conn.SendBatch(t.Context(), &batch).Close()
		}, Counts{Statements: 3, RoundTrips: 1}},
	} {
		if err := test.do(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if diff := cmp.Diff(test.want, proxy.Counts()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		proxy.ResetCounts()
	}
}

// A trap that never springs fails its test, which has not tested what it meant to.
func TestProxyReportsUnsprungTraps(t *testing.T) {
	t.Parallel()
	recorder := &recorder{TB: t}
	proxy := NewProxy(recorder, NewDatabase(t))
	proxy.CutBefore("no such statement")
	recorder.finish()
	if len(recorder.errors) != 1 || !strings.Contains(recorder.errors[0], "no such statement") {
		t.Errorf("errors %q, want one about the trap", recorder.errors)
	}
}

func TestProxyReportsOtherProtocols(t *testing.T) {
	t.Parallel()
	recorder := &recorder{TB: t}
	proxy := NewProxy(recorder, NewDatabase(t))
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came back", n)
	}
	recorder.finish()
	if len(recorder.errors) != 1 || !strings.Contains(recorder.errors[0], errProtocol.Error()) {
		t.Errorf("errors %q, want one about the protocol", recorder.errors)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// A recorder is a test that may fail.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	errors   []string
	cleanups []func()
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors = append(r.errors, fmt.Sprintf(format, args...))
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }

func (r *recorder) finish() {
	for _, f := range r.cleanups {
		f()
	}
}

func sqlState(err error) string {
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return state.SQLState()
	}
	return ""
}
