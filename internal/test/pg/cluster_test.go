//go:build unix

package pgtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// childEnv makes the test binary start a server and then end in the given way.
const childEnv = "PGTEST_CHILD"

// child starts a server, prints its directory and URL, waits for a line of input, and ends.
func child(end string) int {
	c, err := NewCluster(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.dir)
	fmt.Println(c.URL())
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return 1
	}
	if end == "panic" {
		panic("as the test wants")
	}
	return 3
}

// The server and its files go with the process, however it ends.
func TestServerDoesNotOutliveTheProcess(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"exit", "panic", "kill"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), childEnv+"="+end)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var dir, url string
			if _, err := fmt.Fscan(stdout, &dir, &url); err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.Connect(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if end == "kill" {
				err = cmd.Process.Kill()
			} else {
				_, err = io.WriteString(stdin, "\n")
			}
			if err != nil {
				t.Fatal(err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() == 1 {
				t.Fatalf("the process ended with %v", err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if _, err := conn.WaitForNotification(ctx); ctx.Err() != nil || err == nil {
				t.Errorf("the server still runs: %v", err)
			}
			awaitRemoval(ctx, t, dir)
		})
	}
}

func awaitRemoval(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s is still there", dir)
		}
	}
}

func TestServerKeepsWhatItCommitted(t *testing.T) {
	t.Parallel()
	server := Start(t)
	url := server.URL()
	conn := connect(t, url)
	if got := query[string](t, conn, "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	execute(t, conn, "CREATE TABLE x (id int)")
	for i, mode := range []StopMode{Immediate, Fast} {
		conn := connect(t, url)
		execute(t, conn, "INSERT INTO x VALUES ($1)", i)
		server.Stop(mode)
		if err := conn.Ping(t.Context()); err == nil {
			t.Errorf("%s: the server answers after Stop", mode)
		}
		if c, err := pgx.Connect(t.Context(), url); err == nil {
			t.Errorf("%s: the server takes connections after Stop: %v", mode, c.Close(t.Context()))
		}
		server.Restart()
		if server.URL() != url {
			t.Errorf("%s: the URL changed", mode)
		}
		if n := query[int](t, connect(t, url), "SELECT count(*) FROM x"); n != i+1 {
			t.Errorf("%s: %d rows after the restart, want %d", mode, n, i+1)
		}
	}
}

func TestRestartOfARunningServer(t *testing.T) {
	t.Parallel()
	server := Start(t)
	conn := connect(t, server.URL())
	server.Restart()
	if err := conn.Ping(t.Context()); err == nil {
		t.Error("a connection survived the restart")
	}
	execute(t, connect(t, server.URL()), "SELECT 1")
}

// The server asks for its password, since other users may share the machine.
func TestServerRefusesStrangers(t *testing.T) {
	t.Parallel()
	config, err := pgx.ParseConfig(Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	config.Password = "guess"
	if conn, err := pgx.ConnectConfig(t.Context(), config); err == nil {
		t.Errorf("the server took a wrong password: %v", conn.Close(t.Context()))
	}
}

// A server that runs as another user starts even if only the test's user may enter the temporary directory.
func TestPrivateTemporaryDirectory(t *testing.T) {
	private := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", private)
	c, err := NewCluster(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for _, dir := range []string{private, c.dir} {
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("left over: %v %v", left, err)
		}
	}
}

// A cluster that cannot start returns the reason, and leaves nothing behind.
func TestStartFailure(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	c, err := NewCluster(t.Context(), "shared_preload_libraries = 'no_such_library'")
	if c != nil || err == nil || !strings.Contains(err.Error(), "no_such_library") {
		t.Errorf("cluster %v, error %v, want none and what the server wrote to its log", c, err)
	}
	if left, err := filepath.Glob(filepath.Join(os.Getenv("TMPDIR"), "*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestFindPrograms(t *testing.T) {
	t.Setenv(binEnv, "")
	known, err := findPrograms(t.Context(), usualPlaces)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, version := range []string{"14", "16", "17"} {
		if err := os.Symlink(known, filepath.Join(root, version)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "18"), 0o700); err != nil { // a client without a server
		t.Fatal(err)
	}
	t.Setenv("PATH", "/nonexistent")

	places := []string{filepath.Join(root, "[1-9][0-9]")}
	if dir, err := findPrograms(t.Context(), places); err != nil || dir != filepath.Join(root, "17") {
		t.Errorf("found %q, %v, want the newest server", dir, err)
	}
	if _, err := findPrograms(t.Context(), nil); !errors.Is(err, errNoPrograms) {
		t.Errorf("error %v, want %v", err, errNoPrograms)
	}
	if strings.Contains(errNoPrograms.Error(), "\n") {
		t.Error("the error takes more than one line")
	}

	t.Setenv(binEnv, known)
	if dir, err := findPrograms(t.Context(), nil); err != nil || dir != known {
		t.Errorf("found %q, %v, want %q as %s says", dir, err, known, binEnv)
	}
	t.Setenv(binEnv, filepath.Join(root, "18"))
	_, err = findPrograms(t.Context(), places)
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), binEnv) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want a line that says what %s lacks", err, binEnv)
	}
}
