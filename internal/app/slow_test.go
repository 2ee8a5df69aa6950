package app

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// dial opens a connection on which nothing may take longer than half a minute.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(address, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// say sends the text.
func say(t *testing.T, conn io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// drip sends a character now and then until it is no longer heard.
func drip(conn io.Writer) {
	for range time.Tick(10 * time.Millisecond) {
		if _, err := io.WriteString(conn, " "); err != nil {
			return
		}
	}
}

// untilCut returns what comes until the other side ends the connection.
func untilCut(t *testing.T, conn io.Reader) string {
	t.Helper()
	all, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection was not ended: %v", err)
	}
	return string(all)
}

// TestSlowClientsAreCutOff has clients that take their time, over REST and over gRPC.
func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	p := serve(t, "CLIENT_TIMEOUT=200ms", "REQUEST_TIMEOUT=200ms", "IDLE_TIMEOUT=300ms")
	for name, address := range map[string]string{"REST": p.rest, "gRPC": p.grpc} {
		t.Run("silent over "+name, func(t *testing.T) {
			t.Parallel()
			untilCut(t, dial(t, address))
		})
	}
	t.Run("headers", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, p.rest)
		say(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nSlow:")
		go drip(conn)
		if got := untilCut(t, conn); got != "" {
			t.Errorf("answered with %q", got)
		}
	})
	t.Run("body", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, p.rest)
		say(t, conn, "POST "+upsert+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
		go drip(conn)
		if got := untilCut(t, conn); !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, "application/problem+json") {
			t.Errorf("answered with %q, want a problem 408", got)
		}
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		conn := dial(t, p.rest)
		say(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := untilCut(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("answered with %q before it was idle", got)
		}
	})
	t.Run("message", func(t *testing.T) {
		t.Parallel()
		c := dialRPC(t, p.grpc)
		c.open(1, cartv1.CartService_GetCart_FullMethodName)
		if got := c.status(1); got != codes.DeadlineExceeded {
			t.Errorf("the request ended with %v, want DeadlineExceeded", got)
		}
	})
}

// TestClientTimeoutIsOfReading has one client that is slow with its body, and one whose request takes longer than that.
func TestClientTimeoutIsOfReading(t *testing.T) {
	t.Parallel()
	url := databases[1].url(t)
	s := openShop(t, serve(t, "DATABASE_URL="+url, "CLIENT_TIMEOUT=200ms", "REQUEST_TIMEOUT=1m"))
	db, _ := connect(t, url)
	db.SetMaxOpenConns(1)
	lock := func(command string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), command); err != nil {
			t.Fatal(err)
		}
	}
	lock("BEGIN IMMEDIATE")
	done := make(chan answer)
	go func() { done <- s.post(addBody(s.user, 1), addItem) }()
	conn := dial(t, s.rest)
	say(t, conn, "POST "+upsert+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	if got := untilCut(t, conn); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
		t.Errorf("the slow client got %q, want a problem 408", got)
	}
	lock("COMMIT")
	(<-done).cart(http.StatusCreated)
}

