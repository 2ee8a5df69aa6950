//go:build unix

package pgtest

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// settings are part of every cluster's configuration. The server accepts connections only from this machine, and only
// with the password.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
`

// keeper waits for the end of its input: the parent process closes the pipe, or dies for any reason. Then the keeper
// stops the server and removes its files. Its arguments are pg_ctl and the directory of the cluster.
const keeper = `
cat >/dev/null
if [ -e "$2/data/postmaster.pid" ]; then
	"$1" stop -D "$2/data" -m immediate -s || exit 1
fi
rm -rf "$2"
`

// A Cluster is a PostgreSQL server with its data in a temporary directory, for programs that are not tests. Tests use
// a [Server]. The cluster stops with the process that started it, however the process ends.
type Cluster struct {
	bin      string // directory of PostgreSQL's programs
	dir      string
	attr     *syscall.SysProcAttr
	port     int
	password string
	keeper   *exec.Cmd
	leash    io.Closer // closing it makes the keeper stop the server
}

// NewCluster makes a cluster and starts it. The lines are added to its configuration. Commits are durable, since fsync
// is on, unless a line says otherwise.
func NewCluster(ctx context.Context, lines ...string) (*Cluster, error) {
	bin, err := FindPrograms(ctx)
	if err != nil {
		return nil, err
	}
	attr, err := unprivileged()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, attr: attr, password: crand.Text()}
	if err := c.open(ctx, func() error { return c.initialize(ctx, lines) }); err != nil {
		return nil, err
	}
	return c, nil
}

// open makes the directory of the cluster, calls fill to put the data there, and starts the server. If it fails, it
// leaves nothing behind.
func (c *Cluster) open(ctx context.Context, fill func() error) error {
	// The server's user may lack access to the temporary directory.
	err := c.makeDir(os.TempDir())
	if errors.Is(err, os.ErrPermission) {
		err = c.makeDir("/tmp")
	}
	if err != nil {
		return err
	}
	if err = fill(); err == nil {
		err = c.startOnFreePort(ctx)
	}
	if err != nil {
		return errors.Join(err, c.Close())
	}
	return nil
}

// makeDir makes the directory of the cluster in parent, and starts the keeper there.
func (c *Cluster) makeDir(parent string) error {
	dir, err := os.MkdirTemp(parent, "pgtest-")
	if err != nil {
		return err
	}
	c.dir = dir
	if err = c.giveAway(dir); err == nil {
		err = c.startKeeper()
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return nil
}

func (c *Cluster) startKeeper() error {
	c.keeper = c.command(context.Background(), "/bin/sh", "-c", keeper, "sh", filepath.Join(c.bin, "pg_ctl"), c.dir)
	leash, err := c.keeper.StdinPipe()
	if err != nil {
		return err
	}
	c.leash = leash
	return c.keeper.Start()
}

func (c *Cluster) initialize(ctx context.Context, lines []string) error {
	passwordFile := filepath.Join(c.dir, "password")
	if err := os.WriteFile(passwordFile, []byte(c.password), 0o600); err != nil {
		return err
	}
	if err := c.giveAway(passwordFile); err != nil {
		return err
	}
	err := c.run(ctx, "initdb", "-D", c.data(), "--no-sync", "--encoding=UTF8", "--locale=C",
		"--username=postgres", "--auth=scram-sha-256", "--pwfile="+passwordFile)
	if err != nil {
		return err
	}
	if err := os.Remove(passwordFile); err != nil {
		return err
	}
	return c.configure(settings + strings.Join(lines, "\n") + "\n")
}

// configure appends lines to the configuration. A later line overrides an earlier one for the same setting.
func (c *Cluster) configure(lines string) error {
	conf, err := os.OpenFile(filepath.Join(c.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(conf, lines)
	return errors.Join(err, conf.Close())
}

// startOnFreePort retries with another port: another process may take a port that was free a moment ago.
func (c *Cluster) startOnFreePort(ctx context.Context) error {
	var err error
	for range 3 {
		if c.port, err = freePort(ctx); err != nil {
			return err
		}
		if err = c.start(ctx, "start"); err == nil {
			return nil
		}
	}
	return err
}

// freePort returns a port below the range for outgoing connections, so that the port is still free when a stopped
// server starts again.
func freePort(ctx context.Context) (int, error) {
	var err error
	for range 20 {
		port := 20000 + rand.IntN(12000)
		var listener net.Listener
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("no free port: %w", err)
}

// start runs pg_ctl's start or restart and waits until the server takes connections.
func (c *Cluster) start(ctx context.Context, action string) error {
	log := filepath.Join(c.dir, "log")
	err := c.run(ctx, "pg_ctl", action, "-D", c.data(), "-m", "fast", "-s", "-w", "-l", log, "-o", fmt.Sprintf("-p %d", c.port))
	if err != nil {
		text, logErr := os.ReadFile(log)
		return errors.Join(err, logErr, errors.New(string(text)))
	}
	return nil
}

func (c *Cluster) stop(ctx context.Context, mode StopMode) error {
	return c.run(ctx, "pg_ctl", "stop", "-D", c.data(), "-s", "-w", "-m", string(mode))
}

// Close stops the server, if it runs, and removes its files.
func (c *Cluster) Close() error {
	if err := errors.Join(c.leash.Close(), c.keeper.Wait()); err != nil {
		return fmt.Errorf("stop the server in %s: %w", c.dir, err)
	}
	return os.RemoveAll(c.dir)
}

// URL returns the URL of an empty database, with a superuser.
func (c *Cluster) URL() *url.URL {
	return &url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword("postgres", c.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)),
		Path:     "/postgres",
		RawQuery: "sslmode=disable",
	}
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

// run runs one of PostgreSQL's programs. An error includes the program's output.
func (c *Cluster) run(ctx context.Context, program string, args ...string) error {
	if out, err := c.command(ctx, filepath.Join(c.bin, program), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// command prepares a program to run as the server's user, in a directory which that user may enter.
func (c *Cluster) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = c.attr
	return cmd
}

// giveAway makes the user of the server the owner of the file.
func (c *Cluster) giveAway(path string) error {
	if c.attr.Credential == nil {
		return nil
	}
	return os.Chown(path, int(c.attr.Credential.Uid), int(c.attr.Credential.Gid))
}
