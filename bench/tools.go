//go:build unix

package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// tools are the paths of the programs that bench needs.
type tools struct{ postgres, pgbench, wrk string }

// findTools finds them, or returns a one-line error that names the missing ones and the packages to install.
func findTools(ctx context.Context) (tools, error) {
	var missing []string
	bin, err := pgtest.FindPrograms(ctx)
	if err != nil {
		missing = append(missing, "a PostgreSQL server")
	}
	t := tools{postgres: filepath.Join(bin, "postgres"), pgbench: find("pgbench", bin), wrk: find("wrk", bin)}
	if t.pgbench == "" {
		missing = append(missing, "pgbench")
	}
	if t.wrk == "" {
		missing = append(missing, "wrk")
	}
	if len(missing) > 0 {
		return t, fmt.Errorf("missing %s: apt-get install postgresql wrk", strings.Join(missing, ", "))
	}
	return t, nil
}

// find returns the path of a program in the directory or else on PATH, or nothing. On Debian, the pgbench on PATH is a
// wrapper script that takes time of its own.
func find(name, dir string) string {
	for _, file := range []string{filepath.Join(dir, name), name} {
		if path, err := exec.LookPath(file); err == nil {
			return path
		}
	}
	return ""
}

// program prepares a program that gets SIGTERM when the context ends, and SIGKILL if it ignores that. It has a process
// group of its own, which Ctrl-C does not reach: it gets one signal, not two.
func program(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs the program and returns its standard output. An error includes all of its output.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", filepath.Base(cmd.Path), err, stdout.String(), stderr.String())
	}
	return []byte(stdout.String()), nil
}
