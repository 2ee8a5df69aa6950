//go:build unix

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// settings of the throw-away server. All that concerns durability and speed is left as PostgreSQL has it.
const settings = `
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
`

// watcher stops the server and removes its files as soon as its input ends: when the benchmark closes it, or dies.
const watcher = `
cat >/dev/null
[ ! -e "$2/data/postmaster.pid" ] || "$1" stop -D "$2/data" -m immediate -s
rm -rf "$2"
`

// postgres is a throw-away server.
type postgres struct {
	tools    tools
	dir      string
	attr     *syscall.SysProcAttr
	port     int
	password string
	watcher  *exec.Cmd
	leash    io.Closer // the watcher acts when it is closed
}

// startPostgres makes a server with its data in a temporary directory (TMPDIR says where).
func startPostgres(ctx context.Context, t tools) (_ *postgres, err error) {
	p := &postgres{tools: t, password: rand.Text()}
	if p.attr, err = serverUser(); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "cart-bench-postgres-"); err != nil {
		return nil, err
	}
	if err := errors.Join(p.own(p.dir), p.watch()); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	if err := p.start(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// serverUser puts the server in a session of its own, which Ctrl-C does not reach, and, since PostgreSQL refuses to
// run as root, under another user.
func serverUser() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Geteuid() != 0 {
		return attr, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		account, err = user.Lookup("nobody")
	}
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return attr, errors.Join(uidErr, gidErr)
}

func (p *postgres) watch() error {
	p.watcher = p.command(context.Background(), "/bin/sh", "-c", watcher, "sh", p.tools.pgctl, p.dir)
	leash, err := p.watcher.StdinPipe()
	if err != nil {
		return err
	}
	p.leash = leash
	return p.watcher.Start()
}

func (p *postgres) start(ctx context.Context) error {
	password := filepath.Join(p.dir, "password")
	if err := errors.Join(os.WriteFile(password, []byte(p.password), 0o600), p.own(password)); err != nil {
		return err
	}
	data := filepath.Join(p.dir, "data")
	_, err := output(p.command(ctx, p.tools.initdb, "-D", data, "--encoding=UTF8", "--locale=C",
		"--username=postgres", "--auth=scram-sha-256", "--pwfile="+password))
	if err != nil {
		return err
	}
	conf, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.WriteString(conf, settings)
	if err = errors.Join(err, conf.Close()); err != nil {
		return err
	}
	// Another program may take a port that was free just now.
	for range 3 {
		if p.port, err = freePort(); err != nil {
			return err
		}
		_, err = output(p.command(ctx, p.tools.pgctl, "start", "-D", data, "-s", "-w",
			"-l", filepath.Join(p.dir, "log"), "-o", fmt.Sprintf("-p %d", p.port)))
		if err == nil {
			break
		}
	}
	return err
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

// close stops the server and removes its files.
func (p *postgres) close() error {
	return errors.Join(p.leash.Close(), p.watcher.Wait(), os.RemoveAll(p.dir))
}

// command prepares a program to run as the user of the server, in a directory that it may enter.
func (p *postgres) command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	cmd.SysProcAttr = p.attr
	return cmd
}

// own makes the user of the server the owner of a file.
func (p *postgres) own(path string) error {
	if p.attr.Credential == nil {
		return nil
	}
	return os.Chown(path, int(p.attr.Credential.Uid), int(p.attr.Credential.Gid))
}

// address of the server.
func (p *postgres) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.port)) }

// url of a database by way of an address, which may be that of a proxy.
func (p *postgres) url(address, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("postgres", p.password), Host: address, Path: "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// environ is how PostgreSQL's own programs find a database.
func (p *postgres) environ(database string) []string {
	return append(os.Environ(), "PGHOST=127.0.0.1", "PGPORT="+strconv.Itoa(p.port), "PGSSLMODE=disable",
		"PGUSER=postgres", "PGPASSWORD="+p.password, "PGDATABASE="+database)
}

// exec runs the statements one after the other on a connection of their own.
func (p *postgres) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, p.url(p.address(), database))
	if err != nil {
		return err
	}
	for _, sql := range statements {
		if _, err = conn.Exec(ctx, sql); err != nil {
			err = fmt.Errorf("%s: %w", sql, err)
			break
		}
	}
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
