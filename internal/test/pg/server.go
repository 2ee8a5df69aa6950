//go:build unix

package pgtest

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A StopMode says how a server stops.
type StopMode string

const (
	// Fast ends all sessions and shuts the server down in order.
	Fast StopMode = "fast"
	// Immediate is a crash: the server recovers from its log when it starts again.
	Immediate StopMode = "immediate"
)

// A Server belongs to one test, which may stop it. What it has committed it keeps, as in production
// (fsync is on). Its methods fail the test when they fail, so call them from the test's goroutine.
type Server struct {
	t       testing.TB
	cluster *Cluster
	close   func() error // may be called more than once
}

// Start starts a server for this test alone. It is gone at the end of the test.
func Start(t testing.TB) *Server {
	t.Helper()
	c, err := NewCluster(t.Context())
	return serve(t, c, err)
}

// serve returns the cluster as a server that is gone at the end of the test.
func serve(t testing.TB, c *Cluster, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	s := &Server{t: t, cluster: c, close: sync.OnceValue(c.Close)}
	t.Cleanup(s.Remove)
	return s
}

// URL returns the URL of an empty database on the server, for a superuser. It stays the same.
func (s *Server) URL() string { return s.cluster.URL().String() }

// Stop stops the server and waits until it has stopped.
func (s *Server) Stop(mode StopMode) {
	s.t.Helper()
	if err := s.cluster.stop(s.t.Context(), mode); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Restart starts the server again, after stopping it if it runs, and waits until it takes connections.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.cluster.start(s.t.Context(), "restart"); err != nil {
		s.t.Fatalf("pgtest: %v", err)
	}
}

// Remove stops the server and removes its files, before the end of the test does.
func (s *Server) Remove() {
	s.t.Helper()
	if err := s.close(); err != nil {
		s.t.Errorf("pgtest: %v", err)
	}
}

// Restore dumps the database of [Server.URL] and restores it by pg_restore --clean, in one transaction. So everything is made
// again under its name, and nothing keeps its OID. It returns false where the programs of the server do not include those
// two. Whatever is written between the dump and the restore is lost; a database that is read-only by default, so that
// nothing is, can be restored too.
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
