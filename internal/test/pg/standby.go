//go:build unix

package pgtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Standby starts a hot standby of the primary, and returns when it streams from the primary. The standby answers reads
// at its own URL, with the primary's password. Replication is asynchronous until the primary's
// synchronous_standby_names says otherwise ('*' names any). The end of the test removes the standby.
func Standby(t testing.TB, primary *Server) *Server {
	t.Helper()
	c, err := newStandby(t.Context(), primary.cluster)
	return serve(t, c, err)
}

// Promote makes a standby a primary, and waits until it takes writes. Stop the old primary first: it would still take
// writes.
func (s *Server) Promote() {
	s.t.Helper()
	if err := s.cluster.run(s.t.Context(), "pg_ctl", "promote", "-D", s.cluster.data(), "-s", "-w"); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Hosts returns the first URL with the hosts of all URLs. A client tries them in that order. With the parameter
// target_session_attrs=read-write it chooses the primary.
func Hosts(t testing.TB, urls ...string) string {
	t.Helper()
	var hosts []string
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal("pgtest: hosts must be given as URLs")
		}
		hosts = append(hosts, u.Host)
	}
	u, _ := url.Parse(urls[0])
	u.Host = strings.Join(hosts, ",")
	return u.String()
}

// newStandby copies the data of the running primary, and starts a server on the copy.
func newStandby(ctx context.Context, primary *Cluster) (*Cluster, error) {
	conn, err := pgx.Connect(ctx, primary.URL().String())
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: primary.bin, attr: primary.attr, password: primary.password}
	err = c.open(ctx, func() error { return c.follow(ctx, primary, conn) })
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	if err := errors.Join(c.awaitStreaming(ctx, conn), conn.Close(ctx)); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// name returns the standby's application_name, which is also the name of its replication slot.
func (c *Cluster) name() string {
	return strings.ToLower(strings.ReplaceAll(filepath.Base(c.dir), "-", "_"))
}

// follow takes a base backup of the primary without pg_basebackup, which some packages of the server lack. The slot
// retains the primary's log from now on until the standby has it.
func (c *Cluster) follow(ctx context.Context, primary *Cluster, conn *pgx.Conn) error {
	var version int
	err := conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int FROM pg_create_physical_replication_slot($1, true)`,
		c.name()).Scan(&version)
	if err != nil {
		return fmt.Errorf("make a slot: %w", err)
	}
	begin, end := "SELECT pg_backup_start($1, true)", "SELECT labelfile FROM pg_backup_stop(false)"
	if version < 150000 {
		begin, end = "SELECT pg_start_backup($1, true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)"
	}
	if _, err := conn.Exec(ctx, begin, c.name()); err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}
	if err := c.copyData(primary); err != nil {
		return fmt.Errorf("copy the data: %w", err)
	}
	var label string
	if err := conn.QueryRow(ctx, end).Scan(&label); err != nil {
		return fmt.Errorf("end the backup: %w", err)
	}
	u := primary.URL()
	source := fmt.Sprintf("host=%s port=%s user=%s password=%s application_name=%s sslmode=disable",
		u.Hostname(), u.Port(), u.User.Username(), c.password, c.name())
	return errors.Join(
		c.write("backup_label", strings.NewReader(label)),
		c.write("standby.signal", strings.NewReader("")),
		c.configure(fmt.Sprintf("primary_conninfo = '%s'\nprimary_slot_name = '%s'\n", source, c.name())),
	)
}

// copyData copies the files of a running primary. Some vanish or change meanwhile; replaying the streamed write-ahead log
// corrects that. The copy starts without log files and slots.
func (c *Cluster) copyData(primary *Cluster) error {
	root := primary.data()
	return fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			if err := c.makeDataDir(name); err != nil {
				return err
			}
			if name == "pg_wal" || name == "pg_replslot" {
				return fs.SkipDir
			}
			return nil
		case strings.HasPrefix(name, "postmaster."): // the primary's own
			return nil
		default:
			return c.copyFile(filepath.Join(root, name), name)
		}
	})
}

func (c *Cluster) makeDataDir(name string) error {
	dir := filepath.Join(c.data(), name)
	return errors.Join(os.Mkdir(dir, 0o700), c.giveAway(dir))
}

// copyFile copies a file, unless it has vanished.
func (c *Cluster) copyFile(source, name string) error {
	file, err := os.Open(source)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer file.Close()
	return c.write(name, file)
}

// write writes a new file into the data directory.
func (c *Cluster) write(name string, from io.Reader) error {
	file, err := os.OpenFile(filepath.Join(c.data(), name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, from)
	return errors.Join(err, file.Close(), c.giveAway(file.Name()))
}

// awaitStreaming waits until the primary streams its log to the standby.
func (c *Cluster) awaitStreaming(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var streams bool
		err := conn.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming')`,
			c.name()).Scan(&streams)
		if err != nil || streams {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
