package app

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// maxMemory is what the service may take at worst, in bytes.
const maxMemory = 256 << 20

// TestMemory runs hostile clients against the program as it is delivered: the race detector would take more memory.
func TestMemory(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "sellio-cart")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../cmd/sellio-cart").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, test := range map[string]func(*testing.T, func(env ...string) *process){
		"idle over REST":    idleOverREST,
		"idle over gRPC":    idleOverGRPC,
		"compression bombs": compressionBombs,
		"largest answers":   largestAnswers,
	} {
		t.Run(name, func(t *testing.T) {
			var started []*process
			test(t, func(env ...string) *process {
				cmd := command(t, nil, env...)
				cmd.Path, cmd.Args = program, []string{program}
				started = append(started, begin(t, cmd))
				return started[len(started)-1]
			})
			for _, p := range started {
				if most := p.mostMemory(); most > maxMemory {
					t.Errorf("the service took %d MiB, want at most %d", most>>20, maxMemory>>20)
				} else {
					t.Logf("the service took %d MiB", most>>20)
				}
			}
		})
	}
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// mostMemory returns the largest resident memory that the process has had, in bytes.
func (p *process) mostMemory() int64 {
	p.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	kB, err := strconv.ParseInt(highWater.FindStringSubmatch(string(text))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return kB << 10
}

// manyIdle is how many connections are opened and left idle: more than there may be.
const manyIdle = 10_000

func idleOverREST(t *testing.T, start func(...string) *process) {
	p := start()
	for range manyIdle {
		conn := dial(t, p.rest)
		say(t, conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("got %v, %v", resp, err)
		}
	}
	p.must(http.StatusOK, nil, http.MethodGet, "/healthz", "")
}

func idleOverGRPC(t *testing.T, start func(...string) *process) {
	p := start()
	first := dialRPC(t, p.grpc)
	for range manyIdle {
		conn := dial(t, p.grpc)
		_, _ = io.WriteString(conn, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00") // some are turned away
	}
	untilCut(t, dial(t, p.grpc)) // so the server has handled all connections before it
	first.settled()
	if err := first.conn.Close(); err != nil { // makes room for another connection
		t.Error(err)
	}
	s := openShop(t, p)
	_, err := s.rpc.GetCart(t.Context(), &cartv1.GetCartRequest{CartId: 1}, grpc.WaitForReady(true))
	s.code(err, codes.NotFound)
}

// compressionBombs sends messages that are within the limit until they are unpacked.
func compressionBombs(t *testing.T, start func(...string) *process) {
	p := start()
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(make([]byte, 50<<20)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	message := append(binary.BigEndian.AppendUint32([]byte{1}, uint32(packed.Len())), packed.Bytes()...)
	bombers := make([]*rawRPC, 16)
	for i := range bombers {
		c := dialRPC(t, p.grpc)
		c.open(1, cartv1.CartService_GetCart_FullMethodName, [2]string{"grpc-encoding", "gzip"})
		for part := range slices.Chunk(message, 16<<10) {
			c.do(c.framer.WriteData(1, false, part))
		}
		c.do(c.framer.WriteData(1, true, nil))
		bombers[i] = c
	}
	for _, c := range bombers {
		if got := c.status(1); got != codes.ResourceExhausted {
			t.Errorf("a bomb ends with %v, want ResourceExhausted", got)
		}
	}
}

// largestAnswers has many clients ask for as much as there can be in one answer.
func largestAnswers(t *testing.T, start func(...string) *process) {
	url := databases[0].url(t)
	db, _ := connect(t, url)
	for _, statement := range []string{
		"INSERT INTO cart (company_id, user_id) SELECT n, 1000000 FROM generate_series(1, 200) n",
		`INSERT INTO cart_item (cart_id, product_id, name, price, quantity)
			SELECT c.id, p, 'A product with a name of usual length', 9.99, 1 FROM cart c, generate_series(1, 500) p`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	ids := make([]int64, 200)
	for i := range ids {
		ids[i] = int64(i + 1)
	}
	body := fmt.Sprintf(`{"ids": [%s]}`, strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]"))

	// These timeouts are long enough for a slow machine.
	patient := openShop(t, start("DATABASE_URL="+url, "CLIENT_TIMEOUT=1m", "REQUEST_TIMEOUT=1m"))
	served := patient.askForMuch(ids, body)
	if served == 0 {
		t.Error("no request was served")
	}
	t.Logf("%d of 24 were served at once", served)
	patient.takeNothing(body)

	// Answers are cut off if their clients neither read them nor disconnect.
	strict := openShop(t, start("DATABASE_URL="+url, "CLIENT_TIMEOUT=1s"))
	strict.leave(body)
	strict.leave(body)
	strict.untilServed(body)
}

// askForMuch sends 24 requests, 8 at a time, and returns how many were served. The others must have been refused.
func (s *shop) askForMuch(ids []int64, body string) int64 {
	s.Helper()
	large := grpc.MaxCallRecvMsgSize(64 << 20)
	var served atomic.Int64
	each(24, 8, func(i int64) {
		var code int
		var err error
		switch i % 4 {
		case 0:
			code = s.post(body, "/api/v1/carts/by-ids").status
		case 1:
			code = s.get("/api/v1/carts/by-user?user_id=1000000&limit=200").status
		case 2:
			_, err = s.rpc.ListByUser(s.Context(), &cartv1.ListByUserRequest{UserId: 1_000_000, Limit: 200}, large)
		case 3:
			_, err = s.rpc.ListByIds(s.Context(), &cartv1.ListByIdsRequest{Ids: ids}, large)
		}
		switch {
		case code == http.StatusServiceUnavailable, status.Code(err) == codes.ResourceExhausted, status.Code(err) == codes.Unavailable:
		case code == http.StatusOK || code == 0 && err == nil:
			served.Add(1)
		default:
			s.Errorf("status %d, %v", code, err)
		}
	})
	return served.Load()
}

// takeNothing asks for much and reads no answer, so that the service holds two. It then refuses further large answers,
// but no small ones, and serves large ones again after the clients have disconnected.
func (s *shop) takeNothing(body string) {
	s.Helper()
	small := s.add(1)
	first, second := s.leave(body), s.leave(body)
	for range 3 {
		if list := s.get("/api/v1/carts/by-user?user_id=%d", s.user).carts(); len(list) != 1 {
			s.Fatalf("%d carts, want %+v", len(list), small)
		}
		if a := s.post(body, "/api/v1/carts/by-ids"); a.status != http.StatusServiceUnavailable {
			s.Fatalf("status %d while two answers are held", a.status)
		}
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		s.Error(err)
	}
	s.untilServed(body)
}

// leave asks for much until the service answers, and reads only the first line. The service may refuse for as long as it
// has not noticed the end of earlier answers.
func (s *shop) leave(body string) net.Conn {
	s.Helper()
	for {
		conn := dial(s.T, s.rest)
		if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
			s.Fatal(err)
		}
		say(s.T, conn, fmt.Sprintf("POST /api/v1/carts/by-ids HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+
			"Content-Length: %d\r\n\r\n%s", len(body), body))
		line, err := bufio.NewReaderSize(conn, 16).ReadString('\n')
		if err != nil {
			s.Fatal(err)
		}
		if strings.Contains(line, " 200 ") {
			return conn
		}
		if !strings.Contains(line, " 503 ") {
			s.Fatalf("answered with %q", line)
		}
		if err := conn.Close(); err != nil {
			s.Error(err)
		}
	}
}

// untilServed asks for much until it is served.
func (s *shop) untilServed(body string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	for {
		if ctx.Err() != nil {
			s.Fatal("answers that no client reads are still held")
		}
		switch a := s.post(body, "/api/v1/carts/by-ids"); a.status {
		case http.StatusOK:
			return
		case http.StatusServiceUnavailable:
		default:
			s.Fatalf("status %d", a.status)
		}
	}
}
