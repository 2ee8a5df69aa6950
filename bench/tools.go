//go:build unix

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// tools are the paths of the programs that the benchmark needs.
type tools struct {
	initdb, pgctl, postgres, pgbench, wrk string
}

// findTools returns an error of one line that says what is missing and how to get it.
func findTools(ctx context.Context) (tools, error) {
	dirs := programDirs(ctx)
	var t tools
	var missing []string
	for name, path := range map[string]*string{
		"initdb": &t.initdb, "pg_ctl": &t.pgctl, "postgres": &t.postgres, "pgbench": &t.pgbench, "wrk": &t.wrk,
	} {
		if *path = find(name, dirs); *path == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return t, fmt.Errorf("missing %s: apt-get install postgresql wrk", strings.Join(missing, ", "))
	}
	return t, nil
}

// programDirs returns where PostgreSQL's programs may be, the newest first. Debian keeps them out of the PATH.
func programDirs(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/[1-9][0-9]/bin", "/usr/pgsql-[1-9][0-9]/bin", "/usr/local/pgsql/bin",
		"/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		slices.Reverse(found)
		dirs = append(dirs, found...)
	}
	// Without pg_config the other places remain.
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	return dirs
}

// find returns the path of a program in one of the directories or on PATH, or nothing.
func find(name string, dirs []string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return path
}

// program prepares a program that gets SIGTERM when the context ends, and is killed when it does not heed it. Ctrl-C
// does not reach it directly, so that it is told once.
func program(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// output runs the program and returns what it wrote to its standard output. An error holds all that it said.
func output(cmd *exec.Cmd) ([]byte, error) {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s%s", filepath.Base(cmd.Path), err, stdout.String(), stderr.String())
	}
	return []byte(stdout.String()), nil
}
