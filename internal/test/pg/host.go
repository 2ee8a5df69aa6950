//go:build unix

package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// A host is a server on which databases are made. Its first use opens it. It keeps no connection open between uses, so
// that the search for leaked goroutines finds none of its own.
type host struct {
	once    sync.Once
	err     error    // from opening it
	url     *url.URL // of the database from which others are made
	cluster *Cluster // nil if TEST_DATABASE_URL names the server

	mu        sync.Mutex
	templates map[string]func() (string, error)
	made      []string // names of the template databases
}

// open finds or starts the server, once.
func (h *host) open(ctx context.Context) error {
	h.once.Do(func() {
		if text := os.Getenv("TEST_DATABASE_URL"); text != "" {
			h.url, h.err = parseServerURL(text)
			return
		}
		// Test data need not survive a power cut.
		if h.cluster, h.err = NewCluster(ctx, "fsync = off"); h.err == nil {
			h.url = h.cluster.URL()
		}
	})
	return h.err
}

// parseServerURL returns a URL with a parameter, so that tests may append others with &. Its error does not quote text,
// which may contain a password.
func parseServerURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("TEST_DATABASE_URL must be a postgres:// or postgresql:// URL")
	}
	if u.RawQuery == "" {
		u.RawQuery = "sslmode=prefer" // the default
	}
	return u, nil
}

// close stops the server if open started it. Otherwise it drops the templates.
func (h *host) close(ctx context.Context) error {
	if h.cluster != nil {
		return h.cluster.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, dropTimeout)
	defer cancel()
	h.mu.Lock()
	defer h.mu.Unlock()
	var err error
	for _, name := range h.made {
		err = errors.Join(err, h.drop(ctx, name))
	}
	h.made = nil
	return err
}

// template returns the name of the template database that the first call with name had build make.
func (h *host) template(ctx context.Context, name string, build func(context.Context, string) error) (string, error) {
	h.mu.Lock()
	once, ok := h.templates[name]
	if !ok {
		once = sync.OnceValues(func() (string, error) { return h.build(ctx, build) })
		if h.templates == nil {
			h.templates = map[string]func() (string, error){}
		}
		h.templates[name] = once
	}
	h.mu.Unlock()
	return once()
}

func (h *host) build(ctx context.Context, build func(context.Context, string) error) (string, error) {
	database, err := h.create(ctx, "template0")
	if err != nil {
		return "", err
	}
	h.mu.Lock()
	h.made = append(h.made, database)
	h.mu.Unlock()
	return database, build(ctx, h.databaseURL(database))
}

// create makes a copy of the template, with options of CREATE DATABASE, and returns its name, which is unique among
// all processes.
func (h *host) create(ctx context.Context, template string, options ...string) (string, error) {
	if err := h.open(ctx); err != nil {
		return "", err
	}
	name := "pgtest_" + strings.ToLower(rand.Text())
	if err := h.exec(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template+" "+strings.Join(options, " ")); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return name, nil
}

func (h *host) drop(ctx context.Context, name string) error {
	if err := h.exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database: %w", err)
	}
	return nil
}

func (h *host) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, h.url.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

func (h *host) databaseURL(name string) string {
	u := *h.url
	u.Path = "/" + name
	return u.String()
}
