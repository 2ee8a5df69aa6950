//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5"

	pgtest "github.com/sellio/sellio-cart/internal/test/pg"
)

// postgres is a throw-away server with PostgreSQL's default settings for durability and speed.
type postgres struct{ *pgtest.Cluster }

func startPostgres(ctx context.Context) (postgres, error) {
	c, err := pgtest.NewCluster(ctx, "max_connections = 100") // the default, which pgtest raises
	return postgres{c}, err
}

// url returns the URL of a database.
func (p postgres) url(database string) string {
	u := p.URL()
	u.Path = "/" + database
	return u.String()
}

// environ is the environment in which PostgreSQL's own programs find a database.
func (p postgres) environ(database string) []string {
	u := p.URL()
	password, _ := u.User.Password()
	return append(os.Environ(), "PGHOST="+u.Hostname(), "PGPORT="+u.Port(), "PGSSLMODE=disable",
		"PGUSER="+u.User.Username(), "PGPASSWORD="+password, "PGDATABASE="+database)
}

// exec runs the statements one after the other on a connection of their own.
func (p postgres) exec(ctx context.Context, database string, statements ...string) error {
	conn, err := pgx.Connect(ctx, p.url(database))
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
