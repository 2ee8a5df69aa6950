//go:build linux

package chaos

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	cartv1 "github.com/sellio/sellio-cart/api/sellio/cart/v1"
)

// program builds the program, with the race detector if the tests use it, and returns its path.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(binDir, "sellio-cart")
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "github.com/sellio/sellio-cart/cmd/sellio-cart")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
})

// service is one instance of the service. It may be killed and started again.
type service struct {
	t       *testing.T
	env     []string
	running atomic.Pointer[process] // the last one started
}

// process is a running program, and a client's connections to it.
type process struct {
	cmd   *exec.Cmd
	rest  string // http://HOST:PORT
	http  *http.Client
	conn  *grpc.ClientConn
	rpc   cartv1.CartServiceClient
	ended chan struct{}
	err   error    // set once ended is closed
	log   []string // the last lines; complete once ended is closed
}

// newService starts an instance.
func newService(t *testing.T, env ...string) *service {
	t.Helper()
	s := &service{t: t, env: append(env, "HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0", "APP_ENV=test", "REQUEST_TIMEOUT="+requestTimeout.String(), "GORACE=halt_on_error=1")}
	s.start()
	t.Cleanup(func() {
		p := s.running.Load()
		<-p.ended
		p.disconnect(t)
		if t.Failed() {
			t.Logf("last lines of an instance:\n%s", strings.Join(p.log, "\n"))
		}
	})
	return s
}

// start starts the program on free ports, and returns once it is ready. The end of the test kills it at the latest.
func (s *service) start() {
	s.t.Helper()
	path, err := program()
	if err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd: exec.CommandContext(s.t.Context(), path), ended: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = s.t.TempDir(), s.env
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan readyLine, 1)
	go p.follow(stderr, ready)
	select {
	case line := <-ready:
		p.connect(s.t, line)
	case <-p.ended:
		s.t.Fatalf("an instance ended with %v:\n%s", p.err, strings.Join(p.log, "\n"))
	case <-time.After(patience):
		s.t.Fatal("an instance does not get ready")
	}
	if old := s.running.Swap(p); old != nil {
		old.disconnect(s.t)
	}
}

// readyLine is the line that the program logs once it serves.
type readyLine struct{ Msg, REST, GRPC string }

// follow keeps the last lines of the process's log, sends the ready line, and waits for the process to end.
func (p *process) follow(stderr io.Reader, ready chan<- readyLine) {
	defer close(p.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if p.log = append(p.log, lines.Text()); len(p.log) > 60 {
			p.log = p.log[1:]
		}
		var line readyLine
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "Sellio Cart is ready." {
			ready <- line
		}
	}
	p.err = errors.Join(lines.Err(), p.cmd.Wait())
}

func (p *process) connect(t *testing.T, line readyLine) {
	t.Helper()
	conn, err := grpc.NewClient(line.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	p.rest, p.conn, p.rpc = line.REST, conn, cartv1.NewCartServiceClient(conn)
	p.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
}

func (p *process) disconnect(t *testing.T) {
	t.Helper()
	p.http.CloseIdleConnections()
	if err := p.conn.Close(); err != nil {
		t.Error(err)
	}
}

// kill kills the program.
func (s *service) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.running.Load().ended
}

// survived checks that the program still runs: only signals may end it.
func (s *service) survived() {
	s.t.Helper()
	select {
	case <-s.running.Load().ended:
		s.t.Fatalf("an instance ended on its own, with %v", s.running.Load().err)
	default:
	}
}

// stop stops the program gracefully. Silent connections must not delay that.
func (s *service) stop() {
	s.t.Helper()
	began := time.Now()
	s.signal(syscall.SIGTERM)
	p := s.running.Load()
	select {
	case <-p.ended:
		if p.err != nil {
			s.t.Errorf("an instance that was stopped ended with %v:\n%s", p.err, strings.Join(p.log, "\n"))
		}
		if took := time.Since(began); took > stopWithin {
			s.t.Errorf("an instance took %v to stop", took)
		}
	case <-time.After(patience):
		s.t.Fatal("an instance does not stop")
	}
}

func (s *service) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.running.Load().cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("send %v: %v", sig, err)
	}
}

// limitFiles returns a command that limits the size of files that a process may write. Writes beyond it fail with EFBIG,
// as writes to a full disk fail with ENOSPC. A user who may signal a process may limit it. The command ignores a process
// that has ended.
func limitFiles(pid, size string) string {
	return fmt.Sprintf("prlimit --pid %[1]s --fsize=%[2]s: || [ ! -e /proc/%[1]s ] || exit 1", pid, size)
}

// unlimited is the size for no limit.
const unlimited = "unlimited"
