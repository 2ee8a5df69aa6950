package app

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sellio/sellio-cart/internal/config"
	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// runMain makes this test binary run the program instead of the tests, so that the tests drive the real
// main in processes of its own.
const runMain = "SELLIO_CART_TEST_RUN_MAIN=1"

// raceOptions make the race detector, if it is in use, end a program at its first data race, so that no test
// overlooks it, and not delay the end of programs without one.
const raceOptions = "GORACE=halt_on_error=1 atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if os.Getenv(strings.TrimSuffix(runMain, "=1")) != "" {
		os.Exit(Run(context.Background(), "dev", os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(pgtest.Main(m, func() error { return goleak.Find() }))
}

// database is a kind of database that tests run on.
type database struct {
	name string
	url  func(t testing.TB) string // of a new, migrated database
}

var databases = []database{
	{"PostgreSQL", func(t testing.TB) string { return pgtest.NewFromTemplate(t, "cart", migrateURL) }},
	{"SQLite", func(t testing.TB) string { return "sqlite:" + t.TempDir() + "/cart.db" }},
}

// onBoth runs the test on a PostgreSQL and on an SQLite database.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			test(t, db.url(t))
		})
	}
}

// process is a running program.
type process struct {
	t     testing.TB
	cmd   *exec.Cmd
	rest  string // http://HOST:PORT
	grpc  string // HOST:PORT
	admin string // http://HOST:PORT
	ended chan struct{}
	err   error // set once ended is closed

	mu    sync.Mutex
	grown *sync.Cond // log has a new line, or is complete
	log   []string
	done  bool
}

// command returns a command that runs the program in a new folder, with this environment alone.
func command(t testing.TB, args []string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{runMain, raceOptions, "HTTP_PORT=0", "GRPC_PORT=0", "ADMIN_PORT=0"}, env...)
	return cmd
}

// runOnce runs the program to its end.
func runOnce(t testing.TB, args []string, env ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, args, env...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			t.Fatal(err)
		}
	}
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode()
}

var readyLine = regexp.MustCompile(`Sellio Cart is ready\..*?rest"?[=:]"?(https?://[^\s",]+).*?grpc"?[=:]"?([^\s",]+).*?admin"?[=:]"?(http://[^\s",}]+)`)

// serve starts the service on any free ports, and returns once it is ready. It ends with the test.
func serve(t testing.TB, env ...string) *process {
	t.Helper()
	return begin(t, command(t, nil, env...))
}

// begin is serve for a command that runs the service.
func begin(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, ended: make(chan struct{})}
	p.grown = sync.NewCond(&p.mu)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go p.follow(stderr, ready)
	t.Cleanup(func() {
		p.signal(syscall.SIGKILL)
		<-p.ended
		if t.Failed() {
			t.Logf("log of the service:\n%s", p.logged())
		}
	})
	select {
	case <-ready:
	case <-p.ended:
		t.Fatalf("the service ended with %v:\n%s", p.err, p.logged())
	}
	return p
}

// follow keeps what the process logs, closes ready once it is, and waits for its end.
func (p *process) follow(stderr io.Reader, ready chan struct{}) {
	defer close(p.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		p.log = append(p.log, line)
		p.mu.Unlock()
		p.grown.Broadcast()
		if m := readyLine.FindStringSubmatch(line); m != nil && p.rest == "" {
			p.rest, p.grpc, p.admin = m[1], m[2], m[3]
			close(ready)
		}
	}
	p.mu.Lock()
	p.done = true
	p.mu.Unlock()
	p.grown.Broadcast()
	p.err = errors.Join(lines.Err(), p.cmd.Wait())
}

// waitForLog waits for a line that holds the text.
func (p *process) waitForLog(text string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for seen := 0; ; seen++ {
		for seen == len(p.log) && !p.done {
			p.grown.Wait()
		}
		if seen == len(p.log) {
			p.t.Fatalf("the service ended without logging %q", text)
		}
		if strings.Contains(p.log[seen], text) {
			return
		}
	}
}

func (p *process) logged() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.log, "\n")
}

func (p *process) signal(sig syscall.Signal) {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("send %v: %v", sig, err)
	}
}

// wait waits for the end of the process.
func (p *process) wait() error {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.err
	case <-time.After(time.Minute):
		p.t.Fatalf("the service did not end:\n%s", p.logged())
		return nil
	}
}

// migrateURL brings the database at url up to date.
func migrateURL(ctx context.Context, url string) error {
	parsed, err := config.ParseDatabaseURL(url)
	if err != nil {
		return err
	}
	return withMigrator(ctx, config.Config{DatabaseURL: parsed}, func(ctx context.Context, p migrator) error {
		_, err := p.Up(ctx)
		return err
	})
}
