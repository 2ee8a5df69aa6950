//go:build unix

package pgtest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A StopMode is how a server stops.
type StopMode string

const (
	// Fast ends all sessions and shuts the server down cleanly.
	Fast StopMode = "fast"
	// Immediate is a crash: the server recovers from its log when it starts again.
	Immediate StopMode = "immediate"
)

// A Server belongs to one test, which may stop it. Its commits are durable, as in production: fsync is on. Its methods
// fail the test on an error, so call them from the test's goroutine.
type Server struct {
	t       testing.TB
	cluster *Cluster
	close   func() error // may be called more than once
}

// Start starts a server for this test alone. The end of the test removes it.
func Start(t testing.TB) *Server {
	t.Helper()
	c, err := NewCluster(t.Context())
	return serve(t, c, err)
}

// serve returns the cluster as a server, which the end of the test removes.
func serve(t testing.TB, c *Cluster, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	s := &Server{t: t, cluster: c, close: sync.OnceValue(c.Close)}
	t.Cleanup(s.Remove)
	return s
}

// URL returns the URL of an empty database on the server, with a superuser. It never changes.
func (s *Server) URL() string { return s.cluster.URL().String() }

// Stop stops the server and waits until it has stopped.
func (s *Server) Stop(mode StopMode) {
	s.t.Helper()
	if err := s.cluster.stop(s.t.Context(), mode); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Restart stops the server if it runs, starts it again, and waits until it takes connections.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.cluster.start(s.t.Context(), "restart"); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Remove stops the server and removes its files before the end of the test.
func (s *Server) Remove() {
	s.t.Helper()
	if err := s.close(); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
}

// Restore dumps the database of [Server.URL] with pg_dump and restores it with pg_restore --clean, in one transaction. All
// objects are made again under their names, and none keeps its OID. Restore returns false if the server's programs do not
// include those two. Writes between the dump and the restore are lost. To prevent such writes, the database may be
// read-only by default.
func (s *Server) Restore() bool {
	s.t.Helper()
	for _, name := range []string{"pg_dump", "pg_restore"} {
		if _, err := os.Stat(filepath.Join(s.cluster.bin, name)); err != nil {
			return false
		}
	}
	u := s.cluster.URL()
	q := u.Query()
	q.Set("options", "-c default_transaction_read_only=off")
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // libpq knows no other space
	database, dump := "--dbname="+u.String(), filepath.Join(s.cluster.dir, "dump")
	ctx := s.t.Context()
	err := s.cluster.run(ctx, "pg_dump", "--format=custom", "--file="+dump, database)
	if err == nil {
		err = s.cluster.run(ctx, "pg_restore", "--clean", "--single-transaction", database, dump)
	}
	if err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
	return true
}