// TestTooManyConnections has one more client than there may be: it takes the place of an idle one, and is turned
// away if there is none.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	p := serve(t, "MAX_CONNECTIONS=2")
	t.Run("REST", func(t *testing.T) {
		t.Parallel()
		connect := func() (net.Conn, *bufio.Reader) {
			conn := dial(t, p.rest)
			return conn, bufio.NewReader(conn)
		}
		ask := func(conn net.Conn, answers *bufio.Reader) {
			t.Helper()
			say(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("got %v, %v", resp, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
		}
		silent := []net.Conn{dial(t, p.rest), dial(t, p.rest)}
		kept, keptAnswers := connect()
		other, otherAnswers := connect()
		ask(kept, keptAnswers)
		ask(other, otherAnswers)
		for _, conn := range silent {
			untilCut(t, conn)
		}
		// The server may take either for the one that has been idle for longest: its work after an answer takes time.
		cut := make(chan net.Conn, 2)
		wait := func(conn net.Conn, answers *bufio.Reader) {
			if _, err := answers.Peek(1); err == nil {
				conn = nil // the next answer came
			}
			cut <- conn
		}
		go wait(kept, keptAnswers)
		go wait(other, otherAnswers)
		third, thirdAnswers := connect()
		ask(third, thirdAnswers)
		if <-cut == kept {
			kept, keptAnswers = other, otherAnswers
		}
		for _, busy := range []net.Conn{kept, third} {
			say(t, busy, "POST "+upsert+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
		}
		if conn := <-cut; conn != nil {
			t.Fatal("the connection that was to be kept was cut as well")
		}
		for _, answers := range []*bufio.Reader{keptAnswers, thirdAnswers} {
			if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100") {
				t.Fatalf("got %q, %v", line, err)
			}
		}
		untilCut(t, dial(t, p.rest))
		say(t, kept, "{")
		if _, err := keptAnswers.ReadString('\n'); err != nil { // the rest of 100 Continue
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(keptAnswers, nil); err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("the first client got %v, %v", resp, err)
		}
	})
	t.Run("gRPC", func(t *testing.T) {
		t.Parallel()
		first, second := dialRPC(t, p.grpc), dialRPC(t, p.grpc)
		for _, c := range []*rawRPC{first, second} {
			c.settled()
		}
		untilCut(t, dial(t, p.grpc))
		first.settled()
		p.waitForLog("as many connections")
	})
}

// TestTooFewFiles has more clients than the service may have files open.
func TestTooFewFiles(t *testing.T) {
	t.Parallel()
	cmd := command(t, nil)
	cmd.Args = []string{"sh", "-c", `ulimit -n 64 && exec "$0"`, cmd.Path}
	var err error
	if cmd.Path, err = exec.LookPath("sh"); err != nil {
		t.Fatal(err)
	}
	p := begin(t, cmd)
	if !strings.Contains(p.logged(), "MAX_CONNECTIONS") || !strings.Contains(p.logged(), "limit=64") {
		t.Error("the start does not warn")
	}
	for range 64 {
		dial(t, p.rest)
	}
	p.waitForLog("A connection cannot be accepted.")
	if log := serve(t, "MAX_CONNECTIONS=1").logged(); strings.Contains(log, "open files") {
		t.Error("a start with few connections warns")
	}
}

// TestProbesFindRoom has clients take all connections of the REST port, and then of the admin port as well.
func TestProbesFindRoom(t *testing.T) {
	t.Parallel()
	const most = 50
	p := serve(t, "MAX_CONNECTIONS=50", "CLIENT_TIMEOUT=1m", "REQUEST_TIMEOUT=1m")
	fill := func(address, path string) {
		for range most {
			conn := dial(t, address)
			say(t, conn, "POST "+path+" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n")
			if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100") {
				t.Fatalf("got %q, %v", line, err)
			}
		}
	}
	probe := func(when string) {
		for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ready\n"} {
			conn := dial(t, p.admin)
			say(t, conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if got := untilCut(t, conn); !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, want) {
				t.Errorf("%s, %s answers %q", when, path, got)
			}
		}
	}
	fill(p.rest, upsert)
	for range 3 * most {
		if got := untilCut(t, dial(t, p.rest)); got != "" {
			t.Fatalf("a further client is answered %q", got)
		}
	}
	probe("while REST is full")
	fill(p.admin, "/debug/pprof/symbol")
	probe("while the admin port is full, too")
}

// TestTooManyRequests opens requests whose messages never come, more than may be under way.
func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	c := dialRPC(t, serve(t, "MAX_CONNECTIONS=4").grpc)
	for i := range uint32(5) {
		c.open(2*i+1, cartv1.CartService_GetCart_FullMethodName)
	}
	if _, got := c.ended(); got != codes.ResourceExhausted {
		t.Errorf("one of five requests ended with %v, want ResourceExhausted", got)
	}
	for i := range uint32(5) {
		c.do(c.framer.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
	}
	for id := uint32(11); ; id += 2 { // the end of a request takes a moment to make room
		c.open(id, cartv1.CartService_GetCart_FullMethodName)
		c.do(c.framer.WriteData(id, true, make([]byte, 5))) // a message with nothing in it
		if got := c.status(id); got == codes.InvalidArgument {
			return
		} else if got != codes.ResourceExhausted {
			t.Fatalf("then a request ended with %v, want InvalidArgument", got)
		}
	}
}
